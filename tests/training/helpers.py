"""Small real runs that several tests share."""

from __future__ import annotations

from typing import Any

from fwrnn_core.training import DataConfig, ModelConfig, OptimizerConfig, RunConfig

ADDING = DataConfig("adding", {"length": 12, "train": 160, "test": 40})


def small(name: str = "test/run", inner_steps: int = 3, **changes: Any) -> RunConfig:
    """Five minibatches an epoch, so that K = 3 leaves every other epoch in mid-loop."""
    settings: dict[str, Any] = {
        "data": ADDING,
        "model": ModelConfig("tanh", 8, options={"initial_state": "uniform"}),
        "optimizer": OptimizerConfig("frank-wolfe", lr=1e-2, inner_steps=inner_steps),
        "batch_size": 32,
        "epochs": 4,
    }
    return RunConfig(name, **{**settings, **changes})
