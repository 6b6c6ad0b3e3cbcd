"""Slices: measured against models whose loss is known in closed form."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fwrnn_core.errors import ConfigError, RecordError
from fwrnn_core.explorer import Explorer, Slice, load_slice, plane_slice
from fwrnn_core.explorer.measure import Stopped, _Twin
from fwrnn_core.explorer.slices import FOLDER, names
from fwrnn_core.explorer.surfaces import make_surface
from fwrnn_core.explorer.taming import tame
from fwrnn_core.models import RecurrentNet
from fwrnn_core.models.draws import SameDraws

mse = nn.functional.mse_loss


def linear():
    """A least-squares problem in float64: its loss is a quadratic of the four weights."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(12, 4, dtype=torch.float64, generator=generator)
    y = x @ torch.tensor([[1.0], [-2.0], [0.5], [0.0]], dtype=torch.float64)
    torch.manual_seed(0)
    return nn.Linear(4, 1, bias=False).double(), (x, y)


def test_losses_and_gradients_of_a_quadratic():
    net, batch = linear()
    piece = plane_slice(net, mse, batch, radius=0.4, inner_steps=4, resolution=11)
    x0, x1, y0, y1 = piece.domain
    ny, nx = piece.loss.shape
    assert (nx, ny) == (11, 9)
    assert (x1 - x0) / (y1 - y0) == pytest.approx(1.25)
    hx, hy = (x1 - x0) / (nx - 1), (y1 - y0) / (ny - 1)
    # Central differences of a quadratic are exact.
    dy, dx = np.gradient(piece.loss, hy, hx)
    np.testing.assert_allclose(piece.grad_x[1:-1, 1:-1], dx[1:-1, 1:-1], atol=1e-9)
    np.testing.assert_allclose(piece.grad_y[1:-1, 1:-1], dy[1:-1, 1:-1], atol=1e-9)
    # At ω = (0, 0) the surface has the model's loss, and the gradient lies along the x axis.
    surface = make_surface(piece.spec())
    x, y = batch
    net.zero_grad()
    loss = mse(net(x), y)
    loss.backward()
    zero = np.array(0.0)
    assert surface.loss(zero, zero) == pytest.approx(loss.item(), rel=1e-5)
    gx, gy = surface.gradient(zero, zero)
    assert (gx, gy) == pytest.approx((-float(net.weight.grad.norm()), 0), abs=1e-5)


def test_the_path_is_that_of_the_real_inner_loop():
    net, batch = linear()
    piece = plane_slice(net, mse, batch, radius=0.4, inner_steps=4, resolution=6)
    x, y = batch
    weight, delta = net.weight.detach(), torch.zeros(1, 4, dtype=torch.float64)
    first = None
    for k in range(1, 5):
        moved = (weight + delta).requires_grad_()
        (g,) = torch.autograd.grad(mse(x @ moved.T, y), moved)
        first = g if first is None else first
        delta = delta + (-0.4 * g / g.norm() - delta) / k
    cosine = float((delta * -first).sum() / delta.norm() / first.norm())
    assert piece.agreement == pytest.approx(float(delta.norm()) / 0.4)
    assert piece.angle == pytest.approx(np.degrees(np.arccos(cosine)))
    assert piece.radius == pytest.approx(0.4)
    # Δ_K lies in the plane, Δ_1 along the negative gradient.
    assert np.linalg.norm(piece.path[-1]) == pytest.approx(float(delta.norm()))
    assert piece.path[1] == pytest.approx([0.4, 0.0])


def test_the_users_model_stays_as_it_is():
    torch.manual_seed(0)
    net = RecurrentNet(2, 6, 1, batch_norm=True)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    x, y = torch.randn(5, 7, 2), torch.randn(5)
    state = torch.get_rng_state()
    plane_slice(net, lambda out, y: mse(out.squeeze(1), y), (x, y), radius=0.1, resolution=5)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    assert net.training


def test_random_layers_see_the_same_draws_at_every_point():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    x, y = torch.randn(6, 3), torch.randn(6, 1)
    one, other = (plane_slice(net, mse, (x, y), radius=0.1, resolution=6) for _ in range(2))
    np.testing.assert_array_equal(one.loss, other.loss)
    surface = make_surface(one.spec())
    gx = (one.loss[2, 3] - one.loss[2, 1]) / 2
    x0, x1, *_ = one.domain
    assert surface.spec["grid"]["nx"] == 6
    assert gx / ((x1 - x0) / 5) == pytest.approx(one.grad_x[2, 2], rel=0.3, abs=0.02)


@pytest.mark.parametrize(
    ("norm", "scope"), [(1.0, "global"), (3.0, "tensor"), ("spectral", "tensor")]
)
def test_other_balls_span_planes_too(norm, scope):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    batch = torch.randn(6, 3), torch.randn(6, 1)
    piece = plane_slice(net, mse, batch, radius=0.2, norm=norm, scope=scope, resolution=5)
    assert np.isfinite(piece.loss).all()
    assert 0 <= piece.angle <= 180


def test_a_plane_without_a_second_direction_takes_a_random_one():
    net, batch = linear()
    piece = plane_slice(net, mse, batch, radius=0.1, inner_steps=1, scope="global", resolution=5)
    assert piece.path[1] == pytest.approx([0.1, 0], abs=1e-9)
    assert np.ptp(piece.loss, axis=0).max() > 0


def test_progress_is_told_and_can_stop_the_work():
    net, batch = linear()
    seen = []
    plane_slice(net, mse, batch, resolution=5, progress=lambda *a: seen.append(a))
    assert seen[0] == (1, 20)
    assert seen[-1] == (20, 20)
    with pytest.raises(Stopped):
        plane_slice(net, mse, batch, resolution=5, progress=lambda done, total: done == 3)


def test_mistakes_are_named():
    net, batch = linear()
    with pytest.raises(ConfigError, match="resolution must be within 4 … 129"):
        plane_slice(net, mse, batch, resolution=2)
    with pytest.raises(ConfigError, match="span must be above 1"):
        plane_slice(net, mse, batch, span=0.5)
    with pytest.raises(ConfigError, match="gradient is exactly zero"):
        plane_slice(net, lambda out, y: 0 * mse(out, y), batch)
    with pytest.raises(ConfigError, match="take a smaller radius"):
        plane_slice(net, lambda out, y: mse(out, y) / 0, batch)
    frozen = nn.Linear(2, 1).requires_grad_(False)
    with pytest.raises(ConfigError, match="no parameters that require a gradient"):
        plane_slice(frozen, mse, (torch.ones(1, 2), torch.ones(1, 1)))


def test_a_slice_survives_its_file(tmp_path):
    net, batch = linear()
    piece = plane_slice(net, mse, batch, resolution=6, origin={"seed": 0})
    piece.save(tmp_path / "a.json")
    again = Slice.load(tmp_path / "a.json")
    assert again.domain == piece.domain
    assert again.origin == {"seed": 0}
    np.testing.assert_array_equal(again.loss, piece.loss.astype(np.float32))
    again.save(tmp_path / "b.json")
    assert (tmp_path / "b.json").read_bytes() == (tmp_path / "a.json").read_bytes()


@pytest.mark.parametrize(
    "damage", ["{", "[]", '{"format": "other"}', '{"format": "fwrnn-slice-1"}']
)
def test_a_damaged_file_is_named(tmp_path, damage):
    path = tmp_path / "slice.json"
    path.write_text(damage)
    with pytest.raises(RecordError, match=r"slice\.json"):
        Slice.load(path)


@pytest.mark.parametrize("name", [f"{net}-{i}" for net in ("adding", "har2") for i in (1, 2, 3)])
def test_the_shipped_slices_are_small_and_sound(name):
    assert name in names()
    assert (FOLDER / f"{name}.json").stat().st_size <= 200_000
    piece = load_slice(name)
    assert piece.loss.min() > 0
    assert piece.origin["data"]["fingerprint"]
    # Measured gradients and measured losses tell the same story. The last HAR-2 slice shows the
    # first cliffs, narrower than a cell of the grid.
    x0, x1, *_ = piece.domain
    spacing = (x1 - x0) / (piece.loss.shape[1] - 1)
    dx, gx = np.gradient(piece.loss, spacing, axis=1)[:, 1:-1], piece.grad_x[:, 1:-1]
    gentle = np.abs(gx) < np.quantile(np.abs(gx), 0.8)
    cliffs = name == "har2-3"
    assert np.corrcoef(dx[gentle], gx[gentle])[0, 1] > (0.8 if cliffs else 0.99)
    # Along the axis of −∇F the loss falls at first, and the axis is −∇F.
    spec = piece.spec()
    gx, gy = make_surface(spec).gradient(np.array(0.0), np.array(0.0))
    assert gx < 0
    assert abs(gy) < 0.2 * abs(gx)
    json.dumps(spec, allow_nan=False)
    assert Explorer([name]).result.losses[0] == pytest.approx(
        float(make_surface(spec).loss(np.array(0.0), np.array(0.0)))
    )


def test_training_flattens_nothing_but_lowers_the_loss():
    for net in ("adding", "har2"):
        losses = [Explorer([f"{net}-{i}"]).result.losses[0] for i in (1, 2, 3)]
        assert losses[0] > losses[1] > losses[2]


def test_an_unknown_slice_is_named():
    with pytest.raises(ConfigError, match="Did you mean 'har2-1'"):
        load_slice("har-1")


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_tamed_slopes_never_make_the_surface_swing(seed):
    rng = np.random.default_rng(seed)
    loss = np.where(np.arange(8) < rng.integers(2, 6), 0.0, 1.0) + 0.1 * rng.random((7, 8))
    gx, gy = 30 * rng.standard_normal((2, 7, 8))
    tx, _ = tame(loss, gx, gy, 0.1, 0.1)
    assert (np.abs(tx) <= np.abs(gx)).all()
    piece = Slice(
        "a", "a", "a", "a", (0, 0.7, 0, 0.6), loss, gx, gy, np.zeros((2, 2)), 0.1, 1.0, 0.0
    )
    x, y = rng.uniform(0, 0.7, 500), rng.uniform(0, 0.6, 500)
    values = make_surface(piece.spec()).loss(x, y)
    assert values.min() > loss.min() - 0.1
    assert values.max() < loss.max() + 0.1


def test_slopes_that_the_grid_carries_stay_as_measured():
    x, y = np.meshgrid(np.linspace(-1, 1, 21), np.linspace(-1, 1, 17))
    loss, gx, gy = x**2 + 2 * y**2, 2 * x, 4 * y
    tx, ty = tame(loss, gx, gy, 0.1, 0.125)
    np.testing.assert_array_equal(tx, gx)
    np.testing.assert_array_equal(ty, gy)


def test_a_model_with_a_generator_of_its_own_is_measured_with_the_same_draws():
    torch.manual_seed(0)
    net = RecurrentNet(2, 6, 1, initial_state="uniform", generator=torch.Generator())
    generator = torch.Generator().manual_seed(1)
    batch = torch.randn(8, 5, 2, generator=generator), torch.randn(8, 1, generator=generator)
    before = net.generator.get_state(), torch.get_rng_state()
    twin = _Twin(net, mse, batch)
    assert len({twin.evaluate() for _ in range(3)}) == 1
    for state, now in zip(before, (net.generator.get_state(), torch.get_rng_state()), strict=True):
        assert torch.equal(state, now), "nobody else's draws move"


def test_modules_that_share_a_generator_still_draw_one_after_the_other():
    generator = torch.Generator().manual_seed(3)
    two = nn.ModuleList(
        RecurrentNet(2, 4, 1, initial_state="uniform", generator=generator) for _ in range(2)
    )
    draws = SameDraws(two)
    with draws.again():
        first, second = (torch.rand(4, generator=net.generator) for net in two)
    assert not torch.equal(first, second)
