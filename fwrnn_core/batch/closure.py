"""What code a notebook could see: a static import graph over the package.

Nothing is imported. Every ``import`` statement counts, those inside functions too, and so do
strings that name a module (lazy exports, ``import_module("fwrnn_core.x")``) and f-strings that
begin with a module's prefix. The packages that a module lies in count with it. Files of a package
folder that are not Python (C, JavaScript, style sheets, slices) belong to every module of that
folder.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fwrnn_core.errors import ConfigError

# A condition under which nothing is imported at run time.
_NEVER = ("TYPE_CHECKING", "typing.TYPE_CHECKING")
_NOT_ASSETS = (".py", ".pyc", ".pyi", ".so", ".typed")


@dataclass
class Graph:
    """The import graph of the package in ``folder`` (``…/fwrnn_core``)."""

    folder: Path
    modules: dict[str, Path] = field(init=False)
    _imports: dict[str, set[str]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.modules = {}
        for path in sorted(self.folder.rglob("*.py")):
            parts = path.relative_to(self.folder.parent).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            self.modules[name] = path

    def closure(self, source: str, extra: tuple[str, ...] = ()) -> list[Path]:
        """Files of the package that Python ``source`` could see, sorted.

        ``extra`` names modules that a static reader cannot find. Raises
        :class:`~fwrnn_core.errors.ConfigError` when one of them does not exist.
        """
        for name in extra:
            if name not in self.modules:
                raise ConfigError(f"there is no module {name!r} in {self.folder}")
        seen: set[str] = set()
        waiting = {*self._named(source), *extra}
        while waiting:
            name = waiting.pop()
            seen.add(name)
            waiting |= self._of(name) - seen
        code = {self.modules[name] for name in seen}
        return sorted(code | {asset for path in code for asset in _assets(path.parent)})

    def _of(self, name: str) -> set[str]:
        """What a module imports, and the package that it lies in."""
        if name not in self._imports:
            found = set(self._named(self.modules[name].read_text(encoding="utf-8")))
            self._imports[name] = found | ({name.rpartition(".")[0]} & self.modules.keys())
        return self._imports[name]

    def _named(self, source: str) -> Iterator[str]:
        """The modules that one source text names; no import of ours is relative."""
        waiting: list[ast.AST] = [ast.parse(source)]
        while waiting:
            node = waiting.pop()
            if isinstance(node, ast.If) and ast.unparse(node.test) in _NEVER:
                waiting += node.orelse
                continue
            waiting += ast.iter_child_nodes(node)
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                submodules = (f"{node.module}.{alias.name}" for alias in node.names)
                names = [node.module, *submodules]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                # The package's own name is a word that says nothing.
                names = [node.value] if node.value != self.folder.name else []
            elif isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
                start = str(node.values[0].value)
                if start.startswith(f"{self.folder.name}."):
                    names = [name for name in self.modules if name.startswith(start)]
            yield from (name for name in names if name in self.modules)


def _assets(folder: Path) -> list[Path]:
    """Files beside a package's modules, and in its subfolders that are not packages."""
    found: list[Path] = []
    for path in folder.iterdir():
        if path.is_dir():
            if path.name != "__pycache__" and not (path / "__init__.py").exists():
                found += _assets(path)
        elif path.suffix not in _NOT_ASSETS and not path.name.startswith("."):
            found.append(path)
    return found
