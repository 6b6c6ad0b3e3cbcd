"""What a batch has to do: for each notebook where its copy goes and whether it must run."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fwrnn_core import paths
from fwrnn_core.batch import parameters as _parameters
from fwrnn_core.batch.closure import Graph
from fwrnn_core.batch.stamp import Stamp, changes, read, stamp
from fwrnn_core.errors import ConfigError


@dataclass(frozen=True)
class Plan:
    """One notebook of a batch. ``reasons`` is empty when its copy in ``output`` still holds."""

    notebook: str
    parameters: Mapping[str, Any]
    output: Path
    stamp: Stamp
    reasons: Sequence[str]
    last_seconds: float


def executed() -> Path:
    """Where the copies lie that the book shows."""
    return paths.build() / "executed"


def output_folder(given: Mapping[str, Any], profile: str) -> Path:
    """The book's folder for a plain run; one of its own for every other choice of parameters.

    >>> output_folder({}, "quick").name
    'executed'
    >>> output_folder({"K": 10}, "paper").relative_to(paths.build()).as_posix()
    'runs/profile=paper,K=10-7e0ae7c1'
    """
    chosen = {**({"profile": profile} if profile != "quick" else {}), **given}
    if not chosen:
        return executed()
    text = ",".join(f"{k}={v}" for k, v in chosen.items())
    digest = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:8]
    return paths.build() / "runs" / f"{re.sub(r'[^A-Za-z0-9=,._-]+', '_', text)[:60]}-{digest}"


def plan(
    notebooks: Sequence[str],
    given: Mapping[str, Any] | None = None,
    profile: str = "quick",
    output: Path | None = None,
    force: bool = False,
    here: bool = True,
    fetch: bool = True,
) -> list[Plan]:
    """Check all parameters of all notebooks, then compare stamps. Runs nothing. ``here`` says that
    they will run on this machine, with the devices that it has; ``fetch``, that the data they need
    may be downloaded now, else what is not there counts as changed.

    Raises :class:`~fwrnn_core.errors.ConfigError` for an unknown profile or parameter, before
    anything has been executed.
    """
    given = given or {}
    folder = output or output_folder(given, profile)
    _parameters.check_names(notebooks, given)
    checked = {name: _parameters.check(name, given, profile, here) for name in notebooks}
    graph = Graph(paths.PACKAGE)
    stamps = {name: stamp(name, checked[name], graph, fetch) for name in notebooks}
    plans = []
    for name, new in stamps.items():
        old, seconds = last_run(folder / name)
        reasons = ["asked to"] if force else changes(old, new)
        plans.append(Plan(name, checked[name], folder / name, new, reasons, seconds))
    return plans


def last_run(output: Path) -> tuple[Stamp | None, float]:
    """Stamp and duration in seconds of an executed copy; ``(None, inf)`` where there is none."""
    try:
        metadata = read(output)["metadata"]
        return metadata["fwrnn"]["stamp"], float(metadata["papermill"]["duration"])
    except (OSError, ConfigError, KeyError, TypeError, ValueError):
        # A copy that was torn or made by something else is no copy: it is made again.
        return None, float("inf")
