"""What a page says of itself to search engines and to those with whom its link is shared."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from docutils import nodes

if TYPE_CHECKING:
    from sphinx.application import Sphinx

LENGTH = 200
# Not after "Sec.", "Fig." and "et al.", which end no sentence.
_SENTENCES = re.compile(r"(?<=[.!?])(?<!Sec\.)(?<!Fig\.)(?<!al\.)\s+")
_HEADS = ("", "Question.", "In short.", "What we did.")
_LETTERS = {"delta": "δ", "omega": "ω", "gamma": "γ"}
_GREEK = re.compile(r"\\(" + "|".join(_LETTERS) + r")\b")
_PLAIN = re.compile(r"(?:[^\W_]|[ =<>.])+")
ENOUGH = 40  # characters; less says nothing of a page


def describe_page(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """``html-page-context``: a description without LaTeX, unless the page gives one of its own."""
    if doctree is None:
        return
    meta = context["meta"] = dict(context.get("meta") or {})
    if "og:description" not in meta and (text := description(doctree)):
        meta["og:description"] = text
        context["metatags"] = f'<meta name="description" content="{_quoted(text)}" />\n' + (
            context.get("metatags") or ""
        )


def description(doctree: nodes.document) -> str:
    """The page's first sentences that say something by themselves, up to 200 characters.

    It ends before a sentence that holds mathematics, or leads by a colon to what is not there, and
    begins with no sentence that follows one of these in its paragraph."""
    chosen = ""
    for paragraph in doctree.findall(nodes.paragraph):
        if not isinstance(paragraph.parent, nodes.section):
            continue
        for sentence in _SENTENCES.split(_prose(paragraph)):
            if sentence in _HEADS:
                continue
            told = not ("\0" in sentence or sentence.endswith(":"))
            if len(chosen) >= ENOUGH and (not told or len(chosen) + len(sentence) >= LENGTH):
                return chosen
            if not told:
                chosen = ""
                break  # the next sentence may need this one
            chosen = f"{chosen} {sentence}".strip()
            if len(chosen) > LENGTH:
                return chosen[: LENGTH - 1].rsplit(" ", 1)[0] + "…"
    return chosen


def _prose(paragraph: nodes.paragraph) -> str:
    """The paragraph's text, with a NUL where there is a formula that is more than letters."""
    parts = []
    for node in paragraph.findall():
        if isinstance(node, nodes.math):
            plain = _GREEK.sub(lambda found: _LETTERS[found[1]], node.astext())
            parts.append(plain if _PLAIN.fullmatch(plain) else "\0")
        elif isinstance(node, nodes.Text) and not isinstance(node.parent, nodes.math):
            parts.append(str(node))
    return " ".join("".join(parts).split())


def _quoted(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
