"""The names of curves, carried inside a picture for who cannot see all of it at once.

On a phone a figure scrolls, and the names at the curves' ends lie beyond the edge of the screen. An
SVG can hold, as the id of a name's element, how the curve of that name looks; the book sets a key
under the picture from that (:mod:`fwrnn_core.book.key`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree

from fwrnn_core.figures.style import LOOKS

if TYPE_CHECKING:
    from matplotlib.lines import Line2D

_START = "curve:"


class Entry(NamedTuple):
    """A curve's name, its colour ``#rrggbb``, its dashes in points (none: solid), its marker."""

    name: str
    color: str
    dashes: tuple[float, ...]
    marker: str


def entry(line: Line2D) -> Entry:
    """What a key says of a line.

    >>> from matplotlib.lines import Line2D
    >>> entry(Line2D([], [], color="#d55e00", linestyle=(0, (5, 1.5)), marker="s", label="Adam"))
    Entry(name='Adam', color='#d55e00', dashes=(5, 1.5), marker='s')
    """
    from matplotlib.colors import to_hex

    color = to_hex(line.get_color())
    # A line does not tell its own dashes; each colour of the book has its own.
    known = {look.color: look.linestyle for look in LOOKS}.get(color, "-")
    dashes = (4, 2) if known == "-" else known[1]
    if line.get_linestyle() == ":":
        dashes = (1, 1.6)
    solid = line.get_linestyle() == "-"
    marker = str(line.get_marker())
    return Entry(str(line.get_label()), color, () if solid else dashes, marker)


def element_id(line: Line2D) -> str:
    """The id that the element of a line's name gets."""
    return _START + json.dumps(entry(line), ensure_ascii=False)


def entries(svg: str) -> list[Entry]:
    r"""The key of a picture, each entry once, in the order in which it is drawn.

    >>> entries("<svg><g id='curve:[\"K = 5\", \"#0072b2\", [], \"o\"]'/></svg>")
    [Entry(name='K = 5', color='#0072b2', dashes=(), marker='o')]
    """
    ids = (element.get("id", "") for element in ElementTree.fromstring(svg).iter())
    found = (json.loads(each.removeprefix(_START)) for each in ids if each.startswith(_START))
    return list(dict.fromkeys(Entry(n, c, tuple(d), m) for n, c, d, m in found))
