"""Every torch optimizer outside, every solver and ball inside, on the problems torch tests with."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fwrnn_core import FrankWolfe
from fwrnn_core.optim.balls import ball_for

OUTERS: dict[str, Any] = {
    "none": None,
    "sgd": partial(torch.optim.SGD, momentum=0.9, nesterov=True),
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam,
    "adamax": torch.optim.Adamax,
    "adagrad": torch.optim.Adagrad,
    "adadelta": partial(torch.optim.Adadelta, rho=0.5),
    "rmsprop": torch.optim.RMSprop,
    "rprop": torch.optim.Rprop,
    "asgd": torch.optim.ASGD,
    "adafactor": partial(torch.optim.Adafactor, eps=(None, 1.0)),
}


# Takes matrices only, so that the mixed shapes below are not for it.
MATRICES_ONLY = {"muon": torch.optim.Muon} if hasattr(torch.optim, "Muon") else {}


def test_no_optimizer_of_torch_is_left_out() -> None:
    """LBFGS and SparseAdam are refused with a sentence: ``test_bad_arguments``."""
    every = {
        cls
        for cls in vars(torch.optim).values()
        if isinstance(cls, type) and issubclass(cls, torch.optim.Optimizer)
    } - {torch.optim.Optimizer, torch.optim.LBFGS, torch.optim.SparseAdam}
    known = {getattr(o, "func", o) for o in [*OUTERS.values(), *MATRICES_ONLY.values()]}
    assert every <= known


def parabola(params: list[nn.Parameter]) -> Tensor:
    return sum(((p - 1.5).square().sum() for p in params), torch.zeros(()))


def rosenbrock(params: list[nn.Parameter]) -> Tensor:
    x, y = params[0]
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def matrix_parabola(params: list[nn.Parameter]) -> Tensor:
    target = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    return (params[0] @ params[0].T - target @ target.T).square().mean()


def descend(
    opt: FrankWolfe, schedule: Any, loss: Callable[[], Tensor], loops: int, inner_steps: int
) -> None:
    """So many whole loops of minibatch steps on a loss that is always the same."""
    for _ in range(loops):
        for _ in range(inner_steps):
            opt.zero_grad()
            loss().backward()
            opt.step()
        schedule.step()


@pytest.mark.parametrize("outer", OUTERS)
def test_any_torch_optimizer_outside(outer: str) -> None:
    params = [nn.Parameter(torch.zeros(s)) for s in [(3,), (2, 2), ()]]
    lr = {"adadelta": 30.0, "adagrad": 0.5, "radam": 0.2}.get(outer, 0.05)
    opt = FrankWolfe(params, lr=lr, radius=0.05, inner_steps=2, outer=OUTERS[outer])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 120)

    def closure() -> Tensor:
        opt.zero_grad()
        loss = parabola(params)
        loss.backward()
        return loss

    start = opt.step(closure).item()
    for _ in range(119):
        opt.step(closure)
        schedule.step()
    assert parabola(params).item() < 0.03 * start


@pytest.mark.parametrize("outer", MATRICES_ONLY)
def test_outer_optimizers_for_matrices_only(outer: str) -> None:
    params = [nn.Parameter(torch.zeros(3, 2))]
    opt = FrankWolfe(params, lr=0.05, radius=0.05, inner_steps=2, outer=MATRICES_ONLY[outer])
    start = parabola(params).item()
    for _ in range(240):
        opt.zero_grad()
        parabola(params).backward()
        opt.step()
    assert parabola(params).item() < 0.03 * start


@pytest.mark.parametrize("solver", ["frank-wolfe", "projected-gradient", "trust-region"])
@pytest.mark.parametrize("inner_steps", [1, 5])
def test_every_solver_on_mixed_shapes(solver: str, inner_steps: int) -> None:
    params = [nn.Parameter(torch.zeros(s)) for s in [(3,), (2, 2), (), (1, 2, 1)]]
    scope = "global" if solver == "trust-region" else "tensor"
    opt = FrankWolfe(
        params, lr=0.2, inner_steps=inner_steps, solver=solver, scope=scope, outer=None
    )
    schedule = torch.optim.lr_scheduler.ExponentialLR(opt, 0.97)

    def closure() -> Tensor:
        opt.zero_grad()
        loss = parabola(params)
        loss.backward()
        return loss

    for _ in range(150):
        opt.step(closure)
        schedule.step()
    assert parabola(params).item() < 1e-2


@pytest.mark.parametrize("norm", [1, 1.5, 2, 3, math.inf, "spectral", "nuclear"])
def test_matrix_parabola(norm: Any) -> None:
    w = [nn.Parameter(torch.eye(2))]
    opt = FrankWolfe(w, lr=0.2, inner_steps=3, norm=norm, outer=None)
    schedule = torch.optim.lr_scheduler.ExponentialLR(opt, 0.98)
    descend(opt, schedule, lambda: matrix_parabola(w), 200, 3)
    assert matrix_parabola(w).item() < 1e-2


@pytest.mark.parametrize("trajectory", ["paper", "released"])
def test_rosenbrock(trajectory: str) -> None:
    w = [nn.Parameter(torch.tensor([-1.2, 1.0]))]
    opt = FrankWolfe(w, lr=0.05, inner_steps=2, trajectory=trajectory)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 500)
    descend(opt, schedule, lambda: rosenbrock(w), 500, 2)
    assert rosenbrock(w).item() < 1e-2


def test_maximize_ascends() -> None:
    w = [nn.Parameter(torch.zeros(3))]
    opt = FrankWolfe(w, lr=0.05, inner_steps=2, maximize=True)
    for _ in range(400):
        opt.zero_grad()
        (-parabola(w)).backward()
        opt.step()
    assert parabola(w).item() < 0.01


@pytest.mark.parametrize("cell", [nn.RNN, nn.LSTM, nn.GRU])
def test_recurrent_weights_and_biases_in_balls_of_their_own(cell: Any) -> None:
    """Spectral for hidden-to-hidden, ∞ for the biases, 2 for the rest; every point of two loops."""
    torch.manual_seed(0)
    net = cell(3, 5)
    norms = {"weight_hh_l0": "spectral", "bias_hh_l0": math.inf, "bias_ih_l0": math.inf}
    groups = [{"params": [p], "norm": norms.get(n, 2)} for n, p in net.named_parameters()]
    opt = FrankWolfe(groups, lr=0.1, inner_steps=3, outer=None)
    for _ in range(2):
        anchors = [p.detach().clone() for p in net.parameters()]
        for _ in range(3):
            opt.zero_grad()
            net(torch.randn(4, 2, 3))[0].square().sum().backward()
            opt.step()
            for (name, p), anchor in zip(net.named_parameters(), anchors, strict=True):
                norm = norms.get(name, 2)
                moved = ball_for(norm, p.dim()).norm(p.detach() - anchor)
                assert 0 < float(moved) <= 0.1 * (1 + 1e-5)
