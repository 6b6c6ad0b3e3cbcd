"""Measure a slice: losses and gradients of a model on a grid in the plane of −∇F and Δ_K."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fwrnn_core.errors import ConfigError
from fwrnn_core.explorer.slices import Slice
from fwrnn_core.explorer.surfaces import Array
from fwrnn_core.models.draws import SameDraws
from fwrnn_core.optim import FrankWolfe
from fwrnn_core.optim.balls import Norm

LossFn = Callable[[Tensor, Tensor], Tensor]
Batch = tuple[Tensor, Tensor]
Progress = Callable[[int, int], bool | None]


class Stopped(Exception):
    """The caller's progress function asked to stop."""


class _Twin:
    """A copy of the model whose weights can be moved freely; the user's stays as it is."""

    def __init__(self, model: nn.Module, loss_fn: LossFn, batch: Batch) -> None:
        self.model = copy.deepcopy(model)
        self.params = [p for p in self.model.parameters() if p.requires_grad]
        if not self.params:
            raise ConfigError("the model has no parameters that require a gradient")
        self.loss_fn, self.batch = loss_fn, batch
        self._draws = SameDraws(self.model)
        self.anchor = [p.detach().clone() for p in self.params]

    def evaluate(self) -> float:
        """Loss at the present weights; gradients land in ``p.grad``.

        Dropout masks and random initial states are the same at every call.
        """
        inputs, targets = self.batch
        for p in self.params:
            p.grad = None
        with self._draws.again(), torch.enable_grad():
            loss = self.loss_fn(self.model(inputs), targets)
            loss.backward()
        if not math.isfinite(float(loss.detach())):
            raise ConfigError(
                f"the loss is {float(loss.detach())} on this plane: take a smaller radius"
            )
        return float(loss.detach())

    def gradient(self) -> Tensor:
        """The last gradient, flat, float64."""
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.params]
        return _flat(parts)

    def displacement(self) -> Tensor:
        return _flat([p.detach() - a for p, a in zip(self.params, self.anchor, strict=True)])

    @torch.no_grad()
    def move(self, displacement: Tensor) -> None:
        """Put the weights at ω + displacement."""
        parts = displacement.split([p.numel() for p in self.params])
        for p, a, d in zip(self.params, self.anchor, parts, strict=True):
            p.copy_(a + d.view_as(a).to(a.dtype))


def _flat(parts: list[Tensor]) -> Tensor:
    return torch.cat([part.detach().reshape(-1).double() for part in parts])


def _inner_loop(twin: _Twin, settings: dict[str, Any]) -> tuple[Tensor, list[Tensor], float]:
    """∇F(ω), Δ_0 … Δ_K and the agreement of one deterministic inner loop of the real optimizer."""
    optimizer = FrankWolfe(twin.params, outer=None, **settings)
    twin.evaluate()
    gradient = twin.gradient()
    deltas = [torch.zeros_like(gradient)]
    for k in range(settings["inner_steps"]):
        if k:
            twin.evaluate()
        optimizer.step()
        deltas.append(twin.displacement())
    return gradient, deltas, float(optimizer.agreement().double().nanmean())


def _axes(gradient: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
    """Orthonormal axes: −∇F, then what Δ_K has beside it.

    Where Δ_K has nothing beside it (K = 1 with one global ℓ2 ball) a fixed random direction
    takes its place.
    """
    if not gradient.any():
        raise ConfigError("the gradient is exactly zero here: there is no plane to span")
    u = -gradient / gradient.norm()
    v = delta - (delta @ u) * u
    if v.norm() <= 1e-6 * delta.norm():
        generator = torch.Generator().manual_seed(0)
        v = torch.randn(len(u), generator=generator, dtype=u.dtype).to(u.device)
        v -= (v @ u) * u
    return u, v / v.norm()


def _grid(span: float, resolution: int) -> tuple[Array, Array]:
    """Nodes of a 5 : 4 window that looks ahead: ω stands left of its middle."""
    nx = resolution
    ny = max(2, round(0.8 * (nx - 1)) + 1)
    return np.linspace(-0.75 * span, 1.75 * span, nx), np.linspace(-span, span, ny)


def plane_slice(
    model: nn.Module,
    loss_fn: LossFn,
    batch: Batch,
    *,
    radius: float = 1e-2,
    inner_steps: int = 5,
    norm: Norm = 2,
    scope: str = "tensor",
    span: float = 3.0,
    resolution: int = 21,
    progress: Progress | None = None,
    **labels: Any,
) -> Slice:
    """Measure the loss of ``model`` on ``batch`` around its weights, in the plane of −∇F and Δ_K.

    Args:
        model: any module; it is copied, so neither its weights nor its buffers change. It is
            evaluated in the mode (training or evaluation) it is in.
        loss_fn: ``loss_fn(model(inputs), targets)`` -> scalar.
        batch: (inputs, targets), the same for every point.
        radius, inner_steps, norm, scope: of the inner loop that spans the plane, as for
            :class:`fwrnn_core.FrankWolfe`.
        span: half the window's height, in lengths of the first vertex.
        resolution: grid points across; 0.8 times as many down. Every point costs one gradient.
        progress: called with (done, total) after each point; returning True stops the work.
        **labels: ``name``, ``label``, ``group``, ``about``, ``origin`` of the slice.

    Raises:
        ConfigError: a value outside its range, a zero gradient, or a loss that is not finite.
        Stopped: ``progress`` said so.

    >>> net = nn.Linear(3, 1)
    >>> x = torch.eye(3)
    >>> piece = plane_slice(net, nn.functional.mse_loss, (x, x[:, :1]), radius=0.1, resolution=6)
    >>> piece.loss.shape, piece.path.shape
    ((5, 6), (6, 2))
    """
    if not span > 1:
        raise ConfigError(f"span must be above 1 (lengths of the first vertex), not {span!r}")
    if not 4 <= resolution <= 129:
        raise ConfigError(f"resolution must be within 4 … 129 grid points, not {resolution!r}")
    settings = {"lr": radius, "inner_steps": inner_steps, "norm": norm, "scope": scope}
    twin = _Twin(model, loss_fn, batch)
    gradient, deltas, agreement = _inner_loop(twin, settings)
    u, v = _axes(gradient, deltas[-1])
    reach = float(deltas[1].norm())
    xs, ys = _grid(span * reach, resolution)
    shape = (len(ys), len(xs))
    loss, gx, gy = np.empty(shape), np.empty(shape), np.empty(shape)
    for done, (j, i) in enumerate(np.ndindex(shape), 1):
        twin.move(float(xs[i]) * u + float(ys[j]) * v)
        loss[j, i] = twin.evaluate()
        here = twin.gradient()
        gx[j, i], gy[j, i] = float(here @ u), float(here @ v)
        if progress is not None and progress(done, loss.size):
            raise Stopped
    cosine = float(deltas[-1] @ u / deltas[-1].norm())
    named = {"name": "model", "label": "Your model", "group": "Your model"}
    named["about"] = _about(twin, radius, inner_steps, scope)
    return Slice(
        domain=(float(xs[0]), float(xs[-1]), float(ys[0]), float(ys[-1])),
        loss=loss,
        grad_x=gx,
        grad_y=gy,
        path=np.array([[float(d @ u), float(d @ v)] for d in deltas]),
        radius=reach,
        agreement=agreement,
        angle=math.degrees(math.acos(min(1.0, max(-1.0, cosine)))),
        **{**named, **labels},
    )


def _about(twin: _Twin, radius: float, inner_steps: int, scope: str) -> str:
    count = sum(p.numel() for p in twin.params)
    balls = "one ball" if scope == "global" else f"{len(twin.params)} balls, one per tensor"
    return (
        f"A plane through the {count:,} weights of the model: along −∇F, and towards Δ after "
        f"{inner_steps} inner steps with δ = {radius:g} ({balls})."
    )
