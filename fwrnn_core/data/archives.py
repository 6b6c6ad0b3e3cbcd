"""Members of archives, one at a time, into memory, by exact name and with a size limit.

Nothing is ever unpacked to a path that an archive names, so no archive can write outside the
cache, and none can fill the memory: reading stops at the limit whatever the header claims.
"""

from __future__ import annotations

import gzip
import tarfile
import zipfile
import zlib
from typing import IO

from fwrnn_core.errors import DataError


def _bounded(stream: IO[bytes] | gzip.GzipFile, limit: int, what: str) -> bytes:
    data = stream.read(limit + 1)
    if len(data) > limit:
        raise DataError(f"{what} unpacks to more than the {limit:,} bytes it may have; not read")
    return data


def gunzip(file: IO[bytes], limit: int, what: str) -> bytes:
    """The content of a gzip stream, at most ``limit`` bytes."""
    try:
        with gzip.open(file) as stream:
            return _bounded(stream, limit, what)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{what} is not a readable gzip file: {error}") from error


def tar_member(file: IO[bytes], member: str, limit: int) -> bytes:
    """A regular file of a ``.tar.gz``, by its exact name, at most ``limit`` bytes."""
    try:
        with tarfile.open(fileobj=file, mode="r:gz") as archive:
            for info in archive:
                if info.name == member and info.isreg():
                    stream = archive.extractfile(info)
                    assert stream is not None  # only other kinds of member give None
                    return _bounded(stream, limit, member)
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"the archive of {member} cannot be read: {error}") from error
    raise DataError(f"the archive holds no file {member}")


def zip_member(archive: zipfile.ZipFile, member: str, limit: int) -> bytes:
    """A member of a zip archive, by its exact name, at most ``limit`` bytes."""
    try:
        with archive.open(member) as stream:
            return _bounded(stream, limit, member)
    except KeyError:
        raise DataError(f"the archive holds no file {member}") from None
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, zlib.error) as error:
        raise DataError(f"{member} cannot be read from its archive: {error}") from error
