"""A worker process: executes one notebook after another, as told on standard input.

``python -m fwrnn_core.batch.worker`` reads one JSON job per line and answers with JSON events. It
is a process of its own because papermill changes the working folder of the whole process, and
because a kernel that takes its worker down must not take the batch along. When standard input
closes, the parent is gone or wants no more: the kernel is shut down and the worker ends.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, TextIO

from fwrnn_core import locks
from fwrnn_core.batch.report import Failure, failure_of, insert, stderr_notes


def main() -> None:
    """Serve jobs until standard input closes."""
    # What a kernel prints past its capture must not mix with the events.
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    # Ctrl-C reaches the whole process group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    jobs: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(jobs,), daemon=True).start()
    while line := jobs.get():
        job = json.loads(line)
        _send(events, event="done", **_execute(job, events))


def _listen(jobs: queue.Queue[str]) -> None:
    for line in sys.stdin:
        jobs.put(line)
    jobs.put("")
    # In the middle of a notebook: nbclient takes this signal as the order to stop its kernel.
    os.kill(os.getpid(), signal.SIGTERM)


def _send(events: TextIO, **event: Any) -> None:
    print(json.dumps(event), file=events, flush=True)


def _execute(job: dict[str, Any], events: TextIO) -> dict[str, Any]:
    import nbformat
    import papermill
    from papermill.engines import NBClientEngine, papermill_engines

    class Engine(NBClientEngine):
        """papermill's engine, telling after each cell how far it is."""

        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> Any:
            complete, total = nb_man.cell_complete, len(nb_man.nb.cells)

            def report(cell: Any, cell_index: int = 0, **more: Any) -> None:
                complete(cell, cell_index, **more)
                _send(events, event="cell", done=cell_index + 1, of=total)

            nb_man.cell_complete = report
            return super().execute_managed_notebook(nb_man, kernel_name, **options)

    papermill_engines.register("fwrnn", Engine)
    running, output, failed = (Path(job[key]) for key in ("running", "output", "failed"))
    for path in (running, output):
        path.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    failure: Failure | None = None
    try:
        notebook = papermill.execute_notebook(
            job["source"],
            str(running),
            parameters=job["parameters"],
            engine_name="fwrnn",
            kernel_name="python3",
            progress_bar=False,
            cwd=str(Path(job["source"]).parent),
        )
    except Exception as error:
        failure = failure_of(error, running)
    seconds = time.monotonic() - start
    if failure:
        kept = _keep(running, failed)
        return {"failure": failure._asdict(), "kept": kept, "seconds": seconds, "notes": []}
    notebook.metadata["fwrnn"] = {**notebook.metadata.get("fwrnn", {}), "stamp": job["stamp"]}
    # papermill notes full paths of this machine; the copy is shown to readers.
    notebook.metadata["papermill"].update(input_path=job["notebook"], output_path="")
    if job["note"]:
        insert(notebook, job["note"])
    try:
        nbformat.write(notebook, running)
        _place(running, output)
    except OSError as error:
        # Beside the output there may be no room for it either; the build folder is the last resort.
        kept = _keep(running, failed, Path(job["spare"]))
        failure = Failure(0, "", f"{output}: its copy cannot be put there ({error.strerror})")
        return {"failure": failure._asdict(), "kept": kept, "seconds": seconds, "notes": []}
    # A copy of an earlier failure would mislead.
    failed.unlink(missing_ok=True)
    return {"failure": None, "kept": None, "seconds": seconds, "notes": stderr_notes(notebook)}


def _place(made: Path, output: Path) -> None:
    """Move a finished file to ``output``, be it on another filesystem, where a reader sees the old
    copy or the new one."""
    locks.write_atomic(output, made.read_bytes())
    made.unlink()


def _keep(copy: Path, *places: Path) -> str | None:
    """Move what there is of a copy to the first place that takes it, and say which."""
    if not copy.exists():
        return None
    for place in places:
        try:
            _place(copy, place)
        except OSError:
            continue
        return str(place)
    return None


if __name__ == "__main__":
    main()
