from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fwrnn_core.errors import ConfigError
from fwrnn_core.theory.examples import quadratic, random_symmetric, wavy_cone
from fwrnn_core.theory.objective import Objective
from fwrnn_core.theory.star_convexity import (
    distances,
    relative_residual,
    share_nonnegative,
    star_convexity_residual,
)


def test_residual_of_a_quadratic_is_its_height() -> None:
    h = random_symmetric(4, 1)
    w = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    objective = quadratic(h)
    values = torch.tensor([objective.value(p) for p in w], dtype=torch.float64)
    gradients = torch.stack([objective.grad(p) for p in w])
    goal = torch.tensor([3.0, -1.0, 0.5, 2.0], dtype=torch.float64)
    for at, least in ((torch.zeros(4), 0.0), (goal, 7.0)):  # the same, moved and raised
        residual = star_convexity_residual(w + at, values + least, gradients, at, least)
        torch.testing.assert_close(residual, values)
        relative = relative_residual(residual, values + least, least)
        torch.testing.assert_close(relative, torch.ones(5, dtype=torch.float64))


@settings(derandomize=True, max_examples=40, deadline=None)
@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(0, 0.95), st.integers(1, 9))
def test_wavy_cone_is_star_convex_everywhere(
    x: float, y: float, amplitude: float, waves: int
) -> None:
    objective = Objective(
        lambda w: wavy_cone(w, amplitude, waves), torch.zeros(2, dtype=torch.float64)
    )
    point = torch.tensor([[x, y]], dtype=torch.float64)
    value, gradient = objective.value_and_grad(point[0])
    values = torch.tensor([value], dtype=torch.float64)
    residual = star_convexity_residual(point, values, gradient[None], torch.zeros(2), 0.0)
    assert bool(gradient.isfinite().all())
    assert float(residual) == pytest.approx(value, rel=1e-7, abs=1e-12)  # Euler: ⟨∇F, ω⟩ = 2F
    assert float(residual) >= 0


def test_wavy_cone_is_not_convex() -> None:
    objective = Objective(lambda w: wavy_cone(w), torch.zeros(2, dtype=torch.float64))
    # Two neighbouring valleys (cos 6φ = −1 at φ = ±30°) and the ridge between them.
    a, b = torch.tensor([0.866025, 0.5]), torch.tensor([0.866025, -0.5])
    ends = (objective.value(a) + objective.value(b)) / 2
    assert objective.value((a + b) / 2) > ends + 0.1
    with pytest.raises(ConfigError, match="amplitude"):
        wavy_cone(torch.zeros(2), amplitude=1.0)


def test_a_point_that_descends_away_from_the_minimum_is_caught() -> None:
    w = torch.tensor([[1.0]])
    residual = star_convexity_residual(
        w, torch.tensor([0.5]), torch.tensor([[-1.0]]), torch.zeros(1), 0.0
    )
    assert float(residual) == -1.5
    assert share_nonnegative(residual) == 0.0
    assert float(relative_residual(residual, torch.tensor([0.5]), 0.0)) == -3.0


def test_the_reference_itself_counts_neither_way() -> None:
    # Nor does a point below the reference, where the residual of a star-convex function, ≥ 0,
    # would come out negative in units of the gap.
    rel = relative_residual(torch.tensor([0.0, 1.0, 1.0]), torch.tensor([0.0, 2.0, -1.0]), 0.0)
    assert rel.isnan().tolist() == [True, False, True]
    assert share_nonnegative(rel) == 1.0
    with pytest.raises(ConfigError, match="no residual"):
        share_nonnegative(torch.tensor([float("nan")]))


def test_distances_and_bad_shapes() -> None:
    assert distances(torch.eye(2), torch.zeros(2)).tolist() == [1.0, 1.0]
    with pytest.raises(ConfigError, match="do not fit"):
        star_convexity_residual(
            torch.ones(2, 3), torch.ones(3), torch.ones(2, 3), torch.zeros(3), 0
        )
