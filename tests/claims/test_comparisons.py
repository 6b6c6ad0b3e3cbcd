"""Claims about accuracies and times, judged by one run of each row."""

from __future__ import annotations

import pytest

from fwrnn_core import claims, paths
from fwrnn_core.claims import Verdict, comparisons, rules
from fwrnn_core.claims.curve_rules import SameLoss
from fwrnn_core.evidence import Evidence

from ..shelf import MACHINE, put
from .cases import RUNS, run

pytestmark = pytest.mark.usefixtures("shelf")


def test_the_margin_covers_what_the_paper_calls_comparable():
    (rule,) = [c.published for c in claims.CLAIMS if c.key == "indrnn-accuracy"]
    assert isinstance(rule, rules.Within)
    worst = max(-(c.printed() or 0) for c in rule.comparisons)
    assert f"{worst:.2f}" in rule.words
    assert worst < rule.margin


@pytest.mark.parametrize(
    ("ours", "adam", "verdict"),
    [
        (94.11, 87.66, Verdict.HOLDS),
        (88.0, 87.0, Verdict.PARTLY),
        (86.0, 87.0, Verdict.FAILS),
    ],
)
def test_a_difference_is_judged_by_sign_and_half_its_size(ours, adam, verdict):
    run("har2/published/fw-k5", ours)
    assert claims.examine("har2-adam").published.verdict.open
    run("har2/published/adam", adam)
    found = claims.examine("har2-adam").published
    assert found.verdict is verdict
    assert found.text == f"{ours - adam:+.2f} points (1 seed)".replace("-", "−")


def test_runs_stopped_early_are_shown_over_their_common_epochs_and_not_judged():
    full = RUNS["har2/published/adam"]
    put(RUNS["har2/published/fw-k5"], {"test_accuracy": [0.8, 0.7]}, status="partial")
    put(full, {"test_accuracy": [0.7, 0.75, *[0.9] * (full.epochs - 2)]})
    found = claims.examine("har2-adam").published
    assert found.verdict is Verdict.UNFINISHED
    assert found.text == "+5.00 points at 2 of 200 epochs"


def test_a_claim_about_all_falls_with_one_finished_counterexample():
    run("har2/published/fw-tbptt", 90)
    run("har2/published/adam-tbptt", 89)
    assert claims.examine("tbptt").published.verdict.open
    run("noisy-har2/published/adam-tbptt", 80)
    run("noisy-har2/published/fw-tbptt", 81)
    for task in ("pixel", "permuted"):
        assert claims.examine("tbptt").published.verdict.open
        for method, accuracy in {"adam": 90, "fw-k1": 91, "fw-k5": 92}.items():
            run(f"mnist-rnn/published/{task}/{method}-tbptt", accuracy)
    assert claims.examine("tbptt").published.verdict is Verdict.HOLDS
    (paths.records() / "noisy-har2/published/fw-tbptt.json").unlink()
    run("noisy-har2/published/fw-tbptt", 79)
    assert claims.examine("tbptt").published.verdict is Verdict.FAILS


def test_often_means_in_more_than_half():
    accuracies = {"adam": 80, "fw-k1": 85, "fw-k5": 84}
    for method, accuracy in accuracies.items():
        run(f"har2/published/{method}", accuracy)
        run(f"noisy-har2/published/{method}", 100 - accuracy)
    assert claims.examine("small-k").published.verdict is Verdict.PARTLY


@pytest.mark.parametrize(("printed", "verdict"), [(0.5, Verdict.FAILS), (0.05, Verdict.UNDECIDED)])
def test_times_alike_refute_a_large_saving_and_leave_a_small_one_open(printed, verdict):
    class Alike(comparisons.Saving):
        def printed(self):
            return printed

        def measure(self, evidence):
            return comparisons.Measured(-0.04, apart=False)

    assert rules.HalfSize(Alike("ours", "theirs")).judge(Evidence()).verdict is verdict


@pytest.mark.parametrize("rule", [rules.Within, SameLoss])
def test_a_difference_as_large_as_the_margin_is_within_it(rule):
    class Behind(comparisons.Loss):
        def measure(self, evidence):
            return comparisons.Measured(-rule.margin)

    assert rule((Behind("ours", "theirs"),)).judge(Evidence()).verdict is Verdict.HOLDS


def test_comparable_is_a_matter_of_a_margin():
    for task in ("pixel", "permuted"):
        for method, accuracy in {"adam": 98.0, "fw-k1": 97.6, "fw-k5": 98.4}.items():
            run(f"mnist-indrnn/published/{task}/{method}", accuracy)
    assert claims.examine("indrnn-accuracy").published.verdict is Verdict.HOLDS
    assert claims.examine("indrnn-accuracy").fair.verdict.open
    run("mnist-indrnn/published/pixel/adam", 98.0, status="partial")
    assert claims.examine("indrnn-accuracy").published.verdict is Verdict.UNFINISHED


@pytest.mark.parametrize(
    ("seconds", "environment", "verdict"),
    [
        (0.5, MACHINE, Verdict.HOLDS),
        (0.85, MACHINE, Verdict.PARTLY),
        (0.95, MACHINE, Verdict.FAILS),
        (1.05, MACHINE, Verdict.FAILS),
        (1.2, MACHINE, Verdict.FAILS),
        (0.5, {**MACHINE, "processor": "b"}, Verdict.INCOMPARABLE),
        (0.5, {**MACHINE, "code": "2"}, Verdict.INCOMPARABLE),
    ],
)
def test_times_are_compared_per_epoch_on_one_machine_only(seconds, environment, verdict):
    curves = {"test_accuracy": [0.5, 0.6]}
    for home in (f"{p}/{t}" for p in ("published", "equal") for t in ("pixel", "permuted")):
        names = [f"mnist-indrnn/{home}/{m}" for m in ("adam", "fw-k5")]
        put(RUNS[names[0]], curves, status="partial", seconds=1.0)
        put(RUNS[names[1]], curves, status="partial", seconds=seconds, environment=environment)
    row = claims.examine("indrnn-time")
    for found in (row.published, row.fair):
        assert found.verdict is verdict, "an epoch or two is enough, and half the saving in print"
        if environment == MACHINE:
            shown = f"{seconds:.2f} × the time (one CPU thread) at 2 of 400 epochs"
            both = f"Pixel: {shown}; Permute: {shown}"
            assert found.text.removeprefix("equal batch size: ") == both


def test_times_near_one_neither_make_nor_break_a_claim_about_all():
    names = [c.names() for c in claims.examine("cost").claim.published.comparisons]
    verdicts = {(0.8,) * 4: Verdict.HOLDS, (0.8, 0.8, 1.09, 0.94): Verdict.UNDECIDED}
    verdicts[0.8, 0.8, 0.8, 1.2] = Verdict.FAILS
    for ratios, verdict in verdicts.items():
        for (ours, baseline), ratio in zip(names, ratios, strict=True):
            put(RUNS[ours], {"test_accuracy": [0.5]}, seconds=ratio)
            put(RUNS[baseline], {"test_accuracy": [0.5]})
        found = claims.examine("cost").published
        assert found.verdict is verdict
        assert found.text.endswith(f"{ratios[-1]:.2f} (Permute) × the time (one CPU thread)")
    (paths.records() / f"{names[0][0]}.json").unlink()
    put(RUNS[names[3][0]], {"test_accuracy": [0.5]}, seconds=1.09)
    assert claims.examine("cost").published.verdict.open, "no longer a clear counterexample"
    for ours, _ in names:  # nor is there anything to wait for
        elsewhere = {**MACHINE, "processor": "b"}
        put(RUNS[ours], {"test_accuracy": [0.5]}, status="partial", environment=elsewhere)
    assert claims.examine("cost").published.verdict is Verdict.INCOMPARABLE
