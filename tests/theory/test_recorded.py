from __future__ import annotations

from pathlib import Path

import pytest

from fwrnn_core.evidence import Evidence
from fwrnn_core.theory.recorded import Recorded, coverage, how_often, planned, recorded
from fwrnn_core.training import Record, RunConfig, records
from fwrnn_core.wording import label

AUDITED = ({"name": "assumptions"}, {"name": "angles"})
RUNS = {
    name: RunConfig(name, epochs=2, probes=probes)
    for name, probes in {
        "theory/har2/adam": ({"name": "assumptions"},),
        "theory/har2/fw-k5": AUDITED,
        "theory/har2/fw-k30": ({"name": "angles"},),
        "theory/adding/fw-k1": AUDITED,
    }.items()
}


def file(folder: Path, name: str, status: str, probes: dict[str, object]) -> None:
    """A record of that run with these probes' rows, and nothing else of interest."""
    body = {"status": status, "config": RUNS[name].to_dict(), "probes": probes}
    body |= {"schema": records.SCHEMA, "id": RUNS[name].id, "curves": {"epoch": [1]}, "seconds": []}
    records.save(Record(body), folder)


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    rows = {"on_run_end": [{"points": [1], "summary": {}}]}
    file(tmp_path, "theory/har2/fw-k5", "complete", {"assumptions": rows, "angles": rows})
    # Stopped in the middle: its probes have no last row yet.
    file(tmp_path, "theory/har2/adam", "partial", {"assumptions": {}})
    return Evidence(RUNS, tmp_path)


def test_only_finished_runs_are_read(evidence: Evidence) -> None:
    found = recorded("theory/*", probe="assumptions", evidence=evidence)
    assert list(found) == ["har2/fw-k5"]
    (run,) = found.values()
    assert (run.task, run.label) == ("HAR-2", "Frank-Wolfe, K = 5")
    assert run.audit["points"] == run.angles["points"] == [1]


def test_planned_runs_are_those_that_carry_the_probe(evidence: Evidence) -> None:
    names = planned("theory/har2/*", probe="angles", evidence=evidence)
    assert names == ["theory/har2/fw-k5", "theory/har2/fw-k30"]
    said = coverage("theory/*", probe="assumptions", evidence=evidence)
    assert said.startswith("1 of 3 runs is complete")
    assert "fwrnn train theory" in said


def test_without_records_nothing_fails(tmp_path: Path) -> None:
    nothing = Evidence(RUNS, tmp_path)
    assert recorded("theory/*", probe="angles", evidence=nothing) == {}
    assert "Not run yet" in coverage("theory/*", probe="angles", evidence=nothing)


def test_words() -> None:
    assert label("theory/har2/fw-k5-plain") == "Plain update, K = 5"
    assert how_often([]) == "nowhere yet"
    assert how_often([True, False], "updates") == "at 1 of 2 updates"


def test_a_loop_keeps_the_radius_that_it_began_with() -> None:
    # Two updates in each of three epochs; the rate is halved after each.
    body = {"curves": {"epoch": [1, 2, 3], "updates": [2, 4, 6], "lr": [4.0, 2.0, 1.0]}}
    assert Recorded(Record(body)).radii.tolist() == [4.0, 4.0, 4.0, 2.0, 2.0, 1.0]
