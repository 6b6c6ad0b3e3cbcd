"""What measured numbers say of the theory: how far a plane can be trusted, and whether Theorem 2
speaks of a path."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fwrnn_core.theory.angles import A5Constants, a5_constants, serving_constants
from fwrnn_core.theory.audit import curvature_at
from fwrnn_core.theory.bounds import convergence_bound
from fwrnn_core.theory.outer_loop import OuterLoop
from fwrnn_core.theory.recorded import number
from fwrnn_core.theory.star_convexity import share_nonnegative, star_convexity_residual

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
    :ivar updates: T after which ω_0 … ω_{T−1} are those up to each measured point, [n].
    :ivar lowest: the least F(ω_t) − F(ω*) up to each measured point, [n].
    :ivar bounds: the right sides after 1, 2, … updates, under :data:`ONE_C` and, where every step
        has a constant, :data:`C_PER_STEP`.
    """

    assumed: bool
    proved: bool
    useful: bool
    rows: Mapping[str, str]
    updates: Tensor
    lowest: Tensor
    bounds: Mapping[str, Tensor]


def on_path(path: OuterLoop, goal: Tensor, minimum: float) -> OnPath:
    """Theorem 2 on a path that is known step by step.

    :param goal: ω* [d]; ``minimum``: F(ω*).

    Gradient descent on a parabola:

    >>> from fwrnn_core.theory.objective import Objective
    >>> from fwrnn_core.theory.outer_loop import outer_loop
    >>> f = Objective(lambda w: 0.5 * w @ w, torch.zeros(1, dtype=torch.float64))
    >>> path = outer_loop(f, torch.ones(1), lambda t, norm: norm / 2, updates=3, inner_steps=1)
    >>> case = on_path(path, f.origin, 0.0)
    >>> case.assumed, case.proved, case.rows["one $c$ of {eq}`eq-merged`"]
    (True, True, '1')
    """
    points, pushed = path.points, path.displacements
    residual = star_convexity_residual(points, path.values, path.gradients, goal, minimum)
    return judge(
        share_nonnegative(residual),
        a5_constants(pushed, path.gradients, points, goal),
        gains=-(pushed * (points - goal)).sum(1),
        gaps=path.values - minimum,
        distance=float((points[0] - goal).norm()),
        lengths=pushed.norm(dim=1),
    )


def on_audit(found: Mapping[str, Any], lengths: Tensor) -> OnPath:
    """Theorem 2 on a recorded run with the plain update, towards its last iterate.

    :param found: what :func:`~fwrnn_core.theory.audit.audit` found at some points of the path.
    :param lengths: ‖Δ_t‖, or a bound of it, for each update of the run, [T].
    """
    points, summary = found["points"], found["summary"]
    gains, gaps = gains_and_gaps(found)
    return judge(
        share_nonnegative(torch.tensor([p["residual"] for p in points])),
        summary["A5"],
        gains=gains,
        gaps=gaps,
        distance=points[0]["distance"],
        lengths=lengths,
        at=torch.tensor([p["update"] for p in points]),
    )


def gains_and_gaps(found: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """−⟨Δ_t, ω_t − ω_T⟩ and F(ω_t) − F(ω_T) at the points of an audit, [n] each.

    A gain is NaN where the audit has no angle.
    """
    points, end = found["points"], found["final"]["loss"]
    angles = [math.nan if p["angle_goal"] is None else p["angle_goal"] for p in points]
    cosines = torch.cos(torch.deg2rad(torch.tensor(angles, dtype=torch.float64)))
    lengths = [p["displacement_norm"] * p["distance"] for p in points]
    gaps = torch.tensor([p["loss"] - end for p in points], dtype=torch.float64)
    return torch.tensor(lengths, dtype=torch.float64) * cosines, gaps


def judge(
    a2: float,
    a5: A5Constants | Mapping[str, Any],
    *,
    gains: Tensor,
    gaps: Tensor,
    distance: float,
    lengths: Tensor,
    at: Tensor | None = None,
) -> OnPath:
    """Whether the theorem's proof applies to a path with η = 1, and what its bounds are worth.

    The proof needs one c > 0 with c(F(ω_t) − F(ω*)) ≤ −⟨Δ_t, ω_t − ω*⟩ at every point.

    :param a2: share of points where A2 holds. :param a5: the constants of A5, or an audit's row of
        them.
    :param gains: −⟨Δ_t, ω_t − ω*⟩, [n]. :param gaps: F(ω_t) − F(ω*), [n].
    :param distance: ‖ω_0 − ω*‖. :param lengths: ‖Δ_t‖, or a bound of it, for every update, [T].
    :param at: updates before each measured point, [n]; by default every update is measured.
    """
    five = a5 if isinstance(a5, Mapping) else {"holds": a5.holds, "share": a5.share}
    served = serving_constants(gains, gaps)
    # Where no constant serves any point the bound is 0, and no promise.
    constants: dict[str, float | Tensor] = {ONE_C: served.best if served.best > 0 else math.inf}
    if at is None and bool((gains > 0).all()):
        constants[C_PER_STEP] = gains / gaps.clamp_min(1e-300)
    ones = torch.ones_like(lengths)
    bounds = {name: convergence_bound(distance, ones, lengths, c) for name, c in constants.items()}
    at = torch.arange(len(gains)) if at is None else at
    lowest = gaps.cummin(0).values
    there = {name: line[at] for name, line in bounds.items()}
    below = min(float(line[-1]) for line in there.values()) < float(gaps[0])
    missed = int(((gaps > 0) & ~(gains > 0)).sum())
    proved = not missed and served.holds
    broken = any(bool((lowest > line).any()) for line in there.values())
    assumed = bool(five["holds"]) and a2 == 1
    rows = {
        "points where A2 holds": f"{100 * a2:.0f} %",
        "points that one $c > 0$ serves (A5)": f"{100 * five['share']:.0f} %",
        "points where {eq}`eq-merged` holds": f"{len(gaps) - missed} of {len(gaps)}",
        "proof of the theorem": "applies" if proved else "does not apply",
        "one $c$ of {eq}`eq-merged`": number(served.best),
        "lowest risk within its bounds": "–" if not proved else "no" if broken else "always",
        "a bound below the risk at the start": "–" if not proved else "yes" if below else "no",
    }
    return OnPath(assumed, proved, proved and below, rows, at + 1, lowest, bounds)


def merged_constants(found: Mapping[str, Any]) -> A5Constants:
    """The constants c that the proof of Theorem 2 needs at all points of an audit."""
    return serving_constants(*gains_and_gaps(found))


def contrast(unit: Tensor, plain: Tensor) -> str:
    """How the angles of two ways to average compare, for the end of a sentence.

    Alike below 5°; else which is the smaller, and whether the 95 % intervals of the means (Student)
    lie apart.

    :param unit, plain: angles in degrees from the same n ≥ 2 draws, [n]: of normalised gradients,
        and of one gradient on the same minibatches.

    >>> contrast(torch.tensor([30.0, 31.0]), torch.tensor([30.0, 32.0]))
    'the two are alike, to less than 5°'
    """
    from scipy.stats import t

    gap = float(plain.mean() - unit.mean())
    if abs(gap) < 5:
        return "the two are alike, to less than 5°"
    quantile = float(t.ppf(0.975, len(unit) - 1)) / math.sqrt(len(unit))
    apart = abs(gap) > quantile * float(unit.std() + plain.std())
    which = "comes closer" if gap > 0 else "stays farther away"
    bands = "and the bands lie apart" if apart else "though the bands overlap"
    return (
        f"the average of normalised gradients {which} than one gradient on the same minibatches, "
        f"by {abs(gap):.0f}°, {bands}"
    )
