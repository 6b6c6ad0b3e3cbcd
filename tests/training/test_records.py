"""Records: sealed, atomic, refused by name when anything about them is wrong."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from helpers import small

from fwrnn_core import locks, paths
from fwrnn_core.errors import ConfigError, RecordError
from fwrnn_core.training import records, train
from fwrnn_core.training.status import survey


@pytest.fixture(scope="module")
def record():
    return train(small(epochs=2), store=False, progress=False)


@pytest.fixture
def stored(record, tmp_path):
    return records.save(record, tmp_path)


def test_what_is_saved_is_what_is_read(record, stored):
    again = records.read(stored)
    assert again.essence() == record.essence()
    assert again.config == record.config
    assert again.status == "complete"
    assert stored.name == "run.json"


def test_a_record_is_small_and_diffs_line_by_line(stored):
    text = stored.read_text()
    assert len(text) < 10_000
    assert '\n    "train_loss": [' in text


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda text: text[: len(text) // 2], "truncated or not JSON"),
        (lambda text: text.replace('"epochs": 2', '"epochs": 3'), "SHA-256"),
        (lambda text: text.replace('"schema": 1', '"schema": 99'), "schema 99"),
        (lambda text: '{"a": 1}', "not a record"),
        (lambda text: "", "truncated or not JSON"),
    ],
)
def test_a_damaged_record_is_refused_by_name_and_left_alone(stored, damage, words):
    stored.write_text(damaged := damage(stored.read_text()))
    with pytest.raises(RecordError) as error:
        records.read(stored)
    assert words in str(error.value)
    assert str(stored) in str(error.value)
    assert stored.read_text() == damaged


def test_a_resealed_record_with_another_id_is_refused(stored):
    body = json.loads(stored.read_text())
    body["config"]["seed"] = 7
    stored.write_text(json.dumps(records.seal(body)))
    with pytest.raises(RecordError, match="does not belong to its config"):
        records.read(stored)


def test_a_record_of_other_settings_is_never_overwritten(record, stored):
    before = stored.read_bytes()
    other = train(small(epochs=1, seed=5), store=False, progress=False)
    with pytest.raises(RecordError, match="its settings\\s+differ"):
        records.save(other, stored.parent.parent)
    assert stored.read_bytes() == before


def test_a_missing_record_names_the_nearest(stored, tmp_path):
    with pytest.raises(RecordError, match="test/run"):
        records.load("test/rum", tmp_path)
    assert [r.name for r in records.load("test/*", tmp_path)] == ["test/run"]
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench/times.json").write_text("{}")
    assert records.names("*", tmp_path) == ["test/run"], "timings are no records of runs"


def test_a_record_counts_under_its_own_name_alone(stored, tmp_path, monkeypatch):
    """A copy for comparison keeps the run's name below another folder; any other is a mistake."""
    monkeypatch.setattr(paths, "records", lambda: tmp_path)
    copy = tmp_path / "other-processor/test/run.json"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(stored.read_bytes())
    assert [r.name for r in records.load()] == ["test/run", "test/run"]
    assert [row.name for row in survey("*", {})] == ["other-processor/test/run", "test/run"]
    copy.rename(misnamed := tmp_path / "test/rerun.json")
    wrong = f"{misnamed}: holds the record of test/run"
    with pytest.raises(RecordError, match=wrong):
        records.load()
    [trouble] = [row.trouble for row in survey("*", {}) if row.state == "damaged"]
    assert trouble.startswith(wrong)


def test_a_name_that_only_ends_alike_is_another(stored, tmp_path):
    near = tmp_path / "latest/run.json"
    near.parent.mkdir()
    near.write_bytes(stored.read_bytes())
    with pytest.raises(RecordError, match=f"{near}: holds the record of test/run"):
        records.filed("latest/run", tmp_path)


def test_the_best_epoch_and_the_one_that_validation_chooses(record):
    curves = {"test_accuracy": [0.1, 0.9, 0.5, None], "validation_loss": [3.0, 2.0, 1.0, None]}
    body = {**record.body, "curves": curves, "seconds": [1.0, 3.0, 5.0, 9.0]}
    found = records.Record(body)
    assert (found.best(), found.at_best_validation(), found.seconds) == (0.9, 0.5, 9.0)


def test_curves_are_arrays_and_unknown_ones_are_refused(record):
    assert record.curve("train_loss").shape == (2,)
    assert np.isnan(record.curve("test_accuracy")).all()  # regression has none
    assert (np.diff(record.curve("seconds")) >= 0).all()
    with pytest.raises(ConfigError, match="'test_los'.*'test_loss'"):
        record.curve("test_los")


def test_a_failed_write_leaves_the_old_file_and_no_litter(stored, monkeypatch):
    before = stored.read_bytes()

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr("fwrnn_core.locks.os.replace", broken)
    with pytest.raises(OSError, match="disk full"):
        locks.write_atomic(stored, b"new")
    assert stored.read_bytes() == before
    assert list(stored.parent.iterdir()) == [stored]


def test_a_record_is_read_once_until_it_changes(record, stored, monkeypatch):
    first = records.read(stored)
    assert records.read(stored) is first
    assert first.config is first.config
    changed = {**record.body, "commit": "another"}
    locks.write_atomic(stored, records.dumps(records.seal(changed)).encode())
    again = records.read(stored)
    assert again.body["commit"] == "another"
    assert first.body["commit"] != "another"
    like = {**changed, "commit": "another"[::-1]}  # as many bytes, and put there at the same time
    locks.write_atomic(
        copy := stored.with_suffix(".new"), records.dumps(records.seal(like)).encode()
    )
    os.utime(copy, ns=(0, stored.stat().st_mtime_ns))
    copy.replace(stored)
    assert records.read(stored).body["commit"] == "rehtona"
    stored.unlink()
    with pytest.raises(RecordError, match="no such record. `fwrnn records` lists"):
        records.read(stored)
