"""A small search in memory while the page is built."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fwrnn_core.experiments import fair
from fwrnn_core.reports import adjusted, live, markdown_table
from fwrnn_core.training import RunConfig
from fwrnn_core.wording import label


def live_search(
    task: str,
    methods: Sequence[str],
    count: int,
    *,
    seeds: Sequence[int],
    epochs: int,
    train_limit: int,
    source: str = "auto",
    inner_steps: int | None = None,
    radius: float | None = None,
    norm: float | str = 2.0,
    device: str = "auto",
) -> str:
    """Lowest validation loss of the first ``count`` draws, mean over ``seeds``, as a table; the
    lowest of each method is bold.

    Where given, ``inner_steps`` and ``radius`` replace the method's own and the drawn one; like
    ``norm`` they concern Frank-Wolfe alone.
    """
    header, columns = ["trial"], []
    for method in methods:
        text, losses = label(method), []
        for drawn in fair.search(task, method)[:count]:
            text, config = _changed(drawn, method, inner_steps, radius, norm)
            changes: dict[str, Any] = {"data.options": {**config.data.options, "source": source}}
            runs = live(
                config,
                seeds=seeds,
                epochs=epochs,
                train_limit=train_limit,
                device=device,
                **changes,
            )
            losses.append(np.mean([np.nanmin(r.curve("validation_loss")) for r in runs]))
        header.append(text)
        columns.append(losses)
    rows = [
        [f"{n:02d}", *(f"{v:.4f}" for v in row)] for n, row in enumerate(zip(*columns, strict=True))
    ]
    best = {place: int(np.argmin(column)) for place, column in enumerate(columns, start=1)}
    return markdown_table(header, rows, best)


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
