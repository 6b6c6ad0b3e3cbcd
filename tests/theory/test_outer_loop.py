from __future__ import annotations

import pytest
import torch

from fwrnn_core import FrankWolfe
from fwrnn_core.errors import ConfigError
from fwrnn_core.theory.examples import wavy_cone
from fwrnn_core.theory.objective import Objective
from fwrnn_core.theory.outer_loop import outer_loop

CONE = Objective(wavy_cone, torch.zeros(2, dtype=torch.float64))
START = torch.tensor([1.5, 1.2], dtype=torch.float64)


def test_the_path_is_that_of_the_optimizer_itself() -> None:
    trace = outer_loop(CONE, START, lambda t, norm: 0.1 * 0.9**t, updates=5, inner_steps=4)
    weights = torch.nn.Parameter(START.clone())
    opt = FrankWolfe([weights], lr=0.1, inner_steps=4, outer=None)
    decay = torch.optim.lr_scheduler.ExponentialLR(opt, 0.9)
    for t in range(5):
        torch.testing.assert_close(trace.points[t], weights.detach())
        assert float(trace.values[t]) == pytest.approx(wavy_cone(weights).item())
        for _ in range(4):
            opt.zero_grad()
            wavy_cone(weights).backward()
            opt.step()
        decay.step()
    torch.testing.assert_close(trace.points[-1] + trace.displacements[-1], weights.detach())


def test_the_radius_sees_the_update_and_the_gradient() -> None:
    asked = []
    trace = outer_loop(CONE, START, lambda t, norm: asked.append((t, norm)) or 0.1, updates=3)
    assert [t for t, _ in asked] == [0, 1, 2]
    assert [norm for _, norm in asked] == pytest.approx(trace.gradients.norm(dim=1).tolist())
    part = trace.first(2)
    torch.testing.assert_close(part.points, trace.points[:2])
    assert [len(column) for column in vars(part).values()] == [2, 2, 2, 2]


def test_a_path_has_a_step() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        outer_loop(CONE, START, lambda t, norm: 0.1, updates=0)
