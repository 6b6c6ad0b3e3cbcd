"""How often a walk without a goal seems to lead towards its own end: a yardstick for A5."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fwrnn_core.errors import ConfigError


def angle_of_a_walk(steps: int) -> float:
    """The angle in degrees, about, of the next of ``steps`` random steps to the end of them all:
    arccos(1/√N), as N orthogonal steps of one length make it (ours).

    >>> angle_of_a_walk(1), round(angle_of_a_walk(4), 6)
    (0.0, 60.0)
    """
    if steps < 1:
        raise ConfigError(f"a walk has at least one step, not {steps!r}")
    return math.degrees(math.acos(steps**-0.5))


def gains_by_chance(
    updates: int, dimension: int, *, walks: int = 10, points: int = 10, seed: int = 0
) -> tuple[float, float]:
    """How often random directions, and the steps that Adam makes of them, lead towards the end of
    their own walk (ours): two shares, over all walks and points.

    :param updates: length of a walk; ``dimension``: number of weights d.
    :param points: updates at which is looked, evenly spread over the first nine tenths.

    The very first step of a walk in many dimensions has a part in its end:

    >>> gains_by_chance(updates=5, dimension=1000, points=1)
    (1.0, 1.0)
    """
    if min(updates, dimension, walks, points) < 1:
        raise ConfigError("updates, dimension, walks and points must be at least 1")
    source = torch.Generator().manual_seed(seed)
    # Adam works entry by entry, so that the walks, which are rows, do not meet.
    weights = torch.nn.Parameter(torch.zeros(walks, dimension))
    adam = torch.optim.Adam([weights], lr=1e-3)
    at = set(torch.linspace(0, 0.9 * updates, points).long().tolist())
    seen: list[tuple[Tensor, Tensor, Tensor]] = []
    for update in range(updates):
        fed = torch.randn(walks, dimension, generator=source)
        before = weights.detach().clone() if update in at else None
        weights.grad = -fed / fed.norm(dim=1, keepdim=True)
        adam.step()
        if before is not None:
            seen.append((before, fed, weights.detach() - before))
    way = [weights.detach() - before for before, _, _ in seen]
    shares = [
        torch.stack([(w * row[which]).sum(1) > 0 for w, row in zip(way, seen, strict=True)])
        for which in (1, 2)
    ]
    directions, steps = (float(share.double().mean()) for share in shares)
    return directions, steps
