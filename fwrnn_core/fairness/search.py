"""The random search: what was drawn, what each trial reached, what was chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fwrnn_core import figures
from fwrnn_core.evidence import Coverage, Evidence
from fwrnn_core.experiments import fair
from fwrnn_core.reports import compact, is_ours, markdown_table
from fwrnn_core.training import RunConfig
from fwrnn_core.wording import label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TASKS = {"har2": "HAR-2", "noisy-har2": "Noisy-HAR-2"}


def empty(ax: Axes, place: float, *, horizontal: bool = False) -> None:
    """Say at one place of a categorical axis that nothing has been run there."""
    style: dict[str, Any] = {"color": figures.MUTED, "fontsize": 9, "va": "center", "ha": "center"}
    if horizontal:
        ax.text(0.5, place, "not run yet", transform=ax.get_yaxis_transform(), **style)
    else:
        where = ax.get_xaxis_transform()
        ax.text(place, 0.5, "not run yet", transform=where, rotation=90, **style)


class Trial(NamedTuple):
    """One trial: ``number`` is the last part of its record's name, counted from 0; ``loss`` is its
    lowest validation loss, inf if it diverged, NaN if it is not finished; ``accuracy`` (a fraction)
    stands at the same epoch."""

    number: int
    config: RunConfig
    loss: float
    accuracy: float
    seconds: float


def trials(evidence: Evidence, task: str, method: str) -> list[Trial]:
    """The search of one method in the order of its draws."""
    found = []
    for number, config in enumerate(fair.search(task, method)):
        record = evidence.record(config.name)
        loss = accuracy = math.nan
        if record is not None and record.status == "diverged":
            loss = math.inf
        elif record is not None and record.status == "complete":
            loss = float(np.nanmin(record.curve("validation_loss")))
            accuracy = record.at_best_validation("validation_accuracy")
        found.append(Trial(number, config, loss, accuracy, record.seconds if record else 0.0))
    return found


def best_of(found: Sequence[Trial]) -> Trial | None:
    """The finished trial with the lowest loss, or None."""
    finished = [t for t in found if math.isfinite(t.loss)]
    return min(finished, key=lambda t: t.loss) if finished else None


def _setting(config: RunConfig) -> list[str]:
    radius = "–"
    if config.optimizer.name == "frank-wolfe":
        radius = "lr" if config.optimizer.radius is None else compact(config.optimizer.radius)
    return [compact(config.optimizer.lr), str(config.batch_size), f"{config.lr_gamma:g}", radius]


def draws_table() -> str:
    """The draws of the search, the same for every method and task."""
    header = ["trial", "learning rate", "batch size", "decay", "radius δ"]
    draws = fair.search("har2", "fw-k5")
    return markdown_table(
        header, [[f"{n:02d}", *_setting(config)] for n, config in enumerate(draws)]
    )


def outcome_table(evidence: Evidence, task: str) -> str:
    """What the search chose per method, or the best so far and how many trials are missing."""
    setting = ["rate", "batch", "decay", "δ"]
    header = ["method", "done", "trial", *setting, "loss", "acc. (%)"]
    rows = []
    for method in fair.METHODS:
        found = trials(evidence, task, method)
        best, done = best_of(found), sum(not math.isnan(t.loss) for t in found)
        chosen = ["–" if not done else "all diverged", *["–"] * 6]
        if best is not None:
            sure = "" if done == len(found) else " so far"
            score = [f"{best.loss:.4f}", f"{100 * best.accuracy:.1f}"]
            chosen = [f"{best.number:02d}{sure}", *_setting(best.config), *score]
        rows.append([label(method), f"{done}/{len(found)}", *chosen])
    return markdown_table(header, rows)


def draw_search(ax: Axes, evidence: Evidence, task: str) -> None:
    """Validation loss of every finished trial, one row per method; the best has a ring."""
    methods = list(fair.METHODS)
    everything = {m: trials(evidence, task, m) for m in methods}
    finite = [t.loss for ts in everything.values() for t in ts if math.isfinite(t.loss)]
    edge = 1.1 * max(finite, default=1.0)
    for row, method in enumerate(methods):
        look = figures.LOOKS[0 if is_ours(method) else 1]
        losses = [t.loss for t in everything[method] if math.isfinite(t.loss)]
        ax.plot(losses, [row] * len(losses), look.marker, color=look.color, alpha=0.55)
        lost = sum(math.isinf(t.loss) for t in everything[method])
        ax.plot([edge] * lost, [row] * lost, "x", color=figures.INK)
        best = best_of(everything[method])
        if best is not None:
            ax.plot([best.loss], [row], "o", color=look.color, mfc="none", markersize=11)
        elif not lost:
            empty(ax, row, horizontal=True)
    ax.set_yticks(range(len(methods)), [label(m) for m in methods])
    ax.set_ylim(len(methods) - 0.4, -0.6)
    ax.locator_params(axis="x", nbins=4)


def search_coverage(evidence: Evidence, *tasks: str) -> Coverage:
    """State of the search's trials on the given tasks."""
    return evidence.coverage(
        config.name for task in tasks for m in fair.METHODS for config in fair.search(task, m)
    )
