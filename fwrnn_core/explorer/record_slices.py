"""Make the slices that come with the package: ``python -m fwrnn_core.explorer.record_slices``.

Two tanh networks are trained with the two-loop optimizer (K = 5, Adam outside), seeded, and sliced
at three moments each. Name one (``adding``, ``har2``) to make only its slices. A few minutes on one
core; the numbers repeat on the same machine with the same library versions.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tqdm import tqdm

from fwrnn_core.errors import unknown
from fwrnn_core.explorer.measure import plane_slice
from fwrnn_core.explorer.slices import FOLDER, Slice
from fwrnn_core.training import DataConfig, ModelConfig, OptimizerConfig, Run, RunConfig
from fwrnn_core.training.environment import describe

RESOLUTION = 41
INNER_STEPS = 5


@dataclass(frozen=True)
class Plan:
    """A network, the minibatches after which to slice it, and δ of the sliced inner loop.

    δ is far larger than the training's own (its learning rate), so that the reader sees the
    surface bend; the slice says so.
    """

    title: str
    config: RunConfig
    moments: dict[str, int]
    radius: float
    examples: int = 256


def _config(name: str, data: DataConfig, hidden: int, batch: int, lr: float) -> RunConfig:
    optimizer = OptimizerConfig(lr=lr, inner_steps=INNER_STEPS)
    model = ModelConfig(hidden_size=hidden)
    return RunConfig(f"slices/{name}", data, model, optimizer, batch_size=batch, epochs=1000)


PLANS = {
    "adding": Plan(
        "Adding, 20 steps",
        _config("adding", DataConfig("adding", {"length": 20, "train": 20_000}), 64, 50, 2e-3),
        {"before training": 0, "on the plateau": 1_000, "solved": 12_000},
        radius=0.02,
    ),
    "har2": Plan(
        "HAR-2",
        _config("har2", DataConfig("har-2"), 80, 128, 1e-3),
        {"before training": 0, "after 5 epochs": 290, "after 20 epochs": 1_160},
        radius=0.01,
    ),
}


def _train(run: Run, minibatches: int) -> None:
    for _ in tqdm(range(minibatches), desc=run.config.name, leave=False, disable=None):
        run.step()
        if run.minibatch == run.minibatches:
            run.finish_epoch()


def slices(key: str) -> Iterator[Slice]:
    """Train a plan's network and slice it at each of its moments.

    Raises:
        ConfigError: no plan of that name.
    """
    if key not in PLANS:
        raise unknown("network", key, PLANS)
    plan = PLANS[key]
    run = Run(plan.config, "cpu")
    done = 0
    for number, (moment, minibatches) in enumerate(plan.moments.items(), 1):
        _train(run, minibatches - done)
        done = minibatches
        batch = run.data.batch("train", torch.arange(plan.examples))
        yield _slice(run, plan, batch, f"{key}-{number}", moment, minibatches)


def _slice(run: Run, plan: Plan, batch: Any, name: str, moment: str, minibatches: int) -> Slice:
    config = plan.config
    weights = sum(p.numel() for p in run.model.parameters())
    about = (
        f"A real tanh RNN, {plan.title}, {moment}: its loss on {plan.examples} training sequences "
        f"over a plane through its {weights:,} weights, along −∇F and towards Δ. The ball is "
        f"{plan.radius / config.optimizer.lr:.0f} times the one it was trained with."
    )
    origin = {
        "config": config.to_dict(),
        "minibatches": minibatches,
        "updates": run.updates,
        "examples": plan.examples,
        "radius_per_tensor": plan.radius,
        "inner_steps": INNER_STEPS,
        "data": {"source": run.data.source, "fingerprint": run.data.fingerprint},
        **describe(run.device),
    }
    with tqdm(desc=name, unit="point", leave=False, disable=None) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return plane_slice(
            run.model,
            run.loss_fn,
            batch,
            radius=plan.radius,
            inner_steps=INNER_STEPS,
            resolution=RESOLUTION,
            progress=progress,
            name=name,
            label=f"{plan.title}, {moment}",
            group="Real RNNs",
            about=about,
            origin=origin,
        )


def main(arguments: Sequence[str]) -> None:
    torch.set_num_threads(1)
    FOLDER.mkdir(exist_ok=True)
    for key in arguments or list(PLANS):
        for piece in slices(key):
            path = FOLDER / f"{piece.name}.json"
            piece.save(path)
            print(
                f"{path.name}: {path.stat().st_size / 1e3:.0f} kB, loss {piece.loss.min():.3g} … "
                f"{piece.loss.max():.3g}, agreement {piece.agreement:.2f}, angle {piece.angle:.0f}°"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
