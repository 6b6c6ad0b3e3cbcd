"""Euclidean projection onto the unit ball of a p-norm, for every p ≥ 1."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def project_p_ball(x: Tensor, p: float) -> Tensor:
    """The nearest point to ``x`` in {y : ‖y‖_p ≤ 1}; same shape and dtype as ``x``.

    p = 2 and ∞ have closed forms; p = 1 is the sorted threshold of Duchi et al. (ICML 2008).
    Otherwise the optimality condition y + λ y^(p−1) = |x| holds entry by entry and the multiplier
    λ is found by bisection (ours), in float64.

    >>> project_p_ball(torch.tensor([3.0, 4.0]), 2)
    tensor([0.6000, 0.8000])
    >>> project_p_ball(torch.tensor([2.0, 0.5]), 1)
    tensor([1., 0.])
    """
    if math.isinf(p):
        return x.clamp(-1, 1)
    y = x.double()
    if torch.linalg.vector_norm(y, p) <= 1:
        return x.clone()
    if p == 2:
        return (y / torch.linalg.vector_norm(y)).to(x.dtype)
    if p == 1:
        flat = y.reshape(-1)
        return (flat.sign() * project_simplex(flat.abs())).view(x.shape).to(x.dtype)
    return (y.sign() * _shrink(y.abs(), p)).to(x.dtype)


def project_simplex(a: Tensor) -> Tensor:
    """The nearest point to ``a`` ≥ 0 (1-D, Σ a > 1) in {y ≥ 0 : Σ y ≤ 1}: one threshold off."""
    # Relative to the largest entry the threshold is in [−1, 0): exact however large ``a`` is.
    descending = a.sort(descending=True).values
    below = descending - descending[0]
    excess = below.cumsum(0) - 1
    count = torch.arange(1, a.numel() + 1, device=a.device, dtype=a.dtype)
    support = int((below * count > excess).sum())
    return (a - descending[0] - excess[support - 1] / support).clamp(min=0)


def _shrink(a: Tensor, p: float) -> Tensor:
    """The y ≥ 0 with y + λ y^(p−1) = a and ‖y‖_p = 1, for a ≥ 0 outside the ball."""
    # Entries of the solution are at most 1; 2 leaves room to see that λ is still too small.
    ceiling = a.clamp(max=2)

    def entries(multiplier: float) -> Tensor:
        # Monotone in y, so that halving cannot miss, whatever p.
        low, high = torch.zeros_like(a), ceiling
        for _ in range(56):
            middle = (low + high) / 2
            above = middle + multiplier * middle.pow(p - 1) > a
            high = torch.where(above, middle, high)
            low = torch.where(above, low, middle)
        return low

    # ‖λ y^(p−1)‖_q = λ at the solution, hence λ = ‖a − y‖_q, with 0 ≤ y ≤ a and ‖y‖_p = 1.
    q = p / (p - 1)
    largest = float(a.max())
    # For p near 1, q is large and m^q leaves float64; the power of the largest entry decides.
    unit = largest if abs(q * math.log10(largest)) > 250 else 1.0
    high = unit * float(torch.linalg.vector_norm(a / unit, q))
    low = max(0.0, high - a.numel() ** max(0.0, 1 / q - 1 / p))
    for _ in range(56):
        middle = (low + high) / 2
        if torch.linalg.vector_norm(entries(middle), p) > 1:
            low = middle
        else:
            high = middle
    return entries(high)
