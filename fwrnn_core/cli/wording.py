"""Words that several commands print."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def counted(number: int, noun: str) -> str:
    """A number and what it counts.

    >>> counted(1, "run"), counted(2, "run")
    ('1 run', '2 runs')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]], right: str = "") -> None:
    """Print rows below their header, each column as wide as its widest cell.

    Columns whose heading is among the words of ``right`` are set to the right, as numbers are.

    >>> print_table(["run", "epochs"], [["a", "7"], ["longer", "120"]], right="epochs")
    run     epochs
    a            7
    longer     120
    """
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    to_right = [name in right.split(", ") for name in header]
    for line in lines:
        cells = zip(line, widths, to_right, strict=True)
        print("  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in cells).rstrip())
