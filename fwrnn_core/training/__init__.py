"""Runs: their configuration, the loop that trains them, and the records they leave behind."""

from fwrnn_core.training.config import DataConfig, ModelConfig, OptimizerConfig, RunConfig
from fwrnn_core.training.loop import Run
from fwrnn_core.training.records import Record
from fwrnn_core.training.session import AlreadyRunning, Interrupted, filed, train

__all__ = [
    "AlreadyRunning",
    "DataConfig",
    "Interrupted",
    "ModelConfig",
    "OptimizerConfig",
    "Record",
    "Run",
    "RunConfig",
    "filed",
    "train",
]
