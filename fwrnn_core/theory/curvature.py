"""The curvature constant of a function on a ball (paper, Eq. 4; Jaggi 2013).

    C_F(D) = sup  (2/γ²) ( F(y) − F(x) − ⟨∇F(x), y − x⟩ ),   x, s ∈ D, γ ∈ (0, 1], y = x + γ(s − x)

The formula, missing from our copy of the paper, is restored from Jaggi's. Exact values exist for
quadratics; for a network every value below is a **lower bound** that some triple (x, s, γ) attains.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from fwrnn_core.errors import ConfigError
from fwrnn_core.optim import lmo
from fwrnn_core.theory.balls import check_ball, sample_ball
from fwrnn_core.theory.convexity import hessian_spectrum
from fwrnn_core.theory.objective import Objective


def curvature_ratio(objective: Objective, x: Tensor, s: Tensor, gamma: float) -> float:
    """The quantity under the supremum of Eq. 4 at one triple; γ = 0 is its limit (s−x)ᵀ∇²F(x)(s−x).

    >>> f = Objective(lambda w: 3 * w @ w, torch.zeros(2, dtype=torch.float64))   # H = 6 I
    >>> x, s = torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 0.0])
    >>> [round(curvature_ratio(f, x, s, g), 9) for g in (0.0, 0.5, 1.0)]
    [24.0, 24.0, 24.0]
    """
    if not 0 <= gamma <= 1:
        raise ConfigError(f"gamma must lie in [0, 1], not {gamma!r}")
    x, s = x.to(objective.origin), s.to(objective.origin)
    direction = s - x
    if gamma == 0:
        return float(direction @ objective.hvp(direction, x))
    value, gradient = objective.value_and_grad(x)
    rise = objective.value(x + gamma * direction) - value
    return 2 / gamma**2 * (rise - gamma * float(gradient @ direction))


def quadratic_curvature(hessian: Tensor, radius: float, norm: float = 2) -> float:
    """C_F of F(ω) = ½ωᵀHω + linear on a ball of radius δ, exactly.

    C = max (s−x)ᵀH(s−x) over s, x in the ball, which is the maximum of vᵀHv over ‖v‖_p ≤ 2δ:

    - p = 2: 4δ² λ_max(H);
    - p = 1: 4δ² max_i H_ii (a convex function is largest at an extreme point ±2δe_i);
    - p = ∞: 4δ² max vᵀHv over the sign vectors v, by enumeration (d ≤ 20).

    :param hessian: symmetric [d, d]; positive semidefinite for p ≠ 2.
    :raises ConfigError: another norm, d > 20 for p = ∞, or an indefinite H for p ≠ 2.

    >>> H = torch.diag(torch.tensor([1.0, 2.0]))
    >>> [quadratic_curvature(H, 0.5, p) for p in (1, 2, math.inf)]
    [2.0, 2.0, 3.0]
    """
    check_ball(radius, norm)
    h = hessian.to(torch.float64)
    eigenvalues = torch.linalg.eigvalsh(h)
    if norm == 2:
        return 4 * radius**2 * max(0.0, float(eigenvalues[-1]))
    if float(eigenvalues[0]) < -1e-10 * max(1.0, float(eigenvalues[-1])):
        raise ConfigError(
            f"the exact curvature for norm {norm} needs a positive semidefinite Hessian; "
            f"its smallest eigenvalue is {float(eigenvalues[0]):.3g}"
        )
    if norm == 1:
        return 4 * radius**2 * float(h.diagonal().max())
    if not math.isinf(norm):
        raise ConfigError(f"the exact curvature is known for norm 1, 2 and inf, not {norm!r}")
    d = len(h)
    if d > 20:
        raise ConfigError(f"enumerating 2^{d} vertices is too many; norm inf needs d <= 20")
    # v and −v give the same value, so the first sign is fixed.
    codes = torch.arange(2 ** (d - 1), device=h.device)
    signs = h.new_ones(len(codes), d)
    for bit in range(d - 1):
        signs[:, bit + 1] = 1 - 2 * ((codes >> bit) & 1).double()
    return 4 * radius**2 * float(torch.einsum("ki,ij,kj->k", signs, h, signs).max())


@dataclass(frozen=True)
class CurvatureEstimate:
    """A lower bound of C_F on one ball, with how much it can be trusted and what it cost.

    :ivar value: the largest ratio found, the lower bound.
    :ivar sampled: the largest ratio among the random triples alone.
    :ivar median: the median ratio of the random triples.
    :ivar negative_share: share of random triples with a negative ratio (F not convex along them).
    :ivar exceedance: with ``confidence``, at most this share of random triples lies above
        ``sampled``.
    :ivar evaluations: gradients and Hessian-vector products spent, a value counted as half.
    """

    value: float
    sampled: float
    median: float
    negative_share: float
    exceedance: float
    confidence: float
    evaluations: float
    radius: float
    norm: float


def exceedance(samples: int, confidence: float = 0.95) -> float:
    """The share of the population that may still lie above the maximum of n draws.

    P(max of n draws ≥ the β-quantile) ≥ 1 − βⁿ, whatever the distribution, hence 1 −
    (1−confidence)^{1/n} (a distribution-free tolerance bound; Wilks 1941). About 3/n at 95 %: the
    "rule of three".

    >>> round(exceedance(100), 4)
    0.0295
    """
    if samples < 1 or not 0 < confidence < 1:
        raise ConfigError(f"need samples >= 1 and 0 < confidence < 1, not {samples}, {confidence}")
    return 1 - (1 - confidence) ** (1 / samples)


def curvature_on_ball(
    objective: Objective,
    center: Tensor | None = None,
    *,
    radius: float,
    norm: float = 2,
    samples: int = 32,
    ascent_steps: int = 8,
    starts: int = 1,
    steepest: Tensor | None = None,
    confidence: float = 0.95,
    generator: torch.Generator | None = None,
) -> CurvatureEstimate:
    """Lower bound of C_F on ``center`` + B_p(δ): Monte Carlo, then ascent from the best triples.

    The ascent (ours) replaces s and x at once, each by the point of the ball that maximises the
    linearised ratio: with d = s − x, ∂/∂s = (2/γ)(∇F(y) − ∇F(x)) and ∂/∂x = (2/γ²)((1−γ)(∇F(y) −
    ∇F(x)) − γ∇²F(x)d). On a convex quadratic with p = 2 it is the power method and converges to
    4δ²λ_max. With a negative eigenvalue that is larger by size the power method would run to that
    one; so whenever the ratio falls, a multiple μ‖d‖² is added to what is maximised, first with the
    size of the curvature met for μ, then with twice as much. On the sphere that is the power method
    for H + μI. At its end the limit γ → 0 is tried as well.
    The best triple ever seen is kept, so ascent can only raise the bound; it is never below 0, the
    ratio of a triple with x = s.

    :param center: the point ω [d]; default the objective's origin.
    :param radius: δ > 0; ``norm``: p ≥ 1.
    :param samples: random triples: x, s uniform in the ball, γ uniform in [0.05, 1).
    :param ascent_steps: ascent steps from each of the ``starts`` best triples; 0 for none.
    :param steepest: a direction v [d] to try beside the random ones, such as the Hessian's at the
        center (:attr:`~fwrnn_core.theory.convexity.Spectrum.steepest`). With v at length δ the
        triples are (ω, ω ± v) and (ω ∓ v, ω ± v): for a unit Ritz vector and p = 2 the first has
        the limit δ²λ as γ → 0, and on a quadratic the second attains 4δ²λ.
    :param generator: source of all randomness; default a generator seeded with 0.
    :raises ConfigError: radius ≤ 0, norm < 1, samples < 1.

    >>> H = torch.diag(torch.tensor([1.0, 4.0, 9.0], dtype=torch.float64))
    >>> f = Objective(lambda w: 0.5 * w @ H @ w, torch.zeros(3, dtype=torch.float64))
    >>> found = curvature_on_ball(f, radius=0.1, ascent_steps=40)
    >>> round(found.value, 6), round(quadratic_curvature(H, 0.1), 6)
    (0.36, 0.36)
    """
    check_ball(radius, norm)
    if samples < 1:
        raise ConfigError(f"samples must be at least 1, not {samples!r}")
    omega = (objective.origin if center is None else center).to(objective.origin)
    source = generator or torch.Generator().manual_seed(0)
    before = dict(objective.evaluations)
    points = sample_ball(2 * samples, objective.dim, radius, norm, generator=source).to(omega)
    gammas = 0.05 + 0.95 * torch.rand(samples, generator=source, dtype=torch.float64)
    x, s = omega + points[0::2], omega + points[1::2]
    if steepest is not None:
        v = steepest.to(omega)
        v = v * (radius / torch.linalg.vector_norm(v, ord=norm))
        x = torch.cat([x, torch.stack([omega, omega, omega - v, omega + v])])
        s = torch.cat([s, torch.stack([omega + v, omega - v, omega + v, omega - v])])
        gammas = torch.cat([gammas, torch.ones(4, dtype=gammas.dtype)])
    found = _ratios(objective, x, s, gammas.to(omega)).tolist()
    ratios, best = found[:samples], max(found)
    if steepest is not None:
        best = max(best, curvature_ratio(objective, omega, omega + v, 0.0))
    order = sorted(range(len(found)), key=lambda i: -found[i])
    for i in order[:starts] if ascent_steps else ():
        triple = x[i], s[i], float(gammas[i])
        best = max(best, _ascend(objective, omega, triple, radius, norm, ascent_steps))
    spent = {key: objective.evaluations[key] - before[key] for key in before}
    return CurvatureEstimate(
        value=max(best, 0.0),
        sampled=max(ratios),
        median=float(torch.tensor(ratios, dtype=torch.float64).median()),
        negative_share=sum(r < 0 for r in ratios) / samples,
        exceedance=exceedance(samples, confidence),
        confidence=confidence,
        evaluations=spent["grad"] + spent["hvp"] + spent["value"] / 2,
        radius=radius,
        norm=norm,
    )


def _ratios(objective: Objective, x: Tensor, s: Tensor, gammas: Tensor) -> Tensor:
    """:func:`curvature_ratio` at many triples at once, [n]."""
    values, gradients = objective.values_and_grads(x)
    direction = s - x
    rise = objective.values(x + gammas[:, None] * direction) - values
    return 2 / gammas**2 * (rise - gammas * (gradients * direction).sum(1))


def _ascend(
    objective: Objective,
    omega: Tensor,
    triple: tuple[Tensor, Tensor, float],
    radius: float,
    norm: float,
    steps: int,
) -> float:
    x, s, gamma = triple
    best = last = -math.inf
    shift = 0.0
    for _ in range(steps):
        direction = s - x
        if not bool(direction.any()):  # the oracle of a flat spot: both points are the center
            break
        y = x + gamma * direction
        value_x, grad_x = objective.value_and_grad(x)
        value_y, grad_y = objective.value_and_grad(y)
        ratio = 2 / gamma**2 * (value_y - value_x - gamma * float(grad_x @ direction))
        turn = grad_y - grad_x
        if ratio < last:  # drawn to a negative curvature of larger size: outweigh it
            shift = max(2 * shift, float(turn.norm()) / (gamma * float(direction.norm())))
        best, last = max(best, ratio), ratio
        slope_x = (1 - gamma) * turn - gamma * objective.hvp(direction, x)
        s = omega + lmo(-(turn + shift * gamma * direction), radius, norm)
        x = omega + lmo(-(slope_x - shift * gamma**2 * direction), radius, norm)
    # The supremum is often approached as γ → 0, where the ratio is the Hessian's.
    return max(best, *(curvature_ratio(objective, x, s, g) for g in (0.0, gamma)))


def curvature_in_nested_balls(
    objective: Objective,
    center: Tensor | None = None,
    *,
    radii: Iterable[float],
    seed: int = 0,
    **options: Any,
) -> dict[float, CurvatureEstimate]:
    """:func:`curvature_on_ball` for several radii around one point, smallest first.

    A triple of a small ball is a triple of every larger one, so C_F grows with the radius; no bound
    is therefore allowed to fall below that of a smaller ball. Every ball uses the same random
    triples, scaled.

    :param options: further keywords of :func:`curvature_on_ball`.

    >>> f = Objective(lambda w: w @ w, torch.zeros(2, dtype=torch.float64))
    >>> found = curvature_in_nested_balls(f, radii=[1.0, 0.5])
    >>> [(radius, round(c.value, 6)) for radius, c in found.items()]
    [(0.5, 2.0), (1.0, 8.0)]
    """
    found: dict[float, CurvatureEstimate] = {}
    largest = -math.inf
    for radius in sorted(set(radii)):
        source = torch.Generator().manual_seed(seed)
        one = curvature_on_ball(objective, center, radius=radius, generator=source, **options)
        largest = max(largest, one.value)
        found[radius] = replace(one, value=largest)
    return found


def curvature_along_path(
    objective: Objective,
    points: Iterable[Tensor],
    *,
    radii: Iterable[float],
    lanczos_steps: int = 0,
    seed: int = 0,
    **options: Any,
) -> list[dict[str, float]]:
    """:func:`curvature_in_nested_balls` at each point of a path, beside F and ‖∇F‖ there.

    Every ball uses the same random triples (up to the radius), so that differences along the path
    are the function's and not the sampling's. Returns one row per point and radius.

    :param lanczos_steps: Hessian-vector products spent at each point on its steepest direction,
        which is then tried in every ball; 0 for none.

    >>> f = Objective(lambda w: w @ w, torch.zeros(2, dtype=torch.float64))
    >>> rows = curvature_along_path(f, [torch.zeros(2), torch.ones(2)], radii=[0.5])
    >>> [(r["point"], r["loss"], round(r["value"], 6)) for r in rows]
    [(0, 0.0, 2.0), (1, 2.0, 2.0)]
    """
    sizes = list(radii)
    rows = []
    for index, point in enumerate(points):
        loss, gradient = objective.value_and_grad(point)
        here = {"point": index, "loss": loss, "gradient_norm": float(gradient.norm())}
        if lanczos_steps:
            source = torch.Generator().manual_seed(seed)
            spectrum = hessian_spectrum(objective, point, steps=lanczos_steps, generator=source)
            options["steepest"] = spectrum.steepest
        found = curvature_in_nested_balls(objective, point, radii=sizes, seed=seed, **options)
        rows += [{**here, **asdict(found[radius])} for radius in sizes]
    return rows
