"""Parameters of notebooks: read from the command line, checked before anything runs.

papermill itself only warns about a name that the notebook does not have, and goes on.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fwrnn_core import paths
from fwrnn_core.batch import values
from fwrnn_core.batch.stamp import read
from fwrnn_core.errors import ConfigError, unknown

PROFILES = ("quick", "paper")
_WORDS = {
    "true": True,
    "false": False,
    "none": None,
    "null": None,
    "inf": math.inf,
    "math.inf": math.inf,
    "-inf": -math.inf,
    "nan": math.nan,
}


def parse(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Values as typed after ``-p NAME``: Python literals, else text.

    >>> parse([("K", "10"), ("norm", "inf"), ("cell", "lstm"), ("seeds", "[1, 2]")])
    {'K': 10, 'norm': inf, 'cell': 'lstm', 'seeds': [1, 2]}
    >>> parse([("values", "[2, inf, 'spectral']")])
    {'values': [2, inf, 'spectral']}
    """
    values: dict[str, Any] = {}
    for name, text in pairs:
        if name in values:
            raise ConfigError(f"parameter {name!r} was given twice.")
        values[name] = _literal(text)
    return values


def _literal(text: str) -> Any:
    if text.strip().lower() in _WORDS:
        return _WORDS[text.strip().lower()]
    try:
        value = ast.literal_eval(_Words().visit(ast.parse(text.strip(), mode="eval")))
    except (ValueError, SyntaxError):
        return text
    # What has no JSON form (bytes, sets, complex) was meant as text.
    return value if isinstance(value, int | float | str | list | tuple | dict) else text


class _Words(ast.NodeTransformer):
    """Inside a list, too, ``inf`` is a number, and so is ``float("inf")``, as defaults write it."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        word = node.id.lower()
        return ast.Constant(_WORDS[word]) if word in _WORDS else node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        return ast.Constant(math.inf) if ast.unparse(node) == "float('inf')" else node


def declared(notebook: str) -> dict[str, str]:
    """Names and default values (as source text) in the cell tagged ``parameters``.

    The same as ``papermill.inspect_notebook`` (a test compares them), without the seconds that
    importing papermill costs where nothing is to be executed.
    """
    return {name: value for name, (value, _) in _cell(notebook).items()}


def _cell(notebook: str) -> dict[str, tuple[str, str]]:
    """Names, default values and comments of the parameter cell."""
    path = paths.home() / notebook
    for cell in read(path)["cells"]:
        if "parameters" in cell.get("metadata", {}).get("tags", ()):
            source = "".join(cell["source"])
            try:
                return {name: (value, said) for name, value, said in _assignments(source)}
            except SyntaxError as error:
                raise ConfigError(f"{notebook}: not valid Python: {error}") from error
    return {}


def _assignments(source: str) -> Iterator[tuple[str, str, str]]:
    lines = source.splitlines()
    for statement in ast.parse(source).body:
        if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
            continue
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        value = ast.get_source_segment(source, statement.value) or ""
        # Columns count bytes; what follows the value on its last line is its comment.
        last = lines[(statement.end_lineno or statement.lineno) - 1].encode()
        rest = last[statement.end_col_offset :].decode()
        for target in targets:
            if isinstance(target, ast.Name):
                yield target.id, value, rest.partition("#")[2].strip()


def check_names(notebooks: Sequence[str], given: Mapping[str, Any]) -> None:
    """Where some of the notebooks take all that was given, refuse the rest by naming those: one
    notebook of another kind in a folder is no reason to give the folder up."""
    fit = [n for n in notebooks if given.keys() <= declared(n).keys()]
    rest = [n for n in notebooks if n not in fit]
    if fit and rest:
        lacking = next(name for name in given if name not in declared(rest[0]))
        more = f" (and {len(rest) - 1} more lack one)" if len(rest) > 1 else ""
        short = " ".join(n.removeprefix("notebooks/").removesuffix(".ipynb") for n in fit)
        raise ConfigError(
            f"{rest[0]} has no parameter {lacking!r}{more}; name only those that take what you "
            f"gave: fwrnn run {short} …"
        )


def check(
    notebook: str, given: Mapping[str, Any], profile: str, here: bool = True
) -> dict[str, Any]:
    """Parameters to inject into ``notebook``: what was given, and ``profile`` where it has one.
    ``here`` says that it runs on this machine, which then must have the device.

    Raises :class:`~fwrnn_core.errors.ConfigError` for a name that the notebook does not declare,
    for a value of another kind than the default's and for one outside its range.
    """
    if profile not in PROFILES:
        raise unknown("profile", profile, PROFILES)
    known = _cell(notebook)
    taken: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            raise ConfigError(f"{notebook}: {unknown('parameter', name, known)}")
        if name == "profile" and value not in PROFILES:
            raise unknown("profile", value, PROFILES)
        _check_kind(notebook, name, value, known[name][0])
        taken[name] = values.check(notebook, name, value, *known[name])
        if name == "device" and here and isinstance(value, str):
            values.check_device(notebook, value)
    if "profile" in known and "profile" not in taken:
        return {"profile": profile, **taken}
    return taken


def changed(notebook: str, given: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    """Of the given parameters those that differ from the notebook's own, which stand beside."""
    known = declared(notebook)
    return {
        name: (value, known[name])
        for name, value in given.items()
        if name in known and value != _literal(known[name])
    }


def _check_kind(notebook: str, name: str, value: Any, default_text: str) -> None:
    try:
        default = ast.literal_eval(default_text)
    except (ValueError, SyntaxError):
        return
    alike: list[tuple[type, ...]] = [(bool,), (int, float), (list, tuple), (dict,), (str,)]
    wanted = next((kinds for kinds in alike if type(default) in kinds), None)
    # A number may be given where text is the default: "spectral" or 2 are both norms.
    if wanted is None or (isinstance(default, str) and not isinstance(value, str)):
        return
    # Of None the rules of values.py judge; yes and no have none.
    if value is None and not isinstance(default, bool):
        return
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        # Norms and step sizes take words as well as numbers, and say themselves which.
        if isinstance(value, str) and name in ("norm", "p", "step_size"):
            return
        # A default over several lines, with comments, is more than a sentence has room for.
        shown = default_text if "\n" not in default_text else f"{str(default)[:60]} …"
        raise ConfigError(
            f"{notebook}: parameter {name!r} is {type(default).__name__} (default {shown}), "
            f"{value!r} is not."
        )
