"""Clauses that name several settings."""

from __future__ import annotations

from collections.abc import Sequence


def predicate(members: Sequence[str], word: str) -> str:
    """A clause about its subjects; empty without any.

    >>> predicate(["a"], "better"), predicate(["a", "b"], "worse"), predicate([], "worse")
    ('a is better', 'a and b are worse', '')
    """
    if not members:
        return ""
    subjects = " and ".join(filter(None, [", ".join(members[:-1]), members[-1]]))
    return f"{subjects} {'is' if len(members) == 1 else 'are'} {word}"
