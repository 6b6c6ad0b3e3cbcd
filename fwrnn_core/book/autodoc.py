"""The API pages: signatures and docstrings in a form that Sphinx reads as it was meant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_UNDERLINE = re.compile(r"^-{3,}$")
_SECTIONS = {"Parameters": "Args:", "Raises": "Raises:", "Returns": "Returns:"}
_CLASS = re.compile(r"<class '(?:\w+\.)*(\w+)'>")


def mend_signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: Any
) -> tuple[str | None, Any]:
    """``autodoc-process-signature``: defaults that are no Python would leave all types unread."""
    return (readable(signature) if signature else signature), returns


def readable(signature: str) -> str:
    """A signature that parses.

    >>> readable("(outer: Outer = <class 'torch.optim.adam.Adam'>, data: Data = <factory>)")
    '(outer: Outer = Adam, data: Data = ...)'
    """
    return _CLASS.sub(r"\1", signature).replace("<factory>", "...")


def mend_docstring(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """``autodoc-process-docstring``, before napoleon reads the lines."""
    if what in ("attribute", "property", "data") and lines:
        # What stands before a colon would be taken for the type.
        lines[0] = lines[0].replace(": ", " – ", 1)
    lines[:] = sections(lines)


def skip_fields(
    app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any
) -> bool | None:
    """``autodoc-skip-member``: a named tuple's fields stand in its signature already."""
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field number") else None


def sections(lines: list[str]) -> list[str]:
    """Underlined sections of ``name : description`` lines in Google's form.

    numpydoc would take the description for a type.

    >>> sections(["Parameters", "----------", "seed : of the noise", "    and more", "", "x"])
    ['Args:', '    seed: of the noise', '        and more', '', 'x']
    """
    out: list[str] = []
    inside = False
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if line in _SECTIONS and _UNDERLINE.match(following):
            out.append(_SECTIONS[line])
            inside = True
        elif inside and _UNDERLINE.match(line):
            continue
        elif inside and line:
            out.append("    " + re.sub(r"^([\w*, ]+?) : ", r"\1: ", line))
        else:
            out.append(line)
            inside = False
    return out
