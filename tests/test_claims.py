"""The paper's claims: every one has a page and true printed numbers, and records decide it."""

from __future__ import annotations

import math
import re

import pytest
import yaml

from fwrnn_core import claims, fairness, paths
from fwrnn_core.batch.catalog import book_pages
from fwrnn_core.claims import Verdict, comparisons, fair, rules
from fwrnn_core.claims.curve_rules import Overtakes, SameLoss
from fwrnn_core.data.catalog import NOISE_STD
from fwrnn_core.errors import ConfigError
from fwrnn_core.evidence import Evidence
from fwrnn_core.experiments import catalogue, tuned
from fwrnn_core.experiments.fair import METHODS, SEEDS, final, search
from fwrnn_core.experiments.published import TABLE3, repeats
from fwrnn_core.experiments.theory import _HAR2_WINDOWS
from fwrnn_core.fairness import repeats as by_seeds
from fwrnn_core.theory.recorded import planned
from fwrnn_core.training import records

from .shelf import MACHINE, put

RUNS = catalogue()
HOME = paths.home()


pytestmark = pytest.mark.usefixtures("shelf")


def run(name: str, accuracy: float, **options: object) -> None:
    """A record of one epoch with this best test accuracy, in per cent."""
    put(RUNS[name], {"test_accuracy": [accuracy / 100]}, **options)  # type: ignore[arg-type]


def test_every_claim_has_a_key_a_part_and_a_page_of_the_book():
    keys = [c.key for c in claims.CLAIMS]
    assert len(keys) == len(set(keys))
    assert {c.part for c in claims.CLAIMS} == set(claims.PARTS)
    parts = [claims.PARTS.index(c.part) for c in claims.CLAIMS]
    assert parts == sorted(parts), "numbered part by part"
    pages = set(book_pages(yaml.safe_load((HOME / "_toc.yml").read_text("utf-8"))))
    assert {f"notebooks/{c.page}" for c in claims.CLAIMS} <= pages


def test_every_claim_is_judged_by_planned_runs_or_settled_without():
    finals = {f"fair/{t}/final/{m}/seed-{s}" for t in SEEDS for m in METHODS for s in range(1, 6)}
    finals |= {f"adding/tuned/final/{m}/seed-{s}" for m in tuned.METHODS for s in tuned.SEEDS}
    for claim in claims.CLAIMS:
        used = [rule for rule in (claim.published, claim.fair) if rule]
        assert bool(used) != bool(claim.settled), claim.key
        # The experiment pages sum up their verdicts on the published settings.
        if claim.part.endswith("MNIST") or claim.page == "experiments/har2":
            assert claim.published, claim.key
        for rule in used:
            assert rule.names(), claim.key
            assert set(rule.names()) <= set(RUNS) | finals, claim.key


def test_without_a_record_nothing_is_judged():
    rows = claims.examine_all()
    judged = [f for r in rows for f in (r.published, r.fair) if f and not f.verdict.open]
    assert judged == []
    assert "none can be judged yet" in claims.summary(rows)
    assert len(claims.table(rows).splitlines()) == 4 + len(claims.CLAIMS)
    assert claims.examine("adding").cells == ("**not run yet**", "**not run yet**")


def test_numbers_in_print_are_the_paper_s():
    assert comparisons.in_print("har2/published/fw-k5") == 94.11
    assert comparisons.in_print("noisy-har2/published/adam") == 74.38
    assert comparisons.in_print("mnist-indrnn/published/permuted/fw-k1", "time") == 3.68
    for name in ("mnist-rnn/published/pixel/adam", "adding/published/adam", "har2/other/adam"):
        assert comparisons.in_print(name) is None
    printed = {c.key: c.printed() for c in claims.CLAIMS}
    assert printed["noisy-adam"] == "+15.14 points"
    assert printed["noise-drop"] == "+9.15 points"
    assert printed["indrnn-time"] == "0.53 (Pixel), 0.49 (Permute) × the time"
    assert printed["every-sgd"] == "6 of 10 comparisons in favour", (
        "Table II prints the baseline ahead"
    )
    assert printed["clip-fades"] == "+5.70 points, then +0.00 points"
    for row in TABLE3:
        for task in ("har2", "noisy-har2"):
            assert 50 < (comparisons.in_print(f"{task}/published/{row}") or 0) < 100


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


def seeds(row: str, accuracies: list[float], task: str = "har2", last: float = 0.5) -> None:
    """The published run and as many repeats: their best accuracy, and half of it at the end."""
    for name, best in zip(repeats(f"{task}/published/{row}"), accuracies, strict=False):
        curves = {"test_accuracy": [best / 100, last * best / 100], "train_loss": [1.0, 0.9]}
        put(RUNS[name], curves)


def test_a_difference_of_repeated_runs_is_judged_by_its_interval():
    seeds("adam", [87.5, 88, 87])
    seeds("fw-k5", [94, 94, 94])
    found = claims.examine("har2-adam").published
    assert found.verdict is Verdict.HOLDS
    assert found.text == "+6.50 ± 1.24 points (3 seeds; at the last epoch +3.25 ± 0.62)"
    seeds("adam", [90.2, 91, 91.3])
    found = claims.examine("har2-adam").published
    assert found.verdict is Verdict.UNDECIDED, "half of 6.45 points is inside the interval"
    seeds("adam", [97, 97.5, 98, 98.5])
    found = claims.examine("har2-adam").published
    assert found.verdict is Verdict.FAILS
    assert "3 seeds" in found.text, "the seeds that both have"
    assert found.text.endswith("); the paper's +6.45 points are outside this interval")


def test_a_row_with_one_seed_is_judged_by_the_spread_of_the_rows_that_were_repeated():
    seeds("fw-tbptt", [94])
    seeds("adam-tbptt", [93])
    alone = claims.examine("har2-tbptt").claim.fair
    assert alone is not None
    found = comparisons.gain("har2/published/fw-tbptt", "har2/published/adam-tbptt")
    assert found.measure(Evidence()).half is None, "nothing was repeated"
    seeds("adam", [90, 92])
    seeds("fw-k5", [93, 97])
    deviation, freedom = by_seeds.deviation(Evidence(), "har2")
    assert (deviation, freedom) == (pytest.approx(math.sqrt((2 + 8) / 2)), 2)
    measured = found.measure(Evidence())
    assert measured.half == pytest.approx(4.30265 * deviation * math.sqrt(2), rel=1e-4)
    assert measured.note.startswith("1 seed, spread of the repeated rows; "), "a ± needs a source"
    assert not measured.apart
    seeds("fw-k5", [93])
    (paths.records() / "har2/seeds/fw-k5/seed-43.json").unlink()
    assert by_seeds.deviation(Evidence(), "noisy-har2")[1] == 0


def test_a_seed_that_diverged_is_left_out_and_named():
    """Its best accuracy is that of a part of the run."""
    seeds("adam", [88, 88, 88, 88])
    seeds("fw-k5", [94, 94, 94, 94])
    last = repeats("har2/published/fw-k5")[3]
    put(RUNS[last], {"test_accuracy": [0.99], "train_loss": [1.0]}, status="diverged")
    said = "fw-k5 diverged with 1 of 5 seeds"
    found = claims.examine("har2-adam").published
    assert found.verdict is Verdict.HOLDS
    assert found.text.startswith(f"+6.00 ± 0.00 points ({said}; 3 seeds")
    evidence = Evidence()
    assert list(fairness.repeated(evidence, "har2", "fw-k5").values()) == [94, 94, 94]
    assert "| 3 of 5, 1 diverged |" in fairness.repeat_table(evidence, "har2")
    sooner = Overtakes("har2/published/fw-k5", "har2/published/adam").judge(evidence)
    assert sooner.text.endswith(f"; {said}")


def test_a_row_that_diverged_with_its_only_seed_cannot_be_compared():
    seeds("fw-tbptt", [94])
    put(RUNS["har2/published/adam-tbptt"], {"test_accuracy": [0.9]}, status="diverged")
    gain = comparisons.gain("har2/published/fw-tbptt", "har2/published/adam-tbptt")
    measured = gain.measure(Evidence())
    assert (measured.value, measured.comparable) == (None, False)
    assert measured.note == "adam-tbptt diverged"


def test_what_the_spread_covers_neither_makes_nor_breaks_a_claim():
    for task in ("har2", "noisy-har2"):
        seeds("adam", [90, 91, 92], task)
        seeds("fw-k1", [95, 91, 90], task)
        seeds("fw-k5", [96, 97, 98.2], task)
    found = claims.examine("small-k").published
    assert found.verdict is Verdict.PARTLY
    for task in ("har2", "noisy-har2"):
        seeds("fw-k5", [95, 91, 90], task)
    assert claims.examine("small-k").published.verdict is Verdict.UNDECIDED
    for task in ("har2", "noisy-har2"):
        seeds("fw-k5", [80, 81, 82.1], task)
    assert claims.examine("small-k").published.verdict is Verdict.UNDECIDED
    for task in ("har2", "noisy-har2"):
        seeds("fw-k1", [80, 81, 82.1], task)
    assert claims.examine("small-k").published.verdict is Verdict.FAILS


def test_an_advantage_fades_if_the_intervals_agree():
    gains = {"har2": [95, 96, 97.1], "noisy-har2": [91, 92, 93.1]}
    for task, clipped in gains.items():
        seeds("adam", [90, 91, 92], task)
        seeds("adam-clip", clipped, task)
    assert claims.examine("clip-fades").published.verdict is Verdict.HOLDS
    seeds("adam-clip", [88, 92, 99], "noisy-har2")
    assert claims.examine("clip-fades").published.verdict is Verdict.UNDECIDED


def test_the_baseline_that_is_passed_is_that_of_the_literature_or_adams_own():
    adam = {"test_accuracy": [0.5, 0.6, 0.8, 0.7]}
    put(RUNS["har2/published/adam"], adam)
    put(RUNS["har2/published/fw-k5"], {"test_accuracy": [0.7, 0.85, 0.8, 0.9]})
    found = claims.examine("har2-epochs").published
    assert found.verdict is Verdict.PARTLY
    assert found.text == (
        "91.31 % with 0 of 1 seed, by Adam with 0; Adam's own best, sooner than Adam, with 1 of 1"
    )
    put(RUNS["har2/published/fw-k5"], {"test_accuracy": [0.7, 0.92, 0.8, 0.9]})
    found = claims.examine("har2-epochs").published
    assert found.verdict is Verdict.HOLDS
    assert "(epoch 2)" in found.text
    put(RUNS["har2/seeds/adam/seed-43"], adam)
    put(RUNS["har2/seeds/fw-k5/seed-43"], {"test_accuracy": [0.7, 0.7, 0.7, 0.95]})
    found = claims.examine("har2-epochs").published
    assert found.verdict is Verdict.PARTLY
    assert found.text == (
        "91.31 % with 2 of 2 seeds (epochs 2 to 4), by Adam with 0;"
        " Adam's own best, sooner than Adam, with 1 of 2"
    )
    put(RUNS["har2/seeds/adam/seed-43"], {"test_accuracy": [0.5, 0.6, 0.92]})
    assert ", by Adam with 1 (epoch 3);" in claims.examine("har2-epochs").published.text
    put(RUNS["har2/published/fw-k5"], {"test_accuracy": [0.7]})
    put(RUNS["har2/seeds/fw-k5/seed-43"], {"test_accuracy": [0.7]})
    assert claims.examine("har2-epochs").published.verdict is Verdict.FAILS


def finish(method: str, accuracies: list[float], task: str = "har2", spent: int = 1) -> None:
    for config in search(task, method):
        put(config, {"validation_loss": [config.optimizer.lr]})
    for config, accuracy in zip(final(task, method), accuracies, strict=False):
        curve = [*[0.1] * (spent - 1), accuracy / 100]
        losses = [*[1.0] * (spent - 1), 0.5]
        put(config, {"test_accuracy": curve, "validation_loss": losses})


def test_fair_claims_are_judged_by_the_interval():
    finish("adam-clip", [90, 91, 92, 93, 94])
    finish("fw-k5", [92, 92, 94, 95])
    assert claims.examine("har2-clip").fair.verdict.open, "a seed is missing"
    finish("fw-k5", [92, 92, 94, 95, 96])
    found = claims.examine("har2-clip").fair
    assert found.verdict is Verdict.HOLDS
    assert found.text == "+1.80 ± 0.56 points, 5 seeds"
    finish("fw-k1", [88, 93, 92, 90, 95])
    assert fair.gain("har2", "fw-k1", "adam-clip").judge(Evidence()).verdict is Verdict.UNDECIDED
    assert fair.gain("har2", "adam-clip", "fw-k5").judge(Evidence()).verdict is Verdict.FAILS


def test_tuned_seeds_that_diverged_are_in_no_interval_and_named():
    finish("adam-clip", [90, 91, 92, 93, 94])
    finish("fw-k5", [92, 92, 94, 95, 96])
    finish("fw-k1", [92, 92, 94, 95, 96])
    last = final("har2", "fw-k5")[-1]
    put(last, {"test_accuracy": [0.99], "train_loss": [1.0]}, status="diverged")
    said = "fw-k5 diverged with 1 of 5 seeds"
    found = claims.examine("har2-clip").fair
    assert found.verdict is Verdict.HOLDS
    assert found.text.endswith(f"points, 4 seeds; {said}")
    pair = tuple(fair.gain("har2", m, "adam-clip") for m in ("fw-k1", "fw-k5"))
    for rule in (fair.EveryInterval(pair), fair.MostIntervals(pair)):
        assert rule.judge(Evidence()).text.endswith(f": 2 hold; {said}")
    for config in final("har2", "fw-k5"):
        put(config, {"test_accuracy": [0.99], "train_loss": [1.0]}, status="diverged")
    found = claims.examine("har2-clip").fair
    assert (found.text, found.verdict) == (
        "fw-k5 diverged with 5 of 5 seeds",
        Verdict.INCOMPARABLE,
    )


def test_a_claim_that_names_a_size_on_other_data_holds_by_its_sign_alone():
    finish("adam", [70, 71, 72], "noisy-har2")
    finish("fw-k10", [85, 86.5, 87], "noisy-har2")
    found = claims.examine("noisy-adam").fair
    assert found.verdict is Verdict.PARTLY
    assert found.text == (
        "+15.17 ± 0.72 points, 3 seeds (noise of variance 2, in the authors' runs 4)"
    )
    names = "noisy-har2/published/fw-k10", "fair/noisy-har2/search/adam/00"
    variances = [NOISE_STD[RUNS[name].data.options["noise"]] ** 2 for name in names]
    assert variances == pytest.approx([4, 2]), "as the words say"
    finish("fw-k10", [60, 61.5, 62], "noisy-har2")
    assert claims.examine("noisy-adam").fair.verdict is Verdict.FAILS


def test_often_is_judged_by_more_than_half_of_the_intervals():
    for task, seeds in SEEDS.items():
        finish("adam", [80 + n for n in range(seeds)], task)
        finish("fw-k1", [85 + 1.1 * n for n in range(seeds)], task)
    finish("fw-k5", [70, 90, 95, 60, 99])
    assert claims.examine("small-k").fair.verdict.open
    finish("fw-k5", [70, 90, 75], "noisy-har2")
    found = claims.examine("small-k").fair
    assert found.text == "of 4 comparisons on HAR-2 with and without noise: 2 hold, 2 undecided"
    assert found.verdict is Verdict.PARTLY, "half is not most"
    finish("fw-k5", [83, 84, 85.1], "noisy-har2")
    assert claims.examine("small-k").fair.verdict is Verdict.HOLDS
    for task, seeds in SEEDS.items():
        finish("fw-k1", [75 + 1.1 * n for n in range(seeds)], task)
        finish("fw-k5", [70, 90, 75, 88, 83][:seeds], task)
    assert claims.examine("small-k").fair.verdict is Verdict.FAILS, "none holds, some are reversed"


def test_a_claim_about_epochs_is_judged_by_epochs_and_not_by_seconds():
    for method, spent, seconds in (("adam", 3, 1.0), ("fw-k5", 2, 9.0)):
        finish(method, [93] * 5, spent=spent)
        for config in final("har2", method):
            curve = {
                "test_accuracy": [*[0.1] * (spent - 1), 0.93],
                "validation_loss": [0.5] * spent,
            }
            put(config, {**curve, "seconds": [seconds] * spent})
    found = claims.examine("har2-epochs").fair
    assert (found.text, found.verdict) == ("first with 5 of 5 seeds", Verdict.HOLDS)
    for config in final("har2", "fw-k5"):
        put(config, {**curve, "gradient_evaluations": [184, 368]})
    told = claims.examine("har2-epochs").fair.text
    assert re.search(r"; 184 gradients an epoch against \d+$", told), "epochs of unlike length"


def test_the_fair_cost_counts_who_is_first_with_each_seed():
    finish("adam", [93] * 5, spent=3)
    finish("fw-k5", [93] * 5, spent=2)
    found = claims.examine("cost").fair
    assert (found.text, found.verdict) == ("first with 5 of 5 seeds", Verdict.HOLDS)
    never = dict.fromkeys(range(3), math.inf)
    assert fair.first_in(never, never) == ("neither gets there", Verdict.UNDECIDED)
    assert fair.first_in(never, {**never, 0: 1.0})[1] is Verdict.UNDECIDED
    assert fair.first_in(never, dict.fromkeys(range(3), 1.0))[1] is Verdict.FAILS
    finish("fw-k5", [93] * 5, spent=3)
    assert claims.examine("cost").fair.text == "first with 0 of 5 seeds, equal with 5"
    assert claims.examine("cost").fair.verdict is Verdict.UNDECIDED
    last = final("har2", "fw-k5")[-1]
    put(last, {"test_accuracy": [0.93]}, environment={**MACHINE, "processor": "b"})
    found = claims.examine("cost").fair
    assert found.verdict is Verdict.INCOMPARABLE, "seconds of another machine decide nothing"
    assert found.text.startswith("timed on different machines")


def test_a_difference_of_differences_says_which_it_is():
    for task in ("har2", "noisy-har2"):
        for method in ("adam", "adam-clip"):
            finish(method, [90, 91, 92.5, 93, 94][: SEEDS[task]], task)
    text = claims.examine("clip-fades").fair.text
    assert text == "gain on clean data less gain on noisy data: +0.00 ± 0.00 points, 3 seeds"


def test_fair_intervals_are_corrected_for_their_number():
    assert claims.corrected(Evidence()) == ""
    finish("adam", [90, 91, 92, 93, 94])
    finish("fw-k5", [92, 92, 94, 95, 96])
    finish("fw-k1", [91, 93, 90, 95, 91])
    said = claims.corrected(Evidence())
    assert said.startswith("Of the 3 differences behind the fair column, 1 has an interval")
    assert said.endswith("(Holm), 1 of them still does.")
    finish("fw-k5", [92.2, 91.1, 92.3, 94.5, 94.8])
    assert claims.corrected(Evidence()).endswith("none of them still does.")


def test_an_unknown_claim_names_the_nearest():
    with pytest.raises(ConfigError, match="'har2-clip'"):
        claims.examine("har-clip")


def test_rules_are_listed_once_and_sources_name_the_runs():
    listed = claims.rules_in_words().splitlines()
    assert len(listed) == len(set(listed)) >= 10
    assert all(line.startswith("- ") and line.endswith(".") for line in listed)
    evidence = Evidence()
    shown = claims.sources(claims.examine_all(evidence=evidence), evidence)
    assert "`har2/published/fw-k5`" in shown
    assert "`fair/har2/final/fw-k5/*`" in shown
    assert "seed-" not in shown
    assert "](" not in shown, "nothing to link to"
    number = next(i for i, c in enumerate(claims.CLAIMS, 1) if c.key == "har2-bn")
    ours, tuned = (line for line in shown.splitlines() if f'href="#claim-{number}"' in line)
    assert ours.endswith("| learning rate, batch size, K |")
    assert tuned.endswith("| – |")


def test_every_record_of_the_list_is_a_link_that_leads_to_it():
    seeds("adam", [90, 91])
    put(RUNS["har2/published/fw-k1"], {"train_loss": [0.1]}, status="partial")
    finish("adam", [90, 91, 92, 93, 94])
    evidence = Evidence()
    rows = claims.examine_all(evidence=evidence)
    here = "experiments/reproduction_report"
    listed = claims.sources(rows, evidence, here)
    places = set(re.findall(r"\]\(([^)]+)\)", listed))
    folder = HOME / "notebooks/experiments"
    found = {(folder / place).resolve() for place in places}
    behind = {
        name
        for row in rows
        for rule in (row.claim.published, row.claim.fair)
        for each in (rule.names() if rule else ())
        for name in repeats(each)
    }
    there = {name for name in behind if evidence.record(name) is not None}
    assert found == {records.path_of(name).resolve() for name in there}
    assert all(path.is_file() for path in found)
    assert {"har2/seeds/adam/seed-43", "fair/har2/final/adam/seed-5"} <= there
    assert "`har2/seeds/adam/*` ([43](" in listed
    assert "), 44, 45, 46)" in listed, "a run without a record is named all the same"
    table = claims.table(rows, numbers=True, here=here)
    for page, other in ((table, listed), (listed, table)):
        targets = re.findall(r'href="#([\w-]+)"', page)
        assert set(targets) <= set(re.findall(r'id="([\w-]+)"', other))
        ids = re.findall(r'id="([\w-]+)"', page)
        assert len(ids) == len(set(ids))
    judged = [row for row in rows if row.published or row.fair]
    assert table.count(">records</a>") == len(judged)
    assert "records</a>" not in claims.table(rows), "the list is on another page"


def test_both_data_sets_are_judged_together():
    holds, partly, fails = Verdict.HOLDS, Verdict.PARTLY, Verdict.FAILS
    cases = {
        (0.6, 0.4): holds,
        (0.6, 0.1): partly,
        (0.6, -0.4): partly,
        (0.1, 0.1): partly,
        (-0.6, -0.4): fails,
    }
    for (clean, noisy), verdict in cases.items():
        for task, lead in (("har2", clean), ("noisy-har2", noisy)):
            run(f"{task}/published/indrnn-adam", 90)
            run(f"{task}/published/indrnn-fw", 90 + 2 * lead)
        found = claims.examine("har2-indrnn").published
        assert found.verdict is verdict, (clean, noisy)
    assert found.text == "clean: −1.20 points (1 seed); noisy: −0.80 points (1 seed)"
    (paths.records() / "noisy-har2/published/indrnn-fw.json").unlink()
    found = claims.examine("har2-indrnn").published
    assert found.verdict is Verdict.UNFINISHED
    assert found.text == "clean: −1.20 points (1 seed); noisy: 1 of 2 runs recorded"
    (paths.records() / "noisy-har2/published/indrnn-adam.json").unlink()
    found = claims.examine("har2-indrnn").published
    assert found.text == "clean: −1.20 points (1 seed); noisy: not run yet"
    assert claims.examine("har2-lstm").fair.verdict is Verdict.OPEN


def test_what_is_undecided_on_one_data_set_may_not_matter():
    for first in ("fw-k5", "fw-k10"):
        finish(first, [92, 92, 94], "noisy-har2")
    finish("adam-clip", [90, 91, 92], "noisy-har2")
    assert claims.examine("noisy-clip").fair.verdict is Verdict.HOLDS
    finish("fw-k10", [88, 93, 92], "noisy-har2")
    assert claims.examine("noisy-clip").fair.verdict is Verdict.UNDECIDED
    finish("fw-k5", [80, 81, 82.1], "noisy-har2")
    assert claims.examine("noisy-clip").fair.verdict is Verdict.UNDECIDED
    finish("fw-k10", [81, 82, 83.1], "noisy-har2")
    found = claims.examine("noisy-clip").fair
    assert found.verdict is Verdict.FAILS
    assert "noisy-har2/final/fw-k5" in " ".join(claims.examine("noisy-clip").claim.fair.names())
    assert claims.corrected(Evidence()).startswith("Of the 2 differences"), "both are counted"


@pytest.mark.parametrize(
    ("permuted", "pixel", "verdict"),
    [
        (20, 4, Verdict.HOLDS),
        (20, 15, Verdict.PARTLY),
        (20, -4, Verdict.PARTLY),
        (20, 25, Verdict.FAILS),
        (-5, 4, Verdict.FAILS),
    ],
)
def test_an_advantage_is_slight_if_it_is_there_and_small(permuted, pixel, verdict):
    for task, lead in (("permuted", permuted), ("pixel", pixel)):
        run(f"mnist-rnn/published/{task}/adam", 50)
        run(f"mnist-rnn/published/{task}/adam-tbptt", 50 + lead)
    row = claims.examine("rnn-tbptt-slight")
    assert row.published.verdict is verdict
    assert row.claim.printed() == "Fig. 4, curves only"


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


def test_what_came_back_with_one_seed_is_counted_as_such():
    put(RUNS["har2/published/adam-tbptt"], {"train_loss": [0.2, 0.02]})
    one = claims.examine("har2-tbptt-loss")
    assert one.cells[0] == "✓ **reproduced**: training MSE 0.020 (one seed)"
    assert "1 *reproduced* (with one seed)." in claims.summary([one])
    seeds("adam", [88, 88, 88])
    seeds("fw-k5", [94, 94, 94])
    several = claims.examine("har2-adam")
    assert "one seed" not in several.cells[0]
    assert "2 *reproduced* (1 with one seed)." in claims.summary([one, several])
    assert "with one seed" not in claims.summary([several])
    for method, spent in (("indrnn-fw", 0.2), ("indrnn-adam", 1.0)):
        for task in ("har2", "noisy-har2"):
            run(f"{task}/published/{method}", 90, seconds=spent)
    times = claims.examine("har2-indrnn-time")
    assert times.published.verdict is Verdict.HOLDS
    assert "with one seed" not in claims.summary([times]), "the seed does not decide a time"


def test_the_literatures_settings_are_ranked_among_the_draws():
    rule = claims.examine("literature").claim.fair
    assert isinstance(rule, fair.BestDraw)
    published = {}
    for task in SEEDS:
        for method in rule.methods:
            of = RUNS[f"{task}/published/{method}"]
            own = [
                n
                for n, c in enumerate(search(task, method))
                if (c.optimizer.lr, c.batch_size) == (of.optimizer.lr, of.batch_size)
            ]
            assert len(own) == 1, "its settings are among the draws"
            published[task, method] = own[0]
    assert rule.judge(Evidence()).verdict.open
    for (task, method), own in published.items():
        for n, config in enumerate(search(task, method)):
            put(config, {"validation_loss": [0.1 if n == own else 0.2 + n]})
    found = rule.judge(Evidence())
    assert found.verdict is Verdict.HOLDS
    assert found.text.startswith("rank among 12 draws: HAR-2 1 (Adam), 1 (Adam + clipping)")
    other = (published["har2", "adam"] + 1) % 12
    put(search("har2", "adam")[other], {"validation_loss": [0.01]})
    assert rule.judge(Evidence()).verdict is Verdict.PARTLY
    put(search("har2", "adam")[other], {"validation_loss": [0.01]}, status="diverged")
    assert rule.judge(Evidence()).verdict is Verdict.HOLDS
    put(search("har2", "adam")[other], {"validation_loss": [0.3]}, status="partial")
    assert rule.judge(Evidence()).verdict is Verdict.UNFINISHED
