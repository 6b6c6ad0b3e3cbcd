"""The IndRNN recurrence on a CUDA device, in Triton.

Every hidden unit of every sequence is a recurrence of its own, so a program takes a block of the
N * H columns and walks through time with the state in registers; loads are coalesced. The rest of
the layer (products, sums, normalisation) is PyTorch's own. Where Triton is missing the plain twin
runs on the device, said once.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fwrnn_core.models.kernels.backend import say_once
from fwrnn_core.models.kernels.fused import Fused

try:
    import triton
    from triton import language as tl
except ImportError:
    triton = None

BLOCK = 128

if triton is not None:

    @triton.jit
    def _forward(z, scale, shift, u, h0, out, steps, columns, hidden, block: tl.constexpr):  # type: ignore[no-untyped-def]
        column = tl.program_id(0) * block + tl.arange(0, block)
        inside = column < columns
        unit = column % hidden
        a = tl.load(scale + unit, inside)
        b = tl.load(shift + unit, inside)
        w = tl.load(u + unit, inside)
        h = tl.load(h0 + column, inside)
        # 64-bit offsets: T * N * H passes 2**31 for long sequences.
        at = column.to(tl.int64)
        for _ in range(steps):
            h = a * tl.load(z + at, inside) + b + w * h
            h = tl.where(h < 0.0, 0.0, h)  # keeps a NaN, as torch.relu does
            tl.store(out + at, h, inside)
            at += columns

    @triton.jit
    def _backward(  # type: ignore[no-untyped-def]
        d, h, u, h0, carry, db, du, steps, last, columns, hidden, block: tl.constexpr
    ):
        column = tl.program_id(0) * block + tl.arange(0, block)
        inside = column < columns
        w = tl.load(u + column % hidden, inside)
        c = tl.load(carry + column, inside)
        sum_b = tl.zeros((block,), tl.float32)
        sum_u = tl.zeros((block,), tl.float32)
        start = tl.load(h0 + column, inside)
        at = column.to(tl.int64) + last
        now = tl.load(h + at, inside)
        for _ in range(steps):
            later = at >= columns
            before = tl.where(later, tl.load(h + at - columns, inside & later), start)
            v = tl.load(d + at, inside) + c
            v = tl.where(now <= 0.0, 0.0, v)
            tl.store(d + at, v, inside)
            sum_b += v
            sum_u += v * before
            c = w * v
            now = before
            at -= columns
        tl.store(carry + column, c, inside)
        tl.store(db + column, sum_b, inside)
        tl.store(du + column, sum_u, inside)


class Triton(Fused):
    """:class:`Fused` with the two loops over time as one kernel launch each."""

    @staticmethod
    def recur(
        z: Tensor, scale: Tensor, shift: Tensor, u: Tensor, h0: Tensor, out: Tensor, sums: bool
    ) -> Tensor | None:
        steps, columns, hidden = z.size(0), h0.numel(), h0.size(1)
        grid = (triton.cdiv(columns, BLOCK),)
        _forward[grid](z, scale, shift, u, h0, out, steps, columns, hidden, block=BLOCK)
        return Fused.moments(out) if sums else None

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
        steps, columns, hidden = h.size(0), h0.numel(), h0.size(1)
        d = torch.addcmul(c3, h, c2)
        if g is not None:
            d[steps - len(g) :].addcmul_(g, mask * c1)
        carry = torch.zeros_like(h0) if g_last is None else g_last.clone()
        db, du = torch.empty_like(h0), torch.empty_like(h0)
        grid = (triton.cdiv(columns, BLOCK),)
        last = (steps - 1) * columns
        _backward[grid](d, h, u, h0, carry, db, du, steps, last, columns, hidden, block=BLOCK)
        return d, carry, torch.stack((db, du)).double().sum(1)


def triton_ops(dtype: torch.dtype = torch.float32) -> type[Fused]:
    """:class:`Triton` for float32 where Triton is installed, else the plain twin."""
    if triton is None:
        say_once("Triton is not installed: the IndRNN runs in plain PyTorch on the device (slower)")
        return Fused
    return Triton if dtype == torch.float32 else Fused
