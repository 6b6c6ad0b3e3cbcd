from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fwrnn_core.errors import ConfigError
from fwrnn_core.optim import lmo
from fwrnn_core.theory.balls import dual_norm, sample_ball

NORMS = [1, 1.5, 2, 3, math.inf]


@settings(derandomize=True, max_examples=40, deadline=None)
@given(st.sampled_from(NORMS), st.floats(0.01, 10), st.integers(1, 8), st.integers(0, 999))
def test_dual_norm_is_what_the_oracle_attains(p: float, radius: float, dim: int, seed: int) -> None:
    g = torch.randn(dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    attained = float(lmo(g, radius, p) @ g)
    assert attained == pytest.approx(-radius * float(dual_norm(g, p)), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("p", NORMS)
def test_samples_are_uniform_in_the_ball(p: float) -> None:
    # For a uniform point of a d-ball the norm r satisfies P(r <= t) = t^d, so r^d is uniform on
    # [0, 1].
    dim, n = 3, 4000
    points = sample_ball(n, dim, 2.0, p, generator=torch.Generator().manual_seed(1))
    level = (torch.linalg.vector_norm(points, p, dim=-1) / 2.0) ** dim
    assert float(level.max()) <= 1
    empirical = level.sort().values
    distance = (empirical - (torch.arange(n) + 0.5) / n).abs().max()
    assert float(distance) < 1.63 / math.sqrt(n)  # Kolmogorov-Smirnov, 1 % level
    # ... and no direction is favoured: every coordinate has the same law, symmetric around 0.
    assert float(points.mean(0).abs().max()) < 4 * float(points.std()) / math.sqrt(n)
    second = (points**2).mean(0)
    assert float(second.max() / second.min()) < 1.15


def test_a_seed_repeats_its_draw() -> None:
    draws = [sample_ball(5, 4, 1.0, 1.5, generator=torch.Generator().manual_seed(7)) for _ in "ab"]
    assert torch.equal(*draws)


@pytest.mark.parametrize(("radius", "p"), [(0.0, 2), (math.nan, 2), (math.inf, 2), (1.0, 0.5)])
def test_bad_balls_are_refused(radius: float, p: float) -> None:
    with pytest.raises(ConfigError, match="must be"):
        sample_ball(2, 2, radius, p)
