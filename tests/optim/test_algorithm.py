"""What the method promises: the ball, the released code, the bounds, the known special cases."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fwrnn_core import FrankWolfe, lmo
from fwrnn_core.optim import ProjectedGradient
from fwrnn_core.optim.balls import ball_for

SHAPES = [(4, 3), (3,), (), (2, 2, 2)]


def random_gradients(seed: int, params: list[nn.Parameter], missing: bool) -> None:
    """Of any size; half of them absent where some are ``missing``, but never all."""
    generator = torch.Generator().manual_seed(seed)
    present = torch.rand(len(params), generator=generator) < 0.5
    present[seed % len(params)] = True
    for p, there in zip(params, present.tolist(), strict=True):
        size = 10.0 ** float(torch.randint(-20, 20, (), generator=generator))
        g = size * torch.randn(p.shape, generator=generator, dtype=p.dtype)
        p.grad = g if there or not missing else None


@settings(max_examples=50, derandomize=True, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    norm=st.sampled_from([1, 1.5, 2, 3, math.inf, "spectral", "nuclear", "newton-schulz"]),
    scope=st.sampled_from(["tensor", "global"]),
    step_size=st.sampled_from(["1/k", "2/(k+1)", lambda k: k**-0.6]),
    solver=st.sampled_from(["frank-wolfe", "projected-gradient", ProjectedGradient(0.1)]),
    momentum=st.sampled_from([0.0, 0.9]),
    inner_steps=st.integers(1, 8),
    missing=st.booleans(),
    dtype=st.sampled_from([torch.float64, torch.float32]),  # float32: the C kernels too
)
def test_the_paper_trajectory_never_leaves_the_ball(
    seed: int,
    norm: Any,
    scope: str,
    step_size: Any,
    solver: Any,
    momentum: float,
    inner_steps: int,
    missing: bool,
    dtype: torch.dtype,
) -> None:
    scope = "tensor" if isinstance(norm, str) else scope
    params = [nn.Parameter(torch.zeros(s, dtype=dtype)) for s in SHAPES]
    tolerance = 2e-6 if dtype == torch.float64 else 1e-5
    opt = FrankWolfe(
        params,
        radius=0.3,
        inner_steps=inner_steps,
        norm=norm,
        scope=scope,
        step_size=step_size if solver == "frank-wolfe" else "1/k",
        solver=solver,
        gradient_momentum=momentum,
        outer=None,
    )
    for k in range(inner_steps):
        random_gradients(seed + k, params, missing)
        opt.step()
        if scope == "global":
            point = torch.cat([p.detach().double().reshape(-1) for p in params])
            lengths = [ball_for(norm, 1).norm(point)]
        else:
            lengths = [ball_for(norm, p.dim()).norm(p.detach().double()) for p in params]
        assert max(map(float, lengths)) <= 0.3 * (1 + tolerance)
    assert opt.inner_step == 0
    for found, length in zip(opt.agreement().tolist(), lengths, strict=True):
        # A tensor that had no gradient in the whole loop has stayed, and has none.
        assert found == pytest.approx(float(length) / 0.3, rel=1e-5) or (
            missing and math.isnan(found) and length == 0
        )


@pytest.mark.parametrize("norm", [1, 2, 3, math.inf])
@pytest.mark.parametrize("split", [False, True])
def test_a_projection_sees_what_has_no_gradient_this_time(norm: float, split: bool) -> None:
    """One ball around two numbers whose gradients come in turns, as where a layer is frozen."""
    a, b = (nn.Parameter(torch.zeros(1, dtype=torch.float64)) for _ in range(2))
    opt = FrankWolfe(
        [{"params": [a]}, {"params": [b]}] if split else [a, b],
        **{"radius": 1.0, "inner_steps": 3, "norm": norm, "outer": None},
        **{"scope": "global", "solver": "projected-gradient"},
    )
    walk = torch.zeros(2, dtype=torch.float64)
    for k, at in enumerate((0, 1, 1), start=1):
        a.grad, b.grad = (torch.ones_like(w) if at == i else None for i, w in enumerate((a, b)))
        opt.step()
        walk[at] -= k**-0.5
        walk = ball_for(norm, 1).project(walk)
        assert torch.cat([a, b]).tolist() == pytest.approx(walk.tolist())


class Released:
    """The authors' step as their released program makes it, with every buffer of its own."""

    def __init__(self, params: list[nn.Parameter], lr: float, inner_steps: int) -> None:
        self.params, self.lr, self.inner_steps, self.t = params, lr, inner_steps, 0
        self.adam = torch.optim.Adam(params, lr=lr)
        self.anchors = [p.detach().clone() for p in params]
        self.buffers = [torch.zeros_like(p) for p in params]

    @torch.no_grad()
    def step(self) -> None:
        self.t = self.t % self.inner_steps + 1
        for p, anchor, buffer in zip(self.params, self.anchors, self.buffers, strict=True):
            if self.t == 1:
                anchor.copy_(p)
            direction = p.grad / p.grad.norm(2)
            buffer.copy_((1 - 1 / self.t) * buffer - self.lr / self.t * direction)
            p.add_(buffer)
            if self.t == self.inner_steps:
                p.copy_(anchor)
                p.grad = buffer / -self.lr
        if self.t == self.inner_steps:
            self.adam.step()


def small_rnn(seed: int, dtype: torch.dtype, outputs: int = 1) -> nn.ModuleList:
    torch.manual_seed(seed)
    return nn.ModuleList([nn.RNN(2, 6, batch_first=True), nn.Linear(6, outputs)]).to(dtype)


def rnn_backward(model: nn.ModuleList, batch: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(batch)
    x = torch.randn(4, 5, 2, generator=generator).to(dtype)
    model.zero_grad()
    outputs = model[1](model[0](x)[0][:, -1])
    # The sum of one sequence, then its first entries: as many targets as outputs.
    target = torch.cat([x[:, :, :1].sum(1), x[:, 0]], dim=1)[:, : outputs.shape[1]]
    (outputs - target).square().mean().backward()


@pytest.mark.parametrize("inner_steps", [1, 2, 5, 10, 30])
@pytest.mark.parametrize(
    ("dtype", "outputs", "rtol", "atol"),
    [
        (torch.float64, 1, 1e-7, 1e-9),
        # Measured: 2.4e-7 apart over 600 minibatches. The unit gradient of a one-entry tensor is
        # ±1, and where K of them cancel, ours leave 0 and theirs 1e-8, which Adam normalises to a
        # step of its own: hence three outputs.
        (torch.float32, 3, 0, 1e-6),
    ],
)
def test_released_trajectory_is_the_authors_code(
    inner_steps: int, dtype: torch.dtype, outputs: int, rtol: float, atol: float
) -> None:
    """240 minibatches of a recurrent network, compared after every single one."""
    ours, theirs = (small_rnn(0, dtype, outputs) for _ in range(2))
    opt = FrankWolfe(ours.parameters(), lr=3e-3, inner_steps=inner_steps, trajectory="released")
    reference = Released(list(theirs.parameters()), 3e-3, inner_steps)
    for batch in range(240):
        rnn_backward(ours, batch, dtype)
        rnn_backward(theirs, batch, dtype)
        opt.step()
        reference.step()
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=rtol, atol=atol)


@pytest.mark.parametrize("inner_steps", [1, 2, 5, 10, 30])
def test_released_walks_in_float32_from_common_starts(inner_steps: int) -> None:
    """The authors' dtype: every point of three loops, and the −Δ_K/δ that Adam is given."""
    ours, theirs = small_rnn(0, torch.float32), small_rnn(0, torch.float32)
    opt = FrankWolfe(ours.parameters(), lr=3e-3, inner_steps=inner_steps, trajectory="released")
    reference = Released(list(theirs.parameters()), 3e-3, inner_steps)
    given: list[Tensor] = []
    assert opt.outer is not None
    opt.outer.register_step_pre_hook(
        lambda *_: given.extend(p.grad.clone() for p in ours.parameters() if p.grad is not None)
    )
    for batch in range(3 * inner_steps):
        if opt.inner_step == 0:  # Adam makes a full step of what terms ±1 that cancel leave
            given.clear()
            theirs.load_state_dict(ours.state_dict())
        rnn_backward(ours, batch, torch.float32)
        rnn_backward(theirs, batch, torch.float32)
        opt.step()
        reference.step()
        if opt.inner_step:
            for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
                torch.testing.assert_close(p, q, rtol=0, atol=1e-6)
            continue
        for g, q in zip(given, theirs.parameters(), strict=True):
            torch.testing.assert_close(g, q.grad, rtol=0, atol=1e-6)


@pytest.mark.parametrize("inner_steps", [3, 6])
def test_released_trajectory_leaves_the_ball(inner_steps: int) -> None:
    """With equal gradients gradient K is taken K − 1 radii away (theory: released, item 1)."""
    w = nn.Parameter(torch.zeros(3, dtype=torch.float64))
    opt = FrankWolfe([w], radius=0.5, inner_steps=inner_steps, trajectory="released")
    for _ in range(inner_steps - 1):
        w.grad = torch.ones_like(w)
        opt.step()
    assert float(w.detach().norm()) == pytest.approx(0.5 * (inner_steps - 1))


class Convex:
    """½‖A(x − target)‖² on a unit 2-ball around 0 whose minimum over the ball is found exactly."""

    def __init__(self, seed: int, size: int = 6) -> None:
        generator = torch.Generator().manual_seed(seed)
        a = torch.randn(size, size, generator=generator, dtype=torch.float64)
        self.hessian = a.T @ a
        self.target = 2 * torch.randn(size, generator=generator, dtype=torch.float64)
        self.size = size
        # C_F on B_2(1) is 4 λ_max (theory, Eq. 4).
        self.curvature = 4 * float(torch.linalg.eigvalsh(self.hessian)[-1])
        self.best = self.value(self._constrained())

    def value(self, x: Tensor) -> Tensor:
        d = x - self.target
        return 0.5 * d @ self.hessian @ d

    def _constrained(self) -> Tensor:
        """(H + λI) x = H target with ‖x‖ = 1, by bisection on λ ≥ 0."""
        eye = torch.eye(self.size, dtype=torch.float64)

        def point(shift: float) -> Tensor:
            return torch.linalg.solve(self.hessian + shift * eye, self.hessian @ self.target)

        if point(0.0).norm() <= 1:
            return point(0.0)
        low, high = 0.0, 1e6
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if point(middle).norm() > 1 else (low, middle)
        return point(high)


def gaps_along(problem: Convex, steps: int, **options: Any) -> list[float]:
    """F(ω + Δ_k) − min after each inner step, k = 1 … steps."""
    w = nn.Parameter(torch.zeros(problem.size, dtype=torch.float64))
    opt = FrankWolfe([w], radius=1.0, inner_steps=steps, outer=None, **options)
    gaps = []
    for _ in range(steps):
        opt.zero_grad()
        problem.value(w).backward()
        opt.step()
        gaps.append(float(problem.value(w.detach()) - problem.best))
    return gaps


@pytest.mark.parametrize("seed", range(5))
def test_convergence_bounds_hold_at_every_step(seed: int) -> None:
    problem = Convex(seed)
    c, steps = problem.curvature, 60
    for k, h in enumerate(gaps_along(problem, steps, step_size="2/(k+1)"), start=1):
        assert -1e-9 <= h <= 2 * c / (k + 2)
    previous = math.inf
    for k, h in enumerate(gaps_along(problem, steps), start=1):
        assert -1e-9 <= h <= c * (1 + math.log(k)) / (2 * k)
        if k > 1:
            assert k * h <= (k - 1) * previous + c / (2 * k)
        previous = h


def vertices(norm: float, size: int) -> Tensor:
    """Where a convex quadratic is largest on the unit ball of p = 1 or ∞, hence C_F / 4 too."""
    if norm == 1:
        return torch.eye(size, dtype=torch.float64)
    signs = [[1.0 if i >> j & 1 else -1.0 for j in range(size)] for i in range(2**size)]
    return torch.tensor(signs, dtype=torch.float64)


@pytest.mark.parametrize("norm", [1, math.inf])
@pytest.mark.parametrize("scope", ["tensor", "global"])
@pytest.mark.parametrize("seed", range(3))
def test_convergence_bounds_hold_in_other_balls(norm: float, scope: str, seed: int) -> None:
    """The minimum lies in the ball, so that its value is known: 0."""
    problem = Convex(seed)
    problem.target = problem.target / ball_for(norm, 1).norm(problem.target) / (1 + seed)
    problem.best = torch.zeros((), dtype=torch.float64)
    corners = vertices(norm, problem.size)
    c = 4 * float((corners @ problem.hessian * corners).sum(1).max())
    for k, h in enumerate(
        gaps_along(problem, 80, norm=norm, scope=scope, step_size="2/(k+1)"), start=1
    ):
        assert -1e-9 <= h <= 2 * c / (k + 2)
    for k, h in enumerate(gaps_along(problem, 80, norm=norm, scope=scope), start=1):
        assert -1e-9 <= h <= c * (1 + math.log(k)) / (2 * k)


@pytest.mark.parametrize("seed", range(3))
def test_recorded_gaps_bound_the_distance_to_the_minimum(seed: int) -> None:
    problem = Convex(seed)
    w = nn.Parameter(torch.zeros(problem.size, dtype=torch.float64))
    opt = FrankWolfe([w], radius=1.0, inner_steps=20, outer=None, track=["gap"])
    distances = []
    for _ in range(20):
        opt.zero_grad()
        loss = problem.value(w)
        loss.backward()
        distances.append(float(loss.detach() - problem.best))
        opt.step()
    (gaps,) = opt.diagnostics()["gap"]
    assert len(gaps) == 20
    assert all(gap >= h - 1e-9 for gap, h in zip(gaps, distances, strict=True))


def test_projected_gradients_reach_the_constrained_minimum() -> None:
    problem = Convex(1)
    length = 4 / problem.curvature
    assert gaps_along(problem, 300, solver=ProjectedGradient(length))[-1] < 1e-8
    assert gaps_along(problem, 300, solver="projected-gradient")[-1] < 0.05 * problem.curvature


def one_step(w: Tensor, g: Tensor, **options: Any) -> Tensor:
    p = nn.Parameter(w.clone())
    opt = FrankWolfe([p], inner_steps=1, **options)
    p.grad = g.clone()
    opt.step()
    return p.detach()


W = torch.tensor([1.0, -2.0, 0.5])
G = torch.tensor([0.3, 0.0, -4.0])


def test_identities_of_a_single_inner_step() -> None:
    unit = G / G.norm()
    sgd = torch.optim.SGD
    assert torch.allclose(one_step(W, G, lr=0.1, outer=sgd), W - 0.1 * unit)
    assert torch.allclose(one_step(W, G, lr=0.1, outer=sgd, norm=math.inf), W - 0.1 * G.sign())
    assert torch.equal(one_step(W, G, lr=0.1, outer=None, norm=math.inf), W - 0.1 * G.sign())
    assert torch.allclose(one_step(W, G, radius=0.2, lr=1.0, outer=None), W + lmo(G, 0.2))


@pytest.mark.parametrize("trajectory", ["paper", "released"])
def test_one_inner_step_with_adam_is_adam_on_unit_gradients(trajectory: str) -> None:
    ours, theirs = small_rnn(3, torch.float64), small_rnn(3, torch.float64)
    opt = FrankWolfe(ours.parameters(), lr=0.01, inner_steps=1, trajectory=trajectory)
    adam = torch.optim.Adam(theirs.parameters(), lr=0.01)
    for batch in range(20):
        rnn_backward(ours, batch, torch.float64)
        rnn_backward(theirs, batch, torch.float64)
        for p in theirs.parameters():
            assert p.grad is not None
            p.grad /= p.grad.norm()
        opt.step()
        adam.step()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, q)


def test_gradient_momentum_is_the_running_mean_within_a_loop() -> None:
    w = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    opt = FrankWolfe([w], radius=1.0, inner_steps=2, gradient_momentum=0.75, outer=None)
    first, second = torch.tensor([1.0, 0.0]).double(), torch.tensor([0.0, 8.0]).double()
    for _ in range(2):  # the second loop starts from nothing
        start = w.detach().clone()
        for g in (first, second):
            w.grad = g.clone()
            opt.step()
        mean = 0.75 * first + 0.25 * second
        expected = (lmo(first) + lmo(mean)) / 2
        assert torch.allclose(w.detach() - start, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # C kernels; torch
def test_gradient_momentum_starts_with_a_parameter_s_first_gradient(dtype: torch.dtype) -> None:
    """Not with zeros, where that comes in mid-loop; and a minibatch without one is left out."""
    early, late = (nn.Parameter(torch.zeros(2, dtype=dtype)) for _ in range(2))
    opt = FrankWolfe([early, late], radius=1.0, inner_steps=4, gradient_momentum=0.75, outer=None)
    first, second = torch.tensor([1.0, 0.0]).to(dtype), torch.tensor([0.0, 8.0]).to(dtype)
    for g in (None, first, None, second):
        early.grad, late.grad = first.clone(), None if g is None else g.clone()
        opt.step()
    expected = (lmo(first) + lmo(0.75 * first + 0.25 * second)) / 4
    torch.testing.assert_close(late.detach(), expected)


def test_agreement_of_aligned_and_of_orthogonal_vertices() -> None:
    same, turning = nn.Parameter(torch.zeros(4)), nn.Parameter(torch.zeros(4))
    opt = FrankWolfe([same, turning], inner_steps=4)
    assert opt.agreement().isnan().all()
    for k in range(4):
        same.grad = torch.ones(4) * (k + 1)
        turning.grad = torch.eye(4)[k]
        opt.step()
    assert opt.agreement().tolist() == pytest.approx([1.0, 0.5])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # C kernels; torch
@pytest.mark.parametrize("norm", [1, 2, 3, math.inf])
@pytest.mark.parametrize("scope", ["tensor", "global"])
@pytest.mark.parametrize("trajectory", ["paper", "released"])
@pytest.mark.parametrize("late", [False, True])
def test_gaps_and_angles_are_what_they_are_defined_as(
    dtype: torch.dtype, norm: Any, scope: str, trajectory: str, late: bool
) -> None:
    generator, inner_steps, delta = torch.Generator().manual_seed(0), 4, 0.3
    shapes = [(3, 4), (5,)]
    params = [nn.Parameter(torch.zeros(s, dtype=dtype)) for s in shapes]
    opt = FrankWolfe(
        params, radius=delta, inner_steps=inner_steps, norm=norm, scope=scope,
        trajectory=trajectory, track=["gap", "angle"],
    )  # fmt: skip
    for loop in range(3):
        grads = torch.randn(inner_steps, 17, dtype=dtype, generator=generator)
        if late:
            grads[loop, 12:] = 0  # the second tensor has no gradient in one of the steps
        for g in grads:
            params[0].grad = g[:12].view(3, 4)
            params[1].grad = g[12:] if g[12:].any() else None
            opt.step()
        balls = [slice(0, 17)] if scope == "global" else [slice(0, 12), slice(12, 17)]
        found = opt.diagnostics()
        for ball, gaps, angle in zip(balls, found["gap"], found["angle"], strict=True):
            walk, expected = torch.zeros_like(grads[0, ball]), []
            for k, g in enumerate(grads[:, ball], start=1):
                vertex = lmo(g, delta, norm)
                if g.any():
                    expected.append(float((walk - vertex) @ g))
                walk = walk + (vertex - walk) / k
            assert gaps == pytest.approx(expected, rel=1e-5, abs=1e-6)
            first = -grads[0, ball]
            cosine = float(walk @ first / (walk.norm() * first.norm()))
            if first.any():
                assert angle == pytest.approx(math.degrees(math.acos(cosine)), rel=1e-4)
            else:
                assert math.isnan(angle)


def test_the_gap_of_minibatches_is_on_average_above_that_of_their_mean() -> None:
    """Jensen: ‖·‖_q is convex, so that noise which averages out of g does not out of the gap."""

    def second_gap(noise: float) -> float:
        w = nn.Parameter(torch.zeros(2, dtype=torch.float64))
        opt = FrankWolfe([w], inner_steps=2, track=["gap"], radius=1.0, outer=None)
        for g in ([1.0, 0.0], [0.5, 1.0 + noise]):
            w.grad = torch.tensor(g, dtype=torch.float64)
            opt.step()
        return float(opt.diagnostics()["gap"][0][1])

    excess = [(second_gap(s) + second_gap(-s)) / 2 - second_gap(0.0) for s in (0.3, 1.0, 3.0)]
    assert 0 < excess[0] < excess[1] < excess[2]


def test_the_gap_under_momentum_is_that_of_the_averaged_gradient() -> None:
    w = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    opt = FrankWolfe([w], radius=1.0, inner_steps=2, track=["gap"], gradient_momentum=0.5)
    for g in ([2.0, 0.0], [0.0, 2.0]):
        w.grad = torch.tensor(g, dtype=torch.float64)
        opt.step()
    assert opt.diagnostics()["gap"][0] == pytest.approx([2.0, 2**0.5 - 1.0])


def test_angle_between_the_walk_and_the_first_gradient() -> None:
    w = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    opt = FrankWolfe([w], inner_steps=2, track=["angle"])
    for g in ([3.0, 0.0], [0.0, 7.0]):
        w.grad = torch.tensor(g, dtype=torch.float64)
        opt.step()
    assert opt.diagnostics()["angle"] == pytest.approx([45.0])


def test_projected_steps_of_a_given_length_are_in_units_of_the_weights() -> None:
    for radius in (0.5, 5.0):
        w = nn.Parameter(torch.zeros(2))
        opt = FrankWolfe([w], radius=radius, solver=ProjectedGradient(0.1), outer=None)
        for _ in range(5):
            w.grad = torch.tensor([0.6, -0.8])
            opt.step()
        assert w.tolist() == pytest.approx([-0.3, 0.4])
