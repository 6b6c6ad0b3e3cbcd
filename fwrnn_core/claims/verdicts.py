"""What can come out when a claim is held against records."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """The value is the word in the published settings; :data:`FAIR` has those of the fair ones."""

    HOLDS = "reproduced"
    PARTLY = "partly"
    FAILS = "not reproduced"
    UNDECIDED = "undecided"
    INCOMPARABLE = "not comparable"
    OPEN = "not run yet"
    UNFINISHED = "not finished"

    @property
    def open(self) -> bool:
        """Whether runs are missing that the verdict waits for."""
        return self in (Verdict.OPEN, Verdict.UNFINISHED)


FAIR = {verdict: verdict.value for verdict in Verdict} | {
    Verdict.HOLDS: "holds",
    Verdict.PARTLY: "holds in part",
    Verdict.FAILS: "does not hold",
}


@dataclass(frozen=True)
class Finding:
    """What records say of one claim: the evidence in figures, and the verdict."""

    text: str
    verdict: Verdict


def by_count(good: int, total: int, none: Verdict = Verdict.FAILS) -> Verdict:
    """The verdict on a claim of which ``good`` parts of ``total`` hold; ``none`` if no part does.

    >>> [by_count(good, 2).value for good in (2, 1, 0)]
    ['reproduced', 'partly', 'not reproduced']
    """
    if not good:
        return none
    return Verdict.HOLDS if good == total else Verdict.PARTLY
