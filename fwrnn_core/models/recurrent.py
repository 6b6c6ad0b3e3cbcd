"""Tanh RNN, LSTM and GRU with the heads of the paper (Yue et al. 2020, section V)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from fwrnn_core.errors import ConfigError, choice
from fwrnn_core.models import kernels
from fwrnn_core.models.state import Head, State, check_input, positive

_CELLS: dict[str, type[nn.RNN] | type[nn.LSTM] | type[nn.GRU]] = {
    "tanh": nn.RNN,
    "lstm": nn.LSTM,
    "gru": nn.GRU,
}


class RecurrentNet(nn.Module):
    """A stack of recurrent layers read out at the last step: ``[N, T, F]`` -> ``[N, O]``.

    ``net.rnn`` *is* the ``torch.nn.RNN`` / ``LSTM`` / ``GRU`` (``batch_first=True``), so its
    ``state_dict`` and torch's own are interchangeable; only the arithmetic may be a fused kernel
    (:mod:`fwrnn_core.models.kernels`).

    Args:
        input_size, hidden_size, output_size: F, H and O.
        cell: ``"tanh"``, ``"lstm"`` or ``"gru"``.
        num_layers: layers on top of each other.
        head: ``"linear"`` or ``"sigmoid"`` (probabilities).
        batch_norm: ``BatchNorm1d`` on the last hidden state only ("Ours+BN" in Table III; the
            carried state of :meth:`step` is not normalised).
        initial_state: ``"zeros"``, or ``"uniform"``: every entry drawn anew for every call from
            U(-s, s) with s = sqrt(3 / 2H), as for the Adding task (Arjovsky et al. 2016's code).
            For the LSTM both h and c are drawn (ours).
        generator: where the uniform initial states come from; ``None`` is torch's global one.

    Raises:
        ConfigError: an unknown name, a size below 1, a ``batch_norm`` that is neither True nor
            False, or an input of another shape.

    >>> net = RecurrentNet(1, 128, 10)
    >>> sum(p.numel() for p in net.parameters())
    18058
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        cell: str = "tanh",
        num_layers: int = 1,
        head: str = "linear",
        batch_norm: bool = False,
        *,
        initial_state: str = "zeros",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        choice("cell", cell, tuple(_CELLS))
        choice("initial state", initial_state, ("zeros", "uniform"))
        if not isinstance(batch_norm, bool):  # IndRNN's "before" would count as true
            raise ConfigError(f"batch_norm must be True or False, not {batch_norm!r}")
        positive(
            input_size=input_size,
            hidden_size=hidden_size,
            output_size=output_size,
            num_layers=num_layers,
        )
        self.cell = cell
        self.initial_state = initial_state
        self.generator = generator
        self.rnn = _CELLS[cell](input_size, hidden_size, num_layers, batch_first=True)
        self.norm = nn.BatchNorm1d(hidden_size) if batch_norm else None
        self.head = Head(hidden_size, output_size, head)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, T, F]`` -> ``[N, O]``, read out at the last step."""
        return self.step(x)[0]

    def step(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run over one chunk of time from ``state`` (``None``: the initial state).

        Returns the output at the chunk's last step and the state after it, history attached;
        cut it with :func:`fwrnn_core.models.detach` for truncated back-propagation.
        """
        check_input(x, self.rnn.input_size)
        if state is None:
            state = self._initial(x)
        state = self._recur(x, state)
        hidden = (state[0] if isinstance(state, tuple) else state)[-1]
        return self.head(hidden if self.norm is None else self.norm(hidden)), state

    def _recur(self, x: Tensor, state: State) -> State:
        """The states of all layers after the last step."""
        every = self.rnn.all_weights
        # Of the weights' dtype, which under autocast x may have lost.
        backend = kernels.backend_name(x.device, every[0][0].dtype)
        if backend == "cuda":
            return self.rnn(x, state)[1]
        if self.cell == "gru":
            # cuDNN's recurrences cannot be differentiated twice, PyTorch's own can.
            with torch.backends.cudnn.flags(enabled=backend != "reference"):
                return self.rnn(x, state)[1]
        x, lasts = x.transpose(0, 1), []
        for layer, weights in enumerate(every):
            if isinstance(state, tuple):
                x, *last = kernels.lstm(x, state[0][layer], state[1][layer], *weights)
            else:
                x, *last = kernels.tanh_rnn(x, state[layer], *weights)
            lasts.append(last)
        stacked = [torch.stack(parts) for parts in zip(*lasts, strict=True)]
        return (stacked[0], stacked[1]) if self.cell == "lstm" else stacked[0]

    def _initial(self, x: Tensor) -> State:
        shape = (self.rnn.num_layers, x.size(0), self.rnn.hidden_size)
        state = [self._draw(shape, x) for _ in range(2 if self.cell == "lstm" else 1)]
        return (state[0], state[1]) if self.cell == "lstm" else state[0]

    def _draw(self, shape: tuple[int, int, int], like: Tensor) -> Tensor:
        if self.initial_state == "zeros":
            return like.new_zeros(shape)
        bound = math.sqrt(3 / (2 * self.rnn.hidden_size))
        # The generator decides the device of the draw: a CPU generator gives the same states to
        # a model on any device.
        device = like.device if self.generator is None else self.generator.device
        draw = torch.rand(shape, generator=self.generator, device=device, dtype=like.dtype)
        return draw.mul_(2 * bound).sub_(bound).to(like.device)
