"""What lies in the cache, and whether it is still what it was: behind ``fwrnn data``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fwrnn_core import paths
from fwrnn_core.data import catalog, files, har, sources
from fwrnn_core.errors import DataError, MissingLibrary


@dataclass(frozen=True)
class Row:
    """One dataset in the list. ``source`` is None where nothing is cached; ``data`` is what
    :meth:`~fwrnn_core.data.Dataset.describe` says, or None; ``problem`` is why it would not load.
    ``lacks_library`` that only a library is missing, and no file is wrong.
    ``size`` counts the bytes of its files in the cache, which datasets of one family share."""

    name: str
    summary: str
    source: str | None
    size: int
    data: dict[str, Any] | None = None
    problem: str | None = None
    lacks_library: bool = False


def cached_source(family: str) -> str | None:
    """The source that ``source="auto"`` would take without any download."""
    candidates = sources.candidates(family, "auto")
    if family == "har":
        for source in candidates:
            if files.has_arrays(har.cache_file(source.name)):
                return source.name
    return next((source.name for source in candidates if source.cached), None)


def pinned_files(family: str) -> dict[Path, sources.Pinned]:
    """All downloaded files of a family by their place in the cache, there or not."""
    return {file.resolve(): file for source in sources.SOURCES[family] for file in source.files}


def cached_files(family: str) -> list[Path]:
    """The files of a family that are in the cache: downloads, then parsed arrays."""
    found = [path for path in pinned_files(family) if path.is_file()]
    if family == "har":
        parsed = (har.cache_file(source.name) for source in sources.SOURCES[family])
        found += [path for path in parsed if files.has_arrays(path)]
    return found


def row(name: str) -> Row:
    """A dataset's row; it is loaded with default options if that needs no download."""
    entry = catalog.entry(name)
    family = entry.family
    source = cached_source(family) if family else "generated"
    if source is None:
        return Row(name, entry.summary, None, 0)
    data, problem, lacks_library = None, None, False
    try:
        data = catalog.load(name).describe()
    except DataError as error:
        problem, lacks_library = str(error), isinstance(error, MissingLibrary)
    # Loading may have added the parsed arrays, or set a bad file aside.
    size = sum(path.stat().st_size for path in cached_files(family)) if family else 0
    return Row(name, entry.summary, source, size, data, problem, lacks_library)


def verify(family: str, rebuild: bool = False) -> list[tuple[str, str | None]]:
    """Check every cached file of a family: its path in the cache, and None or what is wrong.

    A file that is not what it should be is set aside. ``rebuild`` also makes the parsed windows
    again from the downloaded file and compares the two.
    """
    report: list[tuple[str, str | None]] = []
    pinned = pinned_files(family)
    for path in cached_files(family):
        problem = None
        try:
            if path in pinned:
                sources.read(pinned[path])
            else:
                files.read_arrays(path, har.REMEDY)
        except DataError as error:
            problem = str(error)
        report.append((str(path.relative_to(paths.data_cache())), problem))
    if rebuild and family == "har":
        report += [_rebuilt(source) for source in sources.SOURCES[family] if source.cached]
    return report


def _rebuilt(source: sources.Source) -> tuple[str, str | None]:
    """Whether windows made anew from a source's file equal those in the cache."""
    what = f"har windows rebuilt from {source.name}"
    try:
        made, kept = har.build(source.name).content, har.cached_windows(source.name).content
    except DataError as error:
        return what, str(error)
    if made == kept:
        return what, None
    return what, f"SHA-256 of the cached windows {kept}, of those rebuilt {made}"
