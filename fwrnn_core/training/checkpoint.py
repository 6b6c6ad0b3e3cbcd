"""Checkpoints: the whole state of an unfinished run, sealed and written atomically.

File format: one JSON line ``{"schema", "id", "sha256", …}``, then the bytes of ``torch.save``. The
hash is checked before anything is unpickled, and only tensors and plain containers are admitted.
What else the line holds (the run's name, how far it is, its seconds) is for listing; older files
lack it.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from pathlib import Path
from typing import Any

import torch

from fwrnn_core import locks, paths
from fwrnn_core.errors import RecordError

SCHEMA = 1


def path_of(run_id: str) -> Path:
    """Where the checkpoint of a run lies."""
    return paths.checkpoints() / f"{run_id}.ckpt"


def save(path: Path, run_id: str, state: dict[str, Any], **about: str | float) -> None:
    """Write the state; a reader sees the old file or the new one, never half of it. ``about`` is
    what :func:`header` tells without reading on."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getvalue()
    header = {"schema": SCHEMA, "id": run_id, "sha256": hashlib.sha256(payload).hexdigest()}
    locks.write_atomic(path, json.dumps({**header, **about}).encode() + b"\n" + payload)


def header(path: Path) -> dict[str, Any] | None:
    """The first line of a checkpoint, unchecked; None if there is none that could be read."""
    try:
        with path.open("rb") as file:
            found = json.loads(file.readline(4096))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("schema") == SCHEMA else None


def headers() -> list[dict[str, Any]]:
    """The headers of all checkpoints, the one written last at the end."""
    files = sorted(paths.checkpoints().glob("*.ckpt"), key=_written)
    return [found for path in files if (found := header(path)) is not None]


def _written(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:  # its run has just been completed
        return 0


def way_out(path: Path) -> str:
    """What to do about a state that cannot be read; those beside records are in git."""
    restore = "Restore it from git, or delete it" if path.suffix == ".state" else "Delete it"
    return f"{restore}: the run then goes on from its other saved state, or begins again"


def load(path: Path, run_id: str) -> dict[str, Any] | None:
    """The stored state, or None if there is none.

    Raises :class:`~fwrnn_core.errors.RecordError` for a file of another version or run, truncated,
    edited, or of anything but tensors and plain values; the file is left as it is.
    """
    try:
        header_line, _, payload = path.read_bytes().partition(b"\n")
    except FileNotFoundError:
        return None
    try:
        header = json.loads(header_line)
        schema, owner, digest = header["schema"], header["id"], header["sha256"]
    except (ValueError, KeyError, TypeError):
        raise RecordError(f"{path}: not a checkpoint of this project. {way_out(path)}") from None
    if schema != SCHEMA:
        raise RecordError(
            f"{path}: checkpoint of schema {schema}, this version reads {SCHEMA}. Use the package "
            f"version that wrote it. {way_out(path)}"
        )
    if owner != run_id:
        raise RecordError(f"{path}: checkpoint of run {owner}, not {run_id}. {way_out(path)}")
    if hashlib.sha256(payload).hexdigest() != digest:
        raise RecordError(f"{path}: truncated or edited (SHA-256 does not match). {way_out(path)}")
    try:
        # weights_only: a checkpoint is data; it must not be able to run code.
        return torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise RecordError(
            f"{path}: holds more than tensors and plain values, and was not read. {way_out(path)}"
        ) from None


def lock_of(run_id: str) -> Path:
    """The lock file of a run: whoever trains it holds it."""
    return paths.checkpoints() / f"{run_id}.lock"


def is_running(run_id: str) -> bool:
    """Whether some process is training the run right now."""
    return locks.is_held(lock_of(run_id))
