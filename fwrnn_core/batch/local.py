"""The local engine: worker processes on this machine, one notebook at a time each."""

from __future__ import annotations

import json
import os
import platform
import re
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
from fwrnn_core.batch.plan import Plan
from fwrnn_core.batch.pool import Progress
from fwrnn_core.batch.report import Failure, Outcome, note

Report = Callable[[str, float], None]


class Interrupted(Exception):
    """The batch was told to stop."""


class Worker:
    """A worker process (see :mod:`fwrnn_core.batch.worker`), started again when it died."""

    def __init__(self, threads: int, running: Path) -> None:
        self.threads, self.running = threads, running
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
            print(json.dumps(_job(plan, self.running)), file=process.stdin, flush=True)
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


@contextmanager
def running() -> Iterator[Path]:
    """A folder of one's own for notebooks while they are executed, gone after it. What processes
    of this machine that were killed left there goes first."""
    root, own = paths.build() / "running", re.escape(platform.node())
    root.mkdir(parents=True, exist_ok=True)
    for left in root.iterdir():
        found = re.fullmatch(rf"{own}-(\d+)-\w+", left.name)
        if found and not _alive(int(found[1])):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{platform.node()}-{os.getpid()}-", dir=root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    if os.name != "posix":  # there, asking would end it
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        pass
    return True


def _job(plan: Plan, running: Path) -> dict[str, Any]:
    build = paths.build()
    return {
        "notebook": plan.notebook,
        "source": str(paths.home() / plan.notebook),
        "running": str(running / plan.notebook),
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
    with running() as folder:
        workers = [Worker(threads, folder) for _ in range(count)]
        try:
            yield workers
        finally:
            for worker in workers:
                worker.stop()


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
