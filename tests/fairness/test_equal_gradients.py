"""Runs of equal numbers of gradients, and runs read as if they had been stopped early."""

from __future__ import annotations

import math

import pytest

from fwrnn_core import fairness
from fwrnn_core.evidence import Evidence
from fwrnn_core.experiments import fair
from fwrnn_core.fairness import along
from fwrnn_core.fairness.final import lengthened
from fwrnn_core.figures import panel
from fwrnn_core.training import RunConfig

from ..shelf import put
from .cases import finish, finish_search, row, spend

pytestmark = pytest.mark.usefixtures("shelf")


def test_accuracies_stand_at_the_epoch_that_validation_chose():
    finish_search("har2", "adam")
    curves = {"test_accuracy": [0.9, 0.8, 0.7], "validation_loss": [0.5, 0.1, 0.3]}
    put(fair.final("har2", "adam")[0], curves)
    assert list(fairness.accuracies(Evidence(), "har2", "adam").values()) == pytest.approx([80.0])
    curves = {"validation_accuracy": [0.9, 0.8, 0.7], "validation_loss": [0.5, 0.1, 0.3]}
    put(fair.search("har2", "sgd")[0], curves)
    assert fairness.trials(Evidence(), "har2", "sgd")[0].accuracy == 0.8


def test_a_run_stopped_early_is_read_at_its_best_validation_epoch_so_far():
    losses = [None, 0.5, 0.7, 0.2]
    curves = {"test_accuracy": [0.1, 0.8, 0.9, 0.6], "validation_loss": losses}
    read = along.chosen_so_far(put(RunConfig("r", epochs=4), curves))
    assert math.isnan(read[0])
    assert read[1:] == pytest.approx([80, 80, 60])
    tie = put(
        RunConfig("t", epochs=2), {"test_accuracy": [0.8, 0.6], "validation_loss": [0.5, 0.5]}
    )
    assert along.chosen_so_far(tie).tolist() == [80, 80]
    assert tie.at_best_validation("test_accuracy") == 0.8, "the first of equals, as of a whole run"


def trial_with(task: str, batch: int) -> int:
    """The first draw with minibatches of this size."""
    return next(n for n, c in enumerate(fair.search(task, "adam")) if c.batch_size == batch)


def test_runs_of_equal_gradients_are_compared_with_those_of_the_baseline():
    """Adam chose larger minibatches and gains by more passes; SGD made as many gradients anyway."""
    task = "noisy-har2"
    finish_search(task, "adam-clip", trial_with(task, 32))
    finish_search(task, "sgd", trial_with(task, 32))
    finish_search(task, "adam", trial_with(task, 128))
    finish(task, "adam-clip", [0.80, 0.81, 0.82])
    finish(task, "sgd", [0.78, 0.791, 0.799])
    finish(task, "adam", [0.70, 0.71, 0.73])
    assert fairness.equal_brief(Evidence(), task) == "", "nothing is trained for it yet"
    seeds = zip(fair.equal(task, "adam"), (0.90, 0.92, 0.91), strict=True)
    for count, (config, accuracy) in enumerate(seeds, 1):
        put(config, {"test_accuracy": [accuracy], "validation_loss": [0.5]})
        said = fairness.equal_brief(Evidence(), task)
        assert (f"Run with only some seeds: Adam ({count} of 3)" in said) == (count < 3)
        highest = row(fairness.equal_table(Evidence(), task), "Adam")[3]
        assert highest.startswith("**") == (count == 3), "of those with all their seeds"
    evidence = Evidence()
    assert set(lengthened(evidence, task)) == {"adam"}
    change = lengthened(evidence, task)["adam"]
    assert change.difference == pytest.approx((20 + 21 + 18) / 3)
    table = fairness.equal_table(evidence, task)
    ours, theirs = row(table, "Adam"), row(table, "SGD with momentum")
    assert ours[1].startswith("+10.0 ± ")
    assert ours[3].startswith("**91.0 ± ")
    assert ours[4] == str(change)
    assert ours[5:] == ["400", "3 of 3"], "four times the passes"
    assert theirs[4:6] == ["the same runs", "100"]
    assert row(table, "Adam + clipping")[1:3] == ["–", "–"]
    leads = fairness.equal_reading(evidence, task)
    assert "ahead is Adam (+10.0 ± " in leads
    assert "behind is SGD with momentum (−2.0 ± " in leads
    said = fairness.equal_brief(evidence, task)
    assert "the change in gradients helps Adam (+19.7 ± " in said
    assert "Not run: " in said
    assert "Frank-Wolfe with K = 5" in said.partition("Not run: ")[2]


def test_truncation_is_told_with_equal_gradients_on_all_data():
    """Also where its lead with equal passes is not certain: a lead lost on one data set alone is
    no answer for both."""
    curves = [[0.7, a] for a in (0.80, 0.81, 0.8201)]
    for task in fairness.TASKS:
        for method in ("adam-clip", "fw-k1", "fw-k5", "fw-k10"):
            spend(task, method, curves, 10)
        for method in ("adam-tbptt", "fw-tbptt"):
            spend(task, method, [[0.7, a] for a in (0.85, 0.861, 0.87)], 80)
            for number, config in enumerate(fair.equal(task, method)[:3]):
                lead = (0.0 if task == "har2" else 0.02) + (number - 1) / 1e4
                put(config, {"test_accuracy": [curves[number][1] + lead], "validation_loss": [0.5]})
    said = fairness.truncation_finding(Evidence())
    start = " clipping, the differences are: on HAR-2, Adam with TBPTT (+0.0 ± 0.0)"
    assert said.count(start) == 1
    assert said.endswith(
        " with TBPTT (+2.0 ± 0.0). Of these, Adam with TBPTT on Noisy-HAR-2"
        " and Frank-Wolfe with TBPTT on Noisy-HAR-2 survive the correction."
    )


def test_the_figure_of_runs_stopped_early_shows_the_seeds_range():
    assert fairness.along_figure(Evidence(), ["adam"]) is None
    spend("har2", "adam-clip", [[0.7, 0.8], [0.8, 0.84], [0.75, 0.9]], 100)
    spend("har2", "adam", [[0.6, 0.7]], 100)
    _, ax = panel()
    along.draw_along(ax, Evidence(), "har2", ["adam-clip", "adam"])
    (band,) = ax.collections  # one seed alone has no range
    corners = {tuple(map(float, corner)) for corner in band.get_paths()[0].vertices}
    assert corners == {(100, 70), (100, 80), (200, 80), (200, 90)}
