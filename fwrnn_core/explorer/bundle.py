"""One self-contained ES module out of the small ones in ``static/``.

A widget's module is loaded from a Blob address, where relative imports do not resolve. Each source
becomes a function scope of its own (no name can clash), and ``import { a } from "./b.js"`` becomes
``const { a } = $b``. That covers the two forms used here, named imports and named exports, and
needs no JavaScript toolchain.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from fwrnn_core.errors import ConfigError

STATIC = Path(__file__).parent / "static"

_IMPORT = re.compile(r'^import\s*\{([^}]*)\}\s*from\s*"\./([\w-]+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) ([\w$]+))", re.MULTILINE)


def _scope(name: str) -> str:
    return "$" + name.replace("-", "_")


def _read(name: str) -> str:
    path = STATIC / f"{name}.js"
    if not path.is_file():
        raise ConfigError(f"no script {path.name} in {STATIC}")
    return path.read_text("utf-8")


def _order(name: str, done: list[str], open_: tuple[str, ...] = ()) -> list[str]:
    """Modules in an order in which each comes after what it imports."""
    if name in open_:
        raise ConfigError(f"circular import: {' → '.join((*open_, name))}")
    if name not in done:
        for _, needed in _IMPORT.findall(_read(name)):
            _order(needed, done, (*open_, name))
        done.append(name)
    return done


def _destructure(match: re.Match[str]) -> str:
    names = ", ".join(part.strip() for part in match[1].split(",") if part.strip())
    return f"const {{ {names.replace(' as ', ': ')} }} = {_scope(match[2])};\n"


@cache
def bundle(entry: str) -> str:
    """The source of ``static/<entry>.js`` with all it imports in it; the entry's exports stay.

    Raises:
        ConfigError: a script is missing, or scripts import each other in a circle.
    """
    parts = []
    for name in _order(entry, []):
        body = _IMPORT.sub(_destructure, _read(name))
        if name != entry:
            exported = ", ".join(_EXPORT.findall(body))
            body = _EXPORT.sub("", body)
            body = f"const {_scope(name)} = (() => {{\n{body}return {{ {exported} }};\n}})();\n"
        parts.append(body)
    return "".join(parts)
