"""Words that several commands print."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from typing import Any


def add_command(
    subparsers: Any, name: str, short: str, text: str, epilog: str = ""
) -> argparse.ArgumentParser:
    """Add a subcommand whose help keeps its line breaks."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name,
        help=short,
        description=text,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def add_no_progress(parser: argparse.ArgumentParser) -> None:
    """Add ``--no-progress``; :func:`progress` answers it."""
    parser.add_argument(
        "--no-progress",
        "--quiet",
        action="store_true",
        help="draw no progress bar (a pipe or a file gets none anyway)",
    )


def progress(args: argparse.Namespace) -> bool:
    """Whether a bar is wanted and somebody can see it: a log would be full of carriage returns."""
    return not args.no_progress and sys.stderr.isatty()


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
