"""The ``fwrnn`` command: one module per group of subcommands, each with ``register(subparsers)``.

Handlers take the parsed arguments and return an exit status. A
:class:`~fwrnn_core.errors.FwrnnError` becomes one sentence on standard error and status 2; Ctrl-C
becomes status 130.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from fwrnn_core import __version__, memory, paths
from fwrnn_core.errors import FwrnnError
from fwrnn_core.signals import terminable

# In the order in which --help shows them.
GROUPS = ("data", "train", "records", "notebooks")


_EPILOG = """\
where to begin:
  fwrnn train --list                  the runs, which are the paper's experiments and ours
  fwrnn train adding/published/fw-k1  train one of them; data are downloaded or generated
  fwrnn records                       which have a record, and in which folder

In a clone, where the published records and the notebooks are:
  fwrnn verify har2/published/adam    train a record's first epoch again and compare
  fwrnn book                          execute what is stale and build the book

Every subcommand explains itself, with examples: fwrnn COMMAND --help
"""


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; importing it does not import torch."""
    parser = argparse.ArgumentParser(
        prog="fwrnn",
        description="Train recurrent networks with the two-loop Frank-Wolfe optimizer, re-run the "
        "paper's\nexperiments, and build the book.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fwrnn {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for group in GROUPS:
        import_module(f"fwrnn_core.cli.{group}").register(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``fwrnn``; returns the exit status."""
    memory.prepare()
    _encode_all()
    args = build_parser().parse_args(argv)
    try:
        paths.home()  # a FWRNN_HOME that cannot be one is refused before anything is done
        with terminable():
            status = int(args.handler(args) or 0)
        sys.stdout.flush()  # what cannot be written is to be said here, not at the very end
        return status
    except FwrnnError as error:
        print(f"fwrnn: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("fwrnn: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # `fwrnn records | head` closes our standard output early; that is no error.
        _drop_output()
        return 0
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        print(
            f"fwrnn: out of memory ({str(error).splitlines()[0]}). Make the model or batch_size "
            "smaller, or give another --device",
            file=sys.stderr,
        )
        return 2
    except OSError as error:
        # A folder that cannot be written, a disk that is full: the user's to mend.
        if error.errno in paths.FULL and not _output_is_written():
            _drop_output()
            print(f"fwrnn: standard output cannot be written: {error.strerror}", file=sys.stderr)
            return 2
        sentence = paths.explain(error)
        if sentence is None:
            raise
        print(f"fwrnn: {sentence}", file=sys.stderr)
        return 2


def _encode_all() -> None:
    """A terminal or file that cannot hold a character shows "?" in its place: no reason to stop."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _output_is_written() -> bool:
    """Whether standard output takes a line: a failed write does not say where it went."""
    try:
        print(flush=True)
    except OSError:
        return False
    return True


def _drop_output() -> None:
    """Let the rest go nowhere, so that Python does not try, and complain, once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _out_of_memory(error: Exception) -> bool:
    """Whether the machine or its accelerator refused memory: PyTorch raises RuntimeError for
    both, of a type of its own for the accelerator only."""
    named = type(error).__name__ == "OutOfMemoryError"
    return isinstance(error, MemoryError) or named or "can't allocate memory" in str(error)
