"""The autograd Functions: one per recurrence, the arithmetic handed in as ``ops``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from fwrnn_core.errors import ConfigError, FwrnnError
from fwrnn_core.models.kernels.fused import Fused

Ops = type[Fused]


class DoubleBackwardError(FwrnnError, RuntimeError):
    """A derivative of a derivative asked of a kernel that has only the first."""


def first_derivative(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: a backward pass that is not differentiable itself, takes one gradient at a time,
    and runs without autocast, which would slip another dtype into its products. The forward pass
    leaves ``ctx.device``."""

    @functools.wraps(backward)
    def wrapped(ctx: Any, *gradients: Tensor | None) -> Any:
        # Gradients are recorded inside a backward pass exactly when create_graph=True asked for it.
        if torch.is_grad_enabled():
            raise DoubleBackwardError(
                "the fused recurrences cannot be differentiated twice (create_graph=True): run the "
                "forward pass inside fwrnn_core.models.kernels.use_backend('reference')"
            )
        if any(map(_batched, gradients)):
            raise ConfigError(
                "the fused recurrences take one gradient at a time, no is_grads_batched=True: run "
                "the forward pass inside fwrnn_core.models.kernels.use_backend('reference')"
            )
        with full_precision(ctx.device):
            return backward(ctx, *gradients)

    return wrapped


def _batched(gradient: Tensor | None) -> bool:
    vmapped = torch._C._functorch
    return gradient is not None and (
        vmapped.is_batchedtensor(gradient) or vmapped.is_legacy_batchedtensor(gradient)
    )


def full_precision(device: torch.device) -> torch.autocast:
    """A block without autocast: the kernels have one dtype from end to end."""
    return torch.autocast(device.type, enabled=False)


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
        ctx.ops, ctx.device = ops, x.device
        h0, w_ih, w_hh = h0.contiguous(), w_ih.contiguous(), w_hh.contiguous()
        out = ops.tanh_forward(x, h0, w_ih, w_hh, b_ih + b_hh)
        ctx.save_for_backward(x, h0, w_ih, w_hh, out)
        return out, out[-1].clone()

    @staticmethod
    @first_derivative
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
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
        ctx.ops, ctx.device = ops, x.device
        start = (h0.contiguous(), c0.contiguous(), w_ih.contiguous(), w_hh.contiguous())
        out, cell, gates = ops.lstm_forward(x, *start, b_ih + b_hh)
        ctx.save_for_backward(x, *start, out, cell, gates)
        return out, out[-1].clone(), cell[-1].clone()

    @staticmethod
    @first_derivative
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        dx, dh0, dc0, dw_ih, dw_hh, db = ctx.ops.lstm_backward(
            *ctx.saved_tensors, *map(dense, gradients), ctx.needs_input_grad[1]
        )
        return None, dx, dh0, dc0, dw_ih, dw_hh, db, db
