"""Parameters and inner steps of made-up gradients."""

from __future__ import annotations

import torch
from torch import nn

from fwrnn_core import FrankWolfe


def parameter(*values: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values, dtype=torch.float64))


def walk(opt: FrankWolfe, gradients: list[dict[nn.Parameter, list[float] | None]]) -> None:
    """One inner step per entry; a parameter that is left out has no gradient."""
    for step in gradients:
        opt.zero_grad()
        for p, g in step.items():
            p.grad = None if g is None else torch.tensor(g, dtype=p.dtype).view(p.shape)
        opt.step()
