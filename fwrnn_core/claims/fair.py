"""The same claims under fair conditions: tuned alike, several seeds, intervals instead of sizes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from fwrnn_core import fairness
from fwrnn_core.claims.comparisons import TIMES_ALIKE, joined
from fwrnn_core.claims.curve_rules import learned
from fwrnn_core.claims.rules import NEAR_ONE, Rule, pending
from fwrnn_core.claims.verdicts import Finding, Verdict, by_count
from fwrnn_core.evidence import Evidence
from fwrnn_core.experiments import tuned
from fwrnn_core.experiments.fair import TRIALS, search
from fwrnn_core.fairness import Paired, from_zero, until_level
from fwrnn_core.reports import listed, timed_alike
from fwrnn_core.training import Record

Term = tuple[int, str, str]  # sign, task, method


def _final_names(terms: tuple[Term, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(n for _, t, m in terms for n in fairness.final_names(t, m).values()))


@dataclass(frozen=True)
class Interval(Rule):
    """A sum of accuracies with signs, seed by seed, and its 95 % interval. ``what`` says which
    difference it is, where the claim's words do not."""

    terms: tuple[Term, ...]
    what: str = field(default="", kw_only=True)
    words: ClassVar[str] = (
        "accuracies are compared seed by seed, with a 95 % interval (± is half its width): a claim "
        "*holds* if the whole interval of the mean difference has the claimed sign, *does not "
        "hold* if all of it has the opposite sign, and is otherwise *undecided*"
    )

    def names(self) -> tuple[str, ...]:
        return _final_names(self.terms)

    def test(self, evidence: Evidence) -> Paired:
        """The differences over the seeds that all terms have."""
        values = [fairness.accuracies(evidence, t, m) for _, t, m in self.terms]
        seeds = sorted(set.intersection(*map(set, values)))
        signs = [sign for sign, _, _ in self.terms]
        return from_zero([sum(s * v[n] for s, v in zip(signs, values, strict=True)) for n in seeds])

    def judge(self, evidence: Evidence) -> Finding:
        test = self.test(evidence)
        # As many digits as the paper's own sizes, which stand beside it.
        text = f"{self.what}: " * bool(self.what) + f"{test.rounded(2)} points"
        gone = lost(evidence, self.terms)
        if not evidence.coverage(self.names()).whole or test.n < 2:
            return pending(evidence, self.names(), joined(text if test.n else "", gone))
        words = {1: Verdict.HOLDS, 0: Verdict.UNDECIDED, -1: Verdict.FAILS}
        return Finding(joined(f"{text}, {test.n} seeds", gone), words[test.side])


@dataclass(frozen=True)
class Sized(Interval):
    """A claim that names the size of a difference on data other than that of the fair runs:
    ``unlike`` says in what they differ."""

    unlike: str
    words: ClassVar[str] = (
        "a claim that *names a size*, but on data other than that of the fair runs, can hold there "
        "*in part* at most, by its sign"
    )

    def judge(self, evidence: Evidence) -> Finding:
        finding = super().judge(evidence)
        holds = finding.verdict is Verdict.HOLDS
        return Finding(
            f"{finding.text} ({self.unlike})", Verdict.PARTLY if holds else finding.verdict
        )


def lost(evidence: Evidence, terms: Iterable[Term]) -> str:
    """Which methods diverged with how many of their seeds; empty where none did. Those seeds are
    in no interval, so that it is to be read with this beside it."""
    said = []
    for task, method in dict.fromkeys((task, method) for _, task, method in terms):
        runs = fairness.finals(evidence, task, method)
        diverged = sum(r.status == "diverged" for r in runs.values())
        if diverged:
            said.append(f"{method} diverged with {diverged} of {len(runs)} seeds")
    return ", ".join(said)


def gain(task: str, better: str, worse: str) -> Interval:
    """One method against another on one task."""
    return Interval(((1, task, better), (-1, task, worse)))


@dataclass(frozen=True)
class EveryInterval(Rule):
    """A claim about all of several comparisons."""

    intervals: tuple[Interval, ...]
    words: ClassVar[str] = (
        "a claim about *all* of several comparisons *holds* if every interval has the claimed "
        "sign, *does not hold* as soon as one has the opposite sign, and is otherwise *undecided*"
    )

    def parts(self) -> tuple[Interval, ...]:
        return self.intervals

    def judge(self, evidence: Evidence) -> Finding:
        found, text = self._each(evidence)
        if Verdict.FAILS in found:
            return Finding(text, Verdict.FAILS)
        if any(v.open for v in found):
            return pending(evidence, self.names(), text)
        whole = found.count(Verdict.HOLDS) == len(found)
        return Finding(text, Verdict.HOLDS if whole else Verdict.UNDECIDED)

    def _each(self, evidence: Evidence) -> tuple[list[Verdict], str]:
        found = [i.judge(evidence).verdict for i in self.intervals]
        gone = lost(evidence, (term for i in self.intervals for term in i.terms))
        return found, joined(self.text(found), gone)

    @staticmethod
    def text(found: Sequence[Verdict]) -> str:
        """How many of the comparisons that can be judged came out which way."""
        judged = [v for v in found if not v.open]
        counts = {
            "hold": judged.count(Verdict.HOLDS),
            "undecided": judged.count(Verdict.UNDECIDED),
            "the other way": judged.count(Verdict.FAILS),
            "not comparable": judged.count(Verdict.INCOMPARABLE),
        }
        shown = ", ".join(f"{n} {what}" for what, n in counts.items() if n)
        return (
            f"of {len(judged)} comparisons on HAR-2 with and without noise: {shown}"
            if judged
            else ""
        )


@dataclass(frozen=True)
class MostIntervals(EveryInterval):
    """A claim that something is often so."""

    words: ClassVar[str] = (
        "*often* under fair conditions means that more than half of the intervals have the claimed "
        "sign: then it *holds*. It holds *in part* if some have, *does not hold* if none has and "
        "one has the opposite sign, and is otherwise *undecided*"
    )

    def judge(self, evidence: Evidence) -> Finding:
        found, text = self._each(evidence)
        if any(v.open for v in found):
            return pending(evidence, self.names(), text)
        good = found.count(Verdict.HOLDS)
        if 2 * good > len(found):
            return Finding(text, Verdict.HOLDS)
        if good:
            return Finding(text, Verdict.PARTLY)
        return Finding(text, Verdict.FAILS if Verdict.FAILS in found else Verdict.UNDECIDED)


@dataclass(frozen=True)
class Cost(Rule):
    """Seconds until 90 % test accuracy, seed by seed."""

    task: str
    ours: str
    baseline: str
    x: ClassVar[str] = "seconds"
    tie: ClassVar[tuple[float, float]] = TIMES_ALIKE
    words: ClassVar[str] = (
        "training is *cheaper* if it reaches 90 % test accuracy in fewer seconds of one core with "
        "every seed, *not* if it takes more with every seed, and otherwise *undecided*. Seed by "
        f"seed, too, {NEAR_ONE}"
    )

    def names(self) -> tuple[str, ...]:
        return _final_names(((1, self.task, self.ours), (1, self.task, self.baseline)))

    def judge(self, evidence: Evidence) -> Finding:
        runs = [fairness.finals(evidence, self.task, m) for m in (self.ours, self.baseline)]
        ours, baseline = (
            {seed: until_level(record, self.x) for seed, record in found.items()} for found in runs
        )
        text, verdict = first_in(ours, baseline, self.tie)
        text = joined(text, self.unequal(*runs))
        if not evidence.coverage(self.names()).whole or not set(ours) & set(baseline):
            return pending(evidence, self.names(), text)
        if self.x == "seconds" and not timed_alike([r for side in runs for r in side.values()]):
            text = "timed on different machines or under two versions of the sources"
            return Finding(text, Verdict.INCOMPARABLE)
        return Finding(text, verdict)

    def unequal(self, ours: Mapping[int, Record], baseline: Mapping[int, Record]) -> str:
        """What the two sides did not have alike, in words."""
        return ""


@dataclass(frozen=True)
class Sooner(Cost):
    """Epochs until 90 % test accuracy, seed by seed."""

    x: ClassVar[str] = "epoch"
    tie: ClassVar[tuple[float, float]] = (1, 1)
    words: ClassVar[str] = (
        "*fewer epochs* under fair conditions are counted to 90 % test accuracy, however many "
        "gradients an epoch takes (the cell says how many): the claim *holds* if they are fewer "
        "with every seed, *does not hold* if they are more with every seed, and is otherwise "
        "*undecided*"
    )

    def unequal(self, ours: Mapping[int, Record], baseline: Mapping[int, Record]) -> str:
        """The gradients of an epoch, the fewest over seeds, where they are not the same."""
        spent = [
            min(float(r.curve("gradient_evaluations")[0]) for r in begun)
            for found in (ours, baseline)
            if (begun := [r for r in found.values() if r.epochs])
        ]
        if len(spent) < 2 or spent[0] == spent[1]:
            return ""
        return f"{spent[0]:.0f} gradients an epoch against {spent[1]:.0f}"


def first_in(
    ours: Mapping[int, float],
    baseline: Mapping[int, float],
    tie: tuple[float, float] = (1, 1),
) -> tuple[str, Verdict]:
    """Who is first, seed by seed; inf is never, and a ratio within the limits of ``tie`` is a tie.

    >>> first_in({1: 2.0, 2: 3.0}, {1: 4.0, 2: math.inf})
    ('first with 2 of 2 seeds', <Verdict.HOLDS: 'reproduced'>)
    >>> first_in({1: 2.0, 2: 3.9}, {1: 4.0, 2: 4.0}, TIMES_ALIKE)
    ('first with 1 of 2 seeds, equal with 1', <Verdict.UNDECIDED: 'undecided'>)
    """
    seeds = set(ours) & set(baseline)
    if not seeds:
        return "", Verdict.UNDECIDED
    if all(math.isinf(ours[s]) and math.isinf(baseline[s]) for s in seeds):
        return "neither gets there", Verdict.UNDECIDED
    there = [s for s in seeds if math.isfinite(ours[s]) or math.isfinite(baseline[s])]
    neither = len(seeds) - len(there)
    ratios = [ours[s] / baseline[s] for s in there]
    won, lost = sum(r < tie[0] for r in ratios), sum(r > tie[1] for r in ratios)
    close = len(ratios) - won - lost
    text = f"first with {won} of {len(seeds)} seeds"
    if close:
        text += f", equal with {close}"
    if neither:
        text += f", neither gets there with {neither}"
    if won == len(seeds):
        return text, Verdict.HOLDS
    return text, Verdict.FAILS if lost == len(seeds) else Verdict.UNDECIDED


@dataclass(frozen=True)
class TunedAdding(Rule):
    """Adding over 200 steps, learning rates searched alike: with how many seeds it is learned."""

    words: ClassVar[str] = (
        "over 200 steps the claim on the Adding task *holds* if K = 1 and K = 10 both learn it "
        "with significantly more seeds than Adam (Fisher's exact test, one-sided, 5 %: of three "
        "seeds, all against none). It holds *in part* if one of them does, *does not hold* if Adam "
        "learns it with every seed, and is otherwise *undecided*"
    )

    def names(self) -> tuple[str, ...]:
        return tuple(n for m in tuned.METHODS for n in tuned.final_names(m).values())

    def judge(self, evidence: Evidence) -> Finding:
        found: dict[str, list[bool]] = {}
        for method in tuned.METHODS:
            if runs := evidence.finished(tuned.final_names(method)).values():
                found[method] = [math.isfinite(learned(r)) for r in runs]
        shown = [
            f"{sum(seeds)} of {len(seeds)} ({fairness.label(m).replace('Frank-Wolfe, ', '')})"
            for m, seeds in found.items()
        ]
        text = f"learned with {', '.join(shown)} seeds" if shown else ""
        idle = [m for m in tuned.METHODS if tuned.untuned(m)]
        if text and idle:
            names = listed([fairness.label(m).replace("Frank-Wolfe, ", "") for m in idle])
            who = "" if len(idle) == len(tuned.METHODS) else f"{names} "
            text += f", {who}at the published rate, since no rate worked in the search"
        if not evidence.coverage(self.names()).whole:
            return pending(evidence, self.names(), text)
        adam = found.pop("adam")
        if all(adam):
            return Finding(text, Verdict.FAILS)
        more = [oftener(seeds, adam) for seeds in found.values()]
        return Finding(text, by_count(sum(more), len(more), Verdict.UNDECIDED))


def oftener(ours: Sequence[bool], baseline: Sequence[bool]) -> bool:
    """Whether ours succeeded in a larger share of runs, by Fisher's exact test at 5 % (one-sided).

    >>> oftener([True] * 3, [False] * 3), oftener([True] * 3, [False, False, True])
    (True, False)
    """
    from scipy.stats import fisher_exact

    counts = [[sum(runs), len(runs) - sum(runs)] for runs in (ours, baseline)]
    # All of three against none is 1 in 20, give or take a rounding.
    return bool(fisher_exact(counts, alternative="greater").pvalue < 0.05 + 1e-9)


@dataclass(frozen=True)
class BestDraw(Rule):
    """Where the fair search's draw with the learning rate and batch size of the published runs
    stands among all draws."""

    methods: tuple[str, ...]
    words: ClassVar[str] = (
        "settings are *the best* if, of all draws of the fair search, the one with their learning "
        "rate and batch size has the lowest validation loss: the claim *holds* if so in every "
        "search, *in part* if in some, and *does not hold* if in none. Every draw has one seed"
    )

    def names(self) -> tuple[str, ...]:
        return tuple(
            c.name for task in fairness.TASKS for m in self.methods for c in search(task, m)
        )

    def judge(self, evidence: Evidence) -> Finding:
        found = [s for s in fairness.sought(evidence) if s.method in self.methods]
        ranks = [s.place for s in found]
        shown = []
        for task, name in fairness.TASKS.items():
            each = [f"{s.place} ({fairness.label(s.method)})" for s in found if s.task == task]
            if each:
                shown.append(f"{name} {', '.join(each)}")
        text = f"rank among {TRIALS} draws: {'; '.join(shown)}" if shown else ""
        if len(ranks) < len(fairness.TASKS) * len(self.methods):
            return pending(evidence, self.names(), text)
        return Finding(text, by_count(ranks.count(1), len(ranks)))


@dataclass(frozen=True)
class Otherwise(Rule):
    """A rule of the published settings on runs that were made equal in part, as ``how`` says."""

    how: str
    rule: Rule
    words: ClassVar[str] = (
        "where the fair cell begins by naming what was made equal, and for theory, the claim's "
        "rule for the published settings is applied to those runs"
    )

    def parts(self) -> tuple[Rule, ...]:
        return (self.rule,)

    def judge(self, evidence: Evidence) -> Finding:
        finding = self.rule.judge(evidence)
        return Finding(f"{self.how}: {finding.text}", finding.verdict)
