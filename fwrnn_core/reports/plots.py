"""Figures of the experiment pages; each draws what is recorded and says where nothing is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fwrnn_core import figures
from fwrnn_core.errors import choice
from fwrnn_core.reports.names import (
    X_AXES,
    Y_AXES,
    is_ours,
    label,
    listed,
    method,
    published,
    short,
)
from fwrnn_core.reports.runs import Recorded, timed_alike
from fwrnn_core.reports.short_runs import has_moved
from fwrnn_core.reports.tables import best_accuracy
from fwrnn_core.training import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SMOOTH = 9  # epochs in the running mean of a long curve
WINDOW = 15  # minibatch losses in theirs
FEW = 8  # minibatch losses, too few for a curve
# On the axis itself, where no caption has to know which axis was chosen.
UNTIMED = " (several versions or machines: not comparable)"


def rows(parts: Mapping[str, Recorded], *, height: float = 3.3) -> tuple[Figure, dict[str, Axes]]:
    """Titled panels below one another, ``height`` inches each, with room for labels at the ends.

    A panel of which nothing is recorded is low: it only says so.
    """
    from matplotlib.figure import Figure

    heights = [height if part.found else 1.1 for part in parts.values()]
    fig = Figure(figsize=(figures.WIDTH, sum(heights)))
    grid = fig.subplots(len(parts), 1, squeeze=False, height_ratios=heights)
    axes = dict(zip(parts, grid[:, 0], strict=True))
    for title, ax in axes.items():
        ax.set_title(title)
    return fig, axes


def shown(fig: Figure, begun: object) -> Figure | None:
    """The figure, or None, which a page shows without a caption, where nothing has ``begun``."""
    return fig if begun else None


def note(ax: Axes, text: str) -> None:
    """Words in a panel that has nothing else to show."""
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color=figures.MUTED)
    ax.set(xticks=[], yticks=[], xlabel="", ylabel="")
    ax.grid(False)


def draw(ax: Axes, runs: Recorded, curve: str, x: str = "epoch") -> None:
    """One line per record: ``curve`` over ``x`` (a key of :data:`X_AXES`), labels at the ends.

    Over more than 60 epochs the line is a running mean of :data:`SMOOTH` of them and a faint one
    shows each. Accuracies are drawn in per cent. Raises
    :class:`~fwrnn_core.errors.ConfigError` for another x.
    """
    choice("x axis", x, X_AXES)
    for record, line in _lines(ax, runs):
        values = record.curve(curve) * _scale(curve)
        if len(values) > 60:
            line(record.curve(x), values, faint=True)
            values = running_mean(values, SMOOTH)
        line(record.curve(x), values)
    _finish(ax, runs, x, Y_AXES[curve])


def running_mean(values: np.ndarray, width: int) -> np.ndarray:
    """Mean over ``width`` neighbours, fewer at both ends, so that none is dropped.

    >>> running_mean(np.array([0.0, 3.0, 6.0, 0.0]), 3).tolist()
    [1.5, 3.0, 3.0, 3.0]
    """
    kernel = np.ones(min(width, len(values)))
    counts = np.convolve(np.ones(len(values)), kernel, mode="same")
    return np.asarray(np.convolve(values, kernel, mode="same") / counts)


def draw_losses(ax: Axes, runs: Recorded, x: str = "updates") -> None:
    """Minibatch losses over ``x`` (a key of :data:`X_AXES`), as a running mean.

    A run of hundreds of epochs keeps few of its first ones' minibatch losses. Where each record has
    fewer than :data:`FEW`, which are chance more than a curve, the epochs' means are drawn.
    """
    choice("x axis", x, X_AXES)
    if runs.found and all(len(r.body["losses"]["loss"]) < FEW for r in runs.found):
        for record, line in _lines(ax, runs):
            line(record.curve(x), record.curve("train_loss"))
        return _finish(ax, runs, x, "training loss,\nmean of an epoch")
    for record, line in _lines(ax, runs):
        line(*_smooth(record, x))
    _finish(ax, runs, x, "minibatch loss")


def _smooth(record: Record, x: str) -> tuple[np.ndarray, np.ndarray]:
    """Where on the axis the kept minibatch losses lie, and their running mean."""
    losses = np.asarray(record.body["losses"]["loss"], dtype=float)
    # A partial record has few points: a longer window would be the whole curve.
    width = max(1, min(WINDOW, len(losses) // 4))
    return _places(record, x), running_mean(losses, width) if len(losses) else losses


def _places(record: Record, x: str) -> np.ndarray:
    """Where the kept minibatch losses lie on an axis that is known at the ends of epochs only."""
    at = np.asarray(record.body["losses"]["gradient_evaluation"], dtype=float)
    if x == "gradient_evaluations":
        return at
    if x == "updates":
        return np.asarray(record.body["losses"]["update"], dtype=float)
    known = np.concatenate([[0.0], record.curve("gradient_evaluations")])
    return np.interp(at, known, np.concatenate([[0.0], record.curve(x)]))


def draw_groups(
    ax: Axes,
    groups: Mapping[str, Sequence[Record]],
    x: str,
    curve: str = "",
    *,
    ends: bool = True,
) -> None:
    """Runs by label, one per seed: their mean, and their range as a band; the label at its end
    unless ``ends`` is False. A label keeps its look whichever others have runs.

    Draws the minibatch losses, as a running mean, or a per-epoch ``curve``. Of runs that ended
    before their first update there is nothing to draw; the title says so.
    """
    choice("x axis", x, X_AXES)
    still = [text for text, runs in groups.items() if runs and not any(map(has_moved, runs))]
    if still:
        ax.set_title(
            f"{listed([short(text) for text in still])}: too few minibatches for an update"
        )
    for text, look in figures.looks(list(groups)).items():
        if text in still or not groups[text]:
            continue
        lines = [
            (r.curve(x), r.curve(curve) * _scale(curve)) if curve else _smooth(r, x)
            for r in groups[text]
        ]
        # A run that diverged is shorter than those of other seeds.
        both = np.full((2, len(lines), max(len(places) for places, _ in lines)), np.nan)
        for number, line in enumerate(lines):
            both[:, number, : len(line[0])] = line
        places, values = both
        at = np.nanmean(places, axis=0)
        figures.band(ax, at, figures.spread(values, "range"), look, short(text))
    every = [run for runs in groups.values() for run in runs]
    _axis(ax, every, x, Y_AXES[curve] if curve else "minibatch loss")
    if ends:
        figures.label_ends(ax)


def _scale(curve: str) -> float:
    return 100.0 if curve.endswith("accuracy") else 1.0


def _lines(ax: Axes, runs: Recorded) -> Any:
    """Each record that has an epoch, and a function that draws its line.

    A method's look does not depend on which others are recorded, so that a figure keeps its colours
    while records arrive.
    """
    looks = figures.looks([label(config) for config in runs.configs])
    for record in (r for r in runs.found if r.epochs):
        look, text = looks[label(record)], short(label(record))
        if record.status != "complete" and not runs.extent:
            text += f" ({record.epochs} of {record.config.epochs})"

        def line(
            x: np.ndarray,
            y: np.ndarray,
            look: Any = look,
            text: str = text,
            faint: bool = False,
        ) -> None:
            if faint:
                ax.plot(x, y, color=look.color, linewidth=0.5, alpha=0.3, label="_", zorder=1.5)
                return
            style = {"color": look.color, "linestyle": look.linestyle, "marker": look.marker}
            thin: dict[str, Any] = {"linewidth": 1.3, "markersize": 4} if len(y) > 60 else {}
            ax.plot(x, y, label=text, markevery=max(1, len(y) // 8), **style, **thin)

        yield record, line


def _finish(ax: Axes, runs: Recorded, x: str, ylabel: str) -> None:
    if runs.extent:
        ax.set_title(", ".join(filter(None, [ax.get_title(loc="left"), runs.extent])))
    _axis(ax, runs.found, x, ylabel)
    if ax.get_lines():
        figures.label_ends(ax)
    else:
        note(ax, "no run is recorded yet")


def axis_label(x: str, records: Sequence[Record]) -> str:
    """The x axis's label, which says of seconds whether all are those of one core, and whether they
    can be compared between the runs."""
    choice("x axis", x, X_AXES)
    if x != "seconds":
        return X_AXES[x]
    places = [r.body.get("environment", {}) for r in records]
    alone = all(p.get("device", "cpu") == "cpu" and p.get("threads", 1) == 1 for p in places)
    return (X_AXES[x] if alone else "seconds") + ("" if timed_alike(records) else UNTIMED)


def _axis(ax: Axes, records: Sequence[Record], x: str, ylabel: str) -> None:
    ax.set_xlabel(axis_label(x, records))
    ax.set_ylabel(ylabel)
    longest = max((r.epochs for r in records), default=0)
    if x == "epoch" and longest == 1:
        ax.set_xticks([1])
        ax.set_xlim(0, 2)
    elif x == "epoch" and longest <= 12:
        ax.locator_params(axis="x", integer=True)


def draw_beside_print(
    ax: Axes,
    cover: Recorded,
    table: str,
    column: str,
    groups: Sequence[Sequence[str]] = (),
    further: Mapping[str, Sequence[float]] | None = None,
) -> None:
    """Best test accuracy of every run, and the paper's as a tick that no mark can hide.

    ``groups`` of methods stand together, in this order (default: all, in the order of ``cover``).
    ``further`` are a method's accuracies with other seeds, in per cent: faint dots below its line.
    """
    printed = published()[table]
    groups = groups or [[method(config) for config in cover.configs]]
    seen: set[str] = set()
    places: dict[float, str] = {}
    runs = {method(config): (config, record) for config, record in cover}
    for number, group in enumerate(groups):
        for slug in group:
            config, record = runs[slug]
            place = len(places) + 0.6 * number
            places[place] = label(config)
            paper = printed[slug][column]["accuracy"]
            tick: dict[str, Any] = {"marker": "|", "color": figures.INK, "markersize": 13}
            points = [(paper, "the paper", {**tick, "markeredgewidth": 2, "zorder": 4})]
            if record is not None and record.epochs:
                ours = best_accuracy(record)
                ax.plot([paper, ours], [place, place], color=figures.FAINT, linewidth=1, zorder=1)
                look, text = figures.LOOKS[1], "re-run, Adam"
                if is_ours(slug):
                    look, text = figures.LOOKS[0], "re-run, Frank-Wolfe"
                partial = record.status != "complete"
                text += ", part of its length" if partial else ""
                mark = "<" if partial else look.marker
                points.append((ours, text, {"marker": mark, "color": look.color, "markersize": 6}))
            for value in (further or {}).get(slug, ()):
                faint = {"marker": "o", "color": figures.FAINT, "markersize": 3}
                points.append((value, "re-run, further seeds", faint))
            for value, text, style in points:
                name = f"_{text}" if text in seen else text
                seen.add(text)
                below = 0.28 if text == "re-run, further seeds" else 0.0
                ax.plot(value, place + below, linestyle="none", label=name, **style)
    ax.set_yticks(list(places), list(places.values()))
    # Downwards, as in the table; said once more by a second panel that shares the axis.
    ax.set_ylim(max(places) + 0.6, -0.6)
    ax.set_xlabel("best test accuracy (%)")
