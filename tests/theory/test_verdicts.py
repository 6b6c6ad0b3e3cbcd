from __future__ import annotations

import pytest
import torch
from scipy import stats

from fwrnn_core.theory.audit import Snapshot, audit
from fwrnn_core.theory.bounds import measured_convergence
from fwrnn_core.theory.examples import quadratic, random_symmetric
from fwrnn_core.theory.outer_loop import outer_loop
from fwrnn_core.theory.verdicts import (
    C_PER_STEP,
    ONE_C,
    OnPath,
    centre,
    contrast,
    either,
    judge,
    merged_constants,
    on_audit,
    on_path,
    trust,
)


def test_trust_is_curvature_over_what_a_step_promises() -> None:
    point = {
        "radius": 0.5,
        "curvature": {"0.5": 10.0, "0.1": 10.0},
        "largest_eigenvalue": 100.0,  # 25 in the larger ball, 1 in the smaller
        "smallest_eigenvalue": -200.0,
        "gradient_norm": 5.0,
    }
    assert (trust(point), trust(point, 0.1)) == (5.0, pytest.approx(10.0))
    assert (centre(point), centre(point, 0.1)) == (5.0, pytest.approx(1.0))
    assert (either(point), either(point, 0.1)) == (10.0, pytest.approx(2.0))
    assert either({**point, "smallest_eigenvalue": 3.0}) == centre(point)


def descent(gains: list[float], share: float = 1.0, scale: float = 1.0) -> OnPath:
    """Of F(ω) = ω² on the path 1, ½ by Δ = −ω/2: c = ½ serves every point unless ``gains`` say
    otherwise; ``scale`` is that of the start's distance, 1, and so of the bound."""
    points = torch.tensor([1.0, 0.5])
    known = {"holds": True, "share": 1.0}
    return judge(
        share,
        known,
        gains=torch.tensor(gains),
        gaps=points**2,
        distance=scale,
        lengths=points / 2,
    )


def test_the_theorem_speaks_of_gradient_descent_on_a_parabola() -> None:
    found = descent([0.5, 0.125])
    assert (found.assumed, found.proved, found.useful) == (True, True, True)
    assert found.rows["one $c$ of {eq}`eq-merged`"] == "0.5"
    assert [round(float(line[-1]), 2) for line in found.bounds.values()] == [0.66, 0.66]
    assert found.rows["a bound below the risk at the start"] == "yes"
    assert found.rows["lowest risk within its bounds"] == "always"
    assert not descent([0.5, 0.125], share=0.5).assumed
    assert not descent([0.5, 0.125], scale=4).useful, "above the risk at the start"
    assert descent([0.5, 0.125], scale=0.0).rows["lowest risk within its bounds"] == "no"


def test_one_step_away_from_the_goal_leaves_no_proof() -> None:
    found = descent([0.5, -0.1])
    assert (found.assumed, found.proved, found.useful) == (True, False, False)
    assert found.rows["points where {eq}`eq-merged` holds"] == "1 of 2"
    assert found.rows["proof of the theorem"] == "does not apply"
    assert list(found.bounds) == [ONE_C], "a step away has no constant of its own"
    assert found.rows["lowest risk within its bounds"] == "–"


def test_an_angle_that_is_not_known_proves_nothing() -> None:
    found = descent([0.5, float("nan")])
    assert (found.proved, found.useful) == (False, False)
    assert found.rows["points where {eq}`eq-merged` holds"] == "1 of 2"


def test_an_audit_of_every_point_says_what_the_path_says() -> None:
    risk = quadratic(random_symmetric(3, 1) + torch.eye(3))
    start = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    path = outer_loop(risk, start, lambda t, norm: 0.2 * norm, updates=6)
    goal = path.points[-1] + path.displacements[-1]
    direct = on_path(path, goal, risk.value(goal))
    torch.testing.assert_close(
        direct.bounds[ONE_C],
        measured_convergence(
            path.points,
            path.values,
            path.displacements,
            goal,
            risk.value(goal),
            merged_constants(found := audited(risk, path, goal)).best,
        ).right,
        rtol=1e-5,
        atol=0,
    )
    recorded = on_audit(found, path.displacements.norm(dim=1))
    assert recorded.rows == direct.rows
    assert list(direct.bounds) == [ONE_C, C_PER_STEP], "every step of this path gains"
    torch.testing.assert_close(recorded.lowest, direct.lowest, rtol=1e-5, atol=1e-6)
    assert recorded.updates.tolist() == direct.updates.tolist() == [1, 2, 3, 4, 5, 6]


def audited(risk, path, goal):  # type: ignore[no-untyped-def]
    """An audit of every point of a path."""
    columns = zip(path.points, path.gradients, path.displacements, strict=True)
    points = [Snapshot(t, t, 0.1, p, g, d, d) for t, (p, g, d) in enumerate(columns)]
    return audit(risk, points, goal)


def test_a_run_that_is_audited_here_and_there_keeps_its_whole_bound() -> None:
    risk = quadratic(torch.eye(2))
    start = torch.tensor([1.0, 1.0], dtype=torch.float64)
    path = outer_loop(risk, start, lambda t, norm: 0.2 * norm, updates=6)
    found = audited(risk, path, torch.zeros(2, dtype=torch.float64))
    found["points"] = found["points"][::2]
    case = on_audit(found, path.displacements.norm(dim=1))
    assert case.updates.tolist() == [1, 3, 5]
    assert [len(line) for line in case.bounds.values()] == [6]
    assert case.assumed
    assert case.proved


def test_two_ways_to_average_are_compared_with_their_intervals() -> None:
    near, far = torch.tensor([30.0, 32.0, 34.0]), torch.tensor([52.0, 54.0, 56.0])
    wide = torch.tensor([10.0, 50.0, 93.0])
    assert "comes closer than" in contrast(near, far)
    assert contrast(near, far).endswith("by 22°, and the bands lie apart")
    assert "stays farther away" in contrast(far, near)
    assert contrast(near, wide).endswith("by 19°, though the bands overlap")
    both = [stats.t.interval(0.95, 2, v.mean(), stats.sem(v)) for v in (near.numpy(), far.numpy())]
    assert both[0][1] < both[1][0]
    # Moved together until the intervals just touch, and a little further.
    touch = both[1][0] - both[0][1]
    assert contrast(near + touch - 0.01, far).endswith("apart")
    assert contrast(near + touch + 0.01, far).endswith("overlap")
