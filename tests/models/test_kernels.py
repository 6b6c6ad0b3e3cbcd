"""The fused recurrences against the differentiable reference in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fwrnn_core.errors import ConfigError
from fwrnn_core.models import RecurrentNet, kernels
from fwrnn_core.models.kernels import reference

TOLERANCE = 1e-5
Outputs = Sequence[Tensor]


def arguments(cell: str, steps: int, rows: int, features: int, hidden: int) -> list[Tensor]:
    """x, h0 (and c0), then the weights, of a size that keeps the states alive."""
    gates = 4 if cell == "lstm" else 1
    states = [0.5 * torch.randn(rows, hidden) for _ in range(2 if cell == "lstm" else 1)]
    weights = [torch.randn(gates * hidden, k) / k**0.5 for k in (features, hidden)]
    biases = [0.3 * torch.randn(gates * hidden) for _ in range(2)]
    return [torch.randn(steps, rows, features), *states, *weights, *biases]


def run(
    function: Callable[..., Outputs], inputs: Sequence[Tensor], seed: int = 1
) -> tuple[list[Tensor], list[Tensor]]:
    """Outputs, and gradients of all inputs for random gradients of all outputs."""
    leaves = [v.detach().clone().requires_grad_() for v in inputs]
    outputs = [v for v in function(*leaves) if v is not None]
    generator = torch.Generator().manual_seed(seed)
    loss = sum((v * torch.randn(v.shape, generator=generator).to(v)).sum() for v in outputs)
    return [v.detach() for v in outputs], list(torch.autograd.grad(loss, leaves))


def wide(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [v.double() for v in tensors]


def distance(actual: Tensor, expected: Tensor) -> float:
    """|actual - expected| / |expected| in float64; absolute where nothing is expected."""
    norm = expected.double().norm().item()
    return (actual.double() - expected.double()).norm().item() / (norm if norm > 1e-12 else 1.0)


def assert_close(actual: Sequence[Tensor], expected: Sequence[Tensor], limit: float) -> None:
    for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
        assert a.shape == e.shape
        assert distance(a, e) <= limit, f"tensor {i}: {distance(a, e):.1e}"


# One step; one row; odd batches around the register tile; H around multiples of 16.
SHAPES = [
    (1, 1, 1, 1),
    (2, 3, 1, 15),
    (9, 13, 9, 80),
    (5, 8, 4, 16),
    (3, 67, 20, 33),
    (40, 6, 1, 48),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("cell", ["tanh_rnn", "lstm"])
def test_gradients_match_float64_autograd(
    fused: str, cell: str, shape: tuple[int, int, int, int]
) -> None:
    inputs = arguments(cell, *shape)
    outputs, gradients = run(getattr(kernels, cell), inputs)
    expected, slopes = run(getattr(reference, cell), wide(inputs))
    assert_close(outputs, expected, TOLERANCE)
    assert_close(gradients, slopes, TOLERANCE)


@settings(max_examples=25)
@given(
    st.sampled_from(["tanh_rnn", "lstm"]),
    st.tuples(st.integers(1, 6), st.integers(1, 20), st.integers(1, 5), st.integers(1, 40)),
    st.integers(0, 2**20),
)
def test_any_shape_on_any_backend(cell: str, shape: tuple[int, int, int, int], seed: int) -> None:
    torch.manual_seed(seed)
    inputs = arguments(cell, *shape)
    expected, slopes = run(getattr(reference, cell), wide(inputs))
    for backend in ("auto", "torch"):
        with kernels.use_backend(backend):
            outputs, gradients = run(getattr(kernels, cell), inputs)
        assert_close(outputs, expected, TOLERANCE)
        assert_close(gradients, slopes, TOLERANCE)


def indrnn_call(
    function: Callable[..., kernels.IndOutput], options: dict, dtype: torch.dtype
) -> Callable[..., Outputs]:
    """An IndRNN layer as a function of its differentiable inputs alone."""
    cast = {k: v if v is None else v.to(dtype) for k, v in options["tensors"].items()}

    def call(x: Tensor, h0: Tensor, *rest: Tensor) -> Outputs:
        weight, bias, u, *affine = rest
        norm = None
        if options["order"]:
            norm = kernels.Norm(options["order"], *affine, cast["mean"], cast["var"])
        out = function(x, h0, weight, bias, u, norm, cast["mask"], options["last_only"])
        return out.y, out.state

    return call


def indrnn_inputs(
    shape: tuple[int, int, int, int], order: str | None, running: bool, dropout: bool
) -> tuple[list[Tensor], dict]:
    steps, rows, features, hidden = shape
    inputs = [
        torch.randn(steps, rows, features),
        torch.rand(rows, hidden),
        torch.randn(hidden, features) / features**0.5,
        0.3 * torch.randn(hidden),
        1.05 * torch.rand(hidden),
    ]
    if order:
        inputs += [0.5 + torch.rand(hidden), torch.randn(hidden)]
    tensors = {
        "mean": torch.randn(hidden) if running else None,
        "var": 0.5 + torch.rand(hidden) if running else None,
        "mask": torch.rand(rows, hidden).gt(0.2).float() / 0.8 if dropout else None,
    }
    return inputs, {"order": order, "tensors": tensors}


@pytest.mark.parametrize("shape", [(1, 9, 3, 1), (12, 7, 5, 33), (6, 19, 3, 16)], ids=str)
@pytest.mark.parametrize("order", ["after", "before", None])
def test_indrnn_layer_matches_float64_autograd(
    fused: str, order: str | None, shape: tuple[int, int, int, int]
) -> None:
    for running, dropout, last_only in product((False, True), repeat=3):
        inputs, options = indrnn_inputs(shape, order, running, dropout)
        options["last_only"] = last_only
        outputs, gradients = run(indrnn_call(kernels.indrnn, options, torch.float32), inputs)
        expected, slopes = run(indrnn_call(reference.indrnn, options, torch.float64), wide(inputs))
        assert_close(outputs, expected, TOLERANCE)
        assert_close(gradients, slopes, TOLERANCE)


@pytest.mark.parametrize("order", ["after", "before"])
def test_indrnn_returns_the_statistics_of_the_batch(fused: str, order: str) -> None:
    inputs, options = indrnn_inputs((8, 5, 3, 17), order, False, True)
    got, want = (
        f(*inputs[:5], kernels.Norm(order, *inputs[5:]), options["tensors"]["mask"])
        for f in (kernels.indrnn, reference.indrnn)
    )
    assert distance(got.mean, want.mean) < 1e-6
    assert distance(got.var, want.var) < 1e-6
    assert not got.mean.requires_grad


def test_statistics_are_exact_over_many_rows(fused: str) -> None:
    # A mean far above the spread: one-pass sums in float32 keep no digit of this variance.
    rows, hidden = 100_000, 8
    x = 30 + torch.randn(rows // 10, 10, hidden)
    norm = kernels.Norm("after", torch.ones(hidden), torch.zeros(hidden))
    out = kernels.indrnn(
        x,
        torch.zeros(10, hidden),
        torch.eye(hidden),
        torch.zeros(hidden),
        torch.zeros(hidden),
        norm,
    )
    flat = x.double().view(rows, hidden)
    assert distance(out.mean, flat.mean(0)) < 1e-6
    assert distance(out.var, flat.var(0, correction=0)) < 1e-6


@pytest.mark.parametrize("cell", ["tanh_rnn", "lstm"])
def test_gradcheck(cell: str) -> None:
    inputs = [v.double().requires_grad_() for v in arguments(cell, 3, 2, 2, 3)]
    for backend in ("torch", "reference"):
        with kernels.use_backend(backend):
            assert torch.autograd.gradcheck(getattr(kernels, cell), inputs)


@pytest.mark.parametrize("order", ["after", "before", None])
def test_gradcheck_indrnn(order: str | None) -> None:
    inputs, options = indrnn_inputs((4, 3, 2, 3), order, False, True)
    options["last_only"] = False
    call = indrnn_call(kernels.indrnn, options, torch.float64)
    with kernels.use_backend("torch"):
        assert torch.autograd.gradcheck(call, [v.double().requires_grad_() for v in inputs])


@pytest.mark.parametrize("cell", ["tanh_rnn", "lstm"])
def test_reference_is_what_torch_computes(cell: str) -> None:
    module = {"tanh_rnn": torch.nn.RNN, "lstm": torch.nn.LSTM}[cell](3, 7)
    inputs = arguments(cell, 5, 4, 3, 7)
    states = [v.unsqueeze(0) for v in inputs[1:-4]]
    out, last = module(inputs[0], states[0] if cell == "tanh_rnn" else tuple(states))
    got = getattr(reference, cell)(*inputs[:-4], *module.all_weights[0])
    lasts = [last] if cell == "tanh_rnn" else list(last)
    assert_close(got, [out, *(v[0] for v in lasts)], 1e-6)


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_nothing_beyond_rounding(fused: str, threads: int) -> None:
    shape = (30, 37, 3, 20)
    inputs, options = indrnn_inputs(shape, "after", False, True)
    options["last_only"] = False
    calls = [
        (kernels.tanh_rnn, arguments("tanh_rnn", *shape)),
        (kernels.lstm, arguments("lstm", *shape)),
        (indrnn_call(kernels.indrnn, options, torch.float32), inputs),
    ]
    for call, given_inputs in calls:
        torch.set_num_threads(1)
        alone = [*run(call, given_inputs)[0], *run(call, given_inputs)[1]]
        torch.set_num_threads(threads)
        first, second = run(call, given_inputs), run(call, given_inputs)
        assert_close([*first[0], *first[1]], alone, 1e-6)
        for a, b in zip([*first[0], *first[1]], [*second[0], *second[1]], strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("cell", ["tanh_rnn", "lstm"])
def test_strides_of_the_input_do_not_matter(fused: str, cell: str) -> None:
    inputs = arguments(cell, 6, 5, 4, 9)
    expected = run(getattr(kernels, cell), inputs)
    batch_first = inputs[0].transpose(0, 1).contiguous().transpose(0, 1)
    spread = torch.randn(6, 5, 8)[..., ::2]
    spread.copy_(inputs[0])
    for x in (batch_first, spread):
        leaf = x.detach().requires_grad_()
        outputs = getattr(kernels, cell)(leaf, *inputs[1:])
        assert_close(outputs, expected[0], 1e-6)
        generator = torch.Generator().manual_seed(1)
        torch.autograd.backward(
            outputs, [torch.randn(v.shape, generator=generator) for v in outputs]
        )
        assert_close([leaf.grad], expected[1][:1], 1e-6)
    constant = torch.ones(5, 4).expand(6, 5, 4)  # stride 0 in time
    assert_close(
        getattr(kernels, cell)(constant, *inputs[1:]),
        getattr(kernels, cell)(constant.contiguous(), *inputs[1:]),
        1e-6,
    )


def test_only_what_is_asked_for_is_differentiated(fused: str) -> None:
    inputs = arguments("tanh_rnn", 4, 3, 2, 5)
    inputs[3].requires_grad_()
    states, last = kernels.tanh_rnn(*inputs)
    states.sum().backward()  # the last state's own gradient stays None
    assert inputs[3].grad is not None
    assert all(v.grad is None for i, v in enumerate(inputs) if i != 3)
    with torch.no_grad():
        assert not kernels.tanh_rnn(*inputs)[0].requires_grad
    assert not kernels.tanh_rnn(*[v.detach() for v in inputs])[0].requires_grad
    assert last.requires_grad


def test_graphs_are_independent_and_can_be_kept(fused: str) -> None:
    inputs = [v.requires_grad_() for v in arguments("lstm", 5, 4, 2, 6)]
    once, again = kernels.lstm(*inputs)[0].sum(), kernels.lstm(*inputs)[0].square().sum()
    first = torch.autograd.grad(once, inputs, retain_graph=True)
    torch.autograd.grad(again, inputs)
    for a, b in zip(first, torch.autograd.grad(once, inputs), strict=True):
        assert torch.equal(a, b)


def test_a_state_changed_in_place_is_noticed(fused: str) -> None:
    inputs = [v.requires_grad_() for v in arguments("tanh_rnn", 5, 4, 2, 6)]
    states, _ = kernels.tanh_rnn(*inputs)
    with torch.no_grad():
        states.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace"):
        states.sum().backward()


@pytest.mark.parametrize("cell", ["tanh_rnn", "lstm"])
def test_a_second_derivative_is_refused_and_the_reference_has_it(fused: str, cell: str) -> None:
    inputs = [v.requires_grad_() for v in arguments(cell, 3, 2, 2, 4)]
    loss = getattr(kernels, cell)(*inputs)[0].square().sum()
    with pytest.raises(kernels.DoubleBackwardError, match="use_backend"):
        torch.autograd.grad(loss, inputs, create_graph=True)
    with kernels.use_backend("reference"):
        doubles = [v.detach().double().requires_grad_() for v in inputs]
        function = getattr(kernels, cell)
        assert torch.autograd.gradgradcheck(lambda *v: function(*v)[0], doubles)


def test_indrnn_refuses_a_second_derivative(fused: str) -> None:
    inputs, options = indrnn_inputs((3, 2, 2, 4), "after", False, False)
    options["last_only"] = False
    leaves = [v.requires_grad_() for v in inputs]
    y = indrnn_call(kernels.indrnn, options, torch.float32)(*leaves)[0]
    with pytest.raises(kernels.DoubleBackwardError):
        torch.autograd.grad(y.square().sum(), leaves, create_graph=True)


@pytest.mark.parametrize("cell", ["tanh_rnn", "lstm", "indrnn"])
def test_nan_passes_through_and_stays_in_its_row(fused: str, cell: str) -> None:
    if cell == "indrnn":
        inputs, _ = indrnn_inputs((6, 9, 2, 20), None, False, False)
    else:
        inputs = arguments(cell, 6, 9, 2, 20)
    inputs[0][2, 4, 1] = float("nan")
    leaves = [v.requires_grad_() for v in inputs]
    states = getattr(kernels, cell)(*leaves)[0]
    others = torch.arange(9) != 4
    assert states[:2].isfinite().all()
    assert states[2:, 4].isnan().all()
    assert states[:, others].isfinite().all()
    states.sum().backward()
    assert leaves[0].grad[:, others].isfinite().all()
    if cell != "indrnn":  # whose ReLU passes on a gradient as it is
        assert leaves[0].grad[:, 4].isnan().any()
    assert leaves[-3].grad.isnan().any()


def test_infinite_and_huge_inputs_saturate(fused: str) -> None:
    x = torch.tensor([-torch.inf, -1e30, -20.0, 0.0, 1e-30, 20.0, 1e30, torch.inf]).view(1, -1, 1)
    zero = torch.zeros(8, 1)
    states, _ = kernels.tanh_rnn(
        x, zero, torch.ones(1, 1), torch.zeros(1, 1), torch.zeros(1), torch.zeros(1)
    )
    expected = torch.tanh(x)
    assert torch.allclose(states, expected, rtol=1e-6, atol=0)
    assert states.abs().max() <= 1


def test_the_c_tanh_over_its_whole_range(fused: str) -> None:
    x = torch.cat([torch.linspace(-12, 12, 20_001), torch.logspace(-8, 0, 2_001)]).view(1, -1, 1)
    out = kernels.tanh_rnn(
        x, torch.zeros(x.size(1), 1), torch.ones(1, 1), torch.zeros(1, 1), *torch.zeros(2, 1)
    )[0]
    exact = torch.tanh(x.double())
    assert ((out.double() - exact).abs() <= 4e-7 * exact.abs() + 1e-12).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({1: torch.zeros(3, 6)}, "should be"),
        ({3: torch.zeros(5, 4)}, "should be"),
        ({5: torch.zeros(6)}, "should be"),
        ({3: torch.zeros(5, 5, dtype=torch.float64)}, "float64"),
        ({0: torch.zeros(0, 4, 2)}, "none of them 0"),
        ({0: torch.zeros(4, 2)}, "T, N, F"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    fused: str, change: dict[int, Tensor], message: str
) -> None:
    inputs = arguments("tanh_rnn", 3, 4, 2, 5)
    for i, tensor in change.items():
        inputs[i] = tensor
    with pytest.raises(ConfigError, match=message):
        kernels.tanh_rnn(*inputs)


def test_autocast_leaves_the_kernels_alone(fused: str) -> None:
    inputs = arguments("tanh_rnn", 3, 4, 2, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states, _ = kernels.tanh_rnn(*inputs)
    assert torch.equal(states, kernels.tanh_rnn(*inputs)[0])


@pytest.mark.parametrize("cell", ["tanh_rnn", "lstm", "indrnn"])
def test_a_backward_pass_inside_autocast_has_the_kernels_precision(cell: str, fused: str) -> None:
    """Its own products too: the plain ones write into float32, the IndRNN's took bfloat16."""
    function, inputs = getattr(kernels, cell), arguments("tanh_rnn", 3, 4, 2, 5)
    if cell == "lstm":
        inputs = arguments("lstm", 3, 4, 2, 5)
    elif cell == "indrnn":
        inputs = [*inputs[:3], inputs[4], inputs[5]]
    expected = run(function, inputs)[1]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = run(function, inputs)[1]
    assert all(torch.equal(a, b) for a, b in zip(inside, expected, strict=True))


def test_inside_a_transform_of_torch_func_the_reference_runs(fused: str) -> None:
    net, x = RecurrentNet(2, 5, 3), torch.randn(4, 3, 6, 2)
    assert_close(torch.vmap(net)(x), [net(v) for v in x], TOLERANCE)
    weights = {name: p.detach() for name, p in net.named_parameters()}

    def loss(weights: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(net, weights, (x[0],)).square().sum()

    expected = torch.autograd.grad(net(x[0]).square().sum(), list(net.parameters()))
    assert_close(list(torch.func.grad(loss)(weights).values()), expected, TOLERANCE)


@pytest.mark.parametrize("cell", ["tanh_rnn", "lstm"])
def test_gradients_in_a_batch_are_refused(cell: str, fused: str) -> None:
    inputs = [v.requires_grad_() for v in arguments(cell, 3, 1, 2, 2)]
    last = getattr(kernels, cell)(*inputs)[1]
    with pytest.raises(ConfigError, match="one gradient at a time.*reference"):
        torch.autograd.grad(last, inputs, torch.eye(2).unsqueeze(1), is_grads_batched=True)


@pytest.mark.parametrize("cell", ["tanh", "lstm", "indrnn"])
def test_small_numbers_are_kept_by_the_rest_of_the_program(cell: str, fused: str) -> None:
    """The kernels flush denormal numbers to zero in their own loops, and there alone."""
    if cell == "indrnn":
        vectors = [torch.randn(6) for _ in range(2)]
        outputs, _ = run(
            kernels.indrnn, [torch.randn(5, 3, 4), torch.zeros(3, 6), torch.randn(6, 4), *vectors]
        )
    else:
        function = kernels.tanh_rnn if cell == "tanh" else kernels.lstm
        outputs, _ = run(function, arguments(cell, 5, 3, 4, 6))
    assert outputs[0].isfinite().all()
    assert (torch.full((8,), 1e-40) * 0.5).tolist() == pytest.approx([5e-41] * 8, rel=1e-3, abs=0)
