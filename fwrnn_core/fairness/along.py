"""What the final runs would have given along the way, had they been stopped early."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fwrnn_core import figures
from fwrnn_core.evidence import Evidence
from fwrnn_core.fairness.final import completed
from fwrnn_core.fairness.search import TASKS
from fwrnn_core.reports import axis_label, short
from fwrnn_core.training import Record
from fwrnn_core.wording import label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def chosen_so_far(record: Record) -> np.ndarray:
    """Test accuracy in per cent by epoch, had the run stopped there: that of the epoch with the
    lowest validation loss up to then; NaN before the first finite loss."""
    losses, values = record.curve("validation_loss"), 100 * record.curve("test_accuracy")
    before = np.fmin.accumulate(np.concatenate([[math.inf], losses[:-1]]))
    places = np.maximum.accumulate(np.where(losses < before, np.arange(len(losses)), -1))
    return np.where(places < 0, math.nan, values[places])


def along_figure(
    evidence: Evidence, methods: Sequence[str], x: str = "gradient_evaluations"
) -> Figure | None:
    """:func:`draw_along` for each task that has runs of them; None while there is none."""
    from matplotlib.figure import Figure

    tasks = [task for task in TASKS if any(completed(evidence, task, m) for m in methods)]
    if not tasks:
        return None
    fig = Figure(figsize=(figures.WIDTH, 3.4 * len(tasks)))
    for ax, task in zip(fig.subplots(len(tasks), 1, squeeze=False)[:, 0], tasks, strict=True):
        ax.set_title(TASKS[task])
        draw_along(ax, evidence, task, methods, x)
    return fig


def draw_along(
    ax: Axes,
    evidence: Evidence,
    task: str,
    methods: Sequence[str],
    x: str = "gradient_evaluations",
) -> None:
    """Mean over the seeds of :func:`chosen_so_far` over ``x``, with their range as a band; a line
    per method that has runs.

    Over gradients the axis is logarithmic.
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
    ax.set_xlabel(axis_label(x, every))
    ax.set_ylabel("test accuracy (%)")
    if every:
        figures.label_ends(ax)
