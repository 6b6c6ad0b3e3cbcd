"""Tables of the reproducibility page: notebooks as executed, runs as recorded, versions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from docutils.parsers.rst import Directive

from fwrnn_core.batch.catalog import book_notebooks
from fwrnn_core.batch.plan import executed
from fwrnn_core.batch.stamp import libraries, read

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

    from fwrnn_core.training.records import Record

COLUMNS = ("Notebook", "Parameters", "Code cells", "Seconds", "Executed (UTC)")

RUNS = ("Runs", "Recorded", "Complete", "Diverged", "Epochs", "Hours", "Data")


def status_row(notebook: dict[str, Any]) -> list[str]:
    """Cells of one row, all but the first, from an executed notebook's metadata.

    Raises KeyError when papermill did not execute it.
    """
    papermill = notebook["metadata"]["papermill"]
    parameters = ", ".join(f"{k} = {v}" for k, v in papermill["parameters"].items())
    executed_at = datetime.fromisoformat(papermill["end_time"]).strftime("%Y-%m-%d %H:%M")
    cells = sum(cell["cell_type"] == "code" for cell in notebook["cells"])
    return [
        parameters or "none",
        str(cells),
        f"{papermill['duration']:.1f}",
        executed_at,
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


class RecordsTable(Directive):
    """``{fwrnn-records}``: what has been recorded, one row per family of runs."""

    def run(self) -> list[nodes.Node]:
        from fwrnn_core import experiments
        from fwrnn_core.training import records
        from fwrnn_core.training.environment import sources
        from fwrnn_core.training.verify import exact_here

        env = self.state.document.settings.env
        names = records.names()
        for name in names:
            env.note_dependency(str(records.path_of(name)))
        for path in sources():  # how many records are of these
            env.note_dependency(str(path))
        found = {name: records.filed(name) for name in names}
        rows = record_rows(found, experiments.planned())
        machines = _distinct(run.body["environment"]["processor"] for run in found.values())
        said = (
            f"Hours are those of one core, for training and tests, on: {machines}. Of the "
            f"{len(found)} records, {len(exact_here(found.values()))} were made with the sources, "
            "libraries and machine that built this book. There these are verified to the last "
            "digit, the others within a tolerance."
        )
        table = _table(RUNS, [_text(*row) for row in rows], "fwrnn-records")
        return [table, nodes.paragraph("", said)]


def with_new_records(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """``env-get-outdated``: pages made from records, when there is one that they do not show.

    A record that changed or is gone makes them stale by itself, as any dependency does.
    """
    from fwrnn_core.training import records

    there = {str(records.path_of(name)) for name in records.names()}
    shown = {page: there & set(files) for page, files in env.dependencies.items()}
    return [page for page, files in shown.items() if files and files != there]


def record_rows(found: Mapping[str, Record], planned: Iterable[str]) -> list[list[str]]:
    """Cells of a row per family, such as ``har2/published``: the first two parts of the names that
    records are filed under, so that a copy from another machine counts as no second run.

    A family of which nothing is recorded yet has a row too.
    """
    families: dict[str, list[Record]] = {}
    asked: Counter[str] = Counter()
    for name in planned:
        asked[_family(name)] += 1
        families.setdefault(_family(name), [])
    for name, record in found.items():
        families.setdefault(_family(name), []).append(record)
    rows = []
    for family, runs in sorted(families.items()):
        made = [f"{run.body['data']['name']} ({run.body['data']['source']})" for run in runs]
        rows.append(
            [
                family,
                f"{len(runs)} of {max(len(runs), asked[family])}",
                *_sums(runs),
                _distinct(made),
            ]
        )
    return rows


def _sums(runs: list[Record]) -> list[str]:
    """Complete and diverged runs, epochs and hours, dashes where there is no run."""
    if not runs:
        return ["–"] * 4
    complete = sum(run.status == "complete" for run in runs)
    diverged = sum(run.status == "diverged" for run in runs)
    epochs, seconds = sum(run.epochs for run in runs), sum(run.seconds for run in runs)
    return [str(complete), str(diverged), f"{epochs:,}", f"{seconds / 3600:.1f}"]


def _family(name: str) -> str:
    return "/".join(name.split("/")[:2])


def _distinct(values: Iterable[str]) -> str:
    return ", ".join(sorted(set(values))) or "–"


def _row(*cells: nodes.Node) -> nodes.row:
    return nodes.row("", *(nodes.entry("", cell) for cell in cells))
