from __future__ import annotations

import pytest
import torch

from fwrnn_core.theory.angles import serving_constants
from fwrnn_core.theory.bounds import convergence_bound
from fwrnn_core.theory.verdicts import C_PER_STEP, ONE_C, OnPath, centre, either, judge, trust


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
    otherwise."""
    points = torch.tensor([1.0, 0.5])
    gaps = points**2
    right = scale * convergence_bound(1.0, torch.ones(2), points / 2, 0.5)
    served = serving_constants(torch.tensor(gains), gaps)
    each = {ONE_C: right, C_PER_STEP: right} if min(gains) > 0 else {ONE_C: right}
    return judge(share, (True, 1.0), served, torch.tensor(gains), gaps, each)


def test_the_theorem_speaks_of_gradient_descent_on_a_parabola() -> None:
    found = descent([0.5, 0.125])
    assert (found.assumed, found.proved, found.useful) == (True, True, True)
    assert found.rows["one $c$ of {eq}`eq-merged`"] == "0.5"
    assert found.rows["bound, one c, last"] == found.rows["bound, c per step, last"] == "0.66"
    assert found.rows["lowest risk within its bounds"] == "always"
    assert not descent([0.5, 0.125], share=0.5).assumed
    assert not descent([0.5, 0.125], scale=10).useful, "above the risk at the start"
    assert descent([0.5, 0.125], scale=0.1).rows["lowest risk within its bounds"] == "no"


def test_one_step_away_from_the_goal_leaves_no_proof() -> None:
    found = descent([0.5, -0.1])
    assert (found.assumed, found.proved, found.useful) == (True, False, False)
    assert found.rows["points where {eq}`eq-merged` holds"] == "1 of 2"
    assert found.rows["proof of the theorem"] == "does not apply"
    assert found.rows["bound, c per step, last"] == "–"
    assert found.rows["lowest risk within its bounds"] == "–"
