"""What a line must not break: "1.2 ± 0.3", "58 %", "K = 5", "Fig. 4" and "HAR-2"."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_NUMBER = r"\d+(?:[.,]\d+)*"
_WHOLE = re.compile(
    rf"([+−]?{_NUMBER} ± {_NUMBER}|{_NUMBER} %|\b[Kp] = (?:{_NUMBER}|∞)"
    rf"|\b(?:Fig\.|Eq\.|Table) (?:\d+|[IVX]+)\b|\bHAR-2\b)"
)


def pieces(text: str) -> list[str]:
    """The text in pieces, of which every second one must stay on a line.

    >>> pieces("On HAR-2 (Fig. 6) with K = 5: +1.2 ± 0.3, in 95 % of")
    ['On ', 'HAR-2', ' (', 'Fig. 6', ') with ', 'K = 5', ': ', '+1.2 ± 0.3', ', in ', '95 %', ' of']
    """
    return _WHOLE.split(text.replace("\n", " "))


def keep_together(app: Sphinx, doctree: Any, docname: str) -> None:
    """``doctree-resolved``: set those pieces in spans of the class ``kept``, code aside."""
    from docutils import nodes

    for text in list(doctree.findall(nodes.Text)):
        if isinstance(text.parent, (nodes.literal, nodes.FixedTextElement, nodes.raw, nodes.math)):
            continue
        parts = pieces(text.astext())
        if len(parts) > 1:
            text.parent.replace(
                text,
                [
                    nodes.inline("", part, classes=["kept"]) if i % 2 else nodes.Text(part)
                    for i, part in enumerate(parts)
                    if part
                ],
            )
