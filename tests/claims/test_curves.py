"""Claims about curves, updates, angles and the Adding task."""

from __future__ import annotations

import math

import pytest

from fwrnn_core import claims
from fwrnn_core.claims import Verdict, comparisons, rules
from fwrnn_core.evidence import Evidence
from fwrnn_core.experiments import tuned
from fwrnn_core.experiments.published import repeats
from fwrnn_core.experiments.theory import _HAR2_WINDOWS
from fwrnn_core.theory.recorded import planned

from ..shelf import put
from .cases import RUNS

pytestmark = pytest.mark.usefixtures("shelf")


def test_updates_and_gradients_are_counted_apart():
    accuracy = [0.3, 0.5, 0.6]
    for home in (f"{p}/{t}" for p in ("published", "equal") for t in ("pixel", "permuted")):
        for method, updates in {"adam": 50, "fw-k5": 10}.items():
            config = RUNS[f"mnist-indrnn/{home}/{method}"]
            each = range(1, 4)
            curves = {
                "test_accuracy": accuracy,
                "updates": [updates * n for n in each],
                "gradient_evaluations": [50 * n for n in each],
            }
            put(config, curves, status="partial")
    row = claims.examine("indrnn-updates")
    assert row.published.text == "0.20 (Pixel), 0.20 (Permute) × the updates at 3 of 400 epochs"
    assert row.published.verdict is Verdict.UNFINISHED, "one epoch says nothing of what is needed"
    counted = (
        "equal batch size, counted in gradients: 1.00 (Pixel), 1.00 (Permute) × the gradients"
        " at 3 of 400 epochs"
    )
    assert (row.fair.text, row.fair.verdict) == (counted, Verdict.UNFINISHED)


@pytest.mark.parametrize(
    ("adam", "k1", "k10", "verdict"),
    [
        ([0.17, 0.17], [0.17, 0.01], [0.01, 0.01], Verdict.HOLDS),
        ([0.17, 0.01], [0.01, 0.01], [0.17, 0.17], Verdict.PARTLY),
        ([0.17, 0.17], [0.17, 0.17], [0.17, 0.17], Verdict.PARTLY),
        ([0.01, 0.01], [0.17, 0.17], [0.17, 0.17], Verdict.FAILS),
    ],
)
def test_adding_is_learned_or_not(adam, k1, k10, verdict):
    for method, losses in {"adam": adam, "fw-k1": k1, "fw-k10": k10}.items():
        put(RUNS[f"adding/published/{method}"], {"train_loss": losses})
    found = claims.examine("adding").published
    assert found.verdict is verdict
    assert found.text.startswith("learned after ")
    assert "(Adam" in found.text


@pytest.mark.parametrize(
    ("adam", "k1", "k10", "verdict"),
    [
        (0, 3, 3, Verdict.HOLDS),
        (0, 3, 2, Verdict.PARTLY),
        (1, 3, 1, Verdict.UNDECIDED),
        (0, 1, 0, Verdict.UNDECIDED),
        (3, 3, 3, Verdict.FAILS),
    ],
)
def test_tuned_adding_counts_the_seeds_that_learn(adam, k1, k10, verdict):
    for method in tuned.METHODS:
        for config in tuned.search(method):
            put(config, {"validation_loss": [config.optimizer.lr]})
    for method, count in {"adam": adam, "fw-k1": k1, "fw-k10": k10}.items():
        for config in tuned.final(method):
            put(config, {"train_loss": [0.01 if config.seed <= count else 0.17]})
    found = claims.examine("adding").fair
    assert (
        found.text
        == f"learned with {adam} of 3 (Adam), {k1} of 3 (K = 1), {k10} of 3 (K = 10) seeds"
    )
    assert found.verdict is verdict


def test_rates_that_the_search_could_not_tell_apart_are_not_called_tuned():
    for method in tuned.METHODS:
        for config in tuned.search(method):
            put(config, {"validation_loss": [1 / 6 + config.optimizer.lr]})
        for config in tuned.final(method):
            assert config.optimizer.lr == tuned.METHODS[method].lr
            put(config, {"train_loss": [0.17]})
    found = claims.examine("adding").fair
    assert found.text.endswith(", at the published rate, since no rate worked in the search")


def test_a_method_with_a_rate_that_learned_is_told_from_the_others():
    for method in tuned.METHODS:
        for config in tuned.search(method):
            learned = method == "fw-k1" and config.optimizer.lr == 6e-3
            put(config, {"validation_loss": [0.01 if learned else 1 / 6]})
    assert {c.optimizer.lr for c in tuned.final("fw-k1")} == {6e-3}
    for method in tuned.METHODS:
        put(tuned.final(method)[0], {"train_loss": [0.17]})
    assert ", Adam and K = 10 at the published rate, since" in claims.examine("adding").fair.text


def test_fewer_updates_are_read_where_the_level_is_reached():
    for task in ("pixel", "permuted"):
        k1 = {"train_loss": [1.0, 0.5, 0.3], "updates": [10, 20, 30]}
        k5 = {"train_loss": [1.0, 0.6, 0.4], "updates": [2, 4, 6]}
        put(RUNS[f"mnist-rnn/published/{task}/fw-k1"], k1)
        put(RUNS[f"mnist-rnn/published/{task}/fw-k5"], k5)
    row = claims.examine("rnn-updates")
    assert row.published.text == "0.20 (Pixel), 0.20 (Permute) × the updates"
    assert row.published.verdict is Verdict.HOLDS
    assert row.fair.verdict is Verdict.FAILS, "in gradients K = 5 is no sooner here"


def test_a_loss_that_swings():
    smooth = comparisons.Swing("a", "b")
    evidence = Evidence({n: RUNS["har2/published/adam"].replace(name=n) for n in "ab"})
    put(evidence.catalogue["a"], {"train_loss": [1.0, 0.5, 0.9, 0.4]})
    put(evidence.catalogue["b"], {"train_loss": [1.0, 0.5, 0.6, 0.2]})
    found = smooth.measure(evidence)
    assert found.value == pytest.approx(math.log2(0.4 / 0.1))
    assert smooth.show(found.value) == "4.0 × as much climbing back"
    assert smooth.show(2.0, 1.0) == "4.0 × as much climbing back, 2.0 to 8.0"
    put(evidence.catalogue["a"], {"train_loss": [1.0]}, status="partial")
    alone = Evidence(evidence.catalogue)
    assert smooth.measure(alone) == comparisons.Measured(None), "one epoch has no way to climb"


@pytest.mark.parametrize(
    ("rises", "value", "apart"),
    [([0.2, 0.21, 0.19], -1.0, True), ([0.2, 0.05, 0.1], 0.0, False)],
)
def test_swings_are_told_apart_by_the_spread_of_their_seeds(rises, value, apart):
    for row, climbs in (("adam", [0.1] * 3), ("fw-k5", rises)):
        for name, rise in zip(repeats(f"har2/published/{row}"), climbs, strict=False):
            put(RUNS[name], {"train_loss": [1.0, 0.5, 0.5 + rise]})
    found = comparisons.Swing("har2/published/adam", "har2/published/fw-k5").measure(Evidence())
    assert (found.value, found.apart) == (pytest.approx(value, abs=0.01), apart)
    assert found.note == "3 seeds"


@pytest.mark.parametrize(
    ("mean", "most", "verdict"),
    [(30.0, 80.0, Verdict.HOLDS), (30.0, 95.0, Verdict.PARTLY), (92.0, 95.0, Verdict.FAILS)],
)
def test_angles_are_similar_if_small_on_average_and_never_beyond_90_degrees(mean, most, verdict):
    angle = {"n": 9, "min": 1.0, "max": most, "mean": mean, "std": 2.0}
    whole = {"n": 9, "min": 1.0, "max": 44.0, "mean": 34.0, "std": 8.0}
    both = {"batch/rnn.weight_hh_l0": angle, "batch/global": whole}
    probes = {"angles": {"on_run_end": [both]}}
    name = "theory/har2/fw-k10-published"
    assert claims.examine("a5").published.verdict.open
    put(RUNS[name], {"train_loss": [0.1]}, probes=probes)
    found = claims.examine("a5").published
    assert found.verdict is verdict
    assert found.text == (
        f"recurrent matrix, full batch, 9 updates: {mean:.0f}° ± 2°, up to {most:.0f}°; "
        "all weights: 34° ± 8°, up to 44°"
    )
    assert RUNS[name].batch_size >= _HAR2_WINDOWS, "full batch"


@pytest.mark.parametrize(
    ("share", "verdict"), [(1.0, Verdict.HOLDS), (0.6, Verdict.PARTLY), (0.1, Verdict.FAILS)]
)
def test_an_assumption_about_all_t_must_hold_at_all_points_of_all_audited_runs(share, verdict):
    runs = planned("theory/*", probe="assumptions")
    assert sorted(runs) == sorted(claims.examine("a2").claim.fair.names())
    for name in runs:
        # One run where it always holds does not outweigh the others.
        at = 1.0 if name == "theory/har2/fw-k5" else share
        end, low = {"loss": 0.2}, {"loss": 0.1, "residual": 1.0}
        points = [{"loss": 0.3, "residual": 1.0}, {"loss": 0.3, "residual": -1.0}, low]
        summary = {"A2": {"share": at, "points": 10}}
        rows = [{"summary": summary, "points": points, "final": end}]
        assert claims.examine("a2").fair.verdict.open
        put(RUNS[name], {"train_loss": [0.1]}, probes={"assumptions": {"on_run_end": rows}})
    row = claims.examine("a2")
    assert row.fair.verdict is verdict
    held = 10 + round(10 * share) * (len(runs) - 1)
    start = f"at {held} of {10 * len(runs)} points of {len(runs)} runs, 2 of them with Adam"
    assert row.fair.text == (
        f"{start}; at {len(runs)} of {2 * len(runs)} where the risk is above that at the end"
    )
    assert row.cells[1].endswith(f"**{claims.FAIR[verdict]}**: {row.fair.text}")


@pytest.mark.parametrize(
    ("rise", "verdict"), [(0.4, Verdict.HOLDS), (0.15, Verdict.PARTLY), (0.05, Verdict.FAILS)]
)
def test_much_more_stable_is_at_least_twice(rise, verdict):
    for task in ("pixel", "permuted"):
        for method in ("fw-k1", "fw-k5"):
            curve = {"train_loss": [1.0, 0.5, 0.6, 0.2]}
            put(RUNS[f"mnist-rnn/published/{task}/{method}"], curve)
        curve = {"train_loss": [1.0, 0.5, 0.5 + rise, 0.4]}
        put(RUNS[f"mnist-rnn/published/{task}/adam-tbptt"], curve)
    assert claims.examine("rnn-stable").published.verdict is verdict
    assert claims.examine("stability").published.verdict.open is (verdict is not Verdict.FAILS)


@pytest.mark.parametrize(
    ("k1", "k5", "verdict"),
    [(0.14, 0.05, Verdict.HOLDS), (0.14, 0.2, Verdict.PARTLY), (0.3, 0.2, Verdict.FAILS)],
)
def test_the_same_training_loss_is_one_that_ends_alike(k1, k5, verdict):
    for task in ("pixel", "permuted"):
        for method, loss in {"adam": 0.1, "fw-k1": k1, "fw-k5": k5}.items():
            put(RUNS[f"mnist-indrnn/published/{task}/{method}"], {"train_loss": [2.0, loss]})
    found = claims.examine("indrnn-loss").published
    assert found.verdict is verdict
    assert found.text.startswith(f"+{k1 - 0.1:.3f} (Pixel, K = 1), ")
    assert found.text.endswith(" in training loss")


def test_a_desirable_error_is_below_half_of_guessing():
    assert claims.examine("har2-tbptt-loss").published.verdict.open
    name = "har2/published/adam-tbptt"
    put(RUNS[name], {"train_loss": [0.2, 0.02]}, status="partial")
    assert claims.examine("har2-tbptt-loss").published.verdict is Verdict.UNFINISHED
    put(RUNS[name], {"train_loss": [0.02, 0.13]})
    assert claims.examine("har2-tbptt-loss").published.verdict is Verdict.FAILS
    put(RUNS[name], {"train_loss": [0.2, 0.02]})
    found = claims.examine("har2-tbptt-loss").published
    assert (found.text, found.verdict) == ("training MSE 0.020", Verdict.HOLDS)


@pytest.mark.parametrize(
    ("pixel", "permuted", "verdict"),
    [(2.3, 1.16, Verdict.HOLDS), (2.3, 1.14, Verdict.PARTLY), (0.1, 1.14, Verdict.FAILS)],
)
def test_no_convergence_is_a_loss_that_ends_above_half_of_guessing(pixel, permuted, verdict):
    stuck = claims.examine("rnn-stuck").claim.published
    put(RUNS["mnist-rnn/published/pixel/adam"], {"train_loss": [2.3, pixel]})
    assert stuck.judge(Evidence()).verdict.open
    name = "mnist-rnn/published/permuted/adam"
    put(RUNS[name], {"train_loss": [0.1, permuted]}, status="partial")
    assert stuck.judge(Evidence()).verdict is Verdict.UNFINISHED
    put(RUNS[name], {"train_loss": [0.1, permuted]})
    found = stuck.judge(Evidence())
    assert found.verdict is verdict
    assert found.text == f"training loss {pixel:.2f} and {permuted:.2f}"


def test_of_two_curves_that_level_is_taken_which_both_reach():
    put(RUNS["mnist-rnn/published/permuted/adam-tbptt"], {"test_accuracy": [0.3, 0.6, 0.9]})
    put(RUNS["mnist-rnn/published/permuted/adam"], {"test_accuracy": [0.2, 0.5, 0.6]})
    found = claims.examine("rnn-tbptt-helps").published
    assert (found.text, found.verdict) == ("0.67 × the epochs", Verdict.HOLDS)


def test_losses_are_compared_at_the_last_epoch_that_both_have():
    evidence = Evidence({n: RUNS["har2/published/adam"].replace(name=n) for n in "ab"})
    put(evidence.catalogue["a"], {"train_loss": [2.0, 1.0, 0.1]}, status="partial")
    put(evidence.catalogue["b"], {"train_loss": [2.0, 1.5]})
    found = comparisons.Loss("a", "b").measure(evidence)
    assert (found.value, found.final) == (0.5, False)


@pytest.mark.parametrize("sign", [1, -1])
def test_half_the_printed_size_is_enough_and_nothing_is_not(sign):
    found = [rules.by_size(sign * 6.0, sign * rerun) for rerun in (3.0, 2.9, 0.0, -6.0)]
    assert found == [Verdict.HOLDS, Verdict.PARTLY, Verdict.FAILS, Verdict.FAILS]


def test_an_advantage_is_lost_below_half_of_it_and_slight_only_above_nothing():
    gains = [(10, 4.9), (10, 5), (10, 10), (10, 0), (0, -1)]
    holds, partly, fails = Verdict.HOLDS, Verdict.PARTLY, Verdict.FAILS
    assert [rules.Fades.fading(*g) for g in gains] == [holds, partly, fails, holds, fails]
    assert [rules.Slight.fading(*g) for g in gains] == [holds, partly, fails, partly, fails]
