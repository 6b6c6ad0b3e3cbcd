"""The C kernels behind the calls of :class:`Fused`: float32 on the CPU.

Threads: each takes its own rows of the batch through all time steps, and there are as many as
``torch.get_num_threads()`` says. ctypes lets go of the interpreter lock during a call, so plain
Python threads do; results depend on their number only through the order of a few sums.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import torch
from torch import Tensor

from fwrnn_core.models.kernels import cc
from fwrnn_core.models.kernels.fused import Fused

ROWS = 64  # rows that go through all time steps together: their states fit the second-level cache
STRIP = 8  # a share is a multiple of the register tile's height


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    # Per process: a fork inherits the pool's object but none of its threads.
    return ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="fwrnn")


def shares(rows: int, threads: int) -> list[tuple[int, int]]:
    """Contiguous parts of a batch, at most one per thread, none empty.

    >>> shares(100, 2), shares(3, 4)
    ([(0, 56), (56, 100)], [(0, 3)])
    """
    strips = -(-rows // STRIP)
    size = STRIP * -(-strips // threads)
    return [(low, min(low + size, rows)) for low in range(0, rows, size)]


def _parallel(rows: int, work: Callable[[int, int, int], int | None]) -> None:
    """``work(i, low, high)`` on all shares at once; a result other than 0 is lack of memory."""
    parts = shares(rows, torch.get_num_threads())
    others = [_pool(os.getpid()).submit(work, i, *parts[i]) for i in range(1, len(parts))]
    if any([work(0, *parts[0]), *(other.result() for other in others)]):
        raise MemoryError("a C kernel found no memory for its scratch")


def _workers(rows: int) -> int:
    return len(shares(rows, torch.get_num_threads()))


def _argument(value: Tensor | int | None) -> Any:
    if isinstance(value, int):
        return ctypes.c_ssize_t(value)
    return ctypes.c_void_p(None if value is None else value.data_ptr())


def _call(name: str, *arguments: Tensor | int | None) -> int | None:
    return getattr(cc.load(), name)(*map(_argument, arguments))


def _by_rows(name: str, x: Tensor, hidden: int, low: int, high: int, *rest: Any) -> int:
    """Call ``name`` on the rows [low, high), ROWS at a time; true if one found no memory."""
    steps, rows, features = x.shape
    return any(
        _call(name, steps, rows, features, hidden, r, min(r + ROWS, high), x, *x.stride(), *rest)
        for r in range(low, high, ROWS)
    )


def _strides(dx: Tensor | None) -> tuple[int, int, int]:
    return (0, 0, 0) if dx is None else (dx.stride(0), dx.stride(1), dx.stride(2))


class Native(Fused):
    """The same calls in C."""

    @staticmethod
    def tanh_forward(x: Tensor, h0: Tensor, w_ih: Tensor, w_hh: Tensor, b: Tensor) -> Tensor:
        out = x.new_empty(*x.shape[:2], h0.size(1))

        def work(_: int, low: int, high: int) -> int:
            return _by_rows("tanh_rnn_forward", x, h0.size(1), low, high, h0, w_ih, w_hh, b, out)

        _parallel(x.size(1), work)
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

        def work(i: int, low: int, high: int) -> int:
            gradients = (dw[i], dw.size(2), dx, *_strides(dx), dh0)
            return _by_rows(
                "tanh_rnn_backward",
                x, h0.size(1), low, high, h0, w_ih, w_hh, out, g_out, g_last, *gradients,
            )  # fmt: skip

        _parallel(x.size(1), work)
        return dx, dh0, *_weights(dw, h0.size(1), h0.size(1))

    @staticmethod
    def lstm_forward(
        x: Tensor, h0: Tensor, c0: Tensor, w_ih: Tensor, w_hh: Tensor, b: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        out = x.new_empty(*x.shape[:2], h0.size(1))
        cell, gates = torch.empty_like(out), x.new_empty(*x.shape[:2], 4 * h0.size(1))

        def work(_: int, low: int, high: int) -> int:
            return _by_rows(
                "lstm_forward",
                x, h0.size(1), low, high, h0, c0, w_ih, w_hh, b, out, cell, gates,
            )  # fmt: skip

        _parallel(x.size(1), work)
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

        def work(i: int, low: int, high: int) -> int:
            gradients = (dw[i], dw.size(2), dx, *_strides(dx), dh0, dc0)
            return _by_rows(
                "lstm_backward",
                x, h0.size(1), low, high, h0, c0, w_ih, w_hh, out, cell, gates,
                g_out, g_last, g_cell, *gradients,
            )  # fmt: skip

        _parallel(x.size(1), work)
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
    """[threads, H + F + 1, columns], zero: the columns padded as ``padded`` in common.h allows."""
    width = gates * h0.size(1)
    return x.new_zeros(_workers(x.size(1)), h0.size(1) + x.size(2) + 1, -(-width // 32) * 32 + 16)


def _weights(dw: Tensor, hidden: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of W_ih, W_hh and b from the threads' transposed sums."""
    total = dw.sum(0)[:, :width] if len(dw) > 1 else dw[0, :, :width]
    return total[hidden:-1].T.contiguous(), total[:hidden].T.contiguous(), total[-1].contiguous()


def _row(mask: Tensor) -> int:
    return mask.size(1) if mask.size(0) > 1 else 0


def _elementwise(name: str, shape: Tensor, *arguments: Tensor | int | None) -> None:
    steps, rows, hidden = shape.shape
    _parallel(rows, lambda _, low, high: _call(name, steps, rows, hidden, low, high, *arguments))


def _summed(name: str, shape: Tensor, *arguments: Tensor | int | None) -> Tensor:
    """Call with one more argument, a [2, H] buffer per thread for sums, and add those up."""
    steps, rows, hidden = shape.shape
    sums = torch.zeros(_workers(rows), 2, hidden, dtype=torch.float64)
    _parallel(
        rows,
        lambda i, low, high: _call(name, steps, rows, hidden, low, high, *arguments, sums[i]),
    )
    return sums.sum(0)
