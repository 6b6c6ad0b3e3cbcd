"""How far each run is: complete, partial, interrupted, running, missing, diverged, damaged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from fwrnn_core.errors import RecordError
from fwrnn_core.training import checkpoint, records
from fwrnn_core.training.config import RunConfig
from fwrnn_core.training.records import Record


@dataclass(frozen=True)
class Status:
    """One run's line: ``best`` is the best test accuracy as a fraction, None if there is none;
    ``epochs`` is None where a search has yet to decide the run's settings. ``seconds`` are those of
    what is saved: of a run that goes on, up to its last checkpoint. ``trouble`` says what is wrong
    with a record that is damaged, of which nothing else is known."""

    name: str
    state: str
    epochs_done: int
    epochs: int | None
    seconds: float
    best: float | None
    trouble: str = ""


def status(name: str, config: RunConfig | None, record: Record | None) -> Status:
    """State of one run from its config, its record, its checkpoint, and its lock."""
    known = config or (record.config if record else None)
    assert known is not None
    running = checkpoint.is_running(known.id)
    # A copy of a record, under a folder of copies, does not go on; the run itself does.
    own = record is None or record.name == name
    header = checkpoint.header(checkpoint.path_of(known.id)) if own else None
    reached, spent = _far(header or {})
    if record is None:
        state = "running" if running else "missing" if reached is None else "interrupted"
        return Status(name, state, reached or 0, known.epochs, spent, None)
    state, done, seconds = record.status, record.epochs, record.seconds
    if state == "partial":
        seconds = max(seconds, spent)
    if state == "partial" and reached is not None and reached > done:
        state, done = "interrupted", reached
    if running and record.status == "partial":
        state = "running"
    scores = [a for a in record.body["curves"]["test_accuracy"] if a is not None]
    best = max(scores) if scores else None
    return Status(name, state, done, known.epochs, seconds, best)


def _far(header: dict[str, Any]) -> tuple[int | None, float]:
    """The epochs and seconds that a checkpoint has behind it, None and 0 where it does not say."""
    return header.get("epoch"), header.get("seconds", 0.0)


def _unfiled(header: dict[str, Any]) -> Status:
    """State of a run that only its checkpoint tells of."""
    state = "running" if checkpoint.is_running(header["id"]) else "interrupted"
    return Status(header["name"], state, header["epoch"], header["epochs"], _far(header)[1], None)


def survey(
    pattern: str, catalogue: Mapping[str, RunConfig], waiting: Iterable[str] = ()
) -> list[Status]:
    """One :class:`Status` per run of the catalogue, with a record or with a checkpoint, by name.

    ``waiting`` are names of runs that are planned and have no config yet: they are missing.
    """
    stored = set(records.names(pattern))
    named = {n for n in catalogue if fnmatchcase(n, pattern)} | stored
    # Of two checkpoints under one name (its settings were changed) the later one counts.
    begun = {h["name"]: h for h in checkpoint.headers() if "name" in h}
    others = [n for n in begun if n not in named and fnmatchcase(n, pattern)]
    rows = [_unfiled(begun[name]) for name in others]
    for name in named:
        config = catalogue.get(name)
        try:
            record = records.filed(name) if name in stored else None
        except RecordError as error:  # the others can be told of all the same
            epochs = config.epochs if config else None
            rows.append(Status(name, "damaged", 0, epochs, 0.0, None, str(error)))
        else:
            rows.append(status(name, config, record))
    known = {row.name for row in rows}
    rows += [
        Status(name, "missing", 0, None, 0.0, None)
        for name in waiting
        if name not in known and fnmatchcase(name, pattern)
    ]
    return sorted(rows, key=lambda row: row.name)
