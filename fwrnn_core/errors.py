"""Errors that are a user's to mend: one clear sentence, no traceback, exit status 2.

Everything the package raises on bad input derives from :class:`FwrnnError`; the command line
prints its message and exits with 2. Any other exception is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class FwrnnError(Exception):
    """Base of every error that the person at the keyboard can mend."""


class ConfigError(FwrnnError, ValueError):
    """A value outside its range or a name that does not exist."""


class DataError(FwrnnError):
    """A data file that is missing, unreachable, or not the file that was pinned."""


class MissingLibrary(DataError):
    """Data whose files may be sound, and which take a library that is not installed."""


class RecordError(FwrnnError):
    """A record or checkpoint that is truncated, edited, or of another version."""


def unknown(kind: str, name: object, known: Iterable[object]) -> ConfigError:
    """A :class:`ConfigError` that names the nearest valid names.

    >>> str(unknown("dataset", "har2", ["har-2", "adding"]))
    "unknown dataset 'har2'. Did you mean 'har-2'? Valid: adding, har-2"
    """
    names = sorted(str(k) for k in known)
    near = get_close_matches(str(name), names, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
    return ConfigError(f"unknown {kind} {str(name)!r}.{hint} Valid: {', '.join(names)}")


def choice(kind: str, value: object, known: Iterable[object]) -> None:
    """Raise what :func:`unknown` makes unless ``value`` is one of ``known``."""
    known = tuple(known)
    if value not in known:
        raise unknown(kind, value, known)
