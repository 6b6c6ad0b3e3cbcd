"""Coverage in words, and only records of the planned settings."""

from __future__ import annotations

import pytest

from fwrnn_core.evidence import Coverage, Evidence
from fwrnn_core.training import RunConfig

from .shelf import put

PLANNED = {f"a/{n}": RunConfig(f"a/{n}", epochs=4, seed=n) for n in range(3)}


pytestmark = pytest.mark.usefixtures("shelf")


def states(**numbers: int) -> Coverage:
    runs = {}
    for state, count in numbers.items():
        done = {"complete": 4, "partial": 2}.get(state, 0)
        runs.update({f"{state}-{i}": (state, done, 4) for i in range(count)})
    return Coverage(runs)


@pytest.mark.parametrize(
    ("coverage", "words"),
    [
        (states(missing=3), "**Not run yet:** none of the 3 runs has a record. `do` trains them."),
        (states(missing=1), "**Not run yet:** the run has no record. `do` trains it."),
        (states(complete=2), "All 2 runs are complete."),
        (states(complete=1), "The run is complete."),
        (
            states(complete=1, partial=1, missing=2),
            "1 of 4 runs is complete, 1 is at 2 of 4 epochs, 2 are not run yet. "
            "`do` trains the rest.",
        ),
        (states(complete=2, diverged=1), "2 of 3 runs are complete, 1 diverged."),
        (
            states(partial=2),
            "0 of 2 runs are complete, 2 are at 2 of 4 epochs. `do` trains the rest.",
        ),
    ],
)
def test_coverage_says_what_is_there_and_what_trains_the_rest(coverage, words):
    assert coverage.words("do") == words


def test_without_a_command_none_is_named():
    assert states(missing=1).words() == "**Not run yet:** the run has no record."


def test_records_are_held_against_the_catalogue():
    put(PLANNED["a/0"], {"test_accuracy": [0.5] * 4})
    put(PLANNED["a/1"], {"test_accuracy": [0.5] * 2}, status="partial")
    put(RunConfig("a/2", epochs=4, seed=2, batch_size=7), {"test_accuracy": [0.5] * 4})
    evidence = Evidence(PLANNED)
    assert evidence.complete("a/0") is not None
    assert evidence.record("a/1") is not None
    assert evidence.complete("a/1") is None
    assert evidence.record("a/2") is None, "of other settings"
    assert evidence.record("b") is None
    assert dict(evidence.coverage([*PLANNED, "b"]).runs) == {
        "a/0": ("complete", 4, 4),
        "a/1": ("partial", 2, 4),
        "a/2": ("missing", 0, 4),
        "b": ("missing", 0, 0),
    }
    assert evidence.select("a/[01]") == ["a/0", "a/1"]
