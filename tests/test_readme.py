"""The README's numbers are those of the records, and what it says of them follows from them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fwrnn_core import fairness
from fwrnn_core.evidence import Evidence
from fwrnn_core.experiments import fair

README = (Path(__file__).resolve().parent.parent / "README.md").read_text("utf-8")
SECTION = README.partition("## Does it help?")[2].partition("\n## ")[0]
METHODS = {fairness.label(m): m for m in fair.METHODS}
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
    assert " ".join(SECTION.split()).count(f"({shown[0]} and {shown[1]} points)") == 1


def test_the_words_follow_from_the_records(differences: dict) -> None:
    clean, noisy = differences["har2"], differences["noisy-har2"]
    assert {t.n for t in clean.values() if t.n} == {5}
    assert {t.n for t in noisy.values() if t.n} == {3}
    assert clean["fw-k5"].side == clean["fw-k1"].side == 0  # "about level"
    for tests in (clean, noisy):  # "truncated back-propagation helps more"
        for method in ("adam-tbptt", "fw-tbptt"):
            assert tests[method].side == 1
            assert tests[method].difference > max(tests[m].difference for m in ("fw-k1", "fw-k5"))
    assert noisy["fw-k5"].side == noisy["fw-k1"].side == 1  # "a little ahead"
    adjusted = dict(zip(noisy, fairness.holm([t.p for t in noisy.values()]), strict=True))
    assert min(adjusted["fw-k5"], adjusted["fw-k1"]) > 0.05  # "too little to survive"


def test_one_inner_step_does_as_well_as_five() -> None:
    evidence = Evidence()
    for task in fairness.TASKS:
        one, five = (fairness.accuracies(evidence, task, f"fw-k{k}") for k in (1, 5))
        assert fairness.paired(one, five).side == 0
