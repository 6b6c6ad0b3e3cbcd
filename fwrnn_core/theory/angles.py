"""The angle between the displacement Δ_K and −∇F(ω_t) (assumption A5), and what it implies.

A5, restored (ours): for some c > 0 and all t, ⟨Δ_t, ω_t − ω*⟩ ≤ −c ⟨∇F(ω_t), ω_t − ω*⟩. The paper
reads it as "Δ_t and −∇F(ω_t) point the same way" and reports the distribution of that angle on
HAR-2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from fwrnn_core.errors import ConfigError
from fwrnn_core.theory.objective import Layout


def angle_degrees(u: Tensor, v: Tensor) -> Tensor:
    """The angle between u and v over the last axis, in degrees, 0 … 180; NaN if either is zero.

    Computed as 2·atan2(‖û − v̂‖, ‖û + v̂‖) (Kahan 2006): accurate at 0° and 180°, where the arc
    cosine of an inner product in float32 cannot tell 0.02° from 0.

    >>> angle_degrees(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0]))
    tensor(45.)
    """
    # In float32 the squares of a vanished gradient (1e-23) would be 0, and any angle 90°.
    x, y = u.double(), v.double()
    a, b = x / x.norm(dim=-1, keepdim=True), y / y.norm(dim=-1, keepdim=True)
    angle = torch.rad2deg(2 * torch.atan2((a - b).norm(dim=-1), (a + b).norm(dim=-1)))
    return angle.to(u.dtype)


def angles_by_tensor(layout: Layout, u: Tensor, v: Tensor) -> dict[str, float]:
    """The angle in degrees within each parameter tensor, and over all of them under ``"global"``.

    >>> layout = Layout(("a", "b"), ((2,), (2,)))
    >>> u, v = torch.tensor([[1.0, 0, 1, 0], [1.0, 0, 0, 1]]).double()
    >>> angles_by_tensor(layout, u, v)
    {'a': 0.0, 'b': 90.0, 'global': 60.0}
    """
    # Six digits: what lies below is rounding noise, and a record stays small.
    parts = {name: angle_degrees(u[where], v[where]) for name, where in layout.slices().items()}
    return {
        name: round(float(a), 6) for name, a in {**parts, "global": angle_degrees(u, v)}.items()
    }


def angle_of_separate_balls(layout: Layout, gradient: Tensor) -> float:
    """The angle between −∇F and one exact step with a ball of its own for each tensor, in degrees
    (ours; p = 2).

    The step is −δ g_i/‖g_i‖ in each of the m tensors with g_i ≠ 0, so its cosine with −g is
    Σ‖g_i‖ / (√m ‖g‖). That is 1 only when all the g_i are equally long, and at least 1/√m. NaN for
    a zero gradient.

    >>> g = torch.tensor([1.0, 0.0, 0.0, 7.0])
    >>> round(angle_of_separate_balls(Layout(("a", "b"), ((2,), (2,))), g), 4)
    36.8699
    """
    g = gradient.double()
    lengths = torch.stack([g[where].norm() for where in layout.slices().values()])
    lengths = lengths[lengths > 0]
    if len(lengths) == 0:
        return math.nan
    # The step in units of δ has the length √m and the parts 1: an angle between two short vectors.
    return float(angle_degrees(lengths, torch.ones_like(lengths)))


def released_statistic(first_gradient: Tensor, mean_direction: Tensor) -> tuple[float, float]:
    """What the authors' program computes in place of the angle: (inner product, arc cosine in
    degrees).

    The inner product is that of the *raw* first gradient with the mean of the K unit gradients;
    neither length is divided out, so it is not a cosine. Where ‖g‖ is small it is near 0 and its
    arc cosine near 90°, whatever the true angle; above 1 the arc cosine is NaN. Reading of the
    released code, see the book's page on A5.

    >>> g = torch.tensor([0.01, 0.0])
    >>> product, degrees = released_statistic(g, torch.tensor([1.0, 0.0]))   # true angle: 0°
    >>> round(product, 6), round(degrees, 2)
    (0.01, 89.43)
    """
    product = float((first_gradient * mean_direction).sum())
    degrees = math.degrees(math.acos(product)) if abs(product) <= 1 else math.nan
    return product, degrees


def angle_bound(lipschitz: float, radius: float, gradient_norm: float, noise: float = 0.0) -> float:
    """The largest possible angle between Δ_K and −∇F(ω_t), in degrees (ours; p = 2, one global
    ball).

    Every gradient that the loop sees differs from ∇F(ω_t) by at most Lδ + τ. A vector that
    differs from another by at most a share σ < 1 of its length makes an angle of at most arcsin σ
    with it, here σ = (Lδ + τ)/‖∇F(ω_t)‖. So all vertices lie in the cone of that half-angle
    around −∇F(ω_t). It is convex, hence their average Δ_K lies in it too. 180 when σ ≥ 1.

    :param noise: τ, a bound on the error of the stochastic gradients.

    >>> round(angle_bound(lipschitz=2.0, radius=0.25, gradient_norm=1.0), 6)
    30.0
    >>> angle_bound(lipschitz=4.0, radius=0.25, gradient_norm=1.0)
    180.0
    """
    turn = lipschitz * radius + noise
    if turn >= gradient_norm:
        return 180.0
    return math.degrees(math.asin(turn / gradient_norm))


@dataclass(frozen=True)
class A5Constants:
    """Which constants c satisfy A5 on a whole path: those in [at_least, at_most], if any.

    :ivar holds: whether some c > 0 satisfies A5 at every point.
    :ivar share: the largest share of the points that a single c > 0 can satisfy.
    :ivar best: such a c: the largest of the ratios that bound it (NaN when the share is 0).
    :ivar downhill_share: share of points with ⟨Δ_t, ω_t − ω*⟩ < 0: the step approaches ω* (to
        first order).
    """

    at_least: float
    at_most: float
    share: float
    best: float
    downhill_share: float

    @property
    def holds(self) -> bool:
        """Whether one c > 0 serves every point."""
        return self.at_most > 0 and self.at_least <= self.at_most


def a5_constants(
    displacements: Tensor, gradients: Tensor, points: Tensor, minimiser: Tensor
) -> A5Constants:
    """The constants c > 0 with ⟨Δ_t, ω_t − ω*⟩ ≤ −c⟨∇F(ω_t), ω_t − ω*⟩ along a path.

    With a_t = −⟨Δ_t, ω_t − ω*⟩ and b_t = ⟨∇F(ω_t), ω_t − ω*⟩ the condition is c·b_t ≤ a_t
    (:func:`serving_constants`).

    :param displacements, gradients, points: [n, d]; ``minimiser``: [d].

    Gradient descent on a quadratic, Δ = −0.1∇F, has c = 0.1:

    >>> w = torch.tensor([[1.0, 2.0], [3.0, 1.0]])
    >>> found = a5_constants(-0.1 * w, w, w, torch.zeros(2))
    >>> found.holds, round(found.at_most, 6), found.share
    (True, 0.1, 1.0)
    """
    if displacements.ndim != 2 or not displacements.shape == gradients.shape == points.shape:
        raise ConfigError("displacements, gradients and points must share the shape [n, d]")
    way = (points - minimiser).double()
    return serving_constants(
        -(displacements.double() * way).sum(-1), (gradients.double() * way).sum(-1)
    )


def serving_constants(gains: Tensor, asked: Tensor) -> A5Constants:
    """The constants c > 0 with c·b_t ≤ a_t at each point of a path.

    Where b_t > 0 it caps c at a_t/b_t; where b_t < 0 it asks c ≥ a_t/b_t; where b_t = 0 it only
    needs a_t ≥ 0. With b_t = F(ω_t) − F(ω*) these are the constants that the proof of Theorem 2
    needs, without A2 and A5.

    :param gains: a_t = −⟨Δ_t, ω_t − ω*⟩, [n]. :param asked: b_t, [n].

    >>> found = serving_constants(torch.tensor([1.0, 3.0]), torch.tensor([2.0, 3.0]))
    >>> found.holds, found.best
    (True, 0.5)
    """
    a, b = gains.double(), asked.double()
    caps = (a / b)[b > 0]
    floors = (a / b)[b < 0]
    at_most = float(caps.min()) if len(caps) else math.inf
    at_least = float(floors.max()) if len(floors) else -math.inf
    if bool(((b == 0) & (a < 0)).any()):
        at_most = -math.inf
    # The number of satisfied points is piecewise constant in c and changes only at the ratios.
    candidates = {float(r) for r in (a / b)[b != 0] if r > 0} or {1.0}
    shares = {c: float((_holds(a, b, c)).double().mean()) for c in candidates}
    share = max(shares.values())
    best = max(c for c, s in shares.items() if s == share) if share > 0 else math.nan
    return A5Constants(at_least, at_most, share, best, float((a > 0).double().mean()))


def _holds(a: Tensor, b: Tensor, c: float) -> Tensor:
    # c is itself one of the ratios a/b, so the comparison allows for its rounding.
    return c * b <= a + 1e-12 * a.abs()
