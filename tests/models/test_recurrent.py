"""RecurrentNet: torch's own modules inside, the same numbers on every backend."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from fwrnn_core.errors import ConfigError
from fwrnn_core.models import IndRNN, RecurrentNet, detach, kernels

MODULES = {"tanh": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
CELLS = sorted(MODULES)


def last_hidden(cell: str, rnn: nn.RNNBase, x: Tensor) -> Tensor:
    state = rnn(x)[1]
    return (state[0] if cell == "lstm" else state)[-1]


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_state_dict_and_outputs_are_those_of_torch(fused: str, cell: str, layers: int) -> None:
    twin = MODULES[cell](5, 11, layers, batch_first=True)
    net = RecurrentNet(5, 11, 3, cell=cell, num_layers=layers)
    net.rnn.load_state_dict(twin.state_dict())
    twin.load_state_dict(net.rnn.state_dict())
    x = torch.randn(7, 9, 5)
    expected = net.head(last_hidden(cell, twin, x))
    assert torch.allclose(net(x), expected, atol=5e-6)
    net(x).square().sum().backward()
    ours = [p.grad for p in net.rnn.parameters()]
    theirs = torch.autograd.grad(
        net.head(last_hidden(cell, twin, x)).square().sum(), list(twin.parameters())
    )
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a, b, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_chunks_with_carried_state_are_the_whole_sequence(
    fused: str, cell: str, layers: int
) -> None:
    net = RecurrentNet(2, 6, 3, cell=cell, num_layers=layers)
    x = torch.randn(4, 10, 2)
    state = None
    for chunk in x.split(3, dim=1):
        output, state = net.step(chunk, state)
    assert torch.allclose(output, net(x), atol=1e-6)
    # History attached: the last chunk's gradient reaches the first one's weights as in one go.
    whole = torch.autograd.grad(net(x).sum(), list(net.parameters()))
    chunked = torch.autograd.grad(output.sum(), list(net.parameters()))
    for a, b in zip(chunked, whole, strict=True):
        assert torch.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_detach_cuts_the_history(cell: str) -> None:
    net = RecurrentNet(2, 6, 1, cell=cell)
    first = torch.randn(4, 5, 2, requires_grad=True)
    _, state = net.step(first)
    output, _ = net.step(torch.randn(4, 5, 2), detach(state))
    assert torch.autograd.grad(output.sum(), first, allow_unused=True)[0] is None
    _, state = net.step(first)
    output, _ = net.step(torch.randn(4, 5, 2), state)
    assert torch.autograd.grad(output.sum(), first)[0].abs().sum() > 0


def test_sigmoid_head_gives_probabilities() -> None:
    linear, sigmoid = (RecurrentNet(2, 6, 1, head=head) for head in ("linear", "sigmoid"))
    sigmoid.load_state_dict(linear.state_dict())
    x = torch.randn(4, 5, 2)
    assert torch.allclose(sigmoid(x), torch.sigmoid(linear(x)))


def test_batch_norm_acts_on_the_last_state_alone() -> None:
    plain, normed = RecurrentNet(2, 6, 1), RecurrentNet(2, 6, 1, batch_norm=True)
    normed.load_state_dict(plain.state_dict(), strict=False)
    x = torch.randn(8, 5, 2)
    hidden = plain.rnn(x)[1][-1]
    batch = (hidden - hidden.mean(0)) / torch.sqrt(hidden.var(0, correction=0) + 1e-5)
    output, state = normed.step(x)
    assert torch.allclose(output, plain.head(batch), atol=1e-5)
    assert torch.allclose(state[-1], hidden, atol=1e-6)
    normed.eval()
    running = hidden.mean(0) * 0.1, 0.9 + 0.1 * hidden.var(0)
    expected = plain.head((hidden - running[0]) / torch.sqrt(running[1] + 1e-5))
    assert torch.allclose(normed(x), expected, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_uniform_initial_states_are_drawn_anew_and_repeat_with_the_seed(cell: str) -> None:
    x = torch.zeros(500, 1, 1)

    def outputs(seed: int) -> list[Tensor]:
        torch.manual_seed(3)
        generator = torch.Generator().manual_seed(seed)
        net = RecurrentNet(1, 24, 2, cell=cell, initial_state="uniform", generator=generator)
        return [net(x) for _ in range(2)]

    first, again, other = outputs(1), outputs(1), outputs(2)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], other[0])


def test_uniform_initial_states_have_the_published_range() -> None:
    net = RecurrentNet(1, 128, 1, initial_state="uniform")
    with torch.no_grad():  # a cell that shows its state: h_1 = tanh(h_0)
        for p in net.rnn.parameters():
            p.zero_()
        net.rnn.weight_hh_l0.copy_(torch.eye(128))
    start = torch.atanh(net.step(torch.zeros(400, 1, 1))[1].detach())
    bound = math.sqrt(3 / 256)
    assert start.abs().max() <= bound * (1 + 1e-5)
    assert start.abs().max() > 0.999 * bound
    assert abs(start.mean()) < 0.002
    assert math.isclose(start.std().item(), bound / math.sqrt(3), rel_tol=0.01)


def test_published_parameter_counts() -> None:
    def count(net: nn.Module) -> int:
        return sum(p.numel() for p in net.parameters())

    assert count(RecurrentNet(1, 128, 10)) == 128 + 128 * 128 + 2 * 128 + 1290
    assert count(RecurrentNet(9, 80, 1)) == 80 * (9 + 80 + 2) + 81
    assert count(RecurrentNet(9, 80, 1, cell="lstm")) == 4 * 80 * (9 + 80 + 2) + 81
    assert count(RecurrentNet(9, 80, 1, cell="gru")) == 3 * 80 * (9 + 80 + 2) + 81


@pytest.mark.parametrize("cell", CELLS)
def test_the_reference_backend_differentiates_twice(cell: str) -> None:
    net, x = RecurrentNet(2, 4, 1, cell=cell), torch.randn(3, 4, 2)
    with kernels.use_backend("reference"):
        slopes = torch.autograd.grad(net(x).square().sum(), net.parameters(), create_graph=True)
    curvature = torch.autograd.grad(sum(v.square().sum() for v in slopes), list(net.parameters()))
    assert all(v.isfinite().all() for v in curvature)
    assert any(v.abs().sum() > 0 for v in curvature)


def test_a_net_in_float64_runs_in_float64() -> None:
    net = RecurrentNet(2, 4, 1).double()
    assert net(torch.randn(3, 4, 2, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cell": "elman"}, "cell"),
        ({"head": "softmax"}, "head"),
        ({"initial_state": "ones"}, "initial state"),
        ({"num_layers": 0}, "num_layers must be an integer of at least 1"),
        ({"num_layers": True}, "num_layers must be an integer"),
        ({"num_layers": 1.0}, "num_layers must be an integer"),
        ({"batch_norm": "before"}, "batch_norm must be True or False, not 'before'"),
        ({"batch_norm": "no"}, "not 'no'"),
        ({"batch_norm": None}, "not None"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RecurrentNet(2, 4, 1, **arguments)


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 5), (0, 4, 2), (3, 0, 2)])
def test_wrong_inputs_are_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"takes \[N, T, 2\]"):
        RecurrentNet(2, 4, 1)(torch.zeros(shape))


def test_an_input_that_is_no_tensor_is_named() -> None:
    packed = nn.utils.rnn.pack_sequence([torch.zeros(4, 3)])
    with pytest.raises(ConfigError, match="PackedSequence.*takes a tensor"):
        RecurrentNet(3, 4, 1)(packed)


def test_a_uniform_start_of_the_lstm_draws_state_and_cell() -> None:
    net = RecurrentNet(1, 24, 1, cell="lstm", initial_state="uniform")
    with torch.no_grad():  # all gates ½, candidates 0: c_1 = c_0 / 2 and h_1 = tanh(c_1) / 2
        for p in net.rnn.parameters():
            p.zero_()
    h, c = net.step(torch.zeros(50, 1, 1))[1]
    bound = math.sqrt(3 / 48)
    assert 0.9 * bound < 2 * c.abs().max() <= bound
    assert torch.allclose(h, torch.tanh(c) / 2)


OURS = ["tanh", "lstm", "indrnn"]


def network(cell: str) -> nn.Module:
    if cell == "indrnn":
        return IndRNN(2, 4, 1, num_layers=2, dropout=0.1)
    return RecurrentNet(2, 4, 1, cell=cell)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
@pytest.mark.parametrize("cell", OURS)
def test_a_traced_net_is_the_net(cell: str, fused: str) -> None:
    """Sizes are tensors then, whose addresses a kernel would take for numbers."""
    net = network(cell).eval()
    traced = torch.jit.trace(net, torch.randn(3, 6, 2), check_trace=False)
    x = torch.randn(3, 6, 2)
    torch.testing.assert_close(traced(x), net(x))


@pytest.mark.parametrize("cell", OURS)
def test_an_exported_net_is_the_net(cell: str, fused: str) -> None:
    if not hasattr(torch.compiler, "is_exporting"):
        pytest.skip("this torch does not say that it exports")
    net = network(cell).eval()
    exported = torch.export.export(net, (torch.randn(3, 6, 2),)).module()
    x = torch.randn(3, 6, 2)
    torch.testing.assert_close(exported(x), net(x))


@pytest.mark.parametrize("cell", OURS)
def test_behind_a_layer_of_autocast_a_net_computes_in_its_own_dtype(cell: str, fused: str) -> None:
    net = network(cell)
    whole = nn.Sequential(nn.Linear(5, 2), net)
    x = torch.randn(3, 6, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        below = whole[0](x)
        output, state = net.step(below)  # type: ignore[operator]
        loss = whole(x).float().square().sum()
    loss.backward()
    assert below.dtype == output.dtype == torch.bfloat16
    assert {s.dtype for s in (state if isinstance(state, tuple) else [state])} == {torch.float32}
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in whole.parameters())
    net.eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = net(below)
    torch.testing.assert_close(output.float(), net(below.float()), rtol=0.02, atol=0.02)
    with pytest.raises(ConfigError, match="move one to the other"):
        net(below)


@pytest.mark.parametrize("cell", OURS)
def test_a_lazy_minus_is_seen(cell: str, fused: str) -> None:
    """The imaginary part of a conjugate holds in memory the opposite of its values."""
    net = network(cell).eval()
    x = torch.randn(3, 6, 2, dtype=torch.complex64).conj().imag
    assert x.is_neg()
    x.requires_grad_()
    plain = x.detach().resolve_neg().requires_grad_()
    outputs, gradients = [], []
    for given, minus in ((x, torch._neg_view(-torch.ones(3, 1))), (plain, torch.ones(3, 1))):
        outputs.append(net(given))
        gradients.append(torch.autograd.grad(outputs[-1], [given, *net.parameters()], minus))
    assert torch.equal(*outputs)
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("kind", ["minus", "zero"])
def test_incoming_gradients_and_states_whose_memory_does_not_hold_them(
    fused: str, kind: str
) -> None:
    weights = [torch.randn(4, k, requires_grad=True) for k in (2, 4)]
    biases = [torch.randn(4) for _ in range(2)]
    x, start = torch.randn(5, 3, 2), torch.randn(3, 4)
    lazy = torch._neg_view(start) if kind == "minus" else torch._efficientzerotensor(3, 4)
    found = []
    for h0 in (lazy, -start if kind == "minus" else torch.zeros(3, 4)):
        states, last = kernels.tanh_rnn(x, h0, *weights, *biases)
        (slope,) = torch.autograd.grad([states, last], weights[:1], [torch.ones_like(states), h0])
        found.append((last.detach(), slope))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)
