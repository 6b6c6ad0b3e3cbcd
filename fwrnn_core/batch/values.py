"""What the parameters of our notebooks may be, asked before a kernel starts.

A notebook that stops on a value costs the start of its kernel, sometimes a long live run first, and
ends in the traceback of whatever tripped over it. The rules go by name, since a name means the same
on every page; words go by the parameter cell, whose comment quotes them. What is looked up (a
surface, a run, a device) is imported only when such a value was given.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import PurePath
from typing import Any, NamedTuple

from fwrnn_core.errors import ConfigError, choice, unknown


class Rule(NamedTuple):
    """``take`` returns the value to inject, or raises ValueError; ``says`` completes "give …". A
    ConfigError of its own stands as it is."""

    says: str
    take: Callable[[Any], Any]


def _rule(says: str, holds: Callable[[Any], object]) -> Rule:
    """A rule that hands on the value as it is."""

    def take(value: Any) -> Any:
        if not holds(value):
            raise ValueError
        return value

    return Rule(says, take)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError
    return value


def whole(low: int, high: int | None = None) -> Rule:
    """A whole number; ``5.0`` counts as one and is handed on as ``5``."""

    def take(value: Any) -> int:
        number = _number(value)
        if not math.isfinite(number) or number != int(number):
            raise ValueError
        if number < low or (high is not None and number > high):
            raise ValueError
        return int(number)

    return Rule(
        f"a whole number, {low} or more" if high is None else f"a whole number, {low} to {high}",
        take,
    )


def _norm(value: Any) -> float | str:
    from fwrnn_core.optim.balls import check_norm

    try:
        check_norm(value)
    except ConfigError as error:
        raise ValueError from error
    return value


def _surface(value: Any) -> str:
    from fwrnn_core.explorer import slices, surfaces

    choice("surface", value, [*surfaces.analytic(), *slices.names()])
    return str(value)


def _method(value: Any) -> str:
    from fwrnn_core.experiments import fair

    choice("method", value, fair.METHODS)
    return str(value)


def _long_runs(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError
    if not all(isinstance(text, str) for pair in value.items() for text in pair):
        raise ValueError
    from fwrnn_core import experiments
    from fwrnn_core.training import records

    # A name that stands for no run would only be missing from the table.
    folder = "theory/har2/"
    runs = [*experiments.catalogue(), *records.names(f"{folder}*")]
    known = {name.removeprefix(folder) for name in runs if name.startswith(folder)}
    for name in value:
        choice("run of long_runs", name, known)
    return value


def check_device(notebook: str, name: str) -> None:
    """Refuse a device that this machine does not have."""
    if name in ("auto", "cpu"):
        return
    from fwrnn_core.training.environment import resolve_device

    try:
        resolve_device(name)
    except ConfigError as error:
        raise ConfigError(f"{notebook}: {error}") from None


def word(*known: str) -> Rule:
    """One of a few words."""
    says = " or ".join([", ".join(map(repr, known[:-1])), repr(known[-1])])
    return _rule(says, known.__contains__)


def several(rule: Rule, count: int | None = None, distinct: bool = False) -> Rule:
    """A list of such values, not empty; of ``count`` of them if that is given."""

    def take(values: Any) -> list[Any]:
        if not isinstance(values, list | tuple) or not values:
            raise ValueError
        taken = [rule.take(value) for value in values]
        if (count and len(taken) != count) or (distinct and len(set(taken)) != len(taken)):
            raise ValueError
        return taken

    number = f"{count} values" if count else "one or more values"
    each = f", each {rule.says}" + (", none twice" if distinct else "")
    return Rule(f"a list of {number}{each}", take)


POSITIVE = _rule("a finite number above 0", lambda value: 0 < _number(value) < math.inf)
FINITE = _rule("a finite number", lambda value: math.isfinite(_number(value)))
DEVICE = _rule(
    "'auto', 'cpu', 'mps', 'cuda' or 'cuda:N'",
    lambda value: re.fullmatch(r"auto|cpu|mps|(cuda|xpu)(:\d+)?", value),
)
NORM = Rule("a number from 1 to inf, 'spectral', 'nuclear' or 'newton-schulz'", _norm)
SEED = whole(0, 2**31 - 1)
COUNT = whole(1)

RULES = {
    **dict.fromkeys(
        (
            *("inner_steps", "epochs", "loops", "trials", "updates", "minibatches"),
            *("train_limit", "hidden", "hidden_size", "steps", "batch", "rounds"),
            *("threads", "time_steps", "gradient_budget"),
        ),
        COUNT,
    ),
    # Two numbers are marked in a sequence; a curve along a run needs its two ends.
    **dict.fromkeys(("length", "snapshots", "outer_steps"), whole(2)),
    "resolution": whole(5),
    **dict.fromkeys(("seed", "noise_seed"), SEED),
    "seeds": several(SEED, distinct=True),
    **dict.fromkeys(("radius", "learning_rate"), POSITIVE),
    "radii": several(POSITIVE, distinct=True),
    "norm": NORM,
    "start": several(FINITE, 2),
    "device": DEVICE,
    # MNIST has so many training images.
    "images": whole(1, 60_000),
    "digit": whole(0, 59_999),
    "methods": several(Rule("the name of a method", _method), distinct=True),
}
OPTIONS = (
    *("default", "step-size", "gradient-momentum", "projected-gradient", "adaptive"),
    *("newton-schulz", "nuclear", "nesterov"),
)

# Where a name means something else on one page: `values` are the settings that an ablation
# compares, and the explorer's ball lies in the plane, where there are no matrices.
OWN = {
    ("inner_steps", "values"): several(COUNT, distinct=True),
    ("radius", "values"): several(POSITIVE, distinct=True),
    ("norm_and_scope", "values"): several(NORM, distinct=True),
    ("outer", "values"): several(word("none", "sgd", "nesterov", "adam"), distinct=True),
    ("trajectory", "values"): several(word("paper", "released"), distinct=True),
    ("options", "values"): several(word(*OPTIONS), distinct=True),
    # The search has so many draws.
    ("tuning", "trials"): whole(1, 12),
    ("explorer", "surface"): Rule("the name of a surface", _surface),
    ("settings", "long_runs"): Rule(
        "a mapping of runs to what they are called, such as {'fw-k5': 'K = 5'}", _long_runs
    ),
    ("explorer", "norm"): Rule("a number from 1 to inf", lambda p: _norm(_number(p))),
}


def check(notebook: str, name: str, value: Any, default: str, comment: str = "") -> Any:
    """The value to inject for ``name``, whose default and comment stand in the parameter cell.

    >>> check("har2.ipynb", "inner_steps", 5.0, "10")
    5
    >>> check("har2.ipynb", "x_axis", "time", '"epoch"', 'or "updates"')
    Traceback (most recent call last):
    ...
    fwrnn_core.errors.ConfigError: har2.ipynb: unknown x_axis 'time'. Valid: epoch, updates
    """
    if value is None and default == "None":
        return None
    if default[:1] in "\"'" and (quoted := re.findall(r'"([^"]+)"', comment)):
        known = {default.strip("\"'"), *quoted}
        if value not in known:
            raise ConfigError(f"{notebook}: {unknown(name, value, known)}")
        return value
    rule = OWN.get((PurePath(notebook).stem, name), RULES.get(name))
    if rule is None:
        return value
    try:
        return rule.take(value)
    except ConfigError as error:
        raise ConfigError(f"{notebook}: {error}") from None
    except (TypeError, ValueError):
        raise ConfigError(
            f"{notebook}: parameter {name!r} is {value!r}; give {rule.says}."
        ) from None
