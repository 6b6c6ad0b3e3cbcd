"""What code a notebook could see: a static import graph over the package.

Nothing is imported. Every ``import`` statement counts, those inside functions too, and so do
strings that name a module (lazy exports, ``import_module("fwrnn_core.x")``) and f-strings that
begin with a module's prefix. Files of a package folder that are not Python (C, JavaScript, style
sheets, slices) belong to every module of that folder.

A module that is only passed through on the way to a submodule (``import a.b.c`` runs ``a`` and
``a.b``) counts with what it imports when it is loaded, not with what its functions or lazy exports
would import if someone asked: a notebook that uses the figures alone is not re-run for a change in
the optimizer.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fwrnn_core.errors import ConfigError

_NOT_ASSETS = (".py", ".pyc", ".pyi", ".so", ".typed")


@dataclass(frozen=True)
class Imports:
    """What one piece of code imports: names of modules of the package.

    ``always`` holds on loading, ``on_demand`` once something in it is used;
    ``prefixes`` are of names put together at run time. ``through`` are only passed through.
    """

    always: frozenset[str] = frozenset()
    on_demand: frozenset[str] = frozenset()
    prefixes: frozenset[str] = frozenset()
    through: frozenset[str] = frozenset()


@dataclass
class Graph:
    """The import graph of the package in ``folder`` (``…/fwrnn_core``)."""

    folder: Path
    modules: dict[str, Path] = field(init=False)
    _imports: dict[str, Imports] = field(init=False, default_factory=dict)

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
        start = _read(source, "", False, self.modules)
        used = {*start.always, *start.on_demand, *extra, *self._under(start.prefixes)}
        loaded = set(start.through)
        waiting = [(name, True) for name in used] + [(name, False) for name in loaded]
        while waiting:
            name, is_used = waiting.pop()
            imports = self._of(name)
            reached = {(n, True) for n in imports.always} | {(n, False) for n in imports.through}
            if "." in name:
                reached.add((name.rpartition(".")[0], False))
            if is_used:
                reached |= {(n, True) for n in imports.on_demand}
                reached |= {(n, True) for n in self._under(imports.prefixes)}
            for other, other_used in reached:
                if other_used and other not in used:
                    used.add(other)
                    waiting.append((other, True))
                elif not other_used and other not in used and other not in loaded:
                    loaded.add(other)
                    waiting.append((other, False))
        code = {self.modules[name] for name in used | loaded}
        return sorted(code | {asset for path in code for asset in _assets(path.parent)})

    def _of(self, name: str) -> Imports:
        if name not in self._imports:
            path = self.modules[name]
            is_package = path.name == "__init__.py"
            text = path.read_text(encoding="utf-8")
            self._imports[name] = _read(text, name, is_package, self.modules)
        return self._imports[name]

    def _under(self, prefixes: frozenset[str]) -> Iterator[str]:
        return (name for name in self.modules if name.startswith(tuple(prefixes)))


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


def _read(source: str, module: str, is_package: bool, modules: dict[str, Path]) -> Imports:
    """The imports of one source text; ``module`` is its own name ("" for a notebook)."""
    package = next(iter(modules)).partition(".")[0] if modules else ""
    parent = module if is_package else module.rpartition(".")[0]
    always: set[str] = set()
    on_demand: set[str] = set()
    prefixes: set[str] = set()
    through: set[str] = set()

    def names_of(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                # `import a.b.c` binds a, so that all of a and a.b can be reached through it.
                yield alias.name
                if alias.asname is None:
                    yield from _parents(alias.name)
            return
        base = node.module or ""
        if node.level:
            stem = parent.split(".")[: len(parent.split(".")) - node.level + 1]
            base = ".".join([*stem, base] if base else stem)
        for alias in node.names:
            submodule = f"{base}.{alias.name}"
            yield submodule if submodule in modules else base

    def walk(node: ast.AST, inside: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and _is_type_checking(child.test):
                walk(ast.Module(child.orelse, []), inside)
            elif isinstance(child, ast.Import | ast.ImportFrom):
                found = {name for name in names_of(child) if name in modules and name != module}
                (on_demand if inside else always).update(found)
            elif isinstance(child, ast.Constant) and isinstance(child.value, str):
                if child.value in modules and child.value not in (module, package):
                    on_demand.add(child.value)
            elif isinstance(child, ast.JoinedStr) and child.values:
                first = child.values[0]
                text = first.value if isinstance(first, ast.Constant) else ""
                if isinstance(text, str) and text.startswith(f"{package}."):
                    prefixes.add(text)
            else:
                function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                walk(child, inside or function)

    walk(ast.parse(source), False)
    through.update(p for name in always | on_demand for p in _parents(name) if p in modules)
    return Imports(frozenset(always), frozenset(on_demand), frozenset(prefixes), frozenset(through))


def _parents(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )
