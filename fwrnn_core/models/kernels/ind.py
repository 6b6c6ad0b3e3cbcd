"""The autograd Function of one IndRNN layer, batch normalisation and dropout mask included.

Batch normalisation is a scale and a shift per unit in both passes: with batch statistics the
gradient of its input z is c1 g + c2 z + c3, where c2 and c3 follow from the sums of g and of g z.
So a layer needs no more passes over memory than its recurrence and two sums. Statistics are kept
in float64.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

from fwrnn_core.models.kernels.functions import Ops, dense, first_derivative

SMALLEST = torch.finfo(torch.float32).tiny


class IndLayer(Function):
    """(x, h0, W, b, u, gamma, beta) -> (y, last raw state, batch mean, batch variance).

    ``gamma`` and ``beta`` are ``None`` without a normalisation. Arguments that carry no gradient:
    ``mean`` and ``var``, the statistics to apply or ``None``
    for the batch's own; ``mask`` [N, H]; ``order`` "after", "before" or ``None``.
    """

    @staticmethod
    def forward(
        ctx: Any,
        ops: Ops,
        x: Tensor,
        h0: Tensor,
        weight: Tensor,
        bias: Tensor,
        u: Tensor,
        gamma: Any,
        beta: Any,
        mean: Any,
        var: Any,
        mask: Tensor | None,
        order: str | None,
        eps: float,
        last_only: bool,
    ) -> Any:
        ctx.set_materialize_grads(False)
        steps, rows, _ = x.shape
        own = order is not None and mean is None
        n = steps * rows
        h0, bias, u = h0.contiguous(), bias.contiguous(), u.contiguous()
        mask = None if mask is None else mask.contiguous()
        z = x.new_empty(steps, rows, len(bias))
        torch.mm(x.reshape(n, -1), _flushed(weight).T, out=z.view(n, -1))
        one = torch.ones_like(bias)
        scale, shift, h = one, bias, z
        center = rstd = None
        if order == "before":
            # Of z without the linear map's bias, which a normalisation takes out again.
            if own:
                center, wide = _statistics(ops.moments(z), n)
                mean, var = center + bias, wide
            else:
                center, wide = mean.double() - bias, var.double()
            scale, shift, rstd = _fold(gamma, beta, center, wide, eps, z)
            h = torch.empty_like(z)
        sums = ops.recur(z, scale, shift, u, h0, h, own and order == "after")
        scale, shift = one, torch.zeros_like(bias)
        if order == "after":
            if sums is not None:
                mean, var = _statistics(sums, n)
            center = mean.double()
            scale, shift, rstd = _fold(gamma, beta, center, var.double(), eps, z)
        top = h[-1:] if last_only else h
        if order == "after" or mask is not None:
            y = ops.affine(top, scale, shift, one[None] if mask is None else mask)
        else:
            y = top.clone() if last_only else top
        ctx.ops, ctx.device, ctx.order, ctx.own = ops, x.device, order, own
        ctx.save_for_backward(
            x, h0, weight, u, gamma, mask, h, z if order == "before" else None, center, rstd
        )
        if not own or mean is None or var is None:
            return y, h[-1].clone(), None, None
        batch = (mean.to(z.dtype), var.to(z.dtype))
        ctx.mark_non_differentiable(*batch)
        return y, h[-1].clone(), *batch

    @staticmethod
    @first_derivative
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        x, h0, weight, u, gamma, mask, h, z, center, rstd = ctx.saved_tensors
        ops, n = ctx.ops, h.size(0) * h.size(1)
        g, g_last = dense(gradients[0]), dense(gradients[1])
        one = torch.ones_like(u)
        c1, c2, c3 = one, torch.zeros_like(u), torch.zeros_like(u)
        mask = one[None] if mask is None else mask
        dgamma = dbeta = None
        if ctx.order == "after":
            if g is None:
                dgamma, dbeta = torch.zeros_like(rstd), torch.zeros_like(rstd)
            else:
                dbeta, cross = ops.cross_moments(g, mask, h[len(h) - len(g) :])
                dgamma = rstd * (cross - center * dbeta)
            c1, c2, c3 = _coefficients(gamma, rstd, center, dgamma, dbeta, n, ctx.own)
        d, dh0, (db, du) = ops.recur_backward(g, mask, h, c1, c2, c3, u, h0, g_last)
        if ctx.order == "before":
            dbeta = db
            dgamma = rstd * (ops.cross_moments(d, one[None], z)[1] - center * dbeta)
            d = ops.combine(d, z, *_coefficients(gamma, rstd, center, dgamma, dbeta, n, ctx.own))
            db = torch.zeros_like(db) if ctx.own else dbeta * gamma * rstd
        flat = d.view(n, -1)
        dweight = torch.mm(x.reshape(n, -1).T, flat).T
        dx = torch.mm(flat, _flushed(weight)).view(x.shape) if ctx.needs_input_grad[1] else None
        vectors = (v if v is None else v.to(u.dtype) for v in (db, du, dgamma, dbeta))
        return None, dx, dh0, dweight, *vectors, *(None,) * 6


def _flushed(weight: Tensor) -> Tensor:
    """``weight`` with zeros in place of denormal numbers, which make a product ten times slower.

    Weight decay takes all weights of a unit down there once no gradient reaches it any more.
    """
    return F.hardshrink(weight, SMALLEST)


def _statistics(sums: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Mean and biased variance from the sums of z and z^2, in float64."""
    mean = sums[0] / n
    return mean, (sums[1] / n - mean.square()).clamp_min(0.0)


def _fold(
    gamma: Tensor, beta: Tensor, center: Tensor, var: Tensor, eps: float, like: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """gamma (z - center) / sqrt(var + eps) + beta as scale z + shift; 1 / sqrt(var + eps)."""
    rstd = torch.rsqrt(var + eps)
    scale = gamma * rstd
    return scale.to(like.dtype), (beta - center * scale).to(like.dtype), rstd


def _coefficients(
    gamma: Tensor, rstd: Tensor, center: Tensor, dgamma: Tensor, dbeta: Tensor, n: int, own: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """c1, c2, c3 of the gradient c1 g + c2 z + c3 that the normalisation passes on to z."""
    c1 = gamma * rstd
    c2 = -c1 * rstd * dgamma / n if own else torch.zeros_like(c1)
    c3 = -c1 * dbeta / n - c2 * center if own else torch.zeros_like(c1)
    return c1.to(gamma.dtype), c2.to(gamma.dtype), c3.to(gamma.dtype)
