"""Every assumption of Theorem 2 measured along one path of training.

The points of the path are kept while the run goes on and measured when it is over, because
A2, A4 and A5 speak of a minimiser ω*, for which the last iterate ω_T stands in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fwrnn_core.errors import ConfigError
from fwrnn_core.theory.angles import A5Constants, a5_constants, angle_bound, angle_degrees
from fwrnn_core.theory.convexity import convexity_on_ball
from fwrnn_core.theory.curvature import curvature_in_nested_balls
from fwrnn_core.theory.gap import inexactness
from fwrnn_core.theory.objective import Objective
from fwrnn_core.theory.star_convexity import (
    distances,
    relative_residual,
    share_nonnegative,
    star_convexity_residual,
)

#: What the columns of an audit's points are, for tables and axis labels.
COLUMNS = {
    "epoch": "epoch",
    "update": "outer updates before the point",
    "radius": "δ_t",
    "loss": "F(ω_t)",
    "gradient_norm": "‖∇F(ω_t)‖",
    "displacement_norm": "‖Δ_t‖",
    "convex_share": "A1: share of random pairs in the ball with curvature ≥ 0 between them",
    "worst_pair": "A1: smallest curvature between random pairs",
    "smallest_eigenvalue": "A1: λ_min(∇²F(ω_t)), Lanczos",
    "largest_eigenvalue": "λ_max(∇²F(ω_t)), Lanczos; A3 takes the larger of both by size",
    "residual": "A2: ⟨∇F, ω_t − ω_T⟩ − (F(ω_t) − F(ω_T))",
    "relative_residual": "A2: the residual over F(ω_t) − F(ω_T), where that is positive",
    "lipschitz": "A3: largest ‖∇F(x) − ∇F(y)‖/‖x − y‖ over random pairs",
    "distance": "A4: ‖ω_t − ω_T‖",
    "angle_full": "A5: angle of Δ_t to −∇F(ω_t), degrees",
    "angle_batch": "A5: angle of Δ_t to minus the minibatch gradient, degrees",
    "angle_noise": "angle of the minibatch gradient to ∇F(ω_t), degrees",
    "angle_goal": "angle of Δ_t to ω_T − ω_t, degrees",
    "gradient_goal": "angle of −∇F(ω_t) to ω_T − ω_t, degrees",
    "angle_step": "angle of the step ω_{t+1} − ω_t to −∇F(ω_t), degrees",
    "angle_bound": "angle_bound in one global ball without noise, max|λ| at ω_t in place of L",
    "ratio": "A5: −⟨Δ_t, ω_t − ω_T⟩/⟨∇F(ω_t), ω_t − ω_T⟩",
    "inexactness": "Def. 2: ε of the minibatch gradient at γ = 1, in one global ball",
    "curvature": "Eq. 4: lower bound of C_F per radius, in one global ball",
}


@dataclass(frozen=True)
class Snapshot:
    """One point of a path: ω_t, the minibatch gradient there, Δ_t and ω_{t+1} − ω_t."""

    epoch: int
    update: int
    radius: float
    point: Tensor
    gradient: Tensor
    displacement: Tensor
    step: Tensor

    def as_dict(self) -> dict[str, Any]:
        """Its fields; ``Snapshot(**fields)`` restores it."""
        return dict(self.__dict__)


def audit(
    objective: Objective,
    path: Sequence[Snapshot],
    final: Tensor,
    *,
    local: Objective | None = None,
    radii: Sequence[float] = (),
    pairs: int = 8,
    lanczos_steps: int = 15,
    curvature_samples: int = 8,
    ascent_steps: int = 4,
    seed: int = 0,
) -> dict[str, Any]:
    """Measure A1–A5, Eq. 4 and Definition 2 at every snapshot, and summarise.

    :param objective: the risk F; ``final``: ω_T [d].
    :param local: the risk in which convexity and curvature are measured (many evaluations per
        point), e.g. on part of the data; default ``objective``. What is found there is true of the
        part: its extremes are on average more extreme than those of the whole (Jensen's
        inequality: the largest eigenvalue is convex in the Hessian, the smallest concave).
    :param radii: further radii for the curvature beside the snapshot's own.
    :param pairs, lanczos_steps, curvature_samples, ascent_steps: effort per point.
    :returns: JSON-able: ``points`` (one row each, :data:`COLUMNS`), ``final``, ``summary``,
        ``cost``.
    :raises ConfigError: an empty path.

    >>> f = Objective(lambda w: w @ w, torch.zeros(2, dtype=torch.float64))
    >>> w = torch.tensor([1.0, 0.0])
    >>> found = audit(f, [Snapshot(0, 0, 0.1, w, 2 * w, -0.1 * w, -0.1 * w)], torch.zeros(2))
    >>> [found["summary"][a]["share"] for a in ("A1", "A2", "A5")], found["points"][0]["angle_full"]
    ([1.0, 1.0, 1.0], 0.0)
    """
    if not path:
        raise ConfigError("an audit needs at least one point of the path")
    local = local or objective
    end = final.to(objective.origin)
    points = torch.stack([s.point.to(end) for s in path])
    pairs_found = [objective.value_and_grad(p) for p in points]
    values = torch.tensor([v for v, _ in pairs_found], dtype=end.dtype, device=end.device)
    gradients = torch.stack([g for _, g in pairs_found])
    end_value, end_gradient = objective.value_and_grad(end)
    residual = star_convexity_residual(points, values, gradients, end, end_value)
    shared = {
        "loss": values,
        "gradient_norm": gradients.norm(dim=1),
        "residual": residual,
        "relative_residual": relative_residual(residual, values, end_value),
        "distance": distances(points, end),
    }
    rows = []
    for i, snapshot in enumerate(path):
        row: dict[str, Any] = {
            "epoch": snapshot.epoch,
            "update": snapshot.update,
            "radius": snapshot.radius,
            **{name: float(column[i]) for name, column in shared.items()},
            **_directions(snapshot, points[i], gradients[i], end),
        }
        report = convexity_on_ball(
            local,
            points[i],
            radius=snapshot.radius,
            pairs=pairs,
            lanczos_steps=lanczos_steps,
            generator=torch.Generator().manual_seed(seed),
        )
        steepest = max(abs(report.smallest), abs(report.largest))
        row |= {
            "convex_share": report.convex_share,
            "worst_pair": report.worst_pair,
            "smallest_eigenvalue": report.smallest,
            "largest_eigenvalue": report.largest,
            "lipschitz": report.lipschitz,
            "angle_bound": angle_bound(steepest, snapshot.radius, row["gradient_norm"]),
        }
        curvature = curvature_in_nested_balls(
            local,
            points[i],
            radii={snapshot.radius, *radii},
            samples=curvature_samples,
            ascent_steps=ascent_steps,
            steepest=report.steepest,
            seed=seed,
        )
        row["curvature"] = {f"{r:g}": _short(c.value) for r, c in curvature.items()}
        own = curvature[snapshot.radius].value
        row["inexactness"] = (
            inexactness(
                gradients[i],
                snapshot.gradient.to(end.device),
                radius=snapshot.radius,
                curvature=own,
                gamma=1.0,
            )
            if own > 0
            else math.nan
        )
        rows.append({k: _short(v) for k, v in row.items()})
    steps, moved = (
        torch.stack([getattr(s, which).to(end) for s in path]) for which in ("displacement", "step")
    )
    return {
        "points": rows,
        "final": {"loss": _short(end_value), "gradient_norm": _short(float(end_gradient.norm()))},
        "summary": {
            "A1": _share(rows, lambda r: r["smallest_eigenvalue"] >= 0),
            "A1 pairs": {
                "share": sum(r["convex_share"] for r in rows) / len(rows),
                "points": len(rows),
            },
            "A2": {"share": share_nonnegative(residual), "points": len(rows)},
            "A3": {"largest": max(lipschitz_at(r) for r in rows), "points": len(rows)},
            "A4": {"largest": max(r["distance"] for r in rows), "points": len(rows)},
            "A5": _constants(a5_constants(steps, gradients, points, end)),
            "A5 step": _constants(a5_constants(moved, gradients, points, end)),
        },
        "cost": {"global": dict(objective.evaluations), "local": dict(local.evaluations)},
    }


def curvature_at(point: Mapping[str, Any], radius: float) -> float:
    """The lower bound of C that a measured point holds for one of its radii, of the *local* risk.

    It bounds nothing of the risk on more data: C is a supremum of what is linear in the risk, so
    that of a part of the data is on average the larger one (Jensen's inequality).

    The largest eigenvalue λ at ω_t gives one more, δ²λ: the triple (ω_t, ω_t + δv) as γ → 0. The
    larger of both counts.

    >>> curvature_at({"curvature": {"0.5": 10.0}, "largest_eigenvalue": 100.0}, 0.5)
    25.0
    """
    return max(point["curvature"][f"{radius:g}"], radius**2 * point["largest_eigenvalue"])


def lipschitz_at(point: Mapping[str, Any]) -> float:
    """The lower bound of the Lipschitz constant L (A3) that a measured point holds, of the *local*
    risk. A part of the data has on average the larger one, as in :func:`curvature_at`.

    ∇²F(ω_t) has the norm max(abs(λ_min), abs(λ_max)), and two gradients of a ball differ by at most
    L times their distance: the largest of both eigenvalues by size and of the pairs' quotients.

    >>> lipschitz_at({"smallest_eigenvalue": -7.0, "largest_eigenvalue": 2.0, "lipschitz": 3.0})
    7.0
    """
    eigenvalues = abs(point["smallest_eigenvalue"]), abs(point["largest_eigenvalue"])
    return float(max(*eigenvalues, point["lipschitz"]))


def inexactness_at(point: Mapping[str, Any]) -> float:
    """The ε of Definition 2 that a measured point holds, by the C of :func:`curvature_at`.

    NaN where it is unknown.

    >>> row = {"radius": 0.5, "curvature": {"0.5": 10.0}, "largest_eigenvalue": 100.0}
    >>> inexactness_at({**row, "inexactness": 5.0})
    2.0
    """
    if point["inexactness"] is None:
        return math.nan
    stored = point["curvature"][f"{point['radius']:g}"]
    return float(point["inexactness"] * stored / curvature_at(point, point["radius"]))


def _directions(
    snapshot: Snapshot, point: Tensor, gradient: Tensor, end: Tensor
) -> dict[str, float]:
    delta = snapshot.displacement.to(point)
    goal = end - point
    downhill = float(gradient @ goal)
    return {
        "displacement_norm": float(delta.norm()),
        "angle_full": float(angle_degrees(-gradient, delta)),
        "angle_batch": float(angle_degrees(-snapshot.gradient.to(point), delta)),
        "angle_noise": float(angle_degrees(gradient, snapshot.gradient.to(point))),
        "angle_goal": float(angle_degrees(goal, delta)),
        "gradient_goal": float(angle_degrees(goal, -gradient)),
        "angle_step": float(angle_degrees(-gradient, snapshot.step.to(point))),
        "ratio": -float(delta @ goal) / downhill if downhill else math.nan,
    }


def _share(rows: Sequence[dict[str, Any]], holds: Any) -> dict[str, float]:
    return {"share": sum(bool(holds(r)) for r in rows) / len(rows), "points": len(rows)}


def _constants(found: A5Constants) -> dict[str, Any]:
    return {
        "holds": found.holds,
        "share": found.share,
        "best": _short(found.best),
        "at_least": _short(found.at_least),
        "at_most": _short(found.at_most),
        "downhill_share": found.downhill_share,
    }


def _short(value: Any) -> Any:
    """Six significant digits; JSON has no NaN and no infinity, so those become None."""
    if not isinstance(value, float):
        return value
    if math.isnan(value):
        return None
    return float(f"{value:.6g}") if math.isfinite(value) else None
