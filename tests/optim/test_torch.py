"""Everything that torch users do to an optimizer: groups, hooks, schedulers, odd gradients, AMP."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from fwrnn_core import FrankWolfe, lmo
from fwrnn_core.errors import ConfigError
from fwrnn_core.models.kernels import use_backend
from fwrnn_core.optim import NonFiniteGradient


def parameter(*values: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values, dtype=torch.float64))


def walk(opt: FrankWolfe, gradients: list[dict[nn.Parameter, list[float] | None]]) -> None:
    """One inner step per entry; a parameter that is left out has no gradient."""
    for step in gradients:
        opt.zero_grad()
        for p, g in step.items():
            p.grad = None if g is None else torch.tensor(g, dtype=p.dtype).view(p.shape)
        opt.step()


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
    with pytest.raises(RuntimeError, match="middle|inner steps of another"):
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


def test_hooks_fire_once_per_inner_step() -> None:
    w = parameter(1.0)
    opt = FrankWolfe([w], inner_steps=3)
    calls: list[str] = []
    opt.register_step_pre_hook(lambda *_: calls.append("pre"))
    opt.register_step_post_hook(lambda *_: calls.append("post"))
    assert opt.outer is not None
    opt.outer.register_step_post_hook(lambda *_: calls.append("outer"))
    walk(opt, [{w: [1.0]}] * 3)
    assert calls == ["pre", "post", "pre", "post", "pre", "outer", "post"]


SCHEDULERS: dict[str, Callable[[FrankWolfe], Any]] = {
    "step": lambda o: lr_scheduler.StepLR(o, 2),
    "multistep": lambda o: lr_scheduler.MultiStepLR(o, [2, 4]),
    "lambda": lambda o: lr_scheduler.LambdaLR(o, lambda e: 1 / (1 + e)),
    "multiplicative": lambda o: lr_scheduler.MultiplicativeLR(o, lambda e: 0.9),
    "constant": lambda o: lr_scheduler.ConstantLR(o, 0.5, 3),
    "linear": lambda o: lr_scheduler.LinearLR(o, 0.1, 1.0, 4),
    "exponential": lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    "polynomial": lambda o: lr_scheduler.PolynomialLR(o, 6, 2.0),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, 6),
    "restarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 3),
    "cyclic": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1, 2),
    "onecycle": lambda o: lr_scheduler.OneCycleLR(o, 0.5, total_steps=8),
    "plateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0),
    "sequential": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.ConstantLR(o, 0.1, 2), lr_scheduler.ExponentialLR(o, 0.9)], [2]
    ),
    "chained": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ConstantLR(o, 0.1, 2), lr_scheduler.ExponentialLR(o, 0.9)], optimizer=o
    ),
    "swa": lambda o: torch.optim.swa_utils.SWALR(o, 0.05, 3),
}


def test_no_scheduler_of_torch_is_left_out() -> None:
    modules = (vars(lr_scheduler), vars(torch.optim.swa_utils))
    every = {
        cls
        for module in modules
        for cls in module.values()
        if isinstance(cls, type) and issubclass(cls, lr_scheduler.LRScheduler)
    } - {lr_scheduler.LRScheduler, getattr(lr_scheduler, "_LRScheduler", None)}
    made = {type(make(FrankWolfe([parameter(0.0)]))) for make in SCHEDULERS.values()}
    assert every <= made


@pytest.mark.parametrize("name", SCHEDULERS)
def test_radius_and_outer_rate_follow_every_scheduler(name: str) -> None:
    w = parameter(0.0, 0.0)
    opt = FrankWolfe([w], lr=0.2, radius=3.0, inner_steps=2)
    scheduler = SCHEDULERS[name](opt)
    rates = set()
    for _ in range(7):
        before = w.detach().clone()
        walk(opt, [{w: [3.0, 4.0]}])
        lr = opt.param_groups[0]["lr"]
        assert float((w.detach() - before).norm()) == pytest.approx(15 * lr)
        walk(opt, [{w: [3.0, 4.0]}])
        assert opt.outer is not None
        assert opt.outer.param_groups[0]["lr"] == lr
        rates.add(lr)
        scheduler.step(*([1.0] if name == "plateau" else []))
    assert len(rates) > 1


def test_one_cycle_moves_the_outer_momentum_not_ours() -> None:
    w = parameter(0.0)
    opt = FrankWolfe([w], inner_steps=1, gradient_momentum=0.5)
    lr_scheduler.OneCycleLR(opt, 0.5, total_steps=8)
    assert opt.param_groups[0]["gradient_momentum"] == 0.5
    walk(opt, [{w: [1.0]}])
    assert opt.outer is not None
    assert opt.outer.param_groups[0]["betas"][0] == 0.95


def test_a_missing_gradient_is_the_vertex_zero() -> None:
    a, b = parameter(0.0), parameter(0.0)
    opt = FrankWolfe([a, b], lr=0.3, inner_steps=3, outer=None)
    walk(opt, [{a: [1.0]}, {a: [1.0], b: [1.0]}, {b: [1.0]}])
    # a had vertices 1 and 2 of 3, b (whose gradient came late) 2 and 3
    assert [a.item(), b.item()] == pytest.approx([-0.2, -0.2])


@pytest.mark.parametrize("step_size", ["1/k", "2/(k+1)"])
def test_late_and_zero_gradients_agree(step_size: str) -> None:
    late, zero = parameter(0.0, 0.0), parameter(0.0, 0.0)
    opt = FrankWolfe([late, zero], inner_steps=4, step_size=step_size, outer=None)
    some, none = [1.0, 2.0], [0.0, 0.0]
    walk(opt, [{zero: none}, {late: some, zero: some}, {zero: none}, {late: some, zero: some}] * 2)
    assert torch.equal(late, zero)
    assert late.detach().norm() > 0


BALLS: list[Any] = [1, 1.5, 2, 3, math.inf, "spectral", "nuclear"]


@pytest.mark.parametrize(
    ("solver", "norm"),
    # Projections have closed forms here, and take a bisection elsewhere.
    [*(("frank-wolfe", p) for p in BALLS), *(("projected-gradient", p) for p in (1, 2, math.inf))],
)
@pytest.mark.parametrize("scope", ["tensor", "global"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # C kernels; torch
def test_an_absent_gradient_is_a_zero_one(
    norm: Any, scope: Any, dtype: torch.dtype, solver: Any
) -> None:
    """In every ball, wherever in the loop. (A gradient_momentum has no such rule: the mean
    begins with the first gradient that there is.)"""
    if scope == "global" and isinstance(norm, str):
        pytest.skip("one ball around all is of a p-norm")
    kinds: list[dict[str, Any]] = [{"solver": solver}]
    if solver == "frank-wolfe":
        kinds = [{}, {"trajectory": "released"}, {"step_size": "2/(k+1)"}]
    for kind in kinds:
        for absent in ((0,), (0, 1), (0, 1, 2), (0, 2), (1,), (3,)):
            ends = []
            for before in (None, torch.zeros(4, dtype=dtype)):
                generator = torch.Generator().manual_seed(7)
                shapes = ((3, 2), (4,))
                always, late = (nn.Parameter(torch.zeros(s, dtype=dtype)) for s in shapes)
                opt = FrankWolfe(
                    [always, late], radius=0.5, inner_steps=4, norm=norm, scope=scope, outer=None,
                    **kind,
                )  # fmt: skip
                for step in range(8):
                    always.grad = torch.randn(3, 2, generator=generator, dtype=dtype)
                    there = torch.randn(4, generator=generator, dtype=dtype)
                    late.grad = before if step % 4 in absent else there
                    opt.step()
                ends.append([w.detach() for w in (always, late)])
            for a, b in zip(*ends, strict=True):
                torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
            assert any(w.any() for w in ends[0])


def test_parameters_that_never_move_rest_in_the_outer_optimizer() -> None:
    used, unused, frozen = parameter(1.0), parameter(1.0), parameter(1.0)
    frozen.requires_grad_(False)
    opt = FrankWolfe([used, unused, frozen], inner_steps=1)
    walk(opt, [{used: [1.0]}] * 3)
    assert unused.item() == frozen.item() == 1.0
    assert opt.outer is not None
    assert list(opt.outer.state) == [used]
    assert opt.agreement().isnan().tolist() == [False, True, True]


def test_a_parameter_frozen_in_mid_loop_rests_from_there_on() -> None:
    a, b = parameter(0.0), parameter(0.0)
    opt = FrankWolfe([a, b], lr=0.3, inner_steps=3, outer=None)
    walk(opt, [{a: [1.0], b: [1.0]}])
    b.requires_grad_(False)
    walk(opt, [{a: [1.0]}] * 2)
    assert [a.item(), b.item()] == pytest.approx([-0.3, -0.1])  # b had one vertex of three
    walk(opt, [{a: [1.0]}] * 3)
    assert b.item() == pytest.approx(-0.1)


def test_dtypes_may_be_mixed_in_one_group() -> None:
    dtypes = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
    for scope in ("tensor", "global"):
        params = [nn.Parameter(torch.ones(3, dtype=d)) for d in dtypes]
        opt = FrankWolfe(params, lr=0.1, inner_steps=3, scope=scope, outer=None)
        for _ in range(6):
            for p in params:
                p.grad = torch.tensor([3.0, 0.0, 4.0], dtype=p.dtype)
            opt.step()
        share = 1.0 if scope == "tensor" else 0.5  # four equal tensors in one ball
        expected = torch.tensor([1 - 0.12 * share, 1.0, 1 - 0.16 * share])
        for p in params:
            assert torch.allclose(p.detach().float(), expected, atol=0.02)


def test_diagnostics_are_plain_numbers() -> None:
    w = parameter(1.0, 2.0)
    opt = FrankWolfe([w], inner_steps=2, track=["gap", "angle"], adaptive="agreement")
    walk(opt, [{w: [1.0, 2.0]}] * 3)
    found = json.loads(json.dumps(opt.diagnostics()))
    assert set(found) == {
        *("updates", "skipped", "inner_step", "radius", "loop_radius"),
        *("agreement", "gap", "angle", "signal"),
    }


def test_step_without_any_gradient_does_nothing() -> None:
    w = parameter(1.0)
    opt = FrankWolfe([w], inner_steps=2)
    opt.step()
    assert opt.inner_step == 0


def test_zero_gradients_move_nothing() -> None:
    w = parameter(1.0, 2.0)
    opt = FrankWolfe([w], inner_steps=2)
    walk(opt, [{w: [0.0, 0.0]}] * 4)
    assert w.tolist() == [1.0, 2.0]
    assert opt.agreement().tolist() == [0.0]


def test_refused_kinds_of_parameters_and_gradients() -> None:
    with pytest.raises(ConfigError, match="complex64"):
        FrankWolfe([nn.Parameter(torch.ones(2, dtype=torch.complex64))])
    embedding = nn.Embedding(4, 2, sparse=True)
    opt = FrankWolfe(embedding.parameters())
    embedding(torch.tensor([1])).sum().backward()
    before = embedding.weight.detach().clone()
    with pytest.raises(ConfigError, match="sparse"):
        opt.step()
    assert torch.equal(embedding.weight, before)
    assert opt.inner_step == 0


def test_weights_that_share_memory_are_refused() -> None:
    """Each would put the other back to where that one had moved it: they drift."""
    a, b = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.zeros(2, 2))
    opt = FrankWolfe([a])
    b.data = a.data  # how older code ties weights
    with pytest.raises(ConfigError, match=r"share memory.*b.weight = a.weight"):
        opt.add_param_group({"params": [b]})
    assert len(opt.param_groups) == 1
    flat = torch.ones(6)
    with pytest.raises(ConfigError, match=r"\(4,\) and \(3,\), share memory"):
        FrankWolfe([nn.Parameter(flat[:4]), nn.Parameter(flat[3:])])


def test_weights_side_by_side_in_one_buffer_are_fine() -> None:
    flat = torch.ones(8)
    views = [flat[:3], flat[3:3], flat[3:4], flat[4::2], flat[5::2]]
    opt = FrankWolfe([nn.Parameter(v) for v in views], lr=0.1, inner_steps=2, outer=None)
    for _ in range(2):
        for p in opt.param_groups[0]["params"]:
            p.grad = torch.ones_like(p)
        opt.step()
    moved = [1 / 3**0.5] * 3 + [1.0] + [1 / 2**0.5] * 4
    assert flat.tolist() == pytest.approx([1 - 0.1 * m for m in moved])
    FrankWolfe([nn.Parameter(torch.empty(2, device="meta")) for _ in range(2)])


def test_the_default_device_does_not_matter() -> None:
    w = nn.Parameter(torch.ones(2))
    opt = FrankWolfe([w], inner_steps=2, track=("gap", "angle"), adaptive="agreement")
    w.grad = torch.ones(2)
    with torch.device("meta"):
        for _ in range(2):
            opt.step()
        opt.load_state_dict(opt.state_dict())
        assert opt.agreement().tolist() == pytest.approx([1.0])


@pytest.mark.parametrize("norm", [1, 2, 3, math.inf, "spectral"])
@pytest.mark.parametrize("scope", ["tensor", "global"])
def test_memory_layout_does_not_matter(norm: Any, scope: str) -> None:
    scope = "tensor" if isinstance(norm, str) else scope
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(4, 3, generator=generator)
    grads = [torch.randn(4, 3, generator=generator) for _ in range(4)]
    results = []
    for view in (lambda t: t.clone(), lambda t: t.t().contiguous().t()):
        w, scalar = nn.Parameter(view(start)), nn.Parameter(torch.tensor(2.0))
        opt = FrankWolfe([w, scalar], lr=0.1, inner_steps=2, norm=norm, scope=scope)
        for g in grads:
            # The gradient's layout is the other one.
            w.grad = view(g).t().contiguous().t() if w.is_contiguous() else g.clone()
            scalar.grad = torch.tensor(-1.0)
            opt.step()
        results.append(torch.cat([w.detach().reshape(-1), scalar.detach().reshape(1)]))
    torch.testing.assert_close(results[0], results[1], rtol=1e-5, atol=1e-6)


def test_gradients_that_underflow_when_squared() -> None:
    """Vanishing gradients (1e-30) give full-size vertices, beside gradients of any other size."""
    tiny, huge, usual = (nn.Parameter(torch.zeros(2)) for _ in range(3))
    opt = FrankWolfe([tiny, huge, usual], lr=1.0, inner_steps=1, outer=None)
    for p, size in ((tiny, 1e-30), (huge, 1e30), (usual, 1.0)):
        p.grad = size * torch.tensor([3.0, 4.0])
    opt.step()
    for p in (tiny, huge, usual):
        assert p.tolist() == pytest.approx([-0.6, -0.8])


def test_weights_are_written_in_place() -> None:
    """cuDNN's flat RNN weights, tied and compiled weights rely on it; p.grad stays the caller's."""
    rnn = nn.RNN(2, 3)
    addresses = [p.data_ptr() for p in rnn.parameters()]
    opt = FrankWolfe(rnn.parameters(), inner_steps=2)
    for _ in range(4):
        opt.zero_grad()
        rnn(torch.ones(2, 1, 2))[0].sum().backward()
        held = [(p.grad, p.grad.clone()) for p in rnn.parameters() if p.grad is not None]
        opt.step()
        for p, (grad, value) in zip(rnn.parameters(), held, strict=True):
            assert p.grad is grad
            assert torch.equal(grad, value)
    assert addresses == [p.data_ptr() for p in rnn.parameters()]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("scope", ["tensor", "global"])
def test_half_precision_parameters(dtype: torch.dtype, scope: str) -> None:
    w = nn.Parameter(torch.zeros(8, dtype=dtype))
    opt = FrankWolfe([w], lr=0.02, radius=0.1, inner_steps=3, scope=scope)
    for _ in range(120):
        opt.zero_grad()
        (w.float() - 0.5).square().sum().backward()
        opt.step()
    assert w.dtype == dtype
    assert (w.float() - 0.5).abs().max() < 0.1


def test_clipping_and_accumulation_come_before_the_step() -> None:
    a, b = parameter(0.0, 0.0), parameter(0.0, 0.0)
    opt = FrankWolfe([a, b], lr=1.0, inner_steps=1, outer=None, scope="global", norm=3)
    for _ in range(2):
        (a @ torch.tensor([3.0, 1.0]).double() + 2 * b.sum()).backward()
    torch.nn.utils.clip_grad_value_([a, b], 4.5)
    opt.step()
    expected = lmo(torch.tensor([4.5, 2.0, 4.0, 4.0]).double(), norm=3)
    assert torch.allclose(torch.cat([a, b]).detach(), expected)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_nonfinite_gradients_raise_and_change_nothing(bad: float) -> None:
    a, b = parameter(0.0, 0.0), parameter(0.0)
    opt = FrankWolfe([a, b], inner_steps=3, norm=math.inf)
    walk(opt, [{a: [1.0, 2.0], b: [1.0]}])
    before = [a.tolist(), b.tolist()]
    with pytest.raises(NonFiniteGradient, match="1 of 2 tensors"):
        walk(opt, [{a: [1.0, bad], b: [1.0]}])
    assert [a.tolist(), b.tolist()] == before
    assert (opt.inner_step, opt.skipped) == (1, 0)


def test_nonfinite_gradients_can_be_skipped() -> None:
    a, b = parameter(0.0), parameter(0.0)
    opt = FrankWolfe([a], lr=1.0, inner_steps=2, nonfinite="skip", outer=None)
    same = FrankWolfe([b], lr=1.0, inner_steps=2, outer=None)
    walk(opt, [{a: [1.0]}, {a: [math.nan]}, {a: [-3.0]}])
    walk(same, [{b: [1.0]}, {b: [-3.0]}])
    assert a.item() == b.item()
    assert (opt.inner_step, opt.skipped, opt.updates) == (0, 1, 1)
    assert opt.diagnostics()["skipped"] == 1

    def closure() -> Tensor:
        a.grad = torch.full_like(a, math.nan if a.item() != start else 1.0)
        return a.detach().sum()

    start = a.item()

    opt.step(closure)  # the second gradient, inside the ball, is NaN: back to the anchor
    assert (a.item(), opt.inner_step, opt.skipped) == (start, 0, 2)


def test_grad_scaler() -> None:
    """Scaled training equals plain training; a minibatch that overflows is dropped and counted."""
    torch.manual_seed(0)
    plain, scaled = nn.Linear(3, 1), nn.Linear(3, 1)
    scaled.load_state_dict(plain.state_dict())
    opt = FrankWolfe(plain.parameters(), lr=0.1, inner_steps=3, gradient_momentum=0.5)
    twin = FrankWolfe(scaled.parameters(), lr=0.1, inner_steps=3, gradient_momentum=0.5)
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0, growth_interval=2)
    for i, x in enumerate(torch.randn(8, 4, 3, generator=torch.Generator().manual_seed(1))):
        if i == 4:
            twin.zero_grad()
            (scaler.scale(scaled(x).square().mean()) * math.inf).backward()
            before = [p.detach().clone() for p in scaled.parameters()]
            scaler.step(twin)
            scaler.update()
            assert all(torch.equal(a, b) for a, b in zip(before, scaled.parameters(), strict=True))
            assert (twin.skipped, twin.inner_step) == (1, 1)
        opt.zero_grad()
        twin.zero_grad()
        plain(x).square().mean().backward()
        scaler.scale(scaled(x).square().mean()).backward()
        if i % 2:
            scaler.unscale_(twin)
        opt.step()
        scaler.step(twin)
        scaler.update()
    for p, q in zip(plain.parameters(), scaled.parameters(), strict=True):
        torch.testing.assert_close(p, q)
    assert twin.updates == opt.updates == 2


@pytest.mark.parametrize(
    "options",
    [
        {}, {"scope": "global"}, {"norm": math.inf}, {"norm": "spectral"}, {"maximize": True},
        {"gradient_momentum": 0.5}, {"trajectory": "released"}, {"track": ["gap", "angle"]},
        {"solver": "projected-gradient"}, {"adaptive": "agreement"},
    ],
)  # fmt: skip
def test_a_minibatch_that_overflows_may_be_any_of_a_loop(options: Any) -> None:
    """Scaled training that drops a minibatch equals plain training that never saw it."""
    batches = torch.randn(12, 8, 3, generator=torch.Generator().manual_seed(1))

    def train(bad: int | None) -> tuple[list[Tensor], FrankWolfe]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
        opt = FrankWolfe(model.parameters(), lr=0.01, inner_steps=4, **options)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, enabled=bad is not None)
        for i, x in enumerate(batches):
            for overflow in (True, False) if i == bad else (False,):
                opt.zero_grad()
                scaler.scale(model(x).square().mean()).backward()
                if overflow:
                    weight = next(model.parameters())
                    assert weight.grad is not None
                    weight.grad[0, 0] = math.inf
                if i % 3 == 0:
                    scaler.unscale_(opt)
                scaler.step(opt)
                scaler.update()
        return [p.detach() for p in model.parameters()], opt

    plain, opt = train(None)
    for bad in range(9):
        scaled, twin = train(bad)
        assert (twin.skipped, twin.updates, twin.inner_step) == (1, opt.updates, opt.inner_step)
        for p, q in zip(plain, scaled, strict=True):
            torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)
        for name in ("gap", "angle", "signal", "agreement"):
            found, expected = (o.diagnostics().get(name, []) for o in (twin, opt))
            a, b = torch.tensor(found), torch.tensor(expected)
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-6, equal_nan=True)


def test_grad_scaler_takes_no_closure() -> None:
    """Its verdict is on the gradients before the call; an overflow inside would pass unseen."""
    w = nn.Parameter(torch.zeros(2))
    opt = FrankWolfe([w], inner_steps=2)
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale(w.sum()).backward()
    with pytest.raises(RuntimeError, match="with a closure"):
        scaler.step(opt, lambda: scaler.scale(w.sum() * math.inf).backward())
    assert torch.equal(w, torch.zeros(2))


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_models_train(backend: str) -> None:
    """Dynamo traces the model; the in-place writes must reach the compiled function."""
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    compiled = torch.compile(model, backend=backend)
    opt = FrankWolfe(model.parameters(), lr=0.05, inner_steps=2)
    x = torch.randn(16, 3, generator=torch.Generator().manual_seed(0))
    losses = []
    for _ in range(30):
        opt.zero_grad()
        loss = (compiled(x) - x.sum(1, keepdim=True)).square().mean()
        loss.backward()
        losses.append(loss.item())
        opt.step()
    assert losses[-1] < 0.5 * losses[0]


def test_a_step_inside_a_compiled_function_is_left_as_it_is() -> None:
    """Tracing it gives a dozen little graphs and recompilations without end, and gains nothing."""
    graphs = []

    def count(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    torch.manual_seed(0)
    models = [nn.Linear(3, 1) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    opts = [FrankWolfe(m.parameters(), lr=0.05, inner_steps=2) for m in models]
    steps = [opts[0].step, torch.compile(opts[1].step, backend=count)]
    for x in torch.randn(6, 4, 3):
        for model, opt, step in zip(models, opts, steps, strict=True):
            opt.zero_grad()
            model(x).square().mean().backward()
            step()
    assert not graphs
    assert torch.equal(models[0].weight, models[1].weight)


def test_tensor_and_global_scope_agree_on_one_tensor() -> None:
    gradients = torch.randn(6, 5, generator=torch.Generator().manual_seed(2))
    for norm in (1, 1.5, 2, 4, math.inf):
        results = []
        for scope in ("tensor", "global"):
            w = nn.Parameter(torch.zeros(5))
            opt = FrankWolfe([w], lr=0.1, inner_steps=3, norm=norm, scope=scope)
            for g in gradients:
                w.grad = g.clone()
                opt.step()
            results.append(w.detach())
        torch.testing.assert_close(*results)


@pytest.mark.parametrize("norm", [2, math.inf])
@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_fused_step_equals_a_step_for_every_tensor(norm: Any, backend: str) -> None:
    """All tensors in one optimizer, whose balls are walked together, and one optimizer for each."""
    shapes, generator = [(3, 4), (4,), ()], torch.Generator().manual_seed(0)
    start = [torch.randn(s, generator=generator) for s in shapes]
    gradients = [[torch.randn(s, generator=generator) for s in shapes] for _ in range(12)]
    results = []
    for split in (False, True):
        params = [nn.Parameter(w.clone()) for w in start]
        groups = [[p] for p in params] if split else [params]
        opts = [FrankWolfe(group, lr=0.01, inner_steps=4, norm=norm) for group in groups]
        with use_backend(backend):
            for step in gradients:
                for p, g in zip(params, step, strict=True):
                    p.grad = g.clone()
                for opt in opts:
                    opt.step()
        results.append(params)
    for p, q in zip(*results, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-7)


def test_maximizing_leaves_the_gradient_as_it_was() -> None:
    """``p.grad`` is the caller's, who may log it or go on adding to it."""
    w = parameter(1.0, 2.0)
    opt = FrankWolfe([w], inner_steps=2, maximize=True)
    for _ in range(2):
        w.grad = torch.tensor([3.0, -4.0], dtype=torch.float64)
        opt.step()
        assert w.grad.tolist() == [3.0, -4.0]


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


def test_a_dropped_minibatch_ends_the_loop_of_a_closure() -> None:
    w = nn.Parameter(torch.ones(2))
    opt, calls = FrankWolfe([w], inner_steps=4, nonfinite="skip"), []

    def closure() -> Tensor:
        calls.append(1)
        w.grad = torch.full((2,), math.nan)
        return w.detach().sum()

    opt.step(closure)
    assert (len(calls), opt.skipped, opt.updates) == (1, 1, 0), "it would come back each time"
    assert w.tolist() == [1.0, 1.0]


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
