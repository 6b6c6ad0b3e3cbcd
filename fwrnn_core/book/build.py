"""Run Jupyter Book strictly: any warning fails the build."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from fwrnn_core import locks, paths
from fwrnn_core.errors import unknown

# jsonschema compiles 39 grammars for internationalised addresses whenever it is imported (two
# seconds); no notebook holds one, and it does without where the library is not installed.
_START = """
import sys
sys.modules["rfc3987_syntax"] = None
from jupyter_book.cli.main import main
main()
"""
FORMATS = {"html": "_build/html/index.html", "singlehtml": "_build/singlehtml/index.html"}


def check_format(name: str) -> None:
    """Raise :class:`~fwrnn_core.errors.ConfigError` for a format that is not offered."""
    if name not in FORMATS:
        raise unknown("format", name, FORMATS)


def build(format: str = "html") -> Path | None:
    """Build the book from the executed copies; the page to open, or None when it failed."""
    check_format(format)
    root = paths.home()
    command = [sys.executable, "-c", _START, "build", str(root)]
    command += ["--builder", format, "-W", "--keep-going", "-q"]
    # Two builds into one folder would tear each other's pages: the second waits.
    with locks.held(paths.build() / ".lock", "another build is running; waiting for it"):
        # Sphinx's progress is not of interest; its warnings go to standard error.
        done = subprocess.run(command, cwd=root, env=_environment(root), stdout=subprocess.PIPE)
        page = root / FORMATS[format]
        if done.returncode == 0 and page.is_file():
            return page
        sys.stderr.write(done.stdout.decode(errors="replace")[-2000:])
        # Sphinx remembers pages that it read with warnings and would not warn again.
        shutil.rmtree(paths.build() / ".doctrees", ignore_errors=True)
        return None


def _environment(root: Path) -> dict[str, str]:
    return {**os.environ, "FWRNN_HOME": str(root), "PYTHONWARNINGS": "ignore"}
