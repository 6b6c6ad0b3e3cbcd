"""A stored run at each moment at which it may end: what it has made is kept, and told of in order.

`test_interrupts` kills processes at random moments; here the moment is each write and each removal
of a file, each signal, and the time spent waiting for another process.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from helpers import small

from fwrnn_core import locks
from fwrnn_core.training import Run, checkpoint, records, train
from fwrnn_core.training.session import Interrupted


class Killed(BaseException):
    """Stands for a signal that no process survives."""


@contextmanager
def killed_before(change: int) -> Iterator[list[Path]]:
    """The files of runs that are written or removed inside, of which the one of that number, and
    what follows, no longer is."""
    done: list[Path] = []
    write, unlink = locks.write_atomic, Path.unlink

    def lives(path: Path) -> None:
        if path.suffix in (".ckpt", ".state", ".json"):
            if len(done) == change:
                raise Killed
            done.append(path)

    def writing(path: Path, content: bytes) -> None:
        lives(path)
        write(path, content)

    def unlinking(path: Path, missing_ok: bool = False) -> None:
        lives(path)
        unlink(path, missing_ok)

    with pytest.MonkeyPatch.context() as patch, suppress(Killed):
        patch.setattr(locks, "write_atomic", writing)
        patch.setattr(Path, "unlink", unlinking)
        yield done


@pytest.mark.parametrize("change", range(6))
@pytest.mark.parametrize(("before", "until"), [(0, 1), (0, 2), (1, 2)])
def test_whichever_file_is_the_last_no_epoch_is_made_twice(before, until, change):
    config = small(epochs=2)
    if before:
        train(config, progress=False, stop_after=before)
    with killed_before(change) as done:
        train(config, progress=False, stop_after=until)
    made = before + done[: until - before].count(checkpoint.path_of(config.id))
    record = records.path_of(config.name)
    if record.exists() and records.read(record).status == "partial":
        assert records.state_path_of(config.name).exists(), "a partial record without its state"
    epochs: list[int] = []
    again = train(config, progress=False, on_epoch=lambda run: epochs.append(run.epoch))
    assert again.status == "complete"
    assert epochs == list(range(made + 1, 3))


def test_an_epoch_is_told_of_when_it_is_kept():
    config, kept = small(), []

    def tell(run: Run) -> None:
        header = checkpoint.header(checkpoint.path_of(config.id))
        kept.append((header["name"], header["epoch"], header["epochs"]))

    train(config, progress=False, stop_after=2, on_epoch=tell)
    assert kept == [("test/run", 1, 4), ("test/run", 2, 4)]


def test_a_run_that_diverges_leaves_no_state_to_go_on_from(monkeypatch):
    config, state = small(), records.state_path_of("test/run")
    train(config, progress=False, stop_after=2)
    assert state.exists()
    original = Run._next_batch

    def poisoned(self: Run):
        x, y = original(self)
        return x * float("nan"), y

    monkeypatch.setattr(Run, "_next_batch", poisoned)
    assert train(config, progress=False).status == "diverged"
    assert not state.exists()


@pytest.mark.parametrize(
    ("numbers", "at_once"),
    [
        ((signal.SIGINT,), False),
        ((signal.SIGINT, signal.SIGTERM), False),  # Ctrl-C, and what a scheduler then sends
        ((signal.SIGINT, signal.SIGINT), True),
        ((signal.SIGTERM, signal.SIGTERM), True),
    ],
)
def test_the_same_signal_twice_ends_a_run_at_once(numbers, at_once):
    config = small()

    def interrupt(run: Run) -> None:
        for number in numbers:
            signal.raise_signal(number)

    with pytest.raises(KeyboardInterrupt) as error:
        train(config, progress=False, on_batch=interrupt)
    assert isinstance(error.value, Interrupted) is not at_once
    state = checkpoint.load(checkpoint.path_of(config.id), config.id)
    assert (None if state is None else state["counters"][:2]) == (None if at_once else [0, 1])


@contextmanager
def taken(path: Path, told: Callable[[], None]) -> Iterator[threading.Event]:
    """A lock that another thread holds until the event is set; ``told`` is called when somebody
    says that he waits for it."""
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with locks.held(path, "waiting"):
            held.set()
            over.wait(10)

    other = threading.Thread(target=hold)
    other.start()
    try:
        assert held.wait(10)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(locks.tqdm, "write", lambda *_, **__: told())
            yield over
    finally:
        over.set()
        other.join()


def test_who_waits_for_a_run_can_be_interrupted():
    config = small()
    with (
        taken(checkpoint.lock_of(config.id), lambda: signal.raise_signal(signal.SIGINT)),
        pytest.raises(KeyboardInterrupt) as error,
    ):
        train(config, progress=False)
    assert not isinstance(error.value, Interrupted), "it has not begun"


def test_who_waited_for_a_run_does_not_train_it_again():
    config, epochs = small(), []
    first = train(config, store=False, progress=False)

    def finish() -> None:
        records.save(first)
        over.set()

    with taken(checkpoint.lock_of(config.id), finish) as over:
        record = train(config, progress=False, on_epoch=lambda run: epochs.append(run.epoch))
    assert (record.body, epochs) == (records.seal(first.body), [])
