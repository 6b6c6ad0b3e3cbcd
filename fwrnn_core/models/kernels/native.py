"""The C kernels behind the calls of :class:`Fused`: float32 on the CPU.

Threads: each takes its own rows of the batch through all time steps, and there are as many as
``torch.get_num_threads()`` says; results depend on their number only through the order of a few
sums.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

import torch
from torch import Tensor

from fwrnn_core.models.kernels import cc
from fwrnn_core.models.kernels.fused import Fused

STRIP = 8  # of common.h: a share of rows is a multiple of the register tile's height

# A fork inherits OpenMP's idea of a pool but none of its threads, and would wait for them.
_forked = False


def _after_fork() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _threads() -> int:
    return 1 if _forked else torch.get_num_threads()


def shares(rows: int, threads: int) -> int:
    """How many shares ``SHARE_ROWS`` makes of a batch, none of them empty.

    >>> shares(100, 2), shares(3, 4), shares(40, 4)
    (2, 1, 3)
    """
    strips = -(-rows // STRIP)
    return -(-strips // -(-strips // threads))


def _argument(value: Tensor | int | None) -> Any:
    if isinstance(value, int):
        return ctypes.c_ssize_t(value)
    if value is not None and not value.is_floating_point():
        # Kernels read arrays of floats only: this is a size, as torch.jit.trace makes them, and
        # its address would pass for a number.
        raise TypeError(f"a kernel takes a size as an int, not as a tensor of {value.dtype}")
    return ctypes.c_void_p(None if value is None else value.data_ptr())


def _call(name: str, *arguments: Tensor | int | None) -> None:
    """One kernel on all rows."""
    if getattr(cc.load(), name)(*map(_argument, (_threads(), *arguments))):
        raise MemoryError("a C kernel found no memory for its scratch")


def _gated(name: str, x: Tensor, hidden: int, *rest: Tensor | int | None) -> None:
    _call(name, *x.shape, hidden, x, *x.stride(), *rest)


def _strides(dx: Tensor | None) -> tuple[int, int, int]:
    return (0, 0, 0) if dx is None else (dx.stride(0), dx.stride(1), dx.stride(2))


class Native(Fused):
    """The same calls in C."""

    @staticmethod
    def tanh_forward(x: Tensor, h0: Tensor, w_ih: Tensor, w_hh: Tensor, b: Tensor) -> Tensor:
        out = x.new_empty(*x.shape[:2], h0.size(1))

        _gated("tanh_rnn_forward", x, h0.size(1), h0, w_ih, w_hh, b, out)
        return out

    @staticmethod
    def tanh_backward(
        x: Tensor,
        h0: Tensor,
        w_ih: Tensor,
        w_hh: Tensor,
        out: Tensor,
        g_out: Tensor | None,
        g_last: Tensor | None,
        need_dx: bool,
    ) -> tuple[Tensor | None, Tensor, Tensor, Tensor, Tensor]:
        dx = torch.empty_like(x) if need_dx else None
        dh0, dw = torch.empty_like(h0), _weight_buffer(x, h0, 1)

        gradients = (dw, dw.size(2), dx, *_strides(dx), dh0)
        _gated("tanh_rnn_backward", x, h0.size(1), h0, w_ih, w_hh, out, g_out, g_last, *gradients)
        return dx, dh0, *_weights(dw, h0.size(1), h0.size(1))

    @staticmethod
    def lstm_forward(
        x: Tensor, h0: Tensor, c0: Tensor, w_ih: Tensor, w_hh: Tensor, b: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        out = x.new_empty(*x.shape[:2], h0.size(1))
        cell, gates = torch.empty_like(out), x.new_empty(*x.shape[:2], 4 * h0.size(1))

        _gated("lstm_forward", x, h0.size(1), h0, c0, w_ih, w_hh, b, out, cell, gates)
        return out, cell, gates

    @staticmethod
    def lstm_backward(
        x: Tensor,
        h0: Tensor,
        c0: Tensor,
        w_ih: Tensor,
        w_hh: Tensor,
        out: Tensor,
        cell: Tensor,
        gates: Tensor,
        g_out: Tensor | None,
        g_last: Tensor | None,
        g_cell: Tensor | None,
        need_dx: bool,
    ) -> tuple[Tensor | None, Tensor, Tensor, Tensor, Tensor, Tensor]:
        dx = torch.empty_like(x) if need_dx else None
        dh0, dc0, dw = torch.empty_like(h0), torch.empty_like(h0), _weight_buffer(x, h0, 4)

        _gated(
            "lstm_backward",
            x, h0.size(1), h0, c0, w_ih, w_hh, out, cell, gates, g_out, g_last, g_cell,
            dw, dw.size(2), dx, *_strides(dx), dh0, dc0,
        )  # fmt: skip
        return dx, dh0, dc0, *_weights(dw, h0.size(1), 4 * h0.size(1))

    @staticmethod
    def moments(z: Tensor) -> Tensor:
        return _summed("indrnn_moments", z, z)

    @staticmethod
    def cross_moments(g: Tensor, mask: Tensor, z: Tensor) -> Tensor:
        return _summed("indrnn_cross_moments", z, g, mask, _row(mask), z)

    @staticmethod
    def recur(
        z: Tensor, scale: Tensor, shift: Tensor, u: Tensor, h0: Tensor, out: Tensor, sums: bool
    ) -> Tensor | None:
        if sums:
            return _summed("indrnn_recur", z, z, scale, shift, u, h0, out)
        _elementwise("indrnn_recur", z, z, scale, shift, u, h0, out, None)
        return None

    @staticmethod
    def recur_backward(
        g: Tensor | None,
        mask: Tensor,
        h: Tensor,
        c1: Tensor,
        c2: Tensor,
        c3: Tensor,
        u: Tensor,
        h0: Tensor,
        g_last: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        d = torch.empty_like(h)
        carry = torch.zeros_like(h0) if g_last is None else g_last.clone()
        steps = 0 if g is None else len(g)
        sums = _summed(
            "indrnn_recur_backward",
            h, g, steps, mask, _row(mask), h, c1, c2, c3, u, h0, carry, d,
        )  # fmt: skip
        return d, carry, sums

    @staticmethod
    def affine(h: Tensor, scale: Tensor, shift: Tensor, mask: Tensor) -> Tensor:
        y = torch.empty_like(h)
        _elementwise("indrnn_affine", h, h, scale, shift, mask, _row(mask), y)
        return y

    @staticmethod
    def combine(d: Tensor, z: Tensor, c1: Tensor, c2: Tensor, c3: Tensor) -> Tensor:
        _elementwise("indrnn_combine", z, z, c1, c2, c3, d)
        return d


def _weight_buffer(x: Tensor, h0: Tensor, gates: int) -> Tensor:
    """[shares, H + F + 1, columns], zero: the columns padded as ``padded`` in common.h allows."""
    width = gates * h0.size(1)
    return x.new_zeros(
        shares(x.size(1), _threads()), h0.size(1) + x.size(2) + 1, -(-width // 32) * 32 + 16
    )


def _weights(dw: Tensor, hidden: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of W_ih, W_hh and b from the shares' transposed sums."""
    total = dw.sum(0)[:, :width] if len(dw) > 1 else dw[0, :, :width]
    return total[hidden:-1].T.contiguous(), total[:hidden].T.contiguous(), total[-1].contiguous()


def _row(mask: Tensor) -> int:
    return mask.size(1) if mask.size(0) > 1 else 0


def _elementwise(name: str, shape: Tensor, *arguments: Tensor | int | None) -> None:
    _call(name, *shape.shape, *arguments)


def _summed(name: str, shape: Tensor, *arguments: Tensor | int | None) -> Tensor:
    """Call with one more argument, a [2, H] buffer per share for sums, and add those up."""
    sums = torch.zeros(shares(shape.size(1), _threads()), 2, shape.size(2), dtype=torch.float64)
    _call(name, *shape.shape, *arguments, sums)
    return sums.sum(0)
