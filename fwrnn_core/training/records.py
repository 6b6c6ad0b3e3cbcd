"""Records: what a run leaves behind, one small JSON file each, sealed by its own hash.

A record holds the config, the curves, the libraries and machine it ran on and the fingerprint of
its data. The file is written atomically and carries the SHA-256 of its own content, so that a
truncated or edited record is refused by name instead of being plotted.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from fwrnn_core import locks, paths
from fwrnn_core.errors import FwrnnError, RecordError, unknown
from fwrnn_core.training.config import RunConfig, canonical_json

SCHEMA = 1
# What two runs of one config may differ in: when, where and by whom they were run.
_CIRCUMSTANCES = ("environment", "commit", "seconds", "sha256")


@dataclass(frozen=True)
class Record:
    """One run's outcome; ``body`` is the JSON object as stored, to be read only: all who read the
    same file share it.

    ``status`` is ``complete``, ``partial`` (stopped on request before its last epoch) or
    ``diverged`` (the loss became infinite or NaN; ``body["diverged"]`` says where).
    """

    body: Mapping[str, Any]

    @functools.cached_property
    def config(self) -> RunConfig:
        return RunConfig.from_dict(self.body["config"])

    @property
    def name(self) -> str:
        return str(self.body["config"]["name"])

    @property
    def status(self) -> str:
        return str(self.body["status"])

    @property
    def epochs(self) -> int:
        """Epochs completed."""
        return len(self.body["curves"]["epoch"])

    @property
    def seconds(self) -> float:
        """Seconds of training and testing: processor time on a CPU, wall-clock time on a GPU."""
        return float(self.body["seconds"][-1]) if self.body["seconds"] else 0.0

    def curve(self, name: str) -> np.ndarray:
        """A per-epoch curve as float64 [epochs]; "seconds" too. NaN where it was not measured.

        Raises :class:`~fwrnn_core.errors.ConfigError` for an unknown curve.
        """
        if name == "seconds":
            return np.asarray(self.body["seconds"], dtype=float)
        curves = self.body["curves"]
        if name not in curves:
            raise unknown("curve", name, [*curves, "seconds"])
        return np.asarray([np.nan if v is None else v for v in curves[name]], dtype=float)

    def best(self, curve: str = "test_accuracy") -> float:
        """Largest value of a curve: with the default, the figure that the paper reports."""
        return float(np.nanmax(self.curve(curve)))

    def at_best_validation(self, curve: str = "test_accuracy") -> float:
        """Value of ``curve`` at the epoch with the lowest validation loss (the fair protocol)."""
        return float(self.curve(curve)[int(np.nanargmin(self.curve("validation_loss")))])

    def essence(self) -> dict[str, Any]:
        """All that must be the same when the run is repeated: everything but the circumstances."""
        return {k: v for k, v in self.body.items() if k not in _CIRCUMSTANCES}


def path_of(name: str, folder: Path | None = None) -> Path:
    """Where the record of a run of that name is filed."""
    return (folder or paths.records()) / f"{name}.json"


def state_path_of(name: str, folder: Path | None = None) -> Path:
    """Where the state of a run with a partial record is kept: beside the record."""
    return (folder or paths.records()) / f"{name}.state"


def seal(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body with the SHA-256 of its canonical JSON."""
    content = {k: v for k, v in body.items() if k != "sha256"}
    digest = hashlib.sha256(canonical_json(content).encode()).hexdigest()
    return {**content, "sha256": digest}


def dumps(body: Mapping[str, Any]) -> str:
    """One line per top-level key and per curve: small, and readable as a diff."""
    lines = []
    for key, value in body.items():
        if isinstance(value, Mapping) and len(canonical_json(value)) > 120:
            inner = ",\n".join(f"    {json.dumps(k)}: {json.dumps(v)}" for k, v in value.items())
            lines.append(f"  {json.dumps(key)}: {{\n{inner}\n  }}")
        else:
            lines.append(f"  {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def save(record: Record, folder: Path | None = None) -> Path:
    """File a record; a record of other settings under the same name is never overwritten."""
    path = path_of(record.name, folder)
    if path.exists():
        existing = read(path)
        if existing.config.id != record.config.id:
            raise RecordError(
                f"{path}: holds run {existing.config.id}, not {record.config.id}: its settings "
                f"differ. Give the new run another name, or move the old record away"
            )
    locks.write_atomic(path, dumps(seal(record.body)).encode())
    return path


def read(path: Path) -> Record:
    """Read one record; a truncated, edited or foreign file raises ``RecordError`` naming it.

    Within one process a file is read and checked once, until it changes.
    """
    try:
        status = path.stat()
        return _read_at(path, status.st_ino, status.st_size, status.st_mtime_ns)
    except FileNotFoundError:
        raise RecordError(f"{path}: no such record. `fwrnn records` lists what exists") from None


@functools.lru_cache(maxsize=4096)
def _read_at(path: Path, node: int, size: int, modified: int) -> Record:
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise RecordError(
            f"{path}: truncated or not JSON ({error}). Restore it from git, or delete it and "
            f"`fwrnn train` it again"
        ) from None
    if not isinstance(body, dict) or "schema" not in body:
        raise RecordError(f"{path}: not a record of this project (no 'schema')")
    if body["schema"] != SCHEMA:
        raise RecordError(
            f"{path}: record of schema {body['schema']}, this version reads {SCHEMA}. "
            f"Use the package version that wrote it, or train the run again"
        )
    if seal(body)["sha256"] != body.get("sha256"):
        raise RecordError(
            f"{path}: content does not match its SHA-256 (edited or damaged). Restore it from "
            f"git, or delete it and `fwrnn train` it again"
        )
    try:
        record = Record(body)
        config = record.config
    except (FwrnnError, KeyError) as error:
        raise RecordError(f"{path}: its config is not understood ({error})") from None
    if body.get("id") != config.id:
        raise RecordError(f"{path}: id {body.get('id')} does not belong to its config {config.id}")
    return record


def filed(name: str, folder: Path | None = None) -> Record:
    """Read the record filed under a name: the run's own, or one of a folder of copies, below which
    the run's own name follows (``other-processor/har2/published/adam``).

    Raises :class:`~fwrnn_core.errors.RecordError` as :func:`read` does, and for a copy under
    another name, which would be listed as one run and verified as another.
    """
    path = path_of(name, folder)
    record = read(path)
    if not f"/{name}".endswith(f"/{record.name}"):
        raise RecordError(
            f"{path}: holds the record of {record.name}. Delete it, or move it to a folder of "
            f"copies, such as {path_of(f'copies/{record.name}', folder)}"
        )
    return record


def names(pattern: str = "*", folder: Path | None = None) -> list[str]:
    """Names of the stored records that match a shell pattern (``*`` crosses slashes), sorted."""
    folder = folder or paths.records()
    found = (p.relative_to(folder).with_suffix("").as_posix() for p in folder.rglob("*.json"))
    return sorted(n for n in found if fnmatchcase(n, pattern) and not n.startswith("bench/"))


def load(pattern: str | Iterable[str] = "*", folder: Path | None = None) -> list[Record]:
    """All stored records whose name matches, sorted by name.

    Raises :class:`~fwrnn_core.errors.RecordError` when nothing matches, with the nearest names.
    """
    patterns = [pattern] if isinstance(pattern, str) else list(pattern)
    found = sorted({name for p in patterns for name in names(p, folder)})
    if not found:
        raise RecordError(str(unknown("record", " ".join(patterns), names("*", folder))))
    return [filed(name, folder) for name in found]
