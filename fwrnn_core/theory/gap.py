"""The Frank-Wolfe gap and the quality of an inexact linear minimisation oracle (Definition 2)."""

from __future__ import annotations

from torch import Tensor

from fwrnn_core.errors import ConfigError
from fwrnn_core.optim import lmo
from fwrnn_core.theory.balls import check_ball, dual_norm


def frank_wolfe_gap(
    displacement: Tensor, gradient: Tensor, radius: float, norm: float = 2
) -> Tensor:
    """G = max over ‖s‖_p ≤ δ of ⟨Δ − s, ∇F(ω + Δ)⟩ = ⟨Δ, ∇F⟩ + δ‖∇F‖_q, over the last axis.

    ≥ 0 for Δ in the ball; 0 exactly at stationary points of F on the ball; where F is convex on
    the ball, F(ω + Δ) − min ≤ G (Jaggi 2013, section 2).

    :param displacement: Δ [..., d]; ``gradient``: ∇F(ω + Δ) [..., d].
    :raises ConfigError: radius ≤ 0 or norm < 1.

    >>> import torch
    >>> g = torch.tensor([3.0, 4.0])
    >>> frank_wolfe_gap(torch.zeros(2), g, 0.1), frank_wolfe_gap(-0.1 * g / g.norm(), g, 0.1)
    (tensor(0.5000), tensor(0.))
    """
    check_ball(radius, norm)
    return (displacement * gradient).sum(-1) + radius * dual_norm(gradient, norm)


def inexactness(
    exact: Tensor,
    approximate: Tensor,
    *,
    radius: float,
    curvature: float,
    gamma: float,
    norm: float = 2,
) -> float:
    """The ε that an oracle fed with a noisy gradient realises (Definition 2; Jaggi 2013,
    Algorithm 2).

    The oracle answers s̃ = lmo(g̃). Definition 2 asks ⟨s̃, ∇F⟩ ≤ min_s ⟨s, ∇F⟩ + ½εγC, so the
    smallest such ε is 2(⟨s̃, ∇F⟩ + δ‖∇F‖_q)/(γC), never negative.

    :param exact: ∇F [d]; ``approximate``: the stochastic gradient g̃ [d].
    :param curvature: C_F on the ball, > 0. A lower bound in its place makes the returned ε an
        upper bound.
    :param gamma: the step size γ_k, in (0, 1].

    A gradient turned by 90° loses δ‖∇F‖ = 0.5, with γC/2 = 0.25:

    >>> import torch
    >>> exact, turned = torch.tensor([0.0, 5.0]), torch.tensor([1.0, 0.0])
    >>> inexactness(exact, turned, radius=0.1, curvature=1.0, gamma=0.5)
    2.0
    """
    check_ball(radius, norm)
    if not curvature > 0 or not 0 < gamma <= 1:
        raise ConfigError(f"need curvature > 0 and 0 < gamma <= 1, not {curvature!r} and {gamma!r}")
    answer = lmo(approximate.double(), radius, norm)
    target = exact.double()
    loss = float((answer * target).sum() + radius * dual_norm(target, norm))
    return max(0.0, 2 * loss / (gamma * curvature))
