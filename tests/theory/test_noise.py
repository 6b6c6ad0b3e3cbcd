from __future__ import annotations

import math

import pytest
import torch

from fwrnn_core.errors import ConfigError
from fwrnn_core.theory.inner_loop import inner_loop
from fwrnn_core.theory.noise import angles_of_means, held_by_longest
from fwrnn_core.theory.objective import Objective


def degrees(u: torch.Tensor, v: torch.Tensor) -> float:
    return math.degrees(math.acos(float(u @ v / (u.norm() * v.norm()))))


def test_the_two_means_are_the_loop_s_and_the_large_minibatch_s() -> None:
    """On a plane, whose gradient is the same everywhere, the loop sees g and its noise alone."""
    source = torch.Generator().manual_seed(0)
    full = torch.randn(6, generator=source, dtype=torch.float64)
    noisy = full + 2 * torch.randn(5, 6, generator=source, dtype=torch.float64)
    plane = Objective(lambda w: full @ w, torch.zeros(6, dtype=torch.float64))
    trace = inner_loop(plane, radius=0.1, inner_steps=5, perturb=lambda k, g: noisy[k - 1])
    units, plain = angles_of_means(noisy, full, [1, 3, 5])
    assert units.tolist() == pytest.approx(
        [degrees(-full, trace.displacements[k]) for k in (1, 3, 5)]
    )
    assert plain.tolist() == pytest.approx([degrees(full, noisy[:k].mean(0)) for k in (1, 3, 5)])
    assert units[0] == pytest.approx(plain[0])


def test_gradients_of_one_length_share_it_alike() -> None:
    assert held_by_longest(torch.eye(20)) == pytest.approx(0.2)
    assert held_by_longest(torch.diag(torch.tensor([1.0, 3.0, 0.0, 0.0, 0.0]))) == 0.75


def test_a_count_beyond_the_gradients_is_refused() -> None:
    with pytest.raises(ConfigError, match="1 … 3"):
        angles_of_means(torch.eye(3), torch.ones(3), [1, 4])
