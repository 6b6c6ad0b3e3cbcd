"""Files that several processes share: one works at a time, and nobody sees half a file.

A lock is a file that the operating system holds for a process and lets go of when that process
ends, however it ends. On Windows, and on file systems without such locks, the library underneath
takes its next best.
"""

from __future__ import annotations

import glob
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from tqdm import tqdm

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# Seconds for which somebody who merely asks may hold a lock.
_ASKED = 0.1


@contextmanager
def held(path: Path, waiting: str, refusal: Exception | None = None) -> Iterator[None]:
    """Hold the lock file ``path`` (made where it is missing) while the body runs.

    Where another process holds it, say ``waiting`` on standard error and wait; or raise
    ``refusal`` where one is given.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=_ASKED, poll_interval=_ASKED / 5)
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
    """Whether some process holds the lock file ``path`` right now. One that is not ours to read is
    not ours to train either, and counts as free."""
    if fcntl is None:
        return path.exists() and _taken(path)
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:  # shared, so that two who ask do not take each other for the holder
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(handle)
    return False


def _taken(path: Path) -> bool:
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
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    # As readable as the user's umask has it, unlike what tempfile makes.
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(temporary, flags, 0o666)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sweep(path: Path) -> None:
    """Remove what processes that were killed inside :func:`write_atomic` left beside ``path``; for
    one that holds its lock, since a writer that is at work would lose its file too."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        left.unlink(missing_ok=True)
