"""The final runs: Table III once more, every method tuned alike, over seeds.

Every chosen setting is trained twice: with as many passes over the data for each method, and with
as many gradients as the baseline's runs of equal passes take.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from fwrnn_core import figures
from fwrnn_core.evidence import Coverage, Evidence
from fwrnn_core.experiments import fair
from fwrnn_core.experiments.fair import BASELINE
from fwrnn_core.fairness.repeats import draw_row, finish_rows
from fwrnn_core.fairness.search import TASKS, search_coverage
from fwrnn_core.fairness.statistics import Paired, adjusted_p, differences, estimate, paired
from fwrnn_core.reports import highest, listed, markdown_table, seeds_done
from fwrnn_core.training import Record
from fwrnn_core.wording import in_words, label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEVEL = 0.90  # test accuracy whose cost is compared
# (task, method) -> names of runs by seed, whether or not the search has settled what they are
Names = Callable[[str, str], dict[int, str]]
# Further columns of a table: head -> the cell of a method
Columns = Mapping[str, Callable[[str], str]]


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
    return evidence.finished(names(task, method))


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


def gradients(evidence: Evidence, task: str, names: Names = final_names) -> dict[str, float]:
    """Gradients of a whole final run, by method; methods without a complete run are left out.

    Seeds hold out other subjects, and so differ in windows: the fewest of them, which all take.
    """
    return {
        method: min(float(r.curve("gradient_evaluations")[-1]) for r in runs.values())
        for method in fair.METHODS
        if (runs := completed(evidence, task, method, names))
    }


def final_coverage(evidence: Evidence, *tasks: str) -> Coverage:
    """State of the final runs on the given tasks."""
    return evidence.coverage(
        name for task in tasks for m in fair.METHODS for name in final_names(task, m).values()
    )


def comparisons(
    evidence: Evidence, task: str, names: Names = final_names, fewest: int = 1
) -> dict[str, Paired]:
    """Every other method's difference from :data:`BASELINE`, in percentage points; methods that
    share fewer seeds with it than ``fewest`` are left out."""
    found = {m: accuracies(evidence, task, m, names) for m in fair.METHODS}
    return differences(found, BASELINE, fewest)


def lengthened(evidence: Evidence, task: str) -> dict[str, Paired]:
    """What equal gradients change: accuracy with them minus accuracy with equal passes, in points,
    seed by seed, for the methods that have both and whose runs are not the same."""
    tests = {
        m: paired(accuracies(evidence, task, m, equal_names), accuracies(evidence, task, m))
        for m in fair.METHODS
        if equal_names(task, m) != final_names(task, m)
    }
    return {m: test for m, test in tests.items() if test.n}


def final_table(evidence: Evidence, task: str) -> str:
    """Table III under the fair protocol, one row per method that has a run; ± is the half-width of
    the 95 % interval. The highest mean of those that have all their seeds is bold."""
    tests = comparisons(evidence, task)
    p = {"p": lambda m: p_value(tests[m].p) if m in tests else "–"}
    return _table(evidence, task, final_names, p, {})


def equal_table(evidence: Evidence, task: str) -> str:
    """:func:`final_table` of the runs of equal gradients, with what these change."""
    changed = lengthened(evidence, task)

    def change(method: str) -> str:
        same = equal_names(task, method) == final_names(task, method)
        return "the same runs" if same else str(changed.get(method, "–"))

    def passes(method: str) -> str:
        runs = finals(evidence, task, method, equal_names).values()
        return listed(sorted({str(run.config.epochs) for run in runs}))

    after = {"minus equal passes (points)": change, "passes": passes}
    return _table(evidence, task, equal_names, {}, after)


def _table(evidence: Evidence, task: str, names: Names, before: Columns, after: Columns) -> str:
    """Difference from the baseline, accuracy and seeds; ``before`` and ``after`` stand beside the
    accuracy."""
    start = ["method", f"minus {label(BASELINE)} (points)", "p (Holm)", *before]
    tests = comparisons(evidence, task, names)
    adjusted = adjusted_p(tests)
    rows: list[list[str]] = []
    means: dict[int, float] = {}
    for method in fair.METHODS:
        runs = finals(evidence, task, method, names)
        if not runs:
            continue
        good, planned = accuracies(evidence, task, method, names), len(names(task, method))
        if len(good) == planned:
            means[len(rows)] = estimate(good.values()).mean
        rows.append(
            [
                label(method),
                str(tests.get(method, "–")),
                p_value(adjusted.get(method, math.nan)),
                *(cell(method) for cell in before.values()),
                str(estimate(good.values())),
                *(cell(method) for cell in after.values()),
                seeds_done(len(good), planned, len(runs) - len(good)),
            ]
        )
    header = [*start, "test accuracy (%)", *after, "seeds"]
    return markdown_table(header, rows, highest({len(start): means}))


def p_value(value: float) -> str:
    """A p value in a table's cell.

    >>> p_value(0.0312), p_value(1e-5), p_value(math.nan)
    ('0.031', '< 0.001', '–')
    """
    if math.isnan(value):
        return "–"
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def difference_figure(
    evidence: Evidence, height: float, names: Names = final_names
) -> Figure | None:
    """:func:`draw_differences` for each task that has some; None while there is none."""
    tasks = [task for task in TASKS if comparisons(evidence, task, names)]
    if not tasks:
        return None
    fig, axes = figures.panels(len(tasks), titles=[TASKS[task] for task in tasks], height=height)
    for ax, task in zip(axes, tasks, strict=True):
        draw_differences(ax, evidence, task, names)
    fig.supxlabel("test accuracy minus Adam + clipping (points)", fontsize=10.5)
    return fig


def draw_differences(ax: Axes, evidence: Evidence, task: str, names: Names = final_names) -> None:
    """Difference of each method from the baseline: a dot per seed, mean and 95 % interval.

    Methods of which no task has a run get no row, so that panels for two tasks have the same rows.
    """
    compared = set[str]().union(*(comparisons(evidence, each, names) for each in TASKS))
    methods = [m for m in fair.METHODS if m in compared]
    for row, method in enumerate(methods):
        both = (accuracies(evidence, task, m, names) for m in (method, BASELINE))
        draw_row(ax, row, method, *both)
    finish_rows(ax, methods)


def missing_note(evidence: Evidence, *tasks: str) -> str:
    """A note box that says which final runs the tasks still lack, with the command that trains
    them; empty once there is none."""
    lines = []
    for task in tasks:
        state = final_coverage(evidence, task)
        if not state.whole:
            without = [label(m) for m in fair.METHODS if not finals(evidence, task, m)]
            names = f" No run: {'; '.join(without)}." if without else ""
            lines.append(f"- {TASKS[task]}: {state.words()}{names}")
    if not lines:
        return ""
    body = "\n".join(["Runs still missing on this page:\n", *lines])
    # The final runs follow from the search.
    first = (
        "" if search_coverage(evidence, *tasks).whole else "fwrnn train fair-search --jobs 2 && "
    )
    return f"```{{note}}\n{body}\n\n`{first}fwrnn train fair --jobs 2` trains them.\n```"


def equal_missing(evidence: Evidence, task: str) -> str:
    """Which methods have no run of equal gradients, or not all; empty where nothing is missing."""
    there = {m: len(finals(evidence, task, m, equal_names)) for m in fair.METHODS}
    wanted = {m: len(equal_names(task, m)) for m in fair.METHODS}
    without = [in_words(m) for m, n in there.items() if not n]
    partly = [f"{in_words(m)} ({n} of {wanted[m]})" for m, n in there.items() if 0 < n < wanted[m]]
    said = [f"Not run: {listed(without)}"] if without else []
    said += [f"Run with only some seeds: {listed(partly)}"] if partly else []
    if not said:
        return ""
    command = f"`fwrnn train 'fair/{task}/equal/*' --jobs 2` trains what is missing"
    return f" {'. '.join(said)}; {command}."
