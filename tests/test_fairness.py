"""The fair protocol's numbers on cases whose answer is known."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwrnn_core import experiments, fairness, paths
from fwrnn_core.evidence import Evidence
from fwrnn_core.experiments import fair, published
from fwrnn_core.fairness import along, cost, networks
from fwrnn_core.fairness.final import lengthened
from fwrnn_core.figures import panel
from fwrnn_core.training import Record, RunConfig

from .shelf import MACHINE, put

# Student (1908), after Cushny and Peebles: extra hours of sleep under two drugs, ten patients.
DRUG_1 = dict(enumerate([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]))
DRUG_2 = dict(enumerate([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]))


pytestmark = pytest.mark.usefixtures("shelf")


def test_the_paired_test_is_student_s_own():
    test = fairness.paired(DRUG_2, DRUG_1)
    assert test.n == 10
    assert test.difference == pytest.approx(1.58)
    assert (test.low, test.high) == pytest.approx((0.7001142, 2.4598858))
    assert test.p == pytest.approx(0.00283289, rel=1e-5)
    assert test.side == 1


def test_the_interval_of_a_mean():
    # Mean 2, standard deviation 1, t(0.975; 2) = 4.30265: 2 ± 4.30265 / √3.
    one = fairness.estimate([1.0, 2.0, 3.0, math.nan])
    assert one == pytest.approx((2.0, 2 - 2.484138, 2 + 2.484138, 3), rel=1e-5)
    assert str(one) == "2.0 ± 2.5"
    assert str(fairness.estimate([2.0])) == "2.0", "one run has no interval"
    assert fairness.estimate([math.nan, math.inf]).n == 0


def test_only_seeds_that_both_have_are_paired():
    test = fairness.paired({1: 5.0, 2: 9.0, 3: 1.0}, {2: 8.0, 3: 0.0, 4: 7.0})
    assert (test.difference, test.n, test.p) == (1.0, 2, 0.0), "equal differences have no spread"
    assert fairness.paired({1: 5.0}, {1: 4.0})[0] == 1.0
    assert math.isnan(fairness.paired({1: 5.0}, {1: 4.0}).p)
    assert fairness.paired({1: 5.0}, {2: 4.0}).n == 0
    assert fairness.from_zero([0.0, 0.0]).p == 1.0
    known = fairness.from_zero([1.0, math.inf, 3.0, math.nan])
    assert known == fairness.from_zero([1.0, 3.0]), "of runs that diverged nothing is known"


def test_a_missing_p_value_is_neither_adjusted_nor_counted():
    adjusted = fairness.holm([0.02, math.nan, 0.03])
    assert adjusted[0] == pytest.approx(0.04)
    assert math.isnan(adjusted[1])
    assert adjusted[2] == pytest.approx(0.04)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_the_raw_value_and_bonferroni_s(values):
    for raw, adjusted in zip(values, fairness.holm(values), strict=True):
        assert raw <= adjusted <= min(1.0, len(values) * raw) + 1e-12


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=6))
def test_the_expected_best_is_the_mean_over_all_subsets(scores):
    curve = fairness.expected_best(scores)
    for n, value in enumerate(curve, start=1):
        subsets = [min(c) for c in itertools.combinations(scores, n)]
        assert value == pytest.approx(np.mean(subsets), abs=1e-9)


def test_the_cost_is_read_where_the_level_is_first_reached():
    record = put(RunConfig("r", epochs=3), {"test_accuracy": [0.5, 0.91, 0.95]}, seconds=4.0)
    assert fairness.until_level(record) == 200
    assert fairness.until_level(record, "seconds") == 8
    never = put(RunConfig("n", epochs=2), {"test_accuracy": [0.5, 0.89]})
    assert fairness.until_level(never) == math.inf


def finish_search(task: str, method: str, best: int = 5, falling: int = 0) -> None:
    """Trials of two epochs of which ``best`` has the lowest loss, and ``falling`` its own in the
    last epoch."""
    for number, config in enumerate(fair.search(task, method)):
        lowest = 0.1 if number == best else 0.8
        losses = [0.9, lowest] if number < falling else [lowest, 0.9]
        put(config, {"validation_loss": losses})


def finish(task: str, method: str, accuracies: list[float], spent: int = 1) -> None:
    """Final runs of the first seeds, which reach their accuracy in epoch ``spent``."""
    for config, accuracy in zip(fair.final(task, method), accuracies, strict=False):
        curve = [*[0.1] * (spent - 1), accuracy]
        losses = [*[1.0] * (spent - 1), 0.5]
        put(config, {"test_accuracy": curve, "validation_loss": losses})


def both_stages(task: str, method: str, accuracies: list[float]) -> None:
    finish_search(task, method)
    finish(task, method, accuracies)


def row(table: str, label: str) -> list[str]:
    (line,) = [ln for ln in table.splitlines() if ln.startswith(f"| {label} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


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


def test_other_networks_are_told_together_where_every_optimizer_is_ahead():
    both_stages("har2", "adam-clip", [0.90, 0.91, 0.92])
    both_stages("har2", "indrnn-adam", [0.95, 0.96, 0.971])
    one = fairness.brief(Evidence(), "har2")
    assert one.startswith("On HAR-2, IndRNN with Adam (+5.0 ± 0.1) is ahead"), "one of the two"
    both_stages("har2", "indrnn-fw", [0.93, 0.94, 0.951])
    both = fairness.brief(Evidence(), "har2")
    assert both.startswith("On HAR-2, no method on the tanh network is ahead of Adam + clipping.")
    assert " With either optimizer the IndRNN (+3.0 to +5.0) is ahead." in both


def test_the_answer_in_short_is_no_only_where_no_lead_is_certain():
    assert fairness.answer(Evidence()) == ""
    noise = [0.0, 0.01, -0.01, 0.005, -0.005]
    for task in fairness.TASKS:
        for number, method in enumerate(fair.METHODS):
            turned = noise[number % 5 :] + noise[: number % 5]
            both_stages(task, method, [0.9 + own for own in turned])
    said = fairness.answer(Evidence())
    assert said.startswith("**Does it help? Less than the paper says.** With every method tuned")
    assert "On each of 5 networks trained by both, no difference" in said
    assert "More is gained" not in said, "nothing else does either"
    finish("har2", "indrnn-adam", [0.95 + own for own in noise])
    finish("har2", "indrnn-fw", [0.95 + own for own in noise])
    assert fairness.answer(Evidence()).endswith(" More is gained by another network.")
    for method in ("adam-tbptt", "fw-tbptt"):
        finish("har2", method, [0.94 + own for own in noise])
    assert " More is gained by another network and truncation, which" in fairness.answer(Evidence())
    base = fairness.accuracies(Evidence(), "har2", "adam-clip")
    finish("har2", "fw-k5", [base[s] / 100 + 0.05 + s / 1e4 for s in sorted(base)])
    assert fairness.answer(Evidence()) == "", "a lead that is certain"


def test_a_difference_on_one_network_is_named_if_it_survives():
    assert fairness.networks_brief(Evidence()) == ""
    for method, accuracy in (("lstm-adam", [0.90, 0.91, 0.92]), ("lstm-fw", [0.92, 0.93, 0.941])):
        both_stages("har2", method, accuracy)
    assert fairness.networks_brief(Evidence()).endswith(
        "remains for the LSTM on HAR-2 (+2.0 ± 0.1)."
    )
    finish("har2", "lstm-fw", [0.92, 0.89, 0.941])
    assert fairness.networks_brief(Evidence()).endswith("and Adam remains.")


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


def test_final_runs_of_another_selection_do_not_count():
    finish_search("har2", "adam", best=5)
    finish("har2", "adam", [0.9])
    assert len(fairness.accuracies(Evidence(), "har2", "adam")) == 1
    config = fair.search("har2", "adam")[3]
    put(dataclasses.replace(config), {"validation_loss": [0.01]})
    assert fairness.accuracies(Evidence(), "har2", "adam") == {}


def test_the_level_itself_is_good_enough():
    record = put(RunConfig("r", epochs=2), {"test_accuracy": [0.9, 0.95]})
    assert fairness.until_level(record) == 100


def test_a_run_that_goes_on_counts_neither_as_diverged_nor_as_done():
    finish_search("noisy-har2", "fw-k1")
    first, second, _ = fair.final("noisy-har2", "fw-k1")
    put(first, {"test_accuracy": [0.8]})
    put(second, {"test_accuracy": [0.6]}, status="partial")
    cells = row(fairness.final_table(Evidence(), "noisy-har2"), "Frank-Wolfe, K = 1")
    assert cells[5] == "1 of 3"
    assert row(fairness.cost_table(Evidence(), "noisy-har2"), "Frank-Wolfe, K = 1")[1] == "0 of 1"


def test_accuracies_stand_at_the_epoch_that_validation_chose():
    finish_search("har2", "adam")
    curves = {"test_accuracy": [0.9, 0.8, 0.7], "validation_loss": [0.5, 0.1, 0.3]}
    put(fair.final("har2", "adam")[0], curves)
    assert list(fairness.accuracies(Evidence(), "har2", "adam").values()) == pytest.approx([80.0])
    curves = {"validation_accuracy": [0.9, 0.8, 0.7], "validation_loss": [0.5, 0.1, 0.3]}
    put(fair.search("har2", "sgd")[0], curves)
    assert fairness.trials(Evidence(), "har2", "sgd")[0].accuracy == 0.8


def test_the_cost_is_the_median_over_the_seeds():
    finish_search("har2", "adam")
    for config, spent in zip(fair.final("har2", "adam"), (1, 1, 2, 9, 9), strict=True):
        put(config, {"test_accuracy": [*[0.1] * (spent - 1), 0.95]})
    assert row(fairness.cost_table(Evidence(), "har2"), "Adam")[1:] == ["5 of 5", "2", "200", "2"]


def test_differences_are_drawn_on_the_side_where_the_method_is_better():
    for method, accuracies in {"adam-clip": [0.90, 0.91], "fw-k5": [0.93, 0.95]}.items():
        finish_search("har2", method)
        finish("har2", method, accuracies)
    _, ax = panel()
    fairness.draw_differences(ax, Evidence(), "har2")
    drawn = [x for line in ax.lines if len(line.get_xdata()) <= 2 for x in line.get_xdata()]
    assert sorted(drawn) == pytest.approx([0.0, 0.0, 3.0, 3.5, 4.0])


def repeat(task: str, method: str, curves: dict[int, list[float]]) -> None:
    """Runs of Table III by seed, the published seed 42 among them; 200 epochs are not needed."""
    catalogue = experiments.catalogue()
    for name in published.repeats(f"{task}/published/{method}"):
        config = catalogue[name]
        if config.seed in curves:
            put(config, {"test_accuracy": curves[config.seed]})


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


def test_the_finding_on_the_plain_network_follows_the_records():
    def run(task: str, method: str, lead: float) -> None:
        finish_search(task, method)
        finish(task, method, [0.80 + lead, 0.81 + lead, 0.82 + lead + 0.0001])

    for task in fairness.TASKS:
        run(task, "adam-clip", 0.0)
        for method in ("fw-k1", "fw-k5", "fw-k10"):
            run(task, method, -0.01)
    said = fairness.plain_finding(Evidence())
    assert "Frank-Wolfe on whole sequences of the plain network is not ahead of Adam with" in said
    assert "Under noise none is ahead" in said
    assert "too short" not in said
    assert fairness.truncation_finding(Evidence()) == ""
    run("noisy-har2", "fw-k5", 0.02)
    for task in fairness.TASKS:
        for method in ("adam-tbptt", "fw-tbptt"):
            run(task, method, 0.05)
    said = fairness.plain_finding(Evidence())
    assert "Under noise Frank-Wolfe with K = 5 (+2.0 ± 0.0) is ahead" in said
    said = fairness.truncation_finding(Evidence())
    assert (
        "gives the tanh network its highest means, with either optimizer. 4 of its 4 leads over "
        "clipping survive the correction for the number of comparisons: Adam with TBPTT on HAR-2, "
        "Frank-Wolfe with TBPTT on HAR-2, Adam" in said
    )
    assert "gradients" not in said, "no more than clipping's"
    for method, falling in (("adam-clip", 3), ("fw-k5", 7)):
        finish_search("har2", method, falling=falling)
    assert (
        "on HAR-2, 7 of the 12 trials of K = 5 were still improving when they ended, against 3 of "
        "Adam + clipping." in fairness.plain_finding(Evidence())
    )


def test_each_network_is_judged_by_itself():
    assert fairness.network_table(Evidence()) == fairness.network_reading(Evidence()) == ""
    both_stages("har2", "adam-bn", [0.90, 0.91, 0.92])
    assert fairness.network_table(Evidence()) == "", "one of two methods is no comparison"
    both_stages("har2", "fw-bn", [0.92, 0.93, 0.94001])
    both_stages("har2", "lstm-adam", [0.90, 0.93, 0.91])
    both_stages("har2", "lstm-fw", [0.91, 0.92, 0.91])
    table, said = (f(Evidence()) for f in (fairness.network_table, fairness.network_reading))
    cells = row(table, "HAR-2 | RNN with batch norm")
    assert cells[2:5] == ["3", "93.0 ± 2.5", "91.0 ± 2.5"]
    assert "Frank-Wolfe is ahead of Adam on the RNN with batch norm (+2.0 ± 0.0); no" in said
    assert said.endswith("no difference is detectable on the LSTM (+0.0 ± 2.5).")


def test_the_adam_that_clips_is_the_peer_unless_it_has_fewer_seeds():
    both_stages("har2", "lstm-adam", [0.90, 0.91, 0.92])
    both_stages("har2", "lstm-fw", [0.93, 0.94, 0.95001])
    assert row(fairness.network_table(Evidence()), "HAR-2 | LSTM")[4] == "91.0 ± 2.5"
    both_stages("har2", "lstm-clip", [0.95, 0.92])
    assert networks.network_leads(Evidence(), "har2")["LSTM"].n == 3
    both_stages("har2", "lstm-clip", [0.95, 0.92, 0.94])
    table, said = (f(Evidence()) for f in (fairness.network_table, fairness.network_reading))
    assert row(table, "HAR-2 | LSTM")[4] == r"93.7 ± 3.8 \*"
    assert "Clipping alone brings Adam +2.7 ± 5.2 points on the LSTM" in said
    assert "Adam with clipping is" in fairness.network_finding(Evidence(), "LSTM")


def test_the_finding_on_the_lstm_names_seeds_gradients_and_the_correction():
    both_stages("har2", "lstm-adam", [0.90, 0.91])
    both_stages("har2", "lstm-fw", [0.93, 0.94])
    assert fairness.network_finding(Evidence(), "LSTM") == "", "two seeds are no finding"
    both_stages("har2", "lstm-adam", [0.90, 0.91, 0.92])
    both_stages("har2", "lstm-fw", [0.93, 0.94, 0.95001])
    said = fairness.network_finding(Evidence(), "LSTM")
    assert (
        "on HAR-2 Frank-Wolfe is ahead of Adam without clipping (+3.0 ± 0.0 points, 3 seeds of"
        in said
    )
    assert "gradients" not in said, "as many for both"
    both_stages("har2", "lstm-fw", [0.89, 0.94, 0.91])
    said = fairness.network_finding(Evidence(), "LSTM")
    assert "between Frank-Wolfe and Adam without clipping is detectable on HAR-2 (+0.3" in said


def test_a_finding_says_what_else_the_adam_has():
    for method, accuracy in (("indrnn-adam", [0.90, 0.91, 0.92]), ("indrnn-fw", [0.9, 0.92, 0.91])):
        both_stages("har2", method, accuracy)
    said = fairness.network_finding(Evidence(), "IndRNN")
    assert said.startswith("**On an IndRNN,** tuned alike, no difference between Frank-Wolfe and")
    assert "Adam with clipping and with weight decay is detectable on HAR-2 (+0.0" in said


def test_the_finding_on_the_lstm_counts_the_comparisons_of_both_data_sets():
    for task, leads in (("har2", [0.00, 0.02, 0.01]), ("noisy-har2", [0.016, 0.02, 0.026])):
        both_stages(task, "lstm-adam", [0.90, 0.90, 0.90])
        both_stages(task, "lstm-fw", [0.90 + lead for lead in leads])
        if task == "har2":
            both_stages(task, "adam-bn", [0.90, 0.90, 0.90])
            both_stages(task, "fw-bn", [0.90, 0.91, 0.88])
    p = fairness.adjusted_p(networks.network_leads(Evidence(), "noisy-har2"))["LSTM"]
    assert p < 0.05 < 3 * p, "between the two corrections"
    said = fairness.network_finding(Evidence(), "LSTM")
    assert "is detectable on HAR-2 (+1.0" in said
    assert "under noise Frank-Wolfe is ahead of Adam without clipping (+2.1 ± 1.3 points, 3" in said
    assert said.endswith("there, not that for all 3 comparisons of both data sets.")


def test_a_search_that_was_cut_short_says_so():
    finish_search("har2", "adam", best=5, falling=1)
    limits = fairness.search_limits(Evidence(), "har2")
    assert ": 1 for Adam." in limits, "of the made-up losses one falls in its last epoch"
    small = fair.search("har2", "adam")[5].batch_size == min(fair.BATCH_SIZES)
    assert f"- {int(small)} of 1 choices on HAR-2" in limits
    assert fairness.search_limits(Evidence(), "noisy-har2") == ""


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


def spend(task: str, method: str, curves: list[list[float]], per_epoch: int) -> None:
    """Final runs with a falling validation loss and ``per_epoch`` gradients in each epoch."""
    finish_search(task, method)
    for config, curve in zip(fair.final(task, method), curves, strict=False):
        taken = [per_epoch * n for n in range(1, len(curve) + 1)]
        put(config, {"test_accuracy": curve, "gradient_evaluations": taken})


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


def test_each_number_of_inner_steps_is_held_against_the_others():
    assert fairness.inner_steps_finding(Evidence()) == ""
    for task in fairness.TASKS:
        for method, turned in (
            ("fw-k1", [0.90, 0.91, 0.92]),
            ("fw-k5", [0.91, 0.90, 0.92]),
            ("fw-k10", [0.92, 0.90, 0.91]),
        ):
            both_stages(task, method, turned)
    said = fairness.inner_steps_finding(Evidence())
    assert said.endswith("between K = 1, 5 and 10 is detectable on either data set.")
    finish("noisy-har2", "fw-k10", [0.89, 0.898, 0.909])
    said = fairness.inner_steps_finding(Evidence())
    assert "K = 10 is behind K = 1 on Noisy-HAR-2 (−1.1 ± 0.2, not after correction)" not in said
    assert "K = 10 is behind K = 1 on Noisy-HAR-2 (−1.1 ± 0.2)" in said
    finish("noisy-har2", "fw-k10", [0.885, 0.90, 0.909])
    said = fairness.inner_steps_finding(Evidence())
    assert "K = 10 is behind K = 1 on Noisy-HAR-2 (−1.2 ± " in said
    assert "not after correction); no difference is detectable in the other 5 of 6" in said


def test_the_figure_of_runs_stopped_early_shows_the_seeds_range():
    assert fairness.along_figure(Evidence(), ["adam"]) is None
    spend("har2", "adam-clip", [[0.7, 0.8], [0.8, 0.84], [0.75, 0.9]], 100)
    spend("har2", "adam", [[0.6, 0.7]], 100)
    _, ax = panel()
    along.draw_along(ax, Evidence(), "har2", ["adam-clip", "adam"])
    (band,) = ax.collections  # one seed alone has no range
    corners = {tuple(map(float, corner)) for corner in band.get_paths()[0].vertices}
    assert corners == {(100, 70), (100, 80), (200, 80), (200, 90)}


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
