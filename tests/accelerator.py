"""A pretended accelerator, for tests of code that runs on any device on machines without one.

Its tensors are torch's "meta" ones: they have a shape and a device and no values. An operation on
tensors of both devices is an error, as it is on a GPU, and whatever is read comes out as a half.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from fwrnn_core.training import environment, loop

HERE = torch.device("meta")
_ATEN = torch.ops.aten


class _Accelerator(TorchDispatchMode):
    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        tensors = [t for t in tree_leaves((args, given)) if isinstance(t, torch.Tensor)]
        first = tensors[0] if tensors else None
        if first is not None and first.device == HERE:
            if func is _ATEN._local_scalar_dense.default:
                return torch.full((), 0.5).to(first.dtype).item() or first.dtype == torch.bool
            if func is _ATEN._to_copy.default and given.get("device", HERE) != HERE:
                return torch.full(first.shape, 0.5).to(given.get("dtype") or first.dtype)
        # As on a GPU, a scalar may come from the CPU.
        places = {t.device.type for t in tensors if t.ndim}
        if len(places) > 1 and func is not _ATEN.copy_.default:
            raise RuntimeError(f"{func}: expected all tensors on one device, found {places}")
        return func(*args, **given)


@contextlib.contextmanager
def accelerator(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Inside the block "pretended" is a device that runs can be given."""

    real = environment.resolve_device

    def resolve(name: str) -> torch.device:
        return HERE if name == "pretended" else real(name)

    monkeypatch.setattr(loop, "resolve_device", resolve)
    monkeypatch.setattr(environment, "resolve_device", resolve)
    # Mixed precision knows no such device, and nothing here asks for any.
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
    with _Accelerator():
        yield
