from __future__ import annotations

import itertools
import math
from dataclasses import asdict

import pytest
import torch
from torch import nn

from fwrnn_core.errors import ConfigError
from fwrnn_core.models import RecurrentNet
from fwrnn_core.theory.balls import sample_ball
from fwrnn_core.theory.convexity import hessian_spectrum
from fwrnn_core.theory.curvature import (
    curvature_along_path,
    curvature_in_nested_balls,
    curvature_on_ball,
    curvature_ratio,
    exceedance,
    quadratic_curvature,
)
from fwrnn_core.theory.examples import quadratic, random_symmetric
from fwrnn_core.theory.objective import Objective, model_objective


def test_ratio_on_a_quadratic_does_not_depend_on_gamma() -> None:
    h = random_symmetric(5, 1, definite=False)
    objective = quadratic(h, torch.ones(5))
    x, s = torch.randn(2, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    exact = float((s - x) @ h @ (s - x))
    for gamma in (0.0, 0.1, 0.5, 1.0):
        assert curvature_ratio(objective, x, s, gamma) == pytest.approx(exact, rel=1e-9)


def test_ratio_at_zero_is_the_limit_of_small_gamma() -> None:
    torch.manual_seed(0)
    net = RecurrentNet(2, 4, 1)
    objective = model_objective(net, nn.functional.mse_loss, torch.randn(3, 5, 2), torch.ones(3, 1))
    x = objective.origin
    s = x + 0.3 * torch.randn(objective.dim, dtype=torch.float64)
    limit = curvature_ratio(objective, x, s, 0.0)
    assert curvature_ratio(objective, x, s, 1e-5) == pytest.approx(limit, rel=1e-3)


@pytest.mark.parametrize("p", [1, 2, math.inf])
def test_exact_curvature_is_the_supremum_over_vertices(p: float) -> None:
    h, delta = random_symmetric(4, 3), 0.7
    exact = quadratic_curvature(h, delta, p)
    if p == 2:
        top = torch.linalg.eigh(h).eigenvectors[:, -1]
        corners = [2 * delta * top]
    elif p == 1:
        corners = list(2 * delta * torch.eye(4, dtype=torch.float64))
    else:
        signs = itertools.product([-1.0, 1.0], repeat=4)
        corners = [2 * delta * torch.tensor(v, dtype=torch.float64) for v in signs]
    assert exact == pytest.approx(max(float(v @ h @ v) for v in corners), rel=1e-12)


@pytest.mark.parametrize("p", [1, 1.5, 2, 3, math.inf])
def test_lower_bound_stays_below_and_ascent_closes_the_gap(p: float) -> None:
    h, delta = random_symmetric(6, 2), 0.3
    found = curvature_on_ball(quadratic(h), radius=delta, norm=p, ascent_steps=60, starts=8)
    assert found.sampled <= found.value
    if p in (1, 2, math.inf):
        exact = quadratic_curvature(h, delta, p)
        assert found.value <= exact * (1 + 1e-9)
        assert found.value == pytest.approx(exact, rel=1e-3)


def test_a_steep_direction_that_samples_miss_is_found_when_it_is_named() -> None:
    # One steep direction among 500 flat ones: (s − x)ᵀH(s − x) ≤ 4δ²λ, and random pairs see 1/500.
    h = torch.diag(torch.cat([torch.tensor([100.0]), torch.zeros(499)])).double()
    options = {"radius": 0.2, "samples": 4, "ascent_steps": 0}
    blind = curvature_on_ball(quadratic(h), **options)
    steepest = hessian_spectrum(quadratic(h), steps=3).steepest
    named = curvature_on_ball(quadratic(h), steepest=steepest, **options)
    exact = quadratic_curvature(h, 0.2)
    assert blind.value < 0.1 * exact
    assert named.value == pytest.approx(exact, rel=1e-6)
    assert (named.sampled, named.median) == (blind.sampled, blind.median)


@pytest.mark.parametrize("p", [1, 2, math.inf])
def test_a_named_direction_is_brought_to_the_surface_of_its_ball(p: float) -> None:
    # F = ½‖w‖², v = (1, 1): ±δv/‖v‖_p are 2δ‖v‖_2/‖v‖_p apart.
    v = torch.ones(2, dtype=torch.float64)
    options = {"radius": 0.5, "norm": p, "samples": 1, "ascent_steps": 0}
    found = curvature_on_ball(quadratic(torch.eye(2)), steepest=7 * v, **options)
    apart = 2 * 0.5 * math.sqrt(2) / float(torch.linalg.vector_norm(v, ord=p))
    assert found.value >= apart**2 - 1e-12


@pytest.mark.parametrize("vectorize", [False, True])
def test_triples_are_evaluated_one_by_one_or_at_once(vectorize: bool) -> None:
    torch.manual_seed(0)
    net, x = RecurrentNet(2, 4, 1), torch.randn(3, 5, 2)
    objective, reference = (
        model_objective(net, nn.functional.mse_loss, x, torch.ones(3, 1), vectorize=how)
        for how in (vectorize, False)
    )
    found = curvature_on_ball(objective, radius=0.1, samples=6, ascent_steps=2)
    wanted = curvature_on_ball(reference, radius=0.1, samples=6, ascent_steps=2)
    assert asdict(found) == pytest.approx(asdict(wanted), rel=1e-6)


def test_curvature_of_a_concave_function_is_not_positive() -> None:
    found = curvature_on_ball(quadratic(-torch.eye(3)), radius=1.0)
    assert found.negative_share == 1.0
    # A supremum that includes x = s is never below 0.
    assert found.value == 0 == quadratic_curvature(-torch.eye(3), 1.0)


@pytest.mark.parametrize("largest", [1.01, 1.2, 5.0])
@pytest.mark.parametrize("seed", range(3))
def test_ascent_is_not_drawn_to_a_negative_curvature_of_larger_size(
    largest: float, seed: int
) -> None:
    # The plain power method runs to −largest and finds nothing, or comes to rest between the two.
    falling = 1 / torch.arange(1, 26, dtype=torch.float64)
    h = torch.diag(torch.cat([falling, -largest * falling]))
    source = torch.Generator().manual_seed(seed)
    found = curvature_on_ball(quadratic(h), radius=0.1, ascent_steps=40, generator=source)
    exact = quadratic_curvature(h, 0.1)
    assert found.sampled < 0.5 * exact
    assert 0.99 * exact <= found.value <= exact * (1 + 1e-9)


def test_one_dimensional_quartic_has_its_known_curvature() -> None:
    # F = w⁴ on [−δ, δ]: the second derivative is at most 12δ² and |s − x| at most 2δ, so C <=
    # 48δ⁴, and x = −s = δ approaches it as γ → 0.
    objective = Objective(lambda w: (w**4).sum(), torch.zeros(1, dtype=torch.float64))
    for delta in (0.5, 1.0):
        found = curvature_on_ball(objective, radius=delta)
        assert found.value == pytest.approx(48 * delta**4, rel=1e-6)
        assert found.sampled < found.value


def test_the_cost_is_what_was_evaluated() -> None:
    objective = quadratic(torch.eye(3))
    found = curvature_on_ball(objective, radius=1.0, samples=10, ascent_steps=0)
    assert found.evaluations == 10 + 10 / 2


def test_exceedance_covers_the_population_at_the_stated_rate() -> None:
    n, trials = 20, 4000
    draws = torch.rand(trials, n, generator=torch.Generator().manual_seed(0))
    above = 1 - draws.max(dim=1).values  # share of U(0,1) above each maximum
    covered = float((above <= exceedance(n)).double().mean())
    assert covered == pytest.approx(0.95, abs=0.015)


def test_path_rows_are_json_able_and_repeatable() -> None:
    objective = quadratic(random_symmetric(3))
    points = [torch.zeros(3), torch.ones(3)]
    rows = curvature_along_path(objective, points, radii=[0.1, 0.2])
    assert rows == curvature_along_path(objective, points, radii=[0.1, 0.2])
    assert [r["radius"] for r in rows] == [0.1, 0.2, 0.1, 0.2]
    # On a quadratic the curvature does not depend on the point and grows with the square of δ.
    assert rows[0]["value"] == pytest.approx(rows[2]["value"])
    assert rows[1]["value"] == pytest.approx(4 * rows[0]["value"])


def test_lanczos_along_a_path_finds_the_steepest_direction_of_each_point() -> None:
    # F = Σ w⁴: the Hessian is diag(12 w²), so each point has a steep direction of its own.
    objective = Objective(lambda w: (w**4).sum(), torch.zeros(40, dtype=torch.float64))
    points = [10 * torch.eye(40)[i] for i in (3, 17)]
    options = {"radii": [1e-3], "samples": 1, "ascent_steps": 0}
    rows = curvature_along_path(objective, points, lanczos_steps=3, **options)
    for row in rows:
        assert row["value"] == pytest.approx(4e-6 * 12 * 100, rel=1e-3)
    for row in curvature_along_path(objective, points, **options):
        assert row["value"] < 0.5 * 4e-6 * 12 * 100


def test_bad_requests_are_refused() -> None:
    with pytest.raises(ConfigError, match="gamma"):
        curvature_ratio(quadratic(torch.eye(2)), torch.zeros(2), torch.ones(2), 1.5)
    with pytest.raises(ConfigError, match="d <= 20"):
        quadratic_curvature(torch.eye(21), 1.0, math.inf)
    with pytest.raises(ConfigError, match="positive semidefinite"):
        quadratic_curvature(-torch.eye(2), 1.0, math.inf)
    with pytest.raises(ConfigError, match=r"1, 2 and inf"):
        quadratic_curvature(torch.eye(2), 1.0, 3)
    with pytest.raises(ConfigError, match="samples"):
        curvature_on_ball(quadratic(torch.eye(2)), radius=1.0, samples=0)
    for samples, confidence in ((0, 0.95), (9, 0.0), (9, 1.0)):
        with pytest.raises(ConfigError, match="samples >= 1 and 0 < confidence < 1"):
            exceedance(samples, confidence)
    with pytest.raises(ConfigError, match="radius"):
        curvature_on_ball(quadratic(torch.eye(2)), radius=-1.0)


def test_bounds_of_nested_balls_never_fall() -> None:
    # A bump: steep near 0, flat far out, so that random triples of a large ball see little of it.
    bump = Objective(lambda w: -torch.exp(-50 * (w @ w)), torch.zeros(8, dtype=torch.float64))
    small, large = curvature_in_nested_balls(bump, radii=[0.1, 5.0], ascent_steps=0).values()
    assert large.sampled < small.sampled
    assert large.value == small.value > 0


def test_statistics_are_of_the_random_triples_alone() -> None:
    # On a quadratic the ratio of a triple is (s − x)ᵀH(s − x), whatever γ.
    h = torch.diag(torch.tensor([-1.0, -3.0], dtype=torch.float64))
    points = sample_ball(10, 2, 0.5, generator=torch.Generator().manual_seed(7))
    ratios = sorted(float(d @ h @ d) for d in points[1::2] - points[0::2])
    found = curvature_on_ball(
        quadratic(h),
        radius=0.5,
        samples=5,
        steepest=torch.tensor([1.0, 0.0]),
        generator=torch.Generator().manual_seed(7),
    )
    assert found.median == pytest.approx(ratios[2])
    assert found.sampled == pytest.approx(ratios[-1])
    assert found.negative_share == 1.0
