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
_HEADS = ("", "Question.")


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
    """The first sentences of a paragraph and those that go on from them, up to 200 characters and
    up to one that holds mathematics or leads, by a colon, to what is not there."""
    chosen = ""
    for paragraph in doctree.findall(nodes.paragraph):
        if not isinstance(paragraph.parent, nodes.section):
            continue
        for sentence in _SENTENCES.split(_prose(paragraph)):
            told = not ("\0" in sentence or sentence.endswith(":") or sentence in _HEADS)
            if chosen and (not told or len(chosen) + len(sentence) >= LENGTH):
                return chosen
            if not told and sentence not in _HEADS:
                break  # the next sentence may need this one
            if told and len(sentence) > LENGTH:
                return sentence[: LENGTH - 1].rsplit(" ", 1)[0] + "…"
            if told:
                chosen = f"{chosen} {sentence}".strip()
    return chosen


def _prose(paragraph: nodes.paragraph) -> str:
    """The paragraph's text, with a NUL where there is a formula."""
    parts = []
    for node in paragraph.findall():
        if isinstance(node, nodes.math):
            parts.append("\0")
        elif isinstance(node, nodes.Text) and not isinstance(node.parent, nodes.math):
            parts.append(str(node))
    return " ".join("".join(parts).split())


def _quoted(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
