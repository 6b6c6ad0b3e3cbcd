"""Curves over time, and histograms of angles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from fwrnn_core.errors import ConfigError
from fwrnn_core.figures.labels import label_ends
from fwrnn_core.figures.style import FAINT, Look, looks
from fwrnn_core.figures.summary import Spread, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def band(
    ax: Axes,
    x: ArrayLike,
    drawn: Spread,
    look: Look,
    label: str,
    *,
    alpha: float = 0.18,
    **line: Any,
) -> None:
    """The centre of a spread over ``x`` as a line, and its limits, where they lie apart, as a band.

    ``alpha`` is that of the band, ``line`` are further properties of the line; it has a marker at
    about every eighth of its points unless they say ``markevery``.
    """
    line.setdefault("markevery", max(1, len(drawn.centre) // 8))
    style = {"color": look.color, "linestyle": look.linestyle, "marker": look.marker}
    ax.plot(x, drawn.centre, label=label, **style, **line)
    if np.any(drawn.low < drawn.high):
        ax.fill_between(x, drawn.low, drawn.high, color=look.color, alpha=alpha, linewidth=0)


def curves(
    ax: Axes,
    series: Mapping[str, ArrayLike],
    x: ArrayLike | None = None,
    *,
    kind: Literal["interval", "range"] = "interval",
    ends: bool = True,
) -> dict[str, Spread]:
    """One curve per label: float [points] for one run, or [runs, points] with a band around it.

    ``x`` defaults to 1, 2, …  Labels stand at the ends of the curves unless ``ends`` is False
    (then call :func:`label_ends` or ``ax.legend()``). Returns what was drawn.
    """
    drawn: dict[str, Spread] = {}
    for label, style in looks(list(series)).items():
        one = spread(series[label], kind)
        points = np.arange(1, one.centre.size + 1) if x is None else np.asarray(x)
        if points.shape != one.centre.shape:
            raise ConfigError(f"{label!r} has {one.centre.size} points, x has {points.size}.")
        every = max(1, points.size // 8)
        band(ax, points, one, style, label, markevery=(every // 2, every))
        drawn[label] = one
    if ends:
        label_ends(ax)
    return drawn


def stand_out(
    ax: Axes, series: Mapping[str, tuple[ArrayLike, ArrayLike]], names: Sequence[str]
) -> None:
    """The curves (x, y) with these names in their looks, all others thin and grey behind them.

    The grey ones are named together, as "other runs"; call :func:`~fwrnn_core.figures.key_below`
    or ``ax.legend()``.
    """
    others = [label for label in series if label not in names]
    for number, label in enumerate(others):
        whose = "other runs" if number == 0 else "_"
        ax.plot(*series[label], color=FAINT, linewidth=0.8, alpha=0.8, zorder=1.5, label=whose)
    known = looks(list(series))
    for label in (name for name in names if name in series):
        one = known[label]
        style = {"color": one.color, "linestyle": one.linestyle, "marker": one.marker}
        ax.plot(*series[label], **style, markersize=4, linewidth=1.6, label=label)


def angle_histogram(
    ax: Axes, series: Mapping[str, ArrayLike], *, bins: int = 36, limit: float = 180.0
) -> None:
    """Histograms of angles in degrees (0 … ``limit``), as outlines so that none hides another.

    The mean of each is a tick on the axis; 90°, where a direction stops descending, is marked.
    """
    edges = np.linspace(0.0, limit, bins + 1)
    for label, style in looks(list(series)).items():
        values = np.asarray(series[label], dtype=float)
        values = values[np.isfinite(values)]
        share, _ = np.histogram(values, bins=edges)
        ax.stairs(
            100 * share / max(1, values.size),
            edges,
            label=f"{label}: {values.mean():.1f}° ± {values.std():.1f}°" if values.size else label,
            color=style.color,
            linestyle=style.linestyle,
            linewidth=1.8,
        )
        if values.size:
            ax.plot(values.mean(), 0, marker="^", color=style.color, clip_on=False, zorder=5)
    if limit >= 90:
        ax.axvline(90, color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)))
    ax.set_xlim(0, limit)
    ax.set_ylim(bottom=0)
    ax.set_xticks(np.arange(0, limit + 1, 30 if limit > 60 else 10))
    ax.set_xlabel("angle (degrees)")
    ax.set_ylabel("share of steps (%)")
    ax.legend(loc="best", fontsize=9.5)
