"""How one gradient changes the walk inside the ball: the paper is agnostic to this choice.

A solver works on the unit ball: R with Δ_k = −δ·scale(k)·R. :class:`VertexSteps` is Frank-Wolfe
itself, :class:`ProjectedGradient` the alternative that the paper discusses and leaves open;
:class:`~fwrnn_core.optim.trust_region.TrustRegion` needs Hessian products, hence a closure, and
brings its own loop.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from fwrnn_core.errors import ConfigError, unknown
from fwrnn_core.optim import walk
from fwrnn_core.optim.balls import Ball, PBall, accumulator
from fwrnn_core.optim.numbers import as_number
from fwrnn_core.optim.schedule import Mix, StepSize, mix
from fwrnn_core.optim.trust_region import TrustRegion

NAMES = ("frank-wolfe", "projected-gradient", "trust-region")
DEFAULT: StepSize = "1/k"


class Solver(Protocol):
    """One inner step on the tensors that share a ball."""

    def mix(self, k: int) -> Mix:
        """How step k enters R; its ``scale`` is the factor in Δ_k = −δ·scale·R."""

    def update(
        self,
        ball: Ball,
        grads: Sequence[Tensor],
        sizes: Sequence[float],
        directions: Sequence[Tensor],
        k: int,
        radius: float,
    ) -> None:
        """R_{k−1} → R_k in place, from the gradients at ω_t + Δ_{k−1} and their 2-norms."""

    def rest(self, directions: Sequence[Tensor], k: int) -> None:
        """The same for tensors whose gradient is zero this time."""


@dataclass(frozen=True)
class VertexSteps:
    """Frank-Wolfe: R_k makes Δ_k = (1 − γ_k) Δ_{k−1} + γ_k s_k, with s_k from the LMO."""

    step_size: StepSize = DEFAULT

    def mix(self, k: int) -> Mix:
        return mix(self.step_size, k)

    def update(
        self,
        ball: Ball,
        grads: Sequence[Tensor],
        sizes: Sequence[float],
        directions: Sequence[Tensor],
        k: int,
        radius: float,
    ) -> None:
        walk.add_vertex(ball, grads, sizes, directions, self.mix(k))

    def rest(self, directions: Sequence[Tensor], k: int) -> None:
        walk.fade(directions, self.mix(k).decay)


@dataclass(frozen=True)
class ProjectedGradient:
    """Δ_k = projection onto the ball of Δ_{k−1} − α_k g_k.

    ``step_length`` α (weights per unit of gradient) is the plain method, whose steps vanish and
    explode with the gradient. ``None`` takes α_k = δ/(√k ‖g_k‖_2), the projected-subgradient step
    (Nesterov, Introductory Lectures on Convex Optimization, 2004, section 3.2.3), which does not.
    There R is the Euclidean radius of the set, which is δ for p ≤ 2 only: with n entries it is
    n^(1/2 − 1/p) δ beyond (√n δ at p = ∞), for which these steps are short. And the bound there is
    for the best iterate, where Δ_K is the last.

    Raises:
        ConfigError: a step length that is not finite and positive.

    A gradient of length 1 moves the walk by α, where Frank-Wolfe would go to the boundary:

    >>> import torch
    >>> from fwrnn_core import FrankWolfe
    >>> w = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    >>> opt = FrankWolfe([w], radius=1.0, inner_steps=1, outer=None, solver=ProjectedGradient(0.5))
    >>> w.grad = torch.tensor([0.0, 1.0])
    >>> opt.step()
    >>> w.tolist()
    [3.0, 3.5]
    """

    step_length: float | None = None

    def __post_init__(self) -> None:
        if self.step_length is not None and not 0 < as_number(self.step_length) < math.inf:
            raise ConfigError(f"step_length = {self.step_length!r}: give a finite number > 0")

    def mix(self, k: int) -> Mix:
        return Mix(0.0 if k == 1 else 1.0, 1.0, 1.0)

    def update(
        self,
        ball: Ball,
        grads: Sequence[Tensor],
        sizes: Sequence[float],
        directions: Sequence[Tensor],
        k: int,
        radius: float,
    ) -> None:
        walk.fade(directions, self.mix(k).decay)
        if radius == 0:
            return
        if self.step_length is None:
            unit, alpha = PBall(2.0).vertex(walk.gather(grads)), k**-0.5
        else:
            unit, alpha = walk.gather(grads), self.step_length / radius
        # A long step overflows narrow dtypes before the projection brings it back.
        r = walk.gather(directions)
        wide = accumulator(r)
        walk.scatter(ball.project(r.to(wide).add(unit.to(wide), alpha=alpha)), directions)

    def rest(self, directions: Sequence[Tensor], k: int) -> None:
        walk.fade(directions, self.mix(k).decay)


def make_solver(
    solver: str | VertexSteps | ProjectedGradient | TrustRegion, step_size: StepSize
) -> VertexSteps | ProjectedGradient | TrustRegion:
    """The solver that a name stands for with its defaults, or the one given.

    Raises:
        ConfigError: an unknown name; a step size that the solver would not take.
    """
    if isinstance(solver, VertexSteps | ProjectedGradient | TrustRegion):
        made = solver
    elif solver not in NAMES:
        raise unknown("solver", solver, NAMES)
    elif solver == "frank-wolfe":
        made = VertexSteps(step_size)
    else:
        made = ProjectedGradient() if solver == "projected-gradient" else TrustRegion()
    if step_size not in (DEFAULT, getattr(made, "step_size", DEFAULT)):
        raise ConfigError(
            f"step_size = {step_size!r} is of solver='frank-wolfe'; {made!r} would not take it"
        )
    return made
