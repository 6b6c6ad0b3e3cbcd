"""Files whose content is known beforehand: check first, open afterwards, never tear, never trust.

Every read goes through :func:`read_pinned`, which hashes the very bytes it returns. Every write
goes to a temporary name in the same folder and is renamed when complete.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from fwrnn_core import locks, paths
from fwrnn_core.errors import DataError


def wrong_content(path: Path, expected: str, found: str, remedy: str) -> DataError:
    """Set ``path`` aside and say so: name, both hashes, the way out."""
    kept = path.with_name(f"{path.name}.bad-{found[:8]}")
    # Another process may have set it aside a moment ago.
    with suppress(FileNotFoundError):
        os.replace(path, kept)
    return DataError(
        f"{path} is not the file it should be (damaged, truncated or swapped).\n"
        f"  expected SHA-256 {expected}\n"
        f"  found    SHA-256 {found}\n"
        f"It was not opened; it was renamed to {kept.name}. {remedy}"
    )


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an operating-system error about ``path`` into a sentence with a way out."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{path}: {error.strerror or error}. The cache lies in {paths.data_cache()}; "
            "set FWRNN_HOME to keep it elsewhere"
        ) from error


def read_pinned(path: Path, sha256: str, remedy: str) -> np.ndarray:
    """The file's bytes (writable ``uint8``), after their SHA-256 was found to be ``sha256``.

    Raises :class:`~fwrnn_core.errors.DataError` and renames the file when it is not.
    """
    with explained(path):
        data = np.fromfile(path, dtype=np.uint8)
    found = hashlib.sha256(data.data).hexdigest()
    if found != sha256:
        raise wrong_content(path, sha256, found, remedy)
    return data


def write_atomic(path: Path, content: bytes | memoryview) -> None:
    """Write ``content`` to ``path`` so that readers see the old file or the new one, whole."""
    with explained(path):
        locks.write_atomic(path, content)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock named after ``path`` while the body runs."""
    lock = path.with_name(f".{path.name}.lock")
    waiting = f"waiting for another process that prepares {path.name}"
    with ExitStack() as stack:
        with explained(lock):  # the body's errors are its own
            stack.enter_context(locks.held(lock, waiting))
        yield


def sidecar(path: Path) -> Path:
    """The file that holds the SHA-256 of the arrays in ``path``."""
    return path.with_name(f"{path.name}.sha256")


def save_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Save arrays (or scalars and texts) as ``.npz`` with a ``.sha256`` file beside it.

    ``sha256sum -c`` reads the second, and :func:`load_arrays` checks it. Call this under
    :func:`locked`.
    """
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    content = buffer.getbuffer()
    # The second file completes the pair, so it must never stand beside older arrays.
    sidecar(path).unlink(missing_ok=True)
    write_atomic(path, content)
    found = hashlib.sha256(content).hexdigest()
    write_atomic(sidecar(path), f"{found}  {path.name}\n".encode())


def has_arrays(path: Path) -> bool:
    """True when :func:`save_arrays` finished for ``path``."""
    return path.is_file() and sidecar(path).is_file()


def read_arrays(path: Path, remedy: str) -> np.ndarray:
    """The checked bytes of a file that :func:`save_arrays` wrote."""
    with explained(sidecar(path)):
        text = sidecar(path).read_text(encoding="ascii", errors="replace")
    expected = text.split(" ")[0]
    if not re.fullmatch("[0-9a-f]{64}", expected):
        expected = f"(none: {sidecar(path).name} is unreadable)"
    return read_pinned(path, expected, remedy)


def load_arrays(path: Path, remedy: str) -> dict[str, np.ndarray]:
    """Arrays saved by :func:`save_arrays`; nothing is parsed before the hash was checked."""
    data = read_arrays(path, remedy)
    with np.load(io.BytesIO(data.data), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
