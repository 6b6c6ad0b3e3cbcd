"""What users do in the middle of things: interrupt, lower K, freeze a weight, load a state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fwrnn_core import FrankWolfe
from fwrnn_core.errors import ConfigError

EAST = torch.tensor([1.0, 0.0, 0.0, 0.0])


def walking(steps: int, dtype: torch.dtype = torch.float32, **options: Any) -> Any:
    """A weight of ones after some steps along the first axis."""
    w = nn.Parameter(torch.ones(4, dtype=dtype))
    opt = FrankWolfe([w], **{"lr": 0.1, "inner_steps": 4, "outer": None, **options})
    for _ in range(steps):
        w.grad = EAST.to(dtype)
        opt.step()
    return w, opt


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # C kernels; torch
@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize("done", [1, 2, 3])
def test_k_lowered_in_mid_loop_ends_the_loop_from_the_anchor(
    dtype: torch.dtype, resumed: bool, done: int
) -> None:
    w, opt = walking(done, dtype)
    if resumed:
        state = opt.state_dict()
        (w2, opt) = walking(0, dtype)
        w2.data.copy_(w)
        opt.load_state_dict(state)
        w = w2
    opt.param_groups[0]["inner_steps"] = 1
    w.grad = EAST.to(dtype)
    opt.step()
    assert w.tolist() == pytest.approx([0.9, 1, 1, 1])
    assert opt.inner_step == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, FloatingPointError])
def test_a_closure_that_raises_leaves_the_weights_and_may_be_called_again(error: Any) -> None:
    w, opt = walking(0)
    calls = 0

    def closure() -> Tensor:
        nonlocal calls
        calls += 1
        opt.zero_grad()
        loss = w.square().sum()
        loss.backward()
        if calls == 3:
            raise error
        return loss

    with pytest.raises(error):
        opt.step(closure)
    assert torch.equal(w, torch.ones(4))
    assert opt.inner_step == 0
    opt.step(closure)
    assert float(w.detach().norm()) == pytest.approx(2 - 0.1, rel=1e-3)


def test_a_nonfinite_gradient_in_a_closure_leaves_the_weights() -> None:
    w, opt = walking(0)
    calls = 0

    def closure() -> Tensor:
        nonlocal calls
        calls += 1
        w.grad = EAST * (float("nan") if calls == 3 else 1)
        return w.sum()

    with pytest.raises(ArithmeticError):
        opt.step(closure)
    assert torch.equal(w, torch.ones(4))
    assert opt.inner_step == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_ball_around_all_reports_its_last_loop_when_its_first_weight_is_frozen(
    dtype: torch.dtype,
) -> None:
    params = [nn.Parameter(torch.ones(4, dtype=dtype)) for _ in range(2)]
    opt = FrankWolfe(params, inner_steps=2, scope="global", track=("gap", "angle"))
    for g in (EAST, -EAST):  # a walk that goes nowhere
        for p in params:
            p.grad = g.to(dtype)
        opt.step()
    assert opt.agreement().tolist() == pytest.approx([0.0])
    params[0].requires_grad_(False)
    params[0].grad = None
    for _ in range(2):
        params[1].grad = EAST.to(dtype)
        opt.step()
    found = opt.diagnostics()
    assert found["agreement"] == pytest.approx([1.0])
    assert found["angle"] == pytest.approx([0.0], abs=1e-3)
    assert len(found["gap"]) == 1


def test_a_state_from_a_transposed_weight_loads_into_a_contiguous_one() -> None:
    def stepped(w: nn.Parameter, opt: FrankWolfe, value: float) -> None:
        w.grad = torch.full((5, 10), value)
        opt.step()

    a = nn.Parameter(torch.ones(10, 5).t())
    other = FrankWolfe([a], lr=1e-3, inner_steps=2, outer=None)
    for _ in range(2):
        stepped(a, other, 1.0)
    b = nn.Parameter(torch.full((5, 10), 7.0))
    opt = FrankWolfe([b], lr=1e-3, inner_steps=2, outer=None)
    opt.load_state_dict(other.state_dict())
    for _ in range(2):
        stepped(b, opt, 1.0)
    torch.testing.assert_close(b.detach(), torch.full((5, 10), 7 - 1e-3 / 50**0.5))


@pytest.mark.parametrize(
    ("saved", "mine"),
    [
        (None, torch.optim.Adam),
        (torch.optim.Adam, None),
        (torch.optim.Adam, torch.optim.SGD),
        (torch.optim.SGD, torch.optim.Adam),
    ],
)
def test_a_state_of_another_outer_optimizer_is_refused(
    saved: Callable[..., Any], mine: Callable[..., Any]
) -> None:
    _, other = walking(4, outer=saved)
    w, opt = walking(4, outer=mine)
    before = w.detach().clone()
    with pytest.raises(ConfigError, match="another kind of outer optimizer"):
        opt.load_state_dict(other.state_dict())
    for _ in range(4):
        w.grad = EAST
        opt.step()
    assert not torch.equal(w, before)


def test_a_steering_agreement_rests_where_k_became_1() -> None:
    w, opt = walking(4, adaptive="agreement")
    (radius,) = opt.diagnostics()["radius"]
    opt.param_groups[0]["inner_steps"] = 1
    w.grad = EAST
    opt.step()
    assert opt.diagnostics()["radius"] == [radius]


def test_a_ratio_needs_the_closure_s_loss() -> None:
    w, opt = walking(0, adaptive="ratio")

    def closure() -> None:
        w.grad = EAST

    with pytest.raises(ConfigError, match="must return its loss"):
        opt.step(closure)
