"""What an optimizer can say about its walks, and what an adaptive radius makes of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fwrnn_core.optim import distributed, inner
from fwrnn_core.optim.adaptive import AT_BOUNDARY, beyond_chance, chance
from fwrnn_core.optim.options import radius

if TYPE_CHECKING:
    from fwrnn_core.optim.frank_wolfe import FrankWolfe

Groups = Sequence[Mapping[str, Any]]


def agreement(groups: Groups, state: inner.State, scope: str) -> Tensor:
    """‖Δ_K‖/δ of every ball; see :meth:`FrankWolfe.agreement`."""
    found = _per_ball(groups, state, scope, "agreement", math.nan)
    return torch.tensor(found, dtype=torch.float64, device="cpu")  # whatever the default device


def summary(opt: FrankWolfe) -> dict[str, Any]:
    """See :meth:`FrankWolfe.diagnostics`; what a minibatch's gap is worth, in ``tracking``."""
    groups, state = opt.param_groups, opt.state
    found: dict[str, Any] = {
        "updates": opt.updates,
        "skipped": opt.skipped,
        "inner_step": opt.inner_step,
        "radius": [radius(group) for group in groups],
        "loop_radius": [group["loop_radius"] for group in groups],
        "agreement": _per_ball(groups, state, opt.scope, "agreement", math.nan),
    }
    if "gap" in opt.track:
        found["gap"] = _per_ball(groups, state, opt.scope, "gap", [])
    if "angle" in opt.track:
        found["angle"] = _per_ball(groups, state, opt.scope, "angle", math.nan)
    if opt.adaptive is not None:
        found["signal"] = [group["signal"] for group in groups]
    return found


def adapt(opt: FrankWolfe, loop: Sequence[inner.Part]) -> None:
    """Let the rule move the radius of the loop's groups, by the ratio or by their agreement."""
    rule = opt.adaptive
    values = [own[0]["agreement"] for _, own, _ in inner.balls(loop, opt.scope)]
    if rule is None or not values:
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


def _per_ball(groups: Groups, state: inner.State, scope: str, key: str, missing: Any) -> list[Any]:
    """One entry per ball, kept by the ball's first parameter."""
    every = [p for group in groups for p in group["params"]]
    found = [state[p].get(key, missing) if p in state else missing for p in every]
    if scope == "tensor":
        return found
    return next(
        ([x] for x, p in zip(found, every, strict=True) if key in state.get(p, {})), [missing]
    )
