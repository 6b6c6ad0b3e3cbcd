"""The README's numbers are those of the records, and what it says of them follows from them."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from fwrnn_core import ablation, fairness
from fwrnn_core.evidence import Evidence
from fwrnn_core.experiments import fair
from fwrnn_core.fairness.final import equal_names, gradients
from fwrnn_core.fairness.networks import NETWORKS, network_leads, pair
from fwrnn_core.fairness.words import tanh

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
SECTION = README.partition("## Does it help?")[2].partition("\n## ")[0]
METHODS = {fairness.label(m): m for m in fair.METHODS}
TEXT = " ".join(SECTION.split())
TBPTT = ("adam-tbptt", "fw-tbptt")
ROWS = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", SECTION, flags=re.MULTILINE)[1:]


@pytest.fixture(scope="module")
def differences() -> dict[str, dict[str, fairness.Paired]]:
    evidence = Evidence()
    return {task: fairness.comparisons(evidence, task) for task in fairness.TASKS}


def pooled(differences: dict) -> dict[tuple[str, str], float]:
    """p adjusted for the comparisons of both data sets together."""
    return fairness.adjusted_p(
        {(task, m): t for task, tests in differences.items() for m, t in tests.items()}
    )


def test_the_table_is_that_of_the_records(differences: dict) -> None:
    assert len(ROWS) == 9
    adjusted = {task: fairness.adjusted_p(tests) for task, tests in differences.items()}
    for name, *cells in ROWS:
        method = METHODS[name]
        for task, cell in zip(differences, cells, strict=True):
            shown = differences[task][method].rounded(1)
            bold = adjusted[task][method] <= 0.05
            assert cell == (f"**{shown}**" if bold else shown), (task, name)


def test_the_numbers_in_the_authors_settings_are_those_of_the_records() -> None:
    def over(base: str, method: str) -> fairness.Paired:
        both = (fairness.repeated(Evidence(), "noisy-har2", m) for m in (method, base))
        return fairness.paired(*both)

    clipping, five, one = over("adam", "adam-clip"), over("adam", "fw-k5"), over("fw-k1", "fw-k5")
    assert clipping.n == five.n == one.n == 3
    assert clipping.side == 0  # "does not help"
    assert TEXT.count(f"({clipping.rounded(1)} points over Adam, best test epoch of three") == 1
    leads = [t.rounded(1).removeprefix("+") for t in (five, one)]
    assert TEXT.count(f"leads Adam by {leads[0]} points and *K* = 1 by {leads[1]}.") == 1


def test_the_words_follow_from_the_records(differences: dict) -> None:
    clean, noisy = differences["har2"], differences["noisy-har2"]
    assert {t.n for t in clean.values() if t.n} == {5}
    assert {t.n for t in noisy.values() if t.n} == {3}
    for tests in differences.values():
        adjusted = fairness.adjusted_p(tests)
        for method in ("adam", "fw-k1", "fw-k5", "fw-k10"):  # "no lead over clipping survives"
            assert tests[method].side <= 0 or adjusted[method] > 0.05
        for method in TBPTT:  # "the highest means on that network"
            others = [
                t.difference
                for m, t in tests.items()
                if m not in TBPTT and t.n and tanh(m)  # the tanh RNN
            ]
            assert tests[method].difference > max(others)
    together = pooled(differences)
    kept = {m for (_, m), p in together.items() if p <= 0.05}
    assert kept == {"lstm-fw"}  # "with both data sets counted together, only …"


def test_the_gradients_of_its_runs_are_counted() -> None:
    taken = gradients(Evidence(), "har2")
    assert (
        taken["fw-tbptt"] == 8 * taken["adam-clip"]
    )  # "eight gradients … where clipping takes one"
    assert fair.METHODS["fw-tbptt"][2] == 16
    assert fair.WINDOW == 128
    equal = fairness.comparisons(Evidence(), "har2", equal_names)["fw-tbptt"]
    assert (equal.n, equal.side) == (5, 0)
    assert TEXT.count(f"is not ahead on HAR-2 ({equal.rounded(1)} points)") == 1
    noisy = fairness.comparisons(Evidence(), "noisy-har2", equal_names)
    assert noisy["fw-tbptt"].side == 1
    assert fairness.adjusted_p(noisy)["fw-tbptt"] <= 0.05  # "which survives the correction"
    shown = noisy["fw-tbptt"].rounded(1)
    assert TEXT.count(f"with noise it is ({shown}, which survives the correction)") == 1


def test_another_network_does_more_than_another_optimizer(differences: dict) -> None:
    for tests in differences.values():
        plain = max(tests[m].difference for m in ("fw-k1", "fw-k5", "fw-k10", "adam"))
        for network in ("lstm", "indrnn"):
            assert min(tests[f"{network}-{m}"].difference for m in ("adam", "fw")) > plain


def test_what_is_not_trained_to_its_end_is_told() -> None:
    evidence = Evidence()
    unfinished = {n for n in evidence.catalogue if evidence.coverage([n]).names("partial")}
    assert unfinished
    assert all(name.startswith("mnist-") for name in unfinished)
    assert "(those on MNIST are not trained to their end)" in " ".join(README.split())


def test_on_no_network_does_the_optimizer_make_a_difference_that_survives() -> None:
    for task in fairness.TASKS:
        leads = network_leads(Evidence(), task)
        assert set(leads) == set(NETWORKS)
        assert min(fairness.adjusted_p(leads).values()) > 0.05
        peers = [pair(Evidence(), task, network)[1] for network in leads]
        # "with clipping, except beside TBPTT"
        assert all(fair.clips(m) for m in peers if m != "adam-tbptt")


def test_no_difference_between_one_inner_step_and_five() -> None:
    evidence = Evidence()
    for task in fairness.TASKS:
        one, five = (fairness.accuracies(evidence, task, f"fw-k{k}") for k in (1, 5))
        assert fairness.paired(one, five).side == 0


def test_the_pictures_caption_is_true_of_its_run() -> None:
    picture = runpy.run_path(str(ROOT / "book" / "picture.py"))

    def end(*run: float) -> float:
        outer, inner = picture["run"](*run)
        assert inner.shape[0] * (inner.shape[1] - 1) == 96, "gradients"
        return float(picture["valley"](*outer[-1]))

    assert picture["OUTER_STEPS"] == 8
    assert picture["INNER_STEPS"] == 12
    walked = end(12)
    assert walked < end(1), "with the same radius"
    assert end(1, 0.2) < walked, "with smaller steps"


def test_the_spectral_ball_does_as_well_with_one_inner_step() -> None:
    series, ball = ablation.Series("spectral", "ball"), "newton-schulz"
    tests = [
        fairness.paired(series.losses(ball), series.losses(other))
        for other in ("default", f"{ball}-k1")
    ]
    assert [(test.n, test.side) for test in tests] == [(6, -1), (6, 0)]
    accuracy = series.compare(ball).rounded(1)
    assert TEXT.count(f"({tests[0].rounded(3)}; test accuracy {accuracy} points). *K* = 1") == 1
