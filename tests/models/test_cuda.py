"""The GPU path: its dispatch anywhere, the Triton kernels in Triton's interpreter where it is
installed, and the real thing where there is a CUDA device."""

from __future__ import annotations

import importlib.util
import logging
import os
import subprocess
import sys

import pytest
import torch

from fwrnn_core.models import IndRNN, RecurrentNet, kernels
from fwrnn_core.models.kernels import backend, triton_ops
from fwrnn_core.models.kernels.fused import Fused

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


def test_without_triton_the_plain_twin_runs_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(triton_ops, "triton", None)
    backend.say_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert triton_ops.triton_ops() is Fused
        assert triton_ops.triton_ops() is Fused
    assert len(caplog.records) == 1
    backend.say_once.cache_clear()


def test_triton_serves_float32_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_ops, "triton", object())
    assert triton_ops.triton_ops() is triton_ops.Triton
    assert triton_ops.triton_ops(torch.float64) is Fused


INTERPRETED = """
import torch
from fwrnn_core.models.kernels.fused import Fused
from fwrnn_core.models.kernels.triton_ops import Triton

torch.manual_seed(0)
for steps, rows, hidden in ((1, 3, 5), (6, 5, 33)):
    z, h0, g_last = torch.randn(steps, rows, hidden), *torch.rand(2, rows, hidden)
    scale, shift, u, c2, c3 = torch.randn(5, hidden)
    results = []
    for ops in (Triton, Fused):
        h = torch.empty_like(z)
        sums = ops.recur(z, scale, shift, u.abs(), h0, h, True)
        results.append([h, sums])
        for g in (torch.ones_like(z), torch.ones_like(z[:1]), None):
            mask = torch.full((rows, hidden), 2.0)
            results[-1] += ops.recur_backward(g, mask, h, scale, c2, c3, u, h0, g_last)
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
h = torch.empty(2, 1, 1)
nan = torch.tensor([float("nan"), -1.0]).view(2, 1, 1)
one = torch.ones(1)
Triton.recur(nan, one, 0 * one, one, torch.zeros(1, 1), h, False)
assert h.isnan().all()
print("same")
"""


@pytest.mark.skipif(not importlib.util.find_spec("triton"), reason="Triton is not installed")
def test_the_triton_kernels_in_the_interpreter() -> None:
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    command = [sys.executable, "-c", INTERPRETED]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "same\n", done.stderr


@needs_cuda
@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru"])
def test_cudnn_gives_what_the_cpu_gives(cell: str) -> None:
    net, x = RecurrentNet(3, 20, 2, cell=cell, num_layers=2), torch.randn(7, 11, 3)
    with kernels.use_backend("reference"):
        expected = net(x)
    assert kernels.backend_name("cuda") == "cuda"
    assert torch.allclose(net.cuda()(x.cuda()).cpu(), expected, atol=1e-4)


@needs_cuda
@pytest.mark.parametrize("order", ["after", "before", None])
def test_indrnn_on_the_gpu_gives_what_the_cpu_gives(order: str | None) -> None:
    net = IndRNN(3, 40, 2, num_layers=3, seq_len=60, batch_norm=order, dropout=0.0)
    x = torch.randn(9, 60, 3)
    with kernels.use_backend("reference"):
        expected = torch.autograd.grad(net(x).square().sum(), list(net.parameters()))
    net.cuda()
    for name in ("auto", "torch"):
        with kernels.use_backend(name):
            slopes = torch.autograd.grad(net(x.cuda()).square().sum(), list(net.parameters()))
        scale = max(v.norm() for v in expected)
        for a, b in zip(slopes, expected, strict=True):
            assert (a.cpu() - b).norm() <= 1e-3 * b.norm() + 1e-5 * scale
