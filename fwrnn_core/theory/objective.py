"""A training risk as a function of one flat weight vector.

Everything in this part of the package measures a function F: R^d → R through three questions: its
value, its gradient, and a Hessian-vector product. :class:`Objective` answers them for any
differentiable function of a vector, :func:`model_objective` makes one from a network, a loss and a
batch. A network is copied first, so nothing measured here can change the network it came from.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from fwrnn_core.errors import ConfigError, unknown
from fwrnn_core.models.draws import SameDraws
from fwrnn_core.models.indrnn import IndRNN
from fwrnn_core.models.kernels import use_backend

HVP_METHODS = ("double-backward", "difference")


@dataclass(frozen=True)
class Layout:
    """Where each named tensor lies in the flat vector.

    >>> layout = Layout.of({"W": torch.zeros(2, 3), "b": torch.zeros(2)})
    >>> layout.dim, layout.slices()["b"]
    (8, slice(6, 8, None))
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Layout:
        """The layout of named tensors, in their own order."""
        return cls(tuple(tensors), tuple(tuple(t.shape) for t in tensors.values()))

    @property
    def dim(self) -> int:
        """Length d of the flat vector."""
        return sum(math.prod(shape) for shape in self.shapes)

    def slices(self) -> dict[str, slice]:
        """The range of each tensor in the flat vector."""
        out, start = {}, 0
        for name, shape in zip(self.names, self.shapes, strict=True):
            stop = start + math.prod(shape)
            out[name] = slice(start, stop)
            start = stop
        return out

    def unflatten(self, vector: Tensor) -> dict[str, Tensor]:
        """Views of a flat vector under the tensors' names and shapes."""
        return {
            name: vector[where].view(shape)
            for (name, where), shape in zip(self.slices().items(), self.shapes, strict=True)
        }


def flatten(tensors: Iterable[Tensor]) -> Tensor:
    """Concatenate tensors into one flat vector (a copy).

    >>> flatten([torch.ones(2, 2), torch.zeros(1)])
    tensor([1., 1., 1., 1., 0.])
    """
    return torch.cat([t.detach().reshape(-1) for t in tensors])


class Objective:
    """A scalar function of a flat vector, with its derivatives.

    :param function: differentiable map from a vector [d] to a scalar tensor.
    :param origin: a point [d]; gives the dimension, dtype and device, and is the default point.
    :param layout: names of the parts of the vector, for per-tensor measurements.
    :param hvp: ``"double-backward"`` (exact) or ``"difference"``: a central difference of two
        gradients, for functions whose backward pass has no derivative of its own (fused kernels).
    :param guard: called with ``"value"``, ``"grad"`` or ``"hvp"`` before an evaluation of that
        kind, gives a context manager to run it in.
    :param vectorize: evaluate many points at once by ``torch.vmap`` instead of one after another;
        needs a function that it can transform.

    ``evaluations`` counts forward, gradient and Hessian-vector evaluations: the cost of a
    measurement.

    >>> f = Objective(lambda x: (x ** 3).sum(), torch.tensor([1.0, 2.0]))
    >>> f.value(), f.grad(), f.hvp(torch.tensor([1.0, 0.0]))
    (9.0, tensor([ 3., 12.]), tensor([6., 0.]))
    """

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        origin: Tensor,
        *,
        layout: Layout | None = None,
        hvp: str = "double-backward",
        guard: Callable[[str], AbstractContextManager[object]] = nullcontext,
        vectorize: bool = False,
    ) -> None:
        if origin.ndim != 1 or not origin.is_floating_point():
            raise ConfigError(
                f"an objective's origin is a flat floating-point vector, not {origin.dtype} "
                f"of shape {tuple(origin.shape)}"
            )
        if hvp not in HVP_METHODS:
            raise unknown("Hessian-vector method", hvp, HVP_METHODS)
        self.function = function
        self.origin = origin.detach().clone()
        self.layout = layout or Layout(("x",), (tuple(origin.shape),))
        self.hvp_method = hvp
        self.guard = guard
        self.vectorize = vectorize
        self.evaluations = {"value": 0, "grad": 0, "hvp": 0}

    @property
    def dim(self) -> int:
        """Dimension d."""
        return self.origin.numel()

    def value(self, x: Tensor | None = None) -> float:
        """F(x)."""
        self.evaluations["value"] += 1
        with self.guard("value"), torch.no_grad():
            return float(self.function(self._point(x)))

    def grad(self, x: Tensor | None = None) -> Tensor:
        """∇F(x), [d]."""
        return self.value_and_grad(x)[1]

    def value_and_grad(self, x: Tensor | None = None) -> tuple[float, Tensor]:
        """F(x) and ∇F(x) from one forward and one backward pass."""
        self.evaluations["grad"] += 1
        with self.guard("grad"), torch.enable_grad():
            point = self._point(x).requires_grad_(True)
            value = self.function(point)
            (gradient,) = torch.autograd.grad(value, point)
        return float(value.detach()), gradient

    def values(self, points: Tensor) -> Tensor:
        """F at each of many points [n, d], as [n].

        >>> Objective(lambda x: x @ x, torch.zeros(2)).values(torch.eye(2))
        tensor([1., 1.])
        """
        if not self.vectorize:
            found = [self.value(x) for x in points]
            return torch.tensor(found, dtype=self.origin.dtype, device=self.origin.device)
        self.evaluations["value"] += len(points)
        with self.guard("value"), torch.no_grad():
            return torch.vmap(self.function, randomness="same")(self._points(points))

    def values_and_grads(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """F and ∇F at each of many points [n, d], as [n] and [n, d].

        >>> f = Objective(lambda x: x @ x, torch.zeros(2), vectorize=True)
        >>> f.values_and_grads(torch.eye(2))[1]
        tensor([[2., 0.],
                [0., 2.]])
        """
        if not self.vectorize:
            found = [self.value_and_grad(x) for x in points]
            values = torch.tensor([v for v, _ in found], dtype=self.origin.dtype)
            return values.to(self.origin), torch.stack([g for _, g in found])
        self.evaluations["grad"] += len(points)
        both = torch.func.grad_and_value(self.function)
        with self.guard("grad"):
            gradients, values = torch.vmap(both, randomness="same")(self._points(points))
        return values.detach(), gradients.detach()

    def hvp(self, v: Tensor, x: Tensor | None = None) -> Tensor:
        """∇²F(x) v, [d]."""
        self.evaluations["hvp"] += 1
        v = v.to(self.origin)
        if self.hvp_method == "difference":
            return self._hvp_by_difference(v, self._point(x))
        with self.guard("hvp"), torch.enable_grad():
            point = self._point(x).requires_grad_(True)
            (gradient,) = torch.autograd.grad(self.function(point), point, create_graph=True)
            if not gradient.requires_grad:  # F is affine
                return torch.zeros_like(point)
            (product,) = torch.autograd.grad(gradient, point, v, allow_unused=True)
        return torch.zeros_like(point) if product is None else product

    def _hvp_by_difference(self, v: Tensor, x: Tensor) -> Tensor:
        length = float(v.norm())
        if length == 0:
            return torch.zeros_like(v)
        # The cube root of the machine precision balances rounding against the O(h²) truncation.
        h = torch.finfo(x.dtype).eps ** (1 / 3) * max(1.0, float(x.norm()))
        unit = v / length
        high = self.value_and_grad(x + h * unit)[1]
        low = self.value_and_grad(x - h * unit)[1]
        self.evaluations["grad"] -= 2  # they are the cost of this product, not measurements
        return (high - low) * (length / (2 * h))

    def _point(self, x: Tensor | None) -> Tensor:
        point = self.origin if x is None else x
        if point.shape != self.origin.shape:
            raise ConfigError(
                f"a point of this objective has shape {tuple(self.origin.shape)}, "
                f"not {tuple(point.shape)}"
            )
        return point.detach().to(self.origin).clone()

    def _points(self, points: Tensor) -> Tensor:
        return torch.stack([self._point(x) for x in points])


def model_objective(
    model: nn.Module,
    loss_fn: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    *,
    dtype: torch.dtype | None = torch.float64,
    batch_size: int | None = None,
    hvp: str = "double-backward",
    train: bool | None = None,
    vectorize: bool = False,
) -> Objective:
    """The risk F(ω) = loss of ``model`` on a batch, as a function of all its parameters.

    :param model: any module; it is deep-copied, so weights, gradients, buffers, mode and hooks of
        the original stay as they are.
    :param loss_fn: ``(output, target) → scalar``, a mean over the batch.
    :param x: inputs [N, T, F]; ``y``: targets [N]. Both are converted to ``dtype`` where floating.
    :param dtype: float64 by default, because curvature is a small difference of large numbers;
        ``None`` keeps the model's own and with it the fast kernels.
    :param batch_size: evaluate in chunks of this many samples (memory); same function. A network
        that normalises over the minibatch is one function of all samples and is not cut.
    :param hvp: see :class:`Objective`.
    :param train: the mode of the copy; ``None`` keeps the model's.
    :param vectorize: see :class:`Objective`; for tanh and LSTM networks without batch statistics.
        Runs the plain recurrences, n points in one pass: for accelerators. On a CPU the fused
        kernels are as fast one point at a time.

    Random layers (dropout) see the same mask at each evaluation, so that F is one function. An
    IndRNN's recurrent weights are not put back into their bounds: F has its gradient outside too.

    >>> net = nn.Linear(2, 1, bias=False)
    >>> f = model_objective(net, nn.functional.mse_loss, torch.eye(2), torch.zeros(2, 1))
    >>> f.layout.names, round(f.value(torch.tensor([1.0, 3.0])), 6)
    (('weight',), 5.0)
    """
    twin = copy.deepcopy(model)
    if dtype is not None:
        twin = twin.to(dtype)
    if train is not None:
        twin.train(train)
    parameters = {name: p.detach() for name, p in twin.named_parameters() if p.requires_grad}
    layout = Layout.of(parameters)
    origin = flatten(parameters.values())
    inputs, targets = _like(x, origin), _like(y, origin)
    buffers = {name: b.detach().clone() for name, b in twin.named_buffers()}
    normalises = any(
        isinstance(m, _BatchNorm) and (m.training or not m.track_running_stats)
        for m in twin.modules()
    )
    chunk = len(inputs) if batch_size is None or normalises else batch_size
    for module in twin.modules():
        if isinstance(module, IndRNN):
            module.constrain = False
    draws = SameDraws(twin)

    def risk(vector: Tensor) -> Tensor:
        weights = layout.unflatten(vector)
        total = vector.new_zeros(())
        for start in range(0, len(inputs), chunk):
            part, target = inputs[start : start + chunk], targets[start : start + chunk]
            state = {**weights, **{name: b.clone() for name, b in buffers.items()}}
            output = torch.func.functional_call(twin, state, (part,))
            total = total + loss_fn(output, target) * (len(part) / len(inputs))
        return total

    @contextmanager
    def guard(kind: str) -> Iterator[None]:
        # Fused kernels have no second derivative and take one point; the plain recurrences can.
        plain = vectorize or (kind == "hvp" and hvp == "double-backward")
        with draws.again(), use_backend("reference") if plain else nullcontext():
            yield

    return Objective(risk, origin, layout=layout, hvp=hvp, guard=guard, vectorize=vectorize)


def _like(tensor: Tensor, origin: Tensor) -> Tensor:
    tensor = tensor.detach()
    return tensor.to(origin) if tensor.is_floating_point() else tensor.to(origin.device)
