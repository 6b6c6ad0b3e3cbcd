"""Testing: loss and accuracy of a model on one split of its data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from fwrnn_core.data import Dataset
from fwrnn_core.training.build import (
    build_loss,
    count_correct,
    derive_seed,
    generator,
    head_of,
    precision_of,
    seeded,
)
from fwrnn_core.training.config import RunConfig

# Large enough that testing is not bound by Python, small enough for 784 steps of 128 units.
_TEST_BATCH = 500


@contextmanager
def _mode(model: nn.Module, training: bool) -> Iterator[None]:
    before = model.training
    model.train(training)
    try:
        yield
    finally:
        model.train(before)


def at(optimizer: torch.optim.Optimizer, where: str) -> Any:
    """A context in which the weights are ω_t ("anchor") or as they stand ("iterate")."""
    anchored: Callable[[], Any] | None = getattr(optimizer, "anchored", None)
    return anchored() if where == "anchor" and anchored is not None else nullcontext()


@torch.no_grad()
def evaluate(
    model: nn.Module, data: Dataset, config: RunConfig, epoch: int, device: torch.device
) -> tuple[float, float | None]:
    """Mean loss and accuracy (None for regression) on the test split.

    With ``config.evaluation == "published-code"`` as the authors tested: training mode (batch
    statistics of the test batch, dropout on), shuffled, in training-size minibatches, accuracy as
    the mean over minibatches, so that a short last one weighs as much as a full one. Noise that is
    redrawn at each access is drawn from the run's own stream for that epoch.
    """
    published = config.evaluation == "published-code"
    loss_fn, head = build_loss(config.model, data), head_of(config.model, data)
    total = len(data.y_test)
    size = config.batch_size if published else _TEST_BATCH
    order = torch.arange(total)
    if published:
        order = torch.randperm(total, generator=generator(config.seed, "test-order", epoch))
    noise = generator(config.seed, "test-noise", epoch)
    losses, rates, sizes = [], [], []
    # Random initial states, and dropout where the mode has it on.
    seed = derive_seed(config.seed, "test-state", epoch)
    with _mode(model, published), seeded(seed, device):
        for index in order.split(size):
            x, y = (t.to(device) for t in data.batch("test", index, noise))
            with precision_of(config, device):
                output: Tensor = model(x)
                losses.append(loss_fn(output, y))
            rates.append(count_correct(output, y, data.task, head) / len(index))
            sizes.append(len(index))
    weight = torch.ones(len(sizes)) if published else torch.tensor(sizes, dtype=torch.float64)
    weight = (weight / weight.sum()).to(device, torch.float64)
    loss = float((torch.stack(losses).double() * weight).sum())
    if data.task == "regression":
        return loss, None
    return loss, float((torch.stack(rates).double() * weight).sum())
