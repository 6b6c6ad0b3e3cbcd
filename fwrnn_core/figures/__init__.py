"""One plotting style for the whole book.

Colours come from Okabe and Ito's palette, which people with any kind of colour vision can tell
apart; every colour has a line style and a marker of its own, so that a figure also reads in grey.
Backgrounds are transparent and the page turns lightness around in dark mode. Curves are labelled
at their ends, where the eye is, rather than in a legend::

    from fwrnn_core import figures
    figures.use()
    fig, ax = figures.panel(ylabel="test accuracy", xlabel="epoch")
    figures.curves(ax, {"Adam": accuracy_of_adam, "Frank-Wolfe, K = 5": accuracy_of_ours})
    fig  # shown because it is the last line of its cell
"""

from fwrnn_core.figures.draw import angle_histogram, band, curves, stand_out
from fwrnn_core.figures.labels import label_ends, spread_out
from fwrnn_core.figures.layout import key_below, panel, panels
from fwrnn_core.figures.plane import ball, ball_outline, surface, walk
from fwrnn_core.figures.style import (
    FAINT,
    INK,
    LOOKS,
    METHODS,
    MUTED,
    STYLE,
    WIDTH,
    Look,
    look,
    looks,
    readable,
    use,
)
from fwrnn_core.figures.summary import Spread, spread

__all__ = [
    "FAINT",
    "INK",
    "LOOKS",
    "METHODS",
    "MUTED",
    "STYLE",
    "WIDTH",
    "Look",
    "Spread",
    "angle_histogram",
    "ball",
    "ball_outline",
    "band",
    "curves",
    "key_below",
    "label_ends",
    "look",
    "looks",
    "panel",
    "panels",
    "readable",
    "spread",
    "spread_out",
    "stand_out",
    "surface",
    "use",
    "walk",
]
