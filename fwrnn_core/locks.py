"""Files that several processes share: one works at a time, and nobody sees half a file.

A lock is a file that the operating system holds for a process and lets go of when that process
ends, however it ends. On Windows, and on file systems without such locks, the library underneath
takes its next best.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from tqdm import tqdm


@contextmanager
def held(path: Path, waiting: str, refusal: Exception | None = None) -> Iterator[None]:
    """Hold the lock file ``path`` (made where it is missing) while the body runs.

    Where another process holds it, say ``waiting`` on standard error and wait; or raise
    ``refusal`` where one is given.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if refusal is not None:
            raise refusal from None
        tqdm.write(waiting, file=sys.stderr)  # beside a progress bar, not into it
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def is_held(path: Path) -> bool:
    """Whether some process holds the lock file ``path`` right now."""
    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


def write_atomic(path: Path, content: bytes | memoryview) -> None:
    """Write a file so that a reader sees the old content or the new, never a torn one.

    Raises :class:`OSError`; the old file then stands as it was, and nothing beside it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files private; a shared cache or checkout must stay readable.
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
