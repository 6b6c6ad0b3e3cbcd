"""``step(closure)``: a whole inner loop on one fixed minibatch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from fwrnn_core.errors import ConfigError
from fwrnn_core.optim import distributed, inner, minibatch, walk
from fwrnn_core.optim.adaptive import AdaptiveRadius
from fwrnn_core.optim.options import check_global, check_start
from fwrnn_core.optim.trust_region import TrustRegion, probe, steihaug
from fwrnn_core.optim.watch import caution

if TYPE_CHECKING:
    from fwrnn_core.optim.frank_wolfe import FrankWolfe

Closure = Callable[[], Any]


def common_steps(opt: FrankWolfe) -> int:
    """The K that all groups share, if they stand between two loops.

    Raises:
        RuntimeError: a loop is under way, or a GradScaler calls.
        ConfigError: groups of different K, or an option out of range.
    """
    groups = opt.param_groups
    if hasattr(opt, "found_inf"):  # of the gradients at hand, not of those that will come
        raise RuntimeError(
            "GradScaler.step() with a closure: the scaler cannot check the gradients that the "
            "closure computes; call it without one, after each backward()"
        )
    if done := max(group["inner_step"] for group in groups):
        raise RuntimeError(
            f"step(closure) runs a whole loop, but another has begun (inner steps done: {done}); "
            "finish it with step() after backward()"
        )
    for group in groups:
        check_start(group, opt.step_size)
    counts = {int(group["inner_steps"]) for group in groups}
    if len(counts) > 1:
        raise ConfigError(f"step(closure) needs one K for all groups, got {sorted(counts)}")
    return counts.pop()


@torch.no_grad()
def run(opt: FrankWolfe, closure: Closure) -> Any:
    """The whole loop and its outer update: the closure's loss at ω_t."""
    if not callable(closure):
        raise ConfigError(
            f"step() takes a closure, not a {type(closure).__name__}: call loss.backward(), then "
            "step() with nothing in it"
        )
    inner_steps = common_steps(opt)
    try:
        loss, finished = _walk(opt, closure, inner_steps)
    except BaseException:  # a bad gradient, Ctrl-C: the next call finds ω_t and no loop
        abandon(opt)
        raise
    if finished:
        opt._update(finished)
    else:
        abandon(opt)
    return loss


def _walk(opt: FrankWolfe, closure: Closure, inner_steps: int) -> tuple[Any, list[inner.Loop]]:
    """The closure's loss at ω_t and the closed loops: none where the walk did not reach its end."""
    predicted = None
    if isinstance(opt.solver, TrustRegion):
        loss, finished, predicted = trust_region(opt, closure)
    else:
        loss, finished = evaluate(opt, closure, inner_steps)
    if finished:
        opt._close(finished)
        if inner.by_ratio(opt.adaptive):
            opt._ratio = decrease_ratio(opt, closure, loss, predicted)
    return loss, finished


def evaluate(opt: FrankWolfe, closure: Closure, inner_steps: int) -> tuple[Any, list[inner.Loop]]:
    """K gradients of the closure: its loss at ω_t and the loops that are complete.

    A dropped gradient would come back on the same minibatch, so it ends the loop.
    """
    first = None
    finished: list[inner.Loop] | None = []
    for k in range(inner_steps):
        seen = _Seen(opt) if k == 1 else None
        with torch.enable_grad():
            loss = closure()
        if k == 0:
            first = loss
            _look_for_gradients(opt)
        elif seen is not None:
            seen.warn_if_untouched()
        finished = minibatch.advance(opt)
        if finished or finished is None:  # sooner than after K where the closure has lowered it
            break
    return first, finished or []


def _look_for_gradients(opt: FrankWolfe) -> None:
    if all(p.grad is None for group in opt.param_groups for p in group["params"]):
        caution(
            "the closure left no parameter with a gradient, so step(closure) changes nothing: it "
            "must call loss.backward()"
        )


class _Seen:
    """The smallest gradient of one inner step, which tells whether the closure makes new ones: a
    trainer's empty closure leaves all as they are, and K equal vertices are one."""

    def __init__(self, opt: FrankWolfe) -> None:
        params = (p for group in opt.param_groups for p in group["params"])
        self._param = min((p for p in params if p.grad is not None), key=torch.numel, default=None)
        self._grad = self._param.grad if self._param is not None else None
        if self._grad is not None:
            self._version, self._values = self._grad._version, self._grad.clone()

    def warn_if_untouched(self) -> None:
        if self._param is None or self._grad is None or self._param.grad is not self._grad:
            return
        # Writes through .data are not counted.
        if self._grad._version == self._version and torch.equal(self._grad, self._values):
            caution(
                "the closure computes no new gradient, so all inner steps take the same one: it "
                "must clear the gradients and call loss.backward(). A trainer's wrapper may hand "
                "over an empty closure of its own (Lightning's, in manual optimization): call "
                "step() of the optimizer that it wraps"
            )


def abandon(opt: FrankWolfe) -> None:
    """Back to ω_t, as if the loop had not begun."""
    quadratic = isinstance(opt.solver, TrustRegion)
    for group in opt.param_groups:
        # Where the weights stay at ω_t throughout, an anchor is that of an earlier K or solver.
        if group["inner_steps"] > 1 and not quadratic:
            for p in inner.active(group, opt.state):
                p.copy_(opt.state[p]["anchor"])
    opt.restart()


def trust_region(opt: FrankWolfe, closure: Closure) -> tuple[Any, list[inner.Loop], float]:
    """Steihaug's step in the ball: the loss at ω_t, the loop, and the model's decrease."""
    solver = opt.solver
    assert isinstance(solver, TrustRegion)
    params = [p for group in opt.param_groups for p in group["params"] if p.requires_grad]
    inner.begin([inner.Part(group, [], []) for group in opt.param_groups], opt.scope)
    group = opt.param_groups[0]
    radius = group["loop_radius"]
    found = probe(closure, params, solver.hessian, radius)
    sign = -1.0 if group["maximize"] else 1.0
    if not minibatch.usable(opt, walk.norms(found.gradient), params):
        if opt.process_group is None:
            return found.loss, [], 0.0
        # The other workers wait for this one's walk: it is 0.
        found = found._replace(gradient=[torch.zeros_like(g) for g in found.gradient])
    step = steihaug(
        sign * walk.flatten(found.gradient),
        lambda v: sign * found.product(v),
        radius,
        group["inner_steps"],
        solver.tolerance,
    )
    taking_part = [
        (p, g) for p, g, used in zip(params, found.gradient, found.used, strict=True) if used
    ]
    inner.join([p for p, _ in taking_part], opt.state, inner_steps=1)
    for g in opt.param_groups:
        g["inner_step"] = g["inner_steps"]
    directions = [
        opt.state[p]["direction"] if used else torch.empty_like(p)
        for p, used in zip(params, found.used, strict=True)
    ]
    walk.unflatten(step.step.div(-radius) if radius else step.step, directions)
    for p, gradient in taking_part:
        p.grad = gradient
        if "first_gradient" in opt._rules.record:
            opt.state[p]["first_gradient"] = gradient.clone().mul_(sign)
    return found.loss, [[inner.Part(g, [], []) for g in opt.param_groups]], step.decrease


def decrease_ratio(opt: FrankWolfe, closure: Closure, loss: Any, predicted: float | None) -> float:
    """Actual over predicted decrease of the closure's loss from ω_t to ω_t + Δ_K.

    Without a model's own prediction the model is linear: m(0) − m(Δ_K) = −⟨∇F(ω_t), Δ_K⟩. NaN
    where the model predicts no decrease: later vertices can turn Δ_K up the first gradient, and of
    two increases the ratio would be positive.
    """
    moves = [
        (p, opt.state[p]["direction"], group["loop_radius"])
        for group in opt.param_groups
        for p in inner.active(group, opt.state)
    ]
    if predicted is None:
        predicted = sum(
            delta * walk.inner_products([r], [opt.state[p]["first_gradient"]])[0]
            for p, r, delta in moves
            if "first_gradient" in opt.state[p]
        )
    kept = [p.detach().clone() for p, _, _ in moves]
    try:
        for p, r, delta in moves:
            p.add_(r, alpha=-delta)
        with torch.enable_grad():
            reached = number(closure())
    finally:
        for (p, _, _), w in zip(moves, kept, strict=True):
            p.copy_(w)
    change = number(loss) - reached
    if opt.param_groups[0]["maximize"]:
        change = -change
    if opt.process_group is not None:
        # One ratio, hence one radius, on all workers: of the mean over their minibatches.
        # Where the weights are: NCCL takes nothing from the CPU.
        device = opt.param_groups[0]["params"][0].device
        both = torch.tensor([change, predicted], dtype=torch.float64, device=device)
        distributed.average(opt.process_group, [both], [])
        change, predicted = both.tolist()
    return change / predicted if predicted > 0 else math.nan


def number(loss: Any) -> float:
    """The value of a loss, whether a tensor with history or a plain number."""
    if loss is None:
        raise ConfigError("adaptive='ratio' compares losses: the closure must return its loss")
    return float(loss.detach() if isinstance(loss, torch.Tensor) else loss)


def check(
    solver: object, adaptive: AdaptiveRadius | None, groups: list[dict[str, Any]], scope: str
) -> None:
    """Refuse groups that cannot walk together: of several norms or radii in one ball, a trust
    region in anything but one Euclidean ball, a comparison of losses that some groups lower and
    others raise."""
    if scope == "global":
        check_global(groups)
    quadratic = isinstance(solver, TrustRegion)
    if (quadratic or inner.by_ratio(adaptive)) and len({g["maximize"] for g in groups}) > 1:
        raise ConfigError(
            "solver='trust-region' and adaptive='ratio' need one maximize for all groups"
        )
    if not quadratic:
        return
    if scope != "global" or any(group["norm"] != 2 for group in groups):
        raise ConfigError(
            "solver='trust-region' works in one Euclidean ball: give scope='global' and norm=2"
        )
    if any(group["gradient_momentum"] for group in groups):
        raise ConfigError(
            "gradient_momentum is the mean over the gradients of a loop, and solver='trust-region' "
            "takes one"
        )
