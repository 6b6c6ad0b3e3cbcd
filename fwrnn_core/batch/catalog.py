"""Which notebooks there are, by their path from the project's root."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import Any

from fwrnn_core import paths
from fwrnn_core.errors import ConfigError

FOLDER = "notebooks"
_LISTED = "`fwrnn run --list` lists them"


def all_notebooks() -> list[str]:
    """Every notebook under ``notebooks/``, sorted, as ``notebooks/…/name.ipynb``."""
    root = paths.home()
    return sorted(
        path.relative_to(root).as_posix()
        for path in (root / FOLDER).rglob("*.ipynb")
        if ".ipynb_checkpoints" not in path.parts
    )


def book_pages(toc: Any) -> Iterator[str]:
    """Document names in a parsed ``_toc.yml``, in reading order.

    >>> list(book_pages({"root": "a", "parts": [{"chapters": [{"file": "b"}, {"url": "x"}]}]}))
    ['a', 'b']
    """
    if isinstance(toc, dict):
        for key, value in toc.items():
            if key in ("root", "file"):
                yield str(value)
            else:
                yield from book_pages(value)
    elif isinstance(toc, list):
        for entry in toc:
            yield from book_pages(entry)


def book_notebooks() -> list[str]:
    """The notebooks that ``_toc.yml`` names, in reading order."""
    import yaml

    toc = paths.home() / "_toc.yml"
    if not toc.is_file():
        raise ConfigError(f"{toc} does not exist: run this inside a checkout of the project.")
    pages = book_pages(yaml.safe_load(toc.read_text(encoding="utf-8")))
    known = set(all_notebooks())
    return [f"{page}.ipynb" for page in pages if f"{page}.ipynb" in known]


def resolve(names: Sequence[str]) -> list[str]:
    """Notebooks meant by ``names``: paths from here or from the root, folders, bare names, globs.

    No names at all means every notebook. Raises :class:`~fwrnn_core.errors.ConfigError` with the
    nearest valid names.
    """
    known = all_notebooks()
    if not known:
        raise ConfigError(
            f"no notebooks under {paths.home() / FOLDER}: run this inside a checkout of the "
            "project, or set FWRNN_HOME to one."
        )
    if not names:
        return known
    found: dict[str, None] = {}
    for name in names:
        found.update(dict.fromkeys(_resolve_one(name, known)))
    return list(found)


def _resolve_one(name: str, known: Iterable[str]) -> list[str]:
    root = paths.home()
    for start in (Path.cwd(), root, root / FOLDER):
        full = (start / name).resolve()
        if not full.is_relative_to(root):
            continue
        relative = full.relative_to(root).as_posix()
        matches = [n for n in known if n == relative or n.startswith(f"{relative}/")]
        if matches:
            return matches
    if any(sign in name for sign in "*?["):
        if matches := [n for n in known if _fits(n, name)]:
            return matches
        raise ConfigError(f"no notebook matches {name!r}; {_LISTED}")
    bare = name.removesuffix(".ipynb")
    matches = [n for n in known if n.removesuffix(".ipynb").endswith(f"/{bare}")]
    if len(matches) == 1:
        return matches
    if matches:
        raise ConfigError(f"{name!r} names {len(matches)} notebooks: {', '.join(matches)}")
    if Path(name).is_file():
        raise ConfigError(f"{name} lies outside {root / FOLDER}: only the project's notebooks run.")
    raise _nothing(name, known)


def _fits(notebook: str, pattern: str) -> bool:
    """Whether a shell pattern means a notebook by its path, below the folder or not, or its name.

    >>> [_fits("notebooks/theory/angles.ipynb", p) for p in ("theory/*", "ang*", "*.ipynb", "gle*")]
    [True, True, True, False]
    """
    path = notebook.removesuffix(".ipynb")
    forms = (path, path.removeprefix(f"{FOLDER}/"), PurePath(path).name)
    return any(fnmatchcase(form, pattern.removesuffix(".ipynb")) for form in forms)


def _nothing(name: str, known: Iterable[str]) -> ConfigError:
    """The error for a name that means no notebook: the nearest of them, by their own names, since
    folder and ending would make every two paths alike."""
    if "=" in name:
        return ConfigError(f"unknown notebook {name!r}; a parameter is given as -p NAME VALUE")
    stems = {PurePath(n).stem: n for n in known}
    near = get_close_matches(PurePath(name).stem, stems, n=3)
    hint = f" Did you mean {' or '.join(repr(stems[n]) for n in near)}?" if near else ""
    return ConfigError(f"unknown notebook {name!r}.{hint} {_LISTED}")
