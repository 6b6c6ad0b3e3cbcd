"""``python -m bench [NAME ...] [OPTION ...]``: run all benchmarks, or the named ones.

Each runs in a process of its own, so that one's memory and allocator settings are not another's.
Options (``--quick``, ``--save``) are passed on. Every result is printed as a table and written as
JSON to ``_build/bench/``.
"""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import bench


def benchmarks() -> list[str]:
    """The modules of this package that can be run by themselves."""
    found = []
    for module in pkgutil.iter_modules(bench.__path__):
        spec = find_spec(f"bench.{module.name}")
        source = Path(spec.origin).read_text(encoding="utf-8") if spec and spec.origin else ""
        if module.name != "__main__" and 'if __name__ == "__main__"' in source:
            found.append(module.name)
    return found


def main() -> int:
    """Run them in turn; the exit status is that of the worst."""
    known = benchmarks()
    options = [argument for argument in sys.argv[1:] if argument.startswith("-")]
    names = [argument for argument in sys.argv[1:] if argument not in options] or known
    if unknown := [name for name in names if name not in known]:
        print(f"unknown benchmark {unknown[0]!r}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    return max(
        subprocess.run([sys.executable, "-m", f"bench.{name}", *options]).returncode
        for name in names
    )


if __name__ == "__main__":
    sys.exit(main())
