"""Searches, final runs and repeats whose outcome is made up."""

from __future__ import annotations

from fwrnn_core import experiments
from fwrnn_core.experiments import fair, published

from ..shelf import put


def finish_search(task: str, method: str, best: int = 5, falling: int = 0) -> None:
    """Trials of two epochs of which ``best`` has the lowest loss, and ``falling`` its own in the
    last epoch."""
    for number, config in enumerate(fair.search(task, method)):
        lowest = 0.1 if number == best else 0.8
        losses = [0.9, lowest] if number < falling else [lowest, 0.9]
        put(config, {"validation_loss": losses})


def finish(task: str, method: str, accuracies: list[float], spent: int = 1) -> None:
    """Final runs of the first seeds, which reach their accuracy in epoch ``spent``."""
    for config, accuracy in zip(fair.final(task, method), accuracies, strict=False):
        curve = [*[0.1] * (spent - 1), accuracy]
        losses = [*[1.0] * (spent - 1), 0.5]
        put(config, {"test_accuracy": curve, "validation_loss": losses})


def both_stages(task: str, method: str, accuracies: list[float]) -> None:
    finish_search(task, method)
    finish(task, method, accuracies)


def row(table: str, label: str) -> list[str]:
    (line,) = [ln for ln in table.splitlines() if ln.startswith(f"| {label} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def repeat(task: str, method: str, curves: dict[int, list[float]]) -> None:
    """Runs of Table III by seed, the published seed 42 among them; 200 epochs are not needed."""
    catalogue = experiments.catalogue()
    for name in published.repeats(f"{task}/published/{method}"):
        config = catalogue[name]
        if config.seed in curves:
            put(config, {"test_accuracy": curves[config.seed]})


def spend(task: str, method: str, curves: list[list[float]], per_epoch: int) -> None:
    """Final runs with a falling validation loss and ``per_epoch`` gradients in each epoch."""
    finish_search(task, method)
    for config, curve in zip(fair.final(task, method), curves, strict=False):
        taken = [per_epoch * n for n in range(1, len(curve) + 1)]
        put(config, {"test_accuracy": curve, "gradient_evaluations": taken})
