"""What exists of the catalogue: complete, partial, running, missing, diverged."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from fwrnn_core.training import checkpoint, records
from fwrnn_core.training.config import RunConfig
from fwrnn_core.training.records import Record


@dataclass(frozen=True)
class Status:
    """One run's line: ``best`` is the best test accuracy as a fraction, None if there is none."""

    name: str
    state: str
    epochs_done: int
    epochs: int
    seconds: float
    best: float | None


def status(name: str, config: RunConfig | None, record: Record | None) -> Status:
    """State of one run from its config, its record, and its lock."""
    known = config or (record.config if record else None)
    assert known is not None
    running = checkpoint.is_running(known.id)
    if record is None:
        return Status(name, "running" if running else "missing", 0, known.epochs, 0.0, None)
    state = "running" if running and record.status == "partial" else record.status
    scores = [a for a in record.body["curves"]["test_accuracy"] if a is not None]
    best = max(scores) if scores else None
    return Status(name, state, record.epochs, known.epochs, record.seconds, best)


def survey(pattern: str, catalogue: dict[str, RunConfig]) -> list[Status]:
    """One :class:`Status` per run of the catalogue or with a record, sorted by name."""
    stored = set(records.names(pattern))
    named = {n for n in catalogue if fnmatchcase(n, pattern)} | stored
    rows = []
    for name in sorted(named):
        record = records.filed(name) if name in stored else None
        rows.append(status(name, catalogue.get(name), record))
    return rows
