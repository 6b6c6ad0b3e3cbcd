"""What a parameter group may hold: validation at construction, and the radius in force."""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Iterable, Mapping, MutableMapping, Sequence, Set
from difflib import get_close_matches
from itertools import pairwise
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch

from fwrnn_core.errors import ConfigError, choice, unknown
from fwrnn_core.optim.adaptive import AdaptiveRadius
from fwrnn_core.optim.balls import check_norm
from fwrnn_core.optim.numbers import as_number
from fwrnn_core.optim.schedule import StepSize, check_step_size

if TYPE_CHECKING:
    from fwrnn_core.optim.frank_wolfe import FrankWolfe

Scope = Literal["tensor", "global"]
Trajectory = Literal["paper", "released"]
Nonfinite = Literal["raise", "skip"]
Tracked = Literal["gap", "angle"]
SolverName = Literal["frank-wolfe", "projected-gradient", "trust-region"]
SCOPES, TRAJECTORIES, NONFINITE, TRACKED = map(get_args, (Scope, Trajectory, Nonfinite, Tracked))
#: Options of a group that are the loop's own; everything else in a group is the outer optimizer's.
OWN = ("lr", "radius", "inner_steps", "norm", "gradient_momentum", "maximize")
#: Subclasses (DTensor, …) may have no memory of their own behind their pointer.
PLAIN = (torch.Tensor, torch.nn.Parameter)
#: What the loop itself keeps in a group, so that ``state_dict`` holds it.
FRESH = {
    "radius_scale": 1.0, "inner_step": 0, "loop_radius": 0.0, "signal": math.nan, "joined": 0,
}  # fmt: skip
LOOP = ("reference_lr", *FRESH)


def parameters(params: Iterable[Any]) -> Iterable[Any]:
    """``params`` itself, unless it is the module whose parameters were meant."""
    if isinstance(params, torch.nn.Module):
        raise ConfigError(f"params is a {type(params).__name__}: pass its .parameters()")
    return params


def check_choices(scope: str, trajectory: str, nonfinite: str, track: Iterable[str]) -> None:
    """Raise :class:`ConfigError` for a name that is none of those offered."""
    choice("scope", scope, SCOPES)
    choice("trajectory", trajectory, TRAJECTORIES)
    choice("nonfinite", nonfinite, NONFINITE)
    if not isinstance(track, Collection):
        raise ConfigError(f"track = {track!r}: give a list of {' or '.join(map(repr, TRACKED))}")
    for item in track:
        choice("track", item, TRACKED)


def check_arrival(group: MutableMapping[str, Any]) -> None:
    """Refuse a group without parameters, with a counter of the loop in place of an option, or with
    a parameter twice: each of its gradients would count twice, and lead out of the ball. An
    iterator of parameters is read into a list, as torch does it."""
    if not isinstance(group, dict):
        return  # torch has a word for it
    if "params" not in group:
        near = get_close_matches("params", map(str, group), n=1)
        hint = f" Did you mean 'params' by {near[0]!r}?" if near else ""
        keys = ", ".join(map(repr, group)) or "none"
        raise ConfigError(f"a parameter group without 'params' (its keys: {keys}).{hint}")
    # All of the loop's entries are there in a group of another optimizer; alone, it is a slip.
    if "inner_step" in group and not group.keys() >= set(LOOP):
        raise unknown("option of a parameter group", "inner_step", OWN)
    params = group["params"]
    if isinstance(params, torch.Tensor | Set) or not isinstance(params, Iterable):
        return  # one parameter, or what torch has a word for
    group["params"] = params = list(params)
    seen: set[int] = set()
    for item in params:
        p = item[1] if isinstance(item, tuple) and len(item) == 2 else item
        if id(p) in seen:
            raise ConfigError(
                f"a parameter of shape {tuple(p.shape)} is in the group twice: its ball would be "
                "left; pass each once: list(dict.fromkeys(params))"
            )
        seen.add(id(p))


def make_plain(group: MutableMapping[str, Any]) -> None:
    """NumPy's scalars, which sweeps produce, as Python's own: so a state loads anywhere."""
    for key in ("lr", "radius", "inner_steps", "norm", "gradient_momentum"):
        value = group[key]
        if isinstance(value, Integral):
            group[key] = value if isinstance(value, bool) else int(value)
        elif isinstance(value, Real):
            group[key] = float(value)


def check_start(group: Mapping[str, Any], step_size: StepSize) -> None:
    """The same before a loop begins, of what users and schedulers have set since. A learning
    rate of 0 is fine here: schedulers start or end with it."""
    _check_walk(group)
    steps = group["inner_steps"]
    if callable(step_size):  # K may have been raised; the named rules are good for every K
        check_step_size(step_size, int(steps))
    lr, given = group["lr"], group["radius"]
    if not 0 <= as_number(lr) < math.inf:
        raise ConfigError(f"lr = {lr!r}: give a finite number >= 0")
    if given is not None:
        _positive("radius", given)


def _check_walk(group: Mapping[str, Any]) -> None:
    steps, momentum = group["inner_steps"], group["gradient_momentum"]
    if isinstance(steps, bool) or not isinstance(steps, Integral) or steps < 1:
        raise ConfigError(f"inner_steps = {steps!r}: give an integer >= 1")
    check_norm(group["norm"])
    if not 0 <= as_number(momentum) < 1:
        raise ConfigError(f"gradient_momentum = {momentum!r}: must be in [0, 1)")


def check_group(group: Mapping[str, Any], step_size: StepSize) -> None:
    """Raise :class:`ConfigError` for a value out of range."""
    _positive("lr", group["lr"])
    if group["radius"] is not None:
        _positive("radius", group["radius"])
    _check_walk(group)
    check_step_size(step_size, group["inner_steps"])
    if not isinstance(group["maximize"], bool):
        raise ConfigError(f"maximize = {group['maximize']!r}: give True or False")
    sharded = sys.modules.get("torch.distributed.tensor")  # there if any DTensor is
    for p in group["params"]:
        if sharded is not None and isinstance(p, sharded.DTensor):
            raise ConfigError(
                f"a parameter of shape {tuple(p.shape)} is a DTensor: the balls need whole "
                "tensors; use DistributedDataParallel or process_group instead of sharding"
            )
        if getattr(p, "_is_flat_param", False):
            raise ConfigError(
                "a FlatParameter of FullyShardedDataParallel is a slice through many tensors: the "
                "balls need whole ones; use DistributedDataParallel or process_group instead"
            )
        if not p.is_floating_point():
            way = (
                "hold complex weights as torch.view_as_real"
                if p.is_complex()
                else "leave it out, or convert it with .float()"
            )
            raise ConfigError(
                f"a parameter of shape {tuple(p.shape)} has dtype {p.dtype}: the balls are defined "
                f"for real floating-point tensors; {way}"
            )


def check_dense(gradient: torch.Tensor) -> None:
    """Refuse a sparse gradient: the balls are of whole tensors."""
    if gradient.layout is not torch.strided:
        raise ConfigError(
            f"the gradient of a parameter of shape {tuple(gradient.shape)} is sparse "
            f"({gradient.layout}); use dense gradients (for nn.Embedding: sparse=False)"
        )


def check_memory(groups: Iterable[Mapping[str, Any]]) -> None:
    """Refuse weights that lie in each other: a walk puts a weight back to ω_t, and where another
    one has moved it meanwhile, that is another place."""
    every = dict.fromkeys(p for group in groups for p in group["params"])
    # Strided views may interleave, and subclasses have no memory of their own: not judged.
    solid = [p for p in every if type(p) in PLAIN and p.numel() and p.is_contiguous()]
    spans = sorted((str(p.device), p.data_ptr(), p.nbytes, tuple(p.shape)) for p in solid)
    for (device, start, size, shape), (other, next_start, _, next_shape) in pairwise(spans):
        if device == other and 0 < start <= next_start < start + size:  # 0: on meta
            raise ConfigError(
                f"two parameters, of shapes {shape} and {next_shape}, share memory: tie weights by "
                "one Parameter (b.weight = a.weight) instead of through .data, or give one of them"
            )


def check_adaptive(adaptive: AdaptiveRadius | None, group: Mapping[str, Any], solver: str) -> None:
    """Agreement says something where random vertices agree less than equal ones: a Euclidean
    ball, K ≥ 2.

    A single vertex always agrees with itself, and in a ball with corners so do random ones.
    """
    if adaptive is None or adaptive.signal != "agreement":
        return
    if group["inner_steps"] == 1:
        raise ConfigError(
            "adaptive='agreement' needs inner_steps >= 2; with one inner step use 'ratio'"
        )
    if group["norm"] != 2 or solver != "VertexSteps":
        raise ConfigError(
            f"adaptive='agreement' needs norm=2 and solver='frank-wolfe' (here norm = "
            f"{group['norm']!r}, {solver}): elsewhere even random steps agree; use 'ratio'"
        )


def check_names(group: Mapping[str, Any], outer_options: Iterable[str]) -> None:
    """Refuse a misspelt option; other unknown keys are the user's own, as in torch: also those
    made of an option's name and more words, such as ``weight_decay_mult``."""
    known = (*OWN, *outer_options)
    for key in (key for key in group if key not in (*known, *LOOP, "params")):
        near = get_close_matches(key, known, cutoff=0.8)
        if not all(f"_{name}_" in f"_{key}_" for name in near):
            raise unknown("option of a parameter group", key, known)


def check_global(groups: Iterable[Mapping[str, Any]]) -> None:
    """One ball around all parameters needs one norm, one radius and one K."""
    seen = [(g["norm"], radius(g), g["inner_steps"]) for g in groups]
    if any(isinstance(norm, str) for norm, _, _ in seen):
        raise ConfigError("scope='global' takes p-norms only; matrix norms need scope='tensor'")
    (norm, delta, steps), *others = seen
    # Radii that a scheduler moved in proportion to unequal learning rates differ by rounding.
    if any((n, k) != (norm, steps) or not math.isclose(r, delta) for n, r, k in others):
        raise ConfigError(
            "scope='global' is one ball around all parameters, but the groups differ in "
            f"(norm, radius, inner_steps): {', '.join(map(str, seen))}; give them one value "
            "(set radius explicitly where learning rates differ), or use scope='tensor'"
        )


def radius(group: Mapping[str, Any]) -> float:
    """δ of the group's balls now, in units of the weights.

    ``radius=None`` means δ = lr. A given radius holds at the learning rate of construction and
    moves in proportion when a scheduler changes ``lr``. ``radius_scale`` is the adaptive factor.
    """
    lr = float(group["lr"])
    given = group["radius"]
    base = lr if given is None else float(given) * lr / group["reference_lr"]
    return base * group["radius_scale"]


def start(groups: Sequence[Mapping[str, Any]], scope: str) -> dict[str, Any]:
    """What the loop keeps in the last group, which joins the others where they stand: groups of one
    K share a phase, and in one ball around all everything."""
    *others, group = groups
    if scope == "global" and others:
        return {**{key: others[0][key] for key in FRESH}, "joined": others[0]["inner_step"]}
    same = [g["inner_step"] for g in others if g["inner_steps"] == group["inner_steps"]]
    phase = max(same, default=0)
    return {
        **FRESH,
        "inner_step": phase,
        "joined": phase,
        "loop_radius": radius({**group, **FRESH}) if phase else FRESH["loop_radius"],
    }


def describe(opt: FrankWolfe) -> str:
    """An optimizer in torch's form: what it does, then the options of every group, without what
    the loop keeps there for itself."""
    outer = type(opt.outer).__name__ if opt.outer is not None else None
    shown = [f"outer={outer}", f"scope={opt.scope!r}", f"trajectory={opt.trajectory!r}"]
    if hasattr(opt.solver, "step_size"):
        step_size = opt.solver.step_size
        shown.append(f"step_size={step_size!r}" if isinstance(step_size, str) else "step_size=…")
    else:
        shown.append(f"solver={opt.solver!r}")
    if opt.adaptive is not None:
        shown.append(f"adaptive={opt.adaptive!r}")
    if opt.track:
        shown.append(f"track={sorted(opt.track)!r}")
    shown.append(f"nonfinite={opt.nonfinite!r}")
    lines = [f"{type(opt).__name__}({', '.join(shown)}"]
    for i, group in enumerate(opt.param_groups):
        lines.append(f"Parameter Group {i}")
        hidden = (*LOOP, "params", "param_names")
        lines += [f"    {key}: {group[key]}" for key in sorted(group) if key not in hidden]
    return "\n".join([*lines, ")"])


def _positive(name: str, value: object) -> None:
    if not 0 < as_number(value) < math.inf:
        raise ConfigError(f"{name} = {value!r}: give a finite number > 0")
