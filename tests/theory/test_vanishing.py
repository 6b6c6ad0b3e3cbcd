from __future__ import annotations

import pytest
import torch
from torch import nn

from fwrnn_core.errors import ConfigError
from fwrnn_core.models import RecurrentNet
from fwrnn_core.theory.vanishing import (
    product_singular_values,
    state_jacobians,
    step_gradients,
    steps_that_count,
)


def linearised(scale: float, hidden: int = 5) -> RecurrentNet:
    """A tanh network with W_hh = scale · (orthogonal) and no biases: around 0 it is linear."""
    net = RecurrentNet(1, hidden, 1)
    with torch.no_grad():
        for p in net.parameters():
            p.zero_()
        nn.init.orthogonal_(net.rnn.weight_hh_l0, gain=scale)
    return net


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.5])
def test_singular_values_of_an_orthogonal_recurrence_are_powers(scale: float) -> None:
    values = product_singular_values(state_jacobians(linearised(scale), torch.zeros(12, 1)))
    powers = scale ** torch.arange(1, 13, dtype=torch.float64)
    torch.testing.assert_close(values, powers[:, None].expand(12, 5), rtol=1e-5, atol=0)


@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru"])
def test_jacobians_match_differences_of_the_step(cell: str) -> None:
    torch.manual_seed(1)
    net = RecurrentNet(2, 3, 1, cell=cell).double()
    x = torch.randn(4, 2, dtype=torch.float64)
    jacobians = state_jacobians(net, x)
    size = jacobians.shape[1]
    assert size == (6 if cell == "lstm" else 3)

    def join(state: torch.Tensor | tuple[torch.Tensor, ...]) -> torch.Tensor:
        return torch.cat(state, -1).flatten() if isinstance(state, tuple) else state.flatten()

    def split(flat: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        parts = [p.reshape(1, 1, 3) for p in flat.split(3)]
        return tuple(parts) if cell == "lstm" else parts[0]

    with torch.no_grad():
        _, before = net.step(x[None, :2])
        base, h = join(before), 1e-6
        for i in range(size):
            shift = h * torch.eye(size, dtype=torch.float64)[i]
            high = join(net.step(x[None, 2:3], split(base + shift))[1])
            low = join(net.step(x[None, 2:3], split(base - shift))[1])
            torch.testing.assert_close(
                jacobians[2][:, i], (high - low) / (2 * h), rtol=1e-4, atol=1e-8
            )


def test_long_products_do_not_underflow_while_they_are_formed() -> None:
    jacobians = 0.1 * torch.eye(2, dtype=torch.float64).expand(300, 2, 2)
    values = product_singular_values(jacobians)[:, 0]
    torch.testing.assert_close(values[299].log10(), torch.tensor(-300.0, dtype=torch.float64))


@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru"])
def test_step_gradients_add_up_to_the_gradient(cell: str) -> None:
    torch.manual_seed(0)
    net = RecurrentNet(3, 4, 2, cell=cell).double()
    x, y = torch.randn(5, 6, 3, dtype=torch.float64), torch.randn(5, 2, dtype=torch.float64)
    loss = nn.functional.mse_loss(net(x), y)
    exact = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(net.parameters()))])
    parts = step_gradients(net, nn.functional.mse_loss, x, y)
    torch.testing.assert_close(parts.total, exact)
    assert parts.state.shape == parts.weight.shape == (6,)
    assert all(p.grad is None for p in net.parameters())


def test_the_output_layer_counts_for_no_step() -> None:
    net = linearised(0.5)
    x, y = torch.zeros(2, 8, 1), torch.ones(2, 1)
    with torch.no_grad():
        net.head.weight.fill_(1.0)
    before = step_gradients(net, nn.functional.mse_loss, x, y)
    with torch.no_grad():  # an output layer whose own gradient is as long, with none behind it
        net.head.weight.zero_()
    after = step_gradients(net, nn.functional.mse_loss, x, y)
    assert before.weight[-1] > 0
    assert after.weight.sum() == 0
    assert after.total.norm() > 0


def test_state_gradients_decay_with_the_singular_values() -> None:
    net = linearised(0.5)
    with torch.no_grad():
        net.head.weight.fill_(1.0)
    parts = step_gradients(net, nn.functional.mse_loss, torch.zeros(2, 8, 1), torch.ones(2, 1))
    ratios = parts.state[:-1] / parts.state[1:]
    torch.testing.assert_close(
        ratios, torch.full((7,), 0.5, dtype=torch.float64), rtol=1e-5, atol=0
    )


def test_one_sequence_at_a_time() -> None:
    with pytest.raises(ConfigError, match="one sequence"):
        state_jacobians(RecurrentNet(1, 2, 1), torch.zeros(2, 3, 1))
    with pytest.raises(ConfigError, match="T, S, S"):
        product_singular_values(torch.zeros(3, 2))


def test_steps_that_count_are_the_fewest_that_hold_the_share() -> None:
    weight = torch.rand(50, generator=torch.Generator().manual_seed(0)) ** 3
    steps = steps_that_count(weight, 0.7)
    squares = (weight.double() ** 2).tolist()
    assert sum(squares[-steps:]) >= 0.7 * sum(squares) > sum(squares[1 - steps :])
