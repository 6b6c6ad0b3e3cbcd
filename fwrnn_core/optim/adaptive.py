"""Opt-in control of the radius: grow it where the walk says that the ball is too small."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fwrnn_core.errors import ConfigError, unknown
from fwrnn_core.optim.numbers import as_number
from fwrnn_core.optim.schedule import StepSize, rule

SIGNALS = ("agreement", "ratio")
#: ‖Δ_K‖/δ from which a step counts as one to the boundary: rounding, and a walk that all but fills
#: its ball, must not hold the radius back.
AT_BOUNDARY = 0.99


@dataclass(frozen=True)
class AdaptiveRadius:
    """Grow δ after loops whose signal exceeds ``high``, shrink it after those below ``low``.

    ``"ratio"`` is actual over predicted decrease on one minibatch,
    (F(ω_t) − F(ω_t + Δ_K)) / (m(0) − m(Δ_K)), as trust-region methods have it (Conn, Gould and
    Toint, Trust-Region Methods, 2000, section 6.1; Nocedal and Wright, Numerical Optimization,
    2006, algorithm 4.1). The model m is linear for Frank-Wolfe and projected gradients, quadratic
    for :class:`TrustRegion`. As there, δ grows only where the step reached the boundary of its ball
    (of any one, where a radius has several): a ball that did not bind tells nothing about a larger
    one. Unlike there, no step is refused: one that raises F shrinks the ball, but is taken. A Δ_K
    that the linear model itself expects to raise F, having turned against the first gradient, has
    no ratio (NaN). And what is judged is Δ_K, not the step that an outer optimizer such as Adam
    makes of it. Needs ``step(closure)``; costs one more evaluation per loop and, where m is linear,
    a buffer for the first gradient.

    ``"agreement"`` (ours) is ‖Δ_K‖/δ, rescaled so that 0 is what random vertices give (1/√K for
    γ_k = 1/k) and 1 is K equal ones. Free, and works with a fresh minibatch per inner step. Needs
    ``norm=2``, Frank-Wolfe steps and K > 1: in a ball with corners (p = 1, ∞, nuclear) random
    vertices agree as well as equal ones.

    Args:
        signal: ``"agreement"`` or ``"ratio"``.
        low: δ ← shrink·δ below it, or where the signal is NaN.
        high: δ ← grow·δ above it. 1/4 and 3/4 are the customary pair.
        shrink: between 0 and 1.
        grow: above 1.
        bounds: least and largest δ, relative to what lr and radius make it.

    Raises:
        ConfigError: an unknown signal, ``low`` not below ``high``, a factor or bounds out of range.

    >>> rule = AdaptiveRadius("ratio")
    >>> rule.update(1.0, 0.9), rule.update(1.0, 0.5), rule.update(1.0, -3.0)
    (2.0, 1.0, 0.5)
    >>> rule.update(1.0, 0.9, at_boundary=False)
    1.0
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

    def update(self, factor: float, value: float, *, at_boundary: bool = True) -> float:
        """The next factor on δ, given the present one and the signal; NaN shrinks.

        ``at_boundary``: whether the step that the signal judges reached the boundary of its ball;
        without that there is no growth.
        """
        if value > self.high:
            factor *= self.grow if at_boundary else 1.0
        elif not value >= self.low:
            factor *= self.shrink
        return min(max(factor, self.bounds[0]), self.bounds[1])


def make_adaptive(adaptive: str | AdaptiveRadius | None) -> AdaptiveRadius | None:
    """The rule that a signal's name stands for with its defaults, or the one given."""
    if adaptive is None or isinstance(adaptive, AdaptiveRadius):
        return adaptive
    return AdaptiveRadius(adaptive)


def chance(step_size: StepSize, inner_steps: int, workers: int = 1) -> float:
    """‖Δ_K‖/δ that random vertices of a Euclidean ball give: √(Σ_k w_k²/n) for n workers.

    Δ_K = Σ_k w_k s_k with w_k = γ_k Π_{j>k} (1 − γ_j), and the directions of many weights are
    nearly orthogonal, so that squares add; the mean over n workers holds n·K vertices of weight
    w_k/n. For γ_k = 1/k all w_k are 1/K; other step sizes favour some vertices, which leaves more.

    >>> [round(chance(rule, 5), 3) for rule in ("1/k", "2/(k+1)")], chance("1/k", 4, workers=4)
    ([0.447, 0.494], 0.25)
    """
    gamma, squares = rule(step_size), 0.0
    for k in range(1, inner_steps + 1):
        step = float(gamma(k))
        squares = (1 - step) ** 2 * squares + step**2
    return math.sqrt(squares / workers)


def beyond_chance(agreement: float, expected: float) -> float:
    """Agreement rescaled: 0 for random vertices, which agree by ``expected`` < 1; 1 for equal ones.

    >>> beyond_chance(0.5, chance("1/k", 4)), beyond_chance(1.0, chance("1/k", 4))
    (0.0, 1.0)
    """
    return (agreement - expected) / (1 - expected)
