"""Balls in the plane, and noise that two languages can draw alike.

The two-dimensional twin of ``fwrnn_core.optim``'s oracle: plain floats, because the browser's copy
in ``static/geometry.js`` has to repeat it step for step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

Vector = tuple[float, float]


@dataclass
class Normals:
    """Standard normal numbers from a 32-bit seed: mulberry32 feeding Box-Muller's cosine branch.

    >>> [round(Normals(1)(), 6), round(Normals(2)(), 6)]
    [1.404339, -0.739085]
    """

    seed: int
    state: int = field(init=False)

    def __post_init__(self) -> None:
        self.state = self.seed & 0xFFFFFFFF

    def uniform(self) -> float:
        """The next number in [0, 1): 32 bits of mulberry32 (Tommy Ettinger, public domain)."""
        self.state = (self.state + 0x6D2B79F5) & 0xFFFFFFFF
        a = self.state
        a = ((a ^ (a >> 15)) * (a | 1)) & 0xFFFFFFFF
        a ^= (a + (((a ^ (a >> 7)) * (a | 61)) & 0xFFFFFFFF)) & 0xFFFFFFFF
        return (a ^ (a >> 14)) / 2**32

    def __call__(self) -> float:
        radius = math.sqrt(-2.0 * math.log(1.0 - self.uniform()))
        return radius * math.cos(2.0 * math.pi * self.uniform())


def vector_norm(v: Vector, p: float) -> float:
    """‖v‖_p, without overflow.

    >>> vector_norm((3.0, 4.0), 2)
    5.0
    """
    a, b = abs(v[0]), abs(v[1])
    top = max(a, b)
    if top == 0 or p == math.inf:
        return top
    return top * float(((a / top) ** p + (b / top) ** p) ** (1 / p))


def dual(p: float) -> float:
    """q with 1/p + 1/q = 1."""
    if p == 1:
        return math.inf
    return 1.0 if p == math.inf else p / (p - 1)


def lmo(gradient: Vector, radius: float, p: float) -> Vector:
    """argmin of ⟨s, g⟩ over ‖s‖_p ≤ δ (Eq. 7): a point of the ball's boundary, 0 where g = 0.

    >>> lmo((0.0, 4.0), 1.0, 2)
    (0.0, -1.0)
    >>> lmo((3.0, -4.0), 1.0, math.inf)
    (-1.0, 1.0)
    """
    g, h = gradient
    top = max(abs(g), abs(h))
    if top == 0:
        return (0.0, 0.0)
    if p == 1:
        first = abs(g) >= abs(h)
        return (-math.copysign(radius, g), 0.0) if first else (0.0, -math.copysign(radius, h))
    if p == math.inf:
        return (_sign(g) * -radius + 0.0, _sign(h) * -radius + 0.0)
    q = dual(p)
    u, v = abs(g) / top, abs(h) / top
    scale = radius / vector_norm((u, v), q) ** (q - 1)
    return (_sign(g) * -scale * u ** (q - 1) + 0.0, _sign(h) * -scale * v ** (q - 1) + 0.0)


def _sign(value: float) -> float:
    return math.copysign(1.0, value) if value else 0.0


def project(point: Vector, radius: float, p: float) -> Vector:
    """The point of {‖s‖_p ≤ δ} nearest in ℓ2.

    >>> project((0.0, 4.0), 1.0, 2)
    (0.0, 1.0)
    """
    x, y = point
    if vector_norm(point, p) <= radius:
        return point
    if p == 2:
        scale = radius / vector_norm(point, 2)
        return (x * scale, y * scale)
    if p == math.inf:
        return (min(max(x, -radius), radius), min(max(y, -radius), radius))
    a, b = abs(x), abs(y)
    if p == 1:  # soft threshold at the level that lands on the ball (Duchi et al. 2008)
        level = (a + b - radius) / 2
        if level > min(a, b):
            level = max(a, b) - radius
        u, v = max(a - level, 0.0), max(b - level, 0.0)
    else:
        u, v = _project_smooth(a, b, radius, p)
    return (math.copysign(u, x), math.copysign(v, y))


def _project_smooth(a: float, b: float, radius: float, p: float) -> Vector:
    """Stationarity (a − u)/u^(p−1) = (b − v)/v^(p−1) along the boundary, by bisection on u.

    One root, because the projection is unique; 60 halvings reach float64's resolution.
    """
    low, high = 0.0, radius
    for _ in range(60):
        u = 0.5 * (low + high)
        v = max(radius**p - u**p, 0.0) ** (1 / p)
        if (a - u) * v ** (p - 1) > (b - v) * u ** (p - 1):
            low = u
        else:
            high = u
    u = 0.5 * (low + high)
    return u, max(radius**p - u**p, 0.0) ** (1 / p)


def angle_between(u: Vector, v: Vector) -> float | None:
    """The angle in degrees, from atan2 (exact near 0° and 180°); None if one vector is 0."""
    if not any(u) or not any(v):
        return None
    cross, dot = u[0] * v[1] - u[1] * v[0], u[0] * v[0] + u[1] * v[1]
    return math.degrees(math.atan2(abs(cross), dot))
