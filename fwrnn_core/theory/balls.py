"""Balls ‖s‖_p ≤ δ in R^d: their dual norms and uniform draws from them."""

from __future__ import annotations

import math

import numpy as np
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
) -> Tensor:
    """``count`` points drawn uniformly from the ball of the p-norm, [count, dim] float64.

    The construction is Barthe, Guédon, Mendelson & Naor (2005, Theorem 1): for 1 ≤ p < ∞, take g_i
    independent with density ∝ exp(−|t|^p) and Z ~ Exp(1); then g / (‖g‖_p^p + Z)^{1/p} is uniform.

    :raises ConfigError: radius ≤ 0 or norm < 1.

    >>> s = sample_ball(1000, 3, 0.5, 1, generator=torch.Generator().manual_seed(0))
    >>> bool((s.abs().sum(-1) <= 0.5).all())
    True
    """
    check_ball(radius, norm)
    dtype = torch.float64
    if math.isinf(norm):
        cube = torch.rand(count, dim, generator=generator, dtype=dtype)
        return radius * (2 * cube - 1)
    if norm == 2:
        g = torch.randn(count, dim, generator=generator, dtype=dtype) / math.sqrt(2)
    else:
        # |g|^p ~ Gamma(1/p). torch's gamma sampler takes no generator; numpy's has a seed from it.
        seed = int(torch.randint(2**63 - 1, (), generator=generator))
        size = np.random.default_rng(seed).standard_gamma(1 / norm, (count, dim))
        sign = torch.randint(0, 2, (count, dim), generator=generator).to(dtype) * 2 - 1
        g = sign * torch.from_numpy(size).pow(1 / norm)
    extra = -torch.log1p(-torch.rand(count, 1, generator=generator, dtype=dtype))
    total = g.abs().pow(norm).sum(-1, keepdim=True) + extra
    return radius * g / total.pow(1 / norm)
