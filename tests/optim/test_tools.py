"""What torch puts around an optimizer: hooks, schedulers, clipping, GradScaler, compile."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from fwrnn_core import FrankWolfe, lmo

from .steps import parameter, walk


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


def test_diagnostics_are_plain_numbers() -> None:
    w = parameter(1.0, 2.0)
    opt = FrankWolfe([w], inner_steps=2, track=["gap", "angle"], adaptive="agreement")
    walk(opt, [{w: [1.0, 2.0]}] * 3)
    found = json.loads(json.dumps(opt.diagnostics()))
    assert set(found) == {
        *("updates", "skipped", "inner_step", "radius", "loop_radius"),
        *("agreement", "gap", "angle", "signal"),
    }


def test_clipping_and_accumulation_come_before_the_step() -> None:
    a, b = parameter(0.0, 0.0), parameter(0.0, 0.0)
    opt = FrankWolfe([a, b], lr=1.0, inner_steps=1, outer=None, scope="global", norm=3)
    for _ in range(2):
        (a @ torch.tensor([3.0, 1.0]).double() + 2 * b.sum()).backward()
    torch.nn.utils.clip_grad_value_([a, b], 4.5)
    opt.step()
    expected = lmo(torch.tensor([4.5, 2.0, 4.0, 4.0]).double(), norm=3)
    assert torch.allclose(torch.cat([a, b]).detach(), expected)


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
