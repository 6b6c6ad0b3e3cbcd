"""What it took to become good enough: epochs, gradients and seconds to a level of accuracy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from fwrnn_core.evidence import Evidence
from fwrnn_core.experiments import fair
from fwrnn_core.fairness.final import BASELINE, LEVEL, accuracies, finals
from fwrnn_core.fairness.search import TASKS
from fwrnn_core.reports import first_reaching, markdown_table, timed_alike
from fwrnn_core.training import Record
from fwrnn_core.wording import in_words, label

ARRIVALS = (0.85, 0.88, 0.90)
WINDOW = 5  # epochs in the running mean that a single good epoch does not lift


def until_level(record: Record, x: str = "gradient_evaluations") -> float:
    """What a run took on ``x`` to reach :data:`LEVEL`; inf if it never did."""
    return first_reaching(record, "test_accuracy", LEVEL, x)


def cost_table(evidence: Evidence, task: str) -> str:
    """What it took to reach :data:`LEVEL`: median over the finished seeds, how many got there.

    Seconds stand only where all of a method's runs were timed under the same version of the sources
    and on the same kind of machine as the baseline's.
    """
    level = f"to {100 * LEVEL:.0f} %"
    header = ["method", "got there", "epochs", f"gradients {level}", f"seconds {level}"]
    rows = []
    other = set(timed_otherwise(evidence, task))
    for method, records in _runs(evidence, task).items():
        reached = sum(math.isfinite(until_level(r)) for r in records)
        costs = [_median(records, x) for x in ("epoch", "gradient_evaluations", "seconds")]
        if method in other and reached:
            costs[2] = "–"
        rows.append([label(method), f"{reached} of {len(records)}", *costs])
    return markdown_table(header, rows)


def _runs(evidence: Evidence, task: str) -> dict[str, list[Record]]:
    """The finished final runs of each method that has one."""
    found = {m: list(finals(evidence, task, m).values()) for m in fair.METHODS}
    return {method: runs for method, runs in found.items() if runs}


def timed_otherwise(evidence: Evidence, task: str) -> list[str]:
    """The methods whose seconds cannot be held against the baseline's."""
    runs = _runs(evidence, task)
    return [m for m, own in runs.items() if not timed_alike([*runs.get(BASELINE, ()), *own])]


def _median(records: Sequence[Record], x: str) -> str:
    """Median over the seeds, those that never get there counting as infinite."""
    median = float(np.median([until_level(r, x) for r in records]))
    if math.isfinite(median):
        return f"{median:,.0f}"
    some = any(math.isfinite(until_level(r)) for r in records)
    return "not by most" if some else "never"


def arrival(record: Record, level: float) -> float:
    """The first epoch at whose end the mean test accuracy of the last :data:`WINDOW` epochs is at
    least ``level`` (a fraction); inf if none is."""
    curve = record.curve("test_accuracy")
    if len(curve) < WINDOW:
        return math.inf
    means = np.convolve(curve, np.ones(WINDOW) / WINDOW, mode="valid")
    there = np.flatnonzero(means >= level)
    return float(there[0] + WINDOW) if there.size else math.inf


def arrival_table(evidence: Evidence, task: str) -> str:
    """Seeds whose running mean reaches each of :data:`ARRIVALS`, and their median epoch."""
    header = ["method"]
    for level in ARRIVALS:
        header += [f"seeds to {100 * level:.0f} %", "epoch"]
    rows = []
    for method, records in _runs(evidence, task).items():
        row = [label(method)]
        for level in ARRIVALS:
            there = [arrival(r, level) for r in records]
            middle = float(np.median(there))
            row.append(f"{sum(map(math.isfinite, there))} of {len(there)}")
            row.append(f"{middle:.0f}" if math.isfinite(middle) else "–")
        rows.append(row)
    return markdown_table(header, rows)


def arrival_words(evidence: Evidence, task: str) -> str:
    """What the running mean makes of the level of the cost table, and how epochs mislead."""
    runs = _runs(evidence, task)
    everyone = [r for own in runs.values() for r in own]
    reached = [accuracies(evidence, task, m) for m in runs]
    means = [float(np.mean(list(values.values()))) for values in reached if values]
    if BASELINE not in runs or not means:
        return ""
    once = sum(math.isfinite(until_level(r)) for r in everyone)
    stay = sum(math.isfinite(arrival(r, LEVEL)) for r in everyone)
    level = f"{100 * LEVEL:.0f} %"
    text = (
        f"On {TASKS[task]}, {once} of {len(everyone)} runs reach {level} in some epoch, {stay} in"
        f" the mean of {WINDOW} epochs. At the epoch chosen on validation the methods' means are"
        f" {min(means):.1f} to {max(means):.1f} %, so who reaches {level} first is partly luck."
    )
    per_epoch = {m: float(own[0].curve("gradient_evaluations")[0]) for m, own in runs.items()}
    least, most = (f(per_epoch, key=lambda m: per_epoch[m]) for f in (min, max))
    if per_epoch[least] < per_epoch[most]:
        text += (
            f" An epoch is not the same work for all: it has {per_epoch[least]:,.0f} gradients for"
            f" {in_words(least)}, {per_epoch[most]:,.0f} for {in_words(most)} and"
            f" {per_epoch[BASELINE]:,.0f} for {label(BASELINE)}."
        )
    return text
