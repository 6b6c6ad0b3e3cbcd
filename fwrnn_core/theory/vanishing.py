"""Vanishing and exploding gradients: what a loss at step T says about the states and weights of
step t.

For h_t = f(h_{t−1}, x_t; W) the chain rule gives ∂F/∂h_t = (J_T ⋯ J_{t+1})ᵀ ∂F/∂h_T with J_i =
∂h_i/∂h_{i−1} (Pascanu, Mikolov & Bengio 2013). The singular values of that product say how much
can survive; the gradient of the weights split by time step says how much does. Works for every
cell of :class:`fwrnn_core.models.RecurrentNet`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fwrnn_core.errors import ConfigError
from fwrnn_core.models import RecurrentNet
from fwrnn_core.models.state import State


class _Step(nn.Module):
    """``model.step`` as a forward method, for functional_call."""

    def __init__(self, net: RecurrentNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, state: State | None) -> tuple[Tensor, State]:
        return self.net.step(x, state)


def _twin(model: RecurrentNet) -> RecurrentNet:
    # float64, because the products below span more decades than float32 has digits.
    twin = copy.deepcopy(model).double()
    twin.requires_grad_(False)
    return twin


def _join(state: State) -> Tensor:
    """The state of one sample as one vector: [N, layers · H], for the LSTM [N, 2 · layers · H]."""
    parts = state if isinstance(state, tuple) else (state,)
    return torch.cat([p.transpose(0, 1).flatten(1) for p in parts], dim=1)


def state_jacobians(model: RecurrentNet, x: Tensor) -> Tensor:
    """J_t = ∂h_t/∂h_{t−1} for t = 1 … T along one sequence from h_0 = 0, [T, S, S] float64.

    S is the size of the carried state: layers · H, twice that for the LSTM (h and c).

    :param x: one sequence [T, F] or [1, T, F].
    :raises ConfigError: more than one sequence.

    With zero input and state, tanh is the identity to first order and J is the recurrent matrix:

    >>> net = RecurrentNet(1, 3, 1)
    >>> for p in net.parameters():
    ...     _ = nn.init.zeros_(p) if p.ndim == 1 else p
    >>> J = state_jacobians(net, torch.zeros(4, 1))
    >>> J.shape, torch.allclose(J[2], net.rnn.weight_hh_l0.double())
    (torch.Size([4, 3, 3]), True)
    """
    sequence = x.detach().double()
    if sequence.ndim == 2:
        sequence = sequence[None]
    if sequence.ndim != 3 or len(sequence) != 1:
        raise ConfigError(f"state_jacobians takes one sequence [T, F], not {tuple(x.shape)}")
    twin = _twin(model)
    with torch.no_grad():  # one step, for the shape of a state
        state = _map(torch.zeros_like, twin.step(sequence[:, :1])[1])
    size = _join(state).shape[1]
    # S copies of the sequence in one batch: copy i differentiates entry i of the next state.
    state = _map(lambda p: p.expand(-1, size, -1).contiguous(), state)
    out = []
    for t in range(sequence.shape[1]):
        state = _map(lambda p: p.detach().requires_grad_(True), state)
        _, following = twin.step(sequence[:, t : t + 1].expand(size, -1, -1), state)
        leaves = state if isinstance(state, tuple) else (state,)
        rows = torch.autograd.grad(_join(following).diagonal().sum(), leaves)
        out.append(_join((rows[0], rows[1]) if len(rows) == 2 else rows[0]))
        state = following
    return torch.stack(out)


def _map(function: Callable[[Tensor], Tensor], state: State) -> State:
    if isinstance(state, tuple):
        return function(state[0]), function(state[1])
    return function(state)


def product_singular_values(jacobians: Tensor) -> Tensor:
    """Singular values of J_T ⋯ J_{t+1} for t = T−1 … 0, descending in the last axis, [T, S].

    Row i belongs to a reach of i + 1 steps back in time. The product is kept at unit scale and its
    logarithm apart, so that 784 steps do not underflow.

    >>> J = 0.5 * torch.eye(2, dtype=torch.float64).expand(3, 2, 2)
    >>> product_singular_values(J)[:, 0]
    tensor([0.5000, 0.2500, 0.1250], dtype=torch.float64)
    """
    if jacobians.ndim != 3 or jacobians.shape[1] != jacobians.shape[2]:
        raise ConfigError(f"jacobians must be [T, S, S], not {tuple(jacobians.shape)}")
    product = torch.eye(jacobians.shape[1], dtype=torch.float64, device=jacobians.device)
    log_scale = product.new_zeros(())
    rows = []
    for jacobian in jacobians.double().flip(0):
        product = product @ jacobian
        size = product.abs().max()
        if size > 0:
            product, log_scale = product / size, log_scale + size.log()
        rows.append(torch.linalg.svdvals(product) * log_scale.exp())
    return torch.stack(rows)


@dataclass(frozen=True)
class StepGradients:
    """How one loss at the last step depends on each time step.

    :ivar state: ‖∂F/∂h_t‖ for t = 1 … T, [T].
    :ivar weight: norm of the gradient of the recurrent layers' weights through step t alone, [T].
        The output layer acts at step T only and would count for that step alone.
    :ivar total: ∇F, flat [d], the sum over the steps.
    """

    state: Tensor
    weight: Tensor
    total: Tensor


def step_gradients(
    model: RecurrentNet, loss_fn: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor
) -> StepGradients:
    """The gradient of a batch's loss, split by time step.

    Each step runs on its own copy of the weights; the gradient of copy t is the part of ∇F that
    came through step t. The parts add up to ∇F.

    :param x: [N, T, F]; ``y``: targets of the loss.

    >>> net = RecurrentNet(1, 4, 1)
    >>> parts = step_gradients(net, nn.functional.mse_loss, torch.ones(2, 5, 1), torch.ones(2, 1))
    >>> parts.state.shape, parts.weight.shape, parts.total.shape
    (torch.Size([5]), torch.Size([5]), torch.Size([33]))
    """
    twin = _twin(model)
    step = _Step(twin)
    inputs = x.detach().double()
    target = y.detach().double() if y.is_floating_point() else y
    copies: list[dict[str, Tensor]] = []
    states: list[tuple[Tensor, ...]] = []
    state: State | None = None
    output = inputs
    for t in range(inputs.shape[1]):
        weights = {name: p.clone().requires_grad_(True) for name, p in step.named_parameters()}
        output, state = torch.func.functional_call(step, weights, (inputs[:, t : t + 1], state))
        copies.append(weights)
        states.append(state if isinstance(state, tuple) else (state,))
    leaves = [p for weights in copies for p in weights.values()]
    nodes = [s for parts in states for s in parts]
    found = torch.autograd.grad(loss_fn(output, target), [*leaves, *nodes], materialize_grads=True)
    names = list(copies[0])
    by_copy = [
        dict(zip(names, found[i : i + len(names)], strict=True))
        for i in range(0, len(leaves), len(names))
    ]
    recurrent = [
        torch.cat([g.flatten() for name, g in part.items() if name.startswith("net.rnn.")])
        for part in by_copy
    ]
    total = torch.stack([torch.cat([g.flatten() for g in p.values()]) for p in by_copy]).sum(0)
    width = len(states[0])
    by_state = [
        torch.stack([g.norm() for g in found[i : i + width]]).norm()
        for i in range(len(leaves), len(found), width)
    ]
    return StepGradients(torch.stack(by_state), torch.stack(recurrent).norm(dim=1), total)


def steps_that_count(weight: Tensor, share: float = 0.99) -> int:
    """How many of the last time steps hold a share of the summed squares of the contributions.

    :param weight: norms of the contributions, [T] (:attr:`StepGradients.weight`).

    >>> steps_that_count(torch.tensor([0.0, 0.1, 1.0, 3.0])), steps_that_count(torch.ones(100))
    (2, 99)
    """
    squares = weight.double().flip(0) ** 2
    held = squares.cumsum(0) / squares.sum()
    return int((held < share * (1 - 1e-12)).sum()) + 1
