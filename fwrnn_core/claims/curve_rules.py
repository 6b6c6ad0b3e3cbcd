"""Rules for claims that are read off whole curves: what is learned, what is stuck, who is first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fwrnn_core.claims.comparisons import joined
from fwrnn_core.claims.rules import Rule, Steadier, Within, pending
from fwrnn_core.claims.verdicts import Finding, Verdict, by_count
from fwrnn_core.evidence import Evidence
from fwrnn_core.experiments.tuned import LEARNED
from fwrnn_core.fairness import repeated_runs, repeats
from fwrnn_core.reports import first_reaching, label, published
from fwrnn_core.training import Record
from fwrnn_core.wording import counted


def learned(record: Record) -> float:
    """Gradients until an epoch's mean training loss shows that the Adding task was learned; inf."""
    return first_reaching(record, "train_loss", LEARNED)


@dataclass(frozen=True)
class Learns(Rule):
    """Adding: ours converges and the baseline does not."""

    ours: tuple[str, ...]
    baseline: str
    words: ClassVar[str] = (
        "a run has *learned* the Adding task once the mean training loss of an epoch is below half "
        "of 1/6, the error of always answering 1. The claim has three parts: Adam never learns, "
        "every K learns, every K learns before Adam. It is *reproduced* if all hold, *not "
        "reproduced* if none holds even for one K, and otherwise *partly*"
    )

    def names(self) -> tuple[str, ...]:
        return *self.ours, self.baseline

    def judge(self, evidence: Evidence) -> Finding:
        runs = {r.name: r for r in evidence.begun(self.names())}
        spent = {n: learned(r) for n, r in runs.items()}
        shown = ", ".join(_after(spent[n], run) for n, run in runs.items())
        text = f"learned after {shown}" if shown else ""
        if len(runs) < len(self.names()) or any(r.status == "partial" for r in runs.values()):
            return pending(evidence, self.names(), text)
        adam, ours = spent[self.baseline], [spent[n] for n in self.ours]
        parts = [np.isinf(adam), *np.isfinite(ours), *(n < adam for n in ours)]
        return Finding(text, by_count(sum(map(bool, parts)), len(parts)))


def _after(gradients: float, record: Record) -> str:
    method = label(record).removeprefix("Frank-Wolfe, ")
    if np.isfinite(gradients):
        return f"{gradients / 1000:,.0f} k gradients ({method})"
    return f"never ({method}, error {record.curve('train_loss')[-1]:.3f})"


@dataclass(frozen=True)
class Stuck(Rule):
    """A baseline that does not converge."""

    runs: tuple[str, ...]
    words: ClassVar[str] = (
        "*no or very slow convergence* means a training loss that ends above half of ln 10, the "
        "loss of guessing: *reproduced* if so in every run, *partly* if in some, *not reproduced* "
        "if in none"
    )

    def names(self) -> tuple[str, ...]:
        return self.runs

    def judge(self, evidence: Evidence) -> Finding:
        found = evidence.begun(self.runs)
        ends = [float(r.curve("train_loss")[-1]) for r in found]
        text = f"training loss {' and '.join(f'{v:.2f}' for v in ends)}" if ends else ""
        if len(found) < len(self.runs) or any(r.status == "partial" for r in found):
            return pending(evidence, self.runs, text)
        stuck = sum(v > np.log(10) / 2 for v in ends)
        return Finding(text, by_count(stuck, len(ends)))


@dataclass(frozen=True)
class Converges(Rule):
    """A run that fits 0 and 1 by their mean square error."""

    run: str
    words: ClassVar[str] = (
        "a *desirable* mean square error is one that ends below half of 1/4, the error of "
        "always answering ½"
    )

    def names(self) -> tuple[str, ...]:
        return (self.run,)

    def judge(self, evidence: Evidence) -> Finding:
        run = evidence.record(self.run)
        text = f"training MSE {run.curve('train_loss')[-1]:.3f}" if run and run.epochs else ""
        if not run or not text or run.status == "partial":
            return pending(evidence, self.names(), text)
        low = run.curve("train_loss")[-1] < 1 / 8
        return Finding(text, Verdict.HOLDS if low else Verdict.FAILS)


@dataclass(frozen=True)
class SameLoss(Within):
    """Training losses that end alike."""

    margin: float = 0.05
    words: ClassVar[str] = (
        "the *same performance* in training means a loss that ends at most 0.05 above Adam's, two "
        "per cent of ln 10, the loss of guessing: *reproduced* if that holds for every pair, "
        "*partly* if for some, otherwise *not reproduced*"
    )


@dataclass(frozen=True)
class MuchSteadier(Steadier):
    """A claim that one loss swings far more than another."""

    words: ClassVar[str] = (
        "*much more stable* means that the other loss climbs back (the sum of all its rises from "
        "one epoch to the next) at least twice as much in every comparison: then *reproduced*, "
        "*partly* if merely more in each, and *not reproduced* as soon as it does not in a "
        "finished one"
    )

    def judge(self, evidence: Evidence) -> Finding:
        finding = super().judge(evidence)
        values = (c.measure(evidence).value for c in self.comparisons)
        if finding.verdict is Verdict.HOLDS and any(v is not None and v < 1 for v in values):
            return Finding(finding.text, Verdict.PARTLY)
        return finding


def literature() -> tuple[float, int]:
    """The baseline from the literature that the paper quotes on HAR-2: accuracy, from 0 to 1, and
    the epochs that it takes at least."""
    quoted = published()["fig6"]["literature"]
    return quoted["accuracy"] / 100, quoted["epochs_at_least"]


@dataclass(frozen=True)
class Overtakes(Rule):
    """The accuracy of a baseline, passed within fewer epochs, with every seed there is."""

    ours: str
    baseline: str
    words: ClassVar[str] = (
        "*the baseline* passed within fewer epochs can be the accuracy that the paper has just "
        "quoted from the literature, or the best of Adam with the same settings and seed (the cell "
        "also says when Adam passes the quoted one). The claim is *reproduced* if, with every "
        "seed, both are reached in fewer epochs than they took, *partly* if one of them is, *not "
        "reproduced* if neither is with any seed, and otherwise *undecided*"
    )

    def names(self) -> tuple[str, ...]:
        return self.ours, self.baseline

    def printed(self) -> str:
        level, epochs = literature()
        return f"in fewer than {epochs} epochs to {100 * level:.2f} %"

    def judge(self, evidence: Evidence) -> Finding:
        ours, theirs = (repeated_runs(evidence, n) for n in self.names())
        seeds, lost = sorted(set(ours) & set(theirs)), repeats.diverged(evidence, self.names())
        if not seeds:
            return pending(evidence, self.names(), lost)
        level, limit = literature()
        quoted, adams = ([_epoch(runs[s], level) for s in seeds] for runs in (ours, theirs))
        counts = [
            sum(epoch < limit for epoch in quoted),
            sum(_sooner(ours[s], theirs[s]) for s in seeds),
        ]
        text = (
            f"{100 * level:.2f} % with {counts[0]} of {counted(len(seeds), 'seed')}"
            f"{_when(quoted)}, by Adam with {sum(epoch < limit for epoch in adams)}{_when(adams)};"
            f" Adam's own best, sooner than Adam, with {counts[1]} of {len(seeds)}"
        )
        text = joined(text, lost)
        none = Verdict.UNDECIDED if any(counts) else Verdict.FAILS
        return Finding(text, (none, Verdict.PARTLY, Verdict.HOLDS)[counts.count(len(seeds))])


def _sooner(ours: Record, baseline: Record) -> bool:
    """Whether a run reaches the best test accuracy of another in fewer epochs than that took."""
    best = float(np.nanmax(baseline.curve("test_accuracy")))
    return _epoch(ours, best) < _epoch(baseline, best)


def _epoch(record: Record, level: float) -> float:
    return first_reaching(record, "test_accuracy", level, "epoch")


def _when(epochs: Sequence[float]) -> str:
    """The epochs, or how far those that are finite reach, in brackets.

    >>> _when([3.0, math.inf]), _when([3.0, 5.0])
    (' (epoch 3)', ' (epochs 3 to 5)')
    """
    there = sorted({f"{epoch:.0f}" for epoch in epochs if math.isfinite(epoch)}, key=int)
    if len(there) < 2:
        return f" (epoch {there[0]})" if there else ""
    return f" (epochs {there[0]} to {there[-1]})"
