"""The linear minimisation oracle (theory: "Closed forms of the LMO", Eq. 7 of the paper)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fwrnn_core.errors import ConfigError
from fwrnn_core.optim.balls import Norm, ball_for
from fwrnn_core.optim.numbers import as_number


@torch.no_grad()
def lmo(grad: Tensor, radius: float = 1.0, norm: Norm = 2) -> Tensor:
    """The point s of the ball {‖s‖ ≤ radius} that minimises ⟨s, grad⟩.

    The closed forms are Eq. 7 of Yue, Li, Saligrama and Zhang (2020). ‖s‖ ≤ radius · (1 + 1e-6) in
    float32 and float64. Half precision rounds what it stores: a bfloat16 answer exceeds radius by
    up to 0.4 % in a p-norm, 0.35 % in the spectral norm and, growing with the matrix, 2.2 % in the
    nuclear norm at 256 × 256 and 3.9 % at 1024 × 1024 (float16: an eighth of that).

    Args:
        grad: a real dense tensor of any shape, floating dtype and device.
        radius: δ ≥ 0, in units of the weights.
        norm: p ≥ 1 of the entrywise p-norm (``math.inf`` too), or ``"spectral"``, ``"nuclear"``,
            ``"newton-schulz"`` (spectral ball without SVD: an inexact oracle that leaves the ball
            by at most 1e-6 radius and float32 rounding) for matrices. Tensors that are not
            matrices get p = 2 under a matrix norm.

    Returns:
        A tensor with the shape, dtype and device of ``grad``. Where ``grad`` is zero every point
        of the ball is a minimiser and the answer is zeros, never NaN.

    Raises:
        ConfigError: an unknown norm, p < 1, a negative or NaN radius, a complex, integer or sparse
            gradient.

    >>> lmo(torch.tensor([3.0, 4.0]))
    tensor([-0.6000, -0.8000])
    >>> lmo(torch.tensor([3.0, -4.0]), radius=0.5, norm=math.inf)
    tensor([-0.5000,  0.5000])
    >>> lmo(torch.zeros(2))
    tensor([0., 0.])
    """
    if not isinstance(grad, Tensor):
        raise ConfigError(f"lmo needs a tensor, got a {type(grad).__name__}: torch.as_tensor(…)")
    if not grad.is_floating_point() or grad.layout is not torch.strided:
        raise ConfigError(
            f"lmo needs a dense real floating-point gradient, got {grad.dtype} ({grad.layout})"
        )
    if not 0 <= as_number(radius) < math.inf:
        raise ConfigError(f"radius = {radius!r}: give a finite number >= 0")
    return ball_for(norm, grad.dim()).vertex(grad).mul_(-radius) + 0.0
