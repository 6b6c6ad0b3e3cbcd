"""The local engine: worker processes on this machine, one notebook at a time each."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from fwrnn_core import paths
from fwrnn_core.batch.note import note
from fwrnn_core.batch.plan import Plan
from fwrnn_core.batch.progress import Outcome, Progress
from fwrnn_core.batch.report import Failure

Report = Callable[[str, float], None]


class Interrupted(Exception):
    """The batch was told to stop."""


class Worker:
    """A worker process (see :mod:`fwrnn_core.batch.worker`), started again when it died."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.process: subprocess.Popen[str] | None = None
        self.log: IO[str] | None = None
        self.stopping = False

    def _started(self) -> subprocess.Popen[str]:
        if self.process is None or self.process.poll() is not None:
            self.log = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 (held open)
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fwrnn_core.batch.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.log,
                text=True,
                encoding="utf-8",
                env=_environment(self.threads),
            )
        return self.process

    def run(self, plan: Plan, report: Report) -> Outcome:
        """Execute one notebook; a worker that dies on it counts as that notebook's failure."""
        if self.stopping:
            raise Interrupted
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        report(plan.notebook, 0.0)
        try:
            print(json.dumps(_job(plan)), file=process.stdin, flush=True)
            for line in process.stdout:
                event = json.loads(line)
                if event["event"] == "cell":
                    report(plan.notebook, 0.99 * event["done"] / event["of"])
                    continue
                if self.stopping:
                    break
                failure = Failure(**event["failure"]) if event["failure"] else None
                kept = Path(event["kept"]) if event["kept"] else None
                return Outcome(plan, event["seconds"], failure, kept, event["notes"])
        except BrokenPipeError:
            pass
        if self.stopping:
            raise Interrupted
        status = process.wait()
        return Outcome(
            plan,
            0.0,
            Failure(0, "", f"its process ended with status {status}: {self._last_words()}"),
        )

    def _last_words(self) -> str:
        if self.log is None:
            return ""
        self.log.seek(0)
        return " / ".join(self.log.read().strip().splitlines()[-3:])

    def stop(self) -> None:
        """Close standard input, which the worker takes as the order to end; insist after 10 s."""
        self.stopping = True
        process = self.process
        if process is None or process.poll() is not None:
            return
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def running() -> Path:
    """Where this process has its notebooks while they are executed."""
    return paths.build() / "running" / str(os.getpid())


def _job(plan: Plan) -> dict[str, Any]:
    build = paths.build()
    return {
        "notebook": plan.notebook,
        "source": str(paths.home() / plan.notebook),
        "running": str(running() / plan.notebook),
        "output": str(plan.output),
        "failed": str(build / "failed" / plan.output.relative_to(build))
        if plan.output.is_relative_to(build)
        else str(plan.output.with_suffix(".failed.ipynb")),
        "spare": str(build / "failed" / plan.notebook),
        "parameters": dict(plan.parameters),
        "note": note(plan.notebook, plan.parameters),
        "stamp": plan.stamp,
    }


def _environment(threads: int) -> dict[str, str]:
    """Kernels share the cores, and write no progress bars into the book."""
    given = {
        "OMP_NUM_THREADS": str(threads),
        "TQDM_DISABLE": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "JUPYTER_PLATFORM_DIRS": "1",
    }
    return {**given, **os.environ, "FWRNN_HOME": str(paths.home())}


@contextmanager
def _workers(count: int) -> Iterator[list[Worker]]:
    threads = max(1, (os.cpu_count() or 1) // count)
    workers = [Worker(threads) for _ in range(count)]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.stop()
        shutil.rmtree(running(), ignore_errors=True)


def run_local(plans: Sequence[Plan], jobs: int, bar: Progress) -> Generator[Outcome, None, None]:
    """Execute ``jobs`` notebooks at a time; outcomes in the order in which they come."""
    with _workers(jobs) as workers, ThreadPoolExecutor(jobs) as threads:
        idle = list(workers)

        def one(plan: Plan) -> Outcome:
            worker = idle.pop()
            try:
                return worker.run(plan, bar.cell)
            finally:
                idle.append(worker)

        futures = [threads.submit(one, plan) for plan in plans]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            # The pool waits for its threads on the way out; they end with their workers.
            for future in futures:
                future.cancel()
            for worker in workers:
                worker.stop()
            raise
