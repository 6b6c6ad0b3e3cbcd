"""``state_dict()`` and its loading: what a saved state must have in common with the optimizer."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch.optim import Optimizer

from fwrnn_core.errors import ConfigError
from fwrnn_core.optim.options import make_plain

if TYPE_CHECKING:
    from fwrnn_core.optim.frank_wolfe import FrankWolfe

VERSION = 1
#: Options by which groups of equal shapes are told apart: an order is seen through them.
TELLING = ("norm", "inner_steps", "maximize", "gradient_momentum")
#: Buffers of a walk, as large as the parameter each; the next loop writes them anew.
WALK = ("anchor", "direction", "gradient_average", "first_gradient")


def save(opt: FrankWolfe, base: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The whole state, given torch's own way to its part; users' hooks see the whole."""
    own = {**opt._settings(), "updates": opt.updates, "skipped": opt.skipped}
    outer = opt._outer.state_dict(opt.param_groups) if opt._outer is not None else None

    def complete(_: Optimizer, found: dict[str, Any]) -> dict[str, Any]:
        return assemble(found, outer, own)

    with opt.register_state_dict_post_hook(complete, prepend=True):
        return base()


def load(
    opt: FrankWolfe, state_dict: dict[str, Any], base: Callable[[dict[str, Any]], None]
) -> None:
    """The inverse, given torch's own way. Users' hooks come first, which may make the state what it
    has to be, and last, when all is loaded.

    Raises:
        ConfigError: the state does not fit; nothing is changed then.
    """
    taken: dict[str, Any] = {}

    def fit(_: Optimizer, found: dict[str, Any]) -> dict[str, Any]:
        check(found, opt._settings(), opt.param_groups)
        # Copies: a live state_dict shares its tensors with the optimizer that it came from.
        taken.update(copy.deepcopy(found))
        return taken

    def complete(_: Optimizer) -> None:
        if opt._outer is not None:
            opt._outer.load(taken["outer"], opt.param_groups)
        opt.updates, opt.skipped = (taken["frank_wolfe"][key] for key in ("updates", "skipped"))

    with (
        opt.register_load_state_dict_pre_hook(fit),
        opt.register_load_state_dict_post_hook(complete, prepend=True),
    ):
        base(dict(state_dict) if isinstance(state_dict, Mapping) else {})


def assemble(base: Mapping[str, Any], outer: Any, own: Mapping[str, Any]) -> dict[str, Any]:
    """The state_dict, from torch's own part of it: less the walks of parameters that stand between
    two loops.

    >>> base = {"state": {0: {"active": False, "anchor": 1.0, "agreement": 0.5}}}
    >>> assemble(base, None, {})["state"]
    {0: {'active': False, 'agreement': 0.5}}
    """
    state = {
        index: {k: v for k, v in entry.items() if entry.get("active") or k not in WALK}
        for index, entry in base["state"].items()
    }
    for group in base.get("param_groups", ()):  # torch's copies: what was set since is NumPy's yet
        make_plain(group)
    return {**base, "state": state, "outer": outer, "frank_wolfe": own}


def signature(groups: Sequence[Mapping[str, Any]], **settings: str) -> dict[str, Any]:
    """Version, settings and parameter shapes, as saved and compared."""
    shapes = [[list(p.shape) for p in group["params"]] for group in groups]
    return {"version": VERSION, **settings, "shapes": shapes}


def check(state_dict: Mapping[str, Any], mine: Mapping[str, Any], groups: Sequence[Any]) -> None:
    """Raise :class:`ConfigError` unless ``state_dict`` fits an optimizer of signature ``mine``."""
    saved = state_dict.get("frank_wolfe") if isinstance(state_dict, Mapping) else None
    if saved is None or "outer" not in state_dict:
        # torch.distributed.checkpoint keeps what it knows: moments of the outer optimizer are lost.
        raise ConfigError(
            "not the state_dict of a FrankWolfe optimizer: no 'frank_wolfe' or 'outer' entry. Save "
            "and load optimizer.state_dict() itself, as it is"
        )
    if saved.get("version") != VERSION:
        raise ConfigError(
            f"optimizer state of version {saved.get('version')!r}, this package reads {VERSION}"
        )
    if saved["outer"] != mine["outer"]:
        raise ConfigError(
            f"the state was saved with another kind of outer optimizer ({saved['outer']}, here "
            f"{mine['outer']}; 'NoneType' is outer=None): build it with the same outer"
        )
    if len(saved["shapes"]) != len(mine["shapes"]):
        raise ConfigError(
            f"the state has {len(saved['shapes'])} parameter groups, this optimizer "
            f"{len(mine['shapes'])}: build it with the same groups in the same order"
        )
    for i, (theirs, ours) in enumerate(zip(saved["shapes"], mine["shapes"], strict=True)):
        if theirs != ours:
            raise ConfigError(
                f"parameter group {i} has shapes {ours}, the state was saved with {theirs}: build "
                "the optimizer with the same parameters in the same order"
            )
    pairs = list(zip(state_dict["param_groups"], groups, strict=True))
    for i, (theirs, ours) in enumerate(pairs):
        names = theirs.get("param_names"), ours.get("param_names")
        if None not in names and names[0] != names[1]:
            raise ConfigError(
                f"parameter group {i} holds {names[1]}, the state was saved with {names[0]}"
            )
    _check_order(saved["shapes"], pairs)
    for i, (theirs, ours) in enumerate(pairs):
        if theirs["inner_step"] and theirs["norm"] != ours["norm"]:
            raise ConfigError(
                f"parameter group {i} stands in the middle of an inner loop with norm = "
                f"{theirs['norm']!r}, this optimizer has {ours['norm']!r}"
            )
    if any(theirs["inner_step"] for theirs, _ in pairs):
        for key, value in mine.items():
            # An older version did not save all of them.
            if key != "shapes" and saved.get(key, value) != value:
                raise ConfigError(
                    f"the state stands in the middle of an inner loop with {key} = "
                    f"{saved[key]!r}, this optimizer has {value!r}"
                )


def _check_order(shapes: Sequence[Any], pairs: Sequence[tuple[Any, Any]]) -> None:
    """Refuse groups that are the saved ones in another order: each would take over the walk, the
    moments and the options of another. One deliberate change of an option is no permutation."""
    if all(theirs.get("param_names") and ours.get("param_names") for theirs, ours in pairs):
        return  # equal names in equal places: these are the same groups
    theirs, ours = (
        [(str(s), *map(group.get, TELLING)) for s, group in zip(shapes, groups, strict=True)]
        for groups in zip(*pairs, strict=True)
    )
    if theirs != ours and Counter(theirs) == Counter(ours):
        raise ConfigError(
            f"the parameter groups are those of the state in another order (by shapes, "
            f"{', '.join(TELLING)}): build the optimizer with the same groups in the same order"
        )
