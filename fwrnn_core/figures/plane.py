"""The plane of the inner loop: level lines, balls and walks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fwrnn_core.figures.style import FAINT, LOOKS, look

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def ball_outline(
    centre: ArrayLike, radius: float, norm: float = 2.0, points: int = 361
) -> np.ndarray:
    """Outline of a p-norm ball in the plane, float [points, 2], closed.

    >>> ball_outline((0, 0), 1.0, np.inf, 5).round(6).tolist()[:3]
    [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]
    """
    angle = np.linspace(0, 2 * np.pi, points)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    length = np.linalg.norm(circle, ord=norm, axis=1, keepdims=True)
    return np.asarray(centre, dtype=float) + radius * circle / length


def ball(ax: Axes, centre: ArrayLike, radius: float, norm: float = 2.0, **style: Any) -> None:
    """Draw a p-norm ball in the plane, filled faintly."""
    outline = ball_outline(centre, radius, norm)
    color = style.pop("color", LOOKS[0].color)
    ax.fill(*outline.T, color=color, alpha=style.pop("alpha", 0.08), linewidth=0)
    ax.plot(*outline.T, color=color, **{"linewidth": 1.2, "label": "_ball", **style})


def walk(ax: Axes, points: ArrayLike, label: str = "", index: int = 0, **style: Any) -> None:
    """A path through points in the plane (float [steps, 2]) with a marker at each."""
    one = look(label, index)
    name = label or "_walk"
    defaults = {"color": one.color, "linestyle": one.linestyle, "marker": one.marker, "label": name}
    ax.plot(*np.asarray(points, dtype=float).T, **{**defaults, **style})


def surface(
    ax: Axes, f: Any, x: tuple[float, float], y: tuple[float, float], levels: int = 14
) -> None:
    """Level lines of ``f(X, Y)`` (vectorised) over a rectangle, in grey under everything else."""
    grid = np.meshgrid(np.linspace(*x, 161), np.linspace(*y, 161))
    values = f(*grid)
    ax.contour(*grid, values, levels=levels, colors=FAINT, linewidths=0.6, alpha=0.8)
    ax.set_xlim(*x)
    ax.set_ylim(*y)
    ax.grid(False)
    ax.set_aspect("equal")
