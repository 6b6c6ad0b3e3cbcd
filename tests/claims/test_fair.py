"""Claims under fair conditions: methods tuned alike, several seeds."""

from __future__ import annotations

import math
import re

import pytest

from fwrnn_core import claims, paths
from fwrnn_core.claims import Verdict, fair
from fwrnn_core.data.catalog import NOISE_STD
from fwrnn_core.evidence import Evidence
from fwrnn_core.experiments.fair import SEEDS, final

from ..shelf import MACHINE, put
from .cases import RUNS, finish, run

pytestmark = pytest.mark.usefixtures("shelf")


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
