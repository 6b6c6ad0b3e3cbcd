"""What several runs have in common: centre and spread."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fwrnn_core.errors import unknown


class Spread(NamedTuple):
    """Centre and limits, each an array over the last axis of what was summarised."""

    centre: np.ndarray
    low: np.ndarray
    high: np.ndarray


def spread(runs: ArrayLike, kind: Literal["interval", "range"] = "interval") -> Spread:
    """Summary of runs (float [runs, points]) over the runs; NaN (a run that ended) is left out.

    "interval": mean and its 95 % confidence interval (Student's t). "range": mean, least and
    greatest. One run alone has no interval: its limits are NaN.

    >>> spread([[1.0, 2.0], [3.0, 2.0]], "range")
    Spread(centre=array([2., 2.]), low=array([1., 2.]), high=array([3., 2.]))
    """
    values = np.ma.masked_invalid(np.atleast_2d(np.asarray(runs, dtype=float)))
    mean, count = values.mean(axis=0), values.count(axis=0)
    if kind == "range":
        low, high = values.min(axis=0), values.max(axis=0)
    elif kind == "interval":
        from scipy.stats import t

        half = t.ppf(0.975, np.maximum(count - 1, 1)) * values.std(axis=0, ddof=1) / np.sqrt(count)
        low, high = mean - half, mean + half
    else:
        raise unknown("kind of spread", kind, ["interval", "range"])
    return Spread(*(np.ma.filled(limit, np.nan) for limit in (mean, low, high)))
