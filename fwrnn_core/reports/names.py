"""Names for readers: of methods, of axes; and the paper's printed numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from fwrnn_core import paths, wording
from fwrnn_core.training import Record, RunConfig
from fwrnn_core.wording import power_of_ten

# What progress is measured in; the paper's figures mix the first three.
X_AXES = {
    "epoch": "epochs",
    "updates": "outer updates",
    "gradient_evaluations": "gradient evaluations",
    "seconds": "seconds on one core",
}
Y_AXES = {
    "train_loss": "training loss",
    "test_loss": "test loss",
    "train_accuracy": "training accuracy (%)",
    "test_accuracy": "test accuracy (%)",
    "validation_accuracy": "validation accuracy (%)",
}


def method(run: Record | RunConfig) -> str:
    """The method's part of a run's name.

    >>> method(RunConfig("har2/published/fw-k5"))
    'fw-k5'
    """
    return run.name.rpartition("/")[2]


def label(run: Record | RunConfig) -> str:
    """The method's name for readers.

    >>> label(RunConfig("har2/published/fw-k5"))
    'Frank-Wolfe, K = 5'
    """
    return wording.label(run.name)


def is_ours(slug: str) -> bool:
    """Whether a method is the paper's own optimizer or uses it.

    >>> is_ours("fw-k5"), is_ours("lstm-fw"), is_ours("adam-tbptt")
    (True, True, False)
    """
    return slug.startswith("fw") or slug.endswith("fw")


def listed(parts: Sequence[str]) -> str:
    """Parts of a sentence with commas and an "and".

    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def short(text: str) -> str:
    """A label for the end of a curve, where there is little room.

    >>> short("Frank-Wolfe, K = 5, TBPTT"), short("Adam, TBPTT"), short("LSTM, Frank-Wolfe")
    ('K = 5, TBPTT', 'Adam, TBPTT', 'LSTM, Frank-Wolfe')
    """
    return text.removeprefix("Frank-Wolfe, ") if "K = " in text else text


def compact(value: float) -> str:
    """A setting such as a learning rate, in as few digits as it has.

    >>> compact(0.0006), compact(2e-05), compact(1e-05)
    ('0.0006', '2·10⁻⁵', '10⁻⁵')
    """
    digits, power, exponent = f"{value:g}".partition("e")
    if not power:
        return digits
    raised = power_of_ten(int(exponent))
    return raised if digits == "1" else f"{digits}·{raised}"


@cache
def published() -> dict[str, Any]:
    """The paper's printed numbers: ``data/published.json``, with their source."""
    path = paths.home() / "data" / "published.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))
