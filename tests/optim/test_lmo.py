"""Vertices and projections: optimal, feasible, exact at any scale, dtype and shape."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

from fwrnn_core import lmo
from fwrnn_core.errors import ConfigError
from fwrnn_core.optim.balls import NewtonSchulzBall, ball_for

P_NORMS = [1, 1.1, 1.5, 2, 3, 10, math.inf]
NORMS = [*P_NORMS, "spectral", "nuclear"]
SHAPES = [(), (1,), (7,), (3, 5), (5, 3), (4, 4), (2, 3, 2)]

norms = st.sampled_from(NORMS)
tensors = st.builds(
    lambda seed, shape, exponent: (
        torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        * 10.0**exponent
    ),
    st.integers(0, 10_000),
    st.sampled_from(SHAPES),
    st.integers(-30, 30),
)


def inside(x: torch.Tensor, norm: Any, seed: int) -> torch.Tensor:
    """A random point on the boundary of the unit ball, of the shape of ``x``."""
    y = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed), dtype=x.dtype)
    return y / ball_for(norm, x.dim()).norm(y).clamp(min=1e-12)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(g=tensors, norm=norms, radius=st.floats(1e-6, 1e6), seed=st.integers(0, 1000))
def test_vertex_is_feasible_and_optimal(
    g: torch.Tensor, norm: Any, radius: float, seed: int
) -> None:
    ball = ball_for(norm, g.dim())
    s = lmo(g, radius, norm)
    value = float((s * g).sum())
    best = -radius * float(ball.dual_norm(g))
    assert float(ball.norm(s)) <= radius * (1 + 1e-6)
    assert value == pytest.approx(best, rel=1e-9)
    for i in range(20):
        rival = radius * inside(g, norm, seed + i)
        assert float((rival * g).sum()) >= value - 1e-9 * abs(best)


@settings(max_examples=40, derandomize=True, deadline=None)
@given(x=tensors, norm=norms, seed=st.integers(0, 1000))
def test_projection_is_the_nearest_point(x: torch.Tensor, norm: Any, seed: int) -> None:
    """⟨x − Px, y − Px⟩ ≤ 0 for every y of the ball characterises the projection."""
    ball = ball_for(norm, x.dim())
    nearest = ball.project(x)
    assert float(ball.norm(nearest)) <= 1 + 1e-9
    residual = x - nearest
    if float(ball.norm(x)) <= 1:
        assert torch.equal(x, nearest)
        return
    scale = float(residual.norm()) * (1 + float(nearest.norm()))
    rivals = [inside(x, norm, seed + i) for i in range(20)]
    # The vertex that the residual itself picks is the hardest rival of all.
    for y in [*rivals, -lmo(residual, 1.0, norm)]:
        assert float((residual * (y - nearest)).sum()) <= 1e-7 * scale


@pytest.mark.parametrize("scale", [0.1, 1.0, 1e3, 1e10, 1e30])
@pytest.mark.parametrize("p", [math.nextafter(1, 2), 1 + 1e-7, 1.001, 1.01, 1.1])
def test_projections_near_p_1(p: float, scale: float) -> None:
    """The dual exponent is large there: a plain q-norm of what is outside overflows, or vanishes,
    and with it the multiplier."""
    x = scale * torch.randn(20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    nearest = ball_for(p, 1).project(x)
    assert float(ball_for(p, 1).norm(nearest)) == pytest.approx(1, abs=1e-6)
    for y in (-lmo(x - nearest, 1.0, p), ball_for(1, 1).project(x)):
        assert float((x - nearest) @ (y - nearest)) <= 1e-7 * float((x - nearest).norm())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("p", [1 + 10.0**-n for n in range(1, 16)])
def test_vertices_of_equal_entries_near_p_1(p: float, dtype: torch.dtype) -> None:
    """The power q − 1 amplifies the rounding of what is raised to it."""
    for value in (1.0, 1e-38):
        s = lmo(torch.full((7,), value, dtype=dtype), 1.0, p)
        assert float(ball_for(p, 1).norm(s)) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("norm", [*NORMS, "newton-schulz"])
def test_every_dtype(norm: Any, dtype: torch.dtype) -> None:
    g = torch.randn(6, 4, generator=torch.Generator().manual_seed(1)).to(dtype)
    s = lmo(g, 0.5, norm)
    assert s.dtype == dtype
    assert s.shape == g.shape
    exact = lmo(g.double(), 0.5, norm)
    assert torch.allclose(s.double(), exact, atol=4 * torch.finfo(dtype).eps)


LAYERS = [(64, 64), (40, 1), (96, 128), (256, 64), (256, 256)]


def excess(norm: Any, shape: tuple[int, int], dtype: torch.dtype, seed: int = 0) -> float:
    """‖s‖/δ − 1 of a vertex, in float64, for a radius that no binary number is."""
    g = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
    s = lmo(g, 0.7, norm)
    return float(ball_for(norm, s.dim()).norm(s.double())) / 0.7 - 1


@pytest.mark.parametrize("shape", LAYERS, ids=str)
@pytest.mark.parametrize("norm", [*NORMS, "newton-schulz"])
def test_vertices_of_float32_layers_keep_to_the_ball(norm: Any, shape: tuple[int, int]) -> None:
    """A bare float32 SVD leaves the spectral ball by 2.4e-6 at 256²."""
    assert abs(excess(norm, shape, torch.float32)) <= 1e-6


@pytest.mark.parametrize(
    ("norm", "bound"),
    # Vertex and product with δ are stored with 8 bits each: at most 2^-8 for entrywise norms.
    [
        *((p, 2.0**-8) for p in P_NORMS),
        ("spectral", 4e-3),
        ("newton-schulz", 4e-3),
        ("nuclear", 3e-2),
    ],
)
def test_vertices_of_bfloat16_layers_keep_to_the_ball_to_storage(norm: Any, bound: float) -> None:
    assert max(excess(norm, shape, torch.bfloat16) for shape in LAYERS) <= bound


@pytest.mark.parametrize("shape", [(48, 64), (64, 48)], ids=str)
def test_spectral_vertices_of_low_rank_have_that_rank(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    g = torch.randn(shape[0], 3, generator=generator) @ torch.randn(
        3, shape[1], generator=generator
    )
    sigma = torch.linalg.svdvals(lmo(g, 1.0, "spectral").double())
    assert sigma[:3].tolist() == pytest.approx([1, 1, 1], abs=1e-6)
    assert sigma[3] < 1e-6


@pytest.mark.parametrize("norm", [*NORMS, "newton-schulz"])
@pytest.mark.parametrize("scale", [1e-44, 1e-38, 1e-25, 1e25, 3e37])
def test_vanishing_and_exploding_float32_gradients(norm: Any, scale: float) -> None:
    """Squares of such entries underflow or overflow; the vertex must not notice."""
    g = torch.tensor([[3.0, -2.0], [1.0, 5.0]])
    tiny = (g.double() * scale).float()
    expected = lmo(tiny.double(), 1.0, norm)
    assert expected.abs().max() > 0.1
    assert torch.allclose(lmo(tiny, 1.0, norm).double(), expected, atol=1e-5)


@pytest.mark.parametrize("norm", [*NORMS, "newton-schulz"])
@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (3,), (2, 2), (2, 2, 2)])
def test_zero_and_empty_gradients_give_zeros(norm: Any, shape: tuple[int, ...]) -> None:
    if math.prod(shape) == 0 and isinstance(norm, str) and len(shape) == 2:
        pytest.skip("an empty matrix has no singular values")
    s = lmo(torch.zeros(shape), 2.0, norm)
    assert s.shape == shape
    assert torch.equal(s, torch.zeros(shape))
    assert not torch.signbit(s).any()


def test_p1_takes_the_lowest_index_on_ties() -> None:
    assert lmo(torch.tensor([1.0, -3.0, 3.0]), 2.0, 1).tolist() == [0.0, 2.0, 0.0]


@pytest.mark.parametrize("norm", [*NORMS, "newton-schulz"])
def test_pure_and_indifferent_to_memory_layout(norm: Any) -> None:
    g = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    before = g.clone()
    a, b = lmo(g, 1.0, norm), lmo(g.t().contiguous().t(), 1.0, norm)
    assert torch.equal(g, before)
    assert torch.allclose(a, b, atol=1e-6)
    assert torch.allclose(lmo(g[::2, ::2], 1.0, norm), lmo(g[::2, ::2].clone(), 1.0, norm))


@pytest.mark.parametrize("norm", ["spectral", "nuclear", "newton-schulz"])
def test_rank_deficient_matrices(norm: str) -> None:
    g = torch.outer(torch.arange(1.0, 5), torch.arange(1.0, 4))
    expected = -g / g.norm()
    # Newton-Schulz lifts what rounding leaves in the other directions a thousandfold.
    atol = 3e-4 if norm == "newton-schulz" else 1e-5
    assert torch.allclose(lmo(g, 1.0, norm), expected, atol=atol)


def test_newton_schulz_keeps_its_stated_bound() -> None:
    """Every singular value in [0, 1] goes through the scalar polynomial; so does a real matrix."""
    sigma = torch.linspace(0, 1, 200_001, dtype=torch.float64)
    for a, b, c in NewtonSchulzBall.STEPS:
        sigma = a * sigma + b * sigma**3 + c * sigma**5
    assert sigma.max() <= 1 + NewtonSchulzBall.EXCESS
    assert sigma.min() >= 0
    assert (sigma[1000:] - 1).abs().max() < 1e-6  # above 1/200
    g = torch.randn(64, 32, generator=torch.Generator().manual_seed(0))
    s, exact = lmo(g, 1.0, "newton-schulz"), lmo(g, 1.0, "spectral")
    assert float(torch.linalg.matrix_norm(s, 2)) <= 1 + 1e-5
    assert float((s * g).sum()) <= 0.999 * float((exact * g).sum())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lmo(torch.ones(2), norm=0.9), "norm = 0.9"),
        (lambda: lmo(torch.ones(2), norm=True), "norm = True"),
        (lambda: lmo(torch.ones(2), norm="nuclaer"), "Did you mean 'nuclear'"),
        (lambda: lmo(torch.ones(2), radius=-1), "radius = -1"),
        (lambda: lmo(torch.ones(2), radius=math.nan), "radius = nan"),
        (lambda: lmo(torch.ones(2, dtype=torch.complex64)), "complex64"),
        (lambda: lmo(torch.ones(2, dtype=torch.int64)), "int64"),
        (lambda: lmo(torch.ones(2, 2).to_sparse()), "sparse"),
    ],
)
def test_what_has_no_vertex_is_refused(call: Any, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        call()
    assert message in str(error.value)


@pytest.mark.parametrize("norm", ["spectral", "nuclear", "newton-schulz"])
def test_autocast_does_not_move_a_vertex(norm: str) -> None:
    gradient = torch.randn(40, 30, generator=torch.Generator().manual_seed(0))
    expected = lmo(gradient, 1.0, norm)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(lmo(gradient, 1.0, norm), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("norm", [1, 1.5, 2, 3, math.inf, "spectral", "nuclear", "newton-schulz"])
def test_a_vertex_never_leaves_or_waits_for_a_gpu(norm: float | str, dtype: torch.dtype) -> None:
    """Fake tensors have a device and no values: a mix of devices, and reading a number on the
    way, are errors."""
    with FakeTensorMode():
        vertex = lmo(torch.empty(7, 5, device="cuda", dtype=dtype), 0.5, norm)
    assert (vertex.device.type, vertex.dtype, vertex.shape) == ("cuda", dtype, (7, 5))
