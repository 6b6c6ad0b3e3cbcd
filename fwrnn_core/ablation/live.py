"""The live parts of the ablation pages: short runs, and inner loops taken apart."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fwrnn_core import experiments, reports
from fwrnn_core.optim import FrankWolfe
from fwrnn_core.theory.objective import flatten
from fwrnn_core.theory.probes import last_displacement
from fwrnn_core.training import Record, RunConfig


def short_run(*, epochs: int, seed: int = 0, source: str = "auto", **optimizer: Any) -> RunConfig:
    """The base setting on a fifth of the training windows, with none held out; ``optimizer`` are
    fields of :class:`~fwrnn_core.training.OptimizerConfig` that are changed.

    >>> short_run(epochs=2, radius=0.1).optimizer.radius
    0.1
    """
    changes = {f"optimizer.{name}": value for name, value in optimizer.items()}
    data = {"data.train_limit": 1200, "data.validation": 0.0, "data.options": {"source": source}}
    base = experiments.catalogue()["ablations/inner-steps/5/seed-0"]
    return base.replace(**{**data, "epochs": epochs, "seed": seed, **changes})


def live(
    variants: Mapping[str, Mapping[str, Any]],
    *,
    seeds: Sequence[int],
    epochs: int,
    source: str,
    device: str,
    **optimizer: Any,
) -> dict[str, list[Record]]:
    """Short runs around the base setting, one per seed, by label.

    ``variants`` maps a label to fields of the optimizer: ``{"small": {"radius": 0.1}}``;
    ``optimizer`` are fields that all of them share.
    """
    configs = {
        name: short_run(epochs=epochs, source=source, **{**optimizer, **changes})
        for name, changes in variants.items()
    }
    # Held out as in the recorded runs, so that they train on the same people.
    options: dict[str, Any] = {"epochs": epochs, "device": device, "data.validation": 0.2}
    return {name: reports.live(config, seeds=seeds, **options) for name, config in configs.items()}


def at_point(model: nn.Module, point: Tensor) -> nn.Module:
    """A copy of the model with the flat vector of weights [d] in it."""
    copied = copy.deepcopy(model)
    vector = point.to(next(copied.parameters()))
    nn.utils.vector_to_parameters(vector, copied.parameters())
    return copied


def minibatches(
    x: Tensor, y: Tensor, loops: int, inner_steps: int, size: int, seed: int = 0
) -> list[list[tuple[Tensor, Tensor]]]:
    """Minibatches for ``loops`` inner loops; a loop repeats no row before it has used all."""
    generator = torch.Generator().manual_seed(seed)
    found, passes = [], math.ceil(inner_steps * size / len(y))
    for _ in range(loops):
        orders = [torch.randperm(len(y), generator=generator) for _ in range(passes)]
        order = torch.cat(orders)[: inner_steps * size]
        found.append([(x[rows], y[rows]) for rows in order.split(size)])
    return found


def displacement(
    model: nn.Module,
    loss_fn: Callable[[Tensor, Tensor], Tensor],
    batches: Sequence[tuple[Tensor, Tensor]],
    radius: float,
    **settings: Any,
) -> dict[str, Tensor]:
    """Δ_K/δ of one inner loop over the given minibatches, by parameter; the model stays as it is.

    ``settings`` are those of :class:`fwrnn_core.FrankWolfe`. A tiny radius gives the limit in which
    all K gradients are taken at ω_t itself.
    """
    copied = copy.deepcopy(model)
    named = {n: p for n, p in copied.named_parameters() if p.requires_grad}
    optimizer = FrankWolfe(
        list(named.values()), lr=radius, inner_steps=len(batches), outer=None, **settings
    )
    device = next(iter(named.values())).device
    for x, y in batches:
        optimizer.zero_grad()
        loss_fn(copied(x.to(device)), y.to(device)).backward()
        optimizer.step()
    flat = last_displacement(optimizer, named.values()).double() / radius
    pieces = flat.split([p.numel() for p in named.values()])
    return dict(zip(named, pieces, strict=True))


def turning(
    model: nn.Module,
    loss_fn: Callable[[Tensor, Tensor], Tensor],
    batches: Sequence[tuple[Tensor, Tensor]],
    radii: Sequence[float],
    **settings: Any,
) -> list[float]:
    """Angle in degrees between Δ_K at each radius and Δ_K at radius → 0, on the same minibatches.

    Zero as long as the ball is so small that looking around inside it changes nothing.
    ``settings`` are those of :class:`fwrnn_core.FrankWolfe`.
    """
    still = flatten(displacement(model, loss_fn, batches, 1e-12, **settings).values())
    angles = []
    for radius in radii:
        moved = flatten(displacement(model, loss_fn, batches, radius, **settings).values())
        cosine = float(moved @ still / (moved.norm() * still.norm()))
        angles.append(math.degrees(math.acos(max(-1.0, min(1.0, cosine)))))
    return angles


def participation(vector: Tensor) -> float:
    """Share of the entries that carry a vector, 1/d … 1: (Σ v²)² / (d Σ v⁴).

    >>> import torch
    >>> participation(torch.ones(4)), participation(torch.tensor([0.0, 3.0, 0.0, 0.0]))
    (1.0, 0.25)
    """
    squares = vector.double().square()
    return float(squares.sum() ** 2 / (len(squares) * squares.square().sum()))
