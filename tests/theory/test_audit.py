from __future__ import annotations

import json
import math

import pytest
import torch

from fwrnn_core.errors import ConfigError
from fwrnn_core.theory.audit import (
    COLUMNS,
    Snapshot,
    audit,
    curvature_at,
    inexactness_at,
    lipschitz_at,
)
from fwrnn_core.theory.examples import quadratic

HESSIAN = torch.diag(torch.tensor([1.0, 4.0, 9.0], dtype=torch.float64))
FULL = {"pairs": 6, "lanczos_steps": 3, "curvature_samples": 8, "ascent_steps": 30}


def descent(objective, steps: int = 6, rate: float = 0.05, goal=0.0) -> list[Snapshot]:
    """Gradient descent, seen as a method whose displacement is its step."""
    point, path = goal + torch.tensor([1.0, -1.0, 0.5], dtype=torch.float64), []
    for t in range(steps):
        gradient = objective.grad(point)
        step = -rate * gradient
        path.append(Snapshot(t, t, 0.1, point, gradient, step, step))
        point = point + step
    return path


@pytest.mark.parametrize("goal", [[0.0, 0.0, 0.0], [2.0, -3.0, 1.0]])
def test_every_number_of_a_quadratic_is_known(goal: list[float]) -> None:
    end = torch.tensor(goal, dtype=torch.float64)
    objective = quadratic(HESSIAN, -HESSIAN @ end)
    least = objective.value(end)
    path = descent(objective, goal=end)
    found = audit(objective, path, end, radii=[0.2], **FULL)
    assert found["final"] == {"loss": least, "gradient_norm": 0.0}
    for row, snapshot in zip(found["points"], path, strict=True):
        assert set(row) == set(COLUMNS)
        assert row["loss"] == pytest.approx(objective.value(snapshot.point), rel=1e-5)
        assert row["residual"] == pytest.approx(row["loss"] - least, rel=1e-3)
        assert row["relative_residual"] == pytest.approx(1.0)
        assert row["distance"] == pytest.approx(float((snapshot.point - end).norm()), rel=1e-5)
        assert row["smallest_eigenvalue"] == pytest.approx(1.0)
        assert row["largest_eigenvalue"] == pytest.approx(9.0)
        assert row["convex_share"] == 1.0
        for angle in ("angle_full", "angle_batch", "angle_noise", "angle_step"):
            assert row[angle] == pytest.approx(0.0, abs=1e-9)
        assert row["angle_goal"] == pytest.approx(row["gradient_goal"])
        way, step = end - snapshot.point, snapshot.step
        cosine = float(way @ step / (way.norm() * step.norm()))
        assert row["angle_goal"] == pytest.approx(math.degrees(math.acos(cosine)), rel=1e-5)
        assert row["ratio"] == pytest.approx(0.05, rel=1e-5)
        assert row["inexactness"] == pytest.approx(0.0, abs=1e-9)
        assert row["curvature"]["0.1"] == pytest.approx(4 * 0.01 * 9, rel=1e-4)
        assert row["curvature"]["0.2"] == pytest.approx(4 * 0.04 * 9, rel=1e-4)
    assert found["summary"]["A1"]["share"] == found["summary"]["A2"]["share"] == 1.0
    assert found["summary"]["A5"]["holds"]
    assert found["summary"]["A5"]["best"] == pytest.approx(0.05, rel=1e-4)


def test_a_saddle_breaks_a1_and_a_climb_breaks_a5() -> None:
    objective = quadratic(torch.diag(torch.tensor([1.0, -1.0])))
    point = torch.tensor([1.0, 0.0], dtype=torch.float64)
    up = Snapshot(0, 0, 0.1, point, objective.grad(point), 0.1 * point, 0.1 * point)
    found = audit(objective, [up], torch.zeros(2), **FULL)
    assert found["summary"]["A1"]["share"] == 0.0
    assert found["points"][0]["smallest_eigenvalue"] == pytest.approx(-1.0)
    assert found["points"][0]["angle_full"] == 180.0
    assert not found["summary"]["A5"]["holds"]
    assert found["summary"]["A5"]["downhill_share"] == 0.0


def test_a_strong_negative_curvature_counts_for_the_lipschitz_constant() -> None:
    objective = quadratic(torch.diag(torch.tensor([1.0, -50.0])))
    point = torch.tensor([1.0, 0.0], dtype=torch.float64)
    step = -0.1 * objective.grad(point)
    found = audit(
        objective, [Snapshot(0, 0, 0.1, point, -10 * step, step, step)], torch.zeros(2), **FULL
    )
    assert lipschitz_at(found["points"][0]) == pytest.approx(50.0)
    assert found["summary"]["A3"]["largest"] == pytest.approx(50.0)


def test_a_flat_risk_gives_unknowns_and_not_nan() -> None:
    zero = torch.zeros(2, dtype=torch.float64)
    still = Snapshot(0, 0, 0.1, zero, zero, zero, zero)
    away = Snapshot(1, 1, 0.1, zero + 1, zero, zero, zero)
    flat = audit(quadratic(torch.zeros(2, 2)), [still, away], zero, **FULL)
    assert flat["points"][1]["relative_residual"] is None
    assert flat["points"][1]["angle_full"] is None
    assert flat["points"][1]["inexactness"] is None  # no curvature to measure it by
    bowl = audit(quadratic(torch.eye(2)), [still, away], zero, **FULL)
    assert bowl["points"][0]["relative_residual"] is None
    assert bowl["points"][1]["relative_residual"] == pytest.approx(1.0)
    json.dumps([flat, bowl], allow_nan=False)


def test_the_curvature_is_never_below_what_the_eigenvalue_says() -> None:
    # One steep direction among 60 flat ones and hardly any samples: the audit must not miss it.
    objective = quadratic(torch.diag(torch.cat([torch.tensor([100.0]), torch.zeros(60)])))
    point = torch.ones(61, dtype=torch.float64)
    gradient = objective.grad(point)
    noisy = gradient + 50 * torch.eye(61, dtype=torch.float64)[1]
    path = [Snapshot(0, 0, 0.1, point, noisy, -gradient, -gradient)]
    quick = {"pairs": 1, "lanczos_steps": 3, "curvature_samples": 1, "ascent_steps": 0}
    (row,) = audit(objective, path, torch.zeros(61), radii=[0.2], **quick)["points"]
    assert row["curvature"]["0.1"] == pytest.approx(4 * 0.01 * 100, rel=1e-5)
    assert curvature_at(row, 0.2) == pytest.approx(4 * 0.04 * 100, rel=1e-5)
    assert inexactness_at(row) == pytest.approx(row["inexactness"])
    # The noise turns the gradient by arctan(1/2), which loses δ‖∇F‖(1 − cos) = 10(1 − 2/√5).
    assert row["inexactness"] == pytest.approx(2 * 10 * (1 - 2 / 5**0.5) / 4, rel=1e-5)
    # A record made before the curvature looked along v: the eigenvalue bounds it from below.
    old = {**row, "curvature": {"0.1": 0.01}, "inexactness": 100.0}
    assert curvature_at(old, 0.1) == pytest.approx(0.01 * 100, rel=1e-5)
    assert inexactness_at(old) == pytest.approx(1.0, rel=1e-5)
    assert math.isnan(inexactness_at({**row, "inexactness": None}))


def test_local_risk_is_used_for_the_shape_alone() -> None:
    objective, local = quadratic(HESSIAN), quadratic(2 * HESSIAN)
    found = audit(objective, descent(objective, steps=1), torch.zeros(3), local=local, **FULL)
    assert found["points"][0]["largest_eigenvalue"] == pytest.approx(18.0)
    assert found["points"][0]["loss"] == pytest.approx(0.5 * (1 + 4 + 9 / 4), rel=1e-5)
    assert found["cost"]["local"]["hvp"] >= 3
    assert found["cost"]["global"]["hvp"] == 0


def test_an_empty_path_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        audit(quadratic(HESSIAN), [], torch.zeros(3))


def test_the_step_is_judged_apart_from_the_displacement() -> None:
    """With momentum the weights may climb while Δ points downhill."""
    objective = quadratic(torch.eye(2))
    point = torch.tensor([1.0, 0.0], dtype=torch.float64)
    climb = Snapshot(0, 0, 0.1, point, objective.grad(point), -0.1 * point, 0.1 * point)
    found = audit(objective, [climb], torch.zeros(2), **FULL)
    (row,) = found["points"]
    assert (row["angle_full"], row["angle_step"]) == (0.0, 180.0)
    assert found["summary"]["A5"]["holds"]
    assert not found["summary"]["A5 step"]["holds"]


def test_the_share_of_convex_pairs_is_the_mean_over_the_points() -> None:
    objective = quadratic(torch.diag(torch.tensor([1.0, -1.0])))
    point = torch.tensor([1.0, 0.0], dtype=torch.float64)
    step = -0.1 * objective.grad(point)
    path = [Snapshot(t, t, 0.1, point, -10 * step, step, step) for t in range(2)]
    found = audit(objective, path, torch.zeros(2), **FULL)
    shares = [row["convex_share"] for row in found["points"]]
    assert 0 < shares[0] < 1
    assert found["summary"]["A1 pairs"]["share"] == pytest.approx(sum(shares) / 2)
