"""Step sizes γ_k of the inner loop and the running combination that they make."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fwrnn_core.errors import ConfigError, unknown
from fwrnn_core.optim.numbers import as_number

StepSize = str | Callable[[int], float]


def one_over_k(k: int) -> float:
    """γ_k = 1/k: Δ_k is the plain average of the vertices (Algorithm 1)."""
    return 1 / k


def jaggi(k: int) -> float:
    """γ_k = 2/(k+1) for k = 1, 2, …: Jaggi's (2013) 2/(k+2) counted from 0."""
    return 2 / (k + 1)


NAMED: dict[str, Callable[[int], float]] = {"1/k": one_over_k, "2/(k+1)": jaggi}


class Mix(NamedTuple):
    """One inner step: R ← decay·R + weight·v, and then Δ_k/δ = −scale·R."""

    decay: float
    weight: float
    scale: float


def rule(step_size: StepSize) -> Callable[[int], float]:
    """The function k ↦ γ_k that ``step_size`` names, or the callable itself."""
    if callable(step_size):
        return step_size
    if not isinstance(step_size, str) or step_size not in NAMED:
        raise unknown("step_size", step_size, (*NAMED, "a callable k -> gamma"))
    return NAMED[step_size]


def check_step_size(step_size: StepSize, inner_steps: int, first: int = 1) -> None:
    """Raise :class:`ConfigError` unless γ_1 = 1 and 0 ≤ γ_k ≤ 1 for every k from ``first`` to K.

    Outside [0, 1] Δ_k is no convex combination of points of the ball and may leave it. A γ_1 < 1
    would keep it inside, as Δ_0 = 0 is one of them, but with some weight on the centre: equal
    vertices would no longer have agreement 1, a loop of K = 1 would no longer be a normalised
    gradient step, and the bounds would depend on where the loop began.
    """
    gamma = rule(step_size)
    for k in range(first, inner_steps + 1):
        value = as_number(gamma(k))
        if not 0 <= value <= 1 or (k == 1 and value != 1):
            need = "1 at k = 1" if k == 1 else "a number within [0, 1]"
            raise ConfigError(f"step_size({k}) = {gamma(k)!r}: must be {need}")


def mix(step_size: StepSize, k: int) -> Mix:
    """How inner step ``k`` enters the running combination.

    For 1/k the sum of the vertices is kept and scaled on use, which saves a pass over memory.

    >>> mix("1/k", 3)
    Mix(decay=1.0, weight=1.0, scale=0.3333333333333333)
    >>> mix("2/(k+1)", 3)
    Mix(decay=0.5, weight=0.5, scale=1.0)
    """
    gamma = rule(step_size)
    if gamma is one_over_k:
        return Mix(0.0 if k == 1 else 1.0, 1.0, 1 / k)
    weight = float(gamma(k))
    return Mix(1 - weight, weight, 1.0)
