"""Sentences about several settings at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fwrnn_core.fairness import Paired, on_side
from fwrnn_core.reports import listed
from fwrnn_core.wording import be

_COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
BETTER, WORSE = "better", "worse"


def counted(n: int, noun: str) -> str:
    """A number of things, the small ones in words.

    >>> counted(3, "seed"), counted(1, "seed"), counted(12, "seed")
    ('three seeds', 'one seed', '12 seeds')
    """
    return f"{_COUNTS[n] if n < len(_COUNTS) else n} {noun}{'' if n == 1 else 's'}"


def predicate(members: Sequence[str], word: str) -> str:
    """A clause about its subjects; empty without any.

    >>> predicate(["a"], "better"), predicate(["a", "b"], "worse"), predicate([], "worse")
    ('a is better', 'a and b are worse', '')
    """
    if not members:
        return ""
    return f"{listed(members)} {be(len(members))} {word}"


def by_accuracy(tests: Mapping[str, Paired], what: str, base: str, seeds: int) -> str:
    """One sentence that holds settings, by their labels, against the base setting, which has so
    many ``seeds``; of ``tests`` in a measure whose larger values are better.

    >>> tests = {"1": Paired(-2.0, -9.0, 5.0, 0.4, 3), "2": Paired(1.0, -3.0, 5.0, 0.4, 3)}
    >>> by_accuracy(tests, "K", "5", seeds=3).partition("; ")[2]
    'the largest difference is that of *1*, −2.0 ± 7.0 points, which so few seeds cannot ...'
    """
    better, worse, equal = ([f"*{name}*" for name in on_side(tests, s)] for s in (1, -1, 0))
    where = f"in test accuracy ({counted(seeds, 'seed')})"
    decided = "; ".join(filter(None, (predicate(better, BETTER), predicate(worse, WORSE))))
    if decided:
        shows = "shows" if len(equal) == 1 else "show"
        rest = f"; {counted(len(equal), 'setting')} {shows} no detectable difference"
        return f"Against *{base}*, {where}: {decided}{rest if equal else ''}."
    if len(equal) == 1:
        return f"There is no detectable difference between {equal[0]} and *{base}* {where}."
    text = f"No other {what} does detectably better or worse than *{base}* {where}"
    widest = max(tests, key=lambda name: abs(tests[name].difference), default=None)
    if widest is None:
        return f"{text}."
    return (
        f"{text}; the largest difference is that of *{widest}*, {tests[widest].rounded(1)} points,"
        " which so few seeds cannot tell from chance."
    )


def by_loss(tests: Mapping[str, Paired]) -> str:
    """One sentence that holds settings against the base by paired differences in validation loss.

    >>> by_loss({"a": Paired(-0.1, -0.2, -0.05, 0.01, 3), "b": Paired(0.1, -0.2, 0.3, 0.5, 3)})
    'In validation loss, *a* is better (−0.100 ± 0.075; not corrected for several comparisons).'
    """
    clauses = []
    for side, word in ((-1, BETTER), (1, WORSE)):
        if names := on_side(tests, side):
            values = "; ".join(tests[name].rounded(3) for name in names)
            clauses.append(f"{predicate([f'*{name}*' for name in names], word)} ({values}")
    if not clauses:
        return "In validation loss, no difference is detectable."
    said = "), and ".join(clauses)
    return f"In validation loss, {said}; not corrected for several comparisons)."
