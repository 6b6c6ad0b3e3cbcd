"""Figures with one labelled panel or several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fwrnn_core.figures.key import element_id
from fwrnn_core.figures.style import WIDTH

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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


def key_below(fig: Figure, axes: Sequence[Axes], columns: int = 3) -> None:
    """A legend below the panels that names what they show, each name once.

    Like names at the ends of curves it is carried inside the picture for phones, which show a part.
    """
    from matplotlib.lines import Line2D

    named: dict[str, Artist] = {}
    for ax in axes:
        for handle, name in zip(*ax.get_legend_handles_labels(), strict=True):
            named.setdefault(name, handle)
    if named:
        handles, names = list(named.values()), list(named)
        drawn = fig.legend(handles, names, loc="outside lower center", ncols=columns, fontsize=9)
        for words, handle in zip(drawn.get_texts(), handles, strict=True):
            if isinstance(handle, Line2D):
                words.set_gid(element_id(handle))
