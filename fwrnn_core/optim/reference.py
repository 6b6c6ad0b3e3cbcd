"""Algorithm 1, literally and slowly: the oracle that the fast optimizer is tested against.

Every line follows ``book`` notation (theory: "Algorithm 1: two loops"): weights are a list of
tensors, nothing is fused, the point of each gradient is built from scratch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Gradient = Callable[[list[Tensor], int], list[Tensor]]


def closed_form(g: Tensor, delta: float, norm: float | str) -> Tensor:
    """argmin of ⟨s, g⟩ over the ball, written as in the table of closed forms (Eq. 7)."""
    if not g.any():
        return torch.zeros_like(g)
    if isinstance(norm, str) and g.dim() == 2:
        u, s, vh = torch.linalg.svd(g, full_matrices=False)
        return -delta * (u @ vh if norm == "spectral" else torch.outer(u[:, 0], vh[0]))
    p = 2.0 if isinstance(norm, str) else norm
    if p == 1:
        s = torch.zeros_like(g).flatten()
        j = int(g.flatten().abs().argmax())
        s[j] = -delta * g.flatten()[j].sign()
        return s.view_as(g)
    if math.isinf(p):
        return -delta * g.sign()
    q = p / (p - 1)
    return -delta * g.sign() * g.abs() ** (q - 1) / g.abs().pow(q).sum().pow((q - 1) / q)


def oracle(grads: Sequence[Tensor], delta: float, norm: float | str, scope: str) -> list[Tensor]:
    """Vertices for all tensors: one ball each, or one ball around their concatenation."""
    if scope == "tensor":
        return [closed_form(g, delta, norm) for g in grads]
    s = closed_form(torch.cat([g.flatten() for g in grads]), delta, norm)
    parts = s.split([g.numel() for g in grads])
    return [part.view_as(g) for part, g in zip(parts, grads, strict=True)]


def inner_loop(
    gradient: Gradient,
    weights: Sequence[Tensor],
    delta: float,
    inner_steps: int,
    norm: float | str = 2.0,
    scope: str = "tensor",
    step_size: Callable[[int], float] = lambda k: 1 / k,
    trajectory: str = "paper",
) -> tuple[list[Tensor], list[list[Tensor]]]:
    """Δ_K and the points (K of them) at which the gradients were taken.

    ``gradient(point, k)`` is ∇F at ``point`` on the k-th minibatch, k = 1 … K.
    """
    displacement = [torch.zeros_like(w) for w in weights]
    moved = [w.clone() for w in weights]  # where the released code stands
    points = []
    for k in range(1, inner_steps + 1):
        if trajectory == "paper":
            point = [w + d for w, d in zip(weights, displacement, strict=True)]
        else:
            point = [m.clone() for m in moved]
        points.append(point)
        s = oracle(gradient(point, k), delta, norm, scope)
        gamma = step_size(k)
        displacement = [(1 - gamma) * d + gamma * v for d, v in zip(displacement, s, strict=True)]
        moved = [m + d for m, d in zip(moved, displacement, strict=True)]
    return displacement, points
