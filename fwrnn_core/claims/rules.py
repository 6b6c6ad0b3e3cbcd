"""The rules by which claims are judged in the published settings, each with its words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import ClassVar

from fwrnn_core.claims.comparisons import TIMES_ALIKE, Comparison, Measured, joined, labels
from fwrnn_core.claims.verdicts import Finding, Verdict, by_count
from fwrnn_core.evidence import Evidence


class Rule(ABC):
    """Evidence in print, evidence in the records, and a verdict."""

    words: ClassVar[str]

    def parts(self) -> tuple[Comparison, ...] | tuple[Rule, ...]:
        """The comparisons, or the rules, that it is made of."""
        return ()

    def names(self) -> tuple[str, ...]:
        """The runs that it is judged by."""
        return tuple(dict.fromkeys(name for part in self.parts() for name in part.names()))

    def printed(self) -> str:
        """What the paper prints on it, in figures; empty where it prints none."""
        return ""

    @abstractmethod
    def judge(self, evidence: Evidence) -> Finding:
        """Hold it against the records."""


_FEW = 4  # as many values are shown one by one
NEAR_ONE = f"ratios of time between {TIMES_ALIKE[0]} and {TIMES_ALIKE[1]} are *undecided*"
# Of accuracies and swings on HAR-2, where runs were repeated.
BY_CHANCE = "a difference whose 95 % interval over seeds contains zero"


def pending(evidence: Evidence, names: Iterable[str], so_far: str = "") -> Finding:
    """The finding where runs are missing, stopped before their last epoch, or not comparable."""
    coverage = evidence.coverage(names)
    if coverage.whole:
        return Finding(so_far or "–", Verdict.INCOMPARABLE)
    if missing := len(coverage.names("missing")):
        there = len(coverage) - missing
        text = f"{there} of {len(coverage)} runs recorded" if there else ""
        verdict = Verdict.UNFINISHED if there else Verdict.OPEN
        return Finding(joined(so_far, text) or "–", verdict)
    where = coverage.extent()
    return Finding(f"{so_far} at {where}" if so_far else where, Verdict.UNFINISHED)


def _dated(text: str, evidence: Evidence, names: Iterable[str]) -> str:
    """A figure with the epoch of the unfinished records that it comes from."""
    coverage = evidence.coverage(names)
    partial = len(coverage.names("partial"))
    if not text or not partial:
        return text
    alike = partial + len(coverage.names("missing")) == len(coverage)
    return f"{text}{' at' if alike else '; unfinished runs at'} {coverage.extent()}"


def _shown(comparison: Comparison, measured: Measured) -> str:
    if measured.value is None:
        return measured.note
    shown = comparison.show(measured.value, measured.half)
    return f"{shown} ({measured.note})" if measured.note else shown


def _print(comparison: Comparison) -> str:
    value = comparison.printed()
    return "" if value is None else comparison.show(value)


def together(shown: Iterable[str], of: Sequence[str]) -> str:
    """Figures in a row, each with what it is of, and with their unit once where it is the same.

    >>> together(["+1.00 points", "−2.00 points"], ("clean", "noisy"))
    '+1.00 (clean), −2.00 (noisy) points'
    >>> together(["0.50 × the time", "late"], ("K = 1", "K = 5"))
    'K = 1: 0.50 × the time; K = 5: late'
    """
    parts = [(text, name) for text, name in zip(shown, of, strict=True) if text]
    split = [text.partition(" ") for text, _ in parts]
    numbers, units = [number for number, _, _ in split], {unit for _, _, unit in split}
    if len(units) == 1 and all(any(c.isdigit() for c in n) for n in numbers):
        named = (
            f"{n} ({name})" if name else n for n, (_, name) in zip(numbers, parts, strict=True)
        )
        return f"{', '.join(named)} {units.pop()}".strip()
    return "; ".join(f"{name}: {text}" if name else text for text, name in parts)


@dataclass(frozen=True)
class HalfSize(Rule):
    """One difference with a printed size: its own, or that of ``claimed`` where the paper did not
    make this comparison."""

    comparison: Comparison
    claimed: Comparison | None = None
    words: ClassVar[str] = (
        "a difference whose size the paper gives is *reproduced* if the re-run has its sign and at "
        "least half its size, *partly* if it has the sign alone, and otherwise *not reproduced*. "
        "It is *undecided* if its 95 % interval over seeds spans two of these verdicts. Where that "
        "interval excludes the printed size, the cell says so. A ratio of times between "
        f"{TIMES_ALIKE[0]} and {TIMES_ALIKE[1]} is no difference: *not reproduced*, or "
        "*undecided* where half of the printed difference is as small"
    )

    def parts(self) -> tuple[Comparison, ...]:
        return (self.comparison,)

    def printed(self) -> str:
        return _print(self.claimed or self.comparison)

    def judge(self, evidence: Evidence) -> Finding:
        measured = self.comparison.measure(evidence)
        text = _shown(self.comparison, measured)
        if not measured.comparable:
            return Finding(_dated(text, evidence, self.names()), Verdict.INCOMPARABLE)
        if measured.value is None or not measured.final:
            return pending(evidence, self.names(), text)
        text = _dated(text, evidence, self.names())
        printed = (self.claimed or self.comparison).printed()
        assert printed is not None, self
        if measured.half is None and not measured.apart:
            # Where the claim's own half is as small, times that are alike say nothing of it.
            small = abs(printed) / 2 <= 1 - TIMES_ALIKE[0]
            return Finding(text, Verdict.UNDECIDED if small else Verdict.FAILS)
        ends = _ends(measured.value, measured.half)
        if measured.half and not min(ends) <= printed <= max(ends):
            text += f"; the paper's {self.printed()} are outside this interval"
        return Finding(text, settled(by_size(printed, value) for value in ends))


def _ends(value: float, half: float | None) -> tuple[float, float]:
    """The ends of an interval, the value twice where there is none."""
    return value - (half or 0.0), value + (half or 0.0)


def settled(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict on which the ends of an interval agree, else *undecided*."""
    found = set(verdicts)
    return found.pop() if len(found) == 1 else Verdict.UNDECIDED


def by_size(printed: float, rerun: float) -> Verdict:
    """The rule of :class:`HalfSize`.

    >>> [by_size(6.0, rerun).value for rerun in (3.1, 0.2, -1.0)]
    ['reproduced', 'partly', 'not reproduced']
    """
    if rerun * printed <= 0:
        return Verdict.FAILS
    return Verdict.HOLDS if abs(rerun) >= abs(printed) / 2 else Verdict.PARTLY


@dataclass(frozen=True)
class Within(Rule):
    """ "Comparable": each difference is no worse than a margin."""

    comparisons: tuple[Comparison, ...]
    margin: float = 0.5
    words: ClassVar[str] = (
        "*comparable* means at most half a percentage point behind (the largest such difference "
        "that the paper calls comparable is 0.41): *reproduced* if that holds for every pair, "
        "*partly* if for some, otherwise *not reproduced*"
    )

    def parts(self) -> tuple[Comparison, ...]:
        return self.comparisons

    def printed(self) -> str:
        return together(map(_print, self.comparisons), labels(self.comparisons))

    def judge(self, evidence: Evidence) -> Finding:
        found = [c.measure(evidence) for c in self.comparisons]
        pairs = zip(self.comparisons, found, strict=True)
        shown = ("" if m.value is None else _shown(c, m) for c, m in pairs)
        text = together(shown, labels(self.comparisons))
        if any(m.value is None or not m.final for m in found):
            return pending(evidence, self.names(), text)
        good = sum(m.value is not None and m.value >= -self.margin for m in found)
        return Finding(text, by_count(good, len(found)))


@dataclass(frozen=True)
class Every(Rule):
    """A claim about all of several comparisons: one that goes the other way is enough. ``what``
    says what is compared, where a mere count would not."""

    comparisons: tuple[Comparison, ...]
    what: str = field(default="", kw_only=True)
    words: ClassVar[str] = (
        "a claim about *all* of several comparisons is *reproduced* if every one has the claimed "
        "sign, and *not reproduced* as soon as one finished comparison has the opposite sign. "
        f"A ratio of times between {TIMES_ALIKE[0]} and {TIMES_ALIKE[1]} and {BY_CHANCE} decide "
        "nothing: if all others have the claimed sign, the claim is *undecided*"
    )

    def parts(self) -> tuple[Comparison, ...]:
        return self.comparisons

    def printed(self) -> str:
        return self.text([Measured(c.printed()) for c in self.comparisons])

    def judge(self, evidence: Evidence) -> Finding:
        found = [c.measure(evidence) for c in self.comparisons]
        final = [m for m in found if m.value is not None and m.final]
        text = self.text(found)
        dated = _dated(text, evidence, self.names())
        if any(m.apart and m.value is not None and m.value <= 0 for m in final):
            return Finding(dated, Verdict.FAILS)
        if len(final) == len(found):
            return Finding(
                dated, Verdict.HOLDS if all(m.apart for m in final) else Verdict.UNDECIDED
            )
        barred = sum(not m.comparable for m in found)
        if barred and len(final) + barred == len(found):
            return Finding(dated, Verdict.INCOMPARABLE)
        return pending(evidence, self.names(), text)

    def text(self, found: Sequence[Measured]) -> str:
        """Each value while they are few, else how many are in favour."""
        pairs = list(zip(self.comparisons, found, strict=True))
        if len(pairs) <= _FEW:
            return together((_shown(c, m) for c, m in pairs), labels(self.comparisons))
        counts = []
        for final, words in ((True, ""), (False, " unfinished")):
            there = [m for m in found if m.value is not None and m.final is final]
            if there:
                good = sum(m.apart and m.value > 0 for m in there if m.value is not None)
                counts.append(f"{good} of {len(there)}{words} comparisons in favour")
                if close := sum(not m.apart for m in there):
                    counts[-1] += f", {close} undecided"
        text = "; ".join(counts)
        return f"{self.what}: {text}" if self.what and text else text


@dataclass(frozen=True)
class Most(Every):
    """A claim that something is often so."""

    words: ClassVar[str] = (
        "*often* means in more than half of the comparisons: then *reproduced*, *partly* if in "
        f"some, *not reproduced* if in none. {BY_CHANCE.capitalize()} counts for neither side; if "
        "no other is in favour, the claim is *undecided*"
    )

    def judge(self, evidence: Evidence) -> Finding:
        found = [c.measure(evidence) for c in self.comparisons]
        values = [(m.value, m.apart) for m in found if m.value is not None and m.final]
        text = self.text(found)
        if len(values) < len(found):
            return pending(evidence, self.names(), text)
        good = sum(apart and v > 0 for v, apart in values)
        if 2 * good > len(found):
            return Finding(text, Verdict.HOLDS)
        if good:
            return Finding(text, Verdict.PARTLY)
        close = not all(apart for _, apart in values)
        return Finding(text, Verdict.UNDECIDED if close else Verdict.FAILS)


@dataclass(frozen=True)
class Steadier(Every):
    """A claim that one loss swings and another does not."""

    words: ClassVar[str] = (
        "*climbing back* is the sum over a run of all rises of the mean training loss from one "
        "epoch to the next. That one loss swings and the other does not is *reproduced* if the "
        "first climbs back more in every comparison, by however little, and *not reproduced* as "
        "soon as it does not in a finished one. A ratio whose 95 % interval over seeds (given "
        "after it) contains 1 decides nothing"
    )


@dataclass(frozen=True)
class Fades(Rule):
    """A gain on one task that is gone on another."""

    there: Comparison
    gone: Comparison
    words: ClassVar[str] = (
        "an advantage is *lost* if it is there on the first task and less than half as large on "
        "the second: then *reproduced*, *partly* if it merely shrinks, otherwise *not reproduced*, "
        "and *undecided* where the ends of the 95 % intervals give different verdicts"
    )

    def parts(self) -> tuple[Comparison, ...]:
        return self.there, self.gone

    def printed(self) -> str:
        return ", then ".join(filter(None, (_print(self.there), _print(self.gone))))

    def judge(self, evidence: Evidence) -> Finding:
        first, second = self.there.measure(evidence), self.gone.measure(evidence)
        texts = _shown(self.there, first), _shown(self.gone, second)
        if first.value is None or second.value is None or not (first.final and second.final):
            return pending(evidence, self.names(), joined(*texts))
        ends = product(_ends(first.value, first.half), _ends(second.value, second.half))
        return Finding(", then ".join(texts), settled(self.fading(*pair) for pair in ends))

    @staticmethod
    def fading(first: float, second: float) -> Verdict:
        """The verdict on two gains."""
        if first <= 0 or second >= first:
            return Verdict.FAILS
        return Verdict.HOLDS if second < first / 2 else Verdict.PARTLY


@dataclass(frozen=True)
class Slight(Fades):
    """A gain on one task that is there on another too, but small."""

    words: ClassVar[str] = (
        "an advantage is *only slight* on a second task if it is there and less than half as large "
        "as on the first: then *reproduced*, *partly* if it merely shrinks or is gone altogether, "
        "otherwise *not reproduced*"
    )

    @staticmethod
    def fading(first: float, second: float) -> Verdict:
        verdict = Fades.fading(first, second)
        return Verdict.PARTLY if verdict is Verdict.HOLDS and second <= 0 else verdict


# What an undecided verdict may turn out to be.
_MAY_BE = (Verdict.HOLDS, Verdict.PARTLY, Verdict.FAILS)


@dataclass(frozen=True)
class Each(Rule):
    """The same rule on each of several data sets or settings; ``of`` names them, in order."""

    rules: tuple[Rule, ...]
    of: tuple[str, ...]
    words: ClassVar[str] = (
        "a claim about several data sets or settings, each named before its figures, is "
        "*reproduced* (*holds*) if its rule says so for each, and *not reproduced* (*does not "
        "hold*) if for none even in part. It is *undecided* if the undecided ones could still tip "
        "it, and otherwise *partly*"
    )

    def parts(self) -> tuple[Rule, ...]:
        return self.rules

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
