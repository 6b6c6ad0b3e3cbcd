"""Runs what a plan says must run, on the engine that was asked for."""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from fwrnn_core.batch.plan import Plan
from fwrnn_core.batch.report import Outcome, describe
from fwrnn_core.errors import ConfigError, unknown

ENGINES = ("local", "dask")


@dataclass
class Progress:
    """One bar over all cells of all notebooks, with the names of those now running."""

    total: int
    disable: bool = False
    _done: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.bar = tqdm(
            total=float(self.total),
            desc="notebooks",
            disable=self.disable,
            bar_format="{desc} {percentage:3.0f}% |{bar}| {elapsed}<{remaining} {postfix}",
            dynamic_ncols=True,
        )

    def cell(self, notebook: str, share: float) -> None:
        """``share`` of ``notebook`` is done (0 … 1)."""
        with self._lock:
            self.bar.update(share - self._done.get(notebook, 0.0))
            self._done[notebook] = share
            running = (Path(n).stem for n, s in self._done.items() if s < 1)
            self.bar.set_postfix_str(", ".join(running))

    def say(self, text: str) -> None:
        with self._lock:
            self.bar.write(text, file=sys.stderr)


def check_options(jobs: int, engine: str, scheduler: str | None) -> None:
    """Raise :class:`~fwrnn_core.errors.ConfigError` for an unknown engine or ``jobs`` < 1."""
    if engine not in ENGINES:
        raise unknown("engine", engine, ENGINES)
    if scheduler and engine != "dask":
        raise ConfigError(f"--scheduler {scheduler} needs --engine dask.")
    if jobs < 1:
        raise ConfigError(f"--jobs = {jobs} is out of range; valid: >= 1")


def run(
    plans: Sequence[Plan],
    jobs: int = 2,
    progress: bool = True,
    engine: str = "local",
    scheduler: str | None = None,
) -> list[Outcome]:
    """Execute the plans that have a reason to, ``jobs`` at a time; order of completion.

    A notebook that fails does not stop the others. Ctrl-C stops the kernels, and what was finished
    by then stays. A copy that is not whole never takes the place of one that is.

    Raises what :func:`check_options` does.
    """
    check_options(jobs, engine, scheduler)
    # The longest first, as far as known: the last one to end decides how long a batch takes.
    waiting = sorted((p for p in plans if p.reasons), key=lambda p: -p.last_seconds)
    if not waiting:
        return []
    bar = Progress(len(waiting), disable=not progress)
    outcomes: list[Outcome] = []
    try:
        # Closed at once when something is raised here: the kernels must not outlive the batch.
        with closing(_start(waiting, min(jobs, len(waiting)), bar, engine, scheduler)) as ended:
            for outcome in ended:
                outcomes.append(outcome)
                bar.cell(outcome.plan.notebook, 1.0)
                bar.say(describe(outcome))
    finally:
        bar.bar.close()
    return outcomes


def _start(
    plans: Sequence[Plan], jobs: int, bar: Progress, engine: str, scheduler: str | None
) -> Generator[Outcome, None, None]:
    if engine == "dask":
        from fwrnn_core.batch.cluster import run_dask

        return run_dask(plans, jobs, bar, scheduler)
    from fwrnn_core.batch.local import run_local

    return run_local(plans, jobs, bar)
