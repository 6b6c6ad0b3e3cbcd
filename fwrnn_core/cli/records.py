"""``fwrnn records`` and ``fwrnn verify``: what has been trained, and whether it comes out again."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from fwrnn_core.cli.wording import add_command, add_no_progress, print_table, progress
from fwrnn_core.errors import ConfigError, RecordError
from fwrnn_core.wording import counted

if TYPE_CHECKING:
    from fwrnn_core.training.status import Status

_LISTED = "`fwrnn records` lists every run and its state"
_RECORDS_EPILOG = """\
examples:
  fwrnn records                      every run of the catalogue and its state
  fwrnn records 'har2/*'             those whose name matches
  fwrnn records table3 'fair/*'      those of one of the paper's tables or figures, and others
  fwrnn records --state missing      what has not been begun

States: complete; partial (stopped by --stop-after); interrupted (killed, or Ctrl-C: `fwrnn
train` goes on from the epoch shown); running; missing (not begun); diverged; damaged. "minutes"
are those of training, so far up to the last save. "best test" is the highest test accuracy of
any epoch. The last line says in which folder the records are. A record that cannot be read is
damaged: what is wrong with it, and the way out, stand below the list.

Exit status: 0 listed; 2 a damaged record, or no run of that name.
"""
_VERIFY_EPILOG = """\
examples:
  fwrnn verify har2/published/fw-k5 --epochs 3
  fwrnn verify 'ablations/outer/*'   every record whose name matches

Under the record's code, libraries, processor, threads and backend every digit of every curve must
be the same. Otherwise the first minibatch losses that it keeps (three of the first twenty
updates, or one of the first hundred) may be 1 % off, a training loss 15 %, its accuracy 8 %,
validation and test, measured at one point of the way, twice that, and the agreement of an
epoch's last inner loop 30 %; and the answer names what was different: it is the same run, rounded
in another way.

Exit status: 0 they agree; 1 they do not; 2 there is no such record.
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the two subcommands."""
    parser = add_command(
        subparsers,
        "records",
        "list what is trained, interrupted, running, missing, diverged or damaged",
        "List the runs of the catalogue, and those of your own, with their state.",
        _RECORDS_EPILOG,
    )
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", help="a run's name, a group, or a 'glob*' (default all)"
    )
    parser.add_argument(
        "--state",
        choices=("complete", "partial", "interrupted", "running", "missing", "diverged", "damaged"),
        help="only the runs in this state",
    )
    parser.set_defaults(handler=list_records)

    parser = add_command(
        subparsers,
        "verify",
        "re-train the first epochs of a record and compare",
        "Check that a record can be reproduced: its first epochs are trained anew and compared.\n"
        "Of a run of your own too; the published records are in the repository, so run this in a\n"
        "clone for those.",
        _VERIFY_EPILOG,
    )
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="a record's name, a group, or a 'glob*'"
    )
    parser.add_argument("--epochs", type=int, default=1, metavar="N", help="how many (default 1)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda … (default auto)")
    add_no_progress(parser)
    parser.set_defaults(handler=verify)


def list_records(args: argparse.Namespace) -> int:
    """Handle ``fwrnn records``."""
    from fwrnn_core import experiments, paths
    from fwrnn_core.training.status import survey

    asked = args.runs or ["*"]
    runs, later = experiments.catalogue(), experiments.waiting(*asked)
    each: dict[str, Status] = {}  # by name, once however often it is asked for
    for name in asked:
        patterns = experiments.GROUPS.get(name, (name,))
        matching = [r for p in patterns for r in survey(p, runs, later)]
        if not matching:
            raise experiments.nothing("run", name, [*runs, *experiments.GROUPS], _LISTED)
        each.update((r.name, r) for r in matching)
    found = list(each.values())
    rows = [r for r in found if args.state in (None, r.state)]
    where = f"(records in {paths.records()})"
    if not rows:
        if len(found) == 1:
            print(f"{found[0].name} is {found[0].state}, not {args.state}", file=sys.stderr)
        else:
            print(f"none of the {len(found)} runs is {args.state} {where}", file=sys.stderr)
        return 0
    header = ["run", "state", "epochs", "minutes", "best test"]
    print_table(header, map(_cells, rows), right="epochs, minutes, best test")
    states = [r.state for r in rows]
    counts = ", ".join(f"{states.count(s)} {s}" for s in dict.fromkeys(states))
    print(f"{counted(len(rows), 'run')}: {counts} {where}")
    if shown := {r.name: later[r.name] for r in rows if r.name in later}:
        print(experiments.waits(shown))
    damaged = [r.trouble for r in rows if r.trouble]
    for trouble in damaged:
        print(trouble, file=sys.stderr)
    return 2 if damaged else 0


def _cells(row: Status) -> list[str]:
    minutes = f"{row.seconds / 60:.1f}" if row.seconds else "-"
    best = f"{100 * row.best:.2f} %" if row.best is not None else "-"
    epochs = f"{row.epochs_done} / {row.epochs or '?'}"
    return [row.name, row.state, epochs, minutes, best]


def verify(args: argparse.Namespace) -> int:
    """Handle ``fwrnn verify``."""
    from fwrnn_core.training import records
    from fwrnn_core.training.verify import verify as compare

    if args.epochs < 1:
        raise ConfigError(f"--epochs = {args.epochs} is out of range; valid: >= 1")
    ok = True
    for record in records.load(_stored(args.runs)):
        report = compare(record, args.epochs, args.device, progress=progress(args))
        print(report.summary())
        ok &= report.agrees
    return 0 if ok else 1


def _stored(asked: Iterable[str]) -> list[str]:
    """The names of the records that names, groups and patterns stand for.

    Each has to stand for at least one: a misspelt name beside a right one is a mistake too.
    """
    from fwrnn_core import experiments
    from fwrnn_core.training import records

    names: list[str] = []
    for name in asked:
        patterns = experiments.GROUPS.get(name, (name,))
        found = [n for p in patterns for n in records.names(p)]
        if not found:
            if name.endswith(".json"):
                raise _file_given(name)
            runs = experiments.planned()
            if meant := [n for n in runs for p in patterns if fnmatchcase(n, p)]:
                it = "one" if meant == [name] else "them"
                raise RecordError(
                    f"{name!r} has no record yet; `fwrnn train {name!r}` makes {it}"
                    + ("" if records.names() else f". {_no_records()}")
                )
            known = [*records.names(), *experiments.GROUPS]
            raise experiments.nothing("record", name, known, _LISTED)
        names += found
    return names


def _no_records() -> str:
    """Where the published records are, for somebody who has installed the package alone."""
    from fwrnn_core import paths

    return (
        f"There is no record at all in {paths.records()}: the published ones are in the "
        "repository, so run this inside a clone"
    )


def _file_given(file: str) -> ConfigError:
    """The error for a file in place of a name: records are found by the name of their run."""
    try:
        body = json.loads(Path(file).read_text(encoding="utf-8"))
        name = body.get("config", body)["name"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ConfigError(f"{file}: give the name of a run in place of a file; {_LISTED}")
    return ConfigError(f"{file}: give the name of the run in place of a file: {name!r}")
