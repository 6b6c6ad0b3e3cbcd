"""Weights that somebody else writes in the middle of a loop: seen, said, and how to keep them."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fwrnn_core import FrankWolfe
from fwrnn_core.models import IndRNN
from fwrnn_core.optim import NonFiniteGradient

LOST = "changed after inner step 3 of a loop, not by this optimizer.*restart"


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1))


def backward(model: nn.Module) -> None:
    model.zero_grad()
    model(torch.randn(5, 4)).square().mean().backward()


def walk(model: nn.Module, opt: FrankWolfe, steps: int) -> None:
    for _ in range(steps):
        backward(model)
        opt.step()


def largest(model: nn.Module) -> float:
    return max(float(p.detach().abs().max()) for p in model.parameters())


def zeros(model: nn.Module) -> dict[str, Tensor]:
    return {key: torch.zeros_like(value) for key, value in model.state_dict().items()}


@pytest.fixture
def silent() -> Iterator[None]:
    """Any warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture(params=["auto", "torch"])
def backend(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FWRNN_BACKEND", request.param)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("options", [{}, {"norm": 1}, {"scope": "global"}, {"outer": None}])
def test_weights_restored_in_mid_loop_are_said_to_be_lost(options: Any) -> None:
    model = network()
    opt = FrankWolfe(model.parameters(), lr=0.01, **options)
    walk(model, opt, 8)
    model.load_state_dict(zeros(model))
    with pytest.warns(UserWarning, match=LOST) as said, opt.anchored():
        assert largest(model) > 0.1  # of ω_t, not of what was loaded
    assert said[0].filename == __file__
    walk(model, opt, 2)
    assert largest(model) > 0.1

    walk(model, opt, 3)
    model.load_state_dict(zeros(model))
    backward(model)
    with pytest.warns(UserWarning, match=LOST) as said:
        opt.step()
    assert [w.filename for w in said] == [__file__]


@pytest.mark.usefixtures("backend", "silent")
@pytest.mark.parametrize("trajectory", ["paper", "released"])
def test_restart_keeps_what_was_restored(trajectory: Any) -> None:
    model = network()
    opt = FrankWolfe(model.parameters(), lr=1e-3, trajectory=trajectory, outer=None)
    walk(model, opt, 8)
    model.load_state_dict(zeros(model))
    opt.restart()
    assert opt.inner_step == 0
    with opt.anchored():
        assert largest(model) == 0
    walk(model, opt, 3)
    with opt.anchored():
        assert largest(model) == 0
    walk(model, opt, 2)
    assert opt.updates == 2
    for p in model.parameters():
        assert float(p.detach().norm()) <= 1e-3 * (1 + 1e-6)


@pytest.mark.usefixtures("silent")
def test_restart_between_loops_changes_nothing() -> None:
    model, twin = network(), network()
    ours, theirs = (FrankWolfe(m.parameters()) for m in (model, twin))
    for net, opt in ((model, ours), (twin, theirs)):
        torch.manual_seed(1)
        opt.restart()
        walk(net, opt, 5)
        if net is model:
            opt.restart()
        walk(net, opt, 7)
    assert all(map(torch.equal, model.parameters(), twin.parameters()))


def test_restart_inside_anchored_is_refused() -> None:
    model = network()
    opt = FrankWolfe(model.parameters())
    walk(model, opt, 2)
    with opt.anchored(), pytest.raises(RuntimeError, match="leave the block first"):
        opt.restart()


def test_a_clamp_after_every_step_is_told_of_once_a_loop() -> None:
    w = nn.Parameter(torch.full((3,), 0.5))
    opt = FrankWolfe([w], lr=0.1, inner_steps=4)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(8):
            w.grad = torch.ones(3)
            opt.step()
            with torch.no_grad():
                w.clamp_(-1, 1)
    assert ["after inner step 1 of" in str(w.message) for w in said] == [True, True]


@pytest.mark.usefixtures("backend", "silent")
def test_what_the_optimizer_and_torch_do_themselves_is_not_told() -> None:
    model = network()
    first, second = model[0].parameters(), model[2].parameters()
    groups = [{"params": first, "inner_steps": 3}, {"params": second, "inner_steps": 2}]
    opt = FrankWolfe(groups, outer=torch.optim.SGD, nonfinite="skip")
    average = torch.optim.swa_utils.AveragedModel(model)
    for i in range(20):
        with opt.anchored():
            average.update_parameters(model)
        if i == 7:
            model[2].weight.requires_grad_(False)
        backward(model)
        if i == 11:
            model[0].weight.grad.fill_(torch.nan)
        opt.step()
        if not any(group["inner_step"] for group in opt.param_groups):
            model.load_state_dict(model.state_dict())  # between two loops: as good as any
    state = {"model": model.state_dict(), "opt": opt.state_dict()}
    model.load_state_dict(state["model"])
    opt.load_state_dict(state["opt"])
    walk(model, opt, 4)


@pytest.mark.usefixtures("backend", "silent")
def test_a_dropped_minibatch_is_no_write() -> None:
    model = network()
    opt = FrankWolfe(model.parameters(), nonfinite="skip")
    for i in range(20):
        backward(model)
        if i in (7, 13):
            model[0].weight.grad.fill_(torch.nan)
        opt.step()
    assert opt.skipped == 2
    opt.nonfinite = "raise"
    for i in range(5):
        backward(model)
        if i == 2:
            model[2].bias.grad.fill_(torch.inf)
            with pytest.raises(NonFiniteGradient):
                opt.step()
        else:
            opt.step()


@pytest.mark.usefixtures("backend", "silent")
def test_a_group_between_its_loops_may_change_while_another_walks() -> None:
    a, b = (nn.Parameter(torch.ones(2)) for _ in range(2))
    groups = [{"params": [a], "inner_steps": 2}, {"params": [b], "inner_steps": 4}]
    opt = FrankWolfe(groups, lr=0.1, outer=None)
    for _ in range(2):
        a.grad, b.grad = torch.ones(2), torch.ones(2)
        opt.step()
    with torch.no_grad():
        a.zero_()
    opt.step()
    opt.step()
    assert a.norm().item() == pytest.approx(0.1)


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize("way", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_made_in_mid_loop_go_on_in_silence(way: Any) -> None:
    model = network()
    opt = FrankWolfe(model.parameters())
    walk(model, opt, 3)
    model, opt = way((model, opt))
    walk(model, opt, 9)
    assert opt.updates == 2


@pytest.mark.usefixtures("silent")
def test_the_bound_on_recurrent_weights_holds_at_the_anchor() -> None:
    """The model's own clamp moves where gradients are taken in mid-loop, and ω_t where it counts:
    at the first forward of every loop."""
    torch.manual_seed(0)
    model = IndRNN(1, 4, 2, num_layers=1, seq_len=8, dropout=0.0)
    recurrent = [p for name, p in model.named_parameters() if "weight_hh" in name]
    opt = FrankWolfe(model.parameters(), lr=0.5)
    most = model.bound * (1 + 1e-6)
    for step in range(20):
        opt.zero_grad()
        model(torch.randn(6, 8, 1)).square().mean().backward()
        opt.step()
        if opt.inner_step:
            with opt.anchored():
                assert all(float(p.detach().abs().max()) <= most for p in recurrent), step


@pytest.mark.usefixtures("backend")
def test_the_warning_points_at_the_user_s_line_under_schedulers_and_hooks_too() -> None:
    model = network()
    opt = FrankWolfe(model.parameters(), inner_steps=5)
    torch.optim.lr_scheduler.StepLR(opt, 10)  # wraps step
    opt.register_step_pre_hook(lambda *_: None)
    walk(model, opt, 3)
    model.load_state_dict(zeros(model))
    backward(model)
    with pytest.warns(UserWarning, match=LOST) as said:
        opt.step()
    assert said[0].filename == __file__
    model.load_state_dict(zeros(model))
    opt.restart()
    walk(model, opt, 3)
    model.load_state_dict(zeros(model))
    with pytest.warns(UserWarning, match=LOST) as said, opt.anchored():
        pass
    assert said[0].filename == __file__


@pytest.mark.usefixtures("backend", "silent")
def test_a_state_that_was_cleared_in_mid_loop_is_of_no_loop() -> None:
    model = network()
    opt = FrankWolfe(model.parameters(), inner_steps=5)
    walk(model, opt, 3)
    opt.state.clear()
    model.load_state_dict(zeros(model))
    with opt.anchored():
        assert largest(model) == 0
    walk(model, opt, 2)


def test_a_state_saved_inside_anchored_does_not_belong_to_the_weights_there() -> None:
    model = network()
    opt = FrankWolfe(model.parameters(), inner_steps=3)
    torch.optim.lr_scheduler.StepLR(opt, 10)
    walk(model, opt, 4)
    with opt.anchored(), pytest.warns(UserWarning, match="goes on differently") as said:
        opt.state_dict()
    assert [w.filename for w in said] == [__file__]


@pytest.mark.usefixtures("silent")
def test_other_states_and_the_model_s_inside_are_saved_without_a_word() -> None:
    model = network()
    opt = FrankWolfe(model.parameters(), inner_steps=3)
    walk(model, opt, 4)
    opt.state_dict()
    with opt.anchored():
        model.state_dict()
        copy.deepcopy((model, opt))
    walk(model, opt, 2)
    with opt.anchored():  # between two loops the weights are the same inside and outside
        opt.state_dict()


def test_an_empty_closure_takes_one_gradient_for_all_inner_steps_and_it_is_said() -> None:
    """As Lightning's wrapper hands it over in manual optimization."""
    model = network()
    opt = FrankWolfe(model.parameters(), inner_steps=3)
    backward(model)
    with pytest.warns(UserWarning, match="no new gradient.*Lightning"):
        opt.step(lambda: None)
    assert opt.agreement().tolist() == pytest.approx([1.0] * 4)


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize("way", ["set to None", "zeroed", "added up", "copied through .data"])
def test_a_closure_that_makes_gradients_is_not_told_of(way: str) -> None:
    model = network()
    opt = FrankWolfe(model.parameters(), inner_steps=3)
    params, x = [*model.parameters()], torch.randn(5, 4)

    def closure() -> Tensor:
        if way != "added up":
            opt.zero_grad(set_to_none=way == "set to None")
        loss: Tensor = model(x).square().mean()
        if way == "copied through .data" and opt.inner_step:
            for p, g in zip(params, torch.autograd.grad(loss, params), strict=True):
                assert p.grad is not None
                p.grad.data.copy_(g)
        else:
            loss.backward()
        return loss

    for _ in range(2):
        opt.step(closure)
    FrankWolfe(model.parameters(), inner_steps=1).step(lambda: None)  # one gradient is all
