"""Where a run was made: libraries, machine, commit. Nothing in it names a person or a host."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import torch

import fwrnn_core
from fwrnn_core import memory
from fwrnn_core.errors import ConfigError, unknown
from fwrnn_core.models import kernels


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
        },
        "commit": _commit(),
    }


def note_sources() -> None:
    """Read digest and commit now, once for the process: called before the first step, while the
    sources on disk are those that were loaded. A run takes hours, in which they may be edited."""
    code_digest()
    _commit()


_BOOKKEEPING = ("checkpoint", "environment", "queue", "records", "session", "status", "verify")


@functools.cache
def code_digest() -> str:
    """Twelve hexadecimal digits of all sources that a run's curves come from.

    How a run is filed, resumed, queued or verified changes no number and is left out.

    Another order of two additions is another rounding, and a recurrent network amplifies it: runs
    are equal to the last digit only under equal sources.
    """
    package = Path(fwrnn_core.__file__).parent
    content = hashlib.sha256()
    for layer in ("data", "models", "optim", "training"):
        for path in sorted((package / layer).rglob("*")):
            bookkeeping = layer == "training" and path.stem in _BOOKKEEPING
            if path.suffix in (".py", ".c", ".h") and not bookkeeping:
                content.update(path.relative_to(package).as_posix().encode())
                content.update(path.read_bytes())
    return content.hexdigest()[:12]


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
    """Commit of the checkout that the package runs from, with ``+`` if the package was changed."""
    folder = Path(fwrnn_core.__file__).parent
    try:
        git = ["git", "-C", str(folder)]
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True)
        diff = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "."], capture_output=True)
    except OSError:
        return None
    if head.returncode:
        return None
    return head.stdout.strip()[:12] + ("+" if diff.returncode else "")
