"""A copy with parameters of one's own says so at its top.

Figures, tables and most numbers in sentences are computed, so they follow the parameters; prose and
captions were written for the book's settings and cannot. A reader of a copy has to know which of
the two is before them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fwrnn_core.batch.parameters import changed

TAG = "fwrnn-note"


def note(notebook: str, given: Mapping[str, Any]) -> str:
    """The note as Markdown; "" where every parameter is the book's. The profile is no setting."""
    own = {name: pair for name, pair in changed(notebook, given).items() if name != "profile"}
    if not own:
        return ""
    settings = "; ".join(
        f"`{name} = {value!r}` instead of `{_in_line(default)}`"
        for name, (value, default) in own.items()
    )
    return (
        f"> **Executed with parameters of its own:** {settings}. Figures, tables and computed "
        "numbers follow them. The prose and the captions were written for the book's values: "
        "what they say of a live run need not hold here."
    )


def _in_line(source: str) -> str:
    """A default's source text without its line breaks and comments."""
    return " ".join(line.partition("#")[0].strip() for line in source.splitlines())


def insert(notebook: Any, text: str) -> None:
    """Put the note below the title of an executed notebook."""
    import nbformat

    metadata = {"tags": [TAG]}
    titled = bool(notebook.cells) and notebook.cells[0].cell_type == "markdown"
    notebook.cells.insert(int(titled), nbformat.v4.new_markdown_cell(text, metadata=metadata))


def spoken(given: Mapping[str, Any]) -> str:
    """The parameters for a line in the terminal."""
    return ", ".join(f"{name} = {value!r}" for name, value in given.items())
