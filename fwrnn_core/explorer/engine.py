"""The two loops of Algorithm 1 in a plane: the reference for the browser's ``static/engine.js``.

Pure float64 functions of a surface, a start and settings. The browser repeats this arithmetic
while the reader drags; the shared vectors in ``tests/explorer/vectors.json`` hold the two equal to
1e-6. Noise comes from a generator that both languages can write down (mulberry32, Box-Muller), so
a seed means the same noise on either side.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fwrnn_core.errors import ConfigError, unknown
from fwrnn_core.explorer.geometry import (
    Normals,
    Vector,
    angle_between,
    dual,
    lmo,
    project,
    vector_norm,
)
from fwrnn_core.explorer.surfaces import Array, Surface

STEP_SIZES: dict[str, Callable[[int], float]] = {
    "1/k": lambda k: 1.0 / k,
    "2/(k+1)": lambda k: 2.0 / (k + 1),
}
TRAJECTORIES = ("paper", "released")
METHODS = ("frank-wolfe", "gradient-descent", "normalised", "adam")
OUTERS = ("plain", "adam")
SCHEDULES = ("constant", "1/sqrt(t)")
ESCAPE = 20.0  # domain widths from its middle at which a trajectory counts as diverged


@dataclass(frozen=True)
class InnerSettings:
    """What the inner loop depends on beside the surface and ω_t.

    Attributes:
        radius: δ > 0, in units of the weights.
        inner_steps: K ≥ 1.
        norm: p ≥ 1 of the ball (``math.inf`` too).
        step_size: ``"1/k"`` or ``"2/(k+1)"``.
        trajectory: ``"paper"`` keeps ω_t + Δ_k in the ball, ``"released"`` walks on by every Δ_k.
        noise: standard deviation of the gradient noise per axis, in units of the surface's
            ``gradient_scale``.
        seed: of that noise, an integer in [0, 2³²).

    Raises:
        ConfigError: a value outside its range.
    """

    radius: float
    inner_steps: int = 5
    norm: float = 2.0
    step_size: str = "1/k"
    trajectory: str = "paper"
    noise: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        checks = [
            ("radius", self.radius, 0 < self.radius < math.inf, "a positive number"),
            ("inner_steps", self.inner_steps, self.inner_steps >= 1, "an integer ≥ 1"),
            ("norm", self.norm, self.norm >= 1, "a number ≥ 1 or inf"),
            ("noise", self.noise, 0 <= self.noise < math.inf, "a number ≥ 0"),
            ("seed", self.seed, 0 <= self.seed < 2**32, "an integer in [0, 2**32)"),
        ]
        for name, value, valid, wanted in checks:
            if not valid:
                raise ConfigError(f"{name} must be {wanted}, not {value!r}")
        if self.step_size not in STEP_SIZES:
            raise unknown("step size", self.step_size, STEP_SIZES)
        if self.trajectory not in TRAJECTORIES:
            raise unknown("trajectory", self.trajectory, TRAJECTORIES)


@dataclass(frozen=True)
class InnerLoop:
    """One inner loop at ω_t; displacements are relative to ω_t, rows in order of k.

    Attributes:
        gradients: [K, 2] the gradients the oracle saw (with noise).
        vertices: [K, 2] s_1 … s_K.
        iterates: [K+1, 2] Δ_0 = 0 … Δ_K.
        visited: [K+1, 2] where gradient k+1 was taken (k < K), then Δ_K.
        losses: [K+1] F(ω_t + visited).
        gaps: [K+1] Frank-Wolfe gap at ω_t + Δ_k, from the noiseless gradient.
        projected: [K+1, 2] projected gradient descent in the same ball, step δ/‖g_1‖₂ (ours).
        projected_losses: [K+1] F along it.
        gradient: ∇F(ω_t) without noise.
        agreement: ‖Δ_K‖_p/δ.
        angle: between Δ_K and −∇F(ω_t) in degrees (assumption A5), None where undefined.
        reach: max ‖visited‖_p/δ; above 1 the loop has left the ball.
    """

    gradients: Array
    vertices: Array
    iterates: Array
    visited: Array
    losses: Array
    gaps: Array
    projected: Array
    projected_losses: Array
    gradient: Vector
    agreement: float
    angle: float | None
    reach: float


@dataclass(frozen=True)
class OuterSettings:
    """What the outer loop adds.

    Attributes:
        budget: gradient evaluations every method may spend.
        learning_rate: step of plain gradient descent.
        schedule: δ_t = δ, or δ/√t with t from 1.
        outer: ``"plain"`` adds Δ_K, ``"adam"`` hands −Δ_K/δ_t to Adam (as the authors ran it).

    Raises:
        ConfigError: a value outside its range.
    """

    budget: int = 60
    learning_rate: float = 0.1
    schedule: str = "constant"
    outer: str = "plain"

    def __post_init__(self) -> None:
        if self.budget < 1:
            raise ConfigError(f"budget must be an integer ≥ 1, not {self.budget!r}")
        if not 0 < self.learning_rate < math.inf:
            raise ConfigError(f"learning_rate must be positive, not {self.learning_rate!r}")
        if self.schedule not in SCHEDULES:
            raise unknown("schedule", self.schedule, SCHEDULES)
        if self.outer not in OUTERS:
            raise unknown("outer step", self.outer, OUTERS)


@dataclass(frozen=True)
class OuterPath:
    """A whole trajectory: points [T+1, 2], losses [T+1], gradient evaluations [T+1] so far."""

    points: Array
    losses: Array
    evaluations: list[int]
    diverged: bool


def _oracle(surface: Surface, settings: InnerSettings, normals: Normals) -> Callable[..., Vector]:
    """Gradients at a point, each with fresh noise."""
    scale = settings.noise * float(surface.spec["gradient_scale"])

    def gradient(x: float, y: float) -> Vector:
        gx, gy = _gradient(surface, x, y)
        if scale:
            gx += scale * normals()
            gy += scale * normals()
        return gx, gy

    return gradient


def _gradient(surface: Surface, x: float, y: float) -> Vector:
    gx, gy = surface.gradient(np.asarray(x), np.asarray(y))
    return float(gx), float(gy)


def _walk(
    oracle: Callable[..., Vector], start: Vector, settings: InnerSettings, radius: float
) -> tuple[list[Vector], list[Vector], list[Vector], list[Vector]]:
    """Gradients, vertices, iterates and the points where the gradients were taken."""
    rule = STEP_SIZES[settings.step_size]
    delta: Vector = (0.0, 0.0)
    place: Vector = (0.0, 0.0)
    gradients, vertices, iterates, visited = [], [], [delta], []
    for k in range(1, settings.inner_steps + 1):
        visited.append(place)
        g = oracle(start[0] + place[0], start[1] + place[1])
        s = lmo(g, radius, settings.norm)
        gamma = rule(k)
        delta = (
            (1 - gamma) * delta[0] + gamma * s[0],
            (1 - gamma) * delta[1] + gamma * s[1],
        )
        walked = (place[0] + delta[0], place[1] + delta[1])
        place = walked if settings.trajectory == "released" else delta
        gradients.append(g)
        vertices.append(s)
        iterates.append(delta)
    return gradients, vertices, iterates, [*visited, delta]


def _projected(
    oracle: Callable[..., Vector], start: Vector, settings: InnerSettings
) -> list[Vector]:
    place: Vector = (0.0, 0.0)
    path, step = [place], 0.0
    for k in range(1, settings.inner_steps + 1):
        g = oracle(start[0] + place[0], start[1] + place[1])
        if k == 1:
            length = vector_norm(g, 2)
            step = settings.radius / length if length else 0.0
        moved = (place[0] - step * g[0], place[1] - step * g[1])
        place = project(moved, settings.radius, settings.norm)
        path.append(place)
    return path


def inner_loop(surface: Surface, start: Vector, settings: InnerSettings) -> InnerLoop:
    """K steps of the inner loop at ω_t = ``start``, with everything the explorer shows.

    >>> from fwrnn_core.explorer.surfaces import analytic, make_surface
    >>> bowl = make_surface(analytic()["bowl"])
    >>> loop = inner_loop(bowl, (-1.5, 1.0), InnerSettings(radius=0.5, inner_steps=3))
    >>> round(loop.agreement, 3), round(loop.angle, 1), round(loop.reach, 3)
    (0.994, 8.2, 1.0)
    """
    x, y = start
    radius, p = settings.radius, settings.norm
    oracle = _oracle(surface, settings, Normals(settings.seed))
    gradients, vertices, iterates, visited = _walk(oracle, start, settings, radius)
    projected = _projected(_oracle(surface, settings, Normals(settings.seed)), start, settings)

    deltas, seen, other = (np.array(points) for points in (iterates, visited, projected))
    gx, gy = surface.gradient(x + deltas[:, 0], y + deltas[:, 1])
    lengths = [vector_norm((float(a), float(b)), dual(p)) for a, b in zip(gx, gy, strict=True)]
    here = _gradient(surface, x, y)
    return InnerLoop(
        gradients=np.array(gradients),
        vertices=np.array(vertices),
        iterates=deltas,
        visited=seen,
        losses=surface.loss(x + seen[:, 0], y + seen[:, 1]),
        gaps=deltas[:, 0] * gx + deltas[:, 1] * gy + radius * np.array(lengths),
        projected=other,
        projected_losses=surface.loss(x + other[:, 0], y + other[:, 1]),
        gradient=here,
        agreement=vector_norm(iterates[-1], p) / radius,
        angle=angle_between(iterates[-1], (-here[0], -here[1])),
        reach=max(vector_norm(v, p) for v in visited) / radius,
    )


@dataclass
class _Adam:
    """Kingma & Ba (2015) with their defaults, on a plane."""

    first: Vector = (0.0, 0.0)
    second: Vector = (0.0, 0.0)
    step: int = 0

    def move(self, gradient: Vector, lr: float) -> Vector:
        self.step += 1
        m = self.first = (
            0.9 * self.first[0] + 0.1 * gradient[0],
            0.9 * self.first[1] + 0.1 * gradient[1],
        )
        v = self.second = (
            0.999 * self.second[0] + 0.001 * gradient[0] ** 2,
            0.999 * self.second[1] + 0.001 * gradient[1] ** 2,
        )
        c1, c2 = 1 - 0.9**self.step, 1 - 0.999**self.step
        return (
            -lr * (m[0] / c1) / (math.sqrt(v[0] / c2) + 1e-8),
            -lr * (m[1] / c1) / (math.sqrt(v[1] / c2) + 1e-8),
        )


def outer_loop(
    surface: Surface,
    start: Vector,
    inner: InnerSettings,
    outer: OuterSettings,
    method: str,
) -> OuterPath:
    """The whole trajectory of one method from ``start`` within the budget of gradients.

    ``"frank-wolfe"`` spends K gradients a step, the others one. Normalised gradient descent and
    Adam take δ_t as their step length, gradient descent its own learning rate; all four draw the
    same noise stream. A trajectory that leaves the picture by far ends there as diverged.

    Raises:
        ConfigError: an unknown method.
    """
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    oracle = _oracle(surface, inner, Normals(inner.seed))
    x0, x1, y0, y1 = surface.spec["domain"]
    limit = ESCAPE * (x1 - x0)
    cost = inner.inner_steps if method == "frank-wolfe" else 1
    adam = _Adam()
    points, evaluations, diverged = [start], [0], False
    for t in range(1, outer.budget // cost + 1):
        radius = inner.radius / math.sqrt(t) if outer.schedule != "constant" else inner.radius
        here = points[-1]
        if method == "frank-wolfe":
            delta = _walk(oracle, here, inner, radius)[2][-1]
            if outer.outer == "adam":
                delta = adam.move((-delta[0] / radius, -delta[1] / radius), radius)
        else:
            g = oracle(*here)
            if method == "gradient-descent":
                delta = (-outer.learning_rate * g[0], -outer.learning_rate * g[1])
            else:
                delta = lmo(g, radius, 2) if method == "normalised" else adam.move(g, radius)
        after = (here[0] + delta[0], here[1] + delta[1])
        away = max(abs(after[0] - (x0 + x1) / 2), abs(after[1] - (y0 + y1) / 2))
        if not away <= limit:  # also catches NaN
            diverged = True
            break
        points.append(after)
        evaluations.append(t * cost)
    path = np.array(points)
    return OuterPath(path, surface.loss(path[:, 0], path[:, 1]), evaluations, diverged)
