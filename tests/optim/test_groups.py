"""Parameter groups, ours and those of the outer optimizer, also when they change in mid-loop."""

from __future__ import annotations

import math
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fwrnn_core import FrankWolfe
from fwrnn_core.errors import ConfigError

from .steps import parameter, walk


def test_groups_have_their_own_ball_rate_and_loop_length() -> None:
    a, b = parameter(0.0, 0.0), parameter(0.0, 0.0)
    opt = FrankWolfe(
        [
            {"params": [a], "lr": 0.5, "norm": math.inf},
            {"params": [b], "radius": 2.0, "inner_steps": 3, "lr": 0.1},
        ],
        inner_steps=2,
        outer=None,
    )
    g = [3.0, 4.0]
    walk(opt, [{a: g, b: g}])
    assert a.tolist() == [-0.5, -0.5]
    assert b.tolist() == pytest.approx([-1.2, -1.6])
    assert opt.inner_step == 1
    walk(opt, [{a: g, b: g}] * 3)
    assert a.tolist() == [-1.0, -1.0]  # two loops of two
    assert b.tolist() == pytest.approx([-2.4, -3.2])  # one loop of three, one vertex of the next
    with pytest.raises(RuntimeError, match="middle|another has begun"):
        opt.step(lambda: a.sum())
    walk(opt, [{a: g, b: g}] * 2)
    with pytest.raises(ConfigError, match="one K for all groups"):
        opt.step(lambda: a.sum())


def test_outer_options_live_in_our_groups() -> None:
    a, b = parameter(1.0), parameter(1.0)
    opt = FrankWolfe(
        [{"params": [a], "weight_decay": 0.5}, {"params": [b]}],
        lr=0.1,
        inner_steps=1,
        outer=torch.optim.SGD,
    )
    assert opt.param_groups[0]["weight_decay"] == 0.5
    walk(opt, [{a: [0.0], b: [0.0]}])
    assert a.item() == pytest.approx(0.95)
    assert b.item() == 1.0
    opt.param_groups[1]["weight_decay"] = 1.0
    walk(opt, [{b: [0.0]}])
    assert b.item() == pytest.approx(0.9)


def test_add_param_group_in_mid_loop() -> None:
    a, b = parameter(0.0), parameter(0.0)
    opt = FrankWolfe([a], lr=1.0, inner_steps=2, outer=torch.optim.SGD)
    walk(opt, [{a: [1.0]}])
    opt.add_param_group({"params": [b], "lr": 0.5, "momentum": 0.9})
    assert opt.inner_step == 1
    walk(opt, [{a: [1.0], b: [1.0]}])
    assert (a.item(), b.item()) == (-1.0, -0.25)  # one vertex of two, and one phase for both
    assert (opt.inner_step, opt.updates) == (0, 1)
    walk(opt, [{a: [1.0], b: [1.0]}])
    assert b.item() == -0.75
    assert opt.outer is not None
    assert opt.outer.param_groups[1]["momentum"] == 0.9
    with pytest.raises(ConfigError, match="radius = 0"):
        opt.add_param_group({"params": [parameter(1.0)], "radius": 0})
    assert len(opt.param_groups) == len(opt.outer.param_groups) == 2
    with pytest.raises(ConfigError, match="Did you mean 'radius'"):
        opt.add_param_group({"params": [parameter(1.0)], "raduis": 1.0})
    assert len(opt.param_groups) == len(opt.outer.param_groups) == 2


class Counting(torch.optim.SGD):
    """An optimizer that keeps a running value and a mode in its groups, as some do."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, lr)
        self.defaults |= {"count": 0, "training": False}
        for group in self.param_groups:
            group |= {"count": 0, "training": False}

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        super().add_param_group(param_group)
        if any(p.dim() > 1 for p in param_group["params"]):
            raise ValueError("vectors only")

    def step(self, closure: Any = None) -> None:
        assert all(group["training"] for group in self.param_groups)
        super().step()
        for group in self.param_groups:
            group["count"] += 1


def test_running_values_in_the_outer_optimizer_s_groups_run() -> None:
    w = parameter(0.0)
    opt = FrankWolfe([w], lr=1.0, inner_steps=1, outer=Counting)
    assert opt.outer is not None
    opt.outer.param_groups[0]["training"] = True
    walk(opt, [{w: [1.0]}] * 3)
    assert opt.outer.param_groups[0]["count"] == opt.param_groups[0]["count"] == 3
    opt.param_groups[0]["count"] = 10
    twin = FrankWolfe([parameter(0.0)], lr=1.0, inner_steps=1, outer=Counting)
    twin.load_state_dict(opt.state_dict())
    for one in (opt, twin):
        walk(one, [{one.param_groups[0]["params"][0]: [1.0]}])
        assert one.outer.param_groups[0]["count"] == 11, "what users set goes the other way"


def test_options_go_both_ways_and_ours_win() -> None:
    def restored(opt: FrankWolfe, how: str) -> FrankWolfe:
        if how == "as it is":
            return opt
        if how == "pickled":
            return pickle.loads(pickle.dumps(opt))
        twin = FrankWolfe([parameter(1.0)], lr=0.1, inner_steps=1, outer=sgd, momentum=0.5)
        twin.load_state_dict(opt.state_dict())
        return twin

    sgd = torch.optim.SGD
    for how in ("as it is", "pickled", "loaded"):
        w = parameter(1.0)
        opt = FrankWolfe([w], lr=0.1, inner_steps=1, outer=sgd, momentum=0.5, weight_decay=0.5)
        assert opt.outer is not None
        opt.outer.param_groups[0]["momentum"] = 0.25
        opt.param_groups[0]["dampening"] = 0.125
        opt = restored(opt, how)
        assert opt.outer is not None
        ours, theirs = opt.param_groups[0], opt.outer.param_groups[0]
        opt.outer.register_step_post_hook(lambda *_, g=ours: g.update(weight_decay=0.0))
        walk(opt, [{ours["params"][0]: [1.0]}])
        for group in (ours, theirs):
            shown = [group[key] for key in ("momentum", "dampening", "weight_decay")]
            assert shown == [0.25, 0.125, 0.0], how


def test_a_group_that_came_in_mid_loop_says_nothing_of_the_radius() -> None:
    a, b = parameter(0.0, 0.0), parameter(0.0, 0.0)
    opt = FrankWolfe([a], lr=0.1, inner_steps=5, adaptive="agreement", outer=None)
    walk(opt, [{a: [1.0, 0.0]}] * 4)
    opt.add_param_group({"params": [b]})
    walk(opt, [{a: [1.0, 0.0], b: [1.0, 0.0]}])
    old, new = opt.param_groups
    assert old["radius_scale"] > 1
    assert (new["radius_scale"], new["inner_step"]) == (1.0, 0)
    walk(opt, [{a: [1.0, 0.0], b: [1.0, 0.0]}] * 5)
    assert new["radius_scale"] > 1, "from its first whole loop on"


def test_groups_stay_paired_with_the_outer_optimizer_s() -> None:
    opt = FrankWolfe([parameter(0.0)], lr=1.0, inner_steps=1, outer=Counting)
    with pytest.raises(ValueError, match="vectors only"):
        opt.add_param_group({"params": [nn.Parameter(torch.zeros(2, 2))]})
    assert opt.outer is not None
    assert len(opt.param_groups) == len(opt.outer.param_groups) == 1
    opt.add_param_group({"params": [last := parameter(0.0)]})
    for group in opt.param_groups:
        group["training"] = True
    taken = opt.param_groups.pop(0)
    with pytest.raises(ConfigError, match="has 1 parameter groups and its outer optimizer 2"):
        walk(opt, [{last: [1.0]}])
    opt.outer.param_groups.pop(0)
    walk(opt, [{last: [1.0]}])
    assert last.item() == -1.0
    assert taken["params"][0].item() == 0.0


def test_a_state_of_an_outer_optimizer_with_fewer_options_is_loaded() -> None:
    """torch's Adam learnt ``decoupled_weight_decay`` in 2.7."""
    w, twin = parameter(1.0), parameter(1.0)
    opt, other = (FrankWolfe([p], lr=0.1, inner_steps=2) for p in (w, twin))
    walk(opt, [{w: [1.0]}] * 3)
    state = opt.state_dict()
    twin.data.copy_(w)
    for group in (*state["param_groups"], *state["outer"]["param_groups"]):
        group.pop("decoupled_weight_decay", None)
    other.load_state_dict(state)
    walk(opt, [{w: [1.0]}])
    walk(other, [{twin: [1.0]}])
    assert w.item() == twin.item()


@pytest.mark.parametrize("outer", [torch.optim.Adam, torch.optim.SGD, None])
def test_parameters_put_into_a_group_s_list_are_trained(outer: Any) -> None:
    """Networks that grow or are pruned edit the list in place, or give the group another."""
    old, new, last = parameter(1.0), parameter(1.0), parameter(1.0)
    opt = FrankWolfe([old], lr=0.1, inner_steps=1, outer=outer)
    walk(opt, [{old: [1.0]}])
    opt.param_groups[0]["params"][0] = new
    walk(opt, [{new: [1.0]}])
    opt.param_groups[0]["params"] = [last]
    walk(opt, [{last: [1.0]}])
    assert [old.item(), new.item(), last.item()] == pytest.approx([0.9] * 3)


def test_misspelt_group_options_are_refused_and_own_keys_are_not() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'weight_decay'"):
        FrankWolfe([{"params": [parameter(1.0)], "weight_decy": 0.1}])
    FrankWolfe([{"params": [parameter(1.0)], "name": "head", "initial_lr": 0.1}])


def test_named_parameters() -> None:
    model = nn.Linear(2, 2)
    opt = FrankWolfe(model.named_parameters())
    assert opt.param_groups[0]["param_names"] == ["weight", "bias"]
    swapped = FrankWolfe(reversed([*nn.Linear(2, 2).named_parameters()]))
    with pytest.raises(ConfigError):
        swapped.load_state_dict(opt.state_dict())


def test_global_scope_needs_one_ball() -> None:
    a, b = parameter(1.0), parameter(1.0)
    groups = [{"params": [a]}, {"params": [b], "lr": 0.5}]
    with pytest.raises(ConfigError, match="one ball around all parameters"):
        FrankWolfe(groups, scope="global")
    opt = FrankWolfe(
        [{"params": [a]}, {"params": [b], "lr": 0.5}],
        lr=0.5,
        radius=5.0,
        inner_steps=1,
        scope="global",
        outer=None,
    )
    walk(opt, [{a: [3.0], b: [4.0]}])
    assert [a.item(), b.item()] == pytest.approx([-2.0, -3.0])
    assert opt.agreement().tolist() == pytest.approx([1.0])


def test_one_ball_around_all_has_one_k_and_one_radius_also_when_they_are_changed_later() -> None:
    a, b = parameter(1.0), parameter(1.0)
    with pytest.raises(ConfigError, match="one ball around all parameters"):
        FrankWolfe([{"params": [a]}, {"params": [b], "inner_steps": 3}], scope="global")
    opt = FrankWolfe([{"params": [a]}, {"params": [b]}], radius=0.1, inner_steps=2, scope="global")
    walk(opt, [{a: [1.0], b: [1.0]}])
    opt.param_groups[1]["radius"] = 0.5
    walk(opt, [{a: [1.0], b: [1.0]}])  # a ball does not change while one walks in it
    with pytest.raises(ConfigError, match="one ball around all parameters"):
        walk(opt, [{a: [1.0], b: [1.0]}])


class Scaled(torch.optim.Optimizer):
    """An optimizer with an option of several numbers."""

    def __init__(self, params: Any, lr: float, scale: Tensor) -> None:
        super().__init__(params, {"lr": lr, "scale": scale})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                p -= group["lr"] * group["scale"] * p.grad


def test_an_option_of_several_numbers_is_handed_on() -> None:
    w = nn.Parameter(torch.zeros(2))
    opt = FrankWolfe([w], lr=1.0, inner_steps=1, outer=Scaled, scale=torch.tensor([1.0, 0.0]))
    for scale in (opt.param_groups[0]["scale"], torch.tensor([0.0, 1.0])):
        opt.param_groups[0]["scale"] = scale
        w.grad = torch.tensor([3.0, 4.0])
        opt.step()
    assert w.tolist() == pytest.approx([-0.6, -0.8])


def test_of_groups_of_unequal_k_the_largest_inner_step_is_told() -> None:
    weights = [nn.Parameter(torch.zeros(2)) for _ in range(2)]
    groups = [{"params": [w], "inner_steps": k} for w, k in zip(weights, (2, 3), strict=True)]
    opt, seen = FrankWolfe(groups), []
    for _ in range(6):
        for w in weights:
            w.grad = torch.ones(2)
        opt.step()
        seen.append(opt.inner_step)
    assert seen == [1, 2, 1, 1, 2, 0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # C kernels; torch
def test_a_group_that_joins_in_mid_loop_walks_in_a_ball_of_its_own(dtype: torch.dtype) -> None:
    early, late = (nn.Parameter(torch.zeros(2, dtype=dtype)) for _ in range(2))
    opt, seen = FrankWolfe([early], radius=0.1, inner_steps=4, outer=None), []
    for step in range(4):
        if step == 2:
            opt.add_param_group({"params": [late], "radius": 0.5})
        early.grad, late.grad = (torch.tensor([3.0, -4.0], dtype=dtype) for _ in range(2))
        opt.step()
        seen.append(late.tolist())
    # One vertex of three so far, and two of four in the end.
    assert seen[2] == pytest.approx([-0.1, 0.4 / 3])
    assert seen[3] == pytest.approx([-0.15, 0.2])
    assert early.tolist() == pytest.approx([-0.06, 0.08])
