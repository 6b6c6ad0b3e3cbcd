"""``train(config)``: a run with everything around it that must not get lost.

Lock (one process trains a run), checkpoint (every epoch and on Ctrl-C or SIGTERM), record (filed
when the run is complete, has diverged, or was asked to stop early). A partial record has its state
beside it, so that another machine, with nothing but the repository, goes on from there.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

import torch

from fwrnn_core import locks
from fwrnn_core.errors import ConfigError, FwrnnError, RecordError
from fwrnn_core.training import checkpoint, records
from fwrnn_core.training.config import RunConfig
from fwrnn_core.training.environment import deterministic, note_sources
from fwrnn_core.training.loop import Run
from fwrnn_core.training.probes import Probe
from fwrnn_core.training.records import Record


class AlreadyRunning(FwrnnError):
    """Another process is training this run, and the caller did not want to wait."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM arrived; the checkpoint is written and the run can be resumed."""


def train(
    config: RunConfig,
    *,
    store: bool = True,
    folder: Path | None = None,
    device: str = "auto",
    threads: int = 1,
    progress: bool = True,
    stop_after: int | None = None,
    wait: bool = True,
    probes: Sequence[Probe] = (),
    on_epoch: Callable[[Run], None] | None = None,
    on_batch: Callable[[Run], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Record:
    """Train a run, or resume it, or return its record if it is already there.

    The record names the digest of the sources and the commit that stood when this process began to
    train; of a resumed run, those of its last process only.

    Parameters
    ----------
    config : what to train
    store : keep checkpoint and record on disk; False trains in memory (quick runs in notebooks)
    folder : where records are filed (default ``data/records``)
    device, threads : where and how wide to compute; the CPU result depends on the thread count
        in the last bits, the record keeps it; on CUDA in full float32, deterministic where torch
        can be (:func:`~fwrnn_core.training.environment.deterministic`)
    progress : draw a bar with loss, accuracy and time left
    stop_after : file a partial record after that many epochs; a later call goes on from there
    wait : if another process trains this run, wait for it; else raise :class:`AlreadyRunning`
    probes : measurements beside those named in the config; in memory only, since a stored record
        must follow from its config alone
    on_epoch, on_batch : called with the :class:`Run` after each epoch, and after each minibatch
    stop : asked at the same moments whether a stored run is to end as on Ctrl-C; what SIGINT and
        SIGTERM do is then left to the caller

    Raises
    ------
    ConfigError : batch larger than the data, unknown names, values out of range
    RecordError : a record or checkpoint that is damaged or belongs to other settings
    Interrupted : (a KeyboardInterrupt) after writing a checkpoint

    Examples
    --------
    >>> from fwrnn_core.training import DataConfig, ModelConfig, RunConfig, train
    >>> adding = DataConfig("adding", {"length": 10, "train": 200, "test": 50})
    >>> run = RunConfig("demo", data=adding, model=ModelConfig(hidden_size=8), epochs=2,
    ...                 batch_size=50)
    >>> record = train(run, store=False, progress=False)
    >>> record.status, record.curve("epoch").tolist()
    ('complete', [1.0, 2.0])
    """
    if stop_after is not None and stop_after < 1:
        raise ConfigError(f"stop_after = {stop_after} is out of range; valid: >= 1")
    until = min(stop_after or config.epochs, config.epochs)
    note_sources()
    with on_threads(threads), deterministic(device):
        if not store:
            run = Run(config, device, probes)
            run.advance(until, progress=progress, on_epoch=on_epoch, on_batch=on_batch)
            return run.record()
        if probes:
            raise ConfigError("stored runs take their probes from config.probes")
        with _exclusive(config, wait), _asked(stop) as interrupted:
            if existing := filed(config, folder, until):
                return existing
            run, told = Run(config, device), (on_epoch, on_batch)
            return _train_stored(run, folder, until, progress, told, interrupted)


def _train_stored(
    run: Run,
    folder: Path | None,
    until: int,
    progress: bool,
    told: tuple[Callable[[Run], None] | None, Callable[[Run], None] | None],
    interrupted: Callable[[], bool],
) -> Record:
    config, (on_epoch, on_batch) = run.config, told
    path, kept = checkpoint.path_of(config.id), records.state_path_of(config.name, folder)
    for place in (path, kept, records.path_of(config.name, folder)):
        locks.sweep(place)
    _go_on(run, path, kept)
    if not run.evaluations and records.path_of(config.name, folder).exists():
        print(f"{config.name}: a record without its state; from epoch 1 again", file=sys.stderr)

    def save(place: Path) -> None:
        state = run.state_dict()
        far = {"epoch": run.epoch, "epochs": config.epochs, "seconds": round(state["clock"], 3)}
        checkpoint.save(place, config.id, state, name=config.name, **far)

    def keep(run: Run) -> None:
        save(path)
        if on_epoch is not None:
            on_epoch(run)

    finished = run.advance(
        until, progress=progress, on_epoch=keep, on_batch=on_batch, interrupted=interrupted
    )
    if not finished:
        save(path)
        raise Interrupted(f"{config.name}: stopped at epoch {run.epoch}; run again to go on")
    record = Record(records.seal(run.record().body))
    # The state goes first: killed in between, there is never a partial record without one.
    if record.status == "partial":
        save(kept)
    records.save(record, folder)
    if record.status != "partial":
        kept.unlink(missing_ok=True)
    # The last good state of a diverged run stays for whoever wants to look; a complete run's
    # state has served.
    if record.status == "complete":
        path.unlink(missing_ok=True)
    return record


def _go_on(run: Run, *paths: Path) -> None:
    """Load the state that is furthest on, if there is one; a damaged one matters only alone."""
    states, problems = [], []
    for path in paths:
        try:
            if (state := checkpoint.load(path, run.config.id)) is not None:
                states.append((state["counters"], path, state))
        except KeyError as error:
            problems.append(_misfit(path, error))
        except RecordError as error:
            problems.append(str(error))
    for _, path, state in sorted(states, key=lambda found: found[0], reverse=True):
        try:
            run.load_state_dict(state)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            problems.append(_misfit(path, error))
            continue
        for problem in problems:
            print(f"{run.config.name}: goes on from {path}, since {problem}", file=sys.stderr)
        return
    if problems:
        raise RecordError("; ".join(problems))


def _misfit(path: Path, error: Exception) -> str:
    reason = str(error).partition("\n")[0]
    return (
        f"{path}: does not fit this version of the package ({reason}). {checkpoint.way_out(path)}"
    )


def filed(config: RunConfig, folder: Path | None = None, until: int | None = None) -> Record | None:
    """The stored record of this very config if it needs no more training up to that epoch.

    Raises :class:`~fwrnn_core.errors.RecordError` if the name is taken by other settings.
    """
    path = records.path_of(config.name, folder)
    if not path.exists():
        return None
    record = records.read(path)
    if record.config.id != config.id:
        raise RecordError(
            f"{path}: holds run {record.config.id}, not {config.id}: its settings differ from "
            f"what is asked for. Give the run another name, or delete the record"
        )
    done = record.status in ("complete", "diverged") or record.epochs >= (until or config.epochs)
    return record if done else None


def _exclusive(config: RunConfig, wait: bool) -> contextlib.AbstractContextManager[None]:
    busy = f"{config.name}: another process is training this run"
    refusal = None if wait else AlreadyRunning(f"{busy} ({config.id})")
    return locks.held(checkpoint.lock_of(config.id), f"{busy}; waiting", refusal)


def _asked(
    stop: Callable[[], bool] | None,
) -> contextlib.AbstractContextManager[Callable[[], bool]]:
    return _signals() if stop is None else contextlib.nullcontext(stop)


@contextlib.contextmanager
def _signals() -> Iterator[Callable[[], bool]]:
    """Whether SIGINT or SIGTERM came, so that the loop can stop between two minibatches."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return

    def note(number: int, frame: FrameType | None) -> None:
        if number in caught:  # asked twice: do not wait for the minibatch
            raise KeyboardInterrupt
        caught.append(number)

    before = {s: signal.signal(s, note) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(caught)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def on_threads(count: int) -> Iterator[None]:
    """Inside, torch computes on that many threads: its last bits depend on their number."""
    if count < 1:
        raise ConfigError(f"threads = {count} is out of range; valid: >= 1")
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
