"""The final runs: Table III once more, every method tuned alike, over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from fwrnn_core.evidence import Coverage, Evidence
from fwrnn_core.experiments import fair
from fwrnn_core.experiments.fair import BASELINE
from fwrnn_core.fairness.repeats import draw_row, finish_rows
from fwrnn_core.fairness.search import TASKS, search_coverage
from fwrnn_core.fairness.statistics import Paired, adjusted_p, estimate, paired
from fwrnn_core.reports import markdown_table
from fwrnn_core.training import Record
from fwrnn_core.wording import label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEVEL = 0.90  # test accuracy whose cost is compared
# (task, method) -> names of runs by seed, whether or not the search has settled what they are
Names = Callable[[str, str], dict[int, str]]


def final_names(task: str, method: str) -> dict[int, str]:
    """Planned runs of equal passes, by seed."""
    return fair.names(task, method, "final")


def equal_names(task: str, method: str) -> dict[int, str]:
    """Planned runs of equal gradients, by seed; those of equal passes where both are the same."""
    if runs := fair.equal(task, method):
        return {run.seed: run.name for run in runs}
    return fair.names(task, method, "equal")


def finals(
    evidence: Evidence, task: str, method: str, names: Names = final_names
) -> dict[int, Record]:
    """The finished final runs by seed, diverged ones too."""
    found = {s: evidence.record(name) for s, name in names(task, method).items()}
    return {s: r for s, r in found.items() if r is not None and r.status != "partial"}


def completed(
    evidence: Evidence, task: str, method: str, names: Names = final_names
) -> dict[int, Record]:
    """:func:`finals` without the diverged ones."""
    found = finals(evidence, task, method, names)
    return {seed: r for seed, r in found.items() if r.status == "complete"}


def accuracies(
    evidence: Evidence, task: str, method: str, names: Names = final_names
) -> dict[int, float]:
    """Test accuracy in per cent at the epoch chosen on validation, by seed; complete runs only."""
    return {
        seed: 100 * record.at_best_validation("test_accuracy")
        for seed, record in completed(evidence, task, method, names).items()
    }


def gradients(evidence: Evidence, task: str) -> dict[str, float]:
    """Gradients of a whole final run, by method; methods without a complete run are left out.

    Seeds hold out other subjects, and so differ in windows: the fewest of them, which all take.
    """
    return {
        method: min(float(r.curve("gradient_evaluations")[-1]) for r in runs.values())
        for method in fair.METHODS
        if (runs := completed(evidence, task, method))
    }


def final_coverage(evidence: Evidence, *tasks: str) -> Coverage:
    """State of the final runs on the given tasks."""
    return evidence.coverage(
        name for task in tasks for m in fair.METHODS for name in final_names(task, m).values()
    )


def next_command(evidence: Evidence, *tasks: str) -> str:
    """What trains the final runs; the search first, since they follow from it."""
    searched = search_coverage(evidence, *tasks)
    first = "" if searched.finished == len(searched) else "fwrnn train fair-search --jobs 2 && "
    return f"{first}fwrnn train fair --jobs 2"


def comparisons(evidence: Evidence, task: str, names: Names = final_names) -> dict[str, Paired]:
    """Every other method's difference from :data:`BASELINE`, in percentage points."""
    baseline = accuracies(evidence, task, BASELINE, names)
    return {
        m: paired(accuracies(evidence, task, m, names), baseline)
        for m in fair.METHODS
        if m != BASELINE
    }


def final_table(evidence: Evidence, task: str) -> str:
    """Table III under the fair protocol, one row per method that has a run; ± is the half-width of
    the 95 % interval. The highest mean of those that have all their seeds is bold."""
    header = [
        "method",
        f"minus {label(BASELINE)} (points)",
        "p (Holm)",
        "p",
        "test accuracy (%)",
        "seeds",
    ]
    tests = comparisons(evidence, task)
    adjusted = adjusted_p(tests)
    rows, means = [], {}
    begun = [m for m in fair.METHODS if finals(evidence, task, m)]
    for place, method in enumerate(begun):
        runs, good = finals(evidence, task, method), accuracies(evidence, task, method)
        lost, test = len(runs) - len(good), tests.get(method)
        planned = len(final_names(task, method))
        seeds = f"{len(good)} of {planned}"
        if len(good) == planned:
            means[place] = estimate(list(good.values())).mean
        rows.append(
            [
                label(method),
                str(test) if test is not None and test.n else "–",
                p_value(adjusted.get(method, math.nan)),
                p_value(test.p) if test is not None else "–",
                str(estimate(list(good.values()))) if good else "–",
                seeds + (f", {lost} diverged" if lost else ""),
            ]
        )
    best = {4: max(means, key=lambda place: means[place])} if len(means) > 1 else {}
    return markdown_table(header, rows, best)


def p_value(value: float) -> str:
    """A p value in a table's cell.

    >>> p_value(0.0312), p_value(1e-5), p_value(math.nan)
    ('0.031', '< 0.001', '–')
    """
    if math.isnan(value):
        return "–"
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def draw_differences(ax: Axes, evidence: Evidence, task: str) -> None:
    """Difference of each method from the baseline: a dot per seed, mean and 95 % interval.

    Methods of which no task has a run get no row, so that panels for two tasks have the same rows.
    """
    baseline = accuracies(evidence, task, BASELINE)
    methods = compared(evidence)
    for row, method in enumerate(methods):
        own = accuracies(evidence, task, method)
        draw_row(ax, row, [own[s] - baseline[s] for s in sorted(set(own) & set(baseline))], method)
    finish_rows(ax, [label(m) for m in methods])


def compared(evidence: Evidence) -> list[str]:
    """The methods that some task compares with the baseline."""
    found = [comparisons(evidence, task) for task in TASKS]
    return [m for m in fair.METHODS if any(m in tests and tests[m].n for tests in found)]


def missing_note(evidence: Evidence, *tasks: str) -> str:
    """A note box that says which final runs the tasks still lack, with the command that trains
    them; empty once there is none."""
    lines = []
    for task in tasks:
        state = final_coverage(evidence, task)
        if state.finished < len(state):
            without = [label(m) for m in fair.METHODS if not finals(evidence, task, m)]
            names = f" No run: {'; '.join(without)}." if without else ""
            lines.append(f"- {TASKS[task]}: {state.words()}{names}")
    if not lines:
        return ""
    body = "\n".join(["Runs still missing on this page:\n", *lines])
    return f"```{{note}}\n{body}\n\n`{next_command(evidence, *tasks)}` trains them.\n```"
