"""IndRNN as the paper trained it (Li et al. 2018; Yue et al. 2020, Table II)."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fwrnn_core.errors import ConfigError, choice
from fwrnn_core.models import kernels
from fwrnn_core.models.state import Head, check_input, positive

MAGNITUDE = 5.0
"""|u| ≤ U_b = 5**(1/T) keeps |u|**T at most 5 over the whole sequence. From below nothing holds it;
u ≥ 1/U_b, where ``recurrent_init="published"`` starts the last layer, is u**T ≥ 1/5."""


class TimeNorm(nn.BatchNorm1d):
    """``torch.nn.BatchNorm1d`` over batch and time: same parameters, buffers and state dict,
    its statistics exact sums over all N * T rows, computed inside the layer's kernel."""

    running_mean: Tensor
    running_var: Tensor
    momentum: float
    num_batches_tracked: Tensor

    def arguments(self, order: str) -> kernels.Norm:
        """What the kernel needs to know: in evaluation mode also the running statistics."""
        if self.training:
            return kernels.Norm(order, self.weight, self.bias, eps=self.eps)
        return kernels.Norm(
            order, self.weight, self.bias, self.running_mean, self.running_var, self.eps
        )

    @torch.no_grad()
    def track(self, mean: Tensor, var: Tensor, rows: int) -> None:
        """Move the running statistics towards a batch's mean and biased variance."""
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(var * (rows / (rows - 1)), self.momentum)
        self.num_batches_tracked.add_(1)


class IndRNNLayer(nn.Module):
    """linear -> IndRNN with ReLU, with batch normalisation over batch and time after or before
    the recurrence, then dropout with one mask for all time steps. Time-major inside."""

    def __init__(
        self, input_size: int, hidden_size: int, batch_norm: str | None, dropout: float
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(input_size, hidden_size)
        self.weight_hh = nn.Parameter(torch.empty(hidden_size))
        self.norm = TimeNorm(hidden_size) if batch_norm else None
        self.order = batch_norm or ""
        self.dropout = dropout

    def forward(self, x: Tensor, state: Tensor, last_only: bool = False) -> tuple[Tensor, Tensor]:
        """``x`` [T, N, F], ``state`` [N, H] -> ``y`` [T or 1, N, H] and the last state [N, H]."""
        mask = None
        if self.training and self.dropout:
            mask = F.dropout(torch.ones_like(state, dtype=self.weight_hh.dtype), self.dropout)
        norm = None if self.norm is None else self.norm.arguments(self.order)
        out = kernels.indrnn(
            x,
            state,
            self.linear.weight,
            self.linear.bias,
            self.weight_hh,
            norm,
            mask,
            last_only,
        )
        if self.norm is not None and out.mean is not None and out.var is not None:
            self.norm.track(out.mean, out.var, x.size(0) * x.size(1))
        return out.y, out.state


class IndRNN(nn.Module):
    """A stack of IndRNN layers read out at the last step: ``[N, T, F]`` -> ``[N, O]``.

    Args:
        input_size, hidden_size, output_size: F, H and O.
        num_layers: 6 in the paper.
        seq_len: T; sets the bound U_b = 5**(1/T) of the recurrent weights.
        batch_norm: ``"after"`` the recurrence (the paper's runs), ``"before"`` it, or ``None``.
        dropout: probability; one mask per call, layer and sequence, shared over time.
        head: ``"linear"`` or ``"sigmoid"``.
        recurrent_init: ``"released"`` draws every u from U(0, U_b), which is what the authors'
            code does; ``"published"`` draws the last layer's from U(1/U_b, U_b), the long-memory
            start that Li et al. describe (the released code means to, but asks for a parameter
            name that does not exist).
        constrain: clamp u to [-U_b, U_b] before each training forward. The released HAR-2
            baseline ran without.
        recurrent_bound: U_b itself, where it is not to follow from ``seq_len``.

    Weights start as in the released code: linear layers Kaiming-uniform with slope 8, the
    classifier Kaiming-normal, biases 0, batch-norm weights 1. The element-wise gradient clamp of
    the released runs (+-10) belongs to the training loop.

    Raises:
        ConfigError: an unknown name, a size below 1, a probability outside [0, 1), a bound
            that is not positive, an input of another shape.

    >>> net = IndRNN(1, 128, 10)
    >>> sum(p.numel() for p in net.parameters())
    86410
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        num_layers: int = 6,
        seq_len: int = 784,
        batch_norm: str | None = "after",
        dropout: float = 0.1,
        head: str = "linear",
        *,
        recurrent_init: str = "released",
        constrain: bool = True,
        recurrent_bound: float | None = None,
    ) -> None:
        super().__init__()
        positive(
            input_size=input_size,
            hidden_size=hidden_size,
            output_size=output_size,
            num_layers=num_layers,
            seq_len=seq_len,
        )
        choice("batch_norm", batch_norm, ("after", "before", None))
        choice("recurrent_init", recurrent_init, ("released", "published"))
        if not 0 <= dropout < 1:
            raise ConfigError(f"dropout must be in [0, 1), not {dropout!r}")
        if recurrent_bound is not None and not 0 < recurrent_bound < float("inf"):
            raise ConfigError(f"recurrent_bound must be positive, not {recurrent_bound!r}")
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.recurrent_init = recurrent_init
        self.constrain = constrain
        self.bound = recurrent_bound or MAGNITUDE ** (1 / seq_len)
        self.layers = nn.ModuleList(
            IndRNNLayer(input_size if i == 0 else hidden_size, hidden_size, batch_norm, dropout)
            for i in range(num_layers)
        )
        self.head = Head(hidden_size, output_size, head)
        self.reset_parameters()

    def _stack(self) -> list[IndRNNLayer]:
        return cast(list[IndRNNLayer], list(self.layers))

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw all weights anew from torch's global generator."""
        for i, layer in enumerate(self._stack()):
            nn.init.kaiming_uniform_(layer.linear.weight, a=8)
            nn.init.zeros_(layer.linear.bias)
            long_memory = self.recurrent_init == "published" and i == len(self.layers) - 1
            layer.weight_hh.uniform_(1 / self.bound if long_memory else 0.0, self.bound)
            if layer.norm is not None:
                layer.norm.reset_parameters()
        nn.init.kaiming_normal_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, T, F]`` -> ``[N, O]``, read out at the last step."""
        return self.step(x)[0]

    def step(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run over one chunk of time from ``state`` [num_layers, N, H] (``None``: zeros).

        Returns the output at the chunk's last step and the state after it, history attached.
        """
        check_input(x, self.input_size)
        rows = x.size(0) * x.size(1)
        if self.training and rows == 1 and self._stack()[0].norm is not None:
            raise ConfigError("batch normalisation needs more than one row (N * T) to train on")
        if self.training and self.constrain:
            self.clamp_()
        if state is None:
            state = x.new_zeros(len(self.layers), x.size(0), self.hidden_size)
        x, states = x.transpose(0, 1), []
        for i, layer in enumerate(self._stack()):
            x, last = layer(x, state[i], last_only=i == len(self.layers) - 1)
            states.append(last)
        return self.head(x[-1]), torch.stack(states)

    @torch.no_grad()
    def clamp_(self) -> None:
        """Put every recurrent weight back into [-U_b, U_b] (each training forward does it)."""
        for layer in self._stack():
            # Through .data: after the first call nothing changes any more, so that a second
            # forward must not invalidate the graph of the first one.
            layer.weight_hh.data.clamp_(-self.bound, self.bound)

    def param_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Two optimizer groups: all weights with the decay; biases (of linear layers and batch
        norms) and recurrent weights without, as in the released IndRNN baseline (1e-4).

        >>> net = IndRNN(1, 8, 2, num_layers=2)
        >>> [len(group["params"]) for group in net.param_groups(1e-4)]
        [5, 7]
        """
        free: list[Tensor] = []
        decayed: list[Tensor] = []
        for name, parameter in self.named_parameters():
            exempt = name.endswith("bias") or name.endswith("weight_hh")
            (free if exempt else decayed).append(parameter)
        return [
            {"params": decayed, "weight_decay": weight_decay},
            {"params": free, "weight_decay": 0.0},
        ]
