"""What ``track=`` asks for: the Frank-Wolfe gap of every inner step, the angle of every Δ_K.

The gap is that of the gradient at hand: of its minibatch, and under ``gradient_momentum`` of the
running mean. For a given Δ_{k−1} the norm in ⟨Δ_{k−1}, g⟩ + δ‖g‖_q is convex in g, so by Jensen's
inequality the gap of an unbiased minibatch gradient is on average at least that of F, and the more
above it the larger the noise: it does not go to 0 where F's gap does, and does not certify how far
F is from its minimum over the ball. On the released trajectory the gradient belongs to another
point than Δ_{k−1}: the number is still ≥ 0, but no gap.

All inner products of a loop are taken in one call, so that both are cheap enough to leave on.
They only read the walk: weights and state are those of an untracked run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from fwrnn_core.optim import walk
from fwrnn_core.optim.balls import Ball

if TYPE_CHECKING:
    from fwrnn_core.optim.inner import Part, Rules, State


def before(loop: Sequence[Part], state: State, rules: Rules) -> None:
    """Note what has to be seen before the k-th vertex: the gradient at ω_t, and the gaps where
    all balls are Euclidean. The parts hold R_{k−1} (for k = 1, anything), gradients and norms."""
    k = loop[0].group["inner_step"]
    if k == 1 and "first_gradient" in rules.record:
        _keep_first(loop, state)
    if "gap" not in rules.record:
        return
    own = [o for part in loop for o in part.own]
    if rules.scope == "global" and k > 1 and own:
        _carry(own, loop, state)
    if loop[0].group["norm"] == 2:  # groups of one loop share it
        _euclidean_gaps(loop, rules, k)


def _keep_first(loop: Sequence[Part], state: State) -> None:
    # A parameter without a gradient had a zero gradient there.
    for part in loop:
        for p in part.group["params"]:
            state[p].pop("first_gradient", None)
        for own, g in zip(part.own, part.grads, strict=True):
            own["first_gradient"] = g.clone()


def _euclidean_gaps(loop: Sequence[Part], rules: Rules, k: int) -> None:
    """⟨Δ_{k−1}, g_k⟩ + δ‖g_k‖_2 of every ball, all inner products at once."""
    scale = _scale_before(rules, k)
    own = [o for part in loop for o in part.own]
    sizes = [n for part in loop for n in part.sizes.values]
    radii = [part.group["loop_radius"] for part in loop for _ in part.own]
    products = [0.0] * len(own)
    if k > 1:
        grads = [g for part in loop for g in part.grads]
        products = walk.inner_products([r for part in loop for r in part.directions], grads)
    if rules.scope == "global":
        if own:
            _append(own[0], k, radii[0] * (math.hypot(*sizes) - scale * math.fsum(products)))
        return
    for o, delta, size, product in zip(own, radii, sizes, products, strict=True):
        _append(o, k, delta * (size - scale * product))


def gap(ball: Ball, part: Part, rules: Rules) -> None:
    """Note ⟨Δ_{k−1}, g_k⟩ + δ‖g_k‖_q of the one ball, of any norm, that a part shares."""
    k, delta = part.group["inner_step"], part.group["loop_radius"]
    value = float(ball.dual_norm(walk.gather(part.grads)))
    if k > 1:
        scale = _scale_before(rules, k)
        value -= scale * math.fsum(walk.inner_products(part.directions, part.grads))
    _append(part.own[0], k, delta * value)


def close(loop: Sequence[Part], rules: Rules) -> None:
    """Turn what was noted along a loop into its diagnostics; the parts hold −Δ_K/δ."""
    own = [o for part in loop for o in part.own]
    if "gap" in rules.record:
        for o in own:
            if "gaps" in o:
                o["gap"] = o.pop("gaps")
    if "angle" in rules.record:
        directions = [r for part in loop for r in part.directions]
        for o, angle in zip(own, _angles(directions, own, rules.scope), strict=False):
            o["angle"] = angle


def _scale_before(rules: Rules, k: int) -> float:
    assert rules.solver is not None
    return rules.solver.mix(k - 1).scale if k > 1 else 0.0


def _carry(own: Sequence[dict[str, Any]], loop: Sequence[Part], state: State) -> None:
    """The gaps of the one ball around all lie with the first parameter that has a gradient: let
    them follow where that is another one than at the step before."""
    for other in (state[p] for part in loop for p in part.group["params"] if p in state):
        if "gaps" in other and other is not own[0]:
            own[0]["gaps"] = other.pop("gaps")


def _append(own: dict[str, Any], k: int, value: float) -> None:
    own["gaps"] = [*(own.get("gaps", []) if k > 1 else []), value]


def _angles(directions: list[Tensor], own: list[dict[str, Any]], scope: str) -> list[float]:
    """Degrees between Δ_K and −(first gradient), per ball; NaN where either is zero."""
    with_first = [i for i, o in enumerate(own) if "first_gradient" in o]
    first = [own[i]["first_gradient"] for i in with_first]
    moves = walk.norms(directions)
    sizes, products = [0.0] * len(own), [0.0] * len(own)
    found = walk.norms(first), walk.inner_products([directions[i] for i in with_first], first)
    for i, size, product in zip(with_first, *found, strict=True):
        sizes[i], products[i] = size, product
    if scope == "global":
        return [_degrees(math.fsum(products), math.hypot(*moves), math.hypot(*sizes))]
    return list(map(_degrees, products, moves, sizes))


def _degrees(product: float, a: float, b: float) -> float:
    if a == 0 or b == 0:
        return math.nan
    return math.degrees(math.acos(min(1.0, max(-1.0, product / a / b))))
