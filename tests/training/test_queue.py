"""Several runs at once: each is the run it would have been alone, and one failure stops none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers import small

from fwrnn_core import locks
from fwrnn_core.training import (
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    checkpoint,
    queue,
    records,
    train,
)
from fwrnn_core.training.progress import Bar, Place, kind, recorded

# Minibatches long enough for a second signal to find one under way, and so many in an epoch that
# its end, with tests and files, is a small part of it.
LONG = {"data": DataConfig("adding", {"length": 300, "train": 1000, "test": 4}), "batch_size": 2}
ENDLESS = [small(f"q/endless-{i}", seed=i, epochs=1_000_000, **LONG) for i in (1, 2)]
# Of two workers one has nothing left to do while the other trains.
IDLE = [small("q/short", epochs=1), small("q/endless-3", seed=3, epochs=1_000_000, **LONG)]

MAIN = """
import signal
import sys

import test_queue

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run behind `&`
    try:
        test_queue.queue.train_all(getattr(test_queue, sys.argv[1]), jobs=2, progress=False)
    except KeyboardInterrupt:
        sys.exit(130)
"""


def test_side_by_side_runs_are_the_runs_alone_and_failures_are_reported():
    configs = [
        small("q/a"),
        small("q/bad", model=ModelConfig("tanh", 8, options={"colour": 1})),
        small("q/b", seed=1),
    ]
    train(configs[0], progress=False, stop_after=2)
    outcomes = {o.name: o for o in queue.train_all(configs, jobs=2, progress=False)}
    assert {n: o.status for n, o in outcomes.items()} == {
        "q/a": "complete",
        "q/bad": "failed",
        "q/b": "complete",
    }
    assert "colour" in outcomes["q/bad"].error
    for config in (configs[0], configs[2]):
        alone = train(config, store=False, progress=False)
        assert records.read(records.path_of(config.name)).essence() == alone.essence()
    assert [c.name for c in queue.missing(configs)] == ["q/bad"]


def test_a_run_that_another_process_trains_comes_last_and_blocks_no_other(capsys):
    first, second = small("q/elsewhere"), small("q/here", seed=1)
    taken, seen = threading.Event(), []

    def train_the_first():
        with locks.held(checkpoint.lock_of(first.id), "waiting"):
            taken.set()
            while not records.path_of(second.name).exists():
                time.sleep(0.05)
            seen.append(records.path_of(first.name).exists())

    other = threading.Thread(target=train_the_first)
    other.start()
    assert taken.wait(10)
    outcomes = queue.train_all([first, second], progress=False)
    other.join()
    assert seen == [False]
    assert [(o.name, o.status) for o in outcomes] == [
        ("q/here", "complete"),
        ("q/elsewhere", "complete"),
    ]
    assert capsys.readouterr().err.count("another process is training this run") == 1


def test_a_run_that_raises_anything_does_not_stop_the_others():
    """No machine has the memory for the first."""
    good, bad = small("q/good"), small("q/odd", model=ModelConfig("tanh", 10**8))
    outcomes = {o.name: o for o in queue.train_all([bad, good], progress=False)}
    assert outcomes["q/good"].status == "complete"
    assert outcomes["q/odd"].status == "failed"
    assert "Error" in outcomes["q/odd"].error


def test_the_bar_counts_what_is_yet_to_be_made(capsys):
    """Of two runs with eight of ten epochs behind them four are left: the time left is theirs."""
    configs = [small(f"q/further-{i}", seed=i, epochs=10) for i in (1, 2)]
    for config in configs:
        train(config, progress=False, stop_after=8)
    failing = small("q/fails", model=ModelConfig("tanh", 8, options={"colour": 1}))
    capsys.readouterr()
    queue.train_all([*configs, failing], jobs=2)
    last = capsys.readouterr().err.replace("\r", "\n").strip().splitlines()[-1]
    assert last.startswith("100%"), last
    assert "| 4.0/4 epochs [" in last


def test_the_bar_moves_within_an_epoch():
    places = []
    config = small("q/within", epochs=1)
    train(
        config,
        store=False,
        progress=False,
        on_batch=lambda run: places.append(run.epoch + run.minibatch / run.minibatches),
    )
    assert places[-1] == 1
    assert len(places) > 2
    bar = Bar({"q/within": (0, 1)}, show=False)
    for place in places[:-1]:
        bar.move(Place("q/within", place))
    assert bar.done == places[-2] < bar.total == 1


def test_the_bar_goes_neither_back_nor_beyond_the_end():
    """A run may stand less far than its checkpoint's header says, or be told of when it is over."""
    bar = Bar({"a": (4, 10), "b": (0, 10)}, show=False)
    for place, done in ((3, 0), (6, 2), (5, 2), (12, 6), (7, 6)):
        bar.move(Place("a", place))
        assert bar.done == done
    bar.move(Place("b", 2))
    bar.end("b")
    bar.move(Place("b", 1))
    assert (bar.done, bar.total) == (8, 8)
    assert bar.left(elapsed=8) == 0


def test_the_time_left_weighs_an_epoch_by_what_it_costs():
    """As measured in this call, else as recorded and as much slower as this machine is, else by the
    mean of the others."""
    spans = dict.fromkeys(("tanh", "lstm", "new"), (0, 10))
    bar = Bar(spans, recorded={"tanh": 1.0, "lstm": 3.0}, show=False)
    assert bar.left(elapsed=5) is None
    bar.move(Place("tanh", 5))  # its first epoch was not timed
    assert bar.left(elapsed=5) == pytest.approx(5 + 30 + 20)
    bar.move(Place("tanh", 5, seconds=2.0))
    assert bar.left(elapsed=10) == pytest.approx(10 + 60 + 40)
    bar.move(Place("new", 1, seconds=8.0))
    assert bar.left(elapsed=18) == pytest.approx(10 + 60 + 9 * 8)
    bar.move(Place("lstm", 1, seconds=3.0))  # as recorded: what is measured counts all the same
    assert bar.left(elapsed=21) == pytest.approx(10 + 9 * 3 + 9 * 8)
    bar.end("lstm")
    assert bar.left(elapsed=21) == pytest.approx(10 + 9 * 8)


def test_seconds_of_an_epoch_come_from_records_of_like_runs():
    long, lstm = small("q/long", epochs=9, seed=3), small("q/lstm", model=ModelConfig("lstm", 8))
    failed = small("q/failed", optimizer=OptimizerConfig("sgd", 1e30))
    assert len({kind(c) for c in (long, lstm, failed, long.replace(tbptt=4))}) == 4
    assert recorded([kind(long)]) == {}
    record = train(small("q/first"), progress=False, stop_after=2)
    assert train(failed, progress=False).epochs == 0
    records.path_of("q/damaged").write_text("{}")
    costs = recorded(map(kind, (long, lstm, failed)))
    assert costs == {kind(long): pytest.approx(record.seconds / 2)}


def test_a_run_is_counted_from_where_its_record_or_its_checkpoint_stands():
    config, new = small("q/begun", epochs=10), small("q/new", epochs=10, seed=1)

    def left(stop_after: int | None) -> float:
        return queue._bar([config, new], stop_after, progress=False).total

    train(config, progress=False, stop_after=3)
    checkpoint.path_of(config.id).unlink()  # as in a clone, where the state beside the record is
    assert left(None) == 7 + 10
    assert left(5) == 2 + 5
    assert left(99) == 7 + 10
    checkpoint.save(checkpoint.path_of(config.id), config.id, {}, epoch=8)
    assert left(None) == 2 + 10
    assert left(5) == 0 + 5, "it was stopped beyond that, without a record"


class Told(list):
    """Stands for the queue on which a worker tells how far its run is."""

    put = list.append


def test_a_worker_tells_how_far_it_is_and_stops_where_it_is_to(monkeypatch):
    config = small("q/worker")
    monkeypatch.setattr(queue, "_places", told := Told())
    monkeypatch.setattr(queue, "_TOLD_EVERY", 0)
    assert queue._one(config.to_dict(), "cpu", 1, 3) == queue.Outcome("q/worker", "partial")
    seconds = records.read(records.path_of("q/worker")).body["seconds"]
    each = [0, seconds[0], seconds[1] / 2]  # an epoch, by those that are behind it
    assert [p.epochs for p in told] == pytest.approx([batch / 5 for batch in range(1, 16)])
    assert [p.seconds for p in told] == [each[batch // 5] for batch in range(15)]
    assert queue.missing([config], stop_after=3) == []
    assert queue.missing([config]) == queue.missing([config], stop_after=4) == [config]


def test_a_worker_begins_no_run_once_all_are_to_stop(monkeypatch):
    config, stop = small("q/late"), threading.Event()
    monkeypatch.setattr(queue, "_stopping", stop)
    stop.set()
    assert queue._one(config.to_dict(), "cpu", 1, None).status == "interrupted"
    assert not checkpoint.path_of(config.id).exists()
    stop.clear()
    queue._called.set()  # meant for the run before
    assert queue._one(config.to_dict(), "cpu", 1, None).status == "complete"


def children(pid: int) -> list[int]:
    """The workers of a process (multiprocessing's resource tracker is not one)."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    commands = {int(c): Path(f"/proc/{c}/cmdline").read_text() for c in found}
    return [c for c, command in commands.items() if "spawn_main" in command]


def running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def until(condition, seconds: float = 120) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return bool(condition())


LISTED = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="lists processes by /proc")


@contextmanager
def at_work(runs: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A process that trains ``runs``, with its two workers; all short runs are complete and the
    others have a checkpoint. Whatever the body does, they are gone after it."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parent)]),
    }
    path = folder / "main.py"
    path.write_text(MAIN)
    process = subprocess.Popen(
        [sys.executable, str(path), runs],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a group of its own, for `os.killpg`
    )
    configs = globals()[runs]
    due = [records.path_of(c.name) if c.epochs == 1 else checkpoint.path_of(c.id) for c in configs]
    workers: list[int] = []
    try:
        assert until(lambda: all(path.exists() for path in due), seconds=300)
        workers += children(process.pid)
        assert len(workers) == 2
        time.sleep(0.3)  # the checkpoint of an epoch's end is there: into the next epoch
        yield process, workers
        assert until(lambda: not any(running(worker) for worker in workers))
    finally:
        for pid in (process.pid, *workers):
            if running(pid):
                os.kill(pid, signal.SIGKILL)


def minibatches(runs: str) -> list[int]:
    """How far into its epoch each run is that was not to end."""
    endless = [config for config in globals()[runs] if config.epochs > 1]
    found = [checkpoint.load(checkpoint.path_of(config.id), config.id) for config in endless]
    return [state["counters"][1] for state in found]


@LISTED
@pytest.mark.parametrize("runs", ["ENDLESS", "IDLE"])
@pytest.mark.parametrize(
    ("send", "number"),
    [
        (os.kill, signal.SIGKILL),
        (os.kill, signal.SIGTERM),
        (os.kill, signal.SIGINT),
        (os.killpg, signal.SIGTERM),
        (os.killpg, signal.SIGINT),
    ],
)
def test_workers_end_with_their_parent_and_leave_checkpoints(send, number, runs, tmp_path):
    """The signal goes to the parent alone, as `kill` sends it, or to all, as a terminal and cluster
    schedulers do: the workers then hear of it twice."""
    with at_work(runs, tmp_path) as (process, _):
        send(process.pid, number)
        said = process.communicate(timeout=120)[1]
    if number != signal.SIGKILL:
        assert process.returncode == 130, said
        assert said.strip().endswith("stopping: each run writes its checkpoint")
    assert any(minibatches(runs)), "of the signal's moment, not of the last epoch"


@LISTED
def test_a_worker_that_is_killed_ends_the_others_after_their_checkpoints(tmp_path):
    with at_work("ENDLESS", tmp_path) as (process, workers):
        os.kill(workers[0], signal.SIGKILL)
        said = process.communicate(timeout=120)[1]
    assert process.returncode == 1
    assert "was killed (for memory?)" in said
    assert any(minibatches("ENDLESS"))
