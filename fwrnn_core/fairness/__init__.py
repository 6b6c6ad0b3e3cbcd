"""The fair protocol read out: intervals, paired tests, the cost to a given accuracy, the search.

Every number is taken at the epoch that the validation loss chose, over seeds, and held against
Adam with clipped gradients run by run: the same seed holds out the same subjects, presents the
windows in the same order and, for the same network, begins at the same weights.
"""

from fwrnn_core.fairness.along import along_figure
from fwrnn_core.fairness.cost import (
    arrival_table,
    arrival_words,
    cost_table,
    until_level,
)
from fwrnn_core.fairness.final import (
    accuracies,
    comparisons,
    difference_figure,
    draw_differences,
    equal_names,
    equal_table,
    final_coverage,
    final_names,
    final_table,
    finals,
    missing_note,
    p_value,
)
from fwrnn_core.fairness.live import live_search
from fwrnn_core.fairness.networks import (
    network_finding,
    network_reading,
    network_table,
    networks_brief,
)
from fwrnn_core.fairness.repeats import (
    ENOUGH,
    printed_lead,
    published_finding,
    repeat_coverage,
    repeat_figure,
    repeat_reading,
    repeat_table,
    repeated,
    repeated_lead,
    repeated_leads,
    repeated_runs,
    repeated_words,
)
from fwrnn_core.fairness.search import (
    TASKS,
    draw_search,
    draws_table,
    empty,
    outcome_table,
    search_coverage,
    search_limits,
    settings_reading,
    settings_table,
    sought,
    trials,
)
from fwrnn_core.fairness.statistics import (
    Paired,
    adjusted_p,
    differences,
    estimate,
    expected_best,
    from_zero,
    holm,
    on_side,
    paired,
    pooled_p,
    signed,
)
from fwrnn_core.fairness.words import (
    answer,
    both_tasks,
    brief,
    equal_brief,
    equal_reading,
    gradients_spent,
    inner_steps_finding,
    plain_finding,
    reading,
    truncation_finding,
)
from fwrnn_core.wording import label
