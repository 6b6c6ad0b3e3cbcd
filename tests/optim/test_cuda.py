"""On a GPU: the same vertices and the same walk as on a CPU. Skipped, and said so, without one."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from fwrnn_core.optim import FrankWolfe, lmo

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")

NORMS = (1, 1.5, 2, 3, float("inf"), "spectral", "nuclear", "newton-schulz")
EXACT = {torch.float32: 1e-5, torch.float64: 1e-12, torch.bfloat16: 2e-2}


@pytest.mark.parametrize("dtype", EXACT, ids=str)
@pytest.mark.parametrize("norm", NORMS)
def test_the_vertex_is_that_of_the_cpu(norm, dtype):
    gradient = torch.randn(7, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    expected = lmo(gradient, 0.5, norm)
    vertex = lmo(gradient.cuda(), 0.5, norm)
    assert (vertex.device.type, vertex.dtype) == ("cuda", dtype)
    tolerance = 1e-2 if norm == "newton-schulz" else EXACT[dtype]
    torch.testing.assert_close(vertex.cpu(), expected, rtol=tolerance, atol=tolerance)
    assert not lmo(torch.zeros(7, 5, dtype=dtype, device="cuda"), 0.5, norm).any()


def trained(net: nn.Module, device: str, **options: object) -> list[torch.Tensor]:
    """Weights after eight minibatches of least squares."""
    net = copy.deepcopy(net).to(device)
    optimizer = FrankWolfe(net.parameters(), **options)
    draw = torch.Generator().manual_seed(1)
    for _ in range(8):
        x = torch.randn(16, 6, generator=draw).to(device)
        optimizer.zero_grad()
        net(x).square().sum().backward()
        optimizer.step()
    tensors = [v for s in optimizer.state.values() for v in s.values() if torch.is_tensor(v)]
    assert {t.device.type for t in tensors if t.dim()} == {device}
    return [p.detach().cpu() for p in net.parameters()]


@pytest.mark.parametrize("trajectory", ["paper", "released"])
@pytest.mark.parametrize("norm", [1.5, 2, float("inf"), "spectral"])
def test_the_walk_is_that_of_the_cpu(norm, trajectory):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))
    options = {"radius": 0.01, "inner_steps": 3, "norm": norm, "trajectory": trajectory}
    for ours, expected in zip(
        trained(net, "cuda", **options), trained(net, "cpu", **options), strict=True
    ):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
