"""What the experiment pages share: names, figures and tables made from records, short live runs.

A page is about a fixed list of runs, of which any number may have a record, and some a part of
theirs: :func:`recorded` says which, the figures draw what exists and the tables show what is
missing. Nothing here holds a number of its own.
"""

from fwrnn_core.reports.names import (
    X_AXES,
    compact,
    is_ours,
    label,
    listed,
    method,
    published,
    short,
)
from fwrnn_core.reports.plots import (
    axis_label,
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
    authors_axis,
    authors_epochs,
    first_reaching,
    overall,
    progress,
    recorded,
    same_machine,
    seconds_per_epoch,
    timed_alike,
    unequal,
)
from fwrnn_core.reports.short_runs import adjusted, has_moved, live
from fwrnn_core.reports.tables import (
    TAIL,
    beside_print,
    best_accuracy,
    highest,
    last_accuracy,
    markdown_table,
    seeds_done,
    setup_table,
    standing,
    tail_accuracy,
    times_beside_print,
)
from fwrnn_core.wording import LABELS
