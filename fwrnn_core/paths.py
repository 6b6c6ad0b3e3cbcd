"""Where the project's files lie: one place decides, everything else asks.

Inside a checkout (the nearest parent folder with both ``_config.yml`` and ``fwrnn_core/``) the
layout of the repository holds. Elsewhere, files go to the user's cache folder. ``FWRNN_HOME``
overrides both.
"""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def home() -> Path:
    """The project's root: ``$FWRNN_HOME``, else the checkout around the current folder or around
    an editable install, else ``~/.cache/fwrnn`` (``$XDG_CACHE_HOME`` is honoured)."""
    if override := os.environ.get("FWRNN_HOME"):
        return Path(override).expanduser().resolve()
    for start in (Path.cwd(), PACKAGE.parent):
        for folder in (start, *start.parents):
            if (folder / "_config.yml").is_file() and (folder / "fwrnn_core").is_dir():
                return folder
    return user_cache()


def user_cache() -> Path:
    """The user's own cache folder, ``~/.cache/fwrnn`` (``$XDG_CACHE_HOME`` is honoured)."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return (Path(base) / "fwrnn").expanduser()


def kernel_cache() -> Path:
    """Compiled kernels: they belong to the machine and the user, not to a checkout."""
    return user_cache() / "kernels"


def data_cache() -> Path:
    """Downloads and parsed arrays (ignored by git)."""
    return home() / "data" / "cache"


def records() -> Path:
    """Committed run records, one small JSON file per run."""
    return home() / "data" / "records"


def checkpoints() -> Path:
    """State of unfinished runs (ignored by git)."""
    return data_cache() / "runs"


def build() -> Path:
    """Executed notebooks and the rendered book (ignored by git)."""
    return home() / "_build"
