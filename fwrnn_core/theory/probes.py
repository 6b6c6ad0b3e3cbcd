"""Measurements along a training run (:mod:`fwrnn_core.training.probes` calls them).

A probe reads and never writes: everything is computed on copies, with generators of its own, so a
run with probes is bit for bit the run without. What a probe remembers between calls goes into the
checkpoint, so an interrupted run measures on where it stopped.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from fwrnn_core.errors import ConfigError, unknown
from fwrnn_core.optim import FrankWolfe
from fwrnn_core.theory.angles import angle_degrees, angles_by_tensor, released_statistic
from fwrnn_core.theory.audit import Snapshot, audit
from fwrnn_core.theory.convexity import hessian_spectrum
from fwrnn_core.theory.objective import Layout, Objective, flatten, model_objective
from fwrnn_core.training.evaluate import at

if TYPE_CHECKING:
    from fwrnn_core.training.probes import ProbeContext


def parameters(model: nn.Module) -> dict[str, Tensor]:
    """The trained parameters by name, in the order of the flat vector."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def last_displacement(optimizer: FrankWolfe, tensors: Iterable[Tensor]) -> Tensor:
    """Δ_K of the inner loop that has just ended, flat [d], in the order of ``tensors``: the
    optimizer may hold them in another one, in groups.

    :raises ConfigError: before the first completed loop of an optimizer made or loaded.
    """
    radius = {id(p): g["loop_radius"] for g in optimizer.param_groups for p in g["params"]}
    parts = []
    for p in tensors:
        direction = optimizer.state.get(p, {}).get("direction")
        if direction is None:
            raise ConfigError(
                "no inner loop has been completed since the optimizer was made or loaded"
            )
        parts.append(-radius[id(p)] * direction)
    return flatten(parts)


def training_risk(
    context: ProbeContext,
    *,
    samples: int | None = None,
    dtype: torch.dtype | None = None,
    hvp: str = "double-backward",
) -> Objective:
    """The run's training risk, over its training set or ``samples`` of it, evenly strided.

    Of noise that a data set adds anew to every minibatch, one draw is part of this risk.
    """
    inputs, targets = context.dataset.x_train, context.dataset.y_train
    if samples is not None and samples < len(targets):
        keep = torch.linspace(0, len(targets) - 1, samples).round().long()
        inputs, targets = inputs[keep], targets[keep]
    return model_objective(
        context.model,
        context.loss_fn,
        inputs,
        targets,
        dtype=dtype,
        batch_size=1024,
        train=True,
        hvp=hvp,
    )


def _effort() -> list[str]:
    """The audit's keywords that a config may set."""
    keywords = [p for p in signature(audit).parameters.values() if p.kind is p.KEYWORD_ONLY]
    return [p.name for p in keywords if p.name not in ("local", "radii")]


def _gradient(tensors: Iterable[Tensor]) -> Tensor:
    return flatten([torch.zeros_like(p) if p.grad is None else p.grad for p in tensors])


def _require_frank_wolfe(context: ProbeContext, name: str) -> FrankWolfe:
    if not isinstance(context.optimizer, FrankWolfe):
        raise ConfigError(
            f"the {name} probe measures inner loops and needs the frank-wolfe optimizer without "
            f"the released TBPTT rule, not {type(context.optimizer).__name__}"
        )
    return context.optimizer


def summary(values: Sequence[float]) -> dict[str, float]:
    """Number, range, mean and standard deviation of the finite values; {"n": 0} when there are
    none.

    >>> summary([1.0, 3.0, float("nan")])
    {'n': 2, 'min': 1.0, 'max': 3.0, 'mean': 2.0, 'std': 1.414}
    """
    x = torch.tensor(list(values), dtype=torch.float64)
    x = x[x.isfinite()]
    if len(x) == 0:
        return {"n": 0}
    numbers = {
        "min": float(x.min()),
        "max": float(x.max()),
        "mean": float(x.mean()),
        "std": float(x.std()) if len(x) > 1 else 0.0,
    }
    return {"n": len(x), **{k: round(v, 3) for k, v in numbers.items()}}


class AngleProbe:
    """The angle of assumption A5 at every outer update, in degrees.

    With g the first minibatch gradient of the loop (taken at ω_t) it measures the angle between
    −g and Δ_K, per parameter tensor and over all of them; at every ``full_every``-th update also
    with the full-batch gradient ∇F(ω_t) in place of g; and the released program's own statistic
    on the recurrent matrix, its "dis".

    Rows: one per epoch (:func:`summary`), and at the end the histograms of every tensor.

    :param full_every: updates between full-batch gradients; 0 for none.
    :param full_samples: training samples in the "full" batch; None for all.
    """

    name = "angles"

    def __init__(self, full_every: int = 0, full_samples: int | None = None) -> None:
        if full_every < 0:
            raise ConfigError(f"full_every must be at least 0, not {full_every!r}")
        self.full_every = full_every
        self.full_samples = full_samples
        self.first: Tensor | None = None
        self.full: Tensor | None = None
        self.epoch: dict[str, list[float]] = {}
        self.histograms: dict[str, list[int]] = {}
        self.totals: dict[str, list[float]] = {}
        self._objective: Objective | None = None

    def on_inner_gradient(self, context: ProbeContext) -> None:
        """Keep the first gradient of a loop; the weights stand at ω_t then."""
        optimizer = _require_frank_wolfe(context, self.name)
        if optimizer.inner_step:
            return
        named = parameters(context.model)
        self.first = _gradient(named.values())
        self.full = None
        if self.full_every and context.update % self.full_every == 0:
            if self._objective is None:
                self._objective = training_risk(context, samples=self.full_samples)
            self.full = self._objective.grad(flatten(named.values()))

    def on_outer_update(self, context: ProbeContext) -> None:
        """Measure the loop that has just ended."""
        if self.first is None:  # resumed between the gradient and the update: never, but be plain
            return
        optimizer = _require_frank_wolfe(context, self.name)
        named = parameters(context.model)
        layout = Layout.of(named)
        delta = last_displacement(optimizer, named.values())
        first = self.first.to(delta.device)  # a checkpoint gives it back on the CPU
        for name, angle in angles_by_tensor(layout, -first, delta).items():
            self._add(f"batch/{name}", angle)
        if self.full is not None:
            full = self.full.to(delta.device)
            for name, angle in angles_by_tensor(layout, -full, delta).items():
                self._add(f"full/{name}", angle)
            self._add("gradients/global", float(angle_degrees(full, first)))
        radius = optimizer.param_groups[0]["loop_radius"]
        for name, where in layout.slices().items():
            if "weight_hh" in name:
                product, degrees = released_statistic(first[where], -delta[where] / radius)
                self._add(f"released/{name}", degrees)
                self._add(f"product/{name}", product)
        self.first = None

    def on_epoch_end(self, context: ProbeContext) -> dict[str, Any]:
        """Summaries over the epoch, of the recurrent matrix and of all tensors together."""
        shown = {k: v for k, v in self.epoch.items() if "global" in k or "weight_hh" in k}
        self.epoch = {}
        return {"epoch": context.epoch + 1, **{k: summary(v) for k, v in shown.items()}}

    def on_run_end(self, context: ProbeContext) -> dict[str, Any]:
        """The whole run: range, mean, standard deviation, counts of whole degrees 0 … 180."""
        out: dict[str, Any] = {}
        for name, (count, total, square, low, high) in self.totals.items():
            mean = total / count
            spread = math.sqrt(max(0.0, square / count - mean**2) * count / max(1, count - 1))
            out[name] = {
                "n": int(count),
                "min": round(low, 4),
                "max": round(high, 4),
                "mean": round(mean, 4),
                "std": round(spread, 4),
            }
            if name in self.histograms:
                out[name]["histogram"] = self.histograms[name]
        return out

    def _add(self, name: str, value: float) -> None:
        if not math.isfinite(value):
            self._count(f"{name}/undefined")
            return
        self.epoch.setdefault(name, []).append(value)
        totals = self.totals.setdefault(name, [0.0, 0.0, 0.0, math.inf, -math.inf])
        totals[0] += 1
        totals[1] += value
        totals[2] += value**2
        totals[3], totals[4] = min(totals[3], value), max(totals[4], value)
        if not name.startswith("product/"):
            bins = self.histograms.setdefault(name, [0] * 181)
            bins[min(180, int(value))] += 1

    def _count(self, name: str) -> None:
        totals = self.totals.setdefault(name, [0.0, 0.0, 0.0, 0.0, 0.0])
        totals[0] += 1

    def state_dict(self) -> dict[str, Any]:
        """Everything remembered, for the checkpoint."""
        keys = ("first", "full", "epoch", "histograms", "totals")
        return {key: getattr(self, key) for key in keys}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Inverse of :meth:`state_dict`."""
        for key, value in state.items():
            setattr(self, key, value)


class PathProbe:
    """Keeps points of the path: ω_t, the first minibatch gradient there, Δ_t and ω_{t+1} − ω_t.

    Works with any optimizer; for one without an inner loop Δ_t is the whole step. Writes no rows.

    :param snapshots: how many points, evenly spaced over the epochs; each is the first loop that
        begins in its epoch.
    """

    name = "path"

    def __init__(self, snapshots: int = 20) -> None:
        if snapshots < 2:
            raise ConfigError(f"snapshots must be at least 2, not {snapshots!r}")
        self.snapshots = snapshots
        self.kept: list[Snapshot] = []
        self.pending: dict[str, Any] | None = None

    def due(self, context: ProbeContext) -> bool:
        """Whether the loop that begins now is to be kept."""
        last = context.config.epochs - 1
        wanted = sorted({round(i * last / (self.snapshots - 1)) for i in range(self.snapshots)})
        return len(self.kept) < len(wanted) and context.epoch >= wanted[len(self.kept)]

    def on_inner_gradient(self, context: ProbeContext) -> None:
        """At the first gradient of a wanted loop: ω_t and the minibatch gradient there."""
        if getattr(context.optimizer, "inner_step", 0) or not self.due(context):
            return
        named = parameters(context.model)
        self.pending = {
            "epoch": context.epoch,
            "update": context.update,
            "point": flatten(named.values()),
            "gradient": _gradient(named.values()),
        }

    def on_outer_update(self, context: ProbeContext) -> None:
        """After its outer update: Δ_t."""
        if self.pending is None:
            return
        group = context.optimizer.param_groups[0]
        tensors = parameters(context.model).values()
        here = flatten(tensors)
        step = here - self.pending["point"].to(here.device)  # that of a checkpoint is on the CPU
        if isinstance(context.optimizer, FrankWolfe):
            displacement = last_displacement(context.optimizer, tensors)
            radius = group["loop_radius"]
        else:
            displacement, radius = step, group["lr"]
        self.kept.append(
            Snapshot(radius=float(radius), displacement=displacement, step=step, **self.pending)
        )
        self.pending = None

    def state_dict(self) -> dict[str, Any]:
        """What is kept so far, as plain tensors and numbers."""
        return {"kept": [s.as_dict() for s in self.kept], "pending": self.pending}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Inverse of :meth:`state_dict`."""
        self.kept = [Snapshot(**s) for s in state["kept"]]
        self.pending = state["pending"]


class AssumptionProbe(PathProbe):
    """The audit of A1–A5, Eq. 4 and Definition 2 along a run; works with any optimizer.

    The points are measured at the end, when the last iterate ω_T, which stands in for ω*, is known.
    One row at the end of the run (:func:`fwrnn_core.theory.audit.audit`).

    :param snapshots: how many points of the path are measured.
    :param samples: training samples (by an even stride) in the risk F; None for all.
    :param local_samples: training samples in the risk whose convexity and curvature are measured,
        which takes some hundred gradients per point.
    :param radii: ball radii of the curvature; the run's own radius is always measured.
    :param options: further keywords of :func:`~fwrnn_core.theory.audit.audit`.
    """

    name = "assumptions"

    def __init__(
        self,
        snapshots: int = 20,
        samples: int | None = None,
        local_samples: int = 256,
        radii: Sequence[float] = (),
        **options: Any,
    ) -> None:
        super().__init__(snapshots)
        self.samples = samples
        self.local_samples = local_samples
        self.radii = tuple(radii)
        known = ["snapshots", "samples", "local_samples", "radii", *_effort()]
        for key in options:  # now, and not when the run is over
            if key not in known:
                raise unknown("option of the assumptions probe", key, known)
        self.options = options

    def on_run_end(self, context: ProbeContext) -> dict[str, Any] | None:
        """Measure every kept point against the last iterate; nothing where a run has no point or
        no finite end."""
        final = flatten(parameters(context.model).values())
        if not self.kept or not final.isfinite().all():
            return None
        # Exact Hessian-vector products: near a bifurcation of the recurrence the risk bends within
        # 1e-5 in the weights, where a difference of two gradients is no derivative any more.
        objective = training_risk(context, samples=self.samples, dtype=torch.float64)
        local = training_risk(context, samples=self.local_samples, dtype=torch.float64)
        return audit(objective, self.kept, final, local=local, radii=self.radii, **self.options)


class SmoothnessProbe:
    """Sizes of gradient and Hessian of one and the same risk, for the condition of Theorem 1.

    Rows: one per epoch, at the weights between outer updates: ``gradient_norm`` ‖∇F(ω)‖ and the
    extreme Ritz values ``smallest`` and ``largest`` of ∇²F(ω). Works with any optimizer.

    :param samples: training samples (by an even stride) in the risk F; None for all.
    :param lanczos_steps: Hessian-vector products per point.
    """

    name = "smoothness"

    def __init__(self, samples: int | None = None, lanczos_steps: int = 10) -> None:
        self.samples = samples
        self.lanczos_steps = lanczos_steps
        self._objective: Objective | None = None

    def on_epoch_end(self, context: ProbeContext) -> dict[str, Any] | None:
        """Measure once; nothing where the weights are not finite."""
        with at(context.optimizer, "anchor"):
            point = flatten(parameters(context.model).values()).double()
        if not point.isfinite().all():
            return None
        if self._objective is None:
            self._objective = training_risk(context, samples=self.samples, dtype=torch.float64)
        spectrum = hessian_spectrum(self._objective, point, steps=self.lanczos_steps)
        sizes = {
            "gradient_norm": float(self._objective.grad(point).norm()),
            "smallest": spectrum.smallest,
            "largest": spectrum.largest,
        }
        return {"epoch": context.epoch + 1, **{k: float(f"{v:.6g}") for k, v in sizes.items()}}
