from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fwrnn_core.errors import ConfigError
from fwrnn_core.optim import lmo
from fwrnn_core.theory.angles import (
    a5_constants,
    angle_bound,
    angle_degrees,
    angle_of_separate_balls,
    angles_by_tensor,
    released_statistic,
    serving_constants,
)
from fwrnn_core.theory.examples import quadratic, random_symmetric
from fwrnn_core.theory.inner_loop import inner_loop
from fwrnn_core.theory.objective import Layout


@settings(derandomize=True, max_examples=50, deadline=None)
@given(st.floats(0, 180), st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_a_rotated_vector_has_its_angle(degrees: float, a: float, b: float) -> None:
    turned = torch.tensor([math.cos(math.radians(degrees)), math.sin(math.radians(degrees)), 0.0])
    angle = angle_degrees(a * torch.tensor([1.0, 0, 0], dtype=torch.float64), b * turned.double())
    assert float(angle) == pytest.approx(degrees, abs=1e-4)


def test_tiny_angles_survive_float32() -> None:
    v = torch.tensor([1.0, 1e-5])
    assert float(angle_degrees(torch.tensor([1.0, 0.0]), v)) == pytest.approx(
        math.degrees(1e-5), rel=1e-3
    )


@pytest.mark.parametrize("size", [1e-38, 1e-23, 1e30])
def test_vanished_and_exploded_gradients_have_their_angle(size: float) -> None:
    u, v = torch.full((100,), size), torch.ones(100)
    assert angle_degrees(u, v) < 0.1
    layout = Layout(("a", "b"), ((1,), (7,)))
    g = torch.tensor([1.0, *[0.0] * 6, 7.0])
    expected = angle_of_separate_balls(layout, g)
    assert angle_of_separate_balls(layout, g * size) == pytest.approx(expected, abs=1e-4)


def test_the_angle_of_zero_is_unknown() -> None:
    assert angle_degrees(torch.zeros(2), torch.ones(2)).isnan()


def test_angles_are_taken_over_the_last_axis() -> None:
    u, v = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    each = torch.stack(
        [angle_degrees(a, b) for a, b in zip(u.view(12, 5), v.view(12, 5), strict=True)]
    )
    torch.testing.assert_close(angle_degrees(u, v), each.view(3, 4))


def test_each_tensor_has_its_own_angle() -> None:
    layout = Layout(("W", "b"), ((1, 2), (2,)))
    found = angles_by_tensor(layout, torch.tensor([3.0, 0, 0, 1]), torch.tensor([1.0, 0, 0, -1]))
    assert (found["W"], found["b"]) == (0.0, 180.0)
    assert 0 < found["global"] < 180


@settings(derandomize=True, max_examples=30, deadline=None)
@given(st.integers(0, 9999), st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_the_angle_of_separate_balls_is_that_of_their_vertices(seed: int, sizes: list[int]) -> None:
    layout = Layout(tuple(f"t{i}" for i in range(len(sizes))), tuple((n,) for n in sizes))
    source = torch.Generator().manual_seed(seed)
    g = torch.randn(layout.dim, generator=source, dtype=torch.float64)
    step = torch.cat([lmo(g[where], 0.3) for where in layout.slices().values()])
    angle = angle_of_separate_balls(layout, g)
    assert angle == pytest.approx(float(angle_degrees(-g, step)), abs=1e-6)
    assert math.cos(math.radians(angle)) >= 1 / math.sqrt(len(sizes)) - 1e-12


def test_separate_balls_agree_with_one_when_all_parts_are_equally_long() -> None:
    layout = Layout(("a", "b"), ((2,), (1,)))
    assert angle_of_separate_balls(layout, torch.tensor([3.0, 4.0, -5.0])) == pytest.approx(0)
    # A tensor without a gradient does not move and does not count.
    assert angle_of_separate_balls(layout, torch.tensor([0.6, 0.8, 0.0])) == pytest.approx(0)
    assert math.isnan(angle_of_separate_balls(layout, torch.zeros(3)))


def test_released_statistic_is_a_cosine_only_for_unit_gradients() -> None:
    d = torch.tensor([0.6, 0.8])
    assert released_statistic(d, d)[1] == pytest.approx(0, abs=0.05)
    assert released_statistic(1e-3 * d, d)[1] == pytest.approx(90, abs=0.1)
    for factor in (5, -5):
        assert math.isnan(released_statistic(factor * d, d)[1])


@settings(derandomize=True, max_examples=40, deadline=None)
@given(st.integers(0, 9999), st.integers(1, 8), st.floats(0.01, 0.6))
def test_no_inner_loop_turns_further_than_the_bound(
    seed: int, inner_steps: int, radius: float
) -> None:
    h = random_symmetric(4, seed, definite=False)
    b = torch.randn(4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    objective = quadratic(h, b)
    smoothness = float(torch.linalg.eigvalsh(h).abs().max())
    bound = angle_bound(smoothness, radius, float(b.norm()))
    trace = inner_loop(objective, radius=radius, inner_steps=inner_steps)
    angle = float(angle_degrees(trace.displacements[-1], -b))
    assert math.isnan(angle) or angle <= bound + 1e-6


def test_noise_enters_the_bound_like_a_turn() -> None:
    assert angle_bound(1.0, 0.25, 1.0, noise=0.25) == pytest.approx(30)
    assert angle_bound(1.0, 0.5, 1.0, noise=0.5) == 180


def test_constants_of_a_run_that_walks_away_do_not_exist() -> None:
    w = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    found = a5_constants(w, w, w, torch.zeros(2))  # Δ = +∇F of ½‖ω‖²
    assert not found.holds
    assert (found.share, found.downhill_share) == (0.0, 0.0)
    assert math.isnan(found.best)


def test_a_constant_may_serve_only_part_of_a_run() -> None:
    w, goal = torch.tensor([[1.0, 0.0]]).expand(3, 2), torch.tensor([3.0, 1.0])
    steps = torch.tensor([[-0.5, 4.0], [-0.1, 4.0], [0.2, 4.0]])  # to the side is neither way
    found = a5_constants(steps, w, goal + w, goal)
    assert found.at_most == pytest.approx(-0.2)
    assert not found.holds
    assert found.share == pytest.approx(2 / 3)
    assert found.best == pytest.approx(0.1)
    assert found.downhill_share == pytest.approx(2 / 3)


def test_an_uphill_gradient_asks_for_a_large_constant() -> None:
    # Where ∇F points away from ω*, a step that still leads there satisfies A5 for any c that is
    # big enough.
    w = torch.tensor([[1.0], [1.0]])
    gradients = torch.tensor([[1.0], [-1.0]])
    found = a5_constants(torch.tensor([[-0.5], [0.2]]), gradients, w, torch.zeros(1))
    assert (found.at_least, found.at_most) == pytest.approx((0.2, 0.5))
    assert found.holds
    with pytest.raises(ConfigError, match="shape"):
        a5_constants(w, gradients[:1], w, torch.zeros(1))


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=1, max_size=6))
def test_the_constants_that_serve_are_those_that_a_search_finds(
    path: list[tuple[int, int]],
) -> None:
    # c·b ≤ a changes at the positive ratios alone: try those, and one c between any two.
    edges = sorted({Fraction(a, b) for a, b in path if a * b > 0})
    ends = [Fraction(0), *edges, 2 * edges[-1] if edges else Fraction(2)]
    tried = [*edges, *((low + high) / 2 for low, high in pairwise(ends))]
    served = {float(c): sum(c * b <= a for a, b in path) for c in tried}
    gains, asked = torch.tensor(path).double().T
    found = serving_constants(gains, asked)
    most = max(served.values())
    assert found.share == most / len(path)
    assert found.holds == (most == len(path))
    assert served[found.best] == most if most else math.isnan(found.best)
    for c, count in served.items():
        assert (found.at_least <= c <= found.at_most) == (count == len(path))
