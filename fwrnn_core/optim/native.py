"""The common inner step in C: Euclidean balls, float32 on the CPU (``walk.c``).

The same arithmetic as :mod:`fwrnn_core.optim.inner` in one pass over memory instead of four, and
one call instead of dozens. It follows the backend of the recurrences (``$FWRNN_BACKEND``), so that
one entry of a run record names both; without a C compiler the torch path serves.
"""

from __future__ import annotations

import ctypes
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from operator import is_
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fwrnn_core.models.kernels import cc
from fwrnn_core.models.kernels.backend import wanted
from fwrnn_core.optim.schedule import Mix

if TYPE_CHECKING:
    from fwrnn_core.optim import inner

# Where a step leaves the weights: the enum of walk.c.
_FIRST, _PAPER, _RELEASED, _LAST, _ONLY = range(5)

# Tensors beyond this torch spreads over its threads, if it has more than two.
_LARGE = 1 << 20


@cache
def _load() -> ctypes.CDLL | None:
    """The compiled kernels, or ``None`` on a machine that cannot compile them."""
    try:
        library = cc.load()
    except cc.BuildError:
        return None
    pointer, count, real = ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_double
    library.walk_norms.argtypes = [count, pointer, pointer, pointer]
    library.walk_norms.restype = None
    library.walk_step.argtypes = [ctypes.c_int, count, *[pointer] * 6, real, real, real]
    library.walk_step.restype = None
    return library


def library() -> ctypes.CDLL | None:
    """The compiled kernels, unless there are none or another backend is asked for."""
    return _load() if wanted() in ("auto", "c") else None


def fits(tensors: Sequence[Tensor]) -> bool:
    """Whether a bare pointer to float32 tells the kernel all about each of these tensors."""
    spread = torch.get_num_threads() > 2
    for t in tensors:
        if t.dtype is not torch.float32 or not t.is_cpu or not t.is_contiguous():
            return False
        if spread and t.numel() > _LARGE:
            return False
    return True


def _pointers(tensors: Sequence[Tensor]) -> array[int]:
    return array("Q", map(Tensor.data_ptr, tensors))


def _sizes(tensors: Sequence[Tensor]) -> array[int]:
    return array("q", map(Tensor.numel, tensors))


def norms(kernels: ctypes.CDLL, tensors: Sequence[Tensor]) -> list[float]:
    """‖g‖_2 of tensors that :func:`fits`, summed in double."""
    out = array("d", bytes(8 * len(tensors)))
    g, n = _pointers(tensors), _sizes(tensors)
    kernels.walk_norms(len(g), g.buffer_info()[0], n.buffer_info()[0], out.buffer_info()[0])
    return out.tolist()


@dataclass
class Plan:
    """The addresses of one group's walk, kept from one inner step to the next."""

    k: int
    params: list[Tensor]
    own: list[dict[str, object]]
    directions: list[Tensor]
    r: array[int]
    a: array[int]
    w: array[int]
    n: array[int]

    def holds(self, part: inner.Part, state: inner.State, k: int) -> bool:
        """Whether the step before was this plan's and nothing has moved since."""
        return (
            self.k == k - 1
            and len(part.params) == len(self.params)
            and all(map(is_, part.params, self.params))
            and state[self.params[0]] is self.own[0]
            and _pointers(part.params) == self.w
        )


class Walker:
    """Runs the inner steps of one optimizer that are simple enough for the kernels.

    A step is simple when the balls are Euclidean and the parameters that walk are those that have
    a gradient. Whether it is depends on nothing but state and gradients, so a resumed run takes
    the same path, hence the same rounding, as one that was never stopped.
    """

    def __init__(self) -> None:
        self._plans: dict[int, Plan] = {}

    def advance(self, loop: Sequence[inner.Part], state: inner.State, rules: inner.Rules) -> bool:
        """What ``inner.advance`` and, after the K-th vertex, ``inner.close`` do; or False and
        nothing done. The parts' gradients :func:`fits` already."""
        k = loop[0].group["inner_step"]
        plans = []
        for part in loop:
            plan = self._plan(part, state, k) if part.params else None
            if part.params and plan is None:
                return False
            plans.append(plan)
        assert rules.solver is not None
        step = rules.solver.mix(k)
        last = k >= loop[0].group["inner_steps"]
        sizes = [n for part in loop for n in part.sizes.values]
        total = math.hypot(*sizes) if rules.scope == "global" else None
        lengths: list[float] = []
        for part, plan in zip(loop, plans, strict=True):
            if plan is None:
                continue
            lengths += _run(part, plan, k, step, last, rules.trajectory, total)
            plan.k = k
            self._plans[id(part.group)] = plan
            part.own, part.directions, part.closed = plan.own, plan.directions, last
        if last:
            if total is not None:
                lengths = [math.hypot(*lengths)] * len(lengths)
            every = [own for part in loop for own in part.own]
            for own, length in zip(every, lengths, strict=True):
                own["agreement"] = length
        return True

    def _plan(self, part: inner.Part, state: inner.State, k: int) -> Plan | None:
        kept = self._plans.get(id(part.group))
        if kept is not None and kept.holds(part, state, k):
            return kept
        group = part.group
        if group["norm"] != 2 or group["gradient_momentum"] or not fits(part.params):
            return None
        own = [state[p] for p in part.params]
        if k > 1:
            walking = sum(bool(state[p].get("active")) for p in group["params"] if p in state)
            if walking != len(own) or not all(o.get("active") for o in own):
                return None
        else:
            for p, o in zip(part.params, own, strict=True):
                o["active"] = True
                if "direction" not in o:
                    o["direction"] = torch.empty_like(p)
                if group["inner_steps"] > 1 and "anchor" not in o:
                    o["anchor"] = torch.empty_like(p)
        directions = [o["direction"] for o in own]
        # With K = 1 the kernel reads no anchor.
        anchors = [o["anchor"] for o in own] if group["inner_steps"] > 1 else directions
        if not (fits(directions) and fits(anchors)):
            return None
        where = _pointers(directions), _pointers(anchors), _pointers(part.params)
        return Plan(k - 1, part.params, own, directions, *where, _sizes(part.params))


def _run(
    part: inner.Part,
    plan: Plan,
    k: int,
    step: Mix,
    last: bool,
    trajectory: str,
    total: float | None,
) -> list[float]:
    """One call of the kernel; after the K-th vertex, the 2-norms of −Δ_K/δ per tensor."""
    if last:
        kind = _LAST if k > 1 else _ONLY
    elif k == 1:
        kind = _FIRST
    else:
        kind = _PAPER if trajectory == "paper" else _RELEASED
    norms_ = part.sizes.values if total is None else [total] * len(plan.own)
    factors = array("d", [step.weight / n if n > 0 else 0.0 for n in norms_])
    g = _pointers(part.grads)
    assert part.kernels is not None
    part.kernels.walk_step(
        kind,
        len(g),
        g.buffer_info()[0],
        plan.r.buffer_info()[0],
        plan.a.buffer_info()[0],
        plan.w.buffer_info()[0],
        plan.n.buffer_info()[0],
        factors.buffer_info()[0],
        step.decay,
        -part.group["loop_radius"] * step.scale,
        step.scale,
    )
    return factors.tolist() if last else []
