"""The live parts of the ablation pages: short runs, and inner loops taken apart."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fwrnn_core import experiments
from fwrnn_core.optim import FrankWolfe
from fwrnn_core.theory.objective import flatten
from fwrnn_core.theory.probes import last_displacement
from fwrnn_core.training import train


def live(
    variants: Mapping[str, Mapping[str, Any]],
    *,
    epochs: int = 4,
    seed: int = 0,
    device: str = "auto",
    windows: int = 1200,
) -> dict[str, np.ndarray]:
    """Training loss of short runs around the base setting: label -> float [epochs].

    ``variants`` maps a label to dotted changes of the config: ``{"optimizer.radius": 0.1}``.
    """
    base = experiments.catalogue()["ablations/inner-steps/5/seed-0"]
    curves = {}
    for name, changes in variants.items():
        config = base.replace(
            **{"data.train_limit": windows, "epochs": epochs, "seed": seed, **changes}
        )
        record = train(config, store=False, progress=False, device=device)
        curves[name] = record.curve("train_loss")
    return curves


def at_point(model: nn.Module, point: Tensor) -> nn.Module:
    """A copy of the model with the flat vector of weights [d] in it."""
    copied = copy.deepcopy(model)
    vector = point.to(next(copied.parameters()))
    nn.utils.vector_to_parameters(vector, copied.parameters())
    return copied


def minibatches(
    x: Tensor, y: Tensor, loops: int, inner_steps: int, size: int, seed: int = 0
) -> list[list[tuple[Tensor, Tensor]]]:
    """Minibatches for ``loops`` inner loops, drawn without repeating a row inside one loop."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(loops):
        order = torch.randperm(len(y), generator=generator)[: inner_steps * size]
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
    for x, y in batches:
        optimizer.zero_grad()
        loss_fn(copied(x), y).backward()
        optimizer.step()
    flat = last_displacement(optimizer, named.values()).double() / radius
    pieces = flat.split([p.numel() for p in named.values()])
    return dict(zip(named, pieces, strict=True))


def turning(
    model: nn.Module,
    loss_fn: Callable[[Tensor, Tensor], Tensor],
    batches: Sequence[tuple[Tensor, Tensor]],
    radii: Sequence[float],
) -> list[float]:
    """Angle in degrees between Δ_K at each radius and Δ_K at radius → 0, on the same minibatches.

    Zero as long as the ball is so small that looking around inside it changes nothing.
    """
    still = flatten(displacement(model, loss_fn, batches, 1e-12).values())
    angles = []
    for radius in radii:
        moved = flatten(displacement(model, loss_fn, batches, radius).values())
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
