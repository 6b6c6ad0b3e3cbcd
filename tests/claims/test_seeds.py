"""Claims about accuracies, judged by repeated runs of the published settings."""

from __future__ import annotations

import math

import pytest

from fwrnn_core import claims, fairness, paths
from fwrnn_core.claims import Verdict, comparisons
from fwrnn_core.claims.curve_rules import Overtakes
from fwrnn_core.evidence import Evidence
from fwrnn_core.experiments.published import repeats
from fwrnn_core.fairness import repeats as by_seeds

from ..shelf import put
from .cases import RUNS, run, seeds

pytestmark = pytest.mark.usefixtures("shelf")


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
