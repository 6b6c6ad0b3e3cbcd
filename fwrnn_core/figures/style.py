"""Colours, line styles and sizes: one look for each thing, in every figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

WIDTH = 6.4  # inches; text of 10.5 pt stays legible when a phone shrinks it
INK = "#222222"
FAINT = "#8a8a8a"  # of lines and marks
MUTED = "#6b6b6b"  # of words, which need more contrast than lines


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
    "adam, tbptt": 4,
    "adam": 1,
    "tbptt + frank-wolfe": 6,
    "tbptt": 4,
    "sgd": 5,
    "gradient descent": 5,
    "normalised": 6,
    "frank-wolfe, k = 10": 3,
    "frank-wolfe, k = 1, tbptt": 6,
    "frank-wolfe, k = 1": 2,
    "frank-wolfe, k = 5, tbptt": 5,
    "frank-wolfe, tbptt": 5,
    "frank-wolfe": 0,
    # Not the light blue beside the blue of the same K with Adam outside.
    "plain update": 6,
    # The same three where a figure is about Frank-Wolfe alone.
    "k = 10": 3,
    "k = 1": 2,
    "k = 5": 0,
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


def readable(color: Any) -> str:
    """The colour, darkened as far as words in it need for a contrast of 4.5 : 1 on white.

    >>> readable("#0072b2"), readable("#b87a00")
    ('#0072b2', '#a16b00')
    """
    from matplotlib.colors import to_hex, to_rgb

    rgb = to_rgb(color)
    while 1.05 / (_luminance(rgb) + 0.05) < 4.5:
        rgb = (0.99 * rgb[0], 0.99 * rgb[1], 0.99 * rgb[2])
    return to_hex(rgb)


def _luminance(rgb: Sequence[float]) -> float:
    """Relative luminance of WCAG 2.1."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


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
    # 0.01, 0.1, 1, 10, 100 need no powers of ten.
    "axes.formatter.min_exponent": 3,
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
    "xtick.minor.size": 2,
    "ytick.minor.size": 2,
    "xtick.minor.width": 0.5,
    "ytick.minor.width": 0.5,
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


def use() -> None:
    """Set the style; inside a notebook also the format of its figures, which is SVG."""
    import seaborn as sns
    from cycler import cycler

    cycle = cycler(color=[one.color for one in LOOKS])
    sns.set_theme(context="notebook", style="ticks", rc={**STYLE, "axes.prop_cycle": cycle})
    try:
        from IPython import get_ipython
    except ImportError:
        return
    if get_ipython() is not None:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        # Without a date the same figure is the same file.
        set_matplotlib_formats("svg", metadata={"Date": None})
