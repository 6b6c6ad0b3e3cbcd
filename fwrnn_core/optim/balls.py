"""The balls that the inner loop can walk in: norms, duals, vertices (LMO) and projections.

A ball knows its unit version only; radii are the caller's. All arithmetic runs in at least float32
and is scaled by the largest entry first, so that gradients as small as 1e-40 or as large as 1e38
(vanishing and exploding gradients are the subject of this package) lose no accuracy.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from numbers import Real
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from fwrnn_core.errors import ConfigError, unknown
from fwrnn_core.optim.projection import project_p_ball, project_simplex

MatrixNorm = Literal["spectral", "nuclear", "newton-schulz"]
Norm = float | MatrixNorm


class Ball(Protocol):
    """The unit ball of a norm on tensors of one shape."""

    def norm(self, x: Tensor) -> Tensor:
        """‖x‖, a float64 scalar (float32 on devices without float64)."""

    def dual_norm(self, g: Tensor) -> Tensor:
        """max over s in the unit ball of ⟨s, g⟩, as a scalar."""

    def vertex(self, g: Tensor) -> Tensor:
        """argmax over s in the unit ball of ⟨s, g⟩; zeros where g = 0. Same shape and dtype."""

    def project(self, x: Tensor) -> Tensor:
        """The point of the unit ball nearest to x in the Euclidean norm."""


def working_dtype(x: Tensor) -> torch.dtype:
    """At least float32: half-precision tensors are computed wider and cast back."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def accumulator(x: Tensor) -> torch.dtype:
    """The dtype in which sums over a tensor run; MPS has no float64."""
    return torch.float32 if x.device.type == "mps" else torch.float64


def scaled(x: Tensor) -> tuple[Tensor, Tensor]:
    """``(x / m, m)`` with m = max|x|, in the working dtype; m = 0 gives zeros.

    Division by a subnormal m is exact enough, where multiplying by 1/m would overflow."""
    x = x.detach().to(working_dtype(x))
    if x.numel() == 0:
        return x, x.new_zeros(())
    m = x.abs().max()
    return x / torch.where(m > 0, m, torch.ones_like(m)), m


class PBall:
    """The ball of the p-norm of all entries, 1 ≤ p ≤ ∞, whatever the tensor's shape."""

    def __init__(self, p: float) -> None:
        # Nearer to 1 the balls agree to a float32, and powers of q − 1 amplify float64's rounding.
        self.p = p = 1.0 if p < 1 + 1e-9 else p
        self.q = 1.0 if math.isinf(p) else math.inf if p == 1 else p / (p - 1)

    def norm(self, x: Tensor) -> Tensor:
        return _p_norm(x, self.p)

    def dual_norm(self, g: Tensor) -> Tensor:
        return _p_norm(g, self.q)

    def vertex(self, g: Tensor) -> Tensor:
        x, _ = scaled(g)
        if self.p == 2:
            s = x / _nonzero(_sum_norm(x, 2.0)).to(x.dtype)
        elif math.isinf(self.p):
            s = x.sign()
        elif self.p == 1:
            s = _largest_entry(x)
        else:
            # |x|^(q-1) / ‖x‖_q^(q-1): divide first, so that powers stay within [0, 1]. Float64
            # because q - 1 is large for p near 1 and would amplify rounding.
            y = x.to(accumulator(x))
            ratio = y.abs() / _nonzero(_sum_norm(y, self.q))
            s = (y.sign() * ratio.pow(self.q - 1)).to(x.dtype)
        return s.to(g.dtype)

    def project(self, x: Tensor) -> Tensor:
        return project_p_ball(x, self.p)


def _full_precision(method: Callable[[Any, Tensor], Tensor]) -> Callable[[Any, Tensor], Tensor]:
    """Without autocast, whose bfloat16 matrix products leave the ball by parts in a thousand."""

    @functools.wraps(method)
    def wrapped(self: Any, x: Tensor) -> Tensor:
        if not torch.is_autocast_enabled(x.device.type):
            return method(self, x)
        with torch.autocast(x.device.type, enabled=False):
            return method(self, x)

    return wrapped


class SpectralBall:
    """Matrices whose largest singular value is at most 1; vertices from an SVD."""

    def norm(self, x: Tensor) -> Tensor:
        y, m = scaled(x)
        return _singular_values(y).max() * m.to(accumulator(x)) if y.numel() else m

    def dual_norm(self, g: Tensor) -> Tensor:
        y, m = scaled(g)
        return _singular_values(y).sum() * m.to(accumulator(g))

    @_full_precision
    def vertex(self, g: Tensor) -> Tensor:
        x, _ = scaled(g)
        if not x.numel():
            return torch.zeros_like(g)
        u, s, vh = torch.linalg.svd(x, full_matrices=False)
        # Directions that the gradient does not see get 0 instead of the SVD's arbitrary ±1: still
        # a minimiser, and the same one on every machine.
        seen = s > s.max() * max(x.shape) * torch.finfo(x.dtype).eps
        return _orthonormal((u * seen) @ vh).to(g.dtype)

    @_full_precision
    def project(self, x: Tensor) -> Tensor:
        u, s, vh = torch.linalg.svd(x.to(working_dtype(x)), full_matrices=False)
        return (
            x.clone() if not s.numel() or s.max() <= 1 else ((u * s.clamp(max=1)) @ vh).to(x.dtype)
        )


class NewtonSchulzBall(SpectralBall):
    """The spectral ball with approximate vertices from matrix products alone (no SVD).

    Four steps of a steep odd quintic lift every singular value above 1/200 of ‖g‖_F into
    [0.66, 1.21], then three steps of σ ← (15σ − 10σ³ + 3σ⁵)/8 pull them to 1. The result leaves
    the ball by at most :data:`EXCESS` (relative); smaller singular values end inside it, which
    makes this an inexact oracle in the sense of Jaggi (2013). The steep coefficients are those
    published with the Muon optimizer (Jordan et al., 2024); the finishing steps are the classical
    Newton-Schulz iteration of degree five, which converges with order three (Higham, Functions of
    Matrices, 2008, chapter 8).
    """

    #: (a, b, c) of σ ← aσ + bσ³ + cσ⁵, in order.
    STEPS = ((3.4445, -4.7750, 2.0315),) * 4 + ((1.875, -1.25, 0.375),) * 3
    #: Bound on σ − 1 after all steps, for σ in [0, 1] and exact arithmetic.
    EXCESS = 1e-6

    @_full_precision
    def vertex(self, g: Tensor) -> Tensor:
        y, _ = scaled(g)
        x = y / _nonzero(_sum_norm(y, 2.0)).to(y.dtype)
        tall = x.shape[0] > x.shape[1]
        x = x.mT if tall else x
        for a, b, c in self.STEPS:
            gram = x @ x.mT
            x = a * x + (b * gram + c * (gram @ gram)) @ x
        return (x.mT if tall else x).to(g.dtype)


class NuclearBall:
    """Matrices whose singular values sum to at most 1; its vertices have rank one."""

    def norm(self, x: Tensor) -> Tensor:
        return SpectralBall().dual_norm(x)

    def dual_norm(self, g: Tensor) -> Tensor:
        return SpectralBall().norm(g)

    @_full_precision
    def vertex(self, g: Tensor) -> Tensor:
        x, m = scaled(g)
        if not x.numel():
            return torch.zeros_like(g)
        u, _, vh = torch.linalg.svd(x, full_matrices=False)
        left, right = u.narrow(1, 0, 1), vh.narrow(0, 0, 1)
        # The SVD's columns have length 1 to some roundings only: without this, out of the ball.
        length = (_sum_norm(left, 2.0) * _sum_norm(right, 2.0)).clamp(min=1)
        return (left @ (right / length.to(x.dtype)) * (m > 0)).to(g.dtype)

    @_full_precision
    def project(self, x: Tensor) -> Tensor:
        u, s, vh = torch.linalg.svd(x.to(working_dtype(x)), full_matrices=False)
        return x.clone() if s.sum() <= 1 else ((u * project_simplex(s)) @ vh).to(x.dtype)


_MATRIX_BALLS: dict[str, Ball] = {
    "spectral": SpectralBall(),
    "nuclear": NuclearBall(),
    "newton-schulz": NewtonSchulzBall(),
}


#: What other libraries call them, and what to write here.
_MEANT = {
    **dict.fromkeys(("l2", "fro", "frobenius", "euclidean"), "2"),
    **dict.fromkeys(("linf", "l_inf", "l-inf", "max", "infinity"), "math.inf"),
    **dict.fromkeys(("nuc", "trace"), "'nuclear'"),
    **dict.fromkeys(("op", "operator"), "'spectral'"),
    **dict.fromkeys(("muon", "newton_schulz", "newtonschulz"), "'newton-schulz'"),
    "l1": "1",
    "inf": "math.inf",
}


def check_norm(norm: Norm) -> Norm:
    """``norm`` itself if it names a ball (floats normalised), else :class:`ConfigError`."""
    if isinstance(norm, str):
        if norm not in _MATRIX_BALLS:
            valid = (*_MATRIX_BALLS, "any float >= 1")
            meant = _MEANT.get(norm.lower(), norm if _spelt(norm) >= 1 else None)
            if meant is None:
                raise unknown("norm", norm, valid)
            raise ConfigError(
                f"unknown norm {norm!r}. Did you mean norm={meant}? Valid: {', '.join(valid)}"
            )
        return norm
    if isinstance(norm, bool) or not isinstance(norm, Real) or not norm >= 1:
        raise ConfigError(
            f"norm = {norm!r}: give a float p >= 1 (math.inf too) or one of "
            f"{', '.join(map(repr, _MATRIX_BALLS))}"
        )
    return float(norm)


def ball_for(norm: Norm, ndim: int) -> Ball:
    """The ball of ``norm`` for tensors with ``ndim`` dimensions.

    Spectral and nuclear norms are defined for matrices; tensors of any other order get p = 2.

    >>> ball_for("spectral", 1).p
    2.0
    """
    norm = check_norm(norm)
    if isinstance(norm, str):
        if ndim != 2:
            return PBall(2.0)
        return _MATRIX_BALLS[norm]
    return PBall(norm)


def _spelt(text: str) -> float:
    """The number that a text spells; NaN where it spells none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _nonzero(n: Tensor) -> Tensor:
    return torch.where(n > 0, n, torch.ones_like(n))


def _sum_norm(x: Tensor, p: float) -> Tensor:
    return torch.linalg.vector_norm(x, p, dtype=accumulator(x))


def _orthonormal(x: Tensor) -> Tensor:
    """``x`` with singular values near 1 moved to 1 and those at 0 left there.

    One step σ ← (3σ − σ³)/2 of the classical Newton-Schulz iteration. Products of float32 SVD
    factors exceed 1 by 1e-6 at 64² and 5e-6 at 1024²; 3e-7 is left of that.
    """
    tall = x.shape[0] > x.shape[1]
    x = x.mT if tall else x
    excess = x @ x.mT
    excess.diagonal().sub_(1)  # small where it counts, so that its product rounds little
    x = torch.addmm(x, excess, x, alpha=-0.5)
    return x.mT if tall else x


def _p_norm(x: Tensor, p: float) -> Tensor:
    y, m = scaled(x)
    return _sum_norm(y, p) * m.to(accumulator(x)) if y.numel() else m.to(accumulator(x))


def _largest_entry(x: Tensor) -> Tensor:
    """sgn(x_j) e_j with j the first index of the largest |x_j|."""
    s = torch.zeros_like(x, memory_format=torch.contiguous_format)
    if x.numel():
        flat = x.reshape(-1)
        size = flat.abs()
        j = (size == size.max()).to(torch.uint8).argmax().view(1)
        # Indexing with [j] would wait for the device to say which entry it is.
        s.view(-1).scatter_(0, j, flat.gather(0, j).sign())
    return s


def _singular_values(x: Tensor) -> Tensor:
    return torch.linalg.svdvals(x.to(accumulator(x)))
