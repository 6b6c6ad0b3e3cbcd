"""The autograd Functions: one per recurrence, the arithmetic handed in as ``ops``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from fwrnn_core.errors import FwrnnError
from fwrnn_core.models.kernels.fused import Fused

Ops = type[Fused]


class DoubleBackwardError(FwrnnError, RuntimeError):
    """A derivative of a derivative asked of a kernel that has only the first."""


def refuse_double_backward() -> None:
    # Gradients are recorded inside a backward pass exactly when create_graph=True asked for it.
    if torch.is_grad_enabled():
        raise DoubleBackwardError(
            "the fused recurrences cannot be differentiated twice (create_graph=True): run the "
            "forward pass inside fwrnn_core.models.kernels.use_backend('reference')"
        )


def solid(tensor: Tensor) -> Tensor:
    """The tensor with its values in its memory, where the kernels read them: a lazy minus of
    torch's is carried out, and a zero that has no memory gets some."""
    return tensor.clone() if torch._is_zerotensor(tensor) else tensor.resolve_neg()


def dense(gradient: Tensor | None) -> Tensor | None:
    return None if gradient is None else solid(gradient).contiguous()


class TanhRNN(Function):
    """(x, h0, W_ih, W_hh, b_ih, b_hh) -> (all states, last state)."""

    @staticmethod
    def forward(ctx: Any, ops: Ops, x: Tensor, h0: Tensor, *weights: Tensor) -> Any:
        ctx.set_materialize_grads(False)
        w_ih, w_hh, b_ih, b_hh = weights
        ctx.ops = ops
        h0, w_ih, w_hh = h0.contiguous(), w_ih.contiguous(), w_hh.contiguous()
        out = ops.tanh_forward(x, h0, w_ih, w_hh, b_ih + b_hh)
        ctx.save_for_backward(x, h0, w_ih, w_hh, out)
        return out, out[-1].clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        refuse_double_backward()
        g_out, g_last = map(dense, gradients)
        dx, dh0, dw_ih, dw_hh, db = ctx.ops.tanh_backward(
            *ctx.saved_tensors, g_out, g_last, ctx.needs_input_grad[1]
        )
        return None, dx, dh0, dw_ih, dw_hh, db, db


class LSTM(Function):
    """(x, h0, c0, W_ih, W_hh, b_ih, b_hh) -> (all states, last state, last cell)."""

    @staticmethod
    def forward(ctx: Any, ops: Ops, x: Tensor, h0: Tensor, c0: Tensor, *weights: Tensor) -> Any:
        ctx.set_materialize_grads(False)
        w_ih, w_hh, b_ih, b_hh = weights
        ctx.ops = ops
        start = (h0.contiguous(), c0.contiguous(), w_ih.contiguous(), w_hh.contiguous())
        out, cell, gates = ops.lstm_forward(x, *start, b_ih + b_hh)
        ctx.save_for_backward(x, *start, out, cell, gates)
        return out, out[-1].clone(), cell[-1].clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        refuse_double_backward()
        dx, dh0, dc0, dw_ih, dw_hh, db = ctx.ops.lstm_backward(
            *ctx.saved_tensors, *map(dense, gradients), ctx.needs_input_grad[1]
        )
        return None, dx, dh0, dc0, dw_ih, dw_hh, db, db
