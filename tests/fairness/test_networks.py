"""What is said of each network and of the optimizers on it."""

from __future__ import annotations

import pytest

from fwrnn_core import fairness
from fwrnn_core.evidence import Evidence
from fwrnn_core.experiments import fair
from fwrnn_core.fairness import networks

from .cases import both_stages, finish, finish_search, row

pytestmark = pytest.mark.usefixtures("shelf")


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
