"""What is told about a notebook that ran: where it failed, what it wrote to standard error, and at
the top of a copy with parameters of one's own, that it has them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from fwrnn_core.batch.parameters import changed
from fwrnn_core.batch.plan import Plan

TAG = "fwrnn-note"
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


class Failure(NamedTuple):
    """Where and why a notebook failed: ``cell`` counts code cells from 1, 0 where none is known."""

    cell: int
    line: str
    error: str


@dataclass(frozen=True)
class Outcome:
    """One notebook that was run: ``failure`` is None when ``plan.output`` is new and whole."""

    plan: Plan
    seconds: float
    failure: Failure | None = None
    kept: Path | None = None
    notes: Sequence[str] = ()


def describe(outcome: Outcome) -> str:
    """One line, more for a failure."""
    name = outcome.plan.notebook
    if outcome.failure is None:
        notes = "".join(f"\n      wrote to standard error: {note}" for note in outcome.notes)
        return f"  ok  {name}  {outcome.seconds:.1f} s{notes}"
    failure = outcome.failure
    where = f"code cell [{failure.cell}]" if failure.cell else "outside its cells"
    line = f", at `{failure.line}`" if failure.line else ""
    own = {k: v for k, v in outcome.plan.parameters.items() if k != "profile"}
    spoken = ", ".join(f"{name} = {value!r}" for name, value in own.items())
    given = f"\n      with {spoken}; its parameter cell says what each may be" if own else ""
    kept = f"\n      its copy is kept: {outcome.kept}" if outcome.kept else ""
    return f"FAILED {name}: {where}{line}\n      {failure.error}{given}{kept}"


def failure_of(error: Exception, copy: Path) -> Failure:
    """Read a papermill error; ``copy`` is the half-executed notebook that it left."""
    from papermill.exceptions import PapermillExecutionError

    if isinstance(error, PapermillExecutionError):
        message = f"{error.ename}: {_ANSI.sub('', str(error.evalue))}".strip()
        lines = [line for line in error.source.splitlines() if line.strip()]
        return Failure(int(error.exec_count or 0), _failing_line(error, lines), message)
    return Failure(0, "", f"{type(error).__name__}: {_ANSI.sub('', str(error))}")


def _failing_line(error: Any, lines: list[str]) -> str:
    """The source line that the traceback's arrow points at, else the cell's first."""
    trace = _ANSI.sub("", "\n".join(error.traceback))
    for arrow in re.findall(r"^-+>\s*\d+\s(.*)$", trace, flags=re.MULTILINE):
        if arrow.strip() in {line.strip() for line in lines}:
            return str(arrow.strip())
    return lines[0].strip() if lines else ""


def stderr_notes(notebook: Any) -> list[str]:
    """First lines of what cells wrote to standard error (warnings, mostly): the book hides them.

    >>> stderr_notes({"cells": [{"outputs": [
    ...     {"output_type": "stream", "name": "stderr", "text": "UserWarning: odd\\nmore"}]}]})
    ['UserWarning: odd']
    """
    return [
        "".join(output["text"]).strip().splitlines()[0]
        for cell in notebook["cells"]
        for output in cell.get("outputs", ())
        if output["output_type"] == "stream"
        and output["name"] == "stderr"
        and "".join(output["text"]).strip()
    ]


def note(notebook: str, given: Mapping[str, Any]) -> str:
    """The note as Markdown; "" where every parameter is the book's. The profile is no setting.

    Figures, tables and most numbers in sentences are computed, so they follow the parameters; prose
    and captions were written for the book's settings and cannot.
    """
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
