"""Where the project's files lie: one place decides, everything else asks.

Inside a checkout (the nearest parent folder with both ``_config.yml`` and ``fwrnn_core/``) the
layout of the repository holds. Elsewhere, records go to the user's data folder, because nothing
makes them again but training, and the rest to the user's cache folder. ``FWRNN_HOME`` overrides
all of this.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from fwrnn_core.errors import ConfigError

# What a write says when there is no room left; it names no file.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
PACKAGE = Path(__file__).resolve().parent


def home() -> Path:
    """The project's root: ``$FWRNN_HOME``, else the checkout around the current folder or around
    an editable install, else ``~/.cache/fwrnn`` (``$XDG_CACHE_HOME`` is honoured).

    Raises :class:`~fwrnn_core.errors.ConfigError` if ``FWRNN_HOME`` is a file.
    """
    return _project() or user_cache()


def _project() -> Path | None:
    """The folder that ``FWRNN_HOME`` names, or the checkout; None outside of one."""
    if override := os.environ.get("FWRNN_HOME"):
        folder = _expanded(override).resolve()
        if folder.is_file():
            raise ConfigError(f"FWRNN_HOME = {override} is a file; set it to a folder")
        return folder
    for start in (Path.cwd(), PACKAGE.parent):
        for folder in (start, *start.parents):
            if (folder / "_config.yml").is_file() and (folder / "fwrnn_core").is_dir():
                return folder
    return None


def _expanded(folder: str) -> Path:
    try:
        return Path(folder).expanduser()
    except RuntimeError:  # a user without an entry, as in some containers
        raise ConfigError(
            f"{folder}: there is no home folder; set HOME, or FWRNN_HOME and XDG_CACHE_HOME"
        ) from None


def user_cache() -> Path:
    """The user's own cache folder, ``~/.cache/fwrnn`` (``$XDG_CACHE_HOME`` is honoured)."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return _expanded(base) / "fwrnn"


def kernel_cache() -> Path:
    """Compiled kernels: they belong to the machine and the user, not to a checkout."""
    return user_cache() / "kernels"


def data_cache() -> Path:
    """Downloads and parsed arrays (ignored by git)."""
    return home() / "data" / "cache"


def records() -> Path:
    """Run records, one small JSON file per run: committed in a checkout, else in
    ``~/.local/share/fwrnn/records`` (``$XDG_DATA_HOME`` is honoured)."""
    if project := _project():
        return project / "data" / "records"
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return _expanded(base) / "fwrnn" / "records"


def checkpoints() -> Path:
    """State of unfinished runs (ignored by git)."""
    return data_cache() / "runs"


def build() -> Path:
    """Executed notebooks and the rendered book (ignored by git)."""
    return home() / "_build"


def explain(error: OSError) -> str | None:
    """A sentence with a way out for a full disk, or for a file or folder of the project's that
    cannot be used; None for any other error, which is no matter of where things lie."""
    if error.errno in FULL:
        return (
            f"{error.strerror}, in the middle of a write below {_root_of(error) or home()}. What "
            "was saved before is whole: make room, or set FWRNN_HOME to a folder that has some, "
            "and run the same command again"
        )
    if _root_of(error) is None:
        return None
    elsewhere = "set FWRNN_HOME to keep data and runs elsewhere"
    return f"{error.filename}: {error.strerror}; {elsewhere}"


def _root_of(error: OSError) -> Path | None:
    """The project's folder that an error's file lies in, or lies above."""
    if not isinstance(error.filename, str | os.PathLike):
        return None
    path = Path(error.filename)
    for root in (home(), records()):
        if path.is_relative_to(root) or root.is_relative_to(path):
            return root
    return None
