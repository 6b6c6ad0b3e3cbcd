"""What users do in the middle of things: interrupt, lower K, freeze a weight, load a state."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fwrnn_core import FrankWolfe
from fwrnn_core.errors import ConfigError
from fwrnn_core.optim import NonFiniteGradient, ProjectedGradient

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


def test_a_closure_that_lowers_k_ends_the_loop_there() -> None:
    """The loop that was complete went on, and its steps were added up as if it were not."""

    def walked(inner_steps: int) -> torch.Tensor:
        w = nn.Parameter(torch.tensor([3.0, 1.0]))
        opt = FrankWolfe([w], lr=0.5, inner_steps=inner_steps, outer=None)
        calls: list[int] = []

        def closure() -> torch.Tensor:
            calls.append(1)
            opt.zero_grad()
            loss = (w * w * torch.tensor([1.0, 9.0])).sum()
            loss.backward()
            opt.param_groups[0]["inner_steps"] = 2
            return loss

        opt.step(closure)
        assert (len(calls), opt.updates, opt.inner_step) == (2, 1, 0)
        return w.detach()

    assert torch.equal(walked(5), walked(2))


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
        w.grad = EAST.clone()
        opt.step()
    assert not torch.equal(w, before)


def test_a_steering_agreement_rests_where_k_became_1() -> None:
    w, opt = walking(4, adaptive="agreement")
    (radius,) = opt.diagnostics()["radius"]
    opt.param_groups[0]["inner_steps"] = 1
    w.grad = EAST.clone()
    opt.step()
    assert opt.diagnostics()["radius"] == [radius]


def test_a_ratio_needs_the_closure_s_loss() -> None:
    w, opt = walking(0, adaptive="ratio")

    def closure() -> None:
        w.grad = EAST.clone()

    with pytest.raises(ConfigError, match="must return its loss"):
        opt.step(closure)


def test_after_a_closure_without_a_loss_the_next_call_works() -> None:
    w, opt = walking(0, adaptive="ratio", outer=None)
    start = w.detach().clone()

    def closure(lossless: bool) -> Tensor | None:
        w.grad = EAST.clone()
        return None if lossless else w.detach().sum()

    with pytest.raises(ConfigError, match="must return its loss"):
        opt.step(lambda: closure(lossless=True))
    assert torch.equal(w, start)
    opt.step(lambda: closure(lossless=False))
    assert (opt.updates, opt.inner_step) == (1, 0)


def test_a_closure_whose_gradients_vanish_once_ends_the_loop_where_it_began() -> None:
    w, opt = walking(0, outer=None)
    start, calls = w.detach().clone(), iter([EAST, None, EAST, EAST])

    def closure() -> Tensor:
        w.grad = next(calls)
        return w.detach().sum()

    opt.step(closure)
    assert torch.equal(w, start)
    assert (opt.updates, opt.inner_step) == (0, 0)


def test_an_outer_hook_that_raises_costs_its_update_only() -> None:
    w, opt = walking(0, outer=torch.optim.SGD)
    start = w.detach().clone()

    def hook(*_: Any) -> None:
        raise RuntimeError("a hook's own")

    handle = opt.outer.register_step_pre_hook(hook)
    for _ in range(3):
        w.grad = EAST.clone()
        opt.step()
    with pytest.raises(RuntimeError, match="a hook's own"):
        opt.step()
    handle.remove()
    assert torch.equal(w, start)
    assert opt.inner_step == 0


@pytest.mark.parametrize("rates", [(0.1, 0.3), (1e-3, 1e-4)])
def test_one_radius_given_to_unequal_rates_survives_a_scheduler(rates: tuple[float, float]) -> None:
    a, b = (nn.Parameter(torch.ones(2)) for _ in rates)
    groups = [{"params": [w], "lr": lr} for w, lr in zip((a, b), rates, strict=True)]
    opt = FrankWolfe(groups, radius=1.0, inner_steps=1, scope="global", outer=torch.optim.SGD)
    schedule = torch.optim.lr_scheduler.ExponentialLR(opt, 0.9)
    for _ in range(20):
        a.grad, b.grad = torch.ones(2), torch.ones(2)
        opt.step()
        schedule.step()
    assert len({group["loop_radius"] for group in opt.param_groups}) == 1


def test_a_group_added_in_mid_loop_walks_in_the_one_ball_around_all() -> None:
    a, b = (nn.Parameter(torch.zeros(2)) for _ in range(2))
    opt = FrankWolfe([a], lr=1.0, inner_steps=3, scope="global", outer=None)
    a.grad = torch.ones(2)
    opt.step()
    opt.add_param_group({"params": [b]})
    for _ in range(2):
        a.grad, b.grad = torch.ones(2), torch.ones(2)
        opt.step()
    # One vertex of a alone, two of both: the mean of (-1/√2)·(1, 1, 0, 0) and twice -½.
    torch.testing.assert_close(a.detach(), torch.full((2,), -(0.5**0.5 + 1) / 3))
    torch.testing.assert_close(b.detach(), torch.full((2,), -1 / 3))


def test_a_group_may_join_a_ball_whose_radius_has_adapted() -> None:
    a, b = (nn.Parameter(torch.zeros(2)) for _ in range(2))
    opt = FrankWolfe([a], lr=0.1, inner_steps=2, scope="global", adaptive="agreement", outer=None)
    for _ in range(2):
        a.grad = torch.ones(2)
        opt.step()
    opt.add_param_group({"params": [b]})
    assert opt.diagnostics()["radius"] == [0.2, 0.2]


@pytest.mark.parametrize("outer", [None, torch.optim.SGD])
@pytest.mark.parametrize("bad", [{"raduis": 1.0}, {"radius": 5.0}, {"norm": "spectral"}])
def test_a_bad_later_group_is_refused_and_not_kept(outer: Any, bad: dict[str, Any]) -> None:
    a, b = (nn.Parameter(torch.zeros(2)) for _ in range(2))
    opt = FrankWolfe([a], lr=1.0, inner_steps=3, scope="global", outer=outer)
    with pytest.raises(ConfigError):
        opt.add_param_group({"params": [b], **bad})
    assert len(opt.param_groups) == 1


def test_a_mid_loop_state_of_another_step_size_is_refused() -> None:
    _, saved = walking(3)
    _, other = walking(0, step_size="2/(k+1)")
    with pytest.raises(ConfigError, match=r"step_size = '1/k'.*'2/\(k\+1\)'"):
        other.load_state_dict(saved.state_dict())
    older = saved.state_dict()  # of a version that did not save it
    del older["frank_wolfe"]["step_size"]
    other.load_state_dict(older)


def test_a_copy_made_inside_anchored_goes_on() -> None:
    w, opt = walking(2)
    with opt.anchored():
        twin, copied = copy.deepcopy((w, opt))
        with pytest.raises(RuntimeError, match="leave the block"):
            opt.step()
    for _ in range(2):
        twin.grad = EAST
        copied.step()
    assert copied.updates == 1


@pytest.mark.parametrize("scale", [1e-30, 1e-23, 1.0, 1e13, 1e25])
def test_a_trust_region_steps_for_vanished_and_exploded_gradients(scale: float) -> None:
    def moved(scale: float) -> Tensor:
        w = nn.Parameter(torch.tensor([1.0, 2.0]))
        opt = FrankWolfe(
            [w], radius=0.1, inner_steps=5, scope="global", solver="trust-region", outer=None
        )
        opt.step(lambda: scale * (w**2).sum())
        return w.detach()

    torch.testing.assert_close(moved(scale), moved(1.0), rtol=1e-6, atol=0)


@pytest.mark.parametrize(("dtype", "size"), [(torch.float16, 1000.0), (torch.float32, 1e37)])
def test_a_long_projected_step_ends_on_the_ball(dtype: torch.dtype, size: float) -> None:
    w = nn.Parameter(torch.zeros(2, dtype=dtype))
    opt = FrankWolfe([w], lr=1e-3, inner_steps=1, solver=ProjectedGradient(0.1), outer=None)
    w.grad = torch.full((2,), size, dtype=dtype)
    opt.step()
    assert w.detach().double().norm().item() == pytest.approx(1e-3, rel=1e-3)


def test_half_precision_gaps_are_finite() -> None:
    w = nn.Parameter(torch.zeros(64, dtype=torch.float16))
    opt = FrankWolfe([w], inner_steps=4, track="gap", outer=None)
    for _ in range(4):
        w.grad = torch.full((64,), 30000.0, dtype=torch.float16)
        opt.step()
    (gaps,) = opt.diagnostics()["gap"]
    assert len(gaps) == 4
    assert torch.tensor(gaps).isfinite().all()


@pytest.mark.parametrize("norm", [2, 3])
def test_gaps_of_one_ball_around_all_are_k_whoever_has_a_gradient(norm: float) -> None:
    a, b = (nn.Parameter(torch.ones(2)) for _ in range(2))
    opt = FrankWolfe([a, b], inner_steps=3, scope="global", norm=norm, track="gap", outer=None)
    for missing in (a, b, a):
        a.grad, b.grad = torch.ones(2), torch.ones(2)
        missing.grad = None
        opt.step()
    (gaps,) = opt.diagnostics()["gap"]
    assert len(gaps) == 3


def test_a_failed_ratio_after_k_became_1_does_not_go_back_to_an_older_anchor() -> None:
    w, opt = walking(0, adaptive="ratio", outer=None)

    def closure(lossless: bool = False) -> Tensor | None:
        w.grad = EAST.clone()
        return None if lossless else w.detach().sum()

    opt.step(closure)
    opt.param_groups[0]["inner_steps"] = 1
    opt.step(closure)
    before = w.detach().clone()
    with pytest.raises(ConfigError, match="must return its loss"):
        opt.step(lambda: closure(lossless=True))
    assert torch.equal(w, before)


def test_an_abandoned_loop_leaves_no_gaps_to_the_next() -> None:
    a, b = (nn.Parameter(torch.ones(2)) for _ in range(2))
    opt = FrankWolfe([a, b], inner_steps=3, scope="global", track="gap", outer=None)

    def closure(first: Tensor | None, calls: list[int]) -> float:
        calls.append(1)
        if first is None and len(calls) == 3:
            raise KeyboardInterrupt
        a.grad, b.grad = first if first is None else first.clone(), torch.ones(2)
        return 0.0

    for first in (None, torch.ones(2)):
        calls: list[int] = []
        with contextlib.suppress(KeyboardInterrupt):
            opt.step(lambda first=first, calls=calls: closure(first, calls))
    (gaps,) = opt.diagnostics()["gap"]
    a.grad, b.grad = torch.ones(2), torch.ones(2)
    fresh = FrankWolfe([a, b], radius=1e-3, inner_steps=3, scope="global", track="gap", outer=None)
    for _ in range(3):
        fresh.step()
    assert gaps == pytest.approx(fresh.diagnostics()["gap"][0], abs=1e-9)


def test_a_bad_gradient_is_named() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    for given, said in (
        (model.parameters(), r"first: number 3 of group 0, of shape \(1,\)"),
        (model.named_parameters(), "first: 1.bias"),
    ):
        opt = FrankWolfe(given)
        model[0].weight.requires_grad_(False)
        model.zero_grad()
        model(torch.ones(1, 2)).sum().backward()
        model[1].bias.grad.fill_(float("nan"))
        with pytest.raises(NonFiniteGradient, match=said):
            opt.step()


def test_a_bad_gradient_in_a_list_that_was_edited_is_told_by_place() -> None:
    model = nn.Linear(2, 3)
    opt = FrankWolfe(model.named_parameters())
    opt.param_groups[0]["params"].append(extra := nn.Parameter(torch.ones(4)))
    extra.grad = torch.full((4,), float("nan"))
    with pytest.raises(NonFiniteGradient, match=r"number 2 of group 0, of shape \(4,\)"):
        opt.step()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # C kernels; torch
def test_a_first_gradient_after_k_was_lowered_has_a_place_to_go_back_to(dtype: torch.dtype) -> None:
    early, late = (nn.Parameter(torch.zeros(2, dtype=dtype)) for _ in range(2))
    opt = FrankWolfe([early, late], radius=1.0, inner_steps=4, outer=None)
    for gradient in (None, torch.tensor([3.0, 4.0], dtype=dtype)):
        early.grad, late.grad = torch.ones(2, dtype=dtype), gradient
        opt.step()
        opt.param_groups[0]["inner_steps"] = 1
    assert opt.updates == 1
    assert early.tolist() == pytest.approx([-(0.5**0.5)] * 2)
    assert late.tolist() == pytest.approx([-0.3, -0.4]), "one vertex of two"
