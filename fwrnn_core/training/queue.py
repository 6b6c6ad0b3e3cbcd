"""Several runs side by side: one process each, one bar over all, resumable at any moment."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.queues import Queue
from typing import Any

from tqdm.auto import tqdm

from fwrnn_core import paths
from fwrnn_core.errors import FwrnnError
from fwrnn_core.signals import terminable
from fwrnn_core.training import checkpoint
from fwrnn_core.training.config import RunConfig
from fwrnn_core.training.loop import Run
from fwrnn_core.training.progress import Bar, Place, kind, recorded
from fwrnn_core.training.session import AlreadyRunning, filed, train
from fwrnn_core.training.status import status

# Of a worker: where it tells how far which run is, in epochs; whether it is to stop, and this run
# alone; held while it trains.
_places: Queue[Place] | None = None
_stopping, _called, _training = threading.Event(), threading.Event(), threading.Lock()
_TOLD_EVERY = 1.0  # seconds between two messages of a run
_POLL = 0.5  # seconds
_ELSEWHERE = "elsewhere"  # status of a run that another process trains


@dataclass(frozen=True)
class Outcome:
    """How one run ended: its record's status, or the error's text."""

    name: str
    status: str
    error: str | None = None


def _start(
    places: Queue[Place], stop: connection.Connection, parent: connection.Connection
) -> None:
    global _places
    _places = places
    # Ctrl-C reaches the whole process group, and the parent says so to all of us. A worker that
    # dies of it between two runs would break the pool for the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A group's SIGTERM too; it may come twice, and the second must not cut the checkpoint short.
    signal.signal(signal.SIGTERM, lambda number, frame: _called.set())
    threading.Thread(target=_follow_parent, args=(stop, parent), daemon=True).start()


def _follow_parent(stop: connection.Connection, parent: connection.Connection) -> None:
    """When the parent says so: write the checkpoint and start no further run. When it is gone,
    however it died, or its pool is broken, nobody else ends this worker: end it after that."""
    connection.wait([parent, stop])
    _stopping.set()
    connection.wait([parent])  # nothing is ever sent: it is closed
    with _training:
        os._exit(1)


def _one(body: dict[str, Any], device: str, threads: int, stop_after: int | None) -> Outcome:
    config = RunConfig.from_dict(body)
    told = -math.inf

    def tell(run: Run) -> None:
        nonlocal told
        now = time.monotonic()
        whole = run.minibatch == run.minibatches
        if _places is not None and (whole or now - told >= _TOLD_EVERY):
            at = run.epoch + run.minibatch / run.minibatches
            each = run.seconds[-1] / run.epoch if run.epoch else 0.0
            _places.put(Place(config.name, at, each))
            told = now

    with _training:
        try:
            _called.clear()
            if _stopping.is_set():
                return Outcome(config.name, "interrupted")
            record = train(
                config,
                device=device,
                threads=threads,
                progress=False,
                stop_after=stop_after,
                wait=False,
                on_batch=tell,
                stop=lambda: _stopping.is_set() or _called.is_set(),
            )
            return Outcome(config.name, record.status)
        except AlreadyRunning:
            return Outcome(config.name, _ELSEWHERE)
        except FwrnnError as error:
            return Outcome(config.name, "failed", str(error))
        except KeyboardInterrupt:
            return Outcome(config.name, "interrupted")


def missing(configs: Sequence[RunConfig], stop_after: int | None = None) -> list[RunConfig]:
    """The configs that have no sufficient record yet, in their order."""
    until = [min(stop_after or c.epochs, c.epochs) for c in configs]
    return [c for c, u in zip(configs, until, strict=True) if filed(c, until=u) is None]


def train_all(
    configs: Sequence[RunConfig],
    *,
    jobs: int = 1,
    device: str = "auto",
    threads: int = 1,
    stop_after: int | None = None,
    progress: bool = True,
) -> list[Outcome]:
    """Train what is missing among ``configs``, ``jobs`` processes at a time.

    The bar counts the epochs that all runs together have yet to make; its time left weighs them by
    what they cost. A run that fails does not stop the others, and one that another process trains
    comes last: two calls share the work. Ctrl-C or SIGTERM lets each running process write its
    checkpoint and starts no further run.
    """
    todo = missing(configs, stop_after)
    if not todo:
        return []
    context = multiprocessing.get_context("spawn")
    places: Queue[Place] = context.Queue()
    heard, stop = context.Pipe(duplex=False)
    parent, alive = context.Pipe(duplex=False)
    outcomes: list[Outcome] = []
    told: list[RunConfig] = []  # of which it was said that another process trains them
    with (
        terminable(),
        ProcessPoolExecutor(jobs, context, _start, (places, heard, parent)) as pool,
        _bar(todo, stop_after, progress) as bar,
    ):
        waiting, elsewhere = list(todo), list[RunConfig]()
        running: dict[Future[Outcome], RunConfig] = {}
        try:
            while waiting or running or elsewhere:
                if not waiting and not running:
                    time.sleep(_POLL)  # all that is left is trained elsewhere
                if not waiting:
                    waiting = [c for c in elsewhere if not checkpoint.is_running(c.id)]
                    elsewhere = [c for c in elsewhere if c not in waiting]
                while waiting and len(running) < jobs:
                    config = waiting.pop(0)
                    future = pool.submit(_one, config.to_dict(), device, threads, stop_after)
                    running[future] = config
                done, _ = wait(running, timeout=_POLL, return_when=FIRST_COMPLETED)
                for place in _waiting_in(places):
                    bar.move(place)
                for future in done:
                    config = running.pop(future)
                    outcome = _outcome(future, config.name)
                    if outcome.status == _ELSEWHERE:
                        if config not in told:
                            text = "another process is training this run; waiting, at the end"
                            tqdm.write(f"{config.name}: {text}", file=sys.stderr)
                            told.append(config)
                        elsewhere.append(config)
                        continue
                    outcomes.append(outcome)
                    bar.end(outcome.name)
                    note = f": {outcome.error}" if outcome.error else ""
                    tqdm.write(f"{outcome.name}: {outcome.status}{note}", file=sys.stderr)
        except KeyboardInterrupt:
            tqdm.write("stopping: each run writes its checkpoint", file=sys.stderr)
            stop.send_bytes(b"stop")  # `kill` reaches the parent alone; never read, all see it
            wait(running)
            if any(isinstance(future.exception(), BrokenProcessPool) for future in running):
                alive.close()
            raise
        except BrokenProcessPool:  # a process was killed: no run can go on in this pool
            alive.close()  # ends the others, for which the pool waits
            raise FwrnnError(
                "the process of a run was killed (for memory?). What it had finished is kept; call "
                "`fwrnn train` again, with fewer --jobs"
            ) from None
    return outcomes


def _bar(todo: Sequence[RunConfig], stop_after: int | None, progress: bool) -> Bar:
    kinds = {c.name: kind(c) for c in todo}
    # Of one kind all cost the same, whatever that is.
    costs = recorded(kinds.values()) if progress and len(set(kinds.values())) > 1 else {}
    return Bar({c.name: _span(c, stop_after) for c in todo}, kinds, costs, progress)


def _span(config: RunConfig, stop_after: int | None) -> tuple[int, int]:
    """The epoch at which a run stands, and the one at which it is to stop."""
    done = status(config.name, config, filed(config, until=1)).epochs_done
    until = min(stop_after or config.epochs, config.epochs)
    return min(done, until), until  # it may have been stopped beyond that, without a record


def _outcome(future: Future[Outcome], name: str) -> Outcome:
    """How a run ended, whatever it raised: memory may run out in one and not in the next."""
    try:
        return future.result()
    except BrokenProcessPool:
        raise
    except Exception as error:
        sentence = paths.explain(error) if isinstance(error, OSError) else None
        return Outcome(name, "failed", sentence or f"{type(error).__name__}: {error}")


def _waiting_in(places: Queue[Place]) -> Iterator[Place]:
    with contextlib.suppress(queue.Empty):
        while True:
            yield places.get_nowait()
