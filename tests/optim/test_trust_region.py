"""Steihaug's conjugate gradients and the solver around them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fwrnn_core import FrankWolfe
from fwrnn_core.errors import ConfigError
from fwrnn_core.optim import NonFiniteGradient, TrustRegion
from fwrnn_core.optim.trust_region import steihaug


def symmetric(seed: int, size: int, definite: bool) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(size, size, generator=generator, dtype=torch.float64)
    g = torch.randn(size, generator=generator, dtype=torch.float64)
    return (a @ a.T + 0.1 * torch.eye(size) if definite else a + a.T), g


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    size=st.integers(1, 8),
    definite=st.booleans(),
    radius=st.floats(1e-4, 1e3),
    steps=st.integers(1, 20),
)
def test_inside_the_ball_and_no_worse_than_cauchy(
    seed: int, size: int, definite: bool, radius: float, steps: int
) -> None:
    h, g = symmetric(seed, size, definite)
    found = steihaug(g, lambda v: h @ v, radius, steps, tolerance=1e-10)

    def model(s: Tensor) -> float:
        return float(g @ s + 0.5 * s @ h @ s)

    curvature = float(g @ h @ g)
    length = float(g.norm())
    tau = 1.0 if curvature <= 0 else min(1.0, length**3 / (radius * curvature))
    cauchy = -tau * radius / length * g
    assert float(found.step.norm()) <= radius * (1 + 1e-12)
    assert model(found.step) <= model(cauchy) + 1e-9 * abs(model(cauchy))
    assert found.decrease == pytest.approx(-model(found.step), rel=1e-7)
    assert found.products <= steps
    assert found.at_boundary == (abs(float(found.step.norm()) - radius) < 1e-9 * radius)


def test_exact_where_the_newton_step_fits() -> None:
    h, g = symmetric(0, 6, True)
    found = steihaug(g, lambda v: h @ v, 1e3, 20, tolerance=1e-12)
    assert torch.allclose(found.step, -torch.linalg.solve(h, g))
    assert not found.at_boundary


def net(dtype: torch.dtype = torch.float64) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).to(dtype)


def data(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    x = torch.randn(20, 3, generator=torch.Generator().manual_seed(0)).to(dtype)
    return x, x.sum(1, keepdim=True).sin()


def run(solver: TrustRegion, backward: bool, steps: int = 10, **options: Any) -> tuple[Any, Any]:
    model, (x, y) = net(), data()
    opt = FrankWolfe(
        model.parameters(),
        **{"radius": 0.5, "inner_steps": 6, "scope": "global", "outer": None, **options},
        solver=solver,
    )

    def closure() -> Tensor:
        opt.zero_grad()
        loss = (model(x) - y).square().mean()
        if backward:
            loss.backward()
        return loss

    return [opt.step(closure).item() for _ in range(steps)], opt


def test_both_hessians_agree_and_descend() -> None:
    exact, opt = run(TrustRegion(hessian="double-backward"), backward=False)
    differences, _ = run(TrustRegion(hessian="finite-differences"), backward=True)
    silent, _ = run(TrustRegion(hessian="finite-differences"), backward=False)
    automatic, _ = run(TrustRegion(), backward=False)
    fallback, _ = run(TrustRegion(), backward=True)
    assert exact == automatic
    assert differences == fallback == silent
    assert differences == pytest.approx(exact, rel=1e-5)
    assert exact[-1] < 0.3 * exact[0]
    assert opt.updates == 10
    assert float(opt.agreement()) <= 1 + 1e-12


def test_adaptive_trust_region_is_the_classical_method() -> None:
    losses, opt = run(TrustRegion(), False, steps=25, adaptive="ratio", radius=0.05)
    assert losses[-1] < 0.01 * losses[0]
    assert opt.diagnostics()["radius"][0] > 0.05


class Once(torch.autograd.Function):
    """A layer without a second derivative, like a fused recurrence."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.square()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return 2 * ctx.saved_tensors[0] * grad


@pytest.mark.parametrize("hessian", ["auto", "double-backward"])
def test_models_without_second_derivative(hessian: str) -> None:
    w = nn.Parameter(torch.tensor([3.0, 1.0], dtype=torch.float64))
    opt = FrankWolfe(
        [w],
        radius=10.0,
        inner_steps=4,
        scope="global",
        outer=None,
        solver=TrustRegion(hessian=hessian),
    )

    def closure() -> Tensor:
        return Once.apply(w).sum()

    if hessian == "auto":
        opt.step(closure)
        assert w.tolist() == pytest.approx([0.0, 0.0], abs=1e-6)
    else:
        with pytest.raises(ConfigError, match="no second derivative"):
            opt.step(closure)


class Silent(torch.autograd.Function):
    """A square whose derivative does not tell autograd that it depends on its input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.x = x.detach().clone()
        return x.square()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return 2 * ctx.x * grad


def test_a_curvature_that_a_layer_hides_is_seen_all_the_same() -> None:
    w = nn.Parameter(torch.tensor([3.0, 1.0], dtype=torch.float64))
    opt = FrankWolfe([w], radius=10.0, inner_steps=4, scope="global", outer=None,
                     solver="trust-region")  # fmt: skip
    opt.step(lambda: (Silent.apply(w) + w.square()).sum())
    assert w.tolist() == pytest.approx([0.0, 0.0], abs=1e-6)


def test_what_a_trust_region_cannot_do_is_said() -> None:
    w = nn.Parameter(torch.ones(2))
    for options in ({}, {"scope": "global", "norm": 3}):
        with pytest.raises(ConfigError, match="one Euclidean ball"):
            FrankWolfe([w], solver="trust-region", **options)
    with pytest.raises(ConfigError, match="released"):
        FrankWolfe([w], solver="trust-region", scope="global", trajectory="released")
    opt = FrankWolfe([w], solver="trust-region", scope="global", inner_steps=2)
    w.grad = torch.ones(2)
    with pytest.raises(ConfigError, match="closure"):
        opt.step()
    with pytest.raises(ConfigError, match="neither called backward"):
        opt.step(lambda: 1.0)

    def closure() -> Tensor:
        loss = (w * float("nan")).sum()
        loss.backward()
        return loss

    with pytest.raises(NonFiniteGradient):
        opt.step(closure)
    assert w.tolist() == [1.0, 1.0]
    for bad in ({"tolerance": 0.0}, {"hessian": "exact"}):
        with pytest.raises(ConfigError):
            TrustRegion(**bad)
    assert opt.diagnostics()["inner_step"] == 0
    with pytest.raises(ConfigError, match="without calling backward"):
        run(TrustRegion(hessian="double-backward"), backward=True)


@pytest.mark.parametrize("backward", [True, False])
def test_a_sparse_gradient_is_refused(backward: bool) -> None:
    table = nn.Embedding(5, 2, sparse=True)
    opt = FrankWolfe(table.parameters(), scope="global", solver="trust-region", outer=None)

    def closure() -> Tensor:
        loss = table(torch.arange(3)).sum()
        if backward:
            loss.backward()
        return loss  # type: ignore[no-any-return]

    with pytest.raises(ConfigError, match="sparse=False"):
        opt.step(closure)


def test_maximize_climbs() -> None:
    w = nn.Parameter(torch.tensor([0.5, -0.2], dtype=torch.float64))
    opt = FrankWolfe(
        [w], radius=5.0, scope="global", solver="trust-region", maximize=True, outer=None
    )
    opt.step(lambda: -(w - 1).square().sum())
    assert w.tolist() == pytest.approx([1.0, 1.0])


def test_the_angle_to_an_ascent_is_taken_from_the_gradient_of_what_is_minimized() -> None:
    w = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    opt = FrankWolfe(
        [w],
        **{"radius": 0.1, "scope": "global", "solver": "trust-region", "outer": None},
        maximize=True,
        track="angle",
    )
    opt.step(lambda: w @ torch.tensor([3.0, 4.0]).double())
    assert w.tolist() == pytest.approx([0.06, 0.08])
    assert opt.diagnostics()["angle"] == pytest.approx([0.0], abs=1e-4)


def test_differences_are_taken_within_the_ball_that_the_model_is_for() -> None:
    """Beyond a kink outside of the ball the loss bends otherwise."""
    w = nn.Parameter(torch.tensor([1e3, 0.0], dtype=torch.float64))

    def closure() -> Tensor:
        opt.zero_grad()
        slope, kink = w[1], (w[1].abs() - 1e-4).clamp(min=0)
        loss = slope + 50 * w[1] ** 2 + 1e9 * kink**2 + 0 * w[0]
        loss.backward()
        return loss

    opt = FrankWolfe([w], radius=1e-5, inner_steps=2, scope="global", solver="trust-region",
                     outer=None, adaptive="ratio")  # fmt: skip
    opt.step(closure)
    assert opt.diagnostics()["signal"] == pytest.approx([1.0], rel=1e-3)


def test_by_default_the_model_s_gradient_shrinks_a_hundredfold() -> None:
    curvature = torch.linspace(1, 30, 12, dtype=torch.float64)
    w = nn.Parameter(torch.ones(12, dtype=torch.float64))
    opt = FrankWolfe([w], radius=1e3, inner_steps=12, scope="global", solver="trust-region",
                     outer=None)  # fmt: skip
    opt.step(lambda: 0.5 * (curvature * w.square()).sum())
    assert float((curvature * w.detach()).norm() / curvature.norm()) <= 1e-2


@pytest.mark.parametrize("backward", [False, True])
def test_parameters_that_the_loss_does_not_depend_on_rest(backward: bool) -> None:
    a, b = (nn.Parameter(torch.ones(2)) for _ in "ab")
    opt = FrankWolfe(
        [a, b], lr=0.1, solver="trust-region", scope="global", outer=torch.optim.AdamW,
        weight_decay=0.5,
    )  # fmt: skip

    def closure() -> Tensor:
        opt.zero_grad()
        loss = (a - 3).square().sum()
        if backward:
            loss.backward()
        return loss

    for _ in range(3):
        opt.step(closure)
    assert b.tolist() == [1.0, 1.0]
    assert b.grad is None
    assert a[0] > 1


def test_a_closure_that_fails_after_the_step_leaves_the_weights_as_they_were() -> None:
    w, calls = nn.Parameter(torch.tensor([3.0, 4.0])), []
    opt = FrankWolfe([w], radius=1.0, inner_steps=4, scope="global", solver="trust-region",
                     adaptive="ratio")  # fmt: skip

    def closure() -> Tensor:
        calls.append(1)
        if len(calls) == 2:  # where the loss at ω_t + Δ_K is asked for
            raise ZeroDivisionError
        return w.square().sum()

    with pytest.raises(ZeroDivisionError):
        opt.step(closure)
    assert w.tolist() == [3.0, 4.0]
    assert opt.inner_step == 0


def test_memory_that_runs_out_is_no_lack_of_a_second_derivative() -> None:
    w, calls = nn.Parameter(torch.tensor([3.0, 4.0])), []
    opt = FrankWolfe([w], scope="global", solver="trust-region")

    def exhausted(_: Tensor) -> None:
        raise torch.OutOfMemoryError

    def closure() -> Tensor:
        calls.append(1)
        h = 1.0 * w
        h.register_hook(exhausted)
        return h.square().sum()

    with pytest.raises(torch.OutOfMemoryError):
        opt.step(closure)
    assert len(calls) == 1, "differences would need as much, again and again"
