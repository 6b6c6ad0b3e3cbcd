"""What is told about a notebook that ran: where it failed, what it wrote to standard error."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

_ANSI = re.compile(r"\x1b\[[0-9;]*m")


class Failure(NamedTuple):
    """Where and why a notebook failed: ``cell`` counts code cells from 1, 0 where none is known."""

    cell: int
    line: str
    error: str


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
