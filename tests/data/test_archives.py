"""Archives give up one member by its exact name, within limits, and nothing else."""

import gzip
import io
import random
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from fwrnn_core.data import archives
from fwrnn_core.errors import DataError


def tar_of(members: dict[str, bytes], links: dict[str, str] | None = None) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    buffer.seek(0)
    return buffer


def zip_of(members: dict[str, bytes]) -> zipfile.ZipFile:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return zipfile.ZipFile(buffer)


def test_tar_member_by_exact_name():
    archive = tar_of({"a/other": b"no", "a/b": b"yes", "../a/b": b"evil", "/a/b": b"evil"})
    assert archives.tar_member(archive, "a/b", 10) == b"yes"


def test_nothing_is_written_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    archive = tar_of({"../outside": b"evil", "/absolute/evil": b"evil", "a": b"fine"})
    archives.tar_member(archive, "a", 10)
    archives.zip_member(zip_of({"../outside": b"evil", "a": b"fine"}), "a", 10)
    assert list(tmp_path.iterdir()) == []
    assert not (tmp_path.parent / "outside").exists()
    assert not Path("/absolute").exists()


def test_a_link_with_the_right_name_is_not_followed(tmp_path):
    archive = tar_of({}, links={"a/b": "/etc/hostname"})
    with pytest.raises(DataError, match="holds no file a/b"):
        archives.tar_member(archive, "a/b", 1000)


def test_a_bomb_stops_at_the_limit():
    bomb = bytes(10_000_000)
    with pytest.raises(DataError, match="more than the 1,000 bytes"):
        archives.tar_member(tar_of({"a": bomb}), "a", 1000)
    with pytest.raises(DataError, match="more than the 1,000 bytes"):
        archives.zip_member(zip_of({"a": bomb}), "a", 1000)
    with pytest.raises(DataError, match=r"a\.gz unpacks to more than the 1,000 bytes"):
        archives.gunzip(io.BytesIO(gzip.compress(bomb)), 1000, "a.gz")


def test_a_bomb_does_not_fill_the_memory():
    bomb = io.BytesIO(gzip.compress(bytes(50_000_000)))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="unpacks to more"):
            archives.gunzip(bomb, 1000, "a.gz")
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_the_limit_itself_is_allowed():
    assert archives.gunzip(io.BytesIO(gzip.compress(b"12345")), 5, "a.gz") == b"12345"


def test_missing_members_are_named():
    with pytest.raises(DataError, match="holds no file b"):
        archives.zip_member(zip_of({"a": b""}), "b", 10)
    with pytest.raises(DataError, match="holds no file b"):
        archives.tar_member(tar_of({"a": b""}), "b", 10)


@pytest.mark.parametrize("cut", [0, 5, 40, 200])
def test_a_truncated_tar_is_a_sentence(cut):
    content = tar_of({"a": random.Random(0).randbytes(5000)}).getvalue()
    with pytest.raises(DataError, match="archive of a cannot be read"):
        archives.tar_member(io.BytesIO(content[:cut]), "a", 10_000)


@pytest.mark.parametrize(
    "content",
    [b"PK", gzip.compress(b"x" * 1000)[:-9], b"not gzip at all"],
    ids=["zip", "cut", "text"],  # gzip holds the time: no name for a test
)
def test_a_truncated_or_foreign_gzip_is_a_sentence(content):
    with pytest.raises(DataError, match=r"a\.gz is not a readable gzip file"):
        archives.gunzip(io.BytesIO(content), 10_000, "a.gz")


def test_a_damaged_zip_member_is_a_sentence():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", b"0123456789")
    spoiled = buffer.getvalue().replace(b"0123456789", b"0123456780", 1)
    with pytest.raises(DataError, match="a cannot be read"):
        archives.zip_member(zipfile.ZipFile(io.BytesIO(spoiled)), "a", 100)
