"""Zhang et al.'s smoothness, weaker than a Lipschitz constant of the gradient (assumption A3).

A3 asks ‖∇F(x) − ∇F(y)‖ ≤ L‖x − y‖. Theorem 1 only asks ‖∇²F(ω)‖ ≤ L0 + L1‖∇F(ω)‖, so that the
landscape may be rough where the gradient is large. (L0, L1) is estimated from below by what was
seen; L is among what :mod:`fwrnn_core.theory.convexity` measures.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from fwrnn_core.errors import ConfigError


@dataclass(frozen=True)
class RelaxedSmoothness:
    """A pair (L0, L1) with curvature ≤ L0 + L1 · gradient norm at every measured point."""

    constant: float
    slope: float


def relaxed_smoothness(gradient_norms: Tensor, hessian_norms: Tensor) -> RelaxedSmoothness:
    """The tightest line L0 + L1‖∇F‖ above all measured (‖∇F‖, ‖∇²F‖), both coefficients ≥ 0.

    "Tightest" (ours) is least mean height above the points; the best line of that kind touches the
    upper hull of the points, so its candidates are the hull's edges and the flat line.

    :param gradient_norms, hessian_norms: [n], n ≥ 1, finite.

    >>> import torch
    >>> relaxed_smoothness(torch.tensor([0.0, 1.0, 2.0]), torch.tensor([1.0, 2.0, 5.0]))
    RelaxedSmoothness(constant=1.0, slope=2.0)
    """
    x = gradient_norms.detach().double().flatten()
    y = hessian_norms.detach().double().flatten()
    if len(x) != len(y) or len(x) == 0 or not bool((x.isfinite() & y.isfinite()).all()):
        raise ConfigError(
            "relaxed smoothness needs equally many finite norms, at least one of each"
        )
    hull: list[tuple[float, float]] = []
    for point in sorted(zip(x.tolist(), y.tolist(), strict=True)):
        while hull and hull[-1][0] == point[0]:  # of points above each other, the highest counts
            hull.pop()
        while len(hull) >= 2 and _left_turn(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    slopes = [0.0, *((y1 - y0) / (x1 - x0) for (x0, y0), (x1, y1) in pairwise(hull))]
    lines = [(float((y - slope * x).max()), slope) for slope in slopes]
    if hull[0][0] > 0:  # L0 = 0 itself: as the largest y − L1·x it would be rounding of either sign
        lines.append((0.0, max(py / px for px, py in hull)))
    fits = [(l0 + l1 * float(x.mean()), l0, l1) for l0, l1 in lines if l0 >= 0 and l1 >= 0]
    _, constant, slope = min(fits)
    return RelaxedSmoothness(constant, slope)


@dataclass(frozen=True)
class Together:
    """How sizes of gradients and Hessians go together, at n points (ours).

    :ivar in_common: of the tenth of the points with the largest Hessians, the share whose gradients
        are among the largest tenth, too; 0.1 by chance.
    :ivar exponent: least-squares slope of the logarithm of one over that of the other.
    :ivar line: the tightest (L0, L1). :ivar without: the same without the largest Hessian's point.
    :ivar height: mean height of ``line`` over the points, in units of the largest Hessian.
    """

    in_common: float
    exponent: float
    line: RelaxedSmoothness
    without: RelaxedSmoothness
    height: float


def together(gradient_norms: Tensor, hessian_norms: Tensor) -> Together:
    """Whether Hessians are large where gradients are, as :class:`Together` says.

    :param gradient_norms, hessian_norms: [n], positive, n ≥ 10.

    >>> import torch
    >>> found = together(g := torch.arange(1.0, 21.0), 3 * g**2)
    >>> found.in_common, round(found.exponent, 6)
    (1.0, 2.0)
    """
    x, y = gradient_norms.double(), hessian_norms.double()
    if len(x) < 10 or not bool(((x > 0) & (y > 0)).all()):
        raise ConfigError("need at least ten points with positive norms")
    tenth = len(x) // 10
    largest = [set(v.argsort()[-tenth:].tolist()) for v in (x, y)]
    log_x, log_y = x.log() - x.log().mean(), y.log()
    others = torch.arange(len(y)) != y.argmax()
    line = relaxed_smoothness(x, y)
    return Together(
        in_common=len(largest[0] & largest[1]) / tenth,
        exponent=float(log_x @ log_y / (log_x @ log_x)),
        line=line,
        without=relaxed_smoothness(x[others], y[others]),
        height=(line.constant + line.slope * float(x.mean())) / float(y.max()),
    )


def _left_turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) >= 0
