"""The radius that adapts itself: by agreement beyond chance, and by the ratio of decreases."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fwrnn_core import FrankWolfe
from fwrnn_core.optim import AdaptiveRadius, TrustRegion, reference
from fwrnn_core.optim.adaptive import chance
from fwrnn_core.optim.schedule import rule


def test_agreement_steers_the_radius() -> None:
    w = nn.Parameter(torch.zeros(4))
    opt = FrankWolfe([w], lr=0.1, inner_steps=4, adaptive="agreement")
    for _ in range(4):
        w.grad = torch.ones(4)
        opt.step()
    assert opt.diagnostics()["radius"] == pytest.approx([0.2])
    for _ in range(2):
        for k in range(4):
            w.grad = torch.eye(4)[k]
            opt.step()
    assert opt.diagnostics()["radius"] == pytest.approx([0.05])
    assert opt.diagnostics()["signal"] == pytest.approx([0.0])
    assert opt.param_groups[0]["lr"] == 0.1


@pytest.mark.parametrize("step_size", ["1/k", "2/(k+1)", lambda k: 1 if k == 1 else 0.5])
def test_chance_is_what_orthogonal_vertices_give(step_size: Any) -> None:
    """Algorithm 1 itself, on gradients none of which points along another."""
    inner_steps = 5
    axes = torch.eye(inner_steps, dtype=torch.float64)
    found, _ = reference.inner_loop(
        lambda point, k: [axes[k - 1]],
        [torch.zeros(inner_steps, dtype=torch.float64)],
        **{"delta": 1.0, "inner_steps": inner_steps, "step_size": rule(step_size)},
    )
    expected = float(found[0].norm())
    assert chance(step_size, inner_steps) == pytest.approx(expected)
    assert chance(step_size, inner_steps, workers=4) == pytest.approx(expected / 2)

    w = nn.Parameter(torch.zeros(inner_steps))
    options = {"inner_steps": inner_steps, "step_size": step_size, "adaptive": "agreement"}
    opt = FrankWolfe([w], lr=0.1, **options)
    for g in axes:
        w.grad = g.float()
        opt.step()
    assert float(opt.agreement()) == pytest.approx(expected)
    assert opt.diagnostics()["signal"] == pytest.approx([0.0], abs=1e-6)


def test_chance_of_the_named_step_sizes() -> None:
    for k in range(1, 20):
        assert chance("1/k", k) == pytest.approx(k**-0.5)
        assert chance("2/(k+1)", k) == pytest.approx(math.sqrt(2 * (2 * k + 1) / (3 * k * (k + 1))))


def test_one_vertex_that_is_all_steers_nothing() -> None:
    """γ_k = 1 forgets every vertex but the last: it always agrees with itself."""
    w = nn.Parameter(torch.zeros(2))
    opt = FrankWolfe([w], lr=0.1, inner_steps=2, step_size=lambda k: 1.0, adaptive="agreement")
    for _ in range(4):
        w.grad = torch.ones(2)
        opt.step()
    assert opt.diagnostics()["radius"] == [0.1]


def test_the_adaptive_radius_stays_within_its_bounds() -> None:
    w = nn.Parameter(torch.zeros(4))
    steering = AdaptiveRadius("agreement", bounds=(0.5, 4.0))
    opt = FrankWolfe([w], lr=0.1, inner_steps=4, adaptive=steering)
    seen = []
    for vertex in (torch.ones(4), None):
        for _ in range(5):
            for k in range(4):
                w.grad = torch.eye(4)[k] if vertex is None else vertex.clone()
                opt.step()
            seen += opt.diagnostics()["radius"]
    assert seen[:5] == pytest.approx([0.2, 0.4, 0.4, 0.4, 0.4])
    assert seen[5:] == pytest.approx([0.2, 0.1, 0.05, 0.05, 0.05])


@pytest.mark.parametrize("solver", ["frank-wolfe", "projected-gradient", "trust-region"])
def test_decrease_ratio_steers_the_radius(solver: str) -> None:
    """A quadratic is its own model: ratio 1 and growth for the trust region; for a linear model
    growth while the ball is small against the curvature, shrinking where it is too large."""
    a = torch.diag(torch.tensor([1.0, 3.0], dtype=torch.float64))
    w = nn.Parameter(torch.tensor([4.0, 1.0], dtype=torch.float64))
    steering = AdaptiveRadius("ratio", bounds=(1e-3, 8.0))
    opt = FrankWolfe(
        [w],
        radius=1e-2,
        inner_steps=3,
        scope="global",
        solver=solver,
        adaptive=steering,
        outer=None,
    )

    def closure() -> Tensor:
        opt.zero_grad()
        loss = 0.5 * w @ a @ w
        loss.backward()
        return loss

    for grown in (0.02, 0.04, 0.08):
        opt.step(closure)
        assert opt.diagnostics()["radius"] == pytest.approx([grown])
    if solver == "trust-region":
        assert opt.diagnostics()["signal"] == pytest.approx([1.0])
        return
    opt.param_groups[0]["radius"] = 10.0
    opt.step(closure)
    assert opt.diagnostics()["signal"][0] < 0.25
    assert opt.param_groups[0]["radius_scale"] == 4.0


@pytest.mark.parametrize("outer", [None, torch.optim.SGD])
def test_a_step_that_ends_inside_its_ball_does_not_widen_it(outer: Any) -> None:
    """Newton steps on a quadratic are predicted exactly, and say nothing of a ball that they never
    touch. Under SGD they are not even taken, so that none of them is the last."""
    w = nn.Parameter(torch.tensor([3.0, 4.0], dtype=torch.float64))
    opt = FrankWolfe(
        [w],
        **{"lr": 1e-3, "radius": 10.0, "inner_steps": 2, "scope": "global", "outer": outer},
        solver=TrustRegion(tolerance=1e-6),
        adaptive="ratio",
    )
    for _ in range(10):
        opt.step(lambda: w[0] ** 2 + 5 * w[1] ** 2)
        if outer is not None:
            assert opt.diagnostics()["signal"] == pytest.approx([1.0])
    assert opt.diagnostics()["radius"][0] <= 10.0


def test_a_step_that_climbs_shrinks_the_ball_but_is_taken() -> None:
    w = nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    opt = FrankWolfe([w], radius=20.0, inner_steps=1, adaptive="ratio", outer=None)

    def closure() -> Tensor:
        opt.zero_grad()
        loss = w.square().sum()
        loss.backward()
        return loss

    opt.step(closure)
    assert opt.diagnostics()["signal"] == pytest.approx([-9.0])
    assert opt.diagnostics()["radius"] == [10.0]
    assert w.tolist() == [-19.0]


def test_the_ratio_grows_a_radius_that_binds_any_of_its_balls() -> None:
    """Two tensors, one radius: only the first walks to the boundary."""
    a, b = (nn.Parameter(torch.zeros(2, dtype=torch.float64)) for _ in range(2))
    opt = FrankWolfe([a, b], radius=0.1, inner_steps=2, adaptive="ratio", outer=None)
    calls = iter((0, 1, 0) * 2)

    def closure(bound: bool) -> Tensor:
        k = next(calls)
        a.grad = torch.eye(2, dtype=torch.float64)[0 if bound else k]
        b.grad = torch.eye(2, dtype=torch.float64)[k]
        return (a[0] + b[0]).detach()

    opt.step(lambda: closure(bound=True))
    assert opt.agreement().tolist() == pytest.approx([1.0, 0.5**0.5])
    assert opt.diagnostics()["radius"] == pytest.approx([0.2])
    opt.step(lambda: closure(bound=False))
    assert opt.diagnostics()["signal"] == pytest.approx([1.0])
    assert opt.diagnostics()["radius"] == pytest.approx([0.2])


def test_the_ratio_is_of_increases_where_the_loss_is_maximized() -> None:
    """A linear gain is what its model predicts, so that the ball grows."""
    w = nn.Parameter(torch.zeros(3, dtype=torch.float64))
    opt = FrankWolfe([w], lr=0.1, inner_steps=2, maximize=True, adaptive="ratio", outer=None)

    def closure() -> Tensor:
        opt.zero_grad()
        gain = w @ torch.tensor([1.0, 2.0, -3.0]).double()
        gain.backward()
        return gain

    opt.step(closure)
    assert opt.diagnostics()["signal"] == pytest.approx([1.0])
    assert opt.diagnostics()["radius"] == pytest.approx([0.2])


def test_agreement_steers_by_the_mean_over_the_balls() -> None:
    same, turning = (nn.Parameter(torch.zeros(4)) for _ in range(2))
    opt = FrankWolfe([same, turning], lr=0.1, inner_steps=4, adaptive="agreement")
    for k in range(4):
        same.grad, turning.grad = torch.ones(4), torch.eye(4)[k]
        opt.step()
    # One ball at 1, one at chance (0): the signal is ½, and the radius stays.
    assert opt.diagnostics()["signal"] == pytest.approx([0.5])
    assert opt.diagnostics()["radius"] == pytest.approx([0.1])


def test_a_walk_against_its_first_gradient_shrinks_the_radius() -> None:
    """The released walk leaves the ball, and here its later gradients point back: Δ_K = +δ/2 goes
    up the first gradient, the linear model expects that, and F rises. That is no success."""
    w = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    options = {"inner_steps": 4, "trajectory": "released", "adaptive": "ratio", "outer": None}
    opt = FrankWolfe([w], lr=1.0, **options)

    def closure() -> Tensor:
        opt.zero_grad()
        loss = (w + 0.3).square().sum()
        loss.backward()
        return loss

    before = float(opt.step(closure).detach())
    assert w.tolist() == pytest.approx([0.5])
    assert float((w.detach() + 0.3).square()) > before
    assert opt.diagnostics()["radius"] == [0.5]
    assert math.isnan(opt.diagnostics()["signal"][0])


def test_a_group_that_came_in_mid_loop_steers_from_its_first_whole_loop_on() -> None:
    """With half of the vertices its walk is half as long, however equal they are."""
    early, late = (nn.Parameter(torch.zeros(4)) for _ in range(2))
    opt = FrankWolfe([early], lr=0.1, inner_steps=4, adaptive="agreement")
    radii = []
    for step in range(8):
        if step == 2:
            opt.add_param_group({"params": [late]})
        early.grad, late.grad = torch.ones(4), torch.ones(4)
        opt.step()
        radii.append(opt.diagnostics()["radius"])
    assert radii[3] == pytest.approx([0.2, 0.1])
    assert radii[7] == pytest.approx([0.4, 0.2])


def test_of_a_parameter_without_a_first_gradient_the_model_predicts_nothing() -> None:
    a, b = (nn.Parameter(torch.zeros(1, dtype=torch.float64)) for _ in range(2))
    opt = FrankWolfe([a, b], radius=0.1, inner_steps=2, adaptive="ratio", outer=None)
    calls = iter(range(3))

    def closure() -> Tensor:
        a.grad, b.grad = torch.ones_like(a), torch.ones_like(b) if next(calls) else None
        return (a + b).detach().sum()

    opt.step(closure)
    assert [w.item() for w in (a, b)] == pytest.approx([-0.1, -0.05])
    assert opt.diagnostics()["signal"] == pytest.approx([1.5]), "of −0.1 that it predicts"
