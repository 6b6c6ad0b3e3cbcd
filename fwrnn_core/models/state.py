"""What the models share: the carried state, the checks of an input, the output heads."""

from __future__ import annotations

from typing import overload

import torch
from torch import Tensor, nn

from fwrnn_core.errors import ConfigError, choice

State = Tensor | tuple[Tensor, Tensor]
"""``[num_layers, N, H]``; for the LSTM the pair (h, c) of that shape, as in ``torch.nn.LSTM``."""

HEADS = ("linear", "sigmoid")


@overload
def detach(state: Tensor) -> Tensor: ...
@overload
def detach(state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]: ...
def detach(state: State) -> State:
    """The same state without its history: the cut of truncated back-propagation through time.

    >>> import torch
    >>> detach((torch.ones(1, 2, 3, requires_grad=True) * 2, torch.zeros(1, 2, 3)))[0].requires_grad
    False
    """
    if isinstance(state, tuple):
        return state[0].detach(), state[1].detach()
    return state.detach()


def positive(**sizes: int) -> None:
    """Raise :class:`ConfigError` for a size that is not an integer of at least 1."""
    for name, value in sizes.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConfigError(f"{name} must be an integer of at least 1, not {value!r}")


def check_input(x: Tensor, input_size: int) -> None:
    """Raise :class:`ConfigError` unless ``x`` is ``[N, T, input_size]`` with N, T at least 1."""
    if not isinstance(x, Tensor):
        raise ConfigError(
            f"input is a {type(x).__name__}: the model takes a tensor [N, T, {input_size}] "
            "(torch.as_tensor(…); packed sequences are not taken)"
        )
    if x.dim() != 3 or x.size(2) != input_size or x.numel() == 0:
        raise ConfigError(
            f"input of shape {tuple(x.shape)}: the model takes [N, T, {input_size}] with "
            "N and T at least 1 (a single-feature sequence needs x.unsqueeze(-1))"
        )


class Head(nn.Linear):
    """The paper's output layers: ``"linear"`` (logits or a regressed value) or ``"sigmoid"``
    (probabilities, trained with the mean squared error against 0/1 labels)."""

    def __init__(self, hidden_size: int, output_size: int, kind: str) -> None:
        choice("head", kind, HEADS)
        super().__init__(hidden_size, output_size)
        self.kind = kind

    def forward(self, hidden: Tensor) -> Tensor:
        output = super().forward(hidden)
        return torch.sigmoid(output) if self.kind == "sigmoid" else output

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, kind={self.kind!r}"
