from __future__ import annotations

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fwrnn_core.errors import ConfigError
from fwrnn_core.optim import lmo
from fwrnn_core.theory.angles import a5_constants, serving_constants
from fwrnn_core.theory.bounds import (
    averaging_bound,
    averaging_gap_bound,
    convergence_bound,
    frank_wolfe_bound,
    measured_convergence,
    normalised_descent_bound,
    widest_radius,
)
from fwrnn_core.theory.curvature import quadratic_curvature
from fwrnn_core.theory.examples import quadratic, random_symmetric, wavy_cone
from fwrnn_core.theory.gap import frank_wolfe_gap, inexactness
from fwrnn_core.theory.inner_loop import ball_minimum, inner_loop
from fwrnn_core.theory.objective import Objective

NORMS = st.sampled_from([1, 2, math.inf])
RULES = {"1/k": lambda k: 1 / k, "2/(k+1)": lambda k: 2 / (k + 1)}


def recursion_bound(curvature, steps: int, step_size, inexactness: float = 0.0) -> list[float]:
    """What the one-step inequality gives for any step sizes with γ(1) = 1, from which the bounds
    are derived: b_k = (1 − γ_k) b_{k−1} + ½γ_k²C(1 + ε)."""
    out, bound = [], 0.0
    for k in range(1, steps + 1):
        gamma = step_size(k)
        bound = (1 - gamma) * bound + 0.5 * gamma**2 * curvature * (1 + inexactness)
        out.append(bound)
    return out


def harmonic_bound(curvature: float, k: int, inexactness: float = 0.0) -> float:
    """C(1 + ε)H_K/(2K) with the harmonic number H_K: ``averaging_bound`` before its last step."""
    return curvature * (1 + inexactness) * sum(1 / i for i in range(1, k + 1)) / (2 * k)


def problem(seed: int, dim: int = 4):
    source = torch.Generator().manual_seed(seed)
    h = random_symmetric(dim, seed)
    return h, quadratic(h, torch.randn(dim, generator=source, dtype=torch.float64))


@settings(derandomize=True, max_examples=30, deadline=None)
@given(st.integers(0, 9999), NORMS, st.floats(0.05, 5))
def test_inner_loops_on_convex_quadratics_obey_their_bounds(
    seed: int, p: float, radius: float
) -> None:
    h, objective = problem(seed)
    constant = quadratic_curvature(h, radius, p)
    _, best, gap = ball_minimum(objective, radius=radius, norm=p)
    assert gap < 1e-6
    steps = 15
    for rule, gamma in RULES.items():
        trace = inner_loop(objective, radius=radius, inner_steps=steps, norm=p, step_size=rule)
        error = trace.losses[1:] - best
        for k in range(1, steps + 1):
            named = (
                frank_wolfe_bound(constant, k) if rule != "1/k" else averaging_bound(constant, k)
            )
            assert float(error[k - 1]) <= named + 1e-9
            assert recursion_bound(constant, k, gamma)[-1] <= named * (1 + 1e-12)
            assert float(error[k - 1]) <= recursion_bound(constant, k, gamma)[-1] + 1e-9
        # The gap bounds the suboptimality at the same point.
        assert bool((trace.gaps >= trace.losses[:-1] - best - 1e-9).all())


@settings(derandomize=True, max_examples=30, deadline=None)
@given(st.integers(0, 9999), st.integers(1, 12), st.floats(0.05, 5))
def test_the_smallest_gap_obeys_its_bound_without_convexity(
    seed: int, inner_steps: int, radius: float
) -> None:
    h = random_symmetric(4, seed, definite=False)
    source = torch.Generator().manual_seed(seed)
    objective = quadratic(h, torch.randn(4, generator=source, dtype=torch.float64))
    trace = inner_loop(objective, radius=radius, inner_steps=inner_steps)
    curvature = 4 * radius**2 * max(0.0, float(torch.linalg.eigvalsh(h)[-1]))
    decrease = float(trace.losses[0] - trace.losses[-1])
    bound = averaging_gap_bound(decrease, curvature, inner_steps)
    assert float(trace.gaps.min()) <= bound + 1e-9


def test_the_widest_radius_is_where_the_bound_of_theorem_1_ends() -> None:
    widest = widest_radius(3.0)
    assert normalised_descent_bound(1.0, widest * (1 - 1e-9), (1.0, 3.0), 5) > 1e6
    with pytest.raises(ConfigError, match="too large"):
        normalised_descent_bound(1.0, widest * (1 + 1e-9), (1.0, 3.0), 5)


@pytest.mark.parametrize(
    ("rule", "bounds"),
    [("1/k", [averaging_bound, harmonic_bound]), ("2/(k+1)", [frank_wolfe_bound])],
)
@settings(derandomize=True, max_examples=20, deadline=None)
@given(seed=st.integers(0, 9999), noise=st.floats(0.1, 2))
def test_inexact_oracles_obey_the_inflated_bound(
    rule: str, bounds, seed: int, noise: float
) -> None:
    h, objective = problem(seed)
    radius, steps = 0.5, 12
    constant = quadratic_curvature(h, radius)
    source = torch.Generator().manual_seed(seed)

    def perturb(k: int, g: torch.Tensor) -> torch.Tensor:
        return g + noise * torch.randn(len(g), generator=source, dtype=torch.float64)

    gamma = RULES[rule]
    trace = inner_loop(objective, radius=radius, inner_steps=steps, step_size=rule, perturb=perturb)
    epsilon = max(
        2 * float((s * g).sum() + radius * g.norm()) / (constant * gamma(k))
        for k, (s, g) in enumerate(zip(trace.vertices, trace.gradients, strict=True), start=1)
    )
    _, best, _ = ball_minimum(objective, radius=radius)
    recursion = recursion_bound(constant, steps, gamma, epsilon)
    for k in range(1, steps + 1):
        error = float(trace.losses[k]) - best
        assert error <= recursion[k - 1] + 1e-9
        for bound in bounds:
            assert recursion[k - 1] <= bound(constant, k, epsilon) * (1 + 1e-12)


@settings(derandomize=True, max_examples=30, deadline=None)
@given(st.integers(0, 9999), NORMS, st.floats(0.05, 5))
def test_the_average_never_makes_up_for_its_first_vertex(
    seed: int, p: float, radius: float
) -> None:
    _, objective = problem(seed)
    place, best, gap = ball_minimum(objective, radius=radius, norm=p)
    assert gap < 1e-6  # ⟨slope, s − place⟩ ≥ −gap for every s of the ball
    slope = objective.grad(place)
    trace = inner_loop(objective, radius=radius, inner_steps=15, norm=p)
    missed = float(slope @ (trace.vertices[0] - place))
    for k in range(1, 16):
        plane = float(slope @ (trace.displacements[k] - place))
        assert float(trace.losses[k]) - best >= plane - 1e-9
        assert plane >= missed / k - gap - 1e-9


def test_where_the_two_step_sizes_cross() -> None:
    # What the book says: the average has the smaller bound up to K = 10, as far as the one-step
    # inequality itself goes for both up to K = 8. Its harmonic form is below Jaggi's up to 21.
    average, jaggi = (recursion_bound(1.0, 60, gamma) for gamma in RULES.values())
    for k in range(2, 60):
        assert (averaging_bound(1.0, k) < frank_wolfe_bound(1.0, k)) == (k <= 10)
        assert (harmonic_bound(1.0, k) < frank_wolfe_bound(1.0, k)) == (k <= 21)
        assert (average[k - 1] < jaggi[k - 1]) == (k <= 8)


def test_inexactness_is_zero_for_the_exact_gradient_and_known_for_a_turned_one() -> None:
    g = torch.tensor([3.0, 4.0])
    keywords = {"radius": 0.2, "curvature": 2.0, "gamma": 0.5}
    assert inexactness(g, 7 * g, **keywords) == pytest.approx(0, abs=1e-6)
    # Reversed: ⟨s̃, ∇F⟩ = +δ‖∇F‖, so the loss is 2δ‖∇F‖ = 2 and ε = 2·2/(0.5·2).
    assert inexactness(g, -g, **keywords) == pytest.approx(4.0)
    for wrong in ({"curvature": 0.0}, {"curvature": math.nan}, {"gamma": 0.0}, {"gamma": 1.5}):
        with pytest.raises(ConfigError, match="curvature > 0 and 0 < gamma <= 1"):
            inexactness(g, g, **{**keywords, **wrong})
    # In another ball: the vertex (−δ, 0) of p = 1 in place of (0, −δ) loses δ(4 − 3).
    turned = torch.tensor([1.0, 0.0])
    assert inexactness(g, turned, **keywords, norm=1) == pytest.approx(2 * 0.2 / (0.5 * 2.0))


@settings(derandomize=True, max_examples=30, deadline=None)
@given(st.integers(0, 9999), st.sampled_from([1, 1.5, 2, 3, math.inf]), st.floats(0.1, 3))
def test_gap_is_the_maximum_over_the_ball(seed: int, p: float, radius: float) -> None:
    source = torch.Generator().manual_seed(seed)
    gradient, other = torch.randn(2, 5, generator=source, dtype=torch.float64)
    delta = lmo(other, radius, p)
    gap = float(frank_wolfe_gap(delta, gradient, radius, p))
    attained = float((delta - lmo(gradient, radius, p)) @ gradient)
    assert gap == pytest.approx(attained, rel=1e-9, abs=1e-12)
    assert gap >= -1e-12


@settings(derandomize=True, max_examples=30, deadline=None)
@given(st.integers(0, 9999), st.integers(1, 5))
def test_theorem_2_holds_where_its_assumptions_do(seed: int, inner_steps: int) -> None:
    # A convex quadratic is star-convex everywhere; ω* = 0. A5's constant is measured, then used.
    h = random_symmetric(3, seed)
    objective = quadratic(h)
    point = torch.randn(3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    points, values, displacements, gradients = [], [], [], []
    for t in range(40):
        trace = inner_loop(objective, point, radius=0.3 / (1 + t), inner_steps=inner_steps)
        points.append(point)
        values.append(objective.value(point))
        gradients.append(objective.grad(point))
        displacements.append(trace.displacements[-1])
        point = point + displacements[-1]
    path = torch.stack(points)
    constants = a5_constants(
        torch.stack(displacements), torch.stack(gradients), path, torch.zeros(3)
    )
    assume(constants.holds)  # A5 can fail even here: the displacement overshoots ω*
    both = measured_convergence(
        path,
        torch.tensor(values, dtype=torch.float64),
        torch.stack(displacements),
        torch.zeros(3, dtype=torch.float64),
        0.0,
        constants.at_most,
    )
    assert bool((both.left <= both.right + 1e-9).all())


@settings(derandomize=True, max_examples=30, deadline=None)
@given(st.integers(0, 9999), st.integers(1, 5))
def test_theorem_2_with_a_constant_for_each_step(seed: int, inner_steps: int) -> None:
    # As long as every step leads towards ω*, step t has the constant c_t = a_t/b_t, and the bound
    # with all of them is never above the one with the smallest.
    objective = quadratic(random_symmetric(3, seed))
    point = torch.randn(3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    points, values, displacements, constants = [], [], [], []
    for _ in range(40):
        gradient = objective.grad(point)
        trace = inner_loop(
            objective, point, radius=0.05 * float(gradient.norm()) + 1e-9, inner_steps=inner_steps
        )
        delta = trace.displacements[-1]
        slope = float(gradient @ point)
        if not (slope > 0 and float(delta @ point) < 0):
            break
        points.append(point)
        values.append(objective.value(point))
        displacements.append(delta)
        constants.append(-float(delta @ point) / slope)
        point = point + delta
    assume(points)
    c = torch.tensor(constants, dtype=torch.float64)
    path = torch.stack(points), torch.tensor(values, dtype=torch.float64)
    goal = torch.zeros(3, dtype=torch.float64), 0.0
    fine = measured_convergence(*path, torch.stack(displacements), *goal, c)
    coarse = measured_convergence(*path, torch.stack(displacements), *goal, float(c.min()))
    assert bool((fine.left <= fine.right + 1e-9).all())
    assert bool((fine.right <= coarse.right * (1 + 1e-12)).all())


def test_the_proof_of_theorem_2_needs_neither_a2_nor_a5() -> None:
    # F falls off its ridge sideways: at ω the gradient points away from ω* = 0, so A5 with c > 0
    # asks the displacement to lose ground; one that goes straight to ω* gains all the same.
    way = torch.tensor([[1.0, 0.0], [0.5, 0.0]])
    gradients = torch.tensor([[-0.1, 1.0], [0.1, 1.0]])
    displacements, gaps = -0.5 * way, torch.tensor([1.0, 0.25])
    assert bool((((gradients * way).sum(1) - gaps) < 0).any())  # A2 fails
    found = serving_constants(-(displacements * way).sum(1), gaps)
    assert found.holds
    assert found.at_most == pytest.approx(0.5)
    both = measured_convergence(way, gaps, displacements, torch.zeros(2), 0.0, found.at_most)
    assert bool((both.left <= both.right).all())


@settings(derandomize=True, max_examples=30, deadline=None)
@given(st.integers(0, 9999), st.booleans(), st.integers(1, 60))
def test_one_exact_vertex_needs_no_a5(seed: int, convex: bool, updates: int) -> None:
    # K = 1, exact gradients: star-convexity and a Lipschitz gradient alone give the rate 1/T.
    if convex:
        h = random_symmetric(4, seed)
        objective, lipschitz = quadratic(h), float(torch.linalg.eigvalsh(h)[-1])
    else:  # r²(1 + a cos 6φ): the Hessian has the same eigenvalues at every r
        objective = Objective(lambda w: wavy_cone(w), torch.zeros(2, dtype=torch.float64))
        angles = torch.linspace(0, math.pi / 3, 61, dtype=torch.float64)
        rim = torch.stack([angles.cos(), angles.sin()], dim=1)
        lipschitz = 1.001 * max(hessian_norm(objective, w) for w in rim)
    source = torch.Generator().manual_seed(seed)
    point = torch.randn(objective.dim, generator=source, dtype=torch.float64)
    distance = float(point.norm())
    radius, values = distance / math.sqrt(updates), []
    for _ in range(updates):
        trace = inner_loop(objective, point, radius=radius, inner_steps=1)
        values.append(float(trace.losses[0]))
        point = point + trace.displacements[-1]
    assert min(values) <= 2 * lipschitz * distance**2 / updates


def hessian_norm(objective: Objective, point: torch.Tensor) -> float:
    axes = torch.eye(objective.dim, dtype=torch.float64)
    hessian = torch.stack([objective.hvp(axis, point) for axis in axes])
    return float(torch.linalg.matrix_norm(hessian, ord=2))


def test_theorem_2_right_side_by_hand() -> None:
    right = convergence_bound(2.0, torch.tensor([0.5, 0.5]), torch.tensor([1.0, 1.0]), 2.0)
    assert right.tolist() == pytest.approx([(4 + 0.25) / 2, (4 + 0.5) / 4])
    each = torch.tensor([2.0, 4.0])
    right = convergence_bound(2.0, torch.tensor([0.5, 0.5]), torch.tensor([1.0, 1.0]), each)
    assert right.tolist() == pytest.approx([(4 + 0.25) / 2, (4 + 0.5) / 6])
    with pytest.raises(ConfigError, match="one for each of 3"):
        convergence_bound(1.0, torch.ones(3), torch.ones(3), each)
    with pytest.raises(ConfigError, match="c > 0"):
        convergence_bound(1.0, torch.ones(1), torch.ones(1), 0.0)
    for steps in (torch.zeros(1), torch.ones(2), torch.ones(1, 1)):
        with pytest.raises(ConfigError, match="positive step"):
            convergence_bound(1.0, steps, torch.ones(1), 1.0)


@settings(derandomize=True, max_examples=20, deadline=None)
@given(st.integers(0, 9999), st.floats(0.01, 0.3))
def test_normalised_descent_obeys_its_bound(seed: int, radius: float) -> None:
    h = random_symmetric(4, seed)
    objective = quadratic(h)
    smoothness = (float(torch.linalg.eigvalsh(h)[-1]), 0.0)
    point = torch.randn(4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    start, norms = objective.value(point), []
    for updates in range(1, 60):
        gradient = objective.grad(point)
        norms.append(float(gradient.norm()))
        point = point + lmo(gradient, radius)
        bound = normalised_descent_bound(start, radius, smoothness, updates)
        assert min(norms) <= bound + 1e-12


def test_normalised_descent_of_an_exponential_needs_the_relaxed_smoothness() -> None:
    # F = cosh: |F''| = cosh <= 1 + |sinh| = 1 + |F'|, and F' is not Lipschitz.
    point, radius, norms = 6.0, 0.3, []
    start = math.cosh(point) - 1
    for updates in range(1, 100):
        norms.append(abs(math.sinh(point)))
        point -= radius * math.copysign(1, math.sinh(point))
        assert min(norms) <= normalised_descent_bound(start, radius, (1.0, 1.0), updates)
    with pytest.raises(ConfigError, match="too large"):
        normalised_descent_bound(start, 1.5, (1.0, 1.0), 10)
    for bad, updates in ((0.0, 10), (0.3, 0)):
        with pytest.raises(ConfigError, match="updates >= 1 and radius > 0"):
            normalised_descent_bound(start, bad, (1.0, 1.0), updates)


@pytest.mark.parametrize("bound", [frank_wolfe_bound, averaging_bound])
def test_bounds_before_the_first_step_are_refused(bound) -> None:
    with pytest.raises(ConfigError, match="k must be"):
        bound(1.0, 0)
    for wrong in ((-1.0, 1), (1.0, 1, -0.1), (math.nan, 1), (1.0, 1, math.nan)):
        with pytest.raises(ConfigError, match="curvature"):
            bound(*wrong)
    assert bound(1.0, 3, inexactness=1.0) == pytest.approx(2 * bound(1.0, 3))


def test_theorem_2_left_side_is_the_best_value_so_far() -> None:
    points = torch.tensor([[2.0], [1.0], [3.0], [0.5]])
    both = measured_convergence(
        points, points[:, 0] ** 2, torch.ones(4, 1), torch.zeros(1), 0.25, constant=1.0
    )
    assert both.left.tolist() == [3.75, 0.75, 0.75, 0.0]


def test_theorem_2_along_a_path_is_that_of_its_numbers() -> None:
    points, steps = torch.tensor([[4.0, 1.0], [1.0, 0.0]]), torch.tensor([0.5, 2.0])
    displacements, goal = torch.tensor([[-3.0, 4.0], [0.0, 1.0]]), torch.tensor([1.0, 5.0])
    path = points, torch.ones(2), displacements, goal, 0.0
    for constant in (0.5, torch.tensor([0.5, 0.25])):
        both = measured_convergence(*path, constant, steps)
        right = convergence_bound(5.0, steps, torch.tensor([5.0, 1.0]), constant)
        torch.testing.assert_close(both.right, right)
