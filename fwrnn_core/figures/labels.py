"""Names at the ends of curves, moved apart where they would touch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from fwrnn_core.figures.key import element_id
from fwrnn_core.figures.style import FAINT, STYLE, readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def label_ends(ax: Axes) -> None:
    """Write each labelled line's name right of its last point, moved apart where they would touch.

    Call it last: it fixes the y limits.
    """
    lines = [ln for ln in ax.get_lines() if not str(ln.get_label()).startswith("_")]
    last = [_last_finite(line.get_xydata()) for line in lines]
    ax.set_ylim(ax.get_ylim())
    ax.figure.draw_without_rendering()  # type: ignore[union-attr]
    to_axes = ax.transData + ax.transAxes.inverted()
    points = [np.clip(to_axes.transform(point), 0, 1) for point in last]
    height = ax.get_window_extent().height
    gap = 1.25 * STYLE["font.size"] * ax.figure.dpi / 72 / height
    places = spread_out([float(point[1]) for point in points], gap)
    for line, point, place in zip(lines, points, places, strict=True):
        # A leader across the panel in the curve's own colour would read as more of the curve.
        far = point[0] < 0.9
        ax.annotate(
            str(line.get_label()),
            xy=(point[0], point[1]),
            xytext=(1.03, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            color=readable(line.get_color()),
            gid=element_id(line),
            arrowprops={
                "arrowstyle": "-",
                "color": FAINT if far else line.get_color(),
                "linestyle": ":" if far else "-",
                "linewidth": 0.7,
                "shrinkA": 1,
                "shrinkB": 4,
            },
            annotation_clip=False,
        )


def _last_finite(points: ArrayLike) -> np.ndarray:
    values = np.asarray(points, dtype=float)
    finite = values[np.isfinite(values).all(axis=1)]
    return finite[-1] if finite.size else np.zeros(2)


def spread_out(positions: Sequence[float], gap: float) -> list[float]:
    """Positions moved as little as possible (least squares) so that all are ``gap`` apart.

    Their order stays. With i·gap taken off the i-th, "gap apart" becomes "not decreasing", and
    the answer is isotonic regression.

    >>> spread_out([0.5, 0.5, 2.0], gap=1.0)
    [0.0, 1.0, 2.0]
    """
    from scipy.optimize import isotonic_regression

    if not positions:
        return []
    order = np.argsort(positions, kind="stable")
    ranks = gap * np.arange(len(order))
    placed = np.empty(len(order))
    placed[order] = isotonic_regression(np.asarray(positions)[order] - ranks).x + ranks
    return placed.tolist()
