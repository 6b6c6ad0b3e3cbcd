"""The final runs of every method, against Adam with clipping."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fwrnn_core import fairness, paths
from fwrnn_core.evidence import Evidence
from fwrnn_core.experiments import fair
from fwrnn_core.figures import panel

from ..shelf import put
from .cases import both_stages, finish, finish_search, row

pytestmark = pytest.mark.usefixtures("shelf")


def test_the_final_table_compares_with_clipping_seed_by_seed():
    for method in ("adam", "adam-clip", "fw-k5"):
        finish_search("har2", method)
    finish("har2", "adam-clip", [0.90, 0.91, 0.92, 0.93, 0.94], spent=3)
    finish("har2", "fw-k5", [0.92, 0.92, 0.94, 0.95, 0.96], spent=2)
    finish("har2", "adam", [0.80, 0.85])
    evidence = Evidence()
    table = fairness.final_table(evidence, "har2")
    ours = row(table, "Frank-Wolfe, K = 5")
    values = [2.0, 1.0, 2.0, 2.0, 2.0]
    t = np.mean(values) / (np.std(values, ddof=1) / math.sqrt(5))
    assert t == pytest.approx(9.0)
    assert ours[1:4] == ["+1.8 ± 0.6", "0.002", "< 0.001"]
    assert ours[4].startswith("**93.8 ± "), "the highest mean of all seeds"
    assert ours[5] == "5 of 5"
    assert "**" not in row(table, "Adam + clipping")[4] + row(table, "Adam")[4]
    assert row(table, "Adam + clipping")[1:4] == ["–", "–", "–"]
    assert row(table, "Adam")[5] == "2 of 5"
    costs = fairness.cost_table(evidence, "har2")
    assert row(costs, "Frank-Wolfe, K = 5")[1:] == ["5 of 5", "2", "200", "2"]
    assert row(costs, "Adam")[1:] == ["0 of 2", *["never"] * 3]
    assert "LSTM" not in costs + table, "no row without a run"
    note = fairness.missing_note(evidence, "har2")
    assert "SGD with momentum; Adam, TBPTT; Adam + batch norm; " in note
    assert "fwrnn train fair-search" in note
    words = fairness.reading(evidence, "har2")
    assert "Against Adam + clipping" in words
    assert "- Better: Frank-Wolfe, K = 5. No detectable difference: Adam." in words
    assert "no longer detectable" not in words, "p (Holm) is 0.002"
    # t(1 − 0.05/4; 4) for two comparisons: 3.4954.
    assert "With 2 seeds and 2 comparisons" in words, "Adam has two"
    short = fairness.brief(evidence, "har2")
    assert short.startswith(
        "On HAR-2, Frank-Wolfe with K = 5 (+1.8 ± 0.6) is ahead of Adam + clipping. Corrected"
    )
    assert "(Holm, 5 seeds), a difference remains for Frank-Wolfe with K = 5." in short
    both_stages("har2", "sgd", [0.99])
    some = fairness.final_table(Evidence(), "har2")
    assert "**" not in row(some, "SGD with momentum")[4], "one seed of five"
    assert "**" in row(some, "Frank-Wolfe, K = 5")[4]
    (paths.records() / f"{fair.final('har2', 'sgd')[0].name}.json").unlink()
    finish_search("har2", "fw-k1")
    finish("har2", "fw-k1", [0.91, 0.935, 0.925, 0.948, 0.942])  # p = 0.046, of three
    one_of_two = fairness.brief(Evidence(), "har2")
    assert "Frank-Wolfe with K = 1 (+1.2 ± 1.2) and K = 5 (+1.8 ± 0.6) are ahead" in one_of_two
    assert "a difference remains for Frank-Wolfe with K = 5." in one_of_two
    words = fairness.reading(Evidence(), "har2")
    assert "no longer detectable at the 5 % level: Frank-Wolfe, K = 1." in words
    _, ax = panel()
    fairness.draw_differences(ax, evidence, "har2")


def test_a_diverged_seed_is_counted_and_not_averaged():
    finish_search("noisy-har2", "fw-k1")
    first, second, third = fair.final("noisy-har2", "fw-k1")
    put(first, {"test_accuracy": [0.8]})
    put(second, {"test_accuracy": [0.6]})
    put(third, {"test_accuracy": [0.2]}, status="diverged")
    cells = row(fairness.final_table(Evidence(), "noisy-har2"), "Frank-Wolfe, K = 1")
    assert cells[5] == "2 of 3, 1 diverged"
    assert cells[4].startswith("70.0")


def test_with_no_record_at_all_everything_says_so():
    evidence = Evidence()
    for task in fairness.TASKS:
        assert len(fairness.final_table(evidence, task).splitlines()) == 2, "a head alone"
        assert len(fairness.cost_table(evidence, task).splitlines()) == 2
        assert "none of the" in fairness.missing_note(evidence, task)
        assert "Not run yet" in fairness.reading(evidence, task)
        _, ax = panel()
        fairness.draw_differences(ax, evidence, task)
        fairness.draw_search(ax, evidence, task)
    assert len(fairness.draws_table().splitlines()) == 2 + fair.TRIALS


def test_a_run_that_goes_on_counts_neither_as_diverged_nor_as_done():
    finish_search("noisy-har2", "fw-k1")
    first, second, _ = fair.final("noisy-har2", "fw-k1")
    put(first, {"test_accuracy": [0.8]})
    put(second, {"test_accuracy": [0.6]}, status="partial")
    cells = row(fairness.final_table(Evidence(), "noisy-har2"), "Frank-Wolfe, K = 1")
    assert cells[5] == "1 of 3"
    assert row(fairness.cost_table(Evidence(), "noisy-har2"), "Frank-Wolfe, K = 1")[1] == "0 of 1"


def test_differences_are_drawn_on_the_side_where_the_method_is_better():
    for method, accuracies in {"adam-clip": [0.90, 0.91], "fw-k5": [0.93, 0.95]}.items():
        finish_search("har2", method)
        finish("har2", method, accuracies)
    _, ax = panel()
    fairness.draw_differences(ax, Evidence(), "har2")
    drawn = [x for line in ax.lines if len(line.get_xdata()) <= 2 for x in line.get_xdata()]
    assert sorted(drawn) == pytest.approx([0.0, 0.0, 3.0, 3.5, 4.0])
