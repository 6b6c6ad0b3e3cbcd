"""Bad files are set aside, whole files stay whole, and processes take turns."""

import hashlib
import multiprocessing
import os
import time

import numpy as np
import pytest

from fwrnn_core.data import files
from fwrnn_core.errors import DataError

GOOD = b"0123456789" * 100
SHA = hashlib.sha256(GOOD).hexdigest()


def spoil(content: bytes, how: str) -> bytes:
    return {
        "one bit": content[:500] + bytes([content[500] ^ 1]) + content[501:],
        "truncated": content[:-7],
        "empty": b"",
        "swapped": b"something else",
        "longer": content + b"x",
    }[how]


def test_a_right_file_is_read(tmp_path):
    (tmp_path / "a").write_bytes(GOOD)
    assert files.read_pinned(tmp_path / "a", SHA, "").tobytes() == GOOD


@pytest.mark.parametrize("how", ["one bit", "truncated", "empty", "swapped", "longer"])
def test_a_wrong_file_is_named_set_aside_and_not_returned(tmp_path, how):
    path = tmp_path / "a.bin"
    bad = spoil(GOOD, how)
    path.write_bytes(bad)
    with pytest.raises(DataError) as caught:
        files.read_pinned(path, SHA, "Do this.")
    found = hashlib.sha256(bad).hexdigest()
    for words in (str(path), SHA, found, "Do this."):
        assert words in str(caught.value)
    assert not path.exists()
    assert (tmp_path / f"a.bin.bad-{found[:8]}").read_bytes() == bad


def test_a_missing_file_is_a_sentence(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        files.read_pinned(tmp_path / "none", SHA, "")


def test_arrays_come_back_as_they_were(tmp_path):
    path = tmp_path / "deep" / "a.npz"
    arrays = {"x": np.arange(6.0).reshape(2, 3), "n": np.array(3), "text": np.array("word")}
    assert not files.has_arrays(path)
    files.save_arrays(path, arrays)
    assert files.has_arrays(path)
    back = files.load_arrays(path, "")
    assert list(back) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array)
        assert back[name].dtype == array.dtype
    line = files.sidecar(path).read_text()
    assert line == f"{hashlib.sha256(path.read_bytes()).hexdigest()}  a.npz\n"


def test_objects_are_never_stored(tmp_path):
    with pytest.raises(ValueError, match="pickle"):
        files.save_arrays(tmp_path / "a.npz", {"x": np.array([object()])})
    assert not files.has_arrays(tmp_path / "a.npz")


@pytest.mark.parametrize("how", ["one bit", "truncated", "empty", "swapped"])
def test_bad_arrays_are_not_parsed(tmp_path, how, monkeypatch):
    path = tmp_path / "a.npz"
    files.save_arrays(path, {"x": np.arange(200)})
    path.write_bytes(spoil(path.read_bytes(), how))
    monkeypatch.setattr(np, "load", lambda *a, **k: pytest.fail("parsed"))
    with pytest.raises(DataError, match="expected SHA-256"):
        files.load_arrays(path, "")
    assert not files.has_arrays(path)


@pytest.mark.parametrize("text", ["", "zz  a.npz\n", "\udcff\udcfe", "0" * 64 + "  a.npz\n"])
def test_a_bad_checksum_file_is_refused_too(tmp_path, text):
    path = tmp_path / "a.npz"
    files.save_arrays(path, {"x": np.arange(200)})
    files.sidecar(path).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match="renamed"):
        files.load_arrays(path, "")


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "a"
    files.write_atomic(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"No space left on device.*FWRNN_HOME"):
        files.write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def _take_turns(folder, start):
    start.wait()
    with files.locked(folder / "thing"):
        # Whoever comes second must find the first's note finished.
        note = folder / "note"
        before = note.read_text() if note.exists() else ""
        note.write_text(before + "begin ")
        time.sleep(0.05)
        note.write_text(note.read_text() + "end ")


def test_processes_take_turns(tmp_path):
    context = multiprocessing.get_context("fork")
    start = context.Event()
    workers = [context.Process(target=_take_turns, args=(tmp_path, start)) for _ in range(4)]
    for worker in workers:
        worker.start()
    start.set()
    for worker in workers:
        worker.join(20)
        assert worker.exitcode == 0
    assert (tmp_path / "note").read_text() == "begin end " * 4


def test_waiting_is_announced(tmp_path, capsys):
    context = multiprocessing.get_context("fork")
    held = context.Event()

    def hold() -> None:
        with files.locked(tmp_path / "thing"):
            held.set()
            time.sleep(0.2)

    worker = context.Process(target=hold)
    worker.start()
    assert held.wait(10)
    with files.locked(tmp_path / "thing"):
        pass
    worker.join(10)
    assert "waiting for another process that prepares thing" in capsys.readouterr().err
