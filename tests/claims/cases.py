"""Runs whose outcome is made up, filed as the claims' rules look for them."""

from __future__ import annotations

from fwrnn_core import paths
from fwrnn_core.experiments import catalogue
from fwrnn_core.experiments.fair import final, search
from fwrnn_core.experiments.published import repeats

from ..shelf import put

RUNS = catalogue()
HOME = paths.home()


def run(name: str, accuracy: float, **options: object) -> None:
    """A record of one epoch with this best test accuracy, in per cent."""
    put(RUNS[name], {"test_accuracy": [accuracy / 100]}, **options)  # type: ignore[arg-type]


def seeds(row: str, accuracies: list[float], task: str = "har2", last: float = 0.5) -> None:
    """The published run and as many repeats: their best accuracy, and half of it at the end."""
    for name, best in zip(repeats(f"{task}/published/{row}"), accuracies, strict=False):
        curves = {"test_accuracy": [best / 100, last * best / 100], "train_loss": [1.0, 0.9]}
        put(RUNS[name], curves)


def finish(method: str, accuracies: list[float], task: str = "har2", spent: int = 1) -> None:
    for config in search(task, method):
        put(config, {"validation_loss": [config.optimizer.lr]})
    for config, accuracy in zip(final(task, method), accuracies, strict=False):
        curve = [*[0.1] * (spent - 1), accuracy / 100]
        losses = [*[1.0] * (spent - 1), 0.5]
        put(config, {"test_accuracy": curve, "validation_loss": losses})
