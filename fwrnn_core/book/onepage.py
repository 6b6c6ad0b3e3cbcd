"""``fwrnn book --format singlehtml``: the whole book on one page that works like the others.

Sphinx files that page under the first chapter's name while its links start at the root, and gives
it the widgets of that chapter only.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fwrnn_core.batch.catalog import book_notebooks
from fwrnn_core.batch.plan import executed
from fwrnn_core.batch.stamp import read

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_MIME = "application/vnd.jupyter.widget-state+json"


def add_widgets(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """``html-page-context``: the saved widget state of every notebook, not of the first alone."""
    if app.builder.name != "singlehtml":
        return
    states: dict[str, Any] = {}
    for name in book_notebooks():
        widgets = read(executed() / name)["metadata"].get("widgets", {})
        states.update(widgets.get(_MIME, {}).get("state", {}))
    # A script's text ends at the first "</script", whatever stands around it.
    body = json.dumps({"state": states}).replace("<", "\\u003c")
    app.add_js_file(None, body=body, type=_MIME)


def move_page(app: Sphinx, error: Exception | None) -> None:
    """``build-finished``: put the page where its links to styles and pictures start."""
    if error or app.builder.name != "singlehtml":
        return
    out, root = Path(app.outdir), app.config.root_doc
    page = out / f"{root}.html"
    text = page.read_text(encoding="utf-8").replace(f'href="#document-{root}"', 'href="#"')
    (out / "index.html").write_text(text, encoding="utf-8")
    page.unlink()
