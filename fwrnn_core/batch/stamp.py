"""What an executed notebook was made from, by content: one hash per ingredient.

Ingredients are the notebook's own cells, its parameters, the files of the package that its code
could see, the fingerprints of the datasets and the record files that its metadata names
(``"fwrnn": {"data": ["har-2"], "records": ["har2/*"]}``), and the versions of Python and of the
project's declared dependencies. Two stamps are compared ingredient by ingredient, so that a batch
can say *why* a notebook runs again.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from fwrnn_core import paths
from fwrnn_core.batch.closure import Graph
from fwrnn_core.errors import ConfigError

Stamp = dict[str, str]


def stamp(notebook: str, parameters: Mapping[str, Any], graph: Graph, fetch: bool = True) -> Stamp:
    """The stamp of ``notebook`` (path from the root) when run with ``parameters``.

    Without ``fetch`` nothing is downloaded, and a dataset that is not here has no fingerprint.

    Raises :class:`~fwrnn_core.errors.ConfigError` for a notebook that is not valid JSON or not
    valid Python, and whatever loading a named dataset raises.
    """
    source = read(paths.home() / notebook)
    wanted = source["metadata"].get("fwrnn", {})
    try:
        files = graph.closure(python_of(source), tuple(wanted.get("modules", ())))
    except SyntaxError as error:
        raise ConfigError(f"{notebook}: not valid Python: {error}") from error
    return {
        "notebook": essence(source),
        "parameters": json.dumps(dict(parameters), sort_keys=True),
        **{f"code {path.relative_to(graph.folder.parent)}": _file_digest(path) for path in files},
        **{f"data {name}": _fingerprint(name, fetch) for name in wanted.get("data", ())},
        **_records(wanted.get("records", ())),
        **libraries(),
    }


def changes(old: Mapping[str, str] | None, new: Mapping[str, str]) -> list[str]:
    """Names of the ingredients that differ; ``["never run"]`` where there is no old stamp.

    >>> changes({"notebook": "a", "code x.py": "b"}, {"notebook": "a", "code y.py": "b"})
    ['code x.py', 'code y.py']
    """
    if not old:
        return ["never run"]
    return sorted(k for k in {*old, *new} if old.get(k) != new.get(k))


def read(path: Path) -> dict[str, Any]:
    """A notebook's JSON; :class:`~fwrnn_core.errors.ConfigError` when it is none."""
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(notebook["cells"], list):
            raise TypeError("cells is not a list")
        notebook.setdefault("metadata", {})
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is not a notebook: {error}") from error
    return dict(notebook)


def python_of(notebook: Mapping[str, Any]) -> str:
    """The code cells as one Python source; IPython's own syntax is translated or left out."""
    from IPython.core.inputtransformer2 import TransformerManager

    transform = TransformerManager().transform_cell
    cells = ("".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code")
    return "\n".join(transform(cell) for cell in cells)


def essence(notebook: Mapping[str, Any]) -> str:
    """Hash of what makes a notebook: cells and its metadata for us, no outputs, no counts."""
    cells = [
        [c["cell_type"], "".join(c["source"]), c.get("metadata", {})] for c in notebook["cells"]
    ]
    text = json.dumps([cells, notebook["metadata"].get("fwrnn", {})], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


@lru_cache(maxsize=4096)
def _digest_at(path: Path, size: int, modified: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _file_digest(path: Path) -> str:
    # Within one process a file is read once; across processes only content counts.
    status = path.stat()
    return _digest_at(path, status.st_size, status.st_mtime_ns)


@lru_cache
def _fingerprint(name: str, fetch: bool) -> str:
    from fwrnn_core.data import catalog, inventory

    family = catalog.entry(name).family
    if not fetch and family and inventory.cached_source(family) is None:
        return "not here yet"
    return str(catalog.load(name).fingerprint)


def _records(patterns: list[str]) -> Stamp:
    root = paths.records()
    files = {p.relative_to(root).with_suffix("").as_posix(): p for p in root.rglob("*.json")}
    return {
        f"record {name}": _file_digest(path)
        for name, path in sorted(files.items())
        if any(fnmatchcase(name, pattern) for pattern in patterns)
    }


@lru_cache
def libraries() -> Stamp:
    """Versions of Python and of every library that the project's metadata asks for by name."""
    versions = {"python": platform.python_version()}
    try:
        requirements = metadata.requires("fwrnn-core") or []
    except metadata.PackageNotFoundError:
        requirements = _declared()
    for requirement in requirements:
        # Tools of development leave no trace in a notebook.
        if "extra" in requirement and "book" not in requirement.partition(";")[2]:
            continue
        found = re.match(r"[A-Za-z0-9._-]+", requirement)
        assert found is not None
        try:
            versions[f"library {found[0]}"] = metadata.version(found[0])
        except metadata.PackageNotFoundError:
            versions[f"library {found[0]}"] = "absent"
    return versions


def _declared() -> list[str]:
    """What a source tree that was never installed asks for."""
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["book"]]
