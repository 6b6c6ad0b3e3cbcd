"""The IndRNN as one writes it in PyTorch: the benchmark's baseline, not used for training."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fwrnn_core.models import IndRNN


class PlainIndRNN(nn.Module):
    """The same layers as ``net``, with its parameters, as a Python loop over time and
    ``torch.nn.BatchNorm1d`` over batch and time.

    ``flat`` gives the batch norm all N * T rows as a matrix; otherwise it gets [N, H, T], the
    layout of public IndRNN code, which PyTorch's CPU kernel is slower on.
    """

    def __init__(self, net: IndRNN, flat: bool) -> None:
        super().__init__()
        self.net = net
        self.flat = flat
        self.norms = nn.ModuleList(nn.BatchNorm1d(net.hidden_size) for _ in net.layers)

    def forward(self, x: Tensor) -> Tensor:
        y = x.transpose(0, 1)
        for layer, norm in zip(self.net.layers, self.norms, strict=True):
            h = y.new_zeros(y.size(1), self.net.hidden_size)
            states = []
            for step in layer.linear(y).unbind(0):
                h = torch.relu(step + layer.weight_hh * h)
                states.append(h)
            y = torch.stack(states)
            if self.flat:
                y = norm(y.flatten(0, 1)).view_as(y)
            else:
                y = norm(y.permute(1, 2, 0)).permute(2, 0, 1)
            if layer.dropout:
                y = y * F.dropout(torch.ones_like(y[0]), layer.dropout)
        return self.net.head(y[-1])
