"""The fused recurrences where float32 ends: saturation, denormal numbers, NaN, no spread at all;
and sums over more rows than are taken at a time."""

from __future__ import annotations

import platform

import pytest
import torch
from torch import Tensor

from fwrnn_core.errors import ConfigError
from fwrnn_core.models import kernels
from fwrnn_core.models.kernels.fused import CHUNK, Fused


def cell(name: str, x: Tensor, hidden: int) -> tuple[Tensor, ...]:
    """States of a cell whose weights are all 1 and whose biases and first states are 0."""
    gates = 4 if name == "lstm" else 1
    states = [torch.zeros(x.size(1), hidden) for _ in range(2 if name == "lstm" else 1)]
    weights = [torch.ones(gates * hidden, k) for k in (x.size(2), hidden)]
    zero = torch.zeros(gates * hidden)
    if name == "indrnn":
        return kernels.indrnn(x, *states, weights[0], zero, torch.ones(hidden))
    return getattr(kernels, name)(x, *states, *weights, zero, zero)


def test_no_state_is_beyond_one(fused: str) -> None:
    """A quotient of polynomials near its limit is, here and there, a rounding above it."""
    x = torch.linspace(8, 9.5, 100_001).view(1, -1, 1)
    for sign in (1, -1):
        states = cell("tanh_rnn", sign * x, 1)[0]
        assert states.abs().max() == 1


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="they cost time on x86 alone"
)
@pytest.mark.parametrize("name", ["tanh_rnn", "lstm", "indrnn"])
def test_denormal_numbers_are_zero_to_the_kernels(name: str) -> None:
    """They would make a long sequence up to a hundred times slower."""
    tiny, x = torch.full((3, 9, 5), 1e-40), torch.ones(3, 9, 2).requires_grad_()
    assert (tiny > 0).all()
    with kernels.use_backend("c"):
        try:
            kernels.backend_name()
        except ConfigError as error:
            pytest.skip(str(error))
        if name != "lstm":  # whose gates have a first part of 0.5 each
            assert not cell(name, tiny, 5)[0].any()
        states = cell(name, x, 5)[0]
    assert states.all()
    states.backward(tiny)
    assert not x.grad.any()


def test_a_nan_is_not_hidden_from_the_gradient_by_the_relu(fused: str) -> None:
    x = torch.ones(4, 3, 2)
    x[1, 2, 0] = torch.nan
    x.requires_grad_()
    cell("indrnn", x, 5)[0].sum().backward()
    assert x.grad[:, 2].isnan().all()
    # Step t reaches the states from t on, each of the five units by weights of 1.
    expected = torch.tensor([20.0, 15.0, 10.0, 5.0]).view(4, 1, 1)
    assert x.grad[:, :2].equal(expected.expand(4, 2, 2))


@pytest.mark.parametrize("order", ["after", "before"])
def test_a_unit_that_never_changes_has_no_variance(fused: str, order: str) -> None:
    """Products rounded to float would give it some, and sums in double may end below 0."""
    value = torch.logspace(0, 7, 64)
    beta = torch.randn(64)
    out = kernels.indrnn(
        value.expand(50, 9, 64),
        torch.zeros(9, 64),
        torch.eye(64),
        torch.zeros(64),
        torch.zeros(64),
        kernels.Norm(order, torch.ones(64), beta),
    )
    assert (out.mean / value - 1).abs().max() < 1e-6
    assert ((out.var >= 0) & (out.var <= 1e-12 * value.square())).all()
    assert out.y.isfinite().all()
    if order == "after":
        assert torch.allclose(out.y[:, :, :32], beta[:32].expand(50, 9, 32), atol=0.1)


@pytest.mark.parametrize("shape", [(CHUNK // 10 + 9, 10, 3), (2, CHUNK + 1, 3)])
@pytest.mark.parametrize("shared", [False, True])
def test_sums_in_parts_are_those_of_all_rows(shape: tuple[int, int, int], shared: bool) -> None:
    g, z, mask = torch.rand(shape), torch.rand(shape), torch.rand(1 if shared else shape[1], 3)
    masked, wide = (g * mask).double(), z.double()
    sums = [wide.sum((0, 1)), wide.square().sum((0, 1))]
    cross = [masked.sum((0, 1)), (masked * wide).sum((0, 1))]
    torch.testing.assert_close(Fused.moments(z), torch.stack(sums))
    torch.testing.assert_close(Fused.cross_moments(g, mask, z), torch.stack(cross))
