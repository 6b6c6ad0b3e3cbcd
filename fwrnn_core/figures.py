"""One plotting style for the whole book.

Colours come from Okabe and Ito's palette, which people with any kind of colour vision can tell
apart; every colour has a line style and a marker of its own, so that a figure also reads in grey.
Backgrounds are transparent and the page turns lightness around in dark mode. Curves are labelled
at their ends, where the eye is, rather than in a legend.

    from fwrnn_core import figures
    figures.use()
    fig, ax = figures.panel(ylabel="test accuracy", xlabel="epoch")
    figures.curves(ax, {"Adam": accuracy_of_adam, "Frank-Wolfe, K = 5": accuracy_of_ours})
    fig  # shown because it is the last line of its cell
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fwrnn_core.errors import ConfigError, unknown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 6.4  # inches; text of 10.5 pt stays legible when a phone shrinks it
INK = "#222222"
FAINT = "#8a8a8a"


class Look(NamedTuple):
    """How one thing is drawn wherever it appears."""

    color: str
    linestyle: Any
    marker: str


# Okabe and Ito (2008), those first that keep a contrast of 3 : 1 on white.
LOOKS = (
    Look("#0072b2", "-", "o"),
    Look("#d55e00", (0, (5, 1.5)), "s"),
    Look("#007a5a", (0, (1.2, 1.2)), "^"),
    Look("#a8568a", (0, (6, 1.5, 1.2, 1.5)), "D"),
    Look("#222222", (0, (3, 3)), "v"),
    Look("#2a8fc7", (0, (8, 2, 1.2, 2, 1.2, 2)), "P"),
    Look("#b87a00", (0, (2, 1)), "X"),
)

# A method keeps its look through all chapters; the first entry that a label begins with counts.
METHODS = {
    "adam + clip": 4,
    "adam, clip": 4,
    "adam": 1,
    "tbptt + frank-wolfe": 6,
    "tbptt": 4,
    "sgd": 5,
    "gradient descent": 5,
    "normalised": 6,
    "frank-wolfe, k = 10": 3,
    "frank-wolfe, k = 1": 2,
    "frank-wolfe": 0,
}


def look(label: str, index: int = 0) -> Look:
    """The look of a label: its method's if it names one, else the one numbered ``index``.

    >>> look("Frank-Wolfe, K = 5").color, look("Adam").marker
    ('#0072b2', 's')
    """
    for prefix, number in METHODS.items():
        if label.lower().startswith(prefix):
            return LOOKS[number]
    return LOOKS[index % len(LOOKS)]


def looks(labels: Sequence[str]) -> dict[str, Look]:
    """A look for each label, all different as far as they go round.

    >>> len({l.color for l in looks(["Adam", "x", "y", "Frank-Wolfe"]).values()})
    4
    """
    given: dict[str, Look] = {}
    for label in labels:
        known = any(label.lower().startswith(prefix) for prefix in METHODS)
        if known and look(label) not in given.values():
            given[label] = look(label)
    free = [one for one in LOOKS if one not in given.values()] or list(LOOKS)
    rest = [label for label in labels if label not in given]
    given.update({label: free[i % len(free)] for i, label in enumerate(rest)})
    return {label: given[label] for label in labels}


STYLE: dict[str, Any] = {
    "figure.figsize": (WIDTH, 3.6),
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "figure.dpi": 100,
    "savefig.facecolor": "none",
    "savefig.transparent": True,
    "axes.facecolor": "none",
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.labelsize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#c9c9c9",
    "grid.linewidth": 0.5,
    "font.size": 10.5,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "mathtext.fontset": "dejavusans",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.8,
    "ytick.major.width": 0.8,
    "xtick.major.size": 4,
    "ytick.major.size": 4,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "legend.frameon": False,
    "image.cmap": "cividis",
    # Glyphs as paths: an SVG shown as a picture cannot load the page's fonts.
    "svg.fonttype": "path",
    "svg.hashsalt": "fwrnn",
}


def use(format: Literal["svg", "png"] = "svg") -> None:
    """Set the style; inside a notebook also the format of its figures ("png" for dense images)."""
    import seaborn as sns
    from cycler import cycler

    if format not in ("svg", "png"):
        raise unknown("figure format", format, ["svg", "png"])
    cycle = cycler(color=[one.color for one in LOOKS])
    sns.set_theme(context="notebook", style="ticks", rc={**STYLE, "axes.prop_cycle": cycle})
    try:
        from IPython import get_ipython
    except ImportError:
        return
    if get_ipython() is not None:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        # Without a date the same figure is the same file.
        options: dict[str, Any] = {"metadata": {"Date": None}} if format == "svg" else {"dpi": 160}
        set_matplotlib_formats(format, **options)


def panel(
    *,
    xlabel: str = "",
    ylabel: str = "",
    title: str = "",
    height: float = 3.6,
    width: float = WIDTH,
) -> tuple[Figure, Axes]:
    """A figure with one labelled panel; sizes in inches."""
    fig, axes = panels(1, titles=[title], xlabel=xlabel, ylabel=ylabel, height=height, width=width)
    return fig, axes[0]


def panels(
    count: int,
    *,
    titles: Sequence[str] = (),
    xlabel: str = "",
    ylabel: str = "",
    height: float = 3.0,
    width: float = WIDTH,
    sharey: bool = True,
) -> tuple[Figure, list[Axes]]:
    """``count`` panels side by side; the y label stands once when they share the axis."""
    from matplotlib.figure import Figure

    # Not pyplot's: a notebook would show such a figure a second time at the end of the cell.
    fig = Figure(figsize=(width, height))
    grid = fig.subplots(1, count, sharey=sharey, squeeze=False)
    axes = list(grid[0])
    for number, ax in enumerate(axes):
        ax.set_xlabel(xlabel)
        ax.set_title(titles[number] if number < len(titles) else "")
        if number == 0 or not sharey:
            ax.set_ylabel(ylabel)
    return fig, axes


class Spread(NamedTuple):
    """Centre and limits, each an array over the last axis of what was summarised."""

    centre: np.ndarray
    low: np.ndarray
    high: np.ndarray


def spread(runs: ArrayLike, kind: Literal["interval", "range"] = "interval") -> Spread:
    """Summary of runs (float [runs, points]) over the runs; NaN (a run that ended) is left out.

    "interval": mean and its 95 % confidence interval (Student's t). "range": mean, least and
    greatest. One run alone has no interval: its limits are NaN.

    >>> spread([[1.0, 2.0], [3.0, 2.0]], "range")
    Spread(centre=array([2., 2.]), low=array([1., 2.]), high=array([3., 2.]))
    """
    values = np.atleast_2d(np.asarray(runs, dtype=float))
    count = np.sum(~np.isnan(values), axis=0)
    masked = np.ma.masked_invalid(values)
    mean = np.ma.filled(masked.mean(axis=0), np.nan)
    if kind == "range":
        low = np.ma.filled(masked.min(axis=0), np.nan)
        high = np.ma.filled(masked.max(axis=0), np.nan)
        return Spread(mean, low, high)
    if kind != "interval":
        raise unknown("kind of spread", kind, ["interval", "range"])
    from scipy.stats import t

    several = count > 1
    degrees = np.where(several, count - 1, 1)
    variance = np.nansum((values - mean) ** 2, axis=0) / degrees
    half = np.where(
        several, t.ppf(0.975, degrees) * np.sqrt(variance / np.maximum(count, 1)), np.nan
    )
    return Spread(mean, mean - half, mean + half)


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
        ax.plot(
            points,
            one.centre,
            label=label,
            color=style.color,
            linestyle=style.linestyle,
            marker=style.marker,
            markevery=(every // 2, every),
        )
        if np.isfinite(one.low).any():
            ax.fill_between(points, one.low, one.high, color=style.color, alpha=0.18, linewidth=0)
        drawn[label] = one
    if ends:
        label_ends(ax)
    return drawn


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
        ax.annotate(
            str(line.get_label()),
            xy=(point[0], point[1]),
            xytext=(1.03, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            color=line.get_color(),
            arrowprops={
                "arrowstyle": "-",
                "color": line.get_color(),
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
    the answer is isotonic regression (pool adjacent violators).

    >>> spread_out([0.5, 0.5, 2.0], gap=1.0)
    [0.0, 1.0, 2.0]
    """
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    blocks: list[tuple[float, int]] = []
    for rank, i in enumerate(order):
        mean, size = positions[i] - rank * gap, 1
        while blocks and blocks[-1][0] > mean:
            before, count = blocks.pop()
            mean, size = (before * count + mean * size) / (count + size), count + size
        blocks.append((mean, size))
    levels = [mean for mean, size in blocks for _ in range(size)]
    placed = [0.0] * len(positions)
    for rank, i in enumerate(order):
        placed[i] = levels[rank] + rank * gap
    return placed


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
