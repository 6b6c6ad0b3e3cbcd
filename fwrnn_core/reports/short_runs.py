"""Short runs in memory, on a part of the real data, while a page is built."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from fwrnn_core.reports.names import label
from fwrnn_core.training import Record, Run, RunConfig
from fwrnn_core.training.environment import deterministic
from fwrnn_core.training.session import on_threads


def live(
    config: RunConfig,
    *,
    seeds: Sequence[int],
    epochs: int,
    train_limit: int | None = None,
    test_limit: int | None = None,
    device: str = "auto",
    **changes: Any,
) -> list[Record]:
    """One short run per seed on a part of the data, drawn with the seed; nothing is stored.

    ``changes`` are those of :meth:`RunConfig.replace`. ``test_limit`` cuts the test part, which
    for MNIST would take longer than the training. Computes on one thread, as recorded runs do.
    """
    runs = []
    with on_threads(1), deterministic(device):
        for seed in seeds:
            given = {"epochs": epochs, "seed": seed, **changes}
            if train_limit is not None:
                given["data.train_limit"] = train_limit
            run = Run(config.replace(**given), device)
            if test_limit is not None and test_limit < len(run.data.test):
                everything = torch.arange(len(run.data.train))
                run.data = run.data.select(everything, torch.arange(test_limit))
            run.advance(epochs, progress=False)
            runs.append(run.record())
    return runs


def has_moved(record: Record) -> bool:
    """Whether the run came to an outer update: with fewer minibatches than K it ends where it
    began."""
    updates = record.curve("updates")
    return not updates.size or bool(updates[-1] > 0)


def adjusted(
    config: RunConfig, *, inner_steps: int, radius: float | None = None, norm: float | str = 2.0
) -> tuple[str, RunConfig]:
    """A Frank-Wolfe run with the reader's K, radius and norm, and a label that says so.

    >>> from fwrnn_core import experiments
    >>> text, run = adjusted(experiments.catalogue()["har2/published/fw-k5"], inner_steps=7)
    >>> text, run.optimizer.inner_steps
    ('Frank-Wolfe, K = 7', 7)
    """
    changes = {"inner_steps": inner_steps, "radius": radius, "norm": norm}
    run = config.replace(**{f"optimizer.{key}": value for key, value in changes.items()})
    text = label(config).replace(f"K = {config.optimizer.inner_steps}", f"K = {inner_steps}")
    if radius is not None:
        text += f", δ = {radius:g}"
    if norm != 2:
        text += f", p = {norm}"
    return text, run
