"""Intervals, paired tests, and the cost until a run is good enough: numbers in, numbers out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

Key = TypeVar("Key")


def signed(value: float, digits: int = 2) -> str:
    """A number with its sign, in figures of equal width.

    >>> signed(-0.5), signed(0.25), signed(-0.001)
    ('−0.50', '+0.25', '+0.00')
    """
    # Adding zero takes the sign from a negative number that rounds to nothing.
    return f"{round(value, digits) + 0.0:+.{digits}f}".replace("-", "−")


def _half(low: float, high: float, digits: int) -> str:
    """Half the width of an interval, to be set after its middle."""
    return "" if math.isnan(low) else f" ± {(high - low) / 2:.{digits}f}"


class Estimate(NamedTuple):
    """Mean and 95 % interval of ``n`` runs; NaN limits for one run alone. A dash, for none."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.1f}{_half(self.low, self.high, 1)}" if self.n else "–"


class Paired(NamedTuple):
    """Mean difference, its 95 % interval and two-sided p of the paired t-test over ``n``
    pairs; NaN where there are too few. A dash, for none."""

    difference: float
    low: float
    high: float
    p: float
    n: int

    def __str__(self) -> str:
        return self.rounded(1)

    def rounded(self, digits: int) -> str:
        """The difference and half the width of its interval.

        >>> Paired(0.0123, 0.0111, 0.0135, 0.01, 3).rounded(4)
        '+0.0123 ± 0.0012'
        """
        half = _half(self.low, self.high, digits)
        return f"{signed(self.difference, digits)}{half}" if self.n else "–"

    @property
    def side(self) -> int:
        """1 or −1 where the whole interval lies on that side of zero, else 0."""
        return int(self.low > 0) - int(self.high < 0)


def estimate(values: Iterable[float]) -> Estimate:
    """Mean and 95 % interval (Student's t) of the finite values.

    >>> estimate([1.0, 2.0, 3.0])
    Estimate(mean=2.0, low=-0.48..., high=4.48..., n=3)
    """
    mean, low, high, _, n = from_zero(list(values))
    return Estimate(mean, low, high, n)


def from_zero(differences: Sequence[float]) -> Paired:
    """Are the differences zero on average? One-sample t-test of their mean.

    Differences that are all the same have no spread to test against: the interval is a point, and
    p is 1 if they are zero and 0 otherwise.
    """
    from scipy.stats import ttest_1samp

    values = np.asarray([d for d in differences if math.isfinite(d)], dtype=float)
    if len(values) < 2:
        mean = float(values[0]) if len(values) else math.nan
        return Paired(mean, math.nan, math.nan, math.nan, len(values))
    mean = float(values.mean())
    if np.ptp(values) == 0:
        return Paired(mean, mean, mean, float(mean == 0), len(values))
    result = ttest_1samp(values, 0.0)
    interval = result.confidence_interval(0.95)
    limits = float(interval.low), float(interval.high)
    return Paired(mean, *limits, float(result.pvalue), len(values))


def paired(ours: Mapping[int, float], baseline: Mapping[int, float]) -> Paired:
    """Paired t-test of two methods over the seeds that both have.

    >>> paired({1: 3.0, 2: 5.0, 3: 9.0}, {1: 1.0, 2: 2.0, 3: 5.0}).difference
    3.0
    """
    return from_zero([ours[s] - baseline[s] for s in sorted(set(ours) & set(baseline))])


def differences(
    found: Mapping[str, Mapping[int, float]], baseline: str, fewest: int = 1
) -> dict[str, Paired]:
    """Every other method's difference from the baseline's values by seed; methods that share fewer
    seeds with it than ``fewest`` are left out."""
    tests = {m: paired(own, found[baseline]) for m, own in found.items() if m != baseline}
    return {m: test for m, test in tests.items() if test.n >= fewest}


def on_side(tests: Mapping[Key, Paired], side: int) -> list[Key]:
    """Whose whole interval lies above zero (1), below it (−1), or on neither side (0)."""
    return [key for key, test in tests.items() if test.side == side]


def holm(p_values: Sequence[float]) -> list[float]:
    """p values adjusted for their number (Holm 1979); NaN stays NaN and is not counted.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03, 0.005])]
    [0.03, 0.06, 0.06, 0.02]
    """
    order = sorted((p, i) for i, p in enumerate(p_values) if not math.isnan(p))
    raised = [math.nan] * len(p_values)
    floor = 0.0
    for rank, (p, i) in enumerate(order):
        floor = raised[i] = max(floor, min(1.0, (len(order) - rank) * p))
    return raised


def adjusted_p(tests: Mapping[Key, Paired]) -> dict[Key, float]:
    """The p value of each of a family of tests, adjusted for their number by :func:`holm`."""
    return dict(zip(tests, holm([test.p for test in tests.values()]), strict=True))


def pooled_p(tests: Mapping[str, Mapping[Key, Paired]]) -> dict[tuple[str, Key], float]:
    """The same for several families as one: p by family and test."""
    return adjusted_p({(family, k): t for family, own in tests.items() for k, t in own.items()})


def expected_best(scores: Sequence[float]) -> np.ndarray:
    """Expected lowest score after n = 1 … N of the N trials, drawn without replacement.

    The i-th lowest of N is the lowest of n drawn ones with probability C(N−i, n−1) / C(N, n), as in
    the search curves of Dodge et al. (2019), who draw with replacement.

    >>> expected_best([3.0, 1.0]).tolist()
    [2.0, 1.0]
    """
    ordered, total = sorted(scores), len(scores)
    return np.array(
        [
            sum(
                math.comb(total - i, n - 1) / math.comb(total, n) * score
                for i, score in enumerate(ordered, start=1)
                if total - i >= n - 1
            )
            for n in range(1, total + 1)
        ]
    )
