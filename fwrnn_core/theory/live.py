"""Small runs that the theory pages train while a reader waits, with the path they took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from fwrnn_core.errors import ConfigError
from fwrnn_core.theory.audit import Snapshot
from fwrnn_core.theory.objective import Objective, flatten
from fwrnn_core.theory.probes import PathProbe, parameters, training_risk
from fwrnn_core.training import Record, RunConfig
from fwrnn_core.training.environment import deterministic
from fwrnn_core.training.loop import Run
from fwrnn_core.training.probes import Probe, ProbeContext
from fwrnn_core.training.session import on_threads


@dataclass(frozen=True)
class LivePath:
    """A finished run and points of its path.

    :ivar snapshots: the points, in order; ``final``: ω_T, flat [d].
    :ivar model: the trained network; ``context``: what a probe sees at the end of the run.
    """

    snapshots: list[Snapshot]
    final: Tensor
    model: nn.Module
    context: ProbeContext
    record: Record

    @property
    def points(self) -> Tensor:
        """ω_t of the snapshots, [n, d]."""
        return torch.stack([s.point for s in self.snapshots])

    def risk(self, samples: int | None = None, hvp: str = "double-backward") -> Objective:
        """The training risk in float64, over all or ``samples`` of the training sequences."""
        return training_risk(self.context, samples=samples, dtype=torch.float64, hvp=hvp)


def follow(
    config: RunConfig, snapshots: int = 12, probes: Sequence[Probe] = (), device: str = "auto"
) -> LivePath:
    """Train a run in memory, without progress bar or files, and keep points of its path.

    It trains on ``device``, on one thread as recorded runs do; what is returned lies on the CPU,
    where the pages measure and draw.

    >>> from fwrnn_core.training import DataConfig, ModelConfig, RunConfig
    >>> adding = DataConfig("adding", {"length": 10, "train": 100, "test": 10})
    >>> small = {"data": adding, "model": ModelConfig(hidden_size=4), "batch_size": 50}
    >>> path = follow(RunConfig("demo", epochs=3, **small), snapshots=3)
    >>> [s.epoch for s in path.snapshots], path.points.shape
    ([0, 1, 2], torch.Size([3, 37]))

    Raises:
        ConfigError: the run is too short for a single outer update, so that it has no path.
    """
    keeper = PathProbe(snapshots)
    with on_threads(1), deterministic(device):
        run = Run(config, device, [keeper, *probes])
        run.advance(config.epochs, progress=False)
        record = run.record()
    if not keeper.kept:
        raise ConfigError(
            f"{config.name}: {config.epochs} epochs of {len(run.data.y_train)} sequences in "
            f"minibatches of {config.batch_size} do not finish one inner loop of "
            f"K = {config.optimizer.inner_steps}; give more epochs or sequences, or a smaller K"
        )
    home = torch.device("cpu")
    model = run.model.to(home)
    context = ProbeContext(
        model=model,
        optimizer=run.optimizer,
        dataset=run.data,
        config=config,
        loss_fn=run.loss_fn,
        device=home,
    )
    final = flatten(parameters(model).values())
    return LivePath([_at_home(s, home) for s in keeper.kept], final, model, context, record)


def _at_home(snapshot: Snapshot, home: torch.device) -> Snapshot:
    tensors: dict[str, Any] = {
        k: v.to(home) for k, v in vars(snapshot).items() if isinstance(v, Tensor)
    }
    return replace(snapshot, **tensors)
