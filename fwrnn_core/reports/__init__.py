"""What the experiment pages share: names, figures and tables made from records, short live runs.

A page is about a fixed list of runs, of which any number may have a record, and some a part of
theirs: :func:`recorded` says which, the figures draw what exists and the tables show what is
missing. Nothing here holds a number of its own.
"""

from fwrnn_core.reports.names import (
    LABELS,
    X_AXES,
    Y_AXES,
    compact,
    label,
    method,
    published,
    short,
    unbroken,
    x_label,
)
from fwrnn_core.reports.plots import (
    draw,
    draw_beside_print,
    draw_groups,
    draw_losses,
    note,
    rows,
    shown,
)
from fwrnn_core.reports.runs import (
    Recorded,
    overall,
    progress,
    reaches,
    recorded,
    same_machine,
    seconds_per_epoch,
)
from fwrnn_core.reports.short_runs import adjusted, live
from fwrnn_core.reports.tables import (
    beside_print,
    best_accuracy,
    markdown_table,
    setup_table,
)

__all__ = [
    "LABELS",
    "X_AXES",
    "Y_AXES",
    "Recorded",
    "adjusted",
    "beside_print",
    "best_accuracy",
    "compact",
    "draw",
    "draw_beside_print",
    "draw_groups",
    "draw_losses",
    "label",
    "live",
    "markdown_table",
    "method",
    "note",
    "overall",
    "progress",
    "published",
    "reaches",
    "recorded",
    "rows",
    "same_machine",
    "seconds_per_epoch",
    "setup_table",
    "short",
    "shown",
    "unbroken",
    "x_label",
]
