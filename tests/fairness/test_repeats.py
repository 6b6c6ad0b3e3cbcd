"""Repeated runs of the published settings."""

from __future__ import annotations

import numpy as np
import pytest

from fwrnn_core import experiments, fairness
from fwrnn_core.evidence import Evidence

from .cases import repeat, row

pytestmark = pytest.mark.usefixtures("shelf")


@pytest.mark.parametrize("further", range(5))
def test_further_seeds_are_read_as_they_come(further):
    seeds = [42, 43, 44, 45, 46][: 1 + further]
    repeat("har2", "adam", {s: [0.94, 0.80 + s / 1000] for s in seeds})
    repeat("har2", "fw-k5", {s: [0.92 + s / 10000, 0.90] for s in seeds})
    evidence = Evidence()
    assert fairness.repeated(evidence, "har2", "fw-k5", "last") == dict.fromkeys(seeds, 90.0)
    lead = fairness.repeated_lead(evidence, "har2", "fw-k5")
    assert lead.n == len(seeds)
    assert lead.difference == pytest.approx(100 * (np.mean(seeds) / 10000 - 0.02))
    words = fairness.repeated_words(evidence, "har2", "fw-k5", "last")
    assert words.endswith(f"with {len(seeds)} {'seed' if further == 0 else 'seeds'}")
    said, figure = fairness.repeat_reading(evidence, "har2"), fairness.repeat_figure(evidence)
    assert row(fairness.repeat_table(evidence, "har2"), "Adam")[1] == f"{len(seeds)} of 5"
    if len(seeds) < fairness.ENOUGH:
        assert "±" not in words
        assert said == ""
        assert figure is None
    else:
        assert "±" in words
        assert f"**HAR-2, {len(seeds)} seeds.**" in said
        assert "at the best epoch, K = 5 (−1.6 ± " in said
        assert ") is behind; at the last epoch, K = 5 (" in said
        assert said.endswith(") is ahead.")
        assert len(figure.axes) == 2, "one task, best and last epoch"
    state = fairness.repeat_coverage(evidence, "har2")
    assert (state.finished, len(state)) == (2 * further, 20)


def test_with_no_run_of_the_repeated_rows_nothing_is_said():
    evidence = Evidence()
    assert fairness.repeated_words(evidence, "har2", "fw-k5") == "–"
    assert fairness.repeat_reading(evidence, "noisy-har2") == ""
    assert row(fairness.repeat_table(evidence, "har2"), "Adam")[2:] == ["–"] * 4


def test_the_published_finding_goes_by_the_interval_once_there_is_one():
    assert fairness.published_finding(Evidence()) == ""
    for task, ours, lead in (("noisy-har2", "fw-k10", 0.1), ("har2", "fw-k5", -0.02)):
        repeat(task, "adam", {42: [0.8]})
        repeat(task, ours, {42: [0.8 + lead]})
    said = fairness.published_finding(Evidence())
    assert (
        "the lead under noise comes back: K = 10 minus Adam is +10.0 points with 1 seed (in the "
        "paper +15.1). The lead on clean data does not come back: K = 5" in said
    )
    repeat("har2", "adam", {42: [0.8], 43: [0.8], 44: [0.8]})
    repeat("har2", "fw-k5", {42: [0.78], 43: [0.83], 44: [0.81]})
    assert "The lead on clean data is undecided: K = 5" in fairness.published_finding(Evidence())
    repeat("noisy-har2", "fw-k5", {42: [0.85]})
    said = fairness.published_finding(Evidence())
    assert "learning rate and minibatches, it is +5.0 points with 1 seed." in said
    ours, adam = (experiments.catalogue()[f"noisy-har2/published/{m}"] for m in ("fw-k5", "adam"))
    assert (ours.batch_size, ours.optimizer.lr) == (adam.batch_size, adam.optimizer.lr)
