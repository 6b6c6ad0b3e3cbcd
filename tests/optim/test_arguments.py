"""Arguments as users give them: keywords of the outer optimizer, NumPy's numbers, other names."""

from __future__ import annotations

import copy
import json
import math
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import fwrnn_core
from fwrnn_core import FrankWolfe, lmo
from fwrnn_core.errors import ConfigError

SGD, Adam, AdamW = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW


def weight(size: int = 2) -> nn.Parameter:
    return nn.Parameter(torch.ones(size))


def walk(opt: FrankWolfe, steps: int) -> list[float]:
    (w,) = opt.param_groups[0]["params"]
    for i in range(steps):
        w.grad = torch.tensor([1.0 + i, -0.5])
        opt.step()
    return w.tolist()


def refused(call: Callable[[], Any]) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConfigError) as error:
            call()
    return str(error.value)


@pytest.mark.parametrize(
    ("outer", "options"),
    [
        (AdamW, {"weight_decay": 0.1, "betas": (0.5, 0.9)}),
        (Adam, {"eps": 1e-2, "foreach": True}),
        (SGD, {"momentum": 0.9, "nesterov": True}),
        (partial(SGD, momentum=0.1), {"momentum": 0.9}),
        (lambda params, lr, **others: SGD(params, lr=lr, **others), {"momentum": 0.9}),
    ],
)
def test_keywords_go_to_the_outer_optimizer(outer: Any, options: dict[str, Any]) -> None:
    opt = FrankWolfe([weight()], lr=0.1, inner_steps=2, outer=outer, **options)
    twin = FrankWolfe([weight()], lr=0.1, inner_steps=2, outer=partial(outer, **options))
    assert walk(opt, 6) == pytest.approx(walk(twin, 6), rel=1e-6)
    (name, value), *_ = options.items()
    assert opt.param_groups[0][name] == value
    opt.add_param_group({"params": [weight()]})
    assert opt.param_groups[1][name] == value
    twin = copy.deepcopy(opt)
    twin.load_state_dict(opt.state_dict())
    assert twin.param_groups[0][name] == value


def test_a_group_s_own_option_comes_before_the_keyword() -> None:
    groups = [{"params": [weight()], "momentum": 0.5}, {"params": [weight()]}]
    opt = FrankWolfe(groups, outer=SGD, momentum=0.9)
    assert opt.outer is not None
    for held in (opt, opt.outer):
        assert [group["momentum"] for group in held.param_groups] == [0.5, 0.9]


def test_keywords_leave_adam_its_fused_update() -> None:
    opt = FrankWolfe([weight()], weight_decay=0.1)
    assert opt.outer is not None
    assert opt.outer.defaults["fused"] is True


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight_deacy": 0.1}, "unknown option 'weight_deacy'. Did you mean 'weight_decay'"),
        ({"inner_step": 5}, "Did you mean 'inner_steps'"),
        ({"K": 5}, "unknown option 'K'. Did you mean 'inner_steps'"),
        ({"delta": 0.1}, "Did you mean 'radius'"),
        ({"momentum": 0.9}, "unknown option 'momentum'"),  # of SGD, not of Adam
        ({"momentum": 0.9, "outer": None}, "outer=None has none"),
        ({"inner_step": 5, "outer": None}, "Did you mean 'inner_steps'"),
        ({"weight_decay": 0.1, "outer": lambda params, lr: Adam(params, lr)}, "'weight_decay'"),
        ({"inner_step": 5, "outer": lambda params, **o: SGD(params, **o)}, "'inner_steps'"),
        ({"weight_decay": 0.1, "outer": "adam"}, "outer is 'adam'"),
        (
            {"outer": SGD([torch.zeros(1)])},
            "outer is an object of type SGD: give an optimizer class",
        ),
        ({"outer": FrankWolfe}, "FrankWolfe cannot be the outer optimizer"),
        ({"norm": "l2"}, "unknown norm 'l2'. Did you mean norm=2?"),
        ({"norm": "2"}, "Did you mean norm=2?"),
        ({"norm": "fro"}, "Did you mean norm=2?"),
        ({"norm": "inf"}, "Did you mean norm=math.inf?"),
        ({"norm": "Linf"}, "Did you mean norm=math.inf?"),
        ({"norm": "l1"}, "Did you mean norm=1?"),
        ({"norm": "1.5"}, "Did you mean norm=1.5?"),
        ({"norm": "nuc"}, "Did you mean norm='nuclear'?"),
        ({"norm": "0.5"}, "unknown norm '0.5'. Valid"),
        ({"inner_steps": np.float64(5)}, "inner_steps = 5.0"),
        ({"inner_steps": True}, "inner_steps = True"),
        ({"inner_steps": np.int64(0)}, "inner_steps = 0"),
    ],
)
def test_other_names_and_values_are_refused_with_what_was_meant(
    options: dict[str, Any], message: str
) -> None:
    assert message in refused(lambda: FrankWolfe([weight()], **options))


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ({"param": [weight()]}, "without 'params' (its keys: 'param'). Did you mean 'params'"),
        ({"parameters": [weight()], "lr": 0.1}, "Did you mean 'params' by 'parameters'?"),
        ({"lr": 0.1}, "without 'params' (its keys: 'lr')."),
        ({}, "without 'params' (its keys: none)."),
        # The name of a counter of the loop's.
        ({"params": [weight()], "inner_step": 3}, "'inner_step'. Did you mean 'inner_steps'"),
        ({"params": [weight()], "weight_deacy": 3}, "Did you mean 'weight_decay'"),
        ({"params": [weight()], "grad_momentum": 3}, "Did you mean 'gradient_momentum'"),
    ],
)
def test_what_a_group_lacks_or_misspells_is_refused(group: dict[str, Any], message: str) -> None:
    assert message in refused(lambda: FrankWolfe([{"params": [weight()]}, dict(group)]))
    opt = FrankWolfe([weight()])
    assert message in refused(lambda: opt.add_param_group(dict(group)))
    assert len(opt.param_groups) == 1


def test_an_option_of_the_outer_optimizer_in_another_s_name_is_still_a_slip() -> None:
    """The key holds SGD's "momentum", and is nearer to an option of ours."""
    slip = [{"params": [weight()], "grad_momentum": 0.5}]
    assert "'gradient_momentum'" in refused(lambda: FrankWolfe(slip, outer=SGD))


def test_the_groups_of_another_optimizer_are_taken_over() -> None:
    opt = FrankWolfe([weight()], lr=0.1, inner_steps=4)
    walk(opt, 3)
    twin = FrankWolfe([dict(group) for group in opt.param_groups], lr=0.1)
    assert (twin.param_groups[0]["inner_steps"], twin.inner_step, opt.inner_step) == (4, 0, 3)


def test_a_user_s_own_keys_may_contain_the_name_of_an_option() -> None:
    own = {"weight_decay_mult": 0.5, "no_weight_decay": True, "name": "head"}
    opt = FrankWolfe([{"params": [weight()], **own}])
    opt.add_param_group({"params": [weight()], **own})
    for group in opt.param_groups:
        assert own.items() <= group.items()


@pytest.mark.parametrize("way", ["foreach", "fused"])
@pytest.mark.parametrize("by_group", [False, True])
def test_fused_is_no_answer_to_another_wish(way: str, by_group: bool) -> None:
    wish: dict[str, Any] = {way: False}
    opt = FrankWolfe(
        [{"params": [weight()], **(wish if by_group else {})}], **({} if by_group else wish)
    )
    assert opt.outer is not None
    (group,) = opt.outer.param_groups
    assert group[way] is False
    assert not group["fused"]


def test_an_outer_optimizer_that_wants_a_graph_is_refused() -> None:
    groups = [{"params": [weight()], "differentiable": True}]
    for make in (
        lambda: FrankWolfe([weight()], differentiable=True),
        lambda: FrankWolfe([weight()], outer=partial(SGD, differentiable=True)),
        lambda: FrankWolfe(groups),
        lambda: FrankWolfe([weight()]).add_param_group(groups[0]),
    ):
        assert "differentiable = True" in refused(make)


def test_an_option_is_listed_once() -> None:
    _, valid = refused(lambda: FrankWolfe([weight()], momentum=0.9)).split("Valid: ")
    names = valid.split(", ")
    assert len(names) == len(set(names))
    assert {"maximize", "betas", "lr"} <= set(names)
    assert "differentiable" not in names


@pytest.mark.parametrize("form", [list, iter, lambda ws: [("a", ws[0]), ("b", ws[1])]])
def test_a_parameter_that_is_given_twice_is_refused(form: Any) -> None:
    w = weight(3)
    message = refused(lambda: FrankWolfe(form([w, w])))
    assert "shape (3,) is in the group twice" in message
    assert "dict.fromkeys" in message
    opt = FrankWolfe([weight()])
    assert "twice" in refused(lambda: opt.add_param_group({"params": form([w, w])}))
    assert len(opt.param_groups) == 1


def test_parameters_come_in_every_form_that_torch_takes() -> None:
    net = nn.Linear(2, 2)
    forms: list[Any] = [
        net.parameters(),
        net.named_parameters(),
        [{"params": net.weight}, {"params": iter([net.bias])}],
        [{"params": net.named_parameters()}],
    ]
    for form in forms:
        opt = FrankWolfe(form)
        assert sum(len(group["params"]) for group in opt.param_groups) == 2
    with pytest.raises(TypeError, match="ordered"):
        FrankWolfe([{"params": {net.weight}}])


def test_numbers_of_numpy_become_plain_ones() -> None:
    options: dict[str, Any] = {
        "lr": np.float32(0.5),
        "radius": np.float64(0.25),
        "inner_steps": np.int64(3),
        "norm": np.int32(2),
        "gradient_momentum": np.float16(0.5),
    }
    opt = FrankWolfe([weight()], **options)
    opt.add_param_group({"params": [weight()], "norm": np.float32(2.0)})
    plain = {"lr": 0.5, "radius": 0.25, "inner_steps": 3, "norm": 2, "gradient_momentum": 0.5}
    for group in opt.param_groups:
        assert {key: group[key] for key in plain} == plain
        assert all(type(group[key]) in (int, float) for key in plain)
    json.dumps(opt.state_dict()["param_groups"])
    opt.param_groups[0]["lr"] = np.float32(0.25)  # as a schedule of one's own would
    json.dumps(opt.state_dict()["param_groups"])
    assert lmo(torch.tensor([3.0, 4.0]), norm=np.float32(2)).tolist() == pytest.approx([-0.6, -0.8])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("inner_steps", 0, "inner_steps = 0"),
        ("inner_steps", 2.5, "inner_steps = 2.5"),
        ("inner_steps", "3", "inner_steps = '3'"),
        ("gradient_momentum", 2.0, "gradient_momentum = 2.0"),
        ("lr", -0.1, "lr = -0.1"),
        ("lr", math.nan, "lr = nan"),
        ("radius", 0.0, "radius = 0.0"),
        ("norm", 0.5, "norm = 0.5"),
    ],
)
@pytest.mark.parametrize("by_closure", [False, True])
def test_what_is_set_later_is_checked_before_the_next_loop(
    key: str, value: Any, message: str, by_closure: bool
) -> None:
    a, b = weight(), weight()
    opt = FrankWolfe([{"params": [a]}, {"params": [b]}], inner_steps=2, lr=0.1)
    a.grad, b.grad = torch.ones(2), torch.ones(2)
    opt.step()
    opt.step()
    held = [w.tolist() for w in (a, b)]
    kept, opt.param_groups[1][key] = opt.param_groups[1][key], value
    assert message in refused(lambda: opt.step(lambda: 0.0) if by_closure else opt.step())
    assert [w.tolist() for w in (a, b)] == held
    assert opt.inner_step == 0
    opt.param_groups[1][key] = kept
    opt.step()
    assert opt.inner_step == 1


@pytest.mark.parametrize("backend", ["auto", "torch"])
@pytest.mark.parametrize("done", [0, 1, 2])
@pytest.mark.parametrize("by_closure", [False, True])
def test_a_step_size_is_checked_for_steps_that_come_with_a_larger_k(
    by_closure: bool, done: int, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """γ_3 = 1.5 would lead out of the ball: before the loop, or in its middle, nothing moves."""
    if by_closure and done == 1:
        pytest.skip("a closure runs a whole loop")
    monkeypatch.setenv("FWRNN_BACKEND", backend)
    w = weight()
    opt = FrankWolfe([w], radius=1.0, inner_steps=2, step_size=lambda k: 1.5 if k > 2 else 1 / k)
    w.grad = torch.ones(2)
    for _ in range(done):
        opt.step()
    opt.param_groups[0]["inner_steps"] = 4
    if done == 1:
        opt.step()  # γ_2 is fine
    held, stood = w.tolist(), opt.inner_step
    message = refused(lambda: opt.step(lambda: 0.0) if by_closure else opt.step())
    assert message == "step_size(3) = 1.5: must be a number within [0, 1]"
    assert w.tolist() == held
    assert opt.inner_step == stood
    opt.param_groups[0]["inner_steps"] = 2
    opt.restart()
    opt.step()
    opt.step()
    assert opt.updates == 1 + (done == 2)


def test_a_schedule_may_begin_at_a_rate_of_zero() -> None:
    opt = FrankWolfe([weight()], lr=0.1, inner_steps=2)
    torch.optim.lr_scheduler.LambdaLR(opt, lambda epoch: min(1.0, epoch / 4))
    assert walk(opt, 2) == [1.0, 1.0]


@pytest.mark.parametrize("backend", ["auto", "torch"])
@pytest.mark.parametrize("done", [2, 4])
def test_a_model_converted_after_the_first_step_is_named(
    done: int, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FWRNN_BACKEND", backend)
    net = nn.Linear(3, 2)
    opt = FrankWolfe(net.parameters(), inner_steps=4)

    def step(dtype: torch.dtype) -> None:
        opt.zero_grad()
        net(torch.ones(5, 3, dtype=dtype)).square().mean().backward()
        opt.step()

    for _ in range(done):
        step(torch.float32)
    net.double()
    message = refused(lambda: step(torch.float64))
    assert "is torch.float64 on cpu, the optimizer's state of it torch.float32" in message
    assert opt.inner_step == done % 4
    opt.load_state_dict(opt.state_dict())
    for _ in range(4):
        step(torch.float64)
    assert opt.updates == 1 + done // 4


def test_step_of_a_loss_gets_a_sentence() -> None:
    w = weight()
    opt = FrankWolfe([w])
    loss: Any = w.sum()
    assert "takes a closure, not a Tensor: call loss.backward()" in refused(lambda: opt.step(loss))


def test_a_closure_without_backward_is_told() -> None:
    w = weight()
    opt = FrankWolfe([w])

    def closure() -> Tensor:
        opt.zero_grad()
        return w.square().sum()

    with pytest.warns(UserWarning, match="must call loss.backward") as said:
        assert opt.step(closure).item() == 2.0
    assert [w.filename for w in said] == [__file__]
    assert opt.updates == 0


def test_a_closure_may_leave_some_parameters_without_a_gradient() -> None:
    used, unused = weight(), weight()
    opt = FrankWolfe([used, unused])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opt.step(lambda: used.square().sum().backward())
    assert opt.updates == 1
    assert unused.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_a_parameter_of_another_shape_than_before_is_named(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FWRNN_BACKEND", backend)
    w = weight(2)
    opt = FrankWolfe([w], inner_steps=2)
    walk(opt, 2)
    w.data, w.grad = torch.ones(3), torch.ones(3)
    assert "of shape (3,) had shape (2,)" in refused(opt.step)
    assert opt.inner_step == 0


def test_an_optimizer_prints_what_it_does_and_not_what_its_loop_keeps() -> None:
    opt = FrankWolfe([weight()], lr=0.5, outer=SGD, momentum=0.9, solver="projected-gradient")
    walk(opt, 2)
    first, *lines = repr(opt).splitlines()
    assert first.startswith("FrankWolfe(outer=SGD, scope='tensor', trajectory='paper', solver=Proj")
    assert lines[0] == "Parameter Group 0"
    assert "    momentum: 0.9" in lines
    assert not any("loop_radius" in line or "inner_step:" in line for line in lines)
    plain = repr(FrankWolfe([weight()], outer=None, step_size=lambda k: 1 / k, track="gap"))
    assert plain.startswith("FrankWolfe(outer=None, ")
    assert "step_size=…, track=['gap']" in plain


USER = """
import math
import torch
import fwrnn_core as fw

w = torch.nn.Parameter(torch.ones(2))
good = fw.FrankWolfe([w], norm="spectral", step_size=lambda k: 1 / k, track=["gap"], betas=(0, 0.9))
fw.FrankWolfe([w], norm=math.inf, scope="global", solver="trust-region", adaptive="ratio")
loss: float = good.step(lambda: 2.0)
good.restart()
fw.Frankwolfe
fw.FrankWolfe([w], scope="tensors")
fw.FrankWolfe([w], trajectory="papr")
fw.FrankWolfe([w], track=["gaps"])
fw.FrankWolfe([w], solver="fw")
word: str = good.updates
"""


def test_a_type_checker_sees_misspelt_names(tmp_path: Path) -> None:
    """Without looking into torch, which would take it a minute."""
    pytest.importorskip("mypy")
    (tmp_path / "user.py").write_text(USER, encoding="utf-8")
    (tmp_path / "mypy.ini").write_text("[mypy]\n[mypy-torch.*]\nfollow_imports = skip\n")
    home = Path(fwrnn_core.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--follow-imports=silent", "user.py"],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(home)},
        capture_output=True,
        text=True,
    )
    lines = USER.splitlines()
    wrong = range(lines.index("fw.Frankwolfe") + 1, len(lines) + 1)
    said = sorted(
        int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line
    )
    assert said == [*wrong], done.stdout
