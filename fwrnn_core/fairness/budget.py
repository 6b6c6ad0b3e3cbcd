"""Fewer gradients, the same number for all, as far as records of equal passes can say.

The final runs of all methods make as many passes over the data, and the batch size was searched, so
that their gradients differ in number. Here every run is read as if it had been stopped once it had
taken a common number of them: at the epoch with the lowest validation loss among those before.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fwrnn_core import figures
from fwrnn_core.evidence import Evidence
from fwrnn_core.experiments import fair
from fwrnn_core.fairness.final import BASELINE, accuracies, completed, final_names, gradients
from fwrnn_core.fairness.search import TASKS
from fwrnn_core.fairness.statistics import Paired, differences, estimate
from fwrnn_core.fairness.words import who_differs
from fwrnn_core.reports import axis_label, highest, listed, markdown_table, short
from fwrnn_core.training import Record
from fwrnn_core.wording import in_words, label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def budgets(evidence: Evidence, task: str) -> list[float]:
    """What whole final runs took, from the fewest gradients up to those of :data:`BASELINE`: beyond
    its end nothing can be held against it. Empty without its runs."""
    taken = gradients(evidence, task)
    return sorted({g for g in taken.values() if g <= taken.get(BASELINE, 0)})


def chosen_so_far(record: Record) -> np.ndarray:
    """Test accuracy in per cent by epoch, had the run stopped there: that of the epoch with the
    lowest validation loss up to then; NaN before the first finite loss."""
    losses, values = record.curve("validation_loss"), 100 * record.curve("test_accuracy")
    before = np.fmin.accumulate(np.concatenate([[math.inf], losses[:-1]]))
    places = np.maximum.accumulate(np.where(losses < before, np.arange(len(losses)), -1))
    return np.where(places < 0, math.nan, values[places])


def within(
    evidence: Evidence, task: str, method: str, budget: float = math.inf
) -> dict[int, float]:
    """Test accuracy in per cent by seed, each run read within ``budget`` gradients.

    Empty where the runs end before the budget, or where their first epoch exceeds it. Without a
    budget this is :func:`~fwrnn_core.fairness.accuracies`.
    """
    if not math.isfinite(budget):
        return accuracies(evidence, task, method)
    read = {}
    for seed, record in completed(evidence, task, method).items():
        taken = record.curve("gradient_evaluations")
        epochs = int(np.sum(taken <= budget))
        if epochs and taken[-1] >= budget:
            read[seed] = float(chosen_so_far(record)[epochs - 1])
    return read


def leads_within(evidence: Evidence, task: str, budget: float = math.inf) -> dict[str, Paired]:
    """Every other method's difference from :data:`BASELINE` in points, within the budget; methods
    that share no seed with it are left out."""
    return differences({m: within(evidence, task, m, budget) for m in fair.METHODS}, BASELINE)


def budget_table(evidence: Evidence, task: str) -> str:
    """Accuracy within each of :func:`budgets`, and minus the baseline's, seed by seed; a row per
    method with a complete run, a dash where its runs end before, ± the half-width of the 95 %
    interval. The highest mean of those with all their seeds is bold in each column."""
    header = ["method", "gradients of a run"]
    taken, levels = gradients(evidence, task), budgets(evidence, task)
    for level in levels:
        header += [f"within {level:,.0f} (%)", f"minus {label(BASELINE)}"]
    rows = [[label(m), f"{total:,.0f}"] for m, total in taken.items()]
    means: dict[int, dict[int, float]] = {}
    for column, level in enumerate(levels, start=1):
        leads, of_level = leads_within(evidence, task, level), means.setdefault(2 * column, {})
        for place, (method, row) in enumerate(zip(taken, rows, strict=True)):
            values = within(evidence, task, method, level).values()
            row += [str(estimate(values)), str(leads.get(method, "–"))]
            if len(values) == len(final_names(task, method)):
                of_level[place] = estimate(values).mean
    return markdown_table(header, rows, highest(means))


def reordered(first: Sequence[float], second: Sequence[float]) -> tuple[int, int]:
    """Pairs whose order differs between two lists of numbers, and the number of pairs.

    >>> reordered([1.0, 2.0, 3.0], [1.0, 3.0, 2.0])
    (1, 3)
    """
    pairs = list(itertools.combinations(range(len(first)), 2))
    return sum((first[i] - first[j]) * (second[i] - second[j]) < 0 for i, j in pairs), len(pairs)


def budget_reading(evidence: Evidence, task: str) -> str:
    """Whether the ranking changes when every run is read within the fewest gradients of them all;
    empty before two methods and the baseline have runs."""
    levels = budgets(evidence, task)
    if not levels:
        return ""
    least, taken = levels[0], gradients(evidence, task)
    methods = [m for m in taken if within(evidence, task, m, least)]
    if len(methods) < 2 or BASELINE not in methods:
        return ""
    whole, early = (
        [estimate(within(evidence, task, m, budget).values()).mean for m in methods]
        for budget in (math.inf, least)
    )
    first = [methods[int(np.argmax(means))] for means in (whole, early)]
    changed, pairs = reordered(whole, early)
    shortest = listed([in_words(m) for m in methods if taken[m] == least])
    place = (
        f"{in_words(first[0])} has the highest mean in both"
        if first[0] == first[1]
        else f"the highest mean goes from {in_words(first[0])} to {in_words(first[1])}"
    )
    fully, early_on = (who_differs(leads_within(evidence, task, b)) for b in (math.inf, least))
    return (
        f"**{TASKS[task]}.** The shortest final run has {least:,.0f} gradients ({shortest}), the"
        f" longest {max(taken.values()):,.0f}. From equal passes to {least:,.0f} gradients each,"
        f" {changed} of {pairs} pairs of methods change their order, and {place}. Against"
        f" {label(BASELINE)}, with equal passes: {fully}. Within"
        f" {least:,.0f} gradients: {early_on}."
    )


def budget_figure(
    evidence: Evidence, methods: Sequence[str], x: str = "gradient_evaluations"
) -> Figure | None:
    """:func:`draw_budgets` for each task whose baseline has runs; None while there is none."""
    from matplotlib.figure import Figure

    tasks = [task for task in TASKS if budgets(evidence, task)]
    if not tasks:
        return None
    fig = Figure(figsize=(figures.WIDTH, 3.4 * len(tasks)))
    for ax, task in zip(fig.subplots(len(tasks), 1, squeeze=False)[:, 0], tasks, strict=True):
        ax.set_title(TASKS[task])
        draw_budgets(ax, evidence, task, methods, x)
    return fig


def draw_budgets(
    ax: Axes,
    evidence: Evidence,
    task: str,
    methods: Sequence[str],
    x: str = "gradient_evaluations",
) -> None:
    """Mean over the seeds of :func:`chosen_so_far` over ``x``, with their range as a band; a line
    per method that has runs.

    Over gradients the axis is logarithmic and dotted lines mark :func:`budgets`.
    """
    every = []
    for method, look in zip(
        methods, figures.looks([label(m) for m in methods]).values(), strict=True
    ):
        records = list(completed(evidence, task, method).values())
        if not records:
            continue
        every += records
        read = figures.spread([chosen_so_far(r) for r in records], "range")
        # An epoch has a few gradients more or less, with the windows of the subjects held out.
        places = np.mean([r.curve(x) for r in records], axis=0)
        thin = {"markevery": max(1, len(places) // 6), "markersize": 4, "linewidth": 1.4}
        # Fainter than elsewhere: most of the bands lie over one another.
        figures.band(ax, places, read, look, short(label(method)), alpha=0.1, **thin)
    if x == "gradient_evaluations":
        ax.set_xscale("log")
        for level in budgets(evidence, task):
            ax.axvline(level, color=figures.FAINT, linewidth=0.9, linestyle=(0, (1, 2)))
    ax.set_xlabel(axis_label(x, every))
    ax.set_ylabel("test accuracy (%)")
    if every:
        figures.label_ends(ax)
