"""A small search in memory while the page is built."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fwrnn_core.experiments import fair
from fwrnn_core.reports import adjusted, has_moved, live, markdown_table
from fwrnn_core.training import Record, RunConfig
from fwrnn_core.wording import label


def live_search(
    task: str,
    methods: Sequence[str],
    count: int,
    *,
    source: str,
    inner_steps: int | None,
    radius: float | None,
    norm: float | str,
    **short: Any,
) -> str:
    """Lowest validation loss of the first ``count`` draws, mean over ``seeds``, as a table; the
    lowest of each method is bold. A draw that diverged says so, and one that ended before its
    first update has a dash.

    Where given, ``inner_steps`` and ``radius`` replace the method's own and the drawn one; like
    ``norm`` they concern Frank-Wolfe alone. ``short`` are options of
    :func:`~fwrnn_core.reports.live`.
    """
    header, columns = ["trial"], []
    for method in methods:
        text, losses = label(method), []
        for drawn in fair.search(task, method)[:count]:
            text, config = _changed(drawn, method, inner_steps, radius, norm)
            short["data.options"] = {**config.data.options, "source": source}
            losses.append(_lowest(live(config, **short)))
        header.append(text)
        columns.append(losses)
    return _table(header, columns)


def _lowest(runs: Sequence[Record]) -> float:
    """Lowest validation loss, mean over the runs; infinite if one diverged, and NaN if one never
    moved its weights, since what it has is the loss of the initial ones."""
    if any(run.status == "diverged" for run in runs):
        return math.inf
    if not all(has_moved(run) for run in runs):
        return math.nan
    return float(np.mean([np.nanmin(r.curve("validation_loss")) for r in runs]))


def _table(header: Sequence[str], columns: Sequence[Sequence[float]]) -> str:
    """Losses by trial and method, the lowest of each method bold, and what a dash means."""
    rows = [[f"{n:02d}", *map(_cell, row)] for n, row in enumerate(zip(*columns, strict=True))]
    best = {
        place: int(np.nanargmin(column))
        for place, column in enumerate(columns, start=1)
        if np.any(np.isfinite(column))
    }
    table = markdown_table(header, rows, best)
    if not np.any(np.isnan(columns)):
        return table
    return (
        f"{table}\n\nA dash: fewer minibatches than the $K$ that one update takes, so the weights "
        "never moved."
    )


def _cell(loss: float) -> str:
    if math.isnan(loss):
        return "–"
    return f"{loss:.4f}" if math.isfinite(loss) else "diverged"


def _changed(
    drawn: RunConfig,
    method: str,
    inner_steps: int | None,
    radius: float | None,
    norm: float | str,
) -> tuple[str, RunConfig]:
    """The trial as the reader wants it, and what to call it."""
    own = drawn.optimizer
    if own.name != "frank-wolfe":
        return label(method), drawn
    # Named by its method, not by the number of its draw.
    text, config = adjusted(
        drawn.replace(name=method),
        inner_steps=inner_steps or own.inner_steps,
        radius=radius,
        norm=norm,
    )
    return text, config if radius else config.replace(**{"optimizer.radius": own.radius})
