"""One inner loop of Algorithm 1, traced: everything the theory says about it can be read off.

The optimizer proper is :class:`fwrnn_core.FrankWolfe`; it keeps only what it needs to take its
step. Here the loop runs on an :class:`~fwrnn_core.theory.objective.Objective` and keeps
everything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fwrnn_core.errors import ConfigError
from fwrnn_core.optim import lmo
from fwrnn_core.optim.balls import ball_for
from fwrnn_core.optim.schedule import StepSize, check_step_size, rule
from fwrnn_core.theory.balls import check_ball
from fwrnn_core.theory.gap import frank_wolfe_gap
from fwrnn_core.theory.objective import Objective

TRAJECTORIES = ("paper", "released")


@dataclass(frozen=True)
class InnerLoop:
    """The trace of K inner steps around an anchor ω.

    :ivar vertices: s_1 … s_K, [K, d].
    :ivar displacements: Δ_0 … Δ_K, [K + 1, d]; Δ_0 = 0.
    :ivar gradients: the true ∇F where step k = 1 … K took its gradient, [K, d].
    :ivar visited: those points minus ω, [K, d]: Δ_{k−1} on the paper's trajectory.
    :ivar losses: F(ω + Δ_0) … F(ω + Δ_K), [K + 1].
    :ivar gaps: the Frank-Wolfe gap at Δ_0 … Δ_{K−1} (paper trajectory), [K].
    """

    vertices: Tensor
    displacements: Tensor
    gradients: Tensor
    visited: Tensor
    losses: Tensor
    gaps: Tensor

    @property
    def agreement(self) -> Tensor:
        """‖Δ_k‖_2 over the longest vertex, k = 1 … K; 1 while all coincide (p = 2)."""
        return self.displacements[1:].norm(dim=-1) / self.vertices.norm(dim=-1).max()


def inner_loop(
    objective: Objective,
    anchor: Tensor | None = None,
    *,
    radius: float,
    inner_steps: int,
    norm: float = 2,
    step_size: StepSize = "1/k",
    trajectory: str = "paper",
    perturb: Callable[[int, Tensor], Tensor] | None = None,
) -> InnerLoop:
    """Run K inner steps and keep the trace.

    :param anchor: ω [d], default the objective's origin.
    :param step_size: as in :class:`fwrnn_core.FrankWolfe`.
    :param trajectory: ``"paper"``, or ``"released"``: gradient k at ω + Σ_{i<k} Δ_i.
    :param perturb: ``(k, ∇F) → gradient that the oracle sees``, to model stochastic gradients.
    :raises ConfigError: a value outside its range.

    The least value of ‖ω − 1‖² on the ball of radius ½ around 0 lies on its surface:

    >>> f = Objective(lambda w: (w - 1) @ (w - 1), torch.zeros(2, dtype=torch.float64))
    >>> trace = inner_loop(f, radius=0.5, inner_steps=3)
    >>> [round(v, 4) for v in trace.losses.tolist()], round(float(trace.gaps[-1]), 9)
    ([2.0, 0.8358, 0.8358, 0.8358], 0.0)
    """
    check_ball(radius, norm)
    check_step_size(step_size, inner_steps)
    if inner_steps < 1:
        raise ConfigError(f"inner_steps must be at least 1, not {inner_steps!r}")
    if trajectory not in TRAJECTORIES:
        raise ConfigError(f"trajectory must be one of {TRAJECTORIES}, not {trajectory!r}")
    omega = (objective.origin if anchor is None else anchor).to(objective.origin)
    gamma = rule(step_size)
    displacement = torch.zeros_like(omega)
    offset = torch.zeros_like(omega)
    displacements, vertices, gradients, visited = [displacement], [], [], []
    losses = [objective.value(omega)]
    for k in range(1, inner_steps + 1):
        visited.append(offset)
        gradient = objective.grad(omega + offset)
        seen = gradient if perturb is None else perturb(k, gradient)
        vertex = lmo(seen, radius, norm)
        displacement = (1 - gamma(k)) * displacement + gamma(k) * vertex
        offset = displacement if trajectory == "paper" else offset + displacement
        gradients.append(gradient)
        vertices.append(vertex)
        displacements.append(displacement)
        losses.append(objective.value(omega + displacement))
    at, g = torch.stack(visited), torch.stack(gradients)
    return InnerLoop(
        vertices=torch.stack(vertices),
        displacements=torch.stack(displacements),
        gradients=g,
        visited=at,
        losses=torch.tensor(losses, dtype=omega.dtype, device=omega.device),
        gaps=frank_wolfe_gap(at, g, radius, norm),
    )


def ball_minimum(
    objective: Objective,
    anchor: Tensor | None = None,
    *,
    radius: float,
    norm: float = 2,
    tolerance: float = 1e-9,
    max_steps: int = 20_000,
) -> tuple[Tensor, float, float]:
    """A stationary Δ of F on ω + B_p(δ) by projected gradient descent: (Δ, F(ω + Δ), Frank-Wolfe
    gap there).

    Backtracking on the step; stops when the gap is at most ``tolerance``. Where F is convex on
    the ball the value is the minimum up to the gap; elsewhere it is one local minimum.

    >>> f = Objective(lambda w: (w - 1) @ (w - 1), torch.zeros(2, dtype=torch.float64))
    >>> round(ball_minimum(f, radius=0.5)[1], 6)
    0.835786
    """
    check_ball(radius, norm)
    ball = ball_for(norm, 1)
    omega = (objective.origin if anchor is None else anchor).to(objective.origin)
    delta, step = torch.zeros_like(omega), 1.0
    value, gradient = objective.value_and_grad(omega)
    gap = float(frank_wolfe_gap(delta, gradient, radius, norm))
    for _ in range(max_steps):
        if gap <= tolerance:
            break
        while True:
            candidate = radius * ball.project((delta - step * gradient) / radius)
            move = candidate - delta
            length = float(move @ move)
            trial = objective.value(omega + candidate)
            if trial <= value + float(gradient @ move) + length / (2 * step) or step < 1e-14:
                break
            step /= 2
        if length == 0 or step < 1e-14:
            break
        delta = candidate
        value, gradient = objective.value_and_grad(omega + delta)
        gap = float(frank_wolfe_gap(delta, gradient, radius, norm))
        step *= 1.5
    return delta, value, gap
