"""What a minibatch brings: its gradients, collected, unscaled, checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from fwrnn_core.errors import FwrnnError
from fwrnn_core.optim import inner, native, options, walk


class NonFiniteGradient(FwrnnError, ArithmeticError):
    """A gradient with NaN or infinite entries reached :meth:`FrankWolfe.step`."""


def collect(group: dict[str, Any], grad_scale: torch.Tensor | None) -> inner.Part:
    """The group's gradients as those of a function to minimise.

    ``grad_scale`` is GradScaler's factor where it still has to be divided out (in place, as the
    scaler's own ``unscale_`` does).

    Raises:
        ConfigError: a sparse gradient.
    """
    params, grads = [], []
    for p in group["params"]:
        if (g := p.grad) is None:
            continue
        params.append(p)
        grads.append(g)
        options.check_dense(g)
    if grads and (grad_scale is not None or group["maximize"]):
        with torch.no_grad():
            if grad_scale is not None:
                torch._foreach_div_(grads, float(grad_scale))
            if group["maximize"]:
                grads = list(torch._foreach_neg(grads))
    return inner.Part(group, params, grads)


def measure(parts: Sequence[inner.Part], simple: bool) -> list[float]:
    """Give every part the 2-norms of its gradients; all of them in one list.

    ``simple`` allows the C kernels."""
    grads = [g for part in parts for g in part.grads]
    kernels = native.library() if simple and native.fits(grads) else None
    if kernels is None:
        values, divisors = walk.lengths(grads)
    else:
        values, divisors = walk.Lengths(native.norms(kernels, grads), [])
    start = 0
    for part in parts:
        stop = start + len(part.grads)
        part.sizes = walk.Lengths(values[start:stop], divisors[start:stop])
        part.kernels = kernels
        start = stop
    return values


def usable(
    lengths: Sequence[float],
    found_inf: torch.Tensor | None,
    nonfinite: str,
    name: Callable[[int], str],
) -> bool:
    """Whether the gradients are finite; GradScaler's verdict counts where there is one. ``name``
    says which parameter the i-th length is of.

    Raises:
        NonFiniteGradient: they are not, nobody scales, and ``nonfinite`` is ``"raise"``.
    """
    if found_inf is not None:
        return not found_inf.item()
    if math.isfinite(sum(lengths)):
        return True
    bad = [i for i, n in enumerate(lengths) if not math.isfinite(n)]
    if bad and nonfinite == "raise":
        raise NonFiniteGradient(
            f"the gradients of {len(bad)} of {len(lengths)} tensors hold NaN or infinite entries "
            f"(first: {name(bad[0])}); weights and state are as before. "
            "Lower lr or radius, check the loss, or pass nonfinite='skip'"
        )
    return not bad
