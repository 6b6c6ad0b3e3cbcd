"""Measurements along a run: what a probe may see, and how its rows reach the record.

A probe looks and never touches: a run with probes is the same run, bit for bit, as one without.
It owns its random generators and leaves weights, gradients, buffers and modes as it found them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from fwrnn_core.data import Dataset
from fwrnn_core.errors import ConfigError, unknown
from fwrnn_core.training.config import RunConfig

HOOKS = ("on_inner_gradient", "on_outer_update", "on_epoch_end", "on_run_end")
# Probes live in higher layers; a config names them, and they are imported only when a run asks.
REGISTRY: dict[str, str] = {
    "angles": "fwrnn_core.theory.probes:AngleProbe",
    "assumptions": "fwrnn_core.theory.probes:AssumptionProbe",
    "smoothness": "fwrnn_core.theory.probes:SmoothnessProbe",
}


class LossFn(Protocol):
    """``loss_fn(output [B, O], target [B]) -> scalar``."""

    def __call__(self, output: Tensor, target: Tensor, /) -> Tensor: ...


@dataclass
class ProbeContext:
    """What a probe sees. ``batch`` is the current minibatch (x [B, T, F], y [B]), None at the end
    of an epoch; ``update`` counts completed outer updates, ``minibatch`` those of the epoch."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    dataset: Dataset
    config: RunConfig
    loss_fn: LossFn
    device: torch.device
    epoch: int = 0
    minibatch: int = 0
    update: int = 0
    batch: tuple[Tensor, Tensor] | None = None


class Probe(Protocol):
    """Anything with a ``name`` and one or more of the methods in :data:`HOOKS`.

    Each takes a :class:`ProbeContext` and returns a JSON-able mapping or None:
    ``on_inner_gradient`` after each backward pass and before the optimizer's step,
    ``on_outer_update`` after each completed outer update, ``on_epoch_end`` after the epoch's test,
    ``on_run_end`` once. A probe that remembers anything between calls also has ``state_dict()`` and
    ``load_state_dict()``, so that a resumed run goes on measuring where it stopped.
    """

    name: str


def build(configs: Sequence[Mapping[str, Any]]) -> list[Probe]:
    """The probes that a config names: ``{"name": "angles", **options}``."""
    probes: list[Probe] = []
    for config in configs:
        options = {k: v for k, v in config.items() if k != "name"}
        if config["name"] not in REGISTRY:
            raise unknown("probe", config["name"], REGISTRY)
        module, _, attribute = REGISTRY[config["name"]].partition(":")
        try:
            probes.append(getattr(import_module(module), attribute)(**options))
        except TypeError as error:
            raise ConfigError(f"probe {config['name']!r}: {error}") from None
    return probes


class ProbeSet:
    """Calls the probes' hooks and gathers their rows: ``{probe: {hook: [row, …]}}``."""

    def __init__(self, probes: Sequence[Probe]) -> None:
        self.probes = list(probes)
        self.rows: dict[str, dict[str, list[Any]]] = {p.name: {} for p in self.probes}
        if len(self.rows) != len(self.probes):
            raise ConfigError(f"two probes share a name: {[p.name for p in self.probes]}")
        self._listeners = {h: [p for p in self.probes if hasattr(p, h)] for h in HOOKS}

    def call(self, hook: str, context: ProbeContext) -> None:
        """Run one hook of every probe that has it; costs nothing when none has."""
        for probe in self._listeners[hook]:
            row = getattr(probe, hook)(context)
            if row is not None:
                self.rows[probe.name].setdefault(hook, []).append(row)

    def state_dict(self) -> dict[str, Any]:
        """Rows so far and the probes' own state."""
        states = {p.name: p.state_dict() for p in self.probes if hasattr(p, "state_dict")}
        return {"rows": self.rows, "states": states}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Inverse of :meth:`state_dict`."""
        self.rows = state["rows"]
        for probe in self.probes:
            if probe.name in state["states"]:
                probe.load_state_dict(state["states"][probe.name])  # type: ignore[attr-defined]
