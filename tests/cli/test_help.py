"""Every example that a --help or a page shows is resolved as if it were typed."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from fwrnn_core import batch, experiments
from fwrnn_core.batch import parameters
from fwrnn_core.cli import build_parser, train
from fwrnn_core.data import catalog

ROOT = Path(__file__).parents[2]


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser and all below it."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from parsers(below)


def in_pages() -> set[str]:
    """Every command that the README, the pages and the notebooks tell a reader to type."""
    texts = [p.read_text("utf-8") for p in (*ROOT.glob("*.md"), *(ROOT / "book").rglob("*.md"))]
    for path in (ROOT / "notebooks").rglob("*.ipynb"):
        texts += ["".join(cell["source"]) for cell in json.loads(path.read_text("utf-8"))["cells"]]
    whole = re.sub(r" *\\\n *", " ", "\n".join(texts))  # a command may go on in the next line
    lines = re.findall(r"^fwrnn .*$", whole, flags=re.MULTILINE)
    # What a reader or a script is to fill in is no name yet.
    return {line for line in lines if not re.search(r"NAME VALUE|\$", line)}


def examples() -> set[str]:
    """The commands in all help texts, without what is said beside them."""
    texts = (f"{p.description}\n{p.epilog}" for p in parsers(build_parser()))
    lines = (re.findall(r"^  (fwrnn .*)$", text, flags=re.MULTILINE) for text in texts)
    # A gap of two blanks ends the command.
    return {re.split(r"\s{2,}", line)[0] for found in lines for line in found}


def test_there_are_examples_of_every_command() -> None:
    words = {line.split()[1] for line in examples()}
    assert words == {"data", "train", "records", "verify", "run", "book"}


@pytest.mark.parametrize("line", sorted(examples() | in_pages()))
def test_an_example_resolves(line: str) -> None:
    args = build_parser().parse_args(shlex.split(line, comments=True)[1:])
    if args.command == "data":
        for name in getattr(args, "names", []):
            assert catalog.entry(name)
    elif args.command == "train":
        assert args.list or train.resolve([n for n in args.runs if n != "my-run.json"]) or args.runs
    elif args.command in ("records", "verify"):
        for name in args.runs:
            assert experiments.select(name)
    elif args.command == "run":
        given = parameters.parse(args.parameter)
        for notebook in batch.resolve(args.notebooks):
            parameters.check(notebook, given, args.profile)


def test_the_groups_that_train_names_are_groups() -> None:
    text = train._EPILOG.partition("groups:\n")[2].partition("\n\n")[0]
    named = [word for line in text.splitlines() for word in line[:42].split()]
    assert len(named) > 10
    assert set(named) <= set(experiments.GROUPS)
