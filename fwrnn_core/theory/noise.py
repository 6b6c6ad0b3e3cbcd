"""Two ways to spend K noisy gradients: the mean of their unit vectors, or their plain mean."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fwrnn_core.errors import ConfigError
from fwrnn_core.optim import lmo
from fwrnn_core.theory.angles import angle_degrees


def angles_of_means(gradients: Tensor, full: Tensor, counts: Sequence[int]) -> Tensor:
    """Angles to ∇F of the means of the first k gradients, [2, counts], in degrees.

    Row 0: of the normalised gradients, which for a small ball is −Δ_k/δ. Row 1: of the gradients as
    they are, which is one gradient on a k times larger minibatch.

    :param gradients: [K, d]. :param full: ∇F, [d]. :param counts: each k, 1 … K.

    A long gradient takes over the plain mean, but not that of unit vectors:

    >>> g = torch.tensor([[1.0, 0.0], [0.0, 100.0]])
    >>> angles_of_means(g, torch.tensor([1.0, 0.0]), [1, 2]).round()
    tensor([[ 0., 45.],
            [ 0., 89.]])
    """
    if not all(1 <= k <= len(gradients) for k in counts):
        raise ConfigError(f"counts must lie in 1 … {len(gradients)}, not {list(counts)!r}")
    units = -torch.stack([lmo(g) for g in gradients])
    rows = [torch.stack([v[:k].mean(0) for k in counts]) for v in (units, gradients)]
    return torch.stack([angle_degrees(means, full.expand_as(means)) for means in rows])


def held_by_longest(gradients: Tensor, share: float = 0.2) -> float:
    """What part of the summed lengths the longest gradients hold.

    :param gradients: [K, d]. :param share: of the K gradients that count as the longest, rounded
        down.

    >>> held_by_longest(torch.tensor([[3.0, 4.0], [5.0, 0.0], [0.0, 30.0], [0.0, 0.0]]), 0.25)
    0.75
    """
    lengths = gradients.norm(dim=-1).sort(descending=True).values
    return float(lengths[: int(len(lengths) * share)].sum() / lengths.sum())
