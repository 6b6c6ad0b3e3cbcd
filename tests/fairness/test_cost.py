"""Gradients and seconds to a level of accuracy."""

from __future__ import annotations

import math

import pytest

from fwrnn_core import fairness
from fwrnn_core.evidence import Evidence
from fwrnn_core.experiments import fair
from fwrnn_core.fairness import cost
from fwrnn_core.training import RunConfig

from ..shelf import MACHINE, put
from .cases import finish, finish_search, row

pytestmark = pytest.mark.usefixtures("shelf")


def test_the_cost_is_read_where_the_level_is_first_reached():
    record = put(RunConfig("r", epochs=3), {"test_accuracy": [0.5, 0.91, 0.95]}, seconds=4.0)
    assert fairness.until_level(record) == 200
    assert fairness.until_level(record, "seconds") == 8
    never = put(RunConfig("n", epochs=2), {"test_accuracy": [0.5, 0.89]})
    assert fairness.until_level(never) == math.inf


def test_the_level_itself_is_good_enough():
    record = put(RunConfig("r", epochs=2), {"test_accuracy": [0.9, 0.95]})
    assert fairness.until_level(record) == 100


def test_the_cost_is_the_median_over_the_seeds():
    finish_search("har2", "adam")
    for config, spent in zip(fair.final("har2", "adam"), (1, 1, 2, 9, 9), strict=True):
        put(config, {"test_accuracy": [*[0.1] * (spent - 1), 0.95]})
    assert row(fairness.cost_table(Evidence(), "har2"), "Adam")[1:] == ["5 of 5", "2", "200", "2"]


def test_seconds_of_another_version_are_not_compared():
    finish_search("har2", "adam-clip")
    finish_search("har2", "fw-tbptt")
    finish("har2", "adam-clip", [0.91])
    for config in fair.final("har2", "fw-tbptt")[:1]:
        put(config, {"test_accuracy": [0.95]}, environment={**MACHINE, "code": "2"})
    evidence = Evidence()
    assert cost.timed_otherwise(evidence, "har2") == ["fw-tbptt"]
    table = fairness.cost_table(evidence, "har2")
    assert row(table, "Frank-Wolfe, TBPTT")[1:] == ["1 of 1", "1", "100", "–"]
    assert row(table, "Adam + clipping")[1:] == ["1 of 1", "1", "100", "1"]


def test_one_good_epoch_is_no_arrival():
    spike = put(RunConfig("s", epochs=8), {"test_accuracy": [0.8, 0.8, 0.95, *[0.8] * 5]})
    steady = put(RunConfig("t", epochs=8), {"test_accuracy": [0.8, *[0.91] * 7]})
    assert fairness.until_level(spike, "epoch") == 3
    assert cost.arrival(spike, 0.9) == math.inf
    assert cost.arrival(steady, 0.9) == 6, "five epochs of 0.91 end with the sixth"
    assert cost.arrival(steady, 0.88) == 5
    finish_search("har2", "adam-clip")
    for config, curve in zip(fair.final("har2", "adam-clip"), (spike, steady), strict=False):
        put(config, {"test_accuracy": curve.curve("test_accuracy").tolist()})
    cells = row(fairness.arrival_table(Evidence(), "har2"), "Adam + clipping")
    assert cells[5:] == ["1 of 2", "–"], "half of the seeds do not arrive"
    assert "2 of 2 runs reach 90 % in some epoch, 1 in" in fairness.arrival_words(
        Evidence(), "har2"
    )
