"""The recurrences, each behind one signature with several backends.

Sequences are time-major here, ``[T, N, features]``, of any strides. :func:`backend_name` says
which implementation runs; ``$FWRNN_BACKEND`` or :func:`use_backend` force one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from fwrnn_core.errors import ConfigError
from fwrnn_core.models.kernels import reference
from fwrnn_core.models.kernels.backend import BACKENDS, backend_name, use_backend
from fwrnn_core.models.kernels.functions import (
    LSTM,
    DoubleBackwardError,
    Ops,
    TanhRNN,
    full_precision,
    solid,
)
from fwrnn_core.models.kernels.ind import IndLayer
from fwrnn_core.models.kernels.reference import IndOutput, Norm

__all__ = [
    "BACKENDS",
    "DoubleBackwardError",
    "IndOutput",
    "Norm",
    "backend_name",
    "indrnn",
    "lstm",
    "tanh_rnn",
    "use_backend",
]


def tanh_rnn(
    x: Tensor, h0: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor
) -> tuple[Tensor, Tensor]:
    """One layer of ``torch.nn.RNN``: x [T, N, F], h0 [N, H] -> states [T, N, H], last [N, H].

    >>> import torch
    >>> rnn, x = torch.nn.RNN(3, 5), torch.randn(7, 2, 3)
    >>> states, last = tanh_rnn(x, torch.zeros(2, 5), *rnn.all_weights[0])
    >>> torch.allclose(states, rnn(x)[0], atol=1e-6)
    True
    """
    x, h0 = _in_dtype_of(w_ih, x, h0)
    _check(x, (h0,), (w_ih, w_hh, b_ih, b_hh), gates=1)
    if (ops := _ops(x)) is None:
        return reference.tanh_rnn(x, h0, w_ih, w_hh, b_ih, b_hh)
    return _apply(TanhRNN, ops, x, h0, w_ih, w_hh, b_ih, b_hh)


def lstm(
    x: Tensor, h0: Tensor, c0: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """One layer of ``torch.nn.LSTM``: states [T, N, H], last state and last cell [N, H]."""
    x, h0, c0 = _in_dtype_of(w_ih, x, h0, c0)
    _check(x, (h0, c0), (w_ih, w_hh, b_ih, b_hh), gates=4)
    if (ops := _ops(x)) is None:
        return reference.lstm(x, h0, c0, w_ih, w_hh, b_ih, b_hh)
    return _apply(LSTM, ops, x, h0, c0, w_ih, w_hh, b_ih, b_hh)


def indrnn(
    x: Tensor,
    h0: Tensor,
    weight: Tensor,
    bias: Tensor,
    recurrent: Tensor,
    norm: Norm | None = None,
    mask: Tensor | None = None,
    last_only: bool = False,
) -> IndOutput:
    """One IndRNN layer: see :func:`fwrnn_core.models.kernels.reference.indrnn`."""
    x, h0 = _in_dtype_of(weight, x, h0)
    order, gamma, beta, mean, var, eps = norm or (None, None, None, None, None, 0.0)
    vectors = [v for v in (bias, recurrent, gamma, beta, mean, var) if v is not None]
    _check(x, [h0] if mask is None else [h0, mask], (weight, *vectors), gates=1)
    if (ops := _ops(x)) is None:
        return reference.indrnn(x, h0, weight, bias, recurrent, norm, mask, last_only)
    more = (gamma, beta, mean, var, mask, order, eps, last_only)
    return IndOutput(*_apply(IndLayer, ops, x, h0, weight, bias, recurrent, *more))


def _in_dtype_of(weight: Tensor, *tensors: Tensor) -> Sequence[Tensor]:
    """Under autocast the layers before hand on its dtype: input and states in the weights' own."""
    kind = weight.device.type
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
        return [t.to(weight.dtype) for t in tensors]
    return tensors


def _check(x: Tensor, states: Sequence[Tensor], weights: Sequence[Tensor], gates: int) -> None:
    """Shapes, dtypes and devices must fit before a kernel is given bare pointers.

    ``states`` are [N, H]; of ``weights`` the matrices are [gates * H, F], then [gates * H, H], and
    the vectors [gates * H].
    """
    if x.dim() != 3 or x.numel() == 0 or states[0].dim() != 2:
        raise ConfigError(
            f"a recurrence takes x [T, N, F], none of them 0, and a state [N, H], not "
            f"{tuple(x.shape)} and {tuple(states[0].shape)}"
        )
    rows, hidden = x.size(1), states[0].size(1)
    columns = iter((x.size(2), hidden))
    expected: list[tuple[Tensor, tuple[int, ...]]] = [(s, (rows, hidden)) for s in states]
    for w in weights:
        expected.append((w, (gates * hidden, next(columns)) if w.dim() == 2 else (gates * hidden,)))
    for tensor, shape in expected:
        if tensor.shape != shape:
            raise ConfigError(
                f"x is {tuple(x.shape)} and H is {hidden}: a tensor of shape "
                f"{tuple(tensor.shape)} should be {shape}"
            )
        if tensor.dtype != x.dtype or tensor.device != x.device:
            raise ConfigError(
                f"x is {x.dtype} on {x.device}, a state or weight {tensor.dtype} on "
                f"{tensor.device}: move one to the other with .to()"
            )


def _apply(function: type[Function], *arguments: Any) -> Any:
    with full_precision(arguments[1].device):
        return function.apply(*(solid(a) if isinstance(a, Tensor) else a for a in arguments))


def _ops(x: Tensor) -> Ops | None:
    """The arithmetic for ``x``; ``None`` is the plain differentiable reference."""
    from fwrnn_core.models.kernels.fused import Fused

    name = backend_name(x.device, x.dtype)
    if name == "reference":
        return None
    if name == "c":
        from fwrnn_core.models.kernels.native import Native

        return Native
    if name == "cuda":
        from fwrnn_core.models.kernels.triton_ops import triton_ops

        return triton_ops(x.dtype)
    return Fused
