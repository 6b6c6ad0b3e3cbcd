"""The execution-status table: every notebook, how it was run, when and for how long."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive

from fwrnn_core.batch.catalog import book_notebooks
from fwrnn_core.batch.plan import executed
from fwrnn_core.batch.stamp import libraries, read

COLUMNS = ("Notebook", "Parameters", "Code cells", "Seconds", "Executed (UTC)", "Python", "torch")


def status_row(notebook: dict[str, Any]) -> list[str]:
    """Cells of one row, all but the first, from an executed notebook's metadata.

    Raises KeyError when it was not executed by this project's batch.
    """
    papermill = notebook["metadata"]["papermill"]
    stamp = notebook["metadata"]["fwrnn"]["stamp"]
    parameters = ", ".join(f"{k} = {v}" for k, v in papermill["parameters"].items())
    executed_at = datetime.fromisoformat(papermill["end_time"]).strftime("%Y-%m-%d %H:%M")
    cells = sum(cell["cell_type"] == "code" for cell in notebook["cells"])
    return [
        parameters or "none",
        str(cells),
        f"{papermill['duration']:.1f}",
        executed_at,
        stamp["python"],
        stamp.get("library torch", "absent"),
    ]


def _table(head: tuple[str, ...], rows: list[list[nodes.Node]], name: str) -> nodes.table:
    group = nodes.tgroup("", cols=len(head))
    group += [nodes.colspec(colwidth=1) for _ in head]
    group += nodes.thead("", _row(*(nodes.paragraph("", title) for title in head)))
    group += nodes.tbody("", *(_row(*cells) for cells in rows))
    return nodes.table("", group, classes=[name])


def _text(*cells: str) -> list[nodes.Node]:
    return [nodes.paragraph("", cell) for cell in cells]


class EnvironmentTable(Directive):
    """``{fwrnn-environment}``: versions of what the project asks for by name."""

    def run(self) -> list[nodes.Node]:
        versions = libraries()
        rows = [_text(key.removeprefix("library "), version) for key, version in versions.items()]
        return [_table(("Package", "Version"), rows, "fwrnn-environment")]


class StatusTable(Directive):
    """``{fwrnn-status}``: a table of the book's notebooks; a missing copy is a warning."""

    def run(self) -> list[nodes.Node]:
        from sphinx import addnodes

        env = self.state.document.settings.env
        rows = []
        for name in book_notebooks():
            copy = executed() / name
            env.note_dependency(str(copy))
            try:
                cells = status_row(read(copy))
            except (FileNotFoundError, KeyError):
                self.state.document.reporter.warning(f"{name} was not executed")
                continue
            # The link's text is the page's own title.
            link = addnodes.pending_xref(
                "",
                nodes.inline(name, Path(name).stem),
                refdomain="std",
                reftype="doc",
                reftarget="/" + name.removesuffix(".ipynb"),
                refdoc=env.docname,
                refexplicit=False,
                refwarn=True,
            )
            rows.append([nodes.paragraph("", "", link), *_text(*cells)])
        return [_table(COLUMNS, rows, "fwrnn-status")]


def _row(*cells: nodes.Node) -> nodes.row:
    return nodes.row("", *(nodes.entry("", cell) for cell in cells))
