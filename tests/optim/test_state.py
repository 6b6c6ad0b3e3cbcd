"""Saving in the middle of a loop, anchored evaluation, schedulers: the object as torch knows it."""

from __future__ import annotations

import copy
import io
import math
import pickle
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fwrnn_core import FrankWolfe
from fwrnn_core.errors import ConfigError

OUTERS: dict[str, Any] = {
    "adam": torch.optim.Adam,
    "nesterov": partial(torch.optim.SGD, momentum=0.9, nesterov=True),
    "none": None,
}


def make(
    outer: Any = torch.optim.Adam, dtype: torch.dtype = torch.float32, **options: Any
) -> tuple[nn.Module, FrankWolfe]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).to(dtype)
    return model, FrankWolfe(model.parameters(), **{"lr": 0.05, "outer": outer, **options})


def backward(model: nn.Module, batch: int) -> None:
    generator, dtype = torch.Generator().manual_seed(batch), next(model.parameters()).dtype
    x = torch.randn(8, 3, generator=generator).to(dtype)
    y = torch.randn(8, 2, generator=generator).to(dtype)
    model.zero_grad()
    nn.functional.mse_loss(model(x), y).backward()


def train(model: nn.Module, opt: torch.optim.Optimizer, start: int, stop: int) -> None:
    for batch in range(start, stop):
        backward(model, batch)
        opt.step()


def weights(model: nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in model.parameters()]


def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


RESUMED: list[dict[str, Any]] = [
    *(
        {"outer": outer, "trajectory": trajectory, **options}
        for outer in OUTERS.values()
        for trajectory in ("paper", "released")
        for options in ({}, {"norm": 3}, {"step_size": "2/(k+1)"})
    ),
    *(
        {"dtype": dtype, **options}
        for dtype in (torch.float32, torch.float64, torch.bfloat16)
        for options in (
            {"adaptive": "agreement"},
            {"gradient_momentum": 0.9},
            {"track": ["gap", "angle"]},
            {"solver": "projected-gradient"},
            {"norm": "spectral"},
            {"scope": "global", "norm": 1.5},
        )
    ),
]


@pytest.mark.parametrize("options", RESUMED, ids=lambda options: ", ".join(map(str, options)))
def test_resume_in_mid_loop_is_bit_exact(options: dict[str, Any]) -> None:
    """Through a file."""
    model, opt = make(inner_steps=4, **options)
    train(model, opt, 0, 10)
    assert opt.inner_step == 2
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "opt": opt.state_dict()}, file)
    train(model, opt, 10, 21)

    other, resumed = make(inner_steps=4, **options)
    train(other, resumed, 50, 53)  # a state of its own, to be replaced whole
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    other.load_state_dict(saved["model"])
    resumed.load_state_dict(saved["opt"])
    assert resumed.inner_step == 2
    train(other, resumed, 10, 21)
    assert same(weights(model), weights(other))
    assert resumed.updates == opt.updates
    assert repr(resumed.diagnostics()) == repr(opt.diagnostics())


def test_load_copies_a_live_state() -> None:
    model, opt = make(inner_steps=4)
    train(model, opt, 0, 6)
    other, twin = make(inner_steps=4)
    other.load_state_dict(model.state_dict())
    twin.load_state_dict(opt.state_dict())
    train(other, twin, 6, 9)
    train(model, opt, 6, 9)
    assert same(weights(model), weights(other))


def test_hooks_see_the_whole_state_and_may_change_it() -> None:
    """As with torch's own optimizers: a hook of saving wraps what there is, one of loading unwraps
    it before it is judged, and one after loading finds all of it there."""
    model, opt = make(inner_steps=3)
    other, twin = make(inner_steps=3)
    opt.register_state_dict_post_hook(lambda _, state: {"wrapped": state})
    twin.register_load_state_dict_pre_hook(lambda _, state: state["wrapped"])
    seen: list[int] = []
    twin.register_load_state_dict_post_hook(lambda loaded: seen.append(loaded.updates))  # type: ignore[attr-defined]
    train(model, opt, 0, 7)
    other.load_state_dict(model.state_dict())
    twin.load_state_dict(opt.state_dict())
    assert seen == [2]
    train(other, twin, 7, 10)
    train(model, opt, 7, 10)
    assert same(weights(model), weights(other))


@pytest.mark.parametrize("way", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_deepcopy_and_pickle(way: Any) -> None:
    pair = make(inner_steps=3)
    train(*pair, 0, 4)
    model, opt = way(pair)
    train(model, opt, 4, 9)
    train(*pair, 4, 9)
    assert same(weights(model), weights(pair[0]))


def test_anchored_shows_the_anchor_and_puts_the_point_back() -> None:
    model, opt = make(inner_steps=3)
    train(model, opt, 0, 3)
    anchor = weights(model)
    train(model, opt, 3, 5)
    point = weights(model)
    assert not same(anchor, point)
    with opt.anchored():
        assert same(anchor, weights(model))
        with opt.anchored():
            assert same(anchor, weights(model))
        assert same(anchor, weights(model))
        with pytest.raises(RuntimeError, match="anchored"):
            opt.step()
    assert same(point, weights(model))
    with pytest.raises(ZeroDivisionError), opt.anchored():
        raise ZeroDivisionError
    assert same(point, weights(model))


def test_radius_follows_the_scheduler_from_the_next_loop_on() -> None:
    w = nn.Parameter(torch.zeros(3, dtype=torch.float64))
    opt = FrankWolfe([w], lr=0.1, radius=2.0, inner_steps=2)
    schedule = torch.optim.lr_scheduler.StepLR(opt, 1, gamma=0.5)

    def first_step_length() -> float:
        before = w.detach().clone()
        for k in range(2):
            w.grad = torch.ones_like(w)
            opt.step()
            if k == 0:
                length = float((w - before).detach().norm())
                if opt.updates == 0:
                    schedule.step()  # in mid-loop: the ball stays
        return length

    assert first_step_length() == pytest.approx(2.0)
    assert opt.agreement().tolist() == pytest.approx([1.0])
    assert first_step_length() == pytest.approx(1.0)
    assert opt.outer is not None
    assert opt.outer.param_groups[0]["lr"] == 0.05


def test_a_state_of_other_parameters_is_refused_and_nothing_changes() -> None:
    model, opt = make(inner_steps=4)
    train(model, opt, 0, 6)
    saved = opt.state_dict()

    def refuse(other: FrankWolfe, message: str, state: Any = saved) -> None:
        before = copy.deepcopy(other.state_dict())
        with pytest.raises(ConfigError) as error:
            other.load_state_dict(state)
        assert message in str(error.value)
        assert repr(other.state_dict()) == repr(before)

    params = list(model.parameters())
    refuse(FrankWolfe(params[::-1]), "same order")
    refuse(FrankWolfe([{"params": params[:2]}, {"params": params[2:]}]), "1 parameter groups")
    refuse(FrankWolfe(params, trajectory="released"), "trajectory = 'paper'")
    refuse(
        FrankWolfe(params, outer=torch.optim.SGD), "another kind of outer optimizer (Adam, here SGD"
    )
    refuse(
        FrankWolfe(params),
        "no 'frank_wolfe' or 'outer' entry",
        torch.optim.Adam(params).state_dict(),
    )
    newer = {**saved, "frank_wolfe": {**saved["frank_wolfe"], "version": 99}}
    refuse(FrankWolfe(params), "version 99", newer)


def test_between_loops_the_trajectory_may_change() -> None:
    model, opt = make(inner_steps=4)
    train(model, opt, 0, 8)
    other = FrankWolfe(model.parameters(), inner_steps=4, trajectory="released")
    other.load_state_dict(opt.state_dict())
    assert other.updates == 2


@pytest.mark.parametrize("done", [0, 1])
def test_groups_in_another_order_are_seen_through_their_options(done: int) -> None:
    def two(first: dict[str, Any], second: dict[str, Any]) -> FrankWolfe:
        a, b = (nn.Parameter(torch.ones(2)) for _ in range(2))
        opt = FrankWolfe([{"params": [a], **first}, {"params": [b], **second}], inner_steps=3)
        for _ in range(done):
            a.grad, b.grad = torch.ones(2), torch.ones(2)
            opt.step()
        return opt

    differences: list[Any] = [
        ({"norm": math.inf, "inner_steps": 2}, {"norm": 1}),
        ({"inner_steps": 2}, {}),
        ({}, {"maximize": True}),
        ({"gradient_momentum": 0.5}, {}),
    ]
    for a, b in differences:
        saved = two(a, b).state_dict()
        two(a, b).load_state_dict(saved)
        swapped = two(b, a)
        before = repr(swapped.state_dict())
        with pytest.raises(ConfigError, match="those of the state in another order"):
            swapped.load_state_dict(saved)
        assert repr(swapped.state_dict()) == before
    # Other values are no other order, and those of the state are taken over.
    other = two({"inner_steps": 2}, {"inner_steps": 4})
    other.load_state_dict(two({"inner_steps": 2}, {}).state_dict())
    assert [group["inner_steps"] for group in other.param_groups] == [2, 3]


def test_another_norm_is_refused_in_mid_loop_only() -> None:
    model, opt = make(inner_steps=4)
    for done, start in ((4, 0), (6, 4)):
        train(model, opt, start, done)
        _, other = make(inner_steps=4, norm=math.inf)
        if done == 4:
            other.load_state_dict(opt.state_dict())
            assert other.param_groups[0]["norm"] == 2
        else:
            with pytest.raises(ConfigError, match=r"group 0 .* norm = 2, this optimizer has inf"):
                other.load_state_dict(opt.state_dict())


def test_names_protect_parameters_of_equal_shape() -> None:
    def named(*names: str) -> FrankWolfe:
        return FrankWolfe([(name, nn.Parameter(torch.ones(2))) for name in names])

    with pytest.raises(ConfigError, match="saved with \\['a', 'b'\\]"):
        named("b", "a").load_state_dict(named("a", "b").state_dict())


def test_a_state_follows_its_parameters_to_another_dtype() -> None:
    model, opt = make(inner_steps=4)
    train(model, opt, 0, 6)
    wide, twin = make(inner_steps=4)
    wide.load_state_dict(model.state_dict())
    wide.double()
    twin = FrankWolfe(wide.parameters(), lr=0.05, inner_steps=4)
    twin.load_state_dict(opt.state_dict())
    for p, q in zip(model.parameters(), wide.parameters(), strict=True):
        assert twin.state[q]["anchor"].dtype == torch.float64
        assert torch.equal(twin.state[q]["anchor"], opt.state[p]["anchor"].double())
        assert torch.equal(twin.state[q]["direction"], opt.state[p]["direction"].double())


@pytest.mark.parametrize(
    "options",
    [
        {}, {"norm": 3}, {"norm": "spectral"}, {"scope": "global"}, {"gradient_momentum": 0.9},
        {"track": ["gap", "angle"]}, {"trajectory": "released"}, {"solver": "projected-gradient"},
        {"adaptive": "agreement"},
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("source", "target", "apart"),
    [
        (torch.float32, torch.float64, 1e-5),
        (torch.float64, torch.float32, 1e-5),
        (torch.float32, torch.bfloat16, 3e-2),
        (torch.bfloat16, torch.float32, 3e-2),
    ],
)
def test_a_state_that_was_cast_goes_on_as_before(
    source: torch.dtype, target: torch.dtype, apart: float, options: Any
) -> None:
    """From the middle of a loop over two more of its outer updates, rounding apart."""
    model, opt = make(dtype=source, lr=0.01, inner_steps=4, **options)
    train(model, opt, 0, 6)
    other, twin = make(dtype=target, lr=0.01, inner_steps=4, **options)
    other.load_state_dict(model.state_dict())
    twin.load_state_dict(opt.state_dict())
    held = [x for own in twin.state.values() for x in own.values() if torch.is_tensor(x)]
    assert {x.dtype for x in held} == {target}
    train(model, opt, 6, 14)
    train(other, twin, 6, 14)
    assert (twin.inner_step, twin.updates) == (2, 3)
    for p, q in zip(weights(model), weights(other), strict=True):
        torch.testing.assert_close(p.double(), q.double(), rtol=0, atol=apart)


def test_the_state_carries_the_adaptive_radius() -> None:
    w = nn.Parameter(torch.zeros(4))
    opt = FrankWolfe([w], lr=0.1, inner_steps=4, adaptive="agreement")
    for _ in range(12):
        w.grad = torch.ones(4)
        opt.step()
    assert opt.diagnostics()["radius"] == pytest.approx([0.8])
    twin = FrankWolfe([nn.Parameter(torch.zeros(4))], lr=0.1, inner_steps=4, adaptive="agreement")
    twin.load_state_dict(opt.state_dict())
    assert twin.diagnostics()["radius"] == opt.diagnostics()["radius"]
    assert twin.diagnostics()["signal"] == [1.0]


_RESUME = """
import sys, torch
sys.path.insert(0, {folder!r})
from test_state import make, train, weights
model, opt = make(inner_steps=4)
saved = torch.load({file!r}, weights_only=True)
model.load_state_dict(saved["model"]); opt.load_state_dict(saved["opt"])
train(model, opt, 6, 15)
torch.save(weights(model), {file!r})
"""


def test_another_process_goes_on_bit_for_bit(tmp_path: Path) -> None:
    model, opt = make(inner_steps=4)
    train(model, opt, 0, 6)
    file = str(tmp_path / "state.pt")
    torch.save({"model": model.state_dict(), "opt": opt.state_dict()}, file)
    code = _RESUME.format(folder=str(Path(__file__).parent), file=file)
    subprocess.run([sys.executable, "-c", code], check=True)
    train(model, opt, 6, 15)
    assert same(weights(model), torch.load(file, weights_only=True))


@pytest.mark.parametrize("trajectory", ["paper", "released"])
def test_the_state_holds_two_buffers_of_the_parameters_size(trajectory: str) -> None:
    model, opt = make(inner_steps=4, trajectory=trajectory)
    train(model, opt, 0, 6)
    for p in model.parameters():
        held = [x for x in opt.state[p].values() if isinstance(x, torch.Tensor)]
        assert sum(x.numel() for x in held) == 2 * p.numel()


@pytest.mark.parametrize("options", [{}, {"gradient_momentum": 0.5, "track": ["angle"]}])
def test_between_loops_the_saved_state_holds_no_tensor_and_goes_on_bit_for_bit(
    options: Any,
) -> None:
    (model, opt), (twin, other) = (make(inner_steps=3, **options) for _ in range(2))
    train(model, opt, 0, 6)
    saved = opt.state_dict()
    assert not [v for own in saved["state"].values() for v in own.values() if torch.is_tensor(v)]
    assert all("direction" in own for own in opt.state.values()), "the optimizer keeps its own"
    twin.load_state_dict(model.state_dict())
    other.load_state_dict(saved)
    torch.testing.assert_close(other.agreement(), opt.agreement(), rtol=0, atol=0)
    for each, its in ((model, opt), (twin, other)):
        train(each, its, 6, 13)
    assert same(weights(model), weights(twin))


@pytest.mark.parametrize("way", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_tells_all_that_the_original_does(way: Any) -> None:
    model, opt = make(inner_steps=2, nonfinite="skip", track="gap")
    train(model, opt, 0, 2)
    for p in model.parameters():
        p.grad = torch.full_like(p, math.nan)
    opt.step()
    assert opt.diagnostics()["skipped"] == 1
    assert repr(way(opt).diagnostics()) == repr(opt.diagnostics())


def test_a_mid_loop_state_of_another_solver_is_refused() -> None:
    model, opt = make(inner_steps=4)
    train(model, opt, 0, 6)
    _, other = make(inner_steps=4, solver="projected-gradient")
    with pytest.raises(ConfigError, match=r"solver = 'VertexSteps'.*'ProjectedGradient'"):
        other.load_state_dict(opt.state_dict())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # C kernels; torch
def test_after_the_state_was_cleared_the_walk_is_kept_in_the_new_one(dtype: torch.dtype) -> None:
    w = nn.Parameter(torch.zeros(2, dtype=dtype))
    opt = FrankWolfe([w], lr=1.0, inner_steps=3, outer=None)
    for step in range(5):
        if step == 3:
            opt.state.clear()
        w.grad = torch.tensor([1.0, 0.0], dtype=dtype)
        opt.step()
    assert w.tolist() == [-2.0, 0.0]
    with opt.anchored():
        assert w.tolist() == [-1.0, 0.0]


def test_options_that_an_older_outer_optimizer_lacked_keep_their_defaults() -> None:
    model, opt = make(inner_steps=2)
    train(model, opt, 0, 3)
    saved = copy.deepcopy(opt.state_dict())
    for group in (*saved["param_groups"], *saved["outer"]["param_groups"]):
        del group["amsgrad"]
    twin_model, twin = make(inner_steps=2)
    twin_model.load_state_dict(model.state_dict())
    twin.load_state_dict(saved)
    for of, to in ((model, opt), (twin_model, twin)):
        train(of, to, 3, 8)
    assert twin.param_groups[0]["amsgrad"] is False
    assert same(weights(model), weights(twin_model))
