"""What the experiment pages share: names, figures and tables made from records, short live runs.

A page is about a fixed list of runs, of which any number may have a record, and some a part of
theirs: :func:`coverage` says which, the figures draw what exists and the tables show what is
missing. Nothing here holds a number of its own.
"""

from fwrnn_core.reports.names import LABELS, X_AXES, Y_AXES, label, method, published, x_label
from fwrnn_core.reports.plots import (
    draw,
    draw_beside_print,
    draw_groups,
    draw_losses,
    draw_settings,
    note,
    rows,
)
from fwrnn_core.reports.recorded import (
    Coverage,
    Verdict,
    coverage,
    judge,
    overall,
    progress,
    reaches,
    same_machine,
    seconds_per_epoch,
    tally,
)
from fwrnn_core.reports.short_runs import adjusted, live
from fwrnn_core.reports.tables import (
    beside_print,
    beside_published,
    best_accuracy,
    by_setting,
    chosen,
    claim_table,
    markdown_table,
    settings_table,
    setup_table,
)

__all__ = [
    "LABELS",
    "X_AXES",
    "Y_AXES",
    "Coverage",
    "Verdict",
    "adjusted",
    "beside_print",
    "beside_published",
    "best_accuracy",
    "by_setting",
    "chosen",
    "claim_table",
    "coverage",
    "draw",
    "draw_beside_print",
    "draw_groups",
    "draw_losses",
    "draw_settings",
    "judge",
    "label",
    "live",
    "markdown_table",
    "method",
    "note",
    "overall",
    "progress",
    "published",
    "reaches",
    "rows",
    "same_machine",
    "seconds_per_epoch",
    "settings_table",
    "setup_table",
    "tally",
    "x_label",
]
