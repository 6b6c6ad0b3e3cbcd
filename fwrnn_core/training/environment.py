"""Where a run was made: libraries, machine, commit. Nothing in it names a person or a host."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

import fwrnn_core
from fwrnn_core import memory
from fwrnn_core.errors import ConfigError, unknown
from fwrnn_core.models import kernels

_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


def resolve_device(name: str) -> torch.device:
    """ "auto" is CUDA where there is one; anything else as torch understands it.

    >>> resolve_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:  # torch would list every back end that it ever had
        raise unknown("device", name, ("auto", "cpu", "cuda", "cuda:1", "mps")) from None
    try:
        if device.type == "meta":
            raise RuntimeError("it holds no numbers")
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].partition(". ")[0]
        raise ConfigError(f"device {name!r} is not available here: {reason}") from None
    return device


@contextlib.contextmanager
def deterministic(name: str) -> Iterator[None]:
    """On CUDA: full float32 and, where torch has them, deterministic algorithms inside the block;
    where it has none it warns. The caller's settings come back after it. Elsewhere nothing changes.

    Parameters
    ----------
    name : a device as in :func:`resolve_device`
    """
    if resolve_device(name).type != "cuda":
        yield
        return
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    wanted: dict[tuple[Any, str], bool] = {
        (cudnn, "deterministic"): True,
        (cudnn, "benchmark"): False,
        (cudnn, "allow_tf32"): False,
        (matmul, "allow_tf32"): False,
    }
    before = {(where, key): getattr(where, key) for where, key in wanted}
    enabled = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    workspace = os.environ.get(_WORKSPACE)
    try:
        # cuBLAS asks for it when it starts; one that the user has chosen stays.
        os.environ.setdefault(_WORKSPACE, ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
        for (where, key), value in wanted.items():
            setattr(where, key, value)
        yield
    finally:
        for (where, key), value in before.items():
            setattr(where, key, value)
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        if workspace is None:
            os.environ.pop(_WORKSPACE, None)


def _determined() -> bool:
    """Whether what :func:`deterministic` sets holds now."""
    cudnn = torch.backends.cudnn
    rough = cudnn.benchmark or cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32
    return torch.are_deterministic_algorithms_enabled() and cudnn.deterministic and not rough


def describe(device: torch.device) -> dict[str, Any]:
    """The ``environment`` and ``commit`` entries of a record."""
    return {
        "environment": {
            "fwrnn_core": fwrnn_core.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "system": f"{platform.system()} {platform.machine()}",
            "processor": torch.cuda.get_device_name(device)
            if device.type == "cuda"
            else _processor(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "device": device.type,
            "backend": kernels.backend_name(device),
            "code": code_digest(),
            "clock": "process" if device.type == "cpu" else "wall",
            "huge_pages": memory.huge_pages(),
            "keeps_memory": memory.kept(),
            # A CPU adds in the same order every time; a GPU only where it is told to.
            **({"deterministic": _determined()} if device.type == "cuda" else {}),
        },
        "commit": _commit(),
    }


def note_sources() -> None:
    """Read digest and commit now, once for the process: called before the first step, while the
    sources on disk are those that were loaded. A run takes hours, in which they may be edited."""
    code_digest()
    _commit()


_BOOKKEEPING = (
    "checkpoint", "environment", "progress", "queue", "records", "session", "status", "verify",
)  # fmt: skip


@functools.cache
def code_digest() -> str:
    """Twelve hexadecimal digits of all sources that a run's curves come from.

    How a run is filed, resumed, queued or verified changes no number and is left out.

    Another order of two additions is another rounding, and a recurrent network amplifies it: runs
    are equal to the last digit only under equal sources.
    """
    package = Path(fwrnn_core.__file__).parent
    content = hashlib.sha256()
    for path in sources():
        content.update(path.relative_to(package).as_posix().encode())
        content.update(path.read_bytes())
    return content.hexdigest()[:12]


def sources() -> Iterator[Path]:
    """The files of :func:`code_digest`, in its order."""
    package = Path(fwrnn_core.__file__).parent
    for layer in ("data", "models", "optim", "training"):
        for path in sorted((package / layer).rglob("*")):
            bookkeeping = layer == "training" and path.stem in _BOOKKEEPING
            if path.suffix in (".py", ".c", ".h") and not bookkeeping:
                yield path


@functools.cache
def _processor() -> str:
    """Vendor's name of the CPU, or the architecture where the system does not tell."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


@functools.cache
def _commit() -> str | None:
    """Commit of the checkout that the package runs from, with ``+`` if the package was changed;
    None outside of one, also where it merely lies in somebody else's."""
    folder = Path(fwrnn_core.__file__).parent
    try:
        git = ["git", "-C", str(folder)]
        ours = subprocess.run(
            [*git, "ls-files", "--error-unmatch", "__init__.py"], capture_output=True
        )
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True)
        diff = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "."], capture_output=True)
    except OSError:
        return None
    if ours.returncode or head.returncode:
        return None
    return head.stdout.strip()[:12] + ("+" if diff.returncode else "")
