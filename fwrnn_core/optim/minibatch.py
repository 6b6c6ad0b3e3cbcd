"""``step()``: what the gradients of one minibatch do to the loops of an optimizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from fwrnn_core.optim import gradients, inner, options, schedule

if TYPE_CHECKING:
    from fwrnn_core.optim.frank_wolfe import FrankWolfe


def advance(opt: FrankWolfe) -> list[inner.Loop] | None:
    """Advance every loop by one vertex: those that reached K; None for a dropped minibatch.

    Raises:
        ConfigError: an option out of range, set since construction; a sparse gradient.
    """
    for group in opt.param_groups:
        k = group["inner_step"] + 1
        if k == 1:
            options.check_start(group, opt.step_size)
        elif callable(opt.step_size):  # K may have been raised since the loop began
            schedule.check_step_size(opt.step_size, k, first=k)
    parts = [gradients.collect(g, getattr(opt, "grad_scale", None)) for g in opt.param_groups]
    alone = len(parts) == 1 and opt.process_group is None and not hasattr(opt, "found_inf")
    if alone and opt._walker.repeat(parts[0], opt.state, opt._rules):
        closed = parts[0].closed
        opt._watch.note(() if closed else parts[0].params)
        return [parts] if closed else []
    opt._watch.again()  # a kernel that refuses a gradient has counted as a write
    return _general(opt, parts)


@torch.no_grad()
def _general(opt: FrankWolfe, parts: list[inner.Part]) -> list[inner.Loop] | None:
    if opt.process_group is None and not any(part.params for part in parts):
        return []
    lengths = gradients.measure(parts, opt._rules.simple)
    if not usable(opt, lengths, [p for part in parts for p in part.params]):
        if opt.process_group is None:
            return None
        parts = [inner.Part(group, [], []) for group in opt.param_groups]
    # One ball around all groups makes one loop of them; else each group walks on its own.
    loops = [parts] if opt.scope == "global" else [[part] for part in parts]
    for loop in loops:
        inner.advance(loop, opt.state, opt._rules, opt._walker)
    under_way = [part.group for loop in loops if not inner.complete(loop) for part in loop]
    opt._watch.note([p for group in under_way for p in inner.active(group, opt.state)])
    return [loop for loop in loops if inner.complete(loop)]


def usable(opt: FrankWolfe, lengths: list[float], params: Sequence[torch.Tensor]) -> bool:
    """Whether the gradients of ``params``, of these 2-norms, are finite; if not, they count as
    skipped.

    Raises:
        NonFiniteGradient: under ``nonfinite="raise"``.
    """
    # GradScaler sets found_inf, and grad_scale above, for the time of one step.
    found_inf = getattr(opt, "found_inf", None)
    fine = gradients.usable(lengths, found_inf, opt.nonfinite, lambda i: _name(opt, params[i]))
    opt.skipped += not fine
    return fine


def _name(opt: FrankWolfe, param: torch.Tensor) -> str:
    """A parameter's name, where it was given one; else its shape and its place."""
    for number, group in enumerate(opt.param_groups):
        for place, p in enumerate(group["params"]):
            if p is param:
                names = group.get("param_names")
                if names and len(names) == len(group["params"]):  # users edit the list
                    return str(names[place])
                return f"number {place} of group {number}, of shape {tuple(p.shape)}"
    raise AssertionError("a gradient of no group")
