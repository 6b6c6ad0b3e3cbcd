"""``fwrnn run`` executes notebooks, ``fwrnn book`` executes what is stale and builds the book."""

from __future__ import annotations

import argparse
import os
from importlib.util import find_spec
from pathlib import Path

from fwrnn_core.cli.wording import add_command, add_no_progress, progress
from fwrnn_core.errors import ConfigError
from fwrnn_core.wording import counted

# What the commands import and `pip install .` alone does not bring.
EXTRA = ("jupyter_book", "nbformat", "papermill", "yaml")

_RUN_EPILOG = """\
examples:
  fwrnn run --list                             which notebooks are stale, and why; runs nothing
  fwrnn run har2                               one notebook, if anything that it reads has changed
  fwrnn run har2 -p inner_steps 10 -p norm inf     with other parameters, in a folder of its own
  fwrnn run notebooks/experiments --jobs 4     a folder of notebooks, side by side
  fwrnn run har2 --profile paper               at full length: trains the runs that are missing

Exit status: 0 all done; 1 a notebook failed (the others went on, and its copy is kept); 2 a mistake
in what you typed, or data that cannot be had (nothing ran); 130 interrupted.
"""
_BOOK_EPILOG = """\
examples:
  fwrnn book                                   prints the page to open
  fwrnn book --format singlehtml               the whole book as one page, to print or to send

Exit status: 0 built; 1 a notebook failed or the build warned (it is strict); 2 a mistake in what
you typed, or data that cannot be had; 130 interrupted.
"""


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add ``run`` and ``book``."""
    run = add_command(
        subparsers,
        "run",
        "execute notebooks with papermill",
        "Execute notebooks, several side by side. What is up to date is not executed again.\nWith "
        "parameters of your own the copies go to a folder of their own, so that the book's\nstay "
        "as they are. The notebooks are in the repository, so run this in a clone.",
        _RUN_EPILOG,
    )
    run.add_argument(
        "notebooks",
        nargs="*",
        metavar="NOTEBOOK",
        help="path, folder, bare name (har2) or 'glob*'; none means all of them",
    )
    run.add_argument(
        "-p",
        "--parameter",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="set a parameter of the notebook; may be repeated",
    )
    run.add_argument("--output", type=Path, metavar="FOLDER", help="put the executed copies there")
    run.add_argument("--list", action="store_true", help="say what would run and why, run nothing")
    _common(run)
    run.set_defaults(handler=run_notebooks)

    book = add_command(
        subparsers,
        "book",
        "execute what is stale and build the book",
        "Execute the notebooks of the book that are stale, then build it, strictly:\nany warning "
        "fails it. Run this in a clone.",
        _BOOK_EPILOG,
    )
    book.add_argument(
        "--format",
        default="html",
        metavar="FORMAT",
        help="html (default), or singlehtml: the whole book as one page",
    )
    _common(book)
    book.set_defaults(handler=build_book)


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--profile",
        default="quick",
        help="quick (default): about a minute each; paper: at full length, which trains what has "
        "no record",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=min(2, os.cpu_count() or 1),
        metavar="N",
        help="notebooks side by side (default: %(default)s)",
    )
    parser.add_argument(
        "--engine", default="local", help="local (default), or dask: Dask worker processes"
    )
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="of a Dask cluster, e.g. tcp://host:8786"
    )
    parser.add_argument("--force", action="store_true", help="execute also what is up to date")
    add_no_progress(parser)


def run_notebooks(args: argparse.Namespace) -> int:
    """Handler of ``fwrnn run``: 0, or 1 when a notebook failed."""
    _require_extra()
    from fwrnn_core import batch
    from fwrnn_core.batch import parameters, pool

    pool.check_options(args.jobs, args.engine, args.scheduler)
    given = parameters.parse(args.parameter)
    plans = batch.plan(
        batch.resolve(args.notebooks),
        given,
        args.profile,
        args.output.resolve() if args.output else None,
        args.force,
        here=args.engine == "local",
        fetch=not args.list,
    )
    if args.output and not args.list:
        _make(args.output)
    return _run(plans, args, dry=args.list)


def build_book(args: argparse.Namespace) -> int:
    """Handler of ``fwrnn book``: 0, or 1 when a notebook or the strict build failed."""
    _require_extra()
    from fwrnn_core import batch
    from fwrnn_core.batch import pool
    from fwrnn_core.batch.plan import executed
    from fwrnn_core.book import build

    pool.check_options(args.jobs, args.engine, args.scheduler)
    build.check_format(args.format)
    plans = batch.plan(
        batch.book_notebooks(), profile=args.profile, output=executed(), force=args.force
    )
    if status := _run(plans, args):
        return status
    page = build.build(args.format)
    if page is None:
        print("fwrnn: the book was not built; the warnings above say why.")
        return 1
    print(page)
    return 0


def _make(folder: Path) -> None:
    """Make the folder now: a worker that cannot write its copy would only say so at the end."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--output {folder}: {error.strerror}; give another folder") from None
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"--output {folder}: it cannot be written; give another folder")


def _require_extra() -> None:
    missing = [name for name in EXTRA if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"notebooks and the book need more than the optimizer ({', '.join(missing)} not "
            "installed): pip install 'fwrnn-core[book]'"
        )


def _run(plans: list, args: argparse.Namespace, dry: bool = False) -> int:
    from fwrnn_core.batch import pool
    from fwrnn_core.batch.report import describe

    stale = [plan for plan in plans if plan.reasons]
    verb = "is" if len(plans) == 1 else "are"
    current = len(plans) - len(stale)
    print(f"{current} of {counted(len(plans), 'notebook')} {verb} up to date.")
    for plan in stale:
        more = f" and {len(plan.reasons) - 3} more" if len(plan.reasons) > 3 else ""
        print(f"  to run: {plan.notebook} ({', '.join(plan.reasons[:3])}{more})")
    if dry:
        return 0
    outcomes = pool.run(plans, args.jobs, progress(args), args.engine, args.scheduler)
    failed = [outcome for outcome in outcomes if outcome.failure]
    for plan in plans:
        if plan.output.exists() and plan not in [outcome.plan for outcome in failed]:
            print(f"  {plan.output}")
    # What is wrong with the only one was said when it ended.
    if failed and len(outcomes) > 1:
        print(f"{len(failed)} of {len(outcomes)} notebooks failed:")
        for outcome in failed:
            print(describe(outcome))
    return 1 if failed else 0
