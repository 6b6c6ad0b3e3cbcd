"""Star-convexity along a path (assumption A2; Definition 1, after Zhou et al. 2019).

F is star-convex at ω towards ω* when its tangent plane at ω lies below F at the one point ω*:

    F(ω*) ≥ F(ω) + ⟨∇F(ω), ω* − ω⟩    ⇔    residual(ω) = ⟨∇F(ω), ω − ω*⟩ − (F(ω) − F(ω*)) ≥ 0.

No one knows the global minimiser of a network's risk, so the last iterate stands in for ω*, as in
Zhou et al.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fwrnn_core.errors import ConfigError


def star_convexity_residual(
    points: Tensor,
    values: Tensor,
    gradients: Tensor,
    minimiser: Tensor,
    minimum: float | Tensor,
) -> Tensor:
    """The residual of Definition 1 at each point of a path, [n]; star-convex where ≥ 0.

    :param points: ω_t, [n, d]; ``values``: F(ω_t), [n]; ``gradients``: ∇F(ω_t), [n, d].
    :param minimiser: ω* [d]; ``minimum``: F(ω*).
    :raises ConfigError: shapes that do not fit.

    For F(ω) = ½ωᵀHω the residual is F(ω) itself:

    >>> w = torch.tensor([[1.0, 2.0], [0.0, 0.0]])
    >>> star_convexity_residual(w, 0.5 * (w * w).sum(1), w, torch.zeros(2), 0.0)
    tensor([2.5000, 0.0000])
    """
    if points.shape != gradients.shape or points.shape[:-1] != values.shape:
        raise ConfigError(
            f"points {tuple(points.shape)}, values {tuple(values.shape)} and gradients "
            f"{tuple(gradients.shape)} do not fit: need [n, d], [n], [n, d]"
        )
    return ((points - minimiser) * gradients).sum(-1) - (values - minimum)


def relative_residual(residual: Tensor, values: Tensor, minimum: float | Tensor) -> Tensor:
    """The residual in units of the suboptimality F(ω) − F(ω*) (ours), [n].

    ≥ 0 where star-convex. 1 for a quadratic; −1 where the gradient is orthogonal to ω − ω*. Below
    −1 a gradient step leads away from ω*. NaN where F(ω) ≤ F(ω*), which happens when the last
    iterate stands in for ω*: nothing is to be gained there, and a negative unit would turn the
    sign around.

    >>> relative_residual(torch.tensor([2.5, -1.0, 1.0]), torch.tensor([2.5, 1.0, -0.1]), 0.0)
    tensor([ 1., -1., nan])
    """
    gap = values - minimum
    return torch.where(gap > 0, residual / gap, torch.nan)


def share_nonnegative(residual: Tensor) -> float:
    """The share of a path's points where the residual is ≥ 0; NaN entries do not count.

    >>> share_nonnegative(torch.tensor([1.0, -1.0, 0.0, float("nan")]))
    0.6666666666666666
    """
    known = residual[~residual.isnan()]
    if len(known) == 0:
        raise ConfigError("no residual to take the share of")
    return float((known >= 0).double().mean())


def distances(points: Tensor, reference: Tensor) -> Tensor:
    """‖ω_t − ω_ref‖_2 along a path (assumption A4), [n].

    >>> distances(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.zeros(2))
    tensor([5., 0.])
    """
    return (points - reference).norm(dim=-1)
