"""Gradients and weights of every kind: absent, zero, not finite, shared, of any dtype or layout."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fwrnn_core import FrankWolfe
from fwrnn_core.errors import ConfigError
from fwrnn_core.models.kernels import use_backend
from fwrnn_core.optim import NonFiniteGradient

from .steps import parameter, walk


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
