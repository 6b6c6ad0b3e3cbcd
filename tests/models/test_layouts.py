"""The fused recurrences and memory: any layout of what comes in, none shared by what goes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from fwrnn_core.models import kernels

STEPS, ROWS, FEATURES, HIDDEN = 5, 9, 3, 7


def inputs(cell: str) -> list[Tensor]:
    if cell == "indrnn":
        vectors = torch.rand(4, HIDDEN).unbind()  # bias, u, gamma, beta
        mask = torch.rand(ROWS, HIDDEN)
        weight = torch.randn(HIDDEN, FEATURES)
        return [
            torch.randn(STEPS, ROWS, FEATURES),
            torch.rand(ROWS, HIDDEN),
            weight,
            *vectors,
            mask,
        ]
    gates = 4 if cell == "lstm" else 1
    states = [torch.randn(ROWS, HIDDEN) for _ in range(2 if cell == "lstm" else 1)]
    weights = [torch.randn(gates * HIDDEN, k) / k for k in (FEATURES, HIDDEN)]
    biases = torch.randn(2, gates * HIDDEN).unbind()
    return [torch.randn(STEPS, ROWS, FEATURES), *states, *weights, *biases]


def call(cell: str, values: Sequence[Tensor]) -> Sequence[Tensor]:
    if cell != "indrnn":
        return getattr(kernels, cell)(*values)
    *before, gamma, beta, mask = values
    return kernels.indrnn(*before, kernels.Norm("after", gamma, beta), mask)[:2]


def dense(tensor: Tensor) -> Tensor:
    return tensor.clone()


def between_nans(tensor: Tensor) -> Tensor:
    return torch.stack((tensor, torch.full_like(tensor, torch.nan)), -1)[..., 0]


def other_way_round(tensor: Tensor) -> Tensor:
    return tensor.mT.contiguous().mT if tensor.dim() > 1 else tensor.clone()


@pytest.mark.parametrize("cell", ["tanh_rnn", "lstm", "indrnn"])
@pytest.mark.parametrize("layout", [between_nans, other_way_round])
def test_the_layout_of_no_tensor_matters(
    fused: str, layout: Callable[[Tensor], Tensor], cell: str
) -> None:
    values, generator = inputs(cell), torch.Generator().manual_seed(1)
    results = []
    for laid in (dense, layout):
        leaves = [laid(v).requires_grad_(i < 7) for i, v in enumerate(values)]
        outputs = call(cell, leaves)
        gradients = [laid(torch.randn(v.shape, generator=generator)) for v in outputs]
        slopes = torch.autograd.grad(outputs, leaves[:7], gradients)
        results.append([*outputs, *slopes])
        generator.manual_seed(1)
    for there, here in zip(*results, strict=True):
        assert there.norm() > 0
        torch.testing.assert_close(here, there, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("cell", ["tanh_rnn", "lstm", "indrnn"])
def test_incoming_gradients_are_read_and_not_written(fused: str, cell: str) -> None:
    """They may be somebody else's too."""
    outputs = call(cell, [v.requires_grad_() for v in inputs(cell)[:7]] + inputs(cell)[7:])
    given = [torch.randn_like(v) for v in outputs]
    kept = [v.clone() for v in given]
    torch.autograd.backward(outputs, given)
    assert all(map(torch.equal, given, kept))


@pytest.mark.parametrize("cell", ["tanh_rnn", "lstm", "indrnn"])
def test_the_last_state_is_not_a_view_of_all_states(fused: str, cell: str) -> None:
    """A carried state must not keep the whole sequence in memory."""
    values = inputs(cell)
    lasts = [*call(cell, values)[1:]]
    if cell == "indrnn":
        lasts += kernels.indrnn(*values[:5], last_only=True)[:2]  # without a normalisation
    for last in lasts:
        assert last.untyped_storage().nbytes() == last.nbytes
