"""Properties of the reference engine, against slow literal definitions."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fwrnn_core.errors import ConfigError
from fwrnn_core.explorer.encoding import decode, encode
from fwrnn_core.explorer.engine import (
    METHODS,
    InnerSettings,
    OuterSettings,
    inner_loop,
    outer_loop,
)
from fwrnn_core.explorer.geometry import Normals, lmo, project, vector_norm
from fwrnn_core.explorer.surfaces import Grid, analytic, make_surface

NORMS = (1.0, 1.5, 2.0, 3.0, math.inf)
norms = st.sampled_from(NORMS)
numbers = st.floats(-5, 5, allow_nan=False, width=32)
vectors = st.tuples(numbers, numbers)
names = st.sampled_from(sorted(analytic()))
steady = settings(derandomize=True, deadline=None, max_examples=60)


def boundary(p, radius, count=720):
    """Points of the ball's boundary, by scaling directions: no closed form involved."""
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    out = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    lengths = np.linalg.norm(out, ord=p, axis=1)
    return radius * out / lengths[:, None]


@steady
@given(vectors, norms, st.floats(0.1, 3))
def test_the_oracle_is_at_least_as_good_as_every_point_of_the_ball(gradient, p, radius):
    s = np.array(lmo(gradient, radius, p))
    assert np.linalg.norm(s, ord=p) <= radius * (1 + 1e-12)
    assert s @ gradient <= (boundary(p, radius) @ np.array(gradient)).min() + 1e-9


@steady
@given(vectors, norms, st.floats(0.1, 3))
def test_the_projection_is_nearer_than_every_point_of_the_ball(point, p, radius):
    nearest = np.array(project(point, radius, p))
    assert np.linalg.norm(nearest, ord=p) <= radius * (1 + 1e-9)
    others = np.linalg.norm(boundary(p, radius) - point, axis=1).min()
    inside = np.linalg.norm(point, ord=p) <= radius
    assert np.linalg.norm(nearest - point) <= (0 if inside else others + 1e-9)


@steady
@given(st.integers(0, 2**32 - 1))
def test_the_same_seed_draws_the_same_noise(seed):
    assert Normals(seed)() == Normals(seed)()


def test_the_noise_is_standard_normal():
    draw = Normals(3)
    sample = np.array([draw() for _ in range(20_000)])
    assert abs(sample.mean()) < 0.02
    assert abs(sample.std() - 1) < 0.02
    assert abs((np.abs(sample) < 1).mean() - 0.6827) < 0.01


@pytest.mark.parametrize("name", sorted(analytic()))
def test_gradients_are_the_derivatives_of_the_losses(name):
    surface = make_surface(analytic()[name])
    x0, x1, y0, y1 = surface.spec["domain"]
    rng = np.random.default_rng(0)
    x, y = rng.uniform(x0, x1, 200), rng.uniform(y0, y1, 200)
    h = 1e-6
    gx, gy = surface.gradient(x, y)
    dx = (surface.loss(x + h, y) - surface.loss(x - h, y)) / (2 * h)
    dy = (surface.loss(x, y + h) - surface.loss(x, y - h)) / (2 * h)
    close = np.isclose(gx, dx, rtol=1e-5, atol=1e-6) & np.isclose(gy, dy, rtol=1e-5, atol=1e-6)
    assert close.mean() > 0.97  # a difference across the cliff itself is no derivative


def test_the_star_is_star_convex_and_not_convex():
    star = make_surface(analytic()["star"])
    rng = np.random.default_rng(1)
    points = rng.uniform(-2, 2, (400, 2))
    x, y = points.T
    gx, gy = star.gradient(x, y)
    # A2 at every point: F(0) >= F(w) + <grad, 0 - w>
    assert (star.loss(x, y) - gx * x - gy * y <= 1e-12).all()
    a, b = points[:200], points[200:]
    middle = star.loss(*((a + b) / 2).T)
    assert (middle > (star.loss(*a.T) + star.loss(*b.T)) / 2 + 0.05).any()


def grid_of(function, gradient, nx=11, ny=9):
    x, y = np.meshgrid(np.linspace(-1, 1, nx), np.linspace(-0.8, 0.8, ny))
    gx, gy = gradient(x, y)
    arrays = {"loss": function(x, y), "grad_x": gx, "grad_y": gy}
    grid = {"nx": nx, "ny": ny, **{k: encode(v) for k, v in arrays.items()}}
    return Grid({"kind": "grid", "domain": [-1, 1, -0.8, 0.8], "grid": grid}), x, y, arrays


def test_the_grid_keeps_losses_and_gradients_at_its_nodes():
    surface, x, y, arrays = grid_of(
        lambda x, y: np.sin(3 * x) + x * y**2,
        lambda x, y: (3 * np.cos(3 * x) + y**2, 2 * x * y),
    )
    gx, gy = surface.gradient(x, y)
    np.testing.assert_allclose(surface.loss(x, y), arrays["loss"], atol=1e-6)
    np.testing.assert_allclose(gx, arrays["grad_x"], atol=1e-5)
    np.testing.assert_allclose(gy, arrays["grad_y"], atol=1e-5)


def test_the_grid_reproduces_a_bicubic_polynomial_in_between():
    surface, *_ = grid_of(
        lambda x, y: x**3 - 2 * x * y + y**2, lambda x, y: (3 * x**2 - 2 * y, -2 * x + 2 * y)
    )
    x, y = np.random.default_rng(2).uniform(-0.75, 0.75, (2, 300))
    np.testing.assert_allclose(surface.loss(x, y), x**3 - 2 * x * y + y**2, atol=1e-6)
    gx, gy = surface.gradient(x, y)
    np.testing.assert_allclose(gx, 3 * x**2 - 2 * y, atol=1e-5)
    np.testing.assert_allclose(gy, -2 * x + 2 * y, atol=1e-5)


def test_beyond_its_border_the_grid_goes_on_as_a_tangent_plane():
    surface, *_ = grid_of(lambda x, y: x**2 + y, lambda x, y: (2 * x, np.ones_like(y)))
    assert surface.loss(np.array(1.5), np.array(0.2)) == pytest.approx(1.2 + 2 * 0.5, abs=1e-5)
    assert surface.gradient(np.array(1.5), np.array(0.2))[0] == pytest.approx(2, abs=1e-5)


@steady
@given(names, norms, st.integers(1, 12), st.sampled_from(["1/k", "2/(k+1)"]), st.integers(0, 99))
def test_the_papers_trajectory_never_leaves_the_ball(name, p, steps, rule, seed):
    surface = make_surface(analytic()[name])
    plan = InnerSettings(0.4, steps, p, rule, noise=0.5, seed=seed)
    loop = inner_loop(surface, tuple(surface.spec["start"]), plan)
    assert loop.reach <= 1 + 1e-9
    assert loop.agreement <= 1 + 1e-9
    assert (loop.gaps >= -1e-9).all()
    for v in (*loop.iterates, *loop.projected):
        assert vector_norm(tuple(v), p) <= 0.4 * (1 + 1e-9)


@steady
@given(names, norms, st.integers(1, 9))
def test_with_one_over_k_the_result_is_the_mean_of_the_vertices(name, p, steps):
    surface = make_surface(analytic()[name])
    loop = inner_loop(surface, tuple(surface.spec["start"]), InnerSettings(0.3, steps, p))
    np.testing.assert_allclose(loop.iterates[-1], loop.vertices.mean(axis=0), atol=1e-12)


def test_the_released_trajectory_visits_the_running_sum_of_the_iterates():
    surface = make_surface(analytic()["bowl"])
    plan = InnerSettings(0.2, 6, trajectory="released")
    loop = inner_loop(surface, (-1.5, 1.0), plan)
    np.testing.assert_allclose(loop.visited[1:-1], np.cumsum(loop.iterates[1:-1], axis=0))
    assert 4 < loop.reach <= 5  # K − 1 radii at most, nearly reached on a slope


def test_one_inner_step_is_the_same_on_either_trajectory():
    surface = make_surface(analytic()["ravine"])
    one, other = (
        inner_loop(surface, (-1.0, 1.0), InnerSettings(0.5, 1, trajectory=t))
        for t in ("paper", "released")
    )
    np.testing.assert_array_equal(one.iterates, other.iterates)
    assert one.agreement == pytest.approx(1)
    assert one.angle == pytest.approx(0, abs=1e-9)


def test_on_the_bowl_the_gap_bounds_what_is_left_to_gain():
    surface = make_surface(analytic()["bowl"])
    loop = inner_loop(surface, (-1.5, 1.0), InnerSettings(0.6, 10, step_size="2/(k+1)"))
    angles, radii = np.meshgrid(np.linspace(0, 2 * np.pi, 400), np.linspace(0, 0.6, 100))
    best = surface.loss(-1.5 + radii * np.cos(angles), 1.0 + radii * np.sin(angles)).min()
    assert (loop.losses - best <= loop.gaps + 1e-3).all()


def test_at_a_stationary_point_nothing_moves_and_nothing_is_nan():
    surface = make_surface(analytic()["bowl"])
    for p in NORMS:
        loop = inner_loop(surface, (0.0, 0.0), InnerSettings(0.5, 4, p))
        assert loop.agreement == 0
        assert loop.angle is None
        assert not np.isnan(loop.gaps).any()


@pytest.mark.parametrize("method", METHODS)
def test_every_method_descends_and_keeps_to_its_budget(method):
    surface = make_surface(analytic()["bowl"])
    inner, outer = InnerSettings(0.1, 4), OuterSettings(budget=50, learning_rate=0.1)
    path = outer_loop(surface, (-1.5, 1.0), inner, outer, method)
    assert path.evaluations[-1] == (48 if method == "frank-wolfe" else 50)
    assert len(path.points) == len(path.losses) == len(path.evaluations)
    assert path.losses[-1] < 0.2 * path.losses[0]
    assert not path.diverged


def test_frank_wolfe_with_one_inner_step_is_the_normalised_gradient():
    surface = make_surface(analytic()["saddle"])
    inner, outer = InnerSettings(0.1, 1, noise=0.3, seed=5), OuterSettings(budget=30)
    one, other = (
        outer_loop(surface, (-1.0, 0.3), inner, outer, m) for m in ("frank-wolfe", "normalised")
    )
    np.testing.assert_allclose(one.points, other.points, atol=1e-12)


def test_a_trajectory_that_blows_up_ends_as_diverged():
    surface = make_surface(analytic()["bowl"])
    outer = OuterSettings(budget=300, learning_rate=1.0)
    path = outer_loop(surface, (-1.5, 1.0), InnerSettings(0.1), outer, "gradient-descent")
    assert path.diverged
    assert np.isfinite(path.losses).all()
    assert np.abs(path.points).max() <= 20 * 5, "the bowl is 5 wide, and steeper along y"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"radius": 0.0}, "radius must be a positive number, not 0.0"),
        ({"radius": math.inf}, "radius must be a positive number, not inf"),
        ({"noise": math.inf}, "noise must be a number ≥ 0, not inf"),
        ({"seed": 2**32}, "seed must be an integer in"),
        ({"inner_steps": 0}, "inner_steps must be an integer ≥ 1"),
        ({"norm": 0.5}, "norm must be a number ≥ 1"),
        ({"noise": -1.0}, "noise must be a number ≥ 0"),
        ({"seed": -1}, "seed must be an integer in"),
        ({"step_size": "1/K"}, "Did you mean '1/k'"),
        ({"trajectory": "papre"}, "Did you mean 'paper'"),
    ],
)
def test_wrong_settings_are_named(wrong, message):
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        InnerSettings(**{"radius": 1.0, **wrong})


def test_wrong_outer_settings_are_named():
    with pytest.raises(ConfigError, match="budget"):
        OuterSettings(budget=0)
    for rate in (0, math.inf):
        with pytest.raises(ConfigError, match="learning_rate"):
            OuterSettings(learning_rate=rate)
    for wrong in ({"schedule": "1/sqrt"}, {"outer": "adamm"}):
        with pytest.raises(ConfigError, match="Did you mean"):
            OuterSettings(**wrong)
    surface = make_surface(analytic()["bowl"])
    with pytest.raises(ConfigError, match="Did you mean 'adam'"):
        outer_loop(surface, (0, 0), InnerSettings(1), OuterSettings(), "adamm")
    with pytest.raises(ConfigError, match="kind of surface"):
        make_surface({"kind": "bowel"})


def test_encoded_numbers_survive_to_float32():
    values = np.array([0.1, -3e-8, 1e20])
    np.testing.assert_array_equal(decode(encode(values)), values.astype(np.float32))
