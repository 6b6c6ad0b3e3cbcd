"""Little projects for tests: notebooks and files, written where a test wants them."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path


def write_notebook(path: Path, *cells: str, metadata: dict | None = None) -> Path:
    """A notebook whose first cell is its parameters, the rest code."""
    tags = [["parameters"], *([] for _ in cells[1:])]
    body = [
        {
            "cell_type": "code",
            "id": f"cell-{i}",
            "metadata": {"tags": tag} if tag else {},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }
        for i, (source, tag) in enumerate(zip(cells, tags, strict=True))
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = {
        "cells": body,
        "metadata": {**kernel, "fwrnn": metadata or {}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook))
    return path


def write_tree(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(textwrap.dedent(text))
