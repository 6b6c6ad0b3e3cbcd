"""Make the slices that come with the package: ``python -m fwrnn_core.explorer.record_slices``.

Two tanh networks are trained with the two-loop optimizer (K = 5, Adam outside), seeded, and sliced
at three moments each. Name one (``adding``, ``har2``) to make only its slices. A few minutes on one
core; the numbers repeat on the same machine with the same library versions.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from tqdm import tqdm

from fwrnn_core.errors import unknown
from fwrnn_core.explorer.measure import plane_slice
from fwrnn_core.explorer.slices import FOLDER, Slice
from fwrnn_core.training import DataConfig, ModelConfig, OptimizerConfig, Run, RunConfig
from fwrnn_core.training.environment import describe

RESOLUTION = 41
INNER_STEPS = 5


class Moment(NamedTuple):
    """When to slice, in words and in minibatches, and δ of the sliced inner loop.

    δ is far larger than the training's own (its learning rate), so that the reader sees the
    surface bend; the slice says so.
    """

    words: str
    minibatches: int
    radius: float


@dataclass(frozen=True)
class Plan:
    """A network and the moments of its training at which to slice it."""

    title: str
    config: RunConfig
    moments: tuple[Moment, ...]
    examples: int = 256


def _config(name: str, data: DataConfig, hidden: int, batch: int, lr: float) -> RunConfig:
    optimizer = OptimizerConfig(lr=lr, inner_steps=INNER_STEPS)
    model = ModelConfig(hidden_size=hidden)
    return RunConfig(f"slices/{name}", data, model, optimizer, batch_size=batch, epochs=1000)


PLANS = {
    "adding": Plan(
        "Adding, 20 steps",
        _config("adding", DataConfig("adding", {"length": 20, "train": 20_000}), 64, 50, 2e-3),
        (
            Moment("before training", 0, 0.05),
            Moment("on the plateau", 1_000, 0.02),
            Moment("solved", 12_000, 0.02),
        ),
    ),
    "har2": Plan(
        "HAR-2",
        _config("har2", DataConfig("har-2"), 80, 128, 1e-3),
        # From the second epoch on the surface has steps finer than any grid that would fit a page.
        (
            Moment("before training", 0, 0.1),
            Moment("after 1 epoch", 58, 0.03),
            Moment("after 1½ epochs", 87, 0.01),
        ),
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
    for number, moment in enumerate(plan.moments, 1):
        _train(run, moment.minibatches - done)
        done = moment.minibatches
        batch = run.data.batch("train", torch.arange(plan.examples))
        yield _slice(run, plan, batch, f"{key}-{number}", moment)


def _slice(run: Run, plan: Plan, batch: Any, name: str, moment: Moment) -> Slice:
    config = plan.config
    weights = sum(p.numel() for p in run.model.parameters())
    about = (
        f"A real tanh RNN, {plan.title}, {moment.words}: its loss on {plan.examples} training "
        f"sequences over a plane through its {weights:,} weights, along −∇F and towards Δ. The "
        f"ball is {moment.radius / config.optimizer.lr:.0f} times the one it was trained with."
    )
    origin = {
        "config": config.to_dict(),
        "minibatches": moment.minibatches,
        "updates": run.updates,
        "examples": plan.examples,
        "radius_per_tensor": moment.radius,
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
            radius=moment.radius,
            inner_steps=INNER_STEPS,
            resolution=RESOLUTION,
            progress=progress,
            name=name,
            label=f"{plan.title}, {moment.words}",
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
