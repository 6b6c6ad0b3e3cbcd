"""Arithmetic on lists of tensors that share balls: norms, inner products, R ← decay·R + weight·v.

R is the direction of a ball's walk, with Δ_k = −δ·scale_k·R. With γ_k = 1/k it is the plain sum of
unit vertices, so that a step for p = 2 is one norm and one fused multiply-add per tensor.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from fwrnn_core.optim import native
from fwrnn_core.optim.balls import Ball, PBall, accumulator, working_dtype
from fwrnn_core.optim.schedule import Mix

# Outside, squares of float32 entries lose accuracy or overflow, and 1/norm may.
_SAFE_LOW, _SAFE_HIGH = 1e-16, 1e16
_WIDE = (torch.float32, torch.float64)


def flatten(tensors: Sequence[Tensor]) -> Tensor:
    """One flat vector in the widest dtype among the tensors, at least float32."""
    dtype = torch.float64 if any(t.dtype == torch.float64 for t in tensors) else torch.float32
    return torch.cat([t.reshape(-1).to(dtype) for t in tensors])


def unflatten(vector: Tensor, tensors: Sequence[Tensor]) -> None:
    """The inverse of :func:`flatten`, into existing tensors."""
    parts = vector.split([t.numel() for t in tensors])
    torch._foreach_copy_(
        list(tensors), [part.view(t.shape) for part, t in zip(parts, tensors, strict=True)]
    )


def gather(tensors: Sequence[Tensor]) -> Tensor:
    """What one ball sees: a single tensor in its own shape, several as one flat vector."""
    return tensors[0] if len(tensors) == 1 else flatten(tensors)


def scatter(vector: Tensor, tensors: Sequence[Tensor]) -> None:
    """The inverse of :func:`gather`, into existing tensors."""
    if len(tensors) == 1:
        tensors[0].copy_(vector)
    else:
        unflatten(vector, tensors)


@contextmanager
def replaced(tensors: Sequence[Tensor], values: Sequence[Tensor]) -> Iterator[None]:
    """Put other values into tensors, in place, and their own back on leaving."""
    kept = [t.detach().clone() for t in tensors]
    try:
        with torch.no_grad():
            for t, value in zip(tensors, values, strict=True):
                t.copy_(value)
        yield
    finally:
        with torch.no_grad():
            for t, own in zip(tensors, kept, strict=True):
                t.copy_(own)


class Lengths(NamedTuple):
    """2-norms of tensors: as numbers, and as the 0-dim tensors to divide by on their device (none
    where the C kernels measured)."""

    values: list[float]
    divisors: list[Tensor]


def lengths(tensors: Sequence[Tensor]) -> Lengths:
    """‖g‖_2 of every tensor; NaN or infinite exactly where an entry is.

    One fused pass; where float32 squares are not exact enough (or overflow), the entries are
    scaled and summed again, and the divisor is infinite.

    >>> tiny, huge = torch.tensor([3e-30, 4e-30]), torch.tensor([3e30, 4e30])
    >>> [f"{n:.2e}" for n in lengths([tiny, huge]).values]
    ['5.00e-30', '5.00e+30']
    """
    if not tensors:
        return Lengths([], [])
    divisors = list(torch._foreach_norm(list(tensors)))
    values = numbers(divisors)
    for i, t in enumerate(tensors):
        if not (safe(values[i]) and t.dtype in _WIDE):
            values[i] = float(PBall(2.0).norm(t))
            divisors[i] = torch.full_like(divisors[i], math.inf)
    return Lengths(values, divisors)


def norms(tensors: Sequence[Tensor]) -> list[float]:
    """The values of :func:`lengths`."""
    return lengths(tensors).values


def safe(norm: float) -> bool:
    """Whether entries of a tensor with this norm can be scaled by 1/norm in float32."""
    return _SAFE_LOW < norm < _SAFE_HIGH


def inner_products(a: Sequence[Tensor], b: Sequence[Tensor]) -> list[float]:
    """⟨a, b⟩ of every pair of tensors, summed in double.

    >>> inner_products([torch.tensor([1.0, 2.0])], [torch.tensor([3.0, 4.0])])
    [11.0]
    """
    kernels = native.library()
    if kernels is not None and native.fits(a) and native.fits(b):
        return native.products(kernels, a, b)
    found = [
        (x.to(working_dtype(x)) * y).sum(dtype=accumulator(x)) for x, y in zip(a, b, strict=True)
    ]
    return numbers(found)


def numbers(scalars: list[Tensor]) -> list[float]:
    """0-dim tensors as floats, with one wait for the device where all are alike."""
    if len({(n.dtype, n.device) for n in scalars}) == 1:
        return torch.stack(scalars).tolist()
    return [float(n) for n in scalars]


def add_unit_gradients(
    grads: list[Tensor], sizes: Lengths, directions: list[Tensor], step: Mix
) -> None:
    """R ← decay·R + weight·g/‖g‖_2 for tensors with a Euclidean ball each, in place."""
    fade(directions, step.decay)
    divisors = sizes.divisors or lengths(grads).divisors
    torch._foreach_addcdiv_(directions, grads, divisors, value=step.weight)
    for i, n in enumerate(sizes.values):
        if not (safe(n) and grads[i].dtype in _WIDE):  # its infinite divisor has added nothing
            directions[i].add_(PBall(2.0).vertex(grads[i]), alpha=step.weight)


def add_vertex(
    ball: Ball,
    grads: Sequence[Tensor],
    sizes: Sequence[float],
    directions: Sequence[Tensor],
    step: Mix,
) -> None:
    """R ← decay·R + weight·argmax ⟨s, g⟩ over the unit ball that the tensors share, in place."""
    fade(directions, step.decay)
    if isinstance(ball, PBall) and ball.p == 2 and all(g.dtype in _WIDE for g in grads):
        total = math.hypot(*sizes)
        if safe(total):
            torch._foreach_add_(list(directions), list(grads), alpha=step.weight / total)
            return
    v = ball.vertex(gather(grads)).mul_(step.weight)
    if len(directions) == 1:
        directions[0].add_(v)
    else:
        scatter(gather(directions).add_(v), directions)


def fade(directions: Sequence[Tensor], decay: float) -> None:
    """R ← decay·R; decay 0 forgets whatever R held."""
    if decay == 0:
        torch._foreach_zero_(list(directions))
    elif decay != 1:
        torch._foreach_mul_(list(directions), decay)
