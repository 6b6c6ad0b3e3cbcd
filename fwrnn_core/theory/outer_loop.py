"""The plain outer loop with exact gradients, traced: the path that Theorem 2 speaks of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fwrnn_core.errors import ConfigError
from fwrnn_core.theory.inner_loop import inner_loop
from fwrnn_core.theory.objective import Objective


@dataclass(frozen=True)
class OuterLoop:
    """The trace of T updates ω_{t+1} = ω_t + Δ_t.

    :ivar points: ω_0 … ω_{T−1}, [T, d]. :ivar values: F there, [T].
    :ivar gradients: ∇F there, [T, d]. :ivar displacements: Δ_0 … Δ_{T−1}, [T, d].
    """

    points: Tensor
    values: Tensor
    gradients: Tensor
    displacements: Tensor

    def first(self, updates: int) -> OuterLoop:
        """The trace of the first updates alone."""
        return OuterLoop(*(column[:updates] for column in vars(self).values()))


def outer_loop(
    objective: Objective,
    start: Tensor,
    radius: Callable[[int, float], float],
    *,
    updates: int,
    inner_steps: int = 3,
) -> OuterLoop:
    """Run Algorithm 1 with η = 1, p = 2 and exact gradients, and keep the trace.

    :param start: ω_0 [d]. :param radius: ``(t, ‖∇F(ω_t)‖) → δ_t``.
    :raises ConfigError: no update, or a value that
        :func:`~fwrnn_core.theory.inner_loop.inner_loop` refuses.

    On ½‖ω‖² a step half as long as the gradient goes half of the way:

    >>> f = Objective(lambda w: 0.5 * w @ w, torch.zeros(1, dtype=torch.float64))
    >>> trace = outer_loop(f, torch.ones(1), lambda t, norm: norm / 2, updates=3, inner_steps=1)
    >>> trace.points[:, 0].tolist()
    [1.0, 0.5, 0.25]
    """
    if updates < 1:
        raise ConfigError(f"updates must be at least 1, not {updates!r}")
    point, rows = start.to(objective.origin), []
    for t in range(updates):
        length = float(objective.grad(point).norm())
        loop = inner_loop(objective, point, radius=radius(t, length), inner_steps=inner_steps)
        rows.append((point, loop.losses[0], loop.gradients[0], loop.displacements[-1]))
        point = point + loop.displacements[-1]
    return OuterLoop(*(torch.stack(column) for column in zip(*rows, strict=True)))
