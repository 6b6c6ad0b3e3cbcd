"""Which implementation of a recurrence runs: chosen per call, from device, dtype and wish."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

import torch

from fwrnn_core.errors import ConfigError, unknown
from fwrnn_core.models.kernels import cc

BACKENDS = ("auto", "c", "cuda", "torch", "reference")
VARIABLE = "FWRNN_BACKEND"

_log = logging.getLogger("fwrnn_core")
_forced: ContextVar[str | None] = ContextVar("fwrnn_backend", default=None)


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Force a backend inside the block, whatever ``$FWRNN_BACKEND`` says.

    ``"reference"`` is plain differentiable PyTorch: the one for Hessian-vector products. The choice
    is made in the forward pass; the backward pass may come later.

    Raises:
        ConfigError: a name that does not exist.

    >>> import torch
    >>> from fwrnn_core.models import RecurrentNet, kernels
    >>> net, x = RecurrentNet(1, 4, 1), torch.ones(2, 3, 1)
    >>> with kernels.use_backend("reference"):
    ...     loss = net(x).square().sum()
    >>> weight = net.rnn.weight_hh_l0
    >>> slope, = torch.autograd.grad(loss, weight, create_graph=True)
    >>> torch.autograd.grad(slope.sum(), weight)[0].shape
    torch.Size([4, 4])
    """
    if name not in BACKENDS:
        raise unknown("backend", name, BACKENDS)
    token = _forced.set(name)
    try:
        yield
    finally:
        _forced.reset(token)


def wanted() -> str:
    """The forced backend or ``"auto"``; :class:`ConfigError` if the variable holds nonsense."""
    name = _forced.get() or os.environ.get(VARIABLE) or "auto"
    if name not in BACKENDS:
        raise ConfigError(f"${VARIABLE}: {unknown('backend', name, BACKENDS)}")
    return name


def backend_name(device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> str:
    """The backend that a model on ``device`` would run on now: what a run record keeps.

    ``"c"`` (CPU, float32, needs a C compiler once), ``"cuda"`` (cuDNN for the tanh RNN and the
    LSTM, Triton for the IndRNN), ``"torch"`` (fused forward and backward in plain PyTorch, any
    device and dtype) or ``"reference"``: also while ``torch.jit.trace`` or ``torch.export`` record
    what PyTorch does, which other kernels are no part of, and inside a transform of ``torch.func``
    (vmap, grad, jvp, …), which cannot look into them. The GRU is always PyTorch's own.

    Raises:
        ConfigError: a forced backend that does not exist or cannot run here.

    >>> backend_name("cpu", torch.float64)
    'torch'
    """
    if _recorded() or _transformed():
        return "reference"
    name, kind = wanted(), torch.device(device).type
    if name in ("torch", "reference"):
        return name
    if name == "c":
        if kind != "cpu" or dtype != torch.float32:
            raise ConfigError(
                f"backend 'c' runs float32 on the CPU, not {dtype} on {kind!r}: "
                f"unset ${VARIABLE} or choose 'torch'"
            )
        if reason := _no_c():
            raise ConfigError(f"backend 'c' is not to be had: {reason}")
        return name
    if name == "cuda":
        if kind != "cuda":
            raise ConfigError(
                f"backend 'cuda' cannot run on {kind!r}: move the model to a CUDA device, "
                f"or unset ${VARIABLE}"
            )
        return name
    if kind == "cuda":
        return "cuda"
    if kind == "cpu" and dtype == torch.float32:
        if not (reason := _no_c()):
            return "c"
        say_once(f"no C kernels, plain PyTorch instead (slower): {reason}")
    return "torch"


def _recorded() -> bool:
    """Whether PyTorch's operations are being written down, to be run later elsewhere."""
    exporting = getattr(torch.compiler, "is_exporting", None)  # since torch 2.7
    return torch.jit.is_tracing() or bool(exporting and exporting())


def _transformed() -> bool:
    """Whether a transform of ``torch.func`` is at work in the forward pass."""
    return bool(torch._C._are_functorch_transforms_active())


@cache
def _no_c() -> str:
    """Why the C kernels cannot be had, or the empty string."""
    try:
        cc.load()
    except cc.BuildError as error:
        return str(error)
    return ""


@cache
def say_once(message: str) -> None:
    """Log one line, the first time only."""
    _log.warning(message)
