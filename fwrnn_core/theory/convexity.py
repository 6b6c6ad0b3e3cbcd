"""Local convexity (assumption A1 of Theorem 2): is F convex on the ball around ω?

Two kinds of evidence. Random pairs in the ball test the definition itself; they can refute
convexity but never prove it. The smallest eigenvalue of the Hessian at the center, by Lanczos on
Hessian-vector products, finds the worst direction that random pairs in many dimensions miss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from fwrnn_core.errors import ConfigError
from fwrnn_core.theory.balls import sample_ball
from fwrnn_core.theory.objective import Objective


def monotonicity(objective: Objective, x: Tensor, y: Tensor) -> tuple[float, float]:
    """⟨∇F(x) − ∇F(y), x − y⟩/‖x − y‖² and ‖∇F(x) − ∇F(y)‖/‖x − y‖.

    The first is the mean curvature along the segment, non-negative for every pair iff F is convex;
    the second is the pair's Lipschitz quotient (A3). Both come from the same two gradients, and
    unlike t F(x) + (1−t) F(y) − F(t x + (1−t) y) they do not lose their digits as x approaches y.

    >>> f = Objective(lambda w: w[0] ** 2 - 2 * w[1] ** 2, torch.zeros(2, dtype=torch.float64))
    >>> monotonicity(f, torch.tensor([0.0, 0.0]), torch.tensor([0.0, 1.0]))
    (-4.0, 4.0)
    """
    x, y = x.to(objective.origin), y.to(objective.origin)
    step = x - y
    turn = objective.grad(x) - objective.grad(y)
    length = float(step.norm())
    if length == 0:
        raise ConfigError("the two points of a pair must differ")
    return float(turn @ step) / length**2, float(turn.norm()) / length


@dataclass(frozen=True)
class Spectrum:
    """Ritz values of a symmetric operator, ascending, each with an error bound.

    ``steepest`` [d] is the unit Ritz vector v of the largest one: vᵀAv = ``largest``. Within
    ``residuals[i]`` of ``values[i]`` lies at least one eigenvalue (Parlett 1998). A smallest Ritz
    value is never below the smallest eigenvalue, so a negative one *proves* non-convexity.
    """

    values: Tensor
    residuals: Tensor
    steepest: Tensor

    @property
    def smallest(self) -> float:
        """The smallest Ritz value, an upper bound of λ_min."""
        return float(self.values[0])

    @property
    def largest(self) -> float:
        """The largest Ritz value, a lower bound of λ_max."""
        return float(self.values[-1])


def lanczos(
    operator: Callable[[Tensor], Tensor],
    dim: int,
    steps: int = 30,
    *,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> Spectrum:
    """Extreme eigenvalues of a symmetric operator from its products with vectors (Lanczos 1950).

    Full reorthogonalisation, twice, keeps the basis orthonormal, so no eigenvalue appears twice.
    Stops early when the Krylov space is exhausted.

    :param operator: v [dim] → A v [dim]; ``steps``: products at most.
    :param dtype, device: of the vectors v. The first is drawn on the CPU, so that it is the same on
        every device.

    >>> A = torch.diag(torch.tensor([-2.0, 1.0, 5.0], dtype=torch.float64))
    >>> found = lanczos(lambda v: A @ v, 3)
    >>> round(found.smallest, 8), round(found.largest, 8)
    (-2.0, 5.0)
    """
    if steps < 1 or dim < 1:
        raise ConfigError(f"lanczos needs dim >= 1 and steps >= 1, not {dim} and {steps}")
    source = generator or torch.Generator().manual_seed(0)
    v = torch.randn(dim, generator=source, dtype=torch.float64).to(device, dtype)
    basis = [v / v.norm()]
    diagonal: list[float] = []
    off: list[float] = []
    for _ in range(min(steps, dim)):
        w = operator(basis[-1])
        diagonal.append(float(basis[-1] @ w))
        stack = torch.stack(basis)
        for _ in range(2):
            w = w - stack.T @ (stack @ w)
        off.append(float(w.norm()))
        scale = max(abs(a) for a in diagonal) + max(off)
        if off[-1] <= 1e-12 * scale:
            off[-1] = 0.0
            break
        basis.append(w / off[-1])
    inner = torch.tensor(off[:-1], dtype=torch.float64)
    tri = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
    if len(inner):
        tri = tri + torch.diag(inner, 1) + torch.diag(inner, -1)
    values, vectors = torch.linalg.eigh(tri)
    top = torch.stack(basis[: len(diagonal)]).T @ vectors[:, -1].to(basis[0])
    return Spectrum(values, off[-1] * vectors[-1].abs(), top / top.norm())


def hessian_spectrum(
    objective: Objective,
    point: Tensor | None = None,
    *,
    steps: int = 30,
    generator: torch.Generator | None = None,
) -> Spectrum:
    """The extreme eigenvalues of ∇²F(ω) by Lanczos on Hessian-vector products (Pearlmutter 1994).

    >>> f = Objective(lambda w: w[0] ** 2 - w[1] ** 2, torch.zeros(2, dtype=torch.float64))
    >>> [round(v, 8) for v in hessian_spectrum(f).values.tolist()]
    [-2.0, 2.0]
    """
    return lanczos(
        lambda v: objective.hvp(v, point),
        objective.dim,
        steps,
        generator=generator,
        dtype=objective.origin.dtype,
        device=objective.origin.device,
    )


@dataclass(frozen=True)
class ConvexityReport:
    """A1 and A3 on one ball.

    :ivar convex_share: share of random pairs with non-negative mean curvature along the segment.
    :ivar worst_pair: the smallest mean curvature over the pairs.
    :ivar lipschitz: the largest gradient quotient over the pairs, a lower bound of L.
    :ivar smallest, largest: extreme Ritz values of the Hessian at the center.
    :ivar steepest: unit direction [d] of the largest one.
    """

    convex_share: float
    worst_pair: float
    lipschitz: float
    smallest: float
    largest: float
    steepest: Tensor = field(repr=False, compare=False)


def convexity_on_ball(
    objective: Objective,
    center: Tensor | None = None,
    *,
    radius: float,
    norm: float = 2,
    pairs: int = 16,
    lanczos_steps: int = 20,
    generator: torch.Generator | None = None,
) -> ConvexityReport:
    """Test A1 (and A3) on ``center`` + B_p(δ) with random pairs and with the Hessian at the center.

    >>> f = Objective(lambda w: w[0] ** 2 - w[1] ** 2, torch.zeros(2, dtype=torch.float64))
    >>> report = convexity_on_ball(f, radius=1.0, pairs=200)
    >>> 0 < report.convex_share < 1, round(report.smallest, 6), round(report.lipschitz, 6)
    (True, -2.0, 2.0)
    """
    omega = (objective.origin if center is None else center).to(objective.origin)
    source = generator or torch.Generator().manual_seed(0)
    points = sample_ball(2 * pairs, objective.dim, radius, norm, generator=source).to(omega)
    found = [
        monotonicity(objective, omega + points[2 * i], omega + points[2 * i + 1])
        for i in range(pairs)
    ]
    spectrum = hessian_spectrum(objective, omega, steps=lanczos_steps, generator=source)
    return ConvexityReport(
        convex_share=sum(mean >= 0 for mean, _ in found) / pairs,
        worst_pair=min(mean for mean, _ in found),
        lipschitz=max(quotient for _, quotient in found),
        smallest=spectrum.smallest,
        largest=spectrum.largest,
        steepest=spectrum.steepest,
    )


def extremes_by_part(
    risk_of: Callable[[Tensor], Objective],
    point: Tensor,
    samples: int,
    size: int,
    *,
    steps: int = 12,
    seed: int = 0,
) -> Tensor:
    """Smallest and largest Ritz value of the Hessian at one point, for parts of the data, [parts,
    2].

    The mean over parts of one size lies beyond the whole's values: λ_max is convex in the Hessian,
    λ_min concave (Jensen's inequality).

    :param risk_of: indices of training sequences → their risk.
    :param point: ω [d]. :param samples: number of sequences, cut in random order into parts of
        ``size``; a remainder is a part of its own.
    """
    order = torch.randperm(samples, generator=torch.Generator().manual_seed(seed))
    found = [hessian_spectrum(risk_of(part), point, steps=steps) for part in order.split(size)]
    return torch.tensor([(s.smallest, s.largest) for s in found], dtype=torch.float64)
