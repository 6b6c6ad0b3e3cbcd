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
    values = np.atleast_2d(np.asarray(runs, dtype=float))
    count = np.sum(~np.isnan(values), axis=0)
    masked = np.ma.masked_invalid(values)
    mean = np.ma.filled(masked.mean(axis=0), np.nan)
    if kind == "range":
        low = np.ma.filled(masked.min(axis=0), np.nan)
        high = np.ma.filled(masked.max(axis=0), np.nan)
        return Spread(mean, low, high)
    if kind != "interval":
        raise unknown("kind of spread", kind, ["interval", "range"])
    from scipy.stats import t

    several = count > 1
    degrees = np.where(several, count - 1, 1)
    variance = np.nansum((values - mean) ** 2, axis=0) / degrees
    half = np.where(
        several, t.ppf(0.975, degrees) * np.sqrt(variance / np.maximum(count, 1)), np.nan
    )
    return Spread(mean, mean - half, mean + half)
