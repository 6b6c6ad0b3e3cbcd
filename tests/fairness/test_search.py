"""The random search: what it chose, and what is missing of it."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter

import pytest

from fwrnn_core import fairness
from fwrnn_core.evidence import Evidence
from fwrnn_core.experiments import fair
from fwrnn_core.figures import panel
from fwrnn_core.training import Record

from ..shelf import put
from .cases import finish, finish_search, row

pytestmark = pytest.mark.usefixtures("shelf")


def test_the_search_is_shown_with_its_gaps():
    finish_search("har2", "adam", best=5)
    first, second, *_ = fair.search("har2", "sgd")
    put(first, {"validation_loss": [0.3, 0.2]})
    put(second, {"validation_loss": [0.3]}, status="diverged")
    for config in fair.search("har2", "fw-k1"):
        put(config, {"validation_loss": [0.3]}, status="diverged")
    evidence = Evidence()
    table = fairness.outcome_table(evidence, "har2")
    assert row(table, "Frank-Wolfe, K = 1")[1:3] == ["12/12", "all diverged"]
    chosen = fair.selected("har2", "adam")
    shown = [f"{chosen.optimizer.lr:g}", str(chosen.batch_size), f"{chosen.lr_gamma:g}", "–"]
    assert row(table, "Adam")[1:7] == ["12/12", "05", *shown]
    assert row(table, "SGD with momentum")[1:3] == ["2/12", "00 so far"]
    assert row(table, "IndRNN, Adam")[1:3] == ["0/12", "–"]
    losses = [t.loss for t in fairness.trials(evidence, "har2", "sgd")]
    assert losses[:2] == [0.2, math.inf]
    assert all(math.isnan(x) for x in losses[2:])
    _, ax = panel()
    fairness.draw_search(ax, evidence, "har2")
    drawn = Counter(round(float(x), 2) for line in ax.lines for x in line.get_xdata())
    # A dot for each loss, a ring around the best of two methods, crosses at the edge.
    assert drawn == {0.8: 11, 0.1: 1 + 1, 0.2: 1 + 1, 0.88: 1 + 12}
    assert [text.get_text() for text in ax.texts] == ["not run yet"] * (len(fair.METHODS) - 3)
    assert fairness.search_coverage(evidence, "har2").finished == 14 + 12


def test_final_runs_of_another_selection_do_not_count():
    finish_search("har2", "adam", best=5)
    finish("har2", "adam", [0.9])
    assert len(fairness.accuracies(Evidence(), "har2", "adam")) == 1
    config = fair.search("har2", "adam")[3]
    put(dataclasses.replace(config), {"validation_loss": [0.01]})
    assert fairness.accuracies(Evidence(), "har2", "adam") == {}


def test_a_search_that_was_cut_short_says_so():
    finish_search("har2", "adam", best=5, falling=1)
    limits = fairness.search_limits(Evidence(), "har2")
    assert ": 1 for Adam." in limits, "of the made-up losses one falls in its last epoch"
    small = fair.search("har2", "adam")[5].batch_size == min(fair.BATCH_SIZES)
    assert f"- {int(small)} of 1 choices on HAR-2" in limits
    assert fairness.search_limits(Evidence(), "noisy-har2") == ""


def test_the_reading_of_the_baselines_settings_follows_the_choices():
    """Draw 04 has the authors' learning rate and batch size, 10 has minibatches of 32."""
    assert fairness.settings_reading(Evidence()) == ""
    finish_search("har2", "adam", best=4)
    finish_search("har2", "fw-k5", best=1)
    said = fairness.settings_reading(Evidence())
    assert "1 chose them (Adam on HAR-2)." in said
    assert "In the others" not in said
    finish_search("har2", "adam-clip", best=10)
    evidence = Evidence()
    said = fairness.settings_reading(evidence)
    assert "Of 2 searches of a baseline, 1 chose them (Adam on HAR-2)." in said
    assert "in 1 of these 1 it has minibatches of 32" in said
    assert [s.place for s in fairness.sought(evidence)] == [1, 2], "all but the best are alike"
    rows = fairness.settings_table(evidence).splitlines()[2:]
    assert rows[1].startswith(
        "| HAR-2 | Adam + clipping | 0.001, 128 | 0.0006, 32 | 0.8000 | 0.1000 |"
    )


def test_a_reader_s_ball_replaces_the_drawn_one_for_frank_wolfe_alone():
    from fwrnn_core.fairness.live import _changed

    drawn = fair.search("har2", "fw-k5")[0]
    text, config = _changed(drawn, "fw-k5", None, None, 2.0)
    assert (text, config.optimizer) == ("Frank-Wolfe, K = 5", drawn.optimizer)
    text, config = _changed(drawn, "fw-k5", 7, 0.25, math.inf)
    assert text == "Frank-Wolfe, K = 7, δ = 0.25, p = inf"
    own = config.optimizer
    assert (own.inner_steps, own.radius, own.norm, own.lr) == (
        7,
        0.25,
        math.inf,
        drawn.optimizer.lr,
    )
    adam = fair.search("har2", "adam")[0]
    assert _changed(adam, "adam", 7, 0.25, math.inf) == ("Adam", adam)


def test_a_live_draw_that_never_moved_its_weights_has_no_loss():
    """With two minibatches of 512 an update of K = 5 never comes: what is left is the loss of the
    initial weights, which is no outcome of its settings."""
    from fwrnn_core.fairness.live import _lowest, _table

    def run(updates: int, loss: float, status: str = "complete") -> Record:
        curves = {"updates": [0, updates], "validation_loss": [1.0, loss]}
        return Record({"status": status, "curves": curves})

    columns = [
        [_lowest([run(0, 0.1)]), _lowest([run(1, 0.4), run(2, 0.2)])],
        [_lowest([run(1, 0.1, "diverged")]), _lowest([run(0, 0.1)])],
    ]
    table, said = _table(["trial", "a", "b"], columns).split("\n\n")
    assert table.splitlines()[2:] == ["| 00 | – | diverged |", "| 01 | **0.3000** | – |"]
    assert "never moved" in said
    assert "–" not in _table(["trial", "a"], [[0.2, 0.1]])
