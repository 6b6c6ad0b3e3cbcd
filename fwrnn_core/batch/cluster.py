"""The Dask engine: notebooks on the workers of a cluster, or on worker processes of this machine.

Each task starts a worker process of ours (:mod:`~fwrnn_core.batch.worker`), as the local engine
does: papermill inside a thread of a Dask worker meets an event loop that is already running. The
machines of a cluster need the same environment and see the checkout under the same path.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fwrnn_core import paths
from fwrnn_core.batch.local import Worker, running
from fwrnn_core.batch.plan import Plan
from fwrnn_core.batch.pool import Progress
from fwrnn_core.batch.report import Failure, Outcome
from fwrnn_core.errors import ConfigError


def run_dask(
    plans: Sequence[Plan], jobs: int, bar: Progress, scheduler: str | None = None
) -> Generator[Outcome, None, None]:
    """Execute notebooks on the cluster at ``scheduler`` (``tcp://host:8786``), else on ``jobs``
    Dask worker processes of this machine; outcomes in the order in which they come.

    Raises :class:`~fwrnn_core.errors.ConfigError` when Dask is not installed or no
    scheduler answers.
    """
    try:
        from distributed import Client, LocalCluster, as_completed
    except ImportError as error:
        raise ConfigError("--engine dask needs `pip install 'fwrnn-core[cluster]'`.") from error
    with ExitStack() as stack:
        if scheduler is None:
            cluster = LocalCluster(
                n_workers=jobs, threads_per_worker=1, processes=True, dashboard_address=None
            )
            scheduler = stack.enter_context(cluster)
        try:
            client = stack.enter_context(Client(scheduler, timeout=20))
        except (OSError, ValueError) as error:
            raise ConfigError(f"no Dask scheduler answers at {scheduler}: {error}") from error
        tasks = {
            # Not pure: a notebook that failed before is to be tried again.
            client.submit(execute, plan, str(paths.home()), pure=False): plan
            for plan in plans
        }
        for task in tasks:
            bar.cell(tasks[task].notebook, 0.0)
        for task in as_completed(tasks):
            if task.status == "finished":
                yield task.result()
            else:
                # The worker itself was lost, with whatever it had said.
                words = str(task.exception() or task.status)
                yield Outcome(tasks[task], 0.0, Failure(0, "", f"its Dask worker: {words}"))


def execute(plan: Plan, home: str) -> Outcome:
    """What a Dask worker runs: one notebook in a process of its own."""
    if not (Path(home) / plan.notebook).is_file():
        failure = Failure(0, "", f"{home} is not a checkout on this worker: share the folder")
        return Outcome(plan, 0.0, failure)
    os.environ["FWRNN_HOME"] = home
    with running() as folder:
        worker = Worker(_threads(), folder)
        try:
            return worker.run(plan, _silent)
        finally:
            worker.stop()


def _threads() -> int:
    """This worker's share of its machine's cores."""
    from distributed import get_worker

    state: Any = get_worker().state
    return max(1, (os.cpu_count() or 1) // max(1, state.nthreads))


def _silent(notebook: str, share: float) -> None:
    """Progress within a notebook stays on the worker."""
