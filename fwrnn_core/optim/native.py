"""The common inner step in C: Euclidean balls, float32 on the CPU (``walk.c``).

The same arithmetic as :mod:`fwrnn_core.optim.inner` in one pass over memory instead of four, and
one call instead of dozens. It follows the backend of the recurrences (``$FWRNN_BACKEND``), so that
one entry of a run record names both; without a C compiler the torch path serves.
"""

from __future__ import annotations

import ctypes
import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from operator import is_
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.graph import increment_version

from fwrnn_core.models.kernels import cc
from fwrnn_core.models.kernels.backend import wanted
from fwrnn_core.optim.options import PLAIN, radius
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
    library.walk_products.argtypes = [count, pointer, pointer, pointer, pointer]
    library.walk_products.restype = None
    library.walk_step.argtypes = [ctypes.c_int, ctypes.c_int, count, *[pointer] * 6, *[real] * 4]
    library.walk_step.restype = ctypes.c_int
    return library


def library() -> ctypes.CDLL | None:
    """The compiled kernels, unless there are none or another backend is asked for."""
    return _load() if wanted() in ("auto", "c") else None


def fits(tensors: Sequence[Tensor]) -> bool:
    """Whether a bare pointer to float32 tells the kernel all about each of these tensors."""
    spread = torch.get_num_threads() > 2
    for t in tensors:
        if (
            type(t) not in PLAIN
            or t.dtype is not torch.float32
            or not t.is_cpu
            or not t.is_contiguous()
            or t.is_neg()  # torch's lazy minus: the memory holds the opposite
            or torch._is_zerotensor(t)  # a gradient known to be 0, without memory
        ):
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


def products(kernels: ctypes.CDLL, a: Sequence[Tensor], b: Sequence[Tensor]) -> list[float]:
    """⟨a, b⟩ of pairs of tensors that :func:`fits`, summed in double."""
    out = array("d", bytes(8 * len(a)))
    arrays = _pointers(a), _pointers(b), _sizes(a), out
    kernels.walk_products(len(a), *(x.buffer_info()[0] for x in arrays))
    return out.tolist()


@dataclass
class Plan:
    """The addresses of one group's walk, kept from one inner step to the next."""

    k: int
    inner_steps: int
    params: list[Tensor]
    own: list[dict[str, Any]]
    directions: list[Tensor]
    r: array[int]
    a: array[int]
    w: array[int]
    n: array[int]

    @cached_property
    def addresses(self) -> tuple[int, int, int, int]:
        """Where the four arrays lie."""
        r, a, w, n = (x.buffer_info()[0] for x in (self.r, self.a, self.w, self.n))
        return r, a, w, n

    def holds(self, part: inner.Part, state: inner.State, k: int) -> bool:
        """Whether the step before was this plan's and nothing has moved since."""
        return (
            self.k == k - 1
            and len(part.params) == len(self.params)
            and all(map(is_, part.params, self.params))
            and state[self.params[0]] is self.own[0]
            and _pointers(part.params) == self.w
            and _sizes(part.params) == self.n
        )


class Walker:
    """Runs the inner steps of one optimizer that are simple enough for the kernels.

    A step is simple when the balls are Euclidean and the parameters that walk are those that have
    a gradient. Whether it is depends on nothing but state and gradients, so a resumed run takes
    the same path, hence the same rounding, as one that was never stopped.
    """

    def __init__(self) -> None:
        self._plans: dict[int, Plan] = {}

    def prepare(self, loop: Sequence[inner.Part], state: inner.State) -> list[Plan | None] | None:
        """The plans of a step that the kernels can take, with the states and R of the parts filled
        in (a part without gradients has no plan); None, and nothing begun, if they cannot.

        The parts' gradients :func:`fits` already."""
        k = loop[0].group["inner_step"]
        plans = [self._plan(part, state, k) if part.params else None for part in loop]
        for part, plan in zip(loop, plans, strict=True):
            # What walked before and has no gradient now fades, and goes back to ω_t with the rest.
            if plan is None and (part.params or any(_walking(part.group, state))):
                return None
        for part, plan in zip(loop, plans, strict=True):
            if plan is not None:
                part.own, part.directions = plan.own, plan.directions
        return plans

    def drop(self, loop: Sequence[inner.Part]) -> None:
        """Forget the plans of groups that take a step without the kernels: what they know of the
        weights and the anchors is then of an earlier one."""
        for part in loop:
            self._plans.pop(id(part.group), None)

    def advance(
        self, loop: Sequence[inner.Part], plans: Sequence[Plan | None], rules: inner.Rules
    ) -> None:
        """What ``inner.advance`` and, after the K-th vertex, ``inner.close`` do."""
        assert rules.solver is not None
        k = loop[0].group["inner_step"]
        step, last = rules.solver.mix(k), k >= loop[0].group["inner_steps"]
        sizes = [n for part in loop for n in part.sizes.values]
        total = math.hypot(*sizes) if rules.scope == "global" else None
        lengths: list[float] = []
        self.drop(loop)
        for part, plan in zip(loop, plans, strict=True):
            part.closed = last
            if plan is None:
                continue
            lengths += _run(part, plan, k, step, rules.trajectory, total)
            plan.k = k
            self._plans[id(part.group)] = plan
            if k == 1:
                _activate(plan)
        if last:
            if total is not None:
                lengths = [math.hypot(*lengths)] * len(lengths)
            every = [own for part in loop for own in part.own]
            for own, length in zip(every, lengths, strict=True):
                own["agreement"] = length

    def repeat(self, part: inner.Part, state: inner.State, rules: inner.Rules) -> bool:
        """A whole step of a lone group, gradients measured and walked in one call, if it is a step
        like the one before; or False and nothing done.

        A gradient that is not finite is none: the general path has the words for it."""
        group, kernels, plan = part.group, library(), self._plans.get(id(part.group))
        if plan is None or kernels is None or rules.scope != "tensor" or rules.record:
            return False
        if not rules.simple:
            return False
        if group["norm"] != 2 or group["gradient_momentum"] or not fits(part.grads):
            return False
        k, last = group["inner_step"] + 1, group["inner_steps"]
        # A loop begins where the one before ended: the same tensors in the same places.
        before = last if k == 1 else k - 1
        if plan.inner_steps != last or not plan.holds(part, state, before + 1):
            return False
        assert rules.solver is not None
        kept, g = group["loop_radius"], _pointers(part.grads)
        if k == 1:
            group["loop_radius"] = radius(group)
        lengths, step = array("d", bytes(8 * len(g))), rules.solver.mix(k)
        if not _step(kernels, plan, group, g, lengths, False, k, step, rules.trajectory):
            group["loop_radius"] = kept
            return False
        plan.k = group["inner_step"] = k
        part.own, part.directions, part.closed = plan.own, plan.directions, k >= last
        if k == 1:
            _activate(plan)
        if part.closed:
            for own, length in zip(plan.own, lengths, strict=True):
                own["agreement"] = length
        return True

    def _plan(self, part: inner.Part, state: inner.State, k: int) -> Plan | None:
        group, kept = part.group, self._plans.get(id(part.group))
        if group["norm"] != 2 or group["gradient_momentum"]:
            return None
        if kept is not None and kept.holds(part, state, k):
            return kept
        if not fits(part.params):
            return None
        own = [state[p] for p in part.params]
        if k > 1:
            walking = sum(_walking(group, state))
            if walking != len(own) or not all(o.get("active") for o in own):
                return None
        else:
            for p, o in zip(part.params, own, strict=True):
                if "direction" not in o:
                    o["direction"] = torch.empty_like(p)
                if group["inner_steps"] > 1 and "anchor" not in o:
                    o["anchor"] = torch.empty_like(p)
        directions = [o["direction"] for o in own]
        # With K = 1 the kernel reads no anchor, unless K was lowered in mid-loop.
        anchored = max(k, group["inner_steps"]) > 1
        anchors = [o["anchor"] for o in own] if anchored else directions
        n = _sizes(part.params)
        if not (fits(directions) and fits(anchors) and _sizes(directions) == _sizes(anchors) == n):
            return None
        where = _pointers(directions), _pointers(anchors), _pointers(part.params)
        return Plan(k - 1, group["inner_steps"], part.params, own, directions, *where, n)


def _walking(group: dict[str, Any], state: inner.State) -> Iterator[bool]:
    """Of the parameters with a state, whether each has a vertex in the loop under way."""
    return (bool(state[p].get("active")) for p in group["params"] if p in state)


def _activate(plan: Plan) -> None:
    for own in plan.own:
        own["active"] = True


def _run(
    part: inner.Part, plan: Plan, k: int, step: Mix, trajectory: str, total: float | None
) -> list[float]:
    """One call of the kernel; after the K-th vertex, the 2-norms of −Δ_K/δ per tensor."""
    assert part.kernels is not None
    lengths = array("d", part.sizes.values if total is None else [total] * len(plan.own))
    _step(part.kernels, plan, part.group, _pointers(part.grads), lengths, True, k, step, trajectory)
    return lengths.tolist()


def _step(
    kernels: ctypes.CDLL,
    plan: Plan,
    group: dict[str, Any],
    g: array[int],
    lengths: array[float],
    measured: bool,
    k: int,
    step: Mix,
    trajectory: str,
) -> int:
    """``walk_step`` of walk.c: whether the gradients were finite (true where measured before)."""
    if k >= group["inner_steps"]:
        kind = _LAST if k > 1 else _ONLY
    elif k == 1:
        kind = _FIRST
    else:
        kind = _PAPER if trajectory == "paper" else _RELEASED
    # The kernel writes behind autograd's back; a graph that kept a weight must notice.
    increment_version(plan.params)
    done: int = kernels.walk_step(
        kind,
        measured,
        len(g),
        g.buffer_info()[0],
        *plan.addresses,
        lengths.buffer_info()[0],
        step.weight,
        step.decay,
        -group["loop_radius"] * step.scale,
        step.scale,
    )
    return done
