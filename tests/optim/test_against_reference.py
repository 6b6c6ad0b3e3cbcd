"""FrankWolfe against the literal Algorithm 1, on random problems."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fwrnn_core import FrankWolfe
from fwrnn_core.optim.reference import inner_loop

NORMS = [1, 1.5, 2, 3, math.inf, "spectral", "nuclear"]
STEP_SIZES: dict[str, Any] = {
    "1/k": lambda k: 1 / k,
    "2/(k+1)": lambda k: 2 / (k + 1),
    "slow": lambda k: k**-0.75,
}


class Quadratics:
    """One random convex quadratic per minibatch, over tensors of mixed shapes, in float64."""

    def __init__(self, seed: int, shapes: list[tuple[int, ...]], batches: int) -> None:
        generator = torch.Generator().manual_seed(seed)

        def draw(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, dtype=torch.float64)

        self.shapes = shapes
        size = sum(math.prod(s) for s in shapes)
        self.factors = [draw(size, size) / size**0.5 for _ in range(batches)]
        self.targets = [draw(size) for _ in range(batches)]
        self.start = [draw(*s) for s in shapes]

    def loss(self, weights: list[Tensor], batch: int) -> Tensor:
        x = torch.cat([w.reshape(-1) for w in weights]) - self.targets[batch]
        return 0.5 * (self.factors[batch] @ x).square().sum()

    def gradient(self, weights: list[Tensor], batch: int) -> list[Tensor]:
        leaves = [w.detach().clone().requires_grad_() for w in weights]
        return list(torch.autograd.grad(self.loss(leaves, batch), leaves))


problems = st.builds(
    Quadratics,
    st.integers(0, 10_000),
    st.lists(st.sampled_from([(), (1,), (5,), (3, 4), (4, 2), (2, 3, 2)]), min_size=1, max_size=4),
    st.just(10),
)


def close(a: list[Tensor], b: list[Tensor]) -> None:
    for x, y in zip(a, b, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-9, atol=1e-11)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    problem=problems,
    norm=st.sampled_from(NORMS),
    scope=st.sampled_from(["tensor", "global"]),
    step_size=st.sampled_from(sorted(STEP_SIZES)),
    trajectory=st.sampled_from(["paper", "released"]),
    inner_steps=st.integers(1, 5),
    radius=st.floats(1e-3, 10),
)
def test_stochastic_loop(
    problem: Quadratics,
    norm: Any,
    scope: str,
    step_size: str,
    trajectory: str,
    inner_steps: int,
    radius: float,
) -> None:
    """Two outer updates with a fresh minibatch per inner step: every point and both updates."""
    if scope == "global" and isinstance(norm, str):
        scope = "tensor"
    weights = [torch.nn.Parameter(w.clone()) for w in problem.start]
    opt = FrankWolfe(
        weights,
        lr=0.1,
        radius=radius,
        inner_steps=inner_steps,
        norm=norm,
        scope=scope,
        step_size=STEP_SIZES[step_size] if step_size == "slow" else step_size,
        trajectory=trajectory,
        outer=torch.optim.SGD,
    )
    expected = [w.clone() for w in problem.start]
    batch = 0
    for _ in range(2):
        first = batch
        displacement, points = inner_loop(
            lambda w, k, first=first: problem.gradient(w, first + k - 1),
            expected,
            radius,
            inner_steps,
            norm,
            scope,
            STEP_SIZES[step_size],
            trajectory,
        )
        for point in points:
            close([w.detach() for w in weights], point)
            opt.zero_grad()
            problem.loss(list(weights), batch).backward()
            opt.step()
            batch += 1
        expected = [w + 0.1 * d / radius for w, d in zip(expected, displacement, strict=True)]
        close([w.detach() for w in weights], expected)
        assert opt.inner_step == 0


@pytest.mark.parametrize("inner_steps", [1, 4])
@pytest.mark.parametrize("scope", ["tensor", "global"])
def test_deterministic_loop(scope: str, inner_steps: int) -> None:
    """step(closure) is the whole loop on one minibatch, and ω ← ω + Δ_K without an outer one."""
    problem = Quadratics(3, [(4,), (2, 3)], 1)
    weights = [torch.nn.Parameter(w.clone()) for w in problem.start]
    opt = FrankWolfe(weights, lr=0.3, inner_steps=inner_steps, scope=scope, outer=None)

    def closure() -> Tensor:
        opt.zero_grad()
        loss = problem.loss(list(weights), 0)
        loss.backward()
        return loss

    loss = opt.step(closure)
    displacement, _ = inner_loop(
        lambda w, k: problem.gradient(w, 0), problem.start, 0.3, inner_steps, scope=scope
    )
    close(
        [w.detach() for w in weights],
        [w + d for w, d in zip(problem.start, displacement, strict=True)],
    )
    assert loss.item() == problem.loss(problem.start, 0).item()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("scope", ["tensor", "global"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # C kernels; torch
def test_a_closure_is_k_steps_bit_for_bit(norm: Any, scope: Any, dtype: torch.dtype) -> None:
    if scope == "global" and isinstance(norm, str):
        pytest.skip("one ball around all is of a p-norm")
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(2)).to(dtype)
    kinds: list[dict[str, Any]] = [
        {"trajectory": trajectory, "step_size": step_size}
        for trajectory in ("paper", "released")
        for step_size in ("1/k", "2/(k+1)", STEP_SIZES["slow"])
    ]
    kinds.append({"gradient_momentum": 0.5})
    if norm not in (1.5, 3):  # where a projection takes a bisection
        kinds.append({"solver": "projected-gradient"})
    for kind in kinds:
        ends = []
        for by_closure in (False, True):
            torch.manual_seed(0)
            model = torch.nn.Sequential(
                torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)
            ).to(dtype)
            opt = FrankWolfe(
                model.parameters(), lr=0.02, inner_steps=4, norm=norm, scope=scope, **kind
            )

            def closure(model: torch.nn.Module = model, opt: FrankWolfe = opt) -> Tensor:
                opt.zero_grad()
                loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
                loss.backward()
                return loss

            for _ in range(2):
                if by_closure:
                    opt.step(closure)
                for _ in range(0 if by_closure else 4):
                    closure()
                    opt.step()
            assert opt.updates == 2
            ends.append([p.detach() for p in model.parameters()])
        assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True)), kind
