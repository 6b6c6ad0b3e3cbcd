"""What an optimizer can say about its walks, and what an adaptive radius makes of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from fwrnn_core.optim import distributed, inner, options
from fwrnn_core.optim.adaptive import AT_BOUNDARY, AdaptiveRadius, beyond_chance, chance
from fwrnn_core.optim.solvers import ProjectedGradient, VertexSteps
from fwrnn_core.optim.trust_region import TrustRegion

if TYPE_CHECKING:
    from fwrnn_core.optim.frank_wolfe import FrankWolfe


class Reports(Optimizer):
    """The part of :class:`FrankWolfe` that only reads: how far the loop is, what the last one did.

    What a minibatch's gap is worth stands in ``tracking``."""

    scope: str
    solver: VertexSteps | ProjectedGradient | TrustRegion
    track: frozenset[str]
    adaptive: AdaptiveRadius | None
    updates: int
    skipped: int

    @property
    def inner_step(self) -> int:
        """Inner steps done since the last outer update, 0 … K − 1 (the largest of the groups)."""
        return max(group["inner_step"] for group in self.param_groups)

    @property
    def needs_closure(self) -> bool:
        """Whether the solver or radius rule compares losses on one minibatch."""
        return inner.by_ratio(self.adaptive) or isinstance(self.solver, TrustRegion)

    def agreement(self) -> Tensor:
        """‖Δ_K‖/δ of the last completed loop: one float64 entry per ball, in parameter order.

        1 when all K vertices are the same; NaN for a tensor that took no part yet. For p = 2 random
        vertices give about 1/√K where γ_k = 1/k (0.447 at K = 5; for 2/(k+1) 0.494), and with n
        workers 1/√n of that; in balls with corners (p = 1, ∞) up to 1: not to be compared between
        norms. With ``scope="global"`` there is one ball, hence one entry.

        Two gradients at a right angle:

        >>> from fwrnn_core import FrankWolfe
        >>> w = torch.nn.Parameter(torch.zeros(2))
        >>> opt = FrankWolfe([w], inner_steps=2)
        >>> for gradient in torch.eye(2):
        ...     w.grad = gradient
        ...     opt.step()
        >>> opt.agreement()
        tensor([0.7071], dtype=torch.float64)
        """
        found = self._per_ball("agreement", math.nan)
        return torch.tensor(found, dtype=torch.float64, device="cpu")  # whatever the default device

    def diagnostics(self) -> dict[str, Any]:
        """What the last completed loop did, as plain numbers and lists.

        ``updates``, ``skipped`` and ``inner_step`` are counts; ``radius`` is the δ that the
        next loop of each group will have, ``loop_radius`` that of its last one; ``agreement`` is
        :meth:`agreement`. With ``track``: ``gap``, per ball the Frank-Wolfe gap
        ⟨Δ_{k−1}, ∇⟩ + δ‖∇‖_q of the K gradients as used (units of the loss; a minibatch's is on
        average too large, by Jensen), and ``angle``, per ball the degrees between Δ_K and the first
        negative gradient. With an adaptive radius: ``signal``, what it last reacted to.

        >>> from fwrnn_core import FrankWolfe
        >>> w = torch.nn.Parameter(torch.zeros(2))
        >>> opt = FrankWolfe([w], lr=0.5, inner_steps=2, track=["gap", "angle"])
        >>> for gradient in torch.eye(2):
        ...     w.grad = gradient
        ...     opt.step()
        >>> found = opt.diagnostics()
        >>> found["updates"], found["loop_radius"], found["gap"]
        (1, [0.5], [[0.5, 0.5]])
        >>> [round(angle, 3) for angle in found["angle"]]
        [45.0]
        """
        found: dict[str, Any] = {
            "updates": self.updates,
            "skipped": self.skipped,
            "inner_step": self.inner_step,
            "radius": [options.radius(group) for group in self.param_groups],
            "loop_radius": [group["loop_radius"] for group in self.param_groups],
            "agreement": self._per_ball("agreement", math.nan),
        }
        if "gap" in self.track:
            found["gap"] = self._per_ball("gap", [])
        if "angle" in self.track:
            found["angle"] = self._per_ball("angle", math.nan)
        if self.adaptive is not None:
            found["signal"] = [group["signal"] for group in self.param_groups]
        return found

    def _per_ball(self, key: str, missing: Any) -> list[Any]:
        """One entry per ball, kept by the ball's first parameter."""
        state, every = self.state, [p for group in self.param_groups for p in group["params"]]
        found = [state[p].get(key, missing) if p in state else missing for p in every]
        if self.scope == "tensor":
            return found
        return next(
            ([x] for x, p in zip(found, every, strict=True) if key in state.get(p, {})), [missing]
        )


def adapt(opt: FrankWolfe, loop: Sequence[inner.Part]) -> None:
    """Let the rule move the radius of the loop's groups, by the ratio or by their agreement."""
    rule = opt.adaptive
    values = [own[0]["agreement"] for _, own, _ in inner.balls(loop, opt.scope)]
    # A group that came in mid-loop has walked a part of the way only.
    if rule is None or not values or any(part.group.get("joined") for part in loop):
        return
    at_boundary = True
    if rule.signal == "ratio":
        # One radius for several balls binds where it binds any of them.
        value, at_boundary = opt._ratio, max(values) >= AT_BOUNDARY
    else:
        workers = 1 if opt.process_group is None else distributed.size(opt.process_group)
        expected = chance(opt.step_size, loop[0].group["inner_step"], workers)
        if expected >= 1:
            return  # one vertex is all, as where K was lowered to 1 since: nothing to steer by
        value = beyond_chance(sum(values) / len(values), expected)
    for part in loop:
        scale = part.group["radius_scale"]
        part.group["signal"] = value
        part.group["radius_scale"] = rule.update(scale, value, at_boundary=at_boundary)
