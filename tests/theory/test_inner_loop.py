from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fwrnn_core.errors import ConfigError
from fwrnn_core.optim import reference
from fwrnn_core.theory.examples import quadratic, random_symmetric
from fwrnn_core.theory.inner_loop import ball_minimum, inner_loop


@settings(derandomize=True, max_examples=40, deadline=None)
@given(
    st.integers(0, 9999),
    st.sampled_from([1, 1.5, 2, 3, math.inf]),
    st.integers(1, 9),
    st.sampled_from(["paper", "released"]),
)
def test_trace_is_that_of_the_literal_algorithm(
    seed: int, p: float, inner_steps: int, trajectory: str
) -> None:
    h = random_symmetric(4, seed, definite=False)
    b = torch.randn(4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    objective = quadratic(h, b)
    anchor = torch.randn(4, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    trace = inner_loop(
        objective, anchor, radius=0.3, inner_steps=inner_steps, norm=p, trajectory=trajectory
    )
    displacement, points = reference.inner_loop(
        lambda point, k: [h @ point[0] + b],
        [anchor],
        0.3,
        inner_steps,
        float(p),
        trajectory=trajectory,
    )
    torch.testing.assert_close(trace.displacements[-1], displacement[0], rtol=1e-9, atol=1e-12)
    visited = torch.stack([point[0] for point in points]) - anchor
    torch.testing.assert_close(trace.visited, visited, rtol=1e-9, atol=1e-12)


def test_losses_and_agreement_are_those_of_the_displacements() -> None:
    h = random_symmetric(3, 5)
    objective = quadratic(h, torch.ones(3))
    trace = inner_loop(objective, radius=0.4, inner_steps=6, step_size="2/(k+1)")
    values = [objective.value(d) for d in trace.displacements]
    assert trace.losses.tolist() == pytest.approx(values)
    assert trace.agreement[0] == 1
    lengths = trace.displacements[1:].norm(dim=1) / 0.4
    torch.testing.assert_close(trace.agreement, lengths)


def test_a_perturbed_oracle_is_fed_and_the_true_gradient_kept() -> None:
    objective = quadratic(torch.eye(2), torch.tensor([1.0, 0.0]))
    trace = inner_loop(objective, radius=1.0, inner_steps=1, perturb=lambda k, g: g.flip(0))
    torch.testing.assert_close(trace.vertices[0], torch.tensor([0.0, -1.0], dtype=torch.float64))
    torch.testing.assert_close(trace.gradients[0], torch.tensor([1.0, 0.0], dtype=torch.float64))


@pytest.mark.parametrize("p", [1, 2, math.inf])
def test_minimum_in_the_ball_is_the_projection_for_a_round_bowl(p: float) -> None:
    # ‖ω − a‖² over a p-ball is smallest at the Euclidean projection of a onto it.
    a = torch.tensor([2.0, 1.0], dtype=torch.float64)
    objective = quadratic(2 * torch.eye(2), -2 * a)
    expected = {1: [1.0, 0.0], 2: (a / a.norm()).tolist(), math.inf: [1.0, 1.0]}[p]
    delta, value, gap = ball_minimum(objective, radius=1.0, norm=p)
    assert delta.tolist() == pytest.approx(expected, abs=1e-4)
    assert value == pytest.approx(objective.value(delta))
    assert gap < 1e-6


def test_minimum_inside_the_ball_is_the_free_one() -> None:
    objective = quadratic(torch.diag(torch.tensor([1.0, 10.0])), torch.tensor([-0.1, -1.0]))
    delta, _, gap = ball_minimum(objective, radius=5.0)
    assert delta.tolist() == pytest.approx([0.1, 0.1], abs=1e-4)
    assert gap <= 1e-8


def test_the_minimum_is_that_around_the_anchor_up_to_the_tolerance() -> None:
    objective = quadratic(torch.eye(2))
    anchor = torch.tensor([3.0, 4.0])
    delta, value, _ = ball_minimum(objective, anchor, radius=1.0)
    assert delta.tolist() == pytest.approx([-0.6, -0.8], abs=1e-4)
    assert value == pytest.approx(8.0)
    delta, value, gap = ball_minimum(objective, anchor, radius=1.0, tolerance=5.0)
    assert (delta.tolist(), value, gap) == ([0.0, 0.0], 12.5, 5.0)


def test_bad_requests_are_refused() -> None:
    objective = quadratic(torch.eye(2))
    with pytest.raises(ConfigError, match="inner_steps"):
        inner_loop(objective, radius=1.0, inner_steps=0)
    with pytest.raises(ConfigError, match="trajectory"):
        inner_loop(objective, radius=1.0, inner_steps=1, trajectory="papr")
    with pytest.raises(ConfigError, match="radius"):
        ball_minimum(objective, radius=0.0)
