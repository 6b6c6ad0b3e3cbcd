"""Averaging Δ_K over workers: one exchange per K minibatches.

Each worker walks in the ball around the shared ω_t on its own minibatches. The average of points
of the ball is a convex combination, and the ball is convex, hence it is in the ball again:
‖(1/n) Σ Δ^(i)‖ ≤ (1/n) Σ ‖Δ^(i)‖ ≤ δ. This much of Algorithm 1 survives, at 1/K of the traffic of
averaging every gradient. A bound on the value survives only where F is convex on the ball: then, by
Jensen's inequality, F at the average is at most the average of F over the workers' ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from fwrnn_core.errors import ConfigError, FwrnnError
from fwrnn_core.optim.options import OWN

Group = dist.ProcessGroup


class WorkerLost(FwrnnError, RuntimeError):
    """A collective failed or timed out: another worker has died, or is out of step."""


def size(group: Group) -> int:
    """Number of workers."""
    return dist.get_world_size(group)


def share_start(
    group: Group, param_groups: Sequence[dict[str, Any]], settings: dict[str, Any]
) -> None:
    """Check that all workers use the same settings, then give them the first worker's weights.

    Frozen parameters count as a setting: a worker that skips one would send a shorter walk.

    Raises:
        ConfigError: not a process group, or the workers' settings differ.
        WorkerLost: a worker is missing.
    """
    if not isinstance(group, Group):
        raise ConfigError(
            f"process_group = {group!r}: give a torch.distributed.ProcessGroup that this worker is "
            "a member of, such as torch.distributed.group.WORLD after init_process_group()"
        )
    own = [
        {
            **{key: g[key] for key in OWN},
            "frozen": [not p.requires_grad for p in g["params"]],
        }
        for g in param_groups
    ]
    gathered: list[Any] = [None] * size(group)
    try:
        dist.all_gather_object(gathered, {**settings, "groups": own}, group=group)
        for rank, theirs in enumerate(gathered):
            if theirs != gathered[0]:
                raise ConfigError(
                    f"worker {rank} built its optimizer differently from worker 0: "
                    f"{theirs} against {gathered[0]}"
                )
        for p in (p for g in param_groups for p in g["params"]):
            held = p.detach().contiguous()
            dist.broadcast(held, src=dist.get_global_rank(group, 0), group=group)
            with torch.no_grad():
                p.copy_(held)
    except RuntimeError as error:
        raise _lost("sharing the starting weights", error) from error


def average(group: Group, tensors: Sequence[Tensor], flags: Sequence[bool]) -> list[bool]:
    """Replace ``tensors`` by their mean over the workers; OR the flags.

    All tensors of one dtype and device travel in one buffer, so there is one collective per loop
    in the usual case. Every worker must call this with tensors of the same shapes.
    """
    kinds = sorted({(str(t.dtype), str(t.device)) for t in tensors})
    votes = torch.zeros(len(flags))
    try:
        for i, kind in enumerate(kinds):
            members = [t for t in tensors if (str(t.dtype), str(t.device)) == kind]
            parts = [t.reshape(-1) for t in members]
            if i == 0:
                votes = torch.tensor(flags, dtype=parts[0].dtype, device=parts[0].device)
                parts.append(votes)
            buffer = torch.cat(parts)
            dist.all_reduce(buffer, group=group)
            pieces = buffer.split([p.numel() for p in parts])
            if i == 0:
                votes = pieces[-1]
            for t, piece in zip(members, pieces, strict=False):
                t.copy_(piece.view(t.shape).div_(size(group)))
    except RuntimeError as error:
        raise _lost("averaging the workers' walks", error) from error
    return (votes > 0).tolist()


def _lost(what: str, error: RuntimeError) -> WorkerLost:
    reason = str(error).strip().splitlines()[0]
    return WorkerLost(
        f"{what} failed ({reason}): another worker has died or is out of step. Restart all workers "
        "from the last checkpoint"
    )
