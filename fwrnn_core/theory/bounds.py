"""What the theory promises: bounds for the inner loop and for the outer one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from fwrnn_core.errors import ConfigError


def frank_wolfe_bound(curvature: float, k: int, inexactness: float = 0.0) -> float:
    """2C(1 + ε)/(k + 2): F(x_k) − min after k ≥ 1 steps with γ_k = 2/(k + 2), k from 0 (Jaggi
    2013, Thm 1).

    F convex on the ball; ε of Definition 2.

    >>> frank_wolfe_bound(6.0, k=1)
    4.0
    """
    _check(curvature, k, inexactness)
    return 2 * curvature * (1 + inexactness) / (k + 2)


def averaging_bound(curvature: float, k: int, inexactness: float = 0.0) -> float:
    """C(1 + ε)(1 + ln K)/(2K): F(Δ_K) − min after K ≥ 1 steps with γ_k = 1/k (ours).

    With h_k the suboptimality, one step gives h_k ≤ (1 − γ_k) h_{k−1} + ½γ_k²C(1 + ε). At γ_k =
    1/k: k·h_k ≤ (k − 1)·h_{k−1} + C(1 + ε)/(2k). Summed from 1 to K, the first term on the right
    telescopes and the harmonic number is at most 1 + ln K.

    >>> averaging_bound(2.0, 1)
    1.0
    """
    _check(curvature, k, inexactness)
    return curvature * (1 + inexactness) * (1 + math.log(k)) / (2 * k)


def averaging_gap_bound(decrease: float, curvature: float, k: int) -> float:
    """(F(ω) − F(ω + Δ_K) + π²C/12)/H_K: the smallest Frank-Wolfe gap before one of K steps with
    γ_k = 1/k, with H_K = Σ_{k≤K} 1/k (ours; after Lacoste-Julien 2016). F need not be convex.

    C bounds each step by F(Δ_k) ≤ F(Δ_{k−1}) − G_{k−1}/k + C/(2k²). Summed from 1 to K, with
    Σ 1/k² ≤ π²/6, that gives the bound.

    :param decrease: F(ω) − F(ω + Δ_K).

    >>> averaging_gap_bound(3.0, curvature=0.0, k=2)
    2.0
    """
    _check(curvature, k, 0.0)
    harmonic = sum(1 / i for i in range(1, k + 1))
    return (decrease + math.pi**2 / 12 * curvature) / harmonic


def _check(curvature: float, k: int, inexactness: float) -> None:
    if not curvature >= 0 or not inexactness >= 0:
        raise ConfigError(
            f"curvature and inexactness must be >= 0, not {curvature!r} and {inexactness!r}"
        )
    if k < 1:
        raise ConfigError(f"the bounds hold from the first step on; k must be >= 1, not {k!r}")


@dataclass(frozen=True)
class ConvergenceBound:
    """Both sides of Theorem 2 after each update.

    :ivar left: min over t' < t of F(ω_t') − F(ω*), [T].
    :ivar right: (‖ω_0 − ω*‖² + Σ η²‖Δ‖²)/(2c Σ η), [T].
    """

    left: Tensor
    right: Tensor


def convergence_bound(
    initial_distance: float, steps: Tensor, displacements: Tensor, constant: float | Tensor
) -> Tensor:
    """The right side of Theorem 2 (paper Eq. 8, restored; proof ours) after 1 … T updates, [T].

        min_{t<T} F(ω_t) − F(ω*) ≤ (‖ω_0 − ω*‖² + Σ_{t<T} η_t²‖Δ_t‖²) / (2c Σ_{t<T} η_t)

    :param initial_distance: ‖ω_0 − ω*‖.
    :param steps: η_t > 0, [T]. :param displacements: ‖Δ_t‖ or, as in the theorem, its bound δ_t,
        [T].
    :param constant: c > 0 of A5; or one c_t > 0 for each step, [T], with which the denominator is
        2 Σ c_t η_t (ours; the proof is the same).
    :raises ConfigError: c ≤ 0, a step ≤ 0, or lengths that differ.

    >>> convergence_bound(1.0, torch.ones(3), torch.tensor([0.5, 0.25, 0.0]), 0.5)
    tensor([1.2500, 0.6562, 0.4375])
    """
    c = torch.as_tensor(constant, dtype=steps.dtype, device=steps.device)
    if not bool((c > 0).all()):
        raise ConfigError(f"Theorem 2 needs a constant c > 0, not {float(c.min())!r}")
    if c.ndim and c.shape != steps.shape:
        raise ConfigError(f"need one c, or one for each of {len(steps)} steps, not {len(c)}")
    if steps.shape != displacements.shape or steps.ndim != 1 or not bool((steps > 0).all()):
        raise ConfigError("need as many positive step sizes as displacements, both [T]")
    spent = torch.cumsum(steps**2 * displacements**2, 0)
    return (initial_distance**2 + spent) / (2 * torch.cumsum(c * steps, 0))


def measured_convergence(
    points: Tensor,
    values: Tensor,
    displacements: Tensor,
    minimiser: Tensor,
    minimum: float,
    constant: float | Tensor,
    steps: Tensor | None = None,
) -> ConvergenceBound:
    """Both sides of Theorem 2 along a measured path, from ω_0 to ω_{T−1}.

    :param points: ω_t [T, d]; ``values``: F(ω_t) [T]; ``displacements``: Δ_t [T, d].
    :param minimiser: ω* [d]; ``minimum``: F(ω*); ``steps``: η_t [T], default 1.
    :param constant: c, or one c_t for each step, as in :func:`convergence_bound`.

    >>> w = torch.tensor([[1.0], [0.5]])
    >>> both = measured_convergence(w, w[:, 0] ** 2, -0.5 * w, torch.zeros(1), 0.0, constant=0.25)
    >>> both.left, both.right
    (tensor([1.0000, 0.2500]), tensor([2.5000, 1.3125]))
    """
    eta = points.new_ones(len(points)) if steps is None else steps
    start = float((points[0] - minimiser).norm())
    right = convergence_bound(start, eta, displacements.norm(dim=-1), constant)
    return ConvergenceBound(torch.cummin(values - minimum, 0).values, right)


def normalised_descent_bound(
    initial_gap: float, radius: float, smoothness: tuple[float, float], updates: int
) -> float:
    """Bound of min_{t<T} ‖∇F(ω_t)‖ for ω ← ω − δ∇F/‖∇F‖ with exact gradients (ours).

    The noise-free companion of Theorem 1 (Zhang et al. 2020, Thm 7), for ‖∇²F‖ ≤ L0 + L1‖∇F‖.
    Along the step the gradient norm g obeys dg/du ≤ δ(L0 + L1 g), so by Grönwall's lemma ‖∇²F‖ ≤
    (L0 + L1 g_0)e^{L1δ} there, and Taylor gives F(ω_{t+1}) ≤ F(ω_t) − δ g_t + ½δ²e^{L1δ}(L0 + L1
    g_t). Summed over t:

        min g_t ≤ ((F(ω_0) − F*)/T + ½δ²e^{L1δ}L0) / (δ − ½δ²e^{L1δ}L1).

    With δ ∝ 1/√T it is O(1/√T).

    :param initial_gap: F(ω_0) − inf F. :param smoothness: (L0, L1).
    :raises ConfigError: a radius so large that the denominator is not positive; updates < 1.

    >>> normalised_descent_bound(1.0, radius=0.5, smoothness=(2.0, 0.0), updates=4)
    1.0
    """
    constant, slope = smoothness
    if updates < 1 or radius <= 0:
        raise ConfigError(f"need updates >= 1 and radius > 0, not {updates!r} and {radius!r}")
    growth = 0.5 * radius**2 * math.exp(slope * radius)
    descent = radius - growth * slope
    if descent <= 0:
        raise ConfigError(
            f"radius {radius!r} is too large for L1 = {slope!r}: ½·L1·δ·exp(L1·δ) must stay below 1"
        )
    return (initial_gap / updates + growth * constant) / descent


def widest_radius(slope: float) -> float:
    """The radius from which on :func:`normalised_descent_bound` says nothing, for L1 = ``slope``.

    Its denominator is positive for L1·δ·exp(L1·δ) < 2, that is δ < W(2)/L1 with Lambert's W.

    >>> round(widest_radius(1.0), 4), widest_radius(0.0)
    (0.8526, inf)
    """
    from scipy.special import lambertw

    return float(lambertw(2).real) / slope if slope else math.inf
