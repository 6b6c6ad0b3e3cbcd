"""What measured numbers say of the theory: how far a plane can be trusted, and whether Theorem 2
speaks of a path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from fwrnn_core.theory.angles import A5Constants
from fwrnn_core.theory.audit import curvature_at
from fwrnn_core.theory.recorded import number

# The bounds of Theorem 2 with one constant of A5 for a path, and with one for each of its steps.
ONE_C, C_PER_STEP = "bound, one c", "bound, c per step"


def trust(point: Mapping[str, Any], radius: float | None = None) -> float:
    """ρ = C_F/(2δ‖∇F‖) at a point of an audit (ours). Were C the supremum, a first step in the ball
    would lower the risk for sure where ρ < 1; with the C of :func:`curvature_at`, a lower bound of
    the local risk's, ρ < 1 only says that nothing was found against it. ``radius`` δ defaults to
    the point's own.

    >>> row = {"radius": 0.5, "curvature": {"0.5": 10.0}, "gradient_norm": 5.0}
    >>> trust({**row, "largest_eigenvalue": 100.0})
    5.0
    """
    radius = point["radius"] if radius is None else radius
    return float(curvature_at(point, radius) / (2 * radius * point["gradient_norm"]))


def centre(point: Mapping[str, Any], radius: float | None = None) -> float:
    """ρ₀ = δλ_max/(2‖∇F‖) (ours): how far the risk rises above the plane at the centre, to second
    order, in units of what a step to the ball's edge promises.

    >>> centre({"radius": 0.5, "largest_eigenvalue": 100.0, "gradient_norm": 5.0})
    5.0
    """
    radius = point["radius"] if radius is None else radius
    return float(radius * point["largest_eigenvalue"] / (2 * point["gradient_norm"]))


def either(point: Mapping[str, Any], radius: float | None = None) -> float:
    """:func:`centre` with the error to either side of the plane: the larger of λ_max and −λ_min."""
    largest = max(point["largest_eigenvalue"], -point["smallest_eigenvalue"])
    return centre({**point, "largest_eigenvalue": largest}, radius)


@dataclass(frozen=True)
class OnPath:
    """What Theorem 2 says of one measured path.

    :ivar assumed: A2 and A5 hold throughout.
    :ivar proved: its proof applies, with or without them.
    :ivar useful: so it does, and a bound comes down below the risk at the start.
    :ivar rows: the numbers behind that, for a table.
    """

    assumed: bool
    proved: bool
    useful: bool
    rows: Mapping[str, str]


def judge(
    a2: float,
    a5: tuple[bool, float],
    served: A5Constants,
    gains: Tensor,
    gaps: Tensor,
    bounds: Mapping[str, Tensor],
) -> OnPath:
    """Whether the theorem's proof applies to a path, and what its bounds are worth there.

    The proof needs one c > 0 with c(F(ω_t) − F(ω*)) ≤ −⟨Δ_t, ω_t − ω*⟩ at every point.

    :param a2: share of points where A2 holds; ``a5``: whether A5 does, and with what share.
    :param served: the constants that serve (:func:`~fwrnn_core.theory.angles.serving_constants`).
    :param gains: −⟨Δ_t, ω_t − ω*⟩, [n]. :param gaps: F(ω_t) − F(ω*), [n].
    :param bounds: right sides [n] under :data:`ONE_C` and, where every step has one,
        :data:`C_PER_STEP`.
    """
    missed = int(((gaps > 0) & (gains <= 0)).sum())
    lowest = gaps.cummin(0).values
    last = {name: float(line[-1]) for name, line in bounds.items()}
    proved = not missed and served.holds
    broken = proved and any(bool((lowest > line).any()) for line in bounds.values())
    assumed = a5[0] and a2 == 1
    rows = {
        "points where A2 holds": f"{100 * a2:.0f} %",
        "points that one $c > 0$ serves (A5)": f"{100 * a5[1]:.0f} %",
        "A2 and A5 throughout": "yes" if assumed else "no",
        "points where {eq}`eq-merged` holds": f"{len(gaps) - missed} of {len(gaps)}",
        "proof of the theorem": "applies" if proved else "does not apply",
        "one $c$ of {eq}`eq-merged`": number(served.best),
        "risk above the minimum, first": number(float(gaps[0])),
        "risk above the minimum, lowest": number(float(lowest[-1])),
        "bound, one c, last": number(last[ONE_C]),
        "bound, c per step, last": number(last[C_PER_STEP]) if C_PER_STEP in last else "–",
        "lowest risk within its bounds": "–" if not proved else "no" if broken else "always",
    }
    return OnPath(assumed, proved, proved and min(last.values()) < float(gaps[0]), rows)
