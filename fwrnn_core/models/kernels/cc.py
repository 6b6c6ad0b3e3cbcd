"""Compile the C kernels on first use and load them: no build step, no headers but libc's.

One shared library holds all kernels. It is cached in the user's cache folder under a hash of the
sources, the compiler and the CPU, so that neither an update nor a home folder shared between
machines ever loads code built for something else.
"""

from __future__ import annotations

import atexit
import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from fwrnn_core import paths

SOURCES = ("tanh_rnn.c", "lstm.c", "indrnn.c", "../../optim/walk.c")
FLAGS = ("-O3", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
# The first set the compiler takes is used. GCC avoids full-width AVX-512 vectors unless told.
TUNING: tuple[tuple[str, ...], ...] = (
    ("-march=native", "-mprefer-vector-width=512"),
    ("-march=native",),
    ("-mcpu=native",),
    (),
)
# Threads, or where the compiler has none, vectors alone: then one thread does all shares of rows.
OPENMP = ("-fopenmp", "-fopenmp-simd")
TIMEOUT = 120  # seconds for one compiler call


class BuildError(Exception):
    """Why there are no C kernels on this machine, in one line."""


@cache
def load() -> ctypes.CDLL:
    """The compiled kernels, from the cache or freshly built.

    Raises:
        BuildError: no compiler, or one that fails, or nowhere to put the result.
    """
    command = compiler()
    name = f"kernels-{fingerprint(command)}.so"
    try:
        cached = paths.kernel_cache() / name
        if cached.is_file():
            with suppress(OSError):  # truncated or of another system: build it again
                return ctypes.CDLL(str(cached))
        cached.parent.mkdir(parents=True, exist_ok=True)
        return ctypes.CDLL(str(_build(command, cached)))
    except (OSError, RuntimeError):
        # No home, or a read-only, unreadable, full or noexec cache: this process builds for itself.
        return _load_private(command, name)


def compiler() -> list[str]:
    """The C compiler: ``$CC``, else the first of cc, gcc, clang.

    Raises:
        BuildError: there is none.
    """
    for candidate in (os.environ.get("CC"), "cc", "gcc", "clang"):
        try:
            words = shlex.split(candidate or "")
        except ValueError as error:
            raise BuildError(f"CC={candidate!r} is no command: {error}") from None
        if words and (found := shutil.which(words[0])):
            return [found, *words[1:]]
    raise BuildError("no C compiler found (cc, gcc, clang or $CC)")


def fingerprint(command: list[str]) -> str:
    """Hash of all that decides what the compiled code is: sources, compiler, flags, CPU."""
    here = Path(__file__).parent
    digest = hashlib.sha256(repr((FLAGS, TUNING, OPENMP, command, _cpu())).encode())
    digest.update(_run([*command, "--version"]).stdout.encode())
    for name in (*SOURCES, "common.h"):
        digest.update((here / name).read_bytes())
    return digest.hexdigest()[:20]


def _cpu() -> tuple[str, ...]:
    """The processor's model and instruction sets, as far as the system tells."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    first = text.split("\n\n", 1)[0].splitlines()
    wanted = ("model name", "flags", "Features", "CPU part")
    return (
        platform.machine(),
        platform.processor(),
        *(line for line in first if line.startswith(wanted)),
    )


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"the compiler {command[0]} does not run: {error}") from error


def _build(command: list[str], target: Path) -> Path:
    """Compile into ``target``. Several processes may do so at once: each writes a file of its
    own and puts it in place by a rename, so none ever loads half a library."""
    here = Path(__file__).parent
    handle, part = tempfile.mkstemp(prefix=".part-", suffix=".so", dir=target.parent)
    os.close(handle)
    try:
        for line in _attempts(command, part):
            result = _run([*line, *(str(here / name) for name in SOURCES)])
            if result.returncode == 0:
                os.chmod(part, 0o755)
                os.replace(part, target)
                return target
        said = result.stderr.strip().splitlines() or [f"status {result.returncode}"]
        reason = next((line for line in said if "error" in line), said[0])
        raise BuildError(f"the compiler {command[0]} fails: {reason}")
    finally:
        Path(part).unlink(missing_ok=True)


def _attempts(command: list[str], output: str) -> Iterator[list[str]]:
    for openmp in OPENMP:
        for tuning in TUNING:
            yield [*command, *FLAGS, openmp, *tuning, "-o", output]


def _load_private(command: list[str], name: str) -> ctypes.CDLL:
    try:
        folder = tempfile.mkdtemp(prefix="fwrnn-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return ctypes.CDLL(str(_build(command, Path(folder) / name)))
    except OSError as error:
        raise BuildError(f"nowhere to put or load the compiled kernels: {error}") from error
