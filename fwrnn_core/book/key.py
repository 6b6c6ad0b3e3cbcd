"""On a phone: the key of a figure under its picture, whose names lie beyond the edge."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fwrnn_core.figures.key import Entry, entries

if TYPE_CHECKING:
    from sphinx.application import Sphinx

# Markers of the book's looks around the point (14, 6), 7 across.
_MARKERS = {
    "o": '<circle cx="14" cy="6" r="3.4"/>',
    "s": '<path d="M11 3h6v6h-6z"/>',
    "^": '<path d="M14 2.2l3.8 7h-7.6z"/>',
    "v": '<path d="M14 9.8l3.8-7h-7.6z"/>',
    "D": '<path d="M14 2l4 4-4 4-4-4z"/>',
    "P": '<path d="M12.8 2.2h2.4v2.6h2.6v2.4h-2.6v2.6h-2.4v-2.6h-2.6v-2.4h2.6z"/>',
    "X": '<path d="M11.4 2l2.6 2.5 2.6-2.5 1.4 1.4-2.5 2.6 2.5 2.6-1.4 1.4-2.6-2.5-2.6 2.5-1.4-1.4'
    ' 2.5-2.6-2.5-2.6z"/>',
}


def swatch(entry: Entry) -> str:
    """A piece of the curve with its marker, 28 by 12 pixels; the name beside it says the rest."""
    dashes = " ".join(f"{1.8 * d:g}" for d in entry.dashes)
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        '<svg viewBox="0 0 28 12" width="28" height="12" aria-hidden="true"'
        f' fill="{entry.color}" stroke="{entry.color}">'
        f'<path d="M0 6h28" stroke-width="1.8"{dashed}/>{_MARKERS.get(entry.marker, "")}</svg>'
    )


def key(svg: str) -> str:
    """The key of a picture as an HTML list; empty for one without names at the ends of curves.

    >>> key("<svg></svg>")
    ''
    """
    items = [
        f"<li>{swatch(one)} {html.escape(one.name)}</li>"
        for one in entries(svg)
        if one.name and "$" not in one.name
    ]
    return f'<ul class="figure-key">{"".join(items)}</ul>' if items else ""


def add_keys(app: Sphinx, doctree: Any, docname: str) -> None:
    """``doctree-resolved``: put a key below each picture that has one."""
    from docutils import nodes

    for image in list(doctree.findall(nodes.image)):
        path = Path(app.srcdir, image["uri"])
        if path.suffix == ".svg" and path.is_file() and (text := key(path.read_text("utf-8"))):
            place = image.parent.index(image)
            image.parent.insert(place + 1, nodes.raw("", text, format="html"))
