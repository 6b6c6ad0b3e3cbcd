"""Loss surfaces over a plane of weights: five analytic ones, and slices through real networks.

A surface is described by one JSON-able *spec*, which the Python reference here and the browser's
``static/surfaces.js`` both read; what they compute agrees to rounding. All arithmetic is float64.

======== =====================================================================================
kind     F(x, y)
======== =====================================================================================
bowl     a x²/2 + b y²/2 + c x y
ravine   pull (x − goal)² + wall (y − bend sin(wave x))²
saddle   a x²/2 − b y²/2 + c y⁴
cliff    (σ(x_T) − target)² with x_t = w σ(x_{t−1}) + b: Pascanu, Mikolov & Bengio (2013), Fig. 6
star     √(1 + r² (1 + a cos 5θ)) − 1, star-convex about 0 and not convex (ours)
grid     bicubic Hermite interpolation of losses *and* gradients on a grid
======== =====================================================================================
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fwrnn_core.errors import unknown

Array = npt.NDArray[np.float64]
Spec = dict[str, Any]


class Surface(Protocol):
    """A loss over the plane, with its gradient."""

    spec: Spec

    def loss(self, x: Array, y: Array) -> Array:
        """F at the points (x, y), element-wise."""

    def gradient(self, x: Array, y: Array) -> tuple[Array, Array]:
        """(∂F/∂x, ∂F/∂y) at the points (x, y), element-wise."""


class Bowl:
    """A convex quadratic."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.a, self.b, self.c = (float(spec["params"][k]) for k in "abc")

    def loss(self, x: Array, y: Array) -> Array:
        return 0.5 * self.a * x * x + 0.5 * self.b * y * y + self.c * x * y

    def gradient(self, x: Array, y: Array) -> tuple[Array, Array]:
        return self.a * x + self.c * y, self.b * y + self.c * x


class Ravine:
    """A bent valley with steep walls and a gently falling floor."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        p = spec["params"]
        self.pull, self.goal, self.wall = float(p["pull"]), float(p["goal"]), float(p["wall"])
        self.bend, self.wave = float(p["bend"]), float(p["wave"])

    def loss(self, x: Array, y: Array) -> Array:
        u = y - self.bend * np.sin(self.wave * x)
        return self.pull * (x - self.goal) ** 2 + self.wall * u * u

    def gradient(self, x: Array, y: Array) -> tuple[Array, Array]:
        u = y - self.bend * np.sin(self.wave * x)
        slope = self.bend * self.wave * np.cos(self.wave * x)
        return 2 * self.pull * (x - self.goal) - 2 * self.wall * u * slope, 2 * self.wall * u


class Saddle:
    """A saddle at the origin between two minima."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.a, self.b, self.c = (float(spec["params"][k]) for k in "abc")

    def loss(self, x: Array, y: Array) -> Array:
        return 0.5 * self.a * x * x - 0.5 * self.b * y * y + self.c * y**4

    def gradient(self, x: Array, y: Array) -> tuple[Array, Array]:
        return self.a * x, -self.b * y + 4 * self.c * y**3


def _sigmoid(z: Array) -> Array:
    # The stable branch on each side: exp never overflows.
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1 / (1 + e), e / (1 + e))


class Cliff:
    """The error of a one-unit recurrent net over its weight w and bias b (backpropagated)."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        p = spec["params"]
        self.steps, self.x0, self.target = int(p["steps"]), float(p["x0"]), float(p["target"])

    def loss(self, x: Array, y: Array) -> Array:
        h = np.full(np.broadcast(x, y).shape, self.x0)
        for _ in range(self.steps):
            h = x * _sigmoid(h) + y
        return (_sigmoid(h) - self.target) ** 2

    def gradient(self, x: Array, y: Array) -> tuple[Array, Array]:
        shape = np.broadcast(x, y).shape
        h, dw, db = np.full(shape, self.x0), np.zeros(shape), np.zeros(shape)
        for _ in range(self.steps):  # forward mode: two weights, so cheaper than storing the path
            s = _sigmoid(h)
            slope = x * s * (1 - s)
            h, dw, db = x * s + y, s + slope * dw, 1 + slope * db
        s = _sigmoid(h)
        outer = 2 * (s - self.target) * s * (1 - s)
        return outer * dw, outer * db


class Star:
    """Five-pointed star: convex along every ray from the minimum, not convex across them."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.a = float(spec["params"]["a"])

    def loss(self, x: Array, y: Array) -> Array:
        return np.sqrt(1 + self._square(x, y)) - 1

    def _square(self, x: Array, y: Array) -> Array:
        r2 = x * x + y * y
        return r2 * (1 + self.a * np.cos(5 * np.arctan2(y, x)))

    def gradient(self, x: Array, y: Array) -> tuple[Array, Array]:
        theta = np.arctan2(y, x)
        radial = 2 * (1 + self.a * np.cos(5 * theta))
        around = 5 * self.a * np.sin(5 * theta)
        half = 0.5 / np.sqrt(1 + self._square(x, y))
        return half * (radial * x + around * y), half * (radial * y - around * x)


class Grid:
    """Bicubic Hermite patches through measured losses and gradients.

    Every node keeps its measured loss and gradient exactly, and the gradient anywhere is the
    exact derivative of the interpolated loss, so the two never contradict each other. The mixed
    derivative comes from differences of the measured gradients. Outside the grid the surface goes
    on as the tangent plane of the nearest border point.
    """

    def __init__(self, spec: Spec) -> None:
        from fwrnn_core.explorer.encoding import decode

        self.spec = spec
        self.x0, self.x1, self.y0, self.y1 = (float(v) for v in spec["domain"])
        grid = spec["grid"]
        self.nx, self.ny = int(grid["nx"]), int(grid["ny"])
        self.hx = (self.x1 - self.x0) / (self.nx - 1)
        self.hy = (self.y1 - self.y0) / (self.ny - 1)
        shape = (self.ny, self.nx)
        self.f, fx, fy = (decode(grid[k]).reshape(shape) for k in ("loss", "grad_x", "grad_y"))
        # Derivatives per cell instead of per unit: the basis below then needs no scaling.
        self.fx, self.fy = fx * self.hx, fy * self.hy
        self.fxy = 0.5 * (np.gradient(self.fx, axis=0) + np.gradient(self.fy, axis=1))

    def _locate(self, x: Array, y: Array) -> tuple[Any, ...]:
        cx, cy = np.clip(x, self.x0, self.x1), np.clip(y, self.y0, self.y1)
        u, v = (cx - self.x0) / self.hx, (cy - self.y0) / self.hy
        i = np.clip(np.floor(u), 0, self.nx - 2).astype(np.intp)
        j = np.clip(np.floor(v), 0, self.ny - 2).astype(np.intp)
        return i, j, u - i, v - j, x - cx, y - cy

    def _patch(self, i: Any, j: Any, bx: Sequence[Array], by: Sequence[Array]) -> Array:
        total = np.zeros(np.shape(bx[0]))
        for dj in (0, 1):
            for di in (0, 1):
                at = (j + dj, i + di)
                total = total + by[dj] * (bx[di] * self.f[at] + bx[2 + di] * self.fx[at])
                total = total + by[2 + dj] * (bx[di] * self.fy[at] + bx[2 + di] * self.fxy[at])
        return total

    def loss(self, x: Array, y: Array) -> Array:
        i, j, t, s, ox, oy = self._locate(x, y)
        inside = self._patch(i, j, hermite(t), hermite(s))
        gx, gy = self.gradient(x, y)
        return inside + gx * ox + gy * oy

    def gradient(self, x: Array, y: Array) -> tuple[Array, Array]:
        i, j, t, s, _, _ = self._locate(x, y)
        gx = self._patch(i, j, _hermite_slope(t), hermite(s)) / self.hx
        gy = self._patch(i, j, hermite(t), _hermite_slope(s)) / self.hy
        return gx, gy


def hermite(t: Any) -> tuple[Any, Any, Any, Any]:
    """Cubic Hermite basis: value at 0, value at 1, slope at 0, slope at 1."""
    t2, t3 = t * t, t * t * t
    return 2 * t3 - 3 * t2 + 1, 3 * t2 - 2 * t3, t3 - 2 * t2 + t, t3 - t2


def _hermite_slope(t: Array) -> tuple[Array, Array, Array, Array]:
    t2 = t * t
    return 6 * t2 - 6 * t, 6 * t - 6 * t2, 3 * t2 - 4 * t + 1, 3 * t2 - 2 * t


KINDS: dict[str, type[Surface]] = {
    "bowl": Bowl,
    "ravine": Ravine,
    "saddle": Saddle,
    "cliff": Cliff,
    "star": Star,
    "grid": Grid,
}


def make_surface(spec: Mapping[str, Any]) -> Surface:
    """The surface that a spec describes.

    >>> bowl = make_surface(analytic()["bowl"])
    >>> float(bowl.loss(np.array(1.0), np.array(0.0)))
    0.5

    Raises:
        ConfigError: the spec's ``kind`` is none of :data:`KINDS`.
    """
    kind = spec["kind"]
    if kind not in KINDS:
        raise unknown("kind of surface", kind, KINDS)
    return KINDS[kind](dict(spec))  # type: ignore[call-arg]  # Protocol has no constructor


@cache
def _analytic_text() -> str:
    return (Path(__file__).parent / "surfaces.json").read_text("utf-8")


def analytic() -> dict[str, Spec]:
    """Specs of the analytic surfaces by name (a fresh copy each call).

    >>> list(analytic())
    ['bowl', 'ravine', 'saddle', 'cliff', 'star']
    """
    return {spec["name"]: spec for spec in json.loads(_analytic_text())}
