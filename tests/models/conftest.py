"""Shared by the model tests: fixed seeds, and the backends of this machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from fwrnn_core.errors import ConfigError
from fwrnn_core.models import kernels


@pytest.fixture(autouse=True)
def _plain_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("FWRNN_BACKEND", raising=False)
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(params=["c", "torch"])
def fused(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test on each fused CPU backend that this machine has."""
    with kernels.use_backend(request.param):
        try:
            kernels.backend_name("cpu")
        except ConfigError as error:
            pytest.skip(str(error))
        yield request.param
