"""The README's numbers are those of the records, and what it says of them follows from them."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from fwrnn_core import fairness
from fwrnn_core.evidence import Evidence
from fwrnn_core.experiments import fair

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
SECTION = README.partition("## Does it help?")[2].partition("\n## ")[0]
METHODS = {fairness.label(m): m for m in fair.METHODS}
TEXT = " ".join(SECTION.split())
TBPTT = ("adam-tbptt", "fw-tbptt")
ROWS = re.findall(r"^\| (.+?) \| ([−+].+?) \|$", SECTION, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def differences() -> dict[str, dict[str, fairness.Paired]]:
    evidence = Evidence()
    return {task: fairness.comparisons(evidence, task) for task in fairness.TASKS}


def test_the_table_is_that_of_the_records(differences: dict) -> None:
    assert len(ROWS) == 5
    for name, shown in ROWS:
        assert shown == differences["har2"][METHODS[name]].rounded(1), name


def test_the_noisy_numbers_are_those_of_the_records(differences: dict) -> None:
    shown = [differences["noisy-har2"][m].rounded(1) for m in ("fw-k5", "fw-k1")]
    assert TEXT.count(f"({shown[0]} and {shown[1]} points)") == 1


def test_the_numbers_in_the_authors_settings_are_those_of_the_records() -> None:
    def over(base: str, method: str) -> fairness.Paired:
        both = (fairness.repeated(Evidence(), "noisy-har2", m) for m in (method, base))
        return fairness.paired(*both)

    clipping, five, one = over("adam", "adam-clip"), over("adam", "fw-k5"), over("fw-k1", "fw-k5")
    assert clipping.n == five.n == one.n == 3
    assert clipping.side == 0  # "does not help"
    assert TEXT.count(f"({clipping.rounded(1)} points over Adam, best test epoch of three") == 1
    leads = [t.rounded(1).removeprefix("+") for t in (five, one)]
    assert TEXT.count(f"leads Adam by {leads[0]} points and is {leads[1]} ahead of *K* = 1.") == 1


def test_the_words_follow_from_the_records(differences: dict) -> None:
    clean, noisy = differences["har2"], differences["noisy-har2"]
    assert {t.n for m, t in clean.items() if t.n and fairness.tanh(m)} == {5}
    assert {t.n for t in noisy.values() if t.n} == {3}
    assert clean["fw-k5"].side == clean["fw-k1"].side == 0  # "no lead is detectable"
    kept = []
    for task, tests in differences.items():
        adjusted = fairness.adjusted_p(tests)
        kept += [(task, m) for m in TBPTT if adjusted[m] <= 0.05]
        for method in TBPTT:  # "the highest means"
            others = [
                t.difference
                for m, t in tests.items()
                if m not in TBPTT and t.n and fairness.tanh(m)  # "for it", the tanh RNN
            ]
            assert tests[method].difference > max(others)
    assert kept == [("har2", "fw-tbptt")]  # "only Frank-Wolfe's survives"
    assert noisy["fw-k5"].side == noisy["fw-k1"].side == 1  # "a little ahead"
    assert min(adjusted["fw-k5"], adjusted["fw-k1"]) > 0.05  # "too little to survive"


def test_the_gradients_of_its_runs_are_counted() -> None:
    taken = fairness.gradients(Evidence(), "har2")
    assert taken["fw-tbptt"] == 8 * taken["adam-clip"]  # "eight times as many"


def test_the_sentences_on_the_lstm_are_those_of_the_records(differences: dict) -> None:
    clean, noisy = (
        [tests[m].rounded(1).removeprefix("+") for m in ("lstm-adam", "lstm-fw")]
        for tests in differences.values()
    )
    text = " ".join(TEXT.split())
    assert f"by {clean[0]} points with Adam and by {clean[1]} with Frank-Wolfe, under noise" in text
    assert f"under noise by {noisy[0]} and {noisy[1]}; here neither clips." in text
    leads = {
        (task, network): lead
        for task in fairness.TASKS
        for network, lead in fairness.network_leads(Evidence(), task).items()
    }
    lead, noisy_lead = leads["har2", "LSTM"], leads["noisy-har2", "LSTM"]
    assert (lead.n, lead.side) == (5, 0)  # "five seeds" above the table; "no difference"
    assert f"detectable on clean data ({lead.rounded(1)});" in text
    assert (noisy_lead.n, noisy_lead.side) == (3, 1)
    assert f"lead of {noisy_lead.rounded(1).removeprefix('+')} survives" in text
    there = {key: test for key, test in leads.items() if key[0] == "noisy-har2"}
    assert (len(there), len(leads)) == (4, 8)  # "four networks", "eight comparisons"
    adjusted = (fairness.adjusted_p(tests)["noisy-har2", "LSTM"] for tests in (there, leads))
    assert next(adjusted) <= 0.05 < next(adjusted)


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
