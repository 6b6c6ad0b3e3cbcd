from __future__ import annotations

import pytest
import torch
from torch import nn

from fwrnn_core.errors import ConfigError
from fwrnn_core.models import IndRNN, RecurrentNet
from fwrnn_core.theory.objective import Layout, Objective, flatten, model_objective


def small_problem(
    cell: str = "tanh", **options: object
) -> tuple[RecurrentNet, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    net = RecurrentNet(3, 5, 1, cell=cell, head="sigmoid", **options)
    return net, torch.randn(6, 7, 3), torch.rand(6, 1)


def test_layout_unflattens_what_flatten_joined() -> None:
    tensors = {"a": torch.randn(2, 3), "b": torch.randn(4), "c": torch.randn(())}
    layout = Layout.of(tensors)
    back = layout.unflatten(flatten(tensors.values()))
    assert all(torch.equal(back[name], t) for name, t in tensors.items())


@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru"])
def test_model_objective_has_the_models_loss_and_gradient(cell: str) -> None:
    net, x, y = small_problem(cell)
    loss = nn.functional.mse_loss(net(x), y)
    grads = torch.autograd.grad(loss, list(net.parameters()))
    objective = model_objective(net, nn.functional.mse_loss, x, y)
    value, gradient = objective.value_and_grad()
    assert value == pytest.approx(loss.item(), rel=1e-6)
    torch.testing.assert_close(gradient.float(), flatten(grads), rtol=1e-4, atol=1e-7)


def test_chunks_do_not_change_the_function() -> None:
    net, x, y = small_problem()
    whole = model_objective(net, nn.functional.mse_loss, x, y)
    parts = model_objective(net, nn.functional.mse_loss, x, y, batch_size=4)
    assert parts.value() == pytest.approx(whole.value(), rel=1e-12)
    torch.testing.assert_close(parts.grad(), whole.grad())


def test_batch_norm_sees_all_samples_and_the_bound_does_not_bend_the_risk() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(9, 5, 2), torch.randn(9, 1)
    net = IndRNN(2, 4, 1, num_layers=2, recurrent_bound=0.5, dropout=0.0)
    mse = nn.functional.mse_loss
    whole = model_objective(net, mse, x, y, train=True)
    parts = model_objective(net, mse, x, y, train=True, batch_size=4)
    assert parts.value() == whole.value()
    at = whole.layout.slices()["layers.0.weight_hh"].start
    point, step = whole.origin.clone(), torch.zeros_like(whole.origin)
    point[at], step[at] = 0.7, 1e-6
    slope = (whole.value(point + step) - whole.value(point - step)) / 2e-6
    assert slope == pytest.approx(float(whole.grad(point)[at]), rel=1e-5)
    assert slope != 0


@pytest.mark.parametrize("method", ["double-backward", "difference"])
def test_hvp_is_the_derivative_of_the_gradient(method: str) -> None:
    net, x, y = small_problem()
    objective = model_objective(net, nn.functional.mse_loss, x, y, hvp=method)
    v = torch.randn(objective.dim, dtype=torch.float64)
    h = 1e-5
    high, low = objective.grad(objective.origin + h * v), objective.grad(objective.origin - h * v)
    torch.testing.assert_close(objective.hvp(v), (high - low) / (2 * h), rtol=1e-5, atol=1e-7)


def test_hvp_is_symmetric_and_matches_autograds_hessian() -> None:
    def function(w: torch.Tensor) -> torch.Tensor:
        return (w**4).sum() + w[0] * w[1] * w[2]

    objective = Objective(function, torch.tensor([0.3, -0.5, 0.7], dtype=torch.float64))
    hessian = torch.autograd.functional.hessian(function, objective.origin)
    columns = torch.stack([objective.hvp(e) for e in torch.eye(3, dtype=torch.float64)])
    torch.testing.assert_close(columns, hessian)


def test_hvp_of_an_affine_function_is_zero() -> None:
    objective = Objective(lambda w: 2 * w.sum() + 1, torch.ones(3))
    assert torch.equal(objective.hvp(torch.ones(3)), torch.zeros(3))


def test_measuring_leaves_the_model_and_the_random_state_alone() -> None:
    net, x, y = small_problem(batch_norm=True, initial_state="uniform")
    nn.functional.mse_loss(net(x), y).backward()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    grads = [p.grad.clone() for p in net.parameters()]
    random_state = torch.get_rng_state()
    objective = model_objective(net, nn.functional.mse_loss, x, y)
    objective.grad()
    objective.hvp(torch.ones(objective.dim, dtype=torch.float64))
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert all(torch.equal(p.grad, g) for p, g in zip(net.parameters(), grads, strict=True))
    assert torch.equal(torch.get_rng_state(), random_state)
    assert net.training


def test_random_layers_give_one_function() -> None:
    own = torch.Generator().manual_seed(3)
    net, x, y = small_problem(initial_state="uniform", generator=own)
    state = own.get_state()
    objective = model_objective(net, nn.functional.mse_loss, x, y)
    assert objective.value() == objective.value()
    assert torch.equal(own.get_state(), state)


@pytest.mark.parametrize(
    ("cell", "vectorize"),
    [("tanh", False), ("tanh", True), ("lstm", False), ("lstm", True), ("gru", False)],
)
def test_many_points_at_once_are_the_points_one_by_one(cell: str, vectorize: bool) -> None:
    net, x, y = small_problem(cell, initial_state="uniform" if cell == "tanh" else "zeros")
    single = model_objective(net, nn.functional.mse_loss, x, y)
    many = model_objective(net, nn.functional.mse_loss, x, y, vectorize=vectorize)
    points = single.origin + 0.1 * torch.randn(4, single.dim, dtype=torch.float64)
    values, gradients = many.values_and_grads(points)
    one_by_one = [single.value_and_grad(p) for p in points]
    torch.testing.assert_close(values.tolist(), [v for v, _ in one_by_one])
    torch.testing.assert_close(gradients, torch.stack([g for _, g in one_by_one]))
    torch.testing.assert_close(many.values(points), values)
    assert many.evaluations == {"value": 4, "grad": 4, "hvp": 0}
    with pytest.raises(ConfigError, match="shape"):
        many.values(points[:, 1:])


def test_evaluations_are_counted() -> None:
    objective = Objective(lambda w: w @ w, torch.ones(2), hvp="difference")
    objective.value()
    objective.grad()
    objective.hvp(torch.ones(2))
    assert objective.evaluations == {"value": 1, "grad": 1, "hvp": 1}


def test_bad_input_is_named() -> None:
    with pytest.raises(ConfigError, match="shape"):
        Objective(lambda w: w.sum(), torch.ones(2, 2))
    with pytest.raises(ConfigError, match="double-backward"):
        Objective(lambda w: w.sum(), torch.ones(2), hvp="double")
    with pytest.raises(ConfigError, match=r"\(3,\)"):
        Objective(lambda w: w.sum(), torch.ones(2)).value(torch.ones(3))
