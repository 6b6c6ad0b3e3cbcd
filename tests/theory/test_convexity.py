from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from torch import nn

from fwrnn_core.errors import ConfigError
from fwrnn_core.models import RecurrentNet
from fwrnn_core.theory.convexity import (
    convexity_on_ball,
    extremes_by_part,
    hessian_spectrum,
    lanczos,
    monotonicity,
)
from fwrnn_core.theory.examples import quadratic, random_symmetric
from fwrnn_core.theory.lipschitz import relaxed_smoothness, together
from fwrnn_core.theory.objective import Objective, model_objective


@settings(derandomize=True, max_examples=25, deadline=None)
@given(st.integers(1, 30), st.integers(0, 999))
def test_full_lanczos_finds_the_extreme_eigenvalues(dim: int, seed: int) -> None:
    a = random_symmetric(dim, seed, definite=False)
    exact = torch.linalg.eigvalsh(a)
    found = lanczos(lambda v: a @ v, dim, dim)
    assert found.smallest == pytest.approx(float(exact[0]), abs=1e-8)
    assert found.largest == pytest.approx(float(exact[-1]), abs=1e-8)


@settings(derandomize=True, max_examples=25, deadline=None)
@given(st.integers(10, 60), st.integers(2, 9), st.integers(0, 999))
def test_short_lanczos_bounds_its_error(dim: int, steps: int, seed: int) -> None:
    a = random_symmetric(dim, seed, definite=False)
    exact = torch.linalg.eigvalsh(a)
    found = lanczos(lambda v: a @ v, dim, steps)
    assert float(exact[0]) - 1e-9 <= found.smallest <= found.largest <= float(exact[-1]) + 1e-9
    for value, residual in zip(found.values, found.residuals, strict=True):
        assert float((exact - value).abs().min()) <= float(residual) + 1e-9


@settings(derandomize=True, max_examples=25, deadline=None)
@given(st.integers(2, 40), st.integers(1, 9), st.integers(0, 999))
def test_the_steepest_direction_has_the_largest_ritz_value(dim: int, steps: int, seed: int) -> None:
    a = random_symmetric(dim, seed, definite=False)
    found = lanczos(lambda v: a @ v, dim, steps)
    assert float(found.steepest.norm()) == pytest.approx(1.0)
    rayleigh = float(found.steepest @ a @ found.steepest)
    assert rayleigh == pytest.approx(found.largest, abs=1e-9)
    # The residual is that of the pair: ‖Av − θv‖.
    left = float((a @ found.steepest - found.largest * found.steepest).norm())
    assert left == pytest.approx(float(found.residuals[-1]), abs=1e-7)


def test_lanczos_stops_when_the_space_is_exhausted() -> None:
    calls = 0

    def identity(v: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return 3 * v

    found = lanczos(identity, 100, 50)
    assert calls == 1
    assert found.values.tolist() == pytest.approx([3.0])
    assert lanczos(lambda v: 0 * v, 4, 4).largest == 0
    for dim, steps in ((0, 3), (3, 0)):
        with pytest.raises(ConfigError, match="dim >= 1 and steps >= 1"):
            lanczos(identity, dim, steps)


def test_network_spectrum_is_that_of_the_dense_hessian() -> None:
    torch.manual_seed(0)
    net = RecurrentNet(2, 4, 1)
    objective = model_objective(net, nn.functional.mse_loss, torch.randn(5, 6, 2), torch.ones(5, 1))
    identity = torch.eye(objective.dim, dtype=torch.float64)
    dense = torch.stack([objective.hvp(e) for e in identity])
    exact = torch.linalg.eigvalsh((dense + dense.T) / 2)
    found = hessian_spectrum(objective, steps=objective.dim)
    assert found.largest == pytest.approx(float(exact[-1]), rel=1e-8)
    assert found.smallest == pytest.approx(float(exact[0]), rel=1e-6)


def test_pairs_see_rayleigh_quotients() -> None:
    h = random_symmetric(6, 4, definite=False)
    x, y = torch.randn(2, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    unit = (x - y) / (x - y).norm()
    mean, quotient = monotonicity(quadratic(h), x, y)
    assert mean == pytest.approx(float(unit @ h @ unit))
    assert quotient == pytest.approx(float((h @ unit).norm()))
    with pytest.raises(ConfigError, match="differ"):
        monotonicity(quadratic(h), x, x)


def test_report_tells_convex_from_indefinite() -> None:
    convex = convexity_on_ball(quadratic(torch.eye(4)), radius=0.5)
    assert convex.convex_share == 1.0
    assert convex.smallest == pytest.approx(1.0)
    saddle = convexity_on_ball(quadratic(torch.diag(torch.tensor([9.0, 9, 9, -1]))), radius=0.5)
    # Random pairs all but miss the one bad direction; Lanczos does not.
    assert saddle.smallest == pytest.approx(-1.0)
    assert saddle.largest == pytest.approx(9.0)
    assert abs(float(saddle.steepest[3])) < 1e-6


@pytest.mark.parametrize("p", [1, 2, np.inf])
def test_pairs_are_drawn_from_the_ball_around_the_center(p: float) -> None:
    # Flat in the ball, on whose surface the size is ½, and steep outside.
    size = {1: lambda d: d.abs().sum(), 2: lambda d: 2 * d @ d, np.inf: lambda d: d.abs().max()}[p]
    center = torch.tensor([3.0, -4.0, 5.0, 1.0], dtype=torch.float64)
    wall = Objective(
        lambda w: 1e6 * (size(w - center) - 0.5).clamp(min=0) ** 2,
        torch.zeros(4, dtype=torch.float64),
    )
    found = convexity_on_ball(wall, center, radius=0.5, norm=p)
    assert (found.worst_pair, found.lipschitz) == (0, 0)
    assert convexity_on_ball(wall, center, radius=1.0, norm=p).lipschitz > 1e5


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), min_size=1, max_size=12))
def test_relaxed_smoothness_lies_above_all_points_and_is_tight(
    points: list[tuple[float, float]],
) -> None:
    x, y = (torch.tensor(c, dtype=torch.float64) for c in zip(*points, strict=True))
    line = relaxed_smoothness(x, y)
    assert line.constant >= 0
    assert line.slope >= 0
    height = line.constant + line.slope * x - y
    assert float(height.min()) >= -1e-9
    flat = float((y.max() - y).mean())
    assert float(height.mean()) <= flat + 1e-9


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.integers(1, 40), st.integers(0, 9999), st.integers(-6, 8))
def test_relaxed_smoothness_is_the_tightest_line_on_every_scale(
    count: int, seed: int, decade: int
) -> None:
    source = torch.Generator().manual_seed(seed)
    x, factor = torch.randn(2, count, generator=source, dtype=torch.float64).exp()
    y = x**1.5 * factor
    line = relaxed_smoothness(x, 10.0**decade * y)
    rows = np.stack([np.ones(count), x.numpy()], axis=1)
    best = linprog([1, float(x.mean())], A_ub=-rows, b_ub=-y.numpy(), bounds=[(0, None)] * 2)
    height = (line.constant + line.slope * float(x.mean())) / 10.0**decade
    assert height == pytest.approx(best.fun)


def test_relaxed_smoothness_recovers_an_exact_line() -> None:
    x = torch.tensor([1.0, 2.0, 3.0])
    line = relaxed_smoothness(x, 0.5 + 2 * x)
    assert (line.constant, line.slope) == pytest.approx((0.5, 2.0))
    twice = relaxed_smoothness(x.repeat(2), torch.cat([0.5 + 2 * x, x]))
    assert (twice.constant, twice.slope) == pytest.approx((0.5, 2.0)), "the higher of two counts"
    with pytest.raises(ConfigError, match="at least one"):
        relaxed_smoothness(torch.tensor([]), torch.tensor([]))


@settings(derandomize=True, max_examples=30, deadline=None)
@given(st.integers(0, 9999))
def test_how_norms_go_together_is_what_other_libraries_say(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.lognormal(size=40)
    y = x ** rng.normal() * rng.lognormal(sigma=0.5, size=40)
    found = together(torch.from_numpy(x), torch.from_numpy(y))
    assert found.exponent == pytest.approx(np.polyfit(np.log(x), np.log(y), 1)[0], abs=1e-9)
    both = set(np.argsort(x)[-4:]) & set(np.argsort(y)[-4:])
    assert found.in_common == len(both) / 4
    assert found.line == relaxed_smoothness(torch.from_numpy(x), torch.from_numpy(y))
    heights = found.line.constant + found.line.slope * x
    assert found.height == pytest.approx(heights.mean() / y.max())
    rest = np.delete(np.arange(40), y.argmax())
    assert (found.without.constant + found.without.slope * x[rest] >= y[rest] * (1 - 1e-9)).all()


def test_too_few_norms_are_refused() -> None:
    with pytest.raises(ConfigError, match="ten points"):
        together(torch.ones(9), torch.ones(9))
    with pytest.raises(ConfigError, match="positive"):
        together(torch.zeros(10), torch.ones(10))


def test_parts_of_the_data_have_the_wider_spectrum() -> None:
    """Least squares on a line: the Hessian of a part is the mean of its 2xxᵀ."""
    x = torch.randn(24, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def risk_of(part: torch.Tensor) -> Objective:
        rows = x[part]
        return Objective(lambda w: ((rows @ w) ** 2).mean(), torch.zeros(3, dtype=torch.float64))

    point = torch.ones(3, dtype=torch.float64)
    whole = extremes_by_part(risk_of, point, 24, 24)
    values = torch.linalg.eigvalsh(2 * x.T @ x / 24)
    torch.testing.assert_close(whole, values[[0, -1]][None], rtol=1e-5, atol=1e-6)
    parts = extremes_by_part(risk_of, point, 24, 10, seed=4)
    assert parts.shape == (3, 2), "10, 10 and the 4 that are left"
    order = torch.randperm(24, generator=torch.Generator().manual_seed(4))
    for found, part in zip(parts, order.split(10), strict=True):
        exact = torch.linalg.eigvalsh(2 * x[part].T @ x[part] / len(part))
        torch.testing.assert_close(found, exact[[0, -1]], rtol=1e-5, atol=1e-6)
    halves = extremes_by_part(risk_of, point, 24, 12)
    assert halves[:, 1].mean() >= whole[0, 1] - 1e-6
    assert halves[:, 0].mean() <= whole[0, 0] + 1e-6
