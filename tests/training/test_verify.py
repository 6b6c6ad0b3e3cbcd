"""``verify`` and ``records``: they say what is, and notice what is not."""

from __future__ import annotations

import copy

import pytest
from helpers import small

from fwrnn_core import locks, paths
from fwrnn_core.cli import main
from fwrnn_core.errors import ConfigError
from fwrnn_core.training import Record, checkpoint, records, train
from fwrnn_core.training.status import survey
from fwrnn_core.training.verify import _TOLERANCE, exact_here, verify


@pytest.fixture(scope="module")
def record():
    return train(small(), store=False, progress=False)


def changed(record: Record, path: list, value: object) -> Record:
    body = copy.deepcopy(dict(record.body))
    place = body
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return Record(body)


def test_the_same_machine_agrees_to_the_last_digit(record):
    report = verify(record, epochs=2, progress=False)
    assert report.agrees
    assert report.exact
    assert "2 epochs agree to the last digit" in report.summary()
    assert "1 epoch agrees to the last digit" in verify(record, progress=False).summary()


def test_a_changed_last_digit_is_noticed(record):
    loss = record.body["curves"]["train_loss"][0] * (1 + 1e-8)
    report = verify(changed(record, ["curves", "train_loss", 0], loss), progress=False)
    assert not report.agrees
    assert "epoch 1, train_loss" in report.summary()


def test_another_backend_is_compared_within_tolerance(record):
    loss = record.body["curves"]["train_loss"][0]
    other = changed(record, ["environment", "backend"], "abacus")
    assert verify(other, progress=False).exact
    close = verify(changed(other, ["curves", "train_loss", 0], loss * 1.001), progress=False)
    far = verify(changed(other, ["curves", "train_loss", 0], loss * 2), progress=False)
    assert close.agrees
    assert not close.exact
    assert "within tolerance (other backend)" in close.summary()
    assert not far.agrees
    assert "train_loss" in far.summary()
    first = record.body["losses"]["loss"][0]
    for size, agrees in ((1.005, True), (1.02, False)):
        early = verify(changed(other, ["losses", "loss", 0], first * size), progress=False)
        assert (early.agrees, early.exact) == (agrees, False), "rounding has not grown yet"
        assert ("minibatch loss" in early.summary()) == (not agrees)
    tested = record.body["curves"]["test_loss"][0]
    for size, agrees in ((1.25, True), (1.5, False)):
        drifted = changed(other, ["curves", "test_loss", 0], tested * size)
        assert verify(drifted, progress=False).agrees == agrees, "measured at one point"
    counted = verify(changed(other, ["curves", "updates", 0], 2), progress=False)
    assert not counted.agrees, "counts know no rounding"


def test_the_help_and_the_book_name_the_tolerances(capsys):
    with pytest.raises(SystemExit):
        main(["verify", "--help"])
    page = (paths.PACKAGE.parent / "book/rerunning.md").read_text("utf-8")
    for text in (capsys.readouterr().out, page.partition("(what-verify-asks)=")[2]):
        words = " ".join(text.split())
        for share in _TOLERANCE.values():
            assert f"{100 * share:.0f} %" in words


def test_the_last_digit_is_asked_of_records_made_under_the_same_circumstances(record):
    others = [
        changed(record, ["environment", key], "another")
        for key in ("code", "processor", "backend", "numpy")
    ]
    threaded = changed(record, ["environment", "threads"], 3)  # verify takes as many
    assert exact_here([*others, record, threaded]) == [record, threaded]


def test_another_learning_rate_is_no_rounding(record):
    body = record.config.replace(**{"optimizer.lr": 2e-2}).to_dict()
    other = changed(changed(record, ["config"], body), ["environment", "code"], "older")
    report = verify(other, progress=False)
    assert not report.agrees
    assert "minibatch loss" in report.summary(), "seen before an epoch is over"


def test_a_run_that_now_diverges_does_not_agree(record):
    body = record.config.replace(optimizer={"name": "sgd", "lr": 1e30}).to_dict()
    report = verify(changed(record, ["config"], body), epochs=3, progress=False)
    assert not report.agrees
    assert "diverged in epoch 1" in report.summary()
    elsewhere = changed(changed(record, ["config"], body), ["environment", "code"], "older")
    assert not verify(elsewhere, epochs=3, progress=False).agrees


def test_more_epochs_than_recorded_are_refused(record):
    with pytest.raises(ConfigError, match="has 4 epochs, 9"):
        verify(record, epochs=9, progress=False)


def test_the_survey_names_every_state():
    configs = {
        c.name: c for c in (small("s/done"), small("s/part", seed=1), small("s/none", seed=2))
    }
    busy = small("s/busy", seed=3)
    configs[busy.name] = busy
    train(configs["s/done"], progress=False)
    train(configs["s/part"], progress=False, stop_after=1)
    records.save(train(small("s/own", seed=4), store=False, progress=False))
    with locks.held(checkpoint.lock_of(busy.id), "waiting"):
        states = {row.name: row.state for row in survey("s/*", configs)}
    assert states == {
        "s/done": "complete",
        "s/part": "partial",
        "s/none": "missing",
        "s/busy": "running",
        "s/own": "complete",
    }


def test_the_record_s_number_of_threads_is_taken(record):
    other = changed(record, ["environment", "threads"], 2)
    assert verify(other, progress=False).circumstances == []


def test_other_data_are_a_circumstance(record):
    other = changed(record, ["data", "fingerprint"], "0" * 64)
    assert verify(other, progress=False).circumstances == ["data"]
