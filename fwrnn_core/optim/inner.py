"""The inner loop: the state of every parameter, and what one minibatch does to it.

Per parameter the state holds ``anchor`` (ω_t), ``direction`` (R, with Δ_k = −δ·scale(k)·R),
``active`` (it has a vertex in the loop under way) and, where asked for, ``gradient_average``,
``first_gradient`` and the recorded diagnostics. Per group, ``inner_step`` counts the vertices and
``loop_radius`` is the δ that the loop began with: a ball does not change while one walks in it.
``joined`` is how many vertices that loop had when the group came to it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, MutableMapping, Sequence
from ctypes import CDLL
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from fwrnn_core.errors import ConfigError
from fwrnn_core.optim import distributed, native, tracking, walk
from fwrnn_core.optim.adaptive import AdaptiveRadius
from fwrnn_core.optim.balls import Ball, ball_for
from fwrnn_core.optim.options import check_global, radius
from fwrnn_core.optim.solvers import ProjectedGradient, Solver, VertexSteps
from fwrnn_core.optim.trust_region import TrustRegion

State = MutableMapping[Tensor, dict[str, Any]]


@dataclass
class Part:
    """One group's share of a minibatch: the parameters with a gradient, and its 2-norms.

    The state dictionaries of these parameters, and the active ones that have no gradient this
    time, are filled in as the step goes; looking them up once is what makes it fast.
    """

    group: dict[str, Any]
    params: list[Tensor]
    grads: list[Tensor]
    sizes: walk.Lengths = field(default_factory=lambda: walk.Lengths([], []))
    own: list[dict[str, Any]] = field(default_factory=list)
    directions: list[Tensor] = field(default_factory=list)
    idle: list[Tensor] = field(default_factory=list)
    kernels: CDLL | None = None  # set where the gradients are fit for the C kernels
    closed: bool = False  # −Δ_K/δ is in ``directions`` and measured


Loop = list[Part]


@dataclass(frozen=True)
class Rules:
    """What stays the same over all inner steps of an optimizer."""

    solver: Solver | None  # None: a trust region, which writes −Δ_K/δ itself
    scope: str
    trajectory: str
    record: frozenset[str]
    shared: bool  # Δ_K is averaged over workers

    @property
    def simple(self) -> bool:
        """Whether a lone worker takes the steps of Algorithm 1: what the C kernels do."""
        return not self.shared and type(self.solver) is VertexSteps


def make_rules(
    solver: VertexSteps | ProjectedGradient | TrustRegion,
    adaptive: AdaptiveRadius | None,
    scope: str,
    trajectory: str,
    track: frozenset[str],
    shared: bool,
) -> Rules:
    """The rules that an optimizer's options amount to.

    Raises:
        ConfigError: the released trajectory of another solver than Frank-Wolfe; the gaps of inner
            steps where there are none.
    """
    if "gap" in track and isinstance(solver, TrustRegion):
        raise ConfigError("track='gap' is of inner steps, and solver='trust-region' has none")
    if trajectory == "released" and not isinstance(solver, VertexSteps):
        raise ConfigError("trajectory='released' is the authors' Frank-Wolfe walk only")
    record = track | {"first_gradient"} if "angle" in track or by_ratio(adaptive) else track
    stepwise = None if isinstance(solver, TrustRegion) else solver
    return Rules(stepwise, scope, trajectory, record, shared)


def by_ratio(adaptive: AdaptiveRadius | None) -> bool:
    """Whether the radius follows the ratio of actual to predicted decrease."""
    return adaptive is not None and adaptive.signal == "ratio"


def active(group: dict[str, Any], state: State) -> list[Tensor]:
    """The group's parameters that have a vertex in the loop under way."""
    return [p for p in group["params"] if p in state and state[p].get("active")]


def complete(loop: Sequence[Part]) -> bool:
    """Whether the K-th inner step is done."""
    return loop[0].group["inner_step"] >= loop[0].group["inner_steps"]


def advance(loop: Sequence[Part], state: State, rules: Rules, walker: native.Walker) -> None:
    """One inner step of groups that share a counter: R of every ball, then the weights."""
    solver = rules.solver
    assert solver is not None
    k = loop[0].group["inner_step"] + 1
    if k == 1:
        begin(loop, rules.scope)
    for part in loop:
        part.group["inner_step"] = k
    if loop[0].kernels is not None and (plans := walker.prepare(loop, state)) is not None:
        tracking.before(loop, state, rules)
        if complete(loop):
            _forget(loop, state, rules.scope)
        walker.advance(loop, plans, rules)
        return
    walker.drop(loop)
    _check_kind(loop, state)
    for part in loop:
        group = part.group
        # K may have been lowered in mid-loop: what has moved has an anchor to go back to.
        part.own = join(part.params, state, max(k, group["inner_steps"]))
        part.directions = [own["direction"] for own in part.own]
        if group["gradient_momentum"]:
            _average(part)
        if len(part.params) < len(group["params"]):
            present = set(part.params)
            part.idle = [p for p in active(group, state) if p not in present]
            if part.idle:
                solver.rest([state[p]["direction"] for p in part.idle], k)
    tracking.before(loop, state, rules)
    _turn(loop, state, rules, solver)
    scale = solver.mix(k).scale
    for part in loop:
        if max(k, part.group["inner_steps"]) > 1:
            _move(part, state, scale, k, rules.trajectory)


def _check_kind(loop: Sequence[Part], state: State) -> None:
    """Refuse parameters that were converted, moved or cut to another shape since their walk was
    set up; the C kernels leave them to this path."""
    for p in (p for part in loop for p in part.params if "direction" in state[p]):
        held = state[p]["direction"]
        if (held.dtype, held.device, held.shape) == (p.dtype, p.device, p.shape):
            continue
        for part in loop:
            part.group["inner_step"] -= 1  # this step has not been
        if held.shape != p.shape:
            raise ConfigError(
                f"a parameter of shape {tuple(p.shape)} had shape {tuple(held.shape)} when the "
                "optimizer first saw it: give it a new Parameter, or make the optimizer anew"
            )
        raise ConfigError(
            f"a parameter of shape {tuple(p.shape)} is {p.dtype} on {p.device}, the optimizer's "
            f"state of it {held.dtype} on {held.device}: convert or move the model before the "
            "optimizer is made, or optimizer.load_state_dict(optimizer.state_dict()) afterwards"
        )


def begin(loop: Sequence[Part], scope: str) -> None:
    """Fix the balls of a loop before its first vertex."""
    if scope == "global":
        check_global([part.group for part in loop])
    for part in loop:
        part.group["loop_radius"] = radius((loop[0] if scope == "global" else part).group)


def join(params: Sequence[Tensor], state: State, inner_steps: int) -> list[dict[str, Any]]:
    """The parameters' states; those with their first gradient of the loop get an anchor and an
    empty walk."""
    owns = [state[p] for p in params]
    new = [(p, own) for p, own in zip(params, owns, strict=True) if not own.get("active")]
    if not new:
        return owns
    for p, own in new:
        own["active"] = True
        own.pop("gradient_average", None)
        if "direction" not in own:
            own["direction"] = torch.empty_like(p)
        if inner_steps > 1 and "anchor" not in own:
            own["anchor"] = torch.empty_like(p)
    torch._foreach_zero_([own["direction"] for _, own in new])
    if inner_steps > 1:  # K = 1 ends where it begins
        torch._foreach_copy_([own["anchor"] for _, own in new], [p for p, _ in new])
    return owns


def _average(part: Part) -> None:
    """Replace the gradients by their running mean over the loop (and their norms with them)."""
    beta = part.group["gradient_momentum"]
    for i, (own, g) in enumerate(zip(part.own, part.grads, strict=True)):
        if "gradient_average" in own:
            own["gradient_average"].lerp_(g, 1 - beta)
        else:
            own["gradient_average"] = g.clone()
        part.grads[i] = own["gradient_average"]
    part.sizes = walk.lengths(part.grads)


def _turn(loop: Sequence[Part], state: State, rules: Rules, solver: Solver) -> None:
    """R_{k−1} → R_k for every ball."""
    group = loop[0].group
    euclidean = group["norm"] == 2  # groups of one loop share it
    if rules.scope == "global":
        together = Part(group, [], [])
        for part in loop:
            together.own += part.own
            together.grads += part.grads
            together.directions += part.directions
            together.sizes.values.extend(part.sizes.values)
        if together.own:
            if not isinstance(solver, VertexSteps):
                # A vertex shrinks what rests (Solver.rest) by as much as the others may grow; a
                # projection has to see all of Δ_{k−1}.
                idle = [state[p]["direction"] for part in loop for p in part.idle]
                together.directions += idle
                together.grads += [torch.zeros_like(r) for r in idle]
                together.sizes.values.extend([0.0] * len(idle))
            _turn_ball(ball_for(group["norm"], 1), together, rules, solver)
        return
    for part in loop:
        if not part.params:
            continue
        if euclidean and type(solver) is VertexSteps:
            # The common case in two fused calls; otherwise ball by ball.
            walk.add_unit_gradients(
                part.grads, part.sizes, part.directions, solver.mix(group["inner_step"])
            )
            continue
        for j, own in enumerate(part.own):
            alone = Part(part.group, [], [part.grads[j]], own=[own])
            alone.directions.append(part.directions[j])
            alone.sizes.values.append(part.sizes.values[j])
            _turn_ball(ball_for(part.group["norm"], part.grads[j].dim()), alone, rules, solver)


def _turn_ball(ball: Ball, part: Part, rules: Rules, solver: Solver) -> None:
    """R_{k−1} → R_k for the tensors of ``part``, which share one ball."""
    k, delta = part.group["inner_step"], part.group["loop_radius"]
    if "gap" in rules.record and part.group["norm"] != 2:
        tracking.gap(ball, part, rules)
    solver.update(ball, part.grads, part.sizes.values, part.directions, k, delta)


def _move(part: Part, state: State, scale: float, k: int, trajectory: str) -> None:
    """Put the weights where the next gradient is taken; after the last vertex, back to ω_t.

    Weights are written in place: cuDNN's flat RNN weights stay flat."""
    idle = [state[p] for p in part.idle]
    params = part.params + part.idle
    if not params:
        return
    directions = part.directions + [own["direction"] for own in idle]
    last = k >= part.group["inner_steps"]
    if last or (trajectory == "paper" and k > 1):  # at k = 1 the weights are at ω_t already
        torch._foreach_copy_(params, [own["anchor"] for own in part.own + idle])
    if not last:
        torch._foreach_add_(params, directions, alpha=-part.group["loop_radius"] * scale)


def average_over_workers(loop: Sequence[Part], state: State, group: distributed.Group) -> None:
    """Replace every walk by the mean over the workers; ω_t is the same on all of them already.

    A parameter that some worker has no gradient for is 0 there; one that none has rests.
    """
    for part in loop:
        params = [p for p in part.group["params"] if p.requires_grad]
        moving = [bool(state[p].get("active")) for p in params]
        join(params, state, part.group["inner_steps"])
        used = distributed.average(group, [state[p]["direction"] for p in params], moving)
        for p, anyone in zip(params, used, strict=True):
            state[p]["active"] = anyone


def close(loop: Sequence[Part], state: State, rules: Rules) -> None:
    """Turn R into −Δ_K/δ, in place, and note what the loop did in every ball.

    Afterwards the parts hold all parameters that walked, and their directions."""
    if not loop[0].closed:
        _measure(loop, state, rules)
    if rules.record:
        tracking.close(loop, rules)


def _measure(loop: Sequence[Part], state: State, rules: Rules) -> None:
    """−Δ_K/δ of all that walked, and ‖Δ_K‖/δ of every ball; the C kernels do it on their way."""
    for part in loop:
        part.params = active(part.group, state)
        part.own = [state[p] for p in part.params]
        part.directions = [own["direction"] for own in part.own]
        scale = rules.solver.mix(part.group["inner_step"]).scale if rules.solver else 1.0
        if scale != 1 and part.directions:
            torch._foreach_mul_(part.directions, scale)
    _forget(loop, state, rules.scope)
    walked = list(balls(loop, rules.scope))
    for (_, own, _), size in zip(walked, _sizes(walked), strict=True):
        own[0]["agreement"] = size


def _sizes(walked: Sequence[tuple[Ball, list[dict[str, Any]], list[Tensor]]]) -> list[float]:
    """‖Δ_K‖/δ of every ball, with one wait for the device however many there are (two, where
    some are Euclidean and some are not)."""
    lengths = iter(walk.norms([r for ball, _, rs in walked if _euclidean(ball) for r in rs]))
    norms = [ball.norm(walk.gather(rs)) for ball, _, rs in walked if not _euclidean(ball)]
    others = iter(walk.numbers(norms))
    return [
        math.hypot(*itertools.islice(lengths, len(rs))) if _euclidean(ball) else next(others)
        for ball, _, rs in walked
    ]


def _euclidean(ball: Ball) -> bool:
    return getattr(ball, "p", None) == 2


def _forget(loop: Sequence[Part], state: State, scope: str) -> None:
    """Drop what an earlier loop noted of the one ball around all: it lies with whichever parameter
    came first among those that walked then."""
    if scope == "global":
        for own in (state[p] for part in loop for p in part.group["params"] if p in state):
            for key in ("agreement", "gap", "angle"):
                own.pop(key, None)


def balls(
    loop: Sequence[Part], scope: str
) -> Iterator[tuple[Ball, list[dict[str, Any]], list[Tensor]]]:
    """The balls of a closed loop: states and directions of the parameters in each."""
    if scope == "tensor":
        for part in loop:
            for own, r in zip(part.own, part.directions, strict=True):
                yield ball_for(part.group["norm"], r.dim()), [own], [r]
    elif every := [own for part in loop for own in part.own]:
        directions = [r for part in loop for r in part.directions]
        yield ball_for(loop[0].group["norm"], 1), every, directions


def reset(part: Part) -> None:
    """The group stands at ω_t again, before its first vertex."""
    part.group["inner_step"] = part.group["joined"] = 0
    for own in part.own:
        own["active"] = False


def forget(group: dict[str, Any], state: State) -> None:
    """Give up the group's loop: it stands before its first vertex, wherever its weights are."""
    params = active(group, state)
    own = [state[p] for p in params]
    for o in own:
        o.pop("gaps", None)  # of steps that now have not been
    reset(Part(group, params, [], own=own))
