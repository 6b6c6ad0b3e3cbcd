"""IndRNN as published and as released."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from fwrnn_core.errors import ConfigError
from fwrnn_core.models import IndRNN, detach, kernels


def literal(net: IndRNN, x: Tensor) -> Tensor:
    """Training-mode forward without dropout, written with torch's own batch norm."""
    y = x.transpose(0, 1)
    for layer in net.layers:
        pre = layer.linear(y)
        norm = layer.norm and (
            lambda z, n=layer.norm: nn.functional.batch_norm(
                z.flatten(0, 1), None, None, n.weight, n.bias, training=True
            ).view_as(z)
        )
        if norm and layer.order == "before":
            pre = norm(pre)
        h, states = torch.zeros_like(pre[0]), []
        for step in pre:
            h = torch.relu(step + layer.weight_hh * h)
            states.append(h)
        y = torch.stack(states)
        if norm and layer.order == "after":
            y = norm(y)
    return net.head(y[-1])


@pytest.mark.parametrize("order", ["after", "before", None])
def test_net_matches_float64(fused: str, order: str | None) -> None:
    net = IndRNN(3, 20, 4, num_layers=6, seq_len=50, batch_norm=order, dropout=0.0)
    x = torch.randn(9, 50, 3)
    net(x).square().sum().backward()
    output, slopes = net(x), [p.grad for p in net.parameters()]
    twin = IndRNN(3, 20, 4, num_layers=6, seq_len=50, batch_norm=order, dropout=0.0).double()
    twin.load_state_dict(net.state_dict())
    expected = literal(twin, x.double())
    gradients = torch.autograd.grad(expected.square().sum(), list(twin.parameters()))
    assert (output - expected).norm() <= 1e-5 * expected.norm()
    scale = max(g.norm() for g in gradients)
    for name, a, b in zip(dict(net.named_parameters()), slopes, gradients, strict=True):
        # A bias in front of a normalisation has no effect: its gradient is zero but for rounding.
        assert (a - b).norm() <= 1e-3 * b.norm() + 1e-7 * scale, name


def test_published_parameter_count() -> None:
    assert sum(p.numel() for p in IndRNN(1, 128, 10).parameters()) == 86_410


def test_initial_weights_are_as_released() -> None:
    net = IndRNN(1, 128, 10)
    bound = 5 ** (1 / 784)
    assert net.bound == pytest.approx(1.002055, abs=1e-6)
    for layer in net.layers:
        assert 0 <= layer.weight_hh.min() < 0.1
        assert 0.9 < layer.weight_hh.max() <= bound
        assert not layer.linear.bias.any()
        fan_in = layer.linear.in_features
        limit = (6 / (1 + 64) / fan_in) ** 0.5  # Kaiming-uniform with slope 8
        assert 0.9 * limit < layer.linear.weight.abs().max() <= limit
        assert (layer.norm.weight == 1).all()
    assert net.head.weight.std().item() == pytest.approx((2 / 128) ** 0.5, rel=0.1)


def test_published_start_gives_the_last_layer_a_long_memory() -> None:
    net = IndRNN(1, 128, 10, recurrent_init="published")
    *lower, last = net.layers
    assert 1 / net.bound <= last.weight_hh.min() < last.weight_hh.max() <= net.bound
    assert all(layer.weight_hh.min() < 0.1 for layer in lower)


def test_recurrent_weights_are_clamped_before_each_training_forward() -> None:
    net, x = IndRNN(1, 4, 2, num_layers=2, seq_len=10), torch.randn(3, 10, 1)
    with torch.no_grad():
        net.layers[1].weight_hh.copy_(torch.tensor([-9.0, 0.5, 9.0, 1.0]))
    net.eval()
    net(x)
    assert net.layers[1].weight_hh.max() == 9
    net.train()
    first = net(x).sum()
    assert net.layers[1].weight_hh.tolist() == pytest.approx([-net.bound, 0.5, net.bound, 1.0])
    net(x).sum()
    first.backward()  # a second forward in between does no harm
    free = IndRNN(1, 4, 2, num_layers=2, seq_len=10, constrain=False)
    with torch.no_grad():
        free.layers[0].weight_hh.fill_(9)
    free(x)
    assert free.layers[0].weight_hh.min() == 9


def test_bound_can_be_given() -> None:
    assert IndRNN(9, 8, 1, seq_len=128).bound == pytest.approx(1.01265, abs=1e-5)
    net = IndRNN(9, 8, 1, seq_len=128, recurrent_bound=0.5)
    assert net.bound == 0.5
    assert net.layers[0].weight_hh.max() <= 0.5


def test_weight_decay_spares_biases_and_recurrent_weights() -> None:
    net = IndRNN(1, 8, 2, num_layers=2)
    decayed, free = net.param_groups(1e-4)
    assert (decayed["weight_decay"], free["weight_decay"]) == (1e-4, 0)
    names = {id(p): n for n, p in net.named_parameters()}
    assert {names[id(p)] for p in free["params"]} == {
        n for n in names.values() if n.endswith(("bias", "weight_hh"))
    }
    assert len(decayed["params"]) + len(free["params"]) == len(names)


def test_dropout_is_one_mask_for_all_time_steps(fused: str) -> None:
    net = IndRNN(2, 50, 1, num_layers=1, seq_len=12, batch_norm=None, dropout=0.5)
    layer = net.layers[0]
    with torch.no_grad():
        layer.linear.bias.fill_(1.0)
        layer.linear.weight.zero_()
        y, _ = layer(torch.randn(12, 7, 2), torch.zeros(7, 50))
    dropped = y == 0
    assert (dropped == dropped[:1]).all()
    assert 0.3 < dropped[0].float().mean() < 0.7
    h = torch.ones(50)  # what survives is scaled by 1 / (1 - p)
    assert torch.allclose(y[0][~dropped[0]], 2 * h[0].expand(1), atol=1e-6)
    net.eval()
    with torch.no_grad():
        y, _ = layer(torch.randn(12, 7, 2), torch.zeros(7, 50))
    assert (y > 0).all()


@pytest.mark.parametrize("order", ["after", "before"])
def test_running_statistics_and_evaluation_follow_torch(fused: str, order: str) -> None:
    net = IndRNN(2, 6, 1, num_layers=1, seq_len=8, batch_norm=order, dropout=0.0)
    norm = nn.BatchNorm1d(6)
    norm.load_state_dict(net.layers[0].norm.state_dict())
    x = torch.randn(5, 8, 2)

    def normalised() -> Tensor:
        layer = net.layers[0]
        pre = layer.linear(x.transpose(0, 1))
        if order == "before":
            pre = norm(pre.flatten(0, 1)).view_as(pre)
        h, states = torch.zeros_like(pre[0]), []
        for step in pre:
            h = torch.relu(step + layer.weight_hh * h)
            states.append(h)
        y = torch.stack(states)
        return norm(y.flatten(0, 1)).view_as(y) if order == "after" else y

    for _ in range(3):
        assert torch.allclose(net(x), net.head(normalised()[-1]), atol=1e-5)
    for name, value in norm.state_dict().items():
        assert torch.allclose(net.layers[0].norm.state_dict()[name], value, rtol=1e-5), name
    net.eval()
    norm.eval()
    assert torch.allclose(net(x), net.head(normalised()[-1]), atol=1e-5)


@pytest.mark.parametrize("order", ["after", "before", None])
def test_chunks_with_carried_state_are_the_whole_sequence(fused: str, order: str | None) -> None:
    net = IndRNN(2, 6, 3, num_layers=3, seq_len=10, batch_norm=order).eval()
    x = torch.randn(4, 10, 2)
    state = None
    for chunk in x.split(3, dim=1):
        output, state = net.step(chunk, state)
    assert state.shape == (3, 4, 6)
    assert torch.allclose(output, net(x), atol=1e-5)
    assert not detach(state).requires_grad


def test_a_single_row_cannot_be_normalised() -> None:
    net = IndRNN(2, 6, 3, num_layers=1, seq_len=10)
    with pytest.raises(ConfigError, match="more than one row"):
        net(torch.randn(1, 1, 2))
    assert net.eval()(torch.randn(1, 1, 2)).isfinite().all()


def test_the_reference_backend_differentiates_twice() -> None:
    net, x = IndRNN(2, 6, 1, num_layers=2, seq_len=5), torch.randn(4, 5, 2)
    with kernels.use_backend("reference"):
        slopes = torch.autograd.grad(net(x).square().sum(), net.parameters(), create_graph=True)
    curvature = torch.autograd.grad(sum(v.square().sum() for v in slopes), list(net.parameters()))
    assert any(v.abs().sum() > 0 for v in curvature)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_norm": "none"}, "batch_norm"),
        ({"recurrent_init": "identity"}, "recurrent_init"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": -0.1}, "dropout"),
        ({"recurrent_bound": 0.0}, "recurrent_bound"),
        ({"recurrent_bound": float("inf")}, "recurrent_bound"),
        ({"seq_len": 0}, "seq_len"),
        ({"num_layers": 0}, "num_layers"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        IndRNN(2, 4, 1, **arguments)


@pytest.mark.parametrize("order", ["after", "before"])
def test_denormal_weights_reach_no_matrix_product(
    fused: str, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weight decay leaves a dead unit's weights down there, where a product is ten times slower;
    without them nothing moves by more than 1e-30."""
    net = IndRNN(9, 16, 2, num_layers=2, seq_len=20, batch_norm=order, dropout=0.0)
    for layer in net.layers:
        layer.linear.weight.data[3] = 1e-41
        layer.linear.weight.data[:, 5] *= 1e-41
        for bias in layer.linear.bias.data, layer.norm.bias.data:
            bias.normal_()  # biases have no decay
        if fused == "c":  # whose loops leave none either
            layer.norm.weight.data[7] = 1e-41
            layer.norm.bias.data[7] = float(order == "before")
    x = torch.randn(4, 20, 9)
    smallest = torch.finfo(torch.float32).tiny

    def step() -> list[Tensor]:
        net.zero_grad()
        out = net(x)
        out.square().sum().backward()
        return [out.detach(), *(p.grad for p in net.parameters() if p.grad is not None)]

    factors: list[Tensor] = []
    mm = torch.mm
    monkeypatch.setattr(torch, "mm", lambda a, b, **out: factors.extend((a, b)) or mm(a, b, **out))
    fast = step()
    assert len(factors) == 2 * 5  # forward and both gradients of a layer, the input's aside
    assert not any(((f != 0) & (f.abs() < smallest)).any() for f in factors)
    monkeypatch.setattr("fwrnn_core.models.kernels.ind.SMALLEST", 0.0)
    factors.clear()
    slow = step()
    assert any(((f != 0) & (f.abs() < smallest)).any() for f in factors)
    for a, b in zip(fast, slow, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-30)
