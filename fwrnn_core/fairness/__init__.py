"""The fair protocol read out: intervals, paired tests, the cost to a given accuracy, the search.

Every number is taken at the epoch that the validation loss chose, over seeds, and held against
Adam with clipped gradients run by run: the same seed holds out the same subjects, presents the
windows in the same order and, for the same network, begins at the same weights.
"""

from fwrnn_core.fairness.final import (
    BASELINE,
    LEVEL,
    accuracies,
    brief,
    comparisons,
    cost_table,
    draw_differences,
    final_coverage,
    final_names,
    final_table,
    finals,
    next_command,
    reading,
)
from fwrnn_core.fairness.search import (
    TASKS,
    Trial,
    best_of,
    draw_search,
    draws_table,
    empty,
    is_ours,
    label,
    outcome_table,
    search_coverage,
    trials,
)
from fwrnn_core.fairness.statistics import (
    Estimate,
    Paired,
    estimate,
    expected_best,
    first_reaching,
    from_zero,
    holm,
    paired,
    signed,
)

__all__ = [
    "BASELINE",
    "LEVEL",
    "TASKS",
    "Estimate",
    "Paired",
    "Trial",
    "accuracies",
    "best_of",
    "brief",
    "comparisons",
    "cost_table",
    "draw_differences",
    "draw_search",
    "draws_table",
    "empty",
    "estimate",
    "expected_best",
    "final_coverage",
    "final_names",
    "final_table",
    "finals",
    "first_reaching",
    "from_zero",
    "holm",
    "is_ours",
    "label",
    "next_command",
    "outcome_table",
    "paired",
    "reading",
    "search_coverage",
    "signed",
    "trials",
]
