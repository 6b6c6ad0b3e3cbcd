"""The recurrences as plain differentiable PyTorch: the definition every fused kernel is tested
against, and the path to take when a derivative of a derivative is needed.

Sequences are time-major here, ``[T, N, features]``, in any dtype and on any device.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Norm(NamedTuple):
    """Batch normalisation inside an IndRNN layer (Ioffe & Szegedy 2015, over batch and time).

    ``mean`` and ``var`` [H] are the running statistics to apply; ``None`` for the batch's own.
    ``order`` says whether it stands ``"after"`` or ``"before"`` the recurrence.
    """

    order: str
    gamma: Tensor
    beta: Tensor
    mean: Tensor | None = None
    var: Tensor | None = None
    eps: float = 1e-5


class IndOutput(NamedTuple):
    """``y`` [T, N, H] (or [1, N, H]), the last raw state [N, H], and the batch's mean and biased
    variance [H] (``None`` without batch statistics)."""

    y: Tensor
    state: Tensor
    mean: Tensor | None
    var: Tensor | None


def tanh_rnn(
    x: Tensor, h0: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor
) -> tuple[Tensor, Tensor]:
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), as ``torch.nn.RNN``.

    ``x`` [T, N, F], ``h0`` [N, H], ``w_ih`` [H, F], ``w_hh`` [H, H], biases [H].
    Returns all states [T, N, H] and the last one [N, H].
    """
    h, states = h0, []
    for pre in x @ w_ih.T + (b_ih + b_hh):
        h = torch.tanh(pre + h @ w_hh.T)
        states.append(h)
    return torch.stack(states), h


def lstm(
    x: Tensor, h0: Tensor, c0: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The LSTM of ``torch.nn.LSTM`` (gates in the order i, f, g, o; weights ``[4H, .]``).

    Returns all h [T, N, H], the last h and the last c [N, H].
    """
    h, c, states = h0, c0, []
    for pre in x @ w_ih.T + (b_ih + b_hh):
        i, f, g, o = (pre + h @ w_hh.T).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        states.append(h)
    return torch.stack(states), h, c


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
    """One IndRNN layer (Li et al. 2018): h_t = relu(W x_t + b + u * h_{t-1}), elementwise in u.

    ``x`` [T, N, F], ``h0`` [N, H], ``weight`` [H, F], ``bias`` and ``recurrent`` [H]; ``mask``
    [N, H] is the dropout mask shared over time, already scaled; ``last_only`` returns ``y`` at
    the last step alone.
    """
    pre = x @ weight.T + bias
    mean = var = None
    if norm is not None and norm.order == "before":
        pre, mean, var = _normalise(pre, norm)
    h, states = h0, []
    for step in pre:
        h = torch.relu(step + recurrent * h)
        states.append(h)
    y = torch.stack(states)
    if norm is not None and norm.order == "after":
        y, mean, var = _normalise(y, norm)
    if last_only:
        y = y[-1:]
    return IndOutput(y if mask is None else y * mask, h, mean, var)


def _normalise(z: Tensor, norm: Norm) -> tuple[Tensor, Tensor | None, Tensor | None]:
    mean, var = norm.mean, norm.var
    own = mean is None or var is None
    if mean is None or var is None:
        # Two passes: the one-pass float32 sums that BatchNorm1d takes over many rows on a CPU
        # lose up to four digits of the variance.
        mean = z.mean((0, 1))
        var = (z - mean).square().mean((0, 1))
    out = (z - mean) * (norm.gamma * torch.rsqrt(var + norm.eps)) + norm.beta
    return out, *((mean, var) if own else (None, None))
