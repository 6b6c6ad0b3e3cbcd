"""How far a seed alone moves an accuracy: published runs that were repeated with other seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from fwrnn_core.evidence import Evidence
from fwrnn_core.experiments import published
from fwrnn_core.fairness import ENOUGH, diverged_runs, from_zero, repeated_runs, signed
from fwrnn_core.reports import best_accuracy
from fwrnn_core.training import Record

Reading = Callable[[Record], float]
Terms = Sequence[tuple[int, str]]  # sign, name of a published run


class Difference(NamedTuple):
    """A sum of accuracies with signs, in points: its mean over ``seeds`` and half the width of its
    95 % interval, None where nothing was repeated that could tell."""

    value: float
    half: float | None
    seeds: int

    def __str__(self) -> str:
        width = "" if self.half is None else f" ± {self.half:.2f}"
        return f"{signed(self.value)}{width}"


def lost(evidence: Evidence, names: Iterable[str]) -> str:
    """Which published settings diverged, with how many of their seeds; empty where none did.

    Diverged runs are in no :func:`difference`: wherever one is shown, this stands beside it.
    """
    said = []
    for name in names:
        count, seeds = diverged_runs(evidence, name), len(published.repeats(name))
        if count:
            what = f"{name.rpartition('/')[2]} diverged"
            said.append(f"{what} with {count} of {seeds} seeds" if seeds > 1 else what)
    return ", ".join(said)


def difference(
    evidence: Evidence, terms: Terms, what: Reading = best_accuracy
) -> Difference | None:
    """The terms added up over the seeds with which all of them are complete; None without such.

    The interval is that of the paired t-test from three seeds on. With fewer it rests on the
    deviation of a single run, pooled over the repeated rows of the same table.
    """
    runs = [repeated_runs(evidence, name) for _, name in terms]
    seeds = sorted(set.intersection(*map(set, runs)))
    if not seeds:
        return None
    sums = [sum(s * what(of[n]) for (s, _), of in zip(terms, runs, strict=True)) for n in seeds]
    if len(seeds) >= ENOUGH:
        test = from_zero(sums)
        return Difference(test.difference, (test.high - test.low) / 2, test.n)
    return Difference(
        float(np.mean(sums)), _stand_in(evidence, terms, len(seeds), what), len(seeds)
    )


def _stand_in(evidence: Evidence, terms: Terms, seeds: int, what: Reading) -> float | None:
    from scipy.stats import t

    found = [deviation(evidence, name.partition("/")[0], what) for _, name in terms]
    if any(not freedom for _, freedom in found):
        return None
    variance = sum(d**2 for d, _ in found) / seeds
    return float(t.ppf(0.975, min(freedom for _, freedom in found))) * math.sqrt(variance)


def deviation(evidence: Evidence, task: str, what: Reading = best_accuracy) -> tuple[float, int]:
    """Standard deviation of one run over seeds in points, pooled over the repeated rows of a task,
    and its degrees of freedom; (nan, 0) where no row was repeated."""
    squares, freedom = 0.0, 0
    for row in published.REPEATED:
        values = [what(r) for r in repeated_runs(evidence, f"{task}/published/{row}").values()]
        if len(values) > 1:
            squares += float(np.var(values, ddof=1)) * (len(values) - 1)
            freedom += len(values) - 1
    return (math.sqrt(squares / freedom), freedom) if freedom else (math.nan, 0)
