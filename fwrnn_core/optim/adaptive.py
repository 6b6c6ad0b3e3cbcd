"""Opt-in control of the radius: grow it where the walk says that the ball is too small.

Two signals, both in use as trust-region rules:

``"ratio"``: actual over predicted decrease, (F(ω_t) − F(ω_t + Δ_K)) / (m(0) − m(Δ_K)), on one
    minibatch (Conn, Gould and Toint, Trust-Region Methods, 2000, section 6.1). The model m is
    linear for Frank-Wolfe and projected gradients, quadratic for the trust-region solver. Needs
    ``step(closure)`` and costs one more evaluation per loop, and one buffer for the first gradient
    where the model is linear.
``"agreement"``: ‖Δ_K‖/δ, rescaled so that 0 is what K random vertices would give (1/√K) and 1 is
    K equal ones (ours). Free, and works with a fresh minibatch per inner step. For Euclidean balls
    only: in a ball with corners (p = 1, ∞, nuclear) random vertices agree as well as equal ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from fwrnn_core.errors import ConfigError, unknown
from fwrnn_core.optim.numbers import as_number

SIGNALS = ("agreement", "ratio")


@dataclass(frozen=True)
class AdaptiveRadius:
    """δ ← grow·δ when the signal exceeds ``high``, shrink·δ when it is below ``low``.

    ``bounds`` limit δ relative to what lr and radius make it. The thresholds and factors default to
    the customary 1/4, 3/4, 1/2 and 2.

    >>> rule = AdaptiveRadius("ratio")
    >>> rule.update(1.0, 0.9), rule.update(1.0, 0.5), rule.update(1.0, -3.0)
    (2.0, 1.0, 0.5)
    """

    signal: str = "agreement"
    low: float = 0.25
    high: float = 0.75
    shrink: float = 0.5
    grow: float = 2.0
    bounds: tuple[float, float] = (1e-2, 1e2)

    def __post_init__(self) -> None:
        if self.signal not in SIGNALS:
            raise unknown("adaptive", self.signal, SIGNALS)
        if not as_number(self.low) < as_number(self.high):
            raise ConfigError(f"low = {self.low!r} must be below high = {self.high!r}")
        if not 0 < as_number(self.shrink) < 1 < as_number(self.grow) < math.inf:
            raise ConfigError(
                f"shrink = {self.shrink!r}, grow = {self.grow!r}: must be 0 < shrink < 1 < grow"
            )
        pair = self.bounds if isinstance(self.bounds, tuple | list) else ()
        lower, upper = map(as_number, pair) if len(pair) == 2 else (math.nan, math.nan)
        if not 0 < lower <= 1 <= upper < math.inf:
            raise ConfigError(f"bounds = {self.bounds!r}: must be 0 < lower <= 1 <= upper")

    def update(self, factor: float, value: float) -> float:
        """The next factor on δ, given the present one and the signal; NaN shrinks."""
        if value > self.high:
            factor *= self.grow
        elif not value >= self.low:
            factor *= self.shrink
        return min(max(factor, self.bounds[0]), self.bounds[1])


def make_adaptive(adaptive: str | AdaptiveRadius | None) -> AdaptiveRadius | None:
    """The rule that a signal's name stands for with its defaults, or the one given."""
    if adaptive is None or isinstance(adaptive, AdaptiveRadius):
        return adaptive
    return AdaptiveRadius(adaptive)


def beyond_chance(agreement: float, inner_steps: int) -> float:
    """Agreement rescaled: 0 for random vertices, 1 for equal ones.

    >>> beyond_chance(0.5, 4), beyond_chance(1.0, 4)
    (0.0, 1.0)
    """
    chance = inner_steps**-0.5
    return (agreement - chance) / (1 - chance)
