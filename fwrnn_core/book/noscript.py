"""What a page says where scripts do not run: an empty place and raw LaTeX explain nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

WIDGET = "application/vnd.jupyter.widget-view+json"
# The theme's own classes of MyST pages: inline and displayed formulas.
FORMULA = ("math notranslate", 'class="math')


def say(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """``html-page-context``: put the sentence before the page's text, for who needs it alone."""
    if body := context.get("body"):
        context["body"] = sentence(body) + body


def sentence(body: str) -> str:
    """The ``<noscript>`` of a page; "" where nothing on it needs a script.

    >>> sentence("<p>words</p>")
    ''
    """
    lost = []
    if WIDGET in body:
        lost.append("the picture that you can move is missing")
    if any(mark in body for mark in FORMULA):
        lost.append("formulas show as LaTeX")
    if not lost:
        return ""
    said = " and ".join(lost)
    return (
        '<noscript><div class="admonition note"><p class="admonition-title">Without JavaScript</p>'
        f"<p>On this page {said}. Text, tables and figures are complete.</p></div></noscript>\n"
    )
