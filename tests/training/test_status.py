"""What is said of a run, by record, checkpoint and lock."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers import small

from fwrnn_core import locks
from fwrnn_core.training import checkpoint, records, train
from fwrnn_core.training.status import Status, status, survey

CONFIG = small()
PLACE, LOCK = checkpoint.path_of, checkpoint.lock_of


def far(row: Status) -> tuple[str, int, float]:
    return row.state, row.epochs_done, row.seconds


def saved(epoch: int, seconds: float, **changes: object) -> None:
    config = small(**changes)
    about = {"name": config.name, "epoch": epoch, "epochs": config.epochs, "seconds": seconds}
    checkpoint.save(PLACE(config.id), config.id, {}, **about)


def test_a_run_without_a_record():
    def seen() -> tuple[str, int, float]:
        return far(status(CONFIG.name, CONFIG, None))

    assert seen() == ("missing", 0, 0)
    with locks.held(LOCK(CONFIG.id), "waiting"):
        assert seen() == ("running", 0, 0)
        saved(3, 12.0)
        assert seen() == ("running", 3, 12)
    assert seen() == ("interrupted", 3, 12)


def test_a_run_with_a_partial_record():
    record = train(CONFIG, progress=False, stop_after=2)

    def seen() -> tuple[str, int, float]:
        return far(status(CONFIG.name, CONFIG, record))

    assert seen() == ("partial", 2, pytest.approx(record.seconds, abs=1e-3))
    saved(3, 1000.0)  # all of the run's seconds, not those since the record
    assert seen() == ("interrupted", 3, 1000)
    copy = status(f"copies/{CONFIG.name}", None, record)
    assert far(copy) == ("partial", 2, record.seconds), "a copy does not go on"
    with locks.held(LOCK(CONFIG.id), "waiting"):
        assert seen() == ("running", 3, 1000)


def test_a_complete_run_stays_so_while_another_process_looks_at_it():
    record = train(CONFIG, progress=False)
    with locks.held(LOCK(CONFIG.id), "waiting"):
        assert far(status(CONFIG.name, CONFIG, record)) == ("complete", 4, record.seconds)


def test_of_two_checkpoints_under_one_name_the_later_counts():
    for first, second in ((0, 1), (1, 0)):
        for moment, seed in ((1, first), (2, second)):
            saved(1 + seed, 5.0, seed=seed)
            os.utime(PLACE(small(seed=seed).id), (moment, moment))
        [row] = survey("*", {})
        assert far(row) == ("interrupted", 1 + second, 5)
        with locks.held(LOCK(small(seed=second).id), "waiting"):
            [row] = survey("*", {})
            assert row.state == "running"


def test_a_run_that_waits_for_its_settings_is_listed_once():
    records.save(train(small("a/filed", epochs=1), store=False, progress=False))
    rows = survey("a/*", {}, waiting=["a/filed", "a/waits", "b/waits"])
    assert [(row.name, row.state) for row in rows] == [
        ("a/filed", "complete"),
        ("a/waits", "missing"),
    ]


def test_a_checkpoint_may_go_while_it_is_looked_for(monkeypatch):
    """Its run has just been completed."""
    saved(1, 5.0)
    files = Path.glob

    def gone(folder: Path, pattern: str) -> list[Path]:
        return [*files(folder, pattern), folder / "gone.ckpt"]

    monkeypatch.setattr(Path, "glob", gone)
    assert [header["epoch"] for header in checkpoint.headers()] == [1]
