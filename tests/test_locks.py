"""Files that several processes share."""

from __future__ import annotations

import functools
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fwrnn_core import locks

posix = pytest.mark.skipif(os.name != "posix", reason="modes and shared locks are POSIX's")

HOLD = """
import sys
from pathlib import Path
from fwrnn_core import locks
with locks.held(Path(sys.argv[1]), "waiting"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A lock that another process holds."""
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield path
        process.kill()


def test_a_lock_of_another_process_is_seen_and_refused(elsewhere: Path) -> None:
    assert locks.is_held(elsewhere)
    refusal = RuntimeError("busy")
    with pytest.raises(RuntimeError, match="busy"), locks.held(elsewhere, "waiting", refusal):
        pass
    assert not locks.is_held(elsewhere.with_name("none"))


@posix
def test_those_who_ask_neither_find_nor_stop_each_other(tmp_path: Path) -> None:
    path, over, found = tmp_path / "lock", threading.Event(), []
    with locks.held(path, "waiting"):
        pass

    def ask() -> None:
        while not over.is_set():
            found.append(locks.is_held(path))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        while len(found) < 2000:
            with locks.held(path.with_name("other"), "waiting"):
                found.append(locks.is_held(path))
        for _ in range(20):
            with locks.held(path, "waiting", RuntimeError("busy")):
                pass
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert not any(found[:2000])


@posix
def test_asking_needs_no_right_to_write(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch(mode=0o400)
    before = path.stat()
    assert not locks.is_held(path)
    assert (path.stat().st_mode, path.stat().st_mtime_ns) == (before.st_mode, before.st_mtime_ns)


@posix
def test_a_lock_that_is_not_ours_to_read_counts_as_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> int:
        raise PermissionError("not yours")

    with locks.held(tmp_path / "lock", "waiting"):
        assert locks.is_held(tmp_path / "lock")
        monkeypatch.setattr(os, "open", refused)
        assert not locks.is_held(tmp_path / "lock")
        monkeypatch.undo()


def test_an_interrupt_at_any_moment_of_a_write_leaves_nothing_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def interrupted(function, *given):  # type: ignore[no-untyped-def]
        function(*given)
        raise KeyboardInterrupt

    for name in ("open", "fsync"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, functools.partial(interrupted, getattr(os, name)))
            with pytest.raises(KeyboardInterrupt):
                locks.write_atomic(path, b"new")
        assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a", b"old")]


@posix
@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o022, 0o644), (0o002, 0o664)])
def test_files_are_as_readable_as_the_user_wants_them(
    tmp_path: Path, umask: int, mode: int
) -> None:
    before = os.umask(umask)
    try:
        locks.write_atomic(tmp_path / "new" / "a", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new" / "a").stat().st_mode) == mode
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a"]


def test_a_file_is_on_the_disk_before_it_takes_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut then finds the old file or the whole new one, under the name."""
    path, fsync, on_disk = tmp_path / "a", os.fsync, []
    path.write_bytes(b"old")

    def watched(handle: int) -> None:
        on_disk.append((os.fstat(handle).st_size, path.read_bytes()))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    locks.write_atomic(path, b"the new one")
    assert on_disk == [(11, b"old")]
    assert path.read_bytes() == b"the new one"


def test_half_files_of_one_name_are_swept_whatever_the_name(tmp_path: Path) -> None:
    names = [f".{name}.0123456789ab.part" for name in ("a[1].json", "a1.json", "a[1].state")]
    for name in (*names, "a[1].json"):
        (tmp_path / name).touch()
    locks.sweep(tmp_path / "a[1].json")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*names[1:], "a[1].json"])
