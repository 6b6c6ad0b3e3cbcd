"""Balls ‖s‖_p ≤ δ in R^d: their dual norms and uniform draws from them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fwrnn_core.errors import ConfigError
from fwrnn_core.optim.balls import PBall


def check_ball(radius: float, norm: float) -> None:
    """Raise :class:`ConfigError` unless 0 < radius < ∞ and norm ≥ 1."""
    if not (isinstance(radius, int | float) and 0 < radius < math.inf):
        raise ConfigError(f"radius must be a positive finite number, not {radius!r}")
    if not (isinstance(norm, int | float) and norm >= 1):
        raise ConfigError(f"norm must be a number p >= 1 or math.inf, not {norm!r}")


def dual_norm(gradient: Tensor, norm: float = 2) -> Tensor:
    """‖g‖_q over the last axis: the support function of the unit p-ball, max ⟨s, g⟩ over ‖s‖_p ≤ 1.

    >>> dual_norm(torch.tensor([3.0, -4.0]), math.inf)
    tensor(7.)
    """
    return torch.linalg.vector_norm(gradient, ord=PBall(float(norm)).q, dim=-1)


def sample_ball(
    count: int,
    dim: int,
    radius: float = 1.0,
    norm: float = 2,
    *,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """``count`` points drawn uniformly from the ball of the p-norm, [count, dim].

    The construction is Barthe, Guédon, Mendelson & Naor (2005, Theorem 1): for 1 ≤ p < ∞, take g_i
    independent with density ∝ exp(−|t|^p) and Z ~ Exp(1); then g / (‖g‖_p^p + Z)^{1/p} is uniform.

    :raises ConfigError: radius ≤ 0 or norm < 1.

    >>> s = sample_ball(1000, 3, 0.5, 1, generator=torch.Generator().manual_seed(0))
    >>> bool((s.abs().sum(-1) <= 0.5).all())
    True
    """
    check_ball(radius, norm)
    if math.isinf(norm):
        cube = torch.rand(count, dim, generator=generator, dtype=dtype)
        return radius * (2 * cube - 1)
    # |g|^p ~ Gamma(1/p). torch's gamma sampler takes no generator: normal draws for p = 2, the case
    # in use, and rejection for other p.
    if norm == 2:
        g = torch.randn(count, dim, generator=generator, dtype=dtype) / math.sqrt(2)
    else:
        sign = torch.randint(0, 2, (count, dim), generator=generator).to(dtype) * 2 - 1
        g = sign * _gamma(1 / norm, (count, dim), generator, dtype).pow(1 / norm)
    extra = -torch.log1p(-torch.rand(count, 1, generator=generator, dtype=dtype))
    total = g.abs().pow(norm).sum(-1, keepdim=True) + extra
    return radius * g / total.pow(1 / norm)


def _gamma(
    shape: float, size: tuple[int, int], generator: torch.Generator | None, dtype: torch.dtype
) -> Tensor:
    """Gamma(shape ≤ 1, 1): Ahrens-Dieter rejection, vectorised (exponential when shape = 1)."""
    out = torch.empty(size, dtype=dtype)
    todo = torch.ones(size, dtype=torch.bool)
    edge = 1 + shape / math.e
    while bool(todo.any()):
        n = int(todo.sum())
        u = torch.rand(n, generator=generator, dtype=dtype) * edge
        v = -torch.log1p(-torch.rand(n, generator=generator, dtype=dtype))
        low = u <= 1
        x = torch.where(low, u.pow(1 / shape), -torch.log(((edge - u) / shape).clamp_min(1e-300)))
        keep = torch.where(low, x <= v, (1 - shape) * torch.log(x) <= v)
        here = torch.nonzero(todo.flatten()).squeeze(-1)[keep]
        out.view(-1)[here] = x[keep]
        todo.view(-1)[here] = False
    return out
