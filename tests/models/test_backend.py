"""Choosing, building and caching the C kernels: whatever goes wrong, a model still runs."""

from __future__ import annotations

import logging
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from fwrnn_core import paths
from fwrnn_core.errors import ConfigError
from fwrnn_core.models import RecurrentNet, kernels
from fwrnn_core.models.kernels import backend, cc

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler on this machine"
)


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty kernel cache, and nothing remembered of earlier builds; the cache folder."""
    remembered = (cc.load, backend._no_c, backend.say_once)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CC", raising=False)
    quick = ("-O0" if flag == "-O3" else flag for flag in cc.FLAGS)  # built often, timed never
    monkeypatch.setattr(cc, "FLAGS", tuple(quick))
    for function in remembered:
        function.cache_clear()
    yield paths.kernel_cache()
    for function in remembered:
        function.cache_clear()


def fake_compiler(folder: Path, script: str) -> str:
    path = folder / "fake-cc"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def runs() -> bool:
    return bool(RecurrentNet(2, 5, 1)(torch.randn(3, 4, 2)).isfinite().all())


@needs_compiler
def test_built_once_and_taken_from_the_cache_then(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kernels.backend_name() == "c"
    (library,) = fresh.iterdir()  # and no temporary file is left over
    assert library.name.startswith("kernels-")
    cc.load.cache_clear()
    monkeypatch.setattr(cc, "_build", lambda *_: pytest.fail("compiled again"))
    cc.load()
    assert runs()


def test_without_a_compiler_it_says_so_once_and_runs(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", str(fresh))
    with caplog.at_level(logging.WARNING):
        assert kernels.backend_name() == "torch"
        assert runs()
        assert runs()
    (record,) = caplog.records
    assert "no C compiler" in record.message
    assert "\n" not in record.message
    with kernels.use_backend("c"), pytest.raises(ConfigError, match="no C compiler"):
        kernels.backend_name()


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'internal compiler error' >&2; exit 4", "internal compiler error"),
        ("exit 3", "status 3"),
    ],
)
def test_a_compiler_that_fails(
    fresh: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    script: str,
    reason: str,
) -> None:
    monkeypatch.setenv("CC", fake_compiler(tmp_path, script))
    assert kernels.backend_name() == "torch"
    assert reason in caplog.text
    assert runs()
    assert list(fresh.iterdir()) == []


@needs_compiler
def test_a_compiler_that_lacks_threads_and_tuning_builds_what_it_can(
    fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse = (
        'case " $* " in *" -fopenmp "*|*-mprefer*) exit 1;; *-march=native*) touch "$0.tuned";; '
    )
    monkeypatch.setenv("CC", fake_compiler(tmp_path, f'{refuse}esac; exec cc "$@"'))
    with kernels.use_backend("c"):
        assert runs()
    assert (tmp_path / "fake-cc.tuned").exists()


def test_a_compiler_that_writes_rubbish(
    fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rubbish = 'for last; do :; done; while [ "$1" != -o ]; do [ $# = 0 ] && exit; shift; done; '
    monkeypatch.setenv("CC", fake_compiler(tmp_path, rubbish + 'echo rubbish > "$2"'))
    assert kernels.backend_name() == "torch"
    assert runs()


def test_a_compiler_that_cannot_be_executed(
    fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "not-a-program"
    path.write_bytes(b"\x7fELF nothing")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CC", str(path))
    assert kernels.backend_name() == "torch"
    assert runs()


def test_a_cc_that_is_no_command(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", 'gcc "x')
    assert kernels.backend_name() == "torch"
    assert runs()


@needs_compiler
@pytest.mark.parametrize("error", [PermissionError("locked"), RuntimeError("no home directory")])
def test_a_home_that_cannot_be_read_or_found(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails() -> Path:
        raise error

    monkeypatch.setattr(paths, "kernel_cache", fails)
    assert kernels.backend_name() == "c"
    assert runs()


@needs_compiler
def test_a_cache_that_cannot_be_written(fresh: Path) -> None:
    fresh.parent.parent.mkdir(parents=True)
    fresh.parent.write_text("a file where the cache folder should be")
    assert kernels.backend_name() == "c"
    assert runs()


@needs_compiler
def test_a_damaged_cached_library_is_built_again(fresh: Path) -> None:
    name = f"kernels-{cc.fingerprint(cc.compiler())}.so"
    fresh.mkdir(parents=True)
    (fresh / name).write_bytes(b"\x7fELF truncated")
    assert kernels.backend_name() == "c"
    assert (fresh / name).stat().st_size > 1000
    assert runs()


@needs_compiler
def test_another_cpu_compiler_or_flag_gets_another_library(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = cc.compiler()
    here = cc.fingerprint(command)
    assert cc.fingerprint(command) == here
    newer = subprocess.CompletedProcess(command, 0, stdout="cc (another) 99.1")
    for name, other in {
        "_cpu": lambda: ("x86_64", "model name: another"),
        "_run": lambda _: newer,
        "FLAGS": (*cc.FLAGS, "-DX"),
        "TUNING": cc.TUNING[1:],
        "OPENMP": cc.OPENMP[1:],
    }.items():
        with monkeypatch.context() as patch:
            patch.setattr(cc, name, other)
            assert cc.fingerprint(command) != here, name


@needs_compiler
@pytest.mark.parametrize("edited", [*cc.SOURCES, "common.h"])
def test_an_edited_source_gets_another_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edited: str
) -> None:
    own, copy = Path(cc.__file__), tmp_path / "models/kernels/cc.py"
    for name in (*cc.SOURCES, "common.h"):
        (copy.parent / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(own.parent / name, copy.parent / name)
    here = cc.fingerprint(cc.compiler())
    monkeypatch.setattr(cc, "__file__", str(copy))
    assert cc.fingerprint(cc.compiler()) == here
    (copy.parent / edited).write_text("// another\n" + (copy.parent / edited).read_text())
    assert cc.fingerprint(cc.compiler()) != here


@needs_compiler
def test_a_library_is_seen_whole_or_not_at_all(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may look for it while the compiler writes."""
    run, seen = cc._run, []

    def watched(command: list[str]) -> subprocess.CompletedProcess[str]:
        done = run(command)
        seen.append([path.name for path in fresh.glob("kernels-*")])
        return done

    monkeypatch.setattr(cc, "_run", watched)
    cc.load()
    assert seen == [[], []]  # the compiler's version, and its work
    assert len(list(fresh.iterdir())) == 1


@needs_compiler
def test_several_processes_may_start_at_once(fresh: Path) -> None:
    code = (
        "import torch; from fwrnn_core.models import RecurrentNet, kernels;"
        "RecurrentNet(2, 5, 1)(torch.randn(3, 4, 2)).sum().backward();"
        "print(kernels.backend_name())"
    )
    command = [sys.executable, "-c", code]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ})
        for _ in range(2)
    ]
    assert [p.communicate()[0].strip() for p in processes] == ["c"] * 2
    assert len(list(fresh.iterdir())) == 1


@needs_compiler
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_threads_work_after_a_fork() -> None:
    code = (
        "import os, torch; torch.set_num_threads(2); from fwrnn_core.models import kernels;"
        "a = [torch.ones(2, 64, 1), torch.zeros(64, 8), torch.ones(8, 1), torch.eye(8),"
        " torch.zeros(8), torch.zeros(8)];"
        "kernels.tanh_rnn(*a); pid = os.fork();"
        "kernels.tanh_rnn(*a); os.write(1, b'fine\\n');"  # at once: the other writes too
        "pid or os._exit(0); print(os.waitpid(pid, 0)[1])"
    )
    done = subprocess.run([sys.executable, "-uc", code], capture_output=True, text=True, timeout=60)
    assert sorted(done.stdout.split()) == ["0", "fine", "fine"], done.stderr


def test_forced_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch", "reference"):
        monkeypatch.setenv("FWRNN_BACKEND", name)
        assert kernels.backend_name() == name
        assert runs()
    with kernels.use_backend("torch"):  # the innermost wish counts
        assert kernels.backend_name() == "torch"
    monkeypatch.setenv("FWRNN_BACKEND", "trch")
    with pytest.raises(ConfigError, match=r"FWRNN_BACKEND.*Did you mean 'torch'"):
        runs()
    monkeypatch.setenv("FWRNN_BACKEND", "cuda")
    with pytest.raises(ConfigError, match="cannot run on 'cpu'"):
        runs()
    with pytest.raises(ConfigError, match="backend"), kernels.use_backend("C"):
        pass


def test_the_c_backend_says_what_it_cannot_do() -> None:
    with kernels.use_backend("c"):
        with pytest.raises(ConfigError, match="float32 on the CPU"):
            kernels.backend_name("cpu", torch.float64)
        with pytest.raises(ConfigError, match="float32 on the CPU"):
            kernels.backend_name("cuda")


def test_every_device_gets_its_backend() -> None:
    assert kernels.backend_name("cuda") == "cuda"
    assert kernels.backend_name("mps") == "torch"
    assert kernels.backend_name("cpu", torch.float64) == "torch"


def test_no_memory_for_the_scratch_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Exhausted:
        """A library whose every kernel answers that it found no memory."""

        def __getattr__(self, name: str) -> Any:
            return lambda *_: 1

    with kernels.use_backend("c"):
        try:
            kernels.backend_name()
        except ConfigError as error:
            pytest.skip(str(error))
        monkeypatch.setattr(cc, "load", Exhausted)
        with pytest.raises(MemoryError):
            runs()


@needs_compiler
def test_a_kernel_refuses_a_size_that_is_a_tensor() -> None:
    from fwrnn_core.models.kernels import native

    with pytest.raises(TypeError, match="size as an int"):
        native._call("indrnn_moments", torch.tensor(3), 1, 1, torch.ones(3))


def test_a_forced_backend_inside_another_gives_way_to_it() -> None:
    with kernels.use_backend("reference"):
        with kernels.use_backend("torch"):
            assert kernels.backend_name() == "torch"
        assert kernels.backend_name() == "reference"
