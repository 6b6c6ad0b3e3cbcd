"""Functions with known answers: for the tests, and for the pages that show a theorem at work."""

from __future__ import annotations

import torch
from torch import Tensor

from fwrnn_core.errors import ConfigError
from fwrnn_core.theory.objective import Objective


def quadratic(hessian: Tensor, linear: Tensor | None = None) -> Objective:
    """½ωᵀHω + bᵀω around ω = 0, in float64.

    :param hessian: symmetric [d, d]; ``linear``: b [d], default 0.

    >>> quadratic(torch.eye(2), torch.tensor([1.0, 0.0])).grad()
    tensor([1., 0.], dtype=torch.float64)
    """
    h = hessian.double()
    b = torch.zeros(len(h), dtype=torch.float64) if linear is None else linear.double()
    return Objective(lambda w: 0.5 * w @ h @ w + b @ w, torch.zeros(len(h), dtype=torch.float64))


def random_symmetric(dim: int, seed: int = 0, *, definite: bool = True) -> Tensor:
    """A random symmetric matrix [d, d] in float64, positive semidefinite if ``definite``.

    >>> h = random_symmetric(3)
    >>> bool((torch.linalg.eigvalsh(h) >= -1e-12).all())
    True
    """
    source = torch.Generator().manual_seed(seed)
    a = torch.randn(dim, dim, generator=source, dtype=torch.float64)
    return a @ a.T / dim if definite else (a + a.T) / 2


def wavy_cone(points: Tensor, amplitude: float = 0.6, waves: int = 6) -> Tensor:
    """A star-convex function of the plane that is not convex (ours): r²(1 + a·cos(mφ)).

    It is homogeneous of degree 2, so ⟨∇F, ω⟩ = 2F (Euler) and the residual towards ω* = 0 is F ≥
    0 for every 0 ≤ a < 1, while its level sets are stars. Along a fixed angle it is a parabola.

    :param points: [..., 2]; returns [...].

    >>> wavy_cone(torch.tensor([2.0, 0.0]))
    tensor(6.4000)
    """
    if not 0 <= amplitude < 1:
        raise ConfigError(f"amplitude must lie in [0, 1), not {amplitude!r}")
    x, y = points[..., 0], points[..., 1]
    # atan2 has no gradient at the origin; there any other x gives the same value and gradient, 0.
    square = x * x + y * y
    at_origin = square == 0
    angle = torch.atan2(y, torch.where(at_origin, torch.ones_like(x), x))
    return square * (1 + amplitude * torch.cos(waves * angle))
