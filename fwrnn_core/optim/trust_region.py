"""The trust-region inner solver: Steihaug's truncated conjugate gradients in a Euclidean ball."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fwrnn_core.errors import ConfigError, unknown
from fwrnn_core.optim.balls import scaled
from fwrnn_core.optim.numbers import as_number
from fwrnn_core.optim.options import check_dense
from fwrnn_core.optim.walk import flatten, unflatten

Product = Callable[[Tensor], Tensor]
HESSIANS = ("auto", "double-backward", "finite-differences")


@dataclass(frozen=True)
class TrustRegion:
    """Options of the trust-region solver, Steihaug's truncated conjugate gradients.

    It minimises the quadratic model m(s) = ⟨g, s⟩ + ½ ⟨s, H s⟩ of the closure's loss over
    ‖s‖_2 ≤ δ (Steihaug, SIAM J. Numer. Anal. 20(3), 1983; Nocedal and Wright, Numerical
    Optimization, 2006, algorithm 7.2). K bounds the conjugate-gradient steps, one Hessian product
    each.

    Args:
        tolerance: stop when the model's gradient has shrunk by this factor.
        hessian: ``"double-backward"`` differentiates the gradient and needs a closure that only
            returns the loss, without calling ``backward()``. ``"finite-differences"`` takes
            (∇F(ω + hv) − ∇F(ω − hv))/2h from any closure, two evaluations per product; its loss
            must be deterministic (no dropout). ``"auto"`` takes the first where closure and model
            allow it (no recurrence with a hand-written backward), else the second.

    Raises:
        ConfigError: a tolerance outside (0, 1), an unknown ``hessian``.

    On a quadratic whose minimum lies inside the ball, one step of two conjugate-gradient products
    reaches it:

    >>> from fwrnn_core import FrankWolfe
    >>> w = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    >>> opt = FrankWolfe([w], radius=10.0, inner_steps=2, scope="global", outer=None,
    ...                  solver=TrustRegion(tolerance=1e-6))
    >>> loss = opt.step(lambda: w[0] ** 2 + 5 * w[1] ** 2)
    >>> [round(x, 4) + 0.0 for x in w.tolist()]
    [0.0, 0.0]
    """

    tolerance: float = 1e-2
    hessian: str = "auto"

    def __post_init__(self) -> None:
        if not 0 < as_number(self.tolerance) < 1:
            raise ConfigError(f"tolerance = {self.tolerance!r}: must be in (0, 1)")
        if self.hessian not in HESSIANS:
            raise unknown("hessian", self.hessian, HESSIANS)


class Step(NamedTuple):
    """Where conjugate gradients stopped."""

    step: Tensor
    decrease: float
    products: int
    at_boundary: bool


class Probe(NamedTuple):
    """A closure's loss and gradient at ω_t, its Hessian as a product, and which parameters the
    loss depends on: the gradient of the others is 0 here, and they take no part."""

    loss: Any
    gradient: list[Tensor]
    product: Product
    used: list[bool]


def steihaug(
    gradient: Tensor, product: Product, radius: float, max_steps: int, tolerance: float = 1e-2
) -> Step:
    """Minimise ⟨g, s⟩ + ½⟨s, Hs⟩ over ‖s‖_2 ≤ radius, at least as well as Cauchy's point.

    Stops at the boundary, at negative curvature (going to the boundary along it), after
    ``max_steps`` products, or when the residual has shrunk by ``tolerance``.

    >>> H = torch.diag(torch.tensor([1.0, 4.0]))
    >>> found = steihaug(torch.tensor([1.0, 4.0]), lambda v: H @ v, radius=10.0, max_steps=5)
    >>> found.step, found.at_boundary
    (tensor([-1.0000, -1.0000]), False)
    """
    # In units of the largest entry: squares of a vanished or exploded gradient leave float32.
    g, m = scaled(gradient)
    unit = float(m)
    s = torch.zeros_like(g)
    if unit == 0 or radius == 0:
        return Step(s, 0.0, 0, False)
    r, d = g.clone(), -g
    start = length = float(torch.linalg.vector_norm(g))
    products, at_boundary = 0, False
    while products < max_steps and length > tolerance * start:
        hd = product(d.to(gradient.dtype)).to(g.dtype) / unit
        products += 1
        curvature = float(torch.dot(d, hd))
        alpha = length**2 / curvature if curvature > 0 else math.inf
        at_boundary = not (
            alpha < math.inf and float(torch.linalg.vector_norm(s + alpha * d)) < radius
        )
        if at_boundary:
            alpha = _to_boundary(s, d, radius)
        s = s + alpha * d
        r = r + alpha * hd
        if at_boundary:
            break
        shorter = float(torch.linalg.vector_norm(r))
        d = -r + (shorter / length) ** 2 * d
        length = shorter
    decrease = -0.5 * unit * float(torch.dot(s, g + r))
    s = s * min(1.0, radius / max(float(torch.linalg.vector_norm(s)), 1e-300))
    return Step(s, decrease, products, at_boundary)


def _to_boundary(s: Tensor, d: Tensor, radius: float) -> float:
    """The τ > 0 with ‖s + τd‖ = radius, by the stable root of the quadratic."""
    dd, sd, ss = (float(torch.dot(a, b)) for a, b in ((d, d), (s, d), (s, s)))
    gap = max(radius**2 - ss, 0.0)
    root = math.sqrt(sd**2 + dd * gap)
    return gap / (sd + root) if sd > 0 else (root - sd) / dd


def probe(
    closure: Callable[[], Any], params: Sequence[Tensor], hessian: str, radius: float
) -> Probe:
    """Evaluate ``closure`` at the present weights and set up its Hessian product there."""
    for p in params:
        p.grad = None
    with torch.enable_grad():
        loss = closure()
    called_backward = any(p.grad is not None for p in params)
    if called_backward:
        if hessian == "double-backward":
            raise ConfigError(
                "hessian='double-backward' needs a closure that returns the loss without calling "
                "backward(); leave the call out, or use hessian='finite-differences'"
            )
        gradient, used = _gradient([p.grad for p in params], params)
        return Probe(loss, gradient, _differences(closure, params, radius), used)
    if not (isinstance(loss, Tensor) and loss.requires_grad):
        raise ConfigError(
            "the closure neither called backward() nor returned a loss that depends on the weights"
        )
    # What a hand-written backward hides from autograd would be missing from the second derivative
    # without a word, so "auto" does not rely on it.
    handwritten = _has_handwritten_backward(loss)
    if hessian == "double-backward" or (hessian == "auto" and not handwritten):
        try:
            return Probe(loss.detach(), *_twice_differentiated(loss, params))
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            # Fused and cuDNN recurrences say so here: they cannot be differentiated twice.
            if hessian == "double-backward":
                raise ConfigError(
                    f"the model offers no second derivative ({error}); use "
                    "hessian='finite-differences'"
                ) from error
            for p in params:
                p.grad = None
            with torch.enable_grad():
                loss = closure()

    def backward() -> None:
        with torch.enable_grad():
            closure().backward()

    loss.backward()
    gradient, used = _gradient([p.grad for p in params], params)
    return Probe(loss.detach(), gradient, _differences(backward, params, radius), used)


def _has_handwritten_backward(loss: Tensor) -> bool:
    """Whether a :class:`torch.autograd.Function` in Python took part in ``loss``."""
    seen, waiting = set(), [loss.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        if isinstance(node, torch.autograd.function.BackwardCFunction):
            return True
        seen.add(node)
        waiting.extend(parent for parent, _ in node.next_functions)
    return False


def _twice_differentiated(
    loss: Tensor, params: Sequence[Tensor]
) -> tuple[list[Tensor], Product, list[bool]]:
    with torch.enable_grad():
        grads = torch.autograd.grad(loss, params, create_graph=True, allow_unused=True)
    curved = [g for g in grads if g is not None and g.requires_grad]
    if not curved and _has_handwritten_backward(loss):
        raise RuntimeError("its backward is hand-written and not differentiable")

    def product(v: Tensor) -> Tensor:
        parts = [torch.zeros_like(p) for p in params]
        unflatten(v, parts)
        weights = [
            part for part, g in zip(parts, grads, strict=True) if g is not None and g.requires_grad
        ]
        if not curved:
            return torch.zeros_like(v)
        second = torch.autograd.grad(curved, params, weights, retain_graph=True, allow_unused=True)
        return flatten([_dense(h, p) for h, p in zip(second, params, strict=True)])

    # Fails here rather than in the first product where the model cannot be differentiated twice.
    product(flatten([torch.zeros_like(p) for p in params]))
    gradient, used = _gradient(grads, params)
    return [g.detach() for g in gradient], product, used


def _differences(closure: Callable[[], Any], params: Sequence[Tensor], radius: float) -> Product:
    anchor = [p.detach().clone() for p in params]
    size = float(torch.linalg.vector_norm(flatten(anchor)))

    def gradient_at(v: Tensor, h: float) -> Tensor:
        parts = [torch.empty_like(p) for p in params]
        unflatten(v, parts)
        for p, w, part in zip(params, anchor, parts, strict=True):
            p.copy_(torch.add(w, part, alpha=h))
            p.grad = None
        with torch.enable_grad():
            closure()
        return flatten([_dense(p.grad, p).clone() for p in params])

    def product(v: Tensor) -> Tensor:
        length = float(torch.linalg.vector_norm(v))
        if length == 0:
            return torch.zeros_like(v)
        # The distance at which truncation (h²) and rounding (eps/h) of a central difference
        # balance, but no further than the ball that the model is for, unless rounding forbids.
        eps = torch.finfo(v.dtype).eps
        reach = min(eps ** (1 / 3) * (1 + size), max(radius, eps ** (2 / 3) * (1 + size)))
        h = reach / length
        try:
            return (gradient_at(v, h) - gradient_at(v, -h)) / (2 * h)
        finally:
            for p, w in zip(params, anchor, strict=True):
                p.copy_(w)

    return product


def _gradient(
    grads: Sequence[Tensor | None], params: Sequence[Tensor]
) -> tuple[list[Tensor], list[bool]]:
    dense = [_dense(g, p) for g, p in zip(grads, params, strict=True)]
    return dense, [g is not None for g in grads]


def _dense(g: Tensor | None, p: Tensor) -> Tensor:
    if g is None:
        return torch.zeros_like(p)
    check_dense(g)
    return g
