"""Numbers as users give them: Python's, NumPy's, or 0-dim tensors."""

from __future__ import annotations

import math


def as_number(value: object) -> float:
    """``value`` as a float; NaN, which fails every range check, where it is no number.

    >>> as_number(2), as_number("2"), as_number(True), as_number(None)
    (2.0, nan, nan, nan)
    """
    try:
        return math.nan if isinstance(value, str | bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        return math.nan
