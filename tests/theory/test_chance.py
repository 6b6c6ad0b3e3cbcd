from __future__ import annotations

import pytest
import torch

from fwrnn_core.errors import ConfigError
from fwrnn_core.theory.chance import angle_of_a_walk, gains_by_chance


def test_walks_are_those_of_adam_one_at_a_time() -> None:
    updates, dimension, walks = 30, 7, 4
    source = torch.Generator().manual_seed(3)
    fed = torch.stack(
        [torch.randn(walks, dimension, generator=source) for _ in range(updates)], dim=1
    )
    gained = []
    for directions in fed:
        weights = torch.nn.Parameter(torch.zeros(dimension))
        adam = torch.optim.Adam([weights], lr=1e-3)
        places = [weights.detach().clone()]
        for direction in directions:
            weights.grad = -direction / direction.norm()
            adam.step()
            places.append(weights.detach().clone())
        for t in (0, 13, 27):  # from the first to nine tenths of the way
            goal = places[-1] - places[t]
            gained.append(
                [bool(goal @ way > 0) for way in (directions[t], places[t + 1] - places[t])]
            )
    shares = torch.tensor(gained).double().mean(0).tolist()
    found = gains_by_chance(updates, dimension, walks=walks, points=3, seed=3)
    assert list(found) == pytest.approx(shares)


def test_chance_is_about_that_of_a_plain_walk() -> None:
    """N steps before the end of a walk in d dimensions: Φ(√(d/N)); Adam changes it by little."""
    normal = torch.distributions.Normal(0.0, 1.0)
    left = 400 - torch.linspace(0, 360, 10)
    expected = float(normal.cdf((50 / left).sqrt()).mean())
    directions, steps = gains_by_chance(400, 50, walks=200)
    assert directions == pytest.approx(expected, abs=0.03)
    assert steps > directions, "a step remembers the directions before it"


def test_the_angle_is_that_of_orthogonal_steps() -> None:
    walk = torch.eye(9).sum(0)
    cosine = float(walk[0] / walk.norm())
    assert angle_of_a_walk(9) == pytest.approx(float(torch.rad2deg(torch.tensor(cosine).acos())))


def test_a_walk_without_steps_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one step"):
        angle_of_a_walk(0)
    with pytest.raises(ConfigError, match="at least 1"):
        gains_by_chance(10, 0)
