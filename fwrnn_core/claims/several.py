"""One claim about several data sets or settings, judged on each by the same rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

from fwrnn_core.claims.rules import Rule, settled, together
from fwrnn_core.claims.verdicts import Finding, Verdict
from fwrnn_core.evidence import Evidence

# What an undecided verdict may turn out to be.
_MAY_BE = (Verdict.HOLDS, Verdict.PARTLY, Verdict.FAILS)


@dataclass(frozen=True)
class Each(Rule):
    """The same rule on each of several data sets or settings; ``of`` names them, in order."""

    rules: tuple[Rule, ...]
    of: tuple[str, ...]
    name: ClassVar[str] = "each"
    words: ClassVar[str] = (
        "a claim about several data sets or settings, each named before its figures, is "
        "*reproduced* (*holds*) if its rule says so for each, and *not reproduced* (*does not "
        "hold*) if for none even in part. It is *undecided* if the undecided ones could still tip "
        "it, and otherwise *partly*"
    )

    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(n for rule in self.rules for n in rule.names()))

    def printed(self) -> str:
        return together((rule.printed() for rule in self.rules), self.of)

    def judge(self, evidence: Evidence) -> Finding:
        found = [rule.judge(evidence) for rule in self.rules]
        verdicts = [f.verdict for f in found]
        if all(v is Verdict.OPEN for v in verdicts):
            return Finding("–", Verdict.OPEN)
        text = "; ".join(f"{of}: {_told(f)}" for of, f in zip(self.of, found, strict=True))
        if any(v.open for v in verdicts):
            return Finding(text, Verdict.UNFINISHED)
        if Verdict.INCOMPARABLE in verdicts:
            return Finding(text, Verdict.INCOMPARABLE)
        choices = (_MAY_BE if v is Verdict.UNDECIDED else (v,) for v in verdicts)
        return Finding(text, settled(map(whole, product(*choices))))


def _told(finding: Finding) -> str:
    return finding.verdict.value if finding.text in ("", "–") else finding.text


def whole(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict on all from those on each.

    >>> whole([Verdict.HOLDS, Verdict.FAILS]).value, whole([Verdict.FAILS] * 2).value
    ('partly', 'not reproduced')
    """
    found = set(verdicts)
    return found.pop() if len(found) == 1 else Verdict.PARTLY
