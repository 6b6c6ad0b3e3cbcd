"""Re-train the first epochs of a record and compare: is it reproducible?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fwrnn_core.errors import ConfigError
from fwrnn_core.training.environment import describe, resolve_device
from fwrnn_core.training.loop import CURVES
from fwrnn_core.training.records import Record
from fwrnn_core.training.session import train

# Under the same of all these, runs are equal to the last digit.
_SAME = ("code", "torch", "numpy", "system", "processor", "threads", "device", "backend")
# A network amplifies rounding, within an epoch of some runs to any size. The first minibatch losses
# that a record keeps are hardly touched by it, and tell another learning rate, batch size or K:
# three of the first twenty updates, or else one of the first hundred.
_TOLERANCE = {"minibatch": 0.01, "loss": 0.15, "accuracy": 0.08, "agreement": 0.3}
# Validation and test are measured at one point of the way, and agreement is that of one inner loop;
# training is measured over a whole epoch.
_AT_ONE_POINT = 2


@dataclass(frozen=True)
class Report:
    """Outcome of one comparison.

    ``circumstances`` are those of code, libraries and machine that are not the record's; without
    any, every ``difference`` counts, else only those in ``excesses``, beyond the tolerance.
    """

    name: str
    epochs: int
    differences: list[str] = field(default_factory=list)
    excesses: list[str] = field(default_factory=list)
    circumstances: list[str] = field(default_factory=list)

    @property
    def exact(self) -> bool:
        """Equal to the last digit."""
        return not self.differences

    @property
    def agrees(self) -> bool:
        return self.exact or (bool(self.circumstances) and not self.excesses)

    def summary(self) -> str:
        """The verdict in words."""
        agree = "1 epoch agrees" if self.epochs == 1 else f"{self.epochs} epochs agree"
        if self.exact:
            return f"{self.name}: {agree} to the last digit"
        other = f"other {', '.join(self.circumstances)}" if self.circumstances else ""
        if self.agrees:
            return f"{self.name}: {agree} within tolerance ({other})"
        lines = "\n  ".join(self.excesses if self.circumstances else self.differences)
        return f"{self.name}: does NOT agree{f' ({other})' if other else ''}\n  {lines}"


def verify(record: Record, epochs: int = 1, device: str = "auto", progress: bool = True) -> Report:
    """Train the first ``epochs`` of the record's config again, in memory, and compare curves.

    Curves alone: rows of probes are computed from the same weights by other sources, which a
    record does not name.

    Raises :class:`~fwrnn_core.errors.ConfigError` if the record holds fewer epochs.
    """
    if epochs > record.epochs:
        raise ConfigError(f"{record.name}: has {record.epochs} epochs, {epochs} were asked for")
    threads = int(record.body["environment"]["threads"])
    again = train(
        record.config,
        store=False,
        stop_after=epochs,
        device=device,
        threads=threads,
        progress=progress,
    )
    here, there = again.body["environment"], record.body["environment"]
    circumstances = _others(here, there)
    if again.body["data"]["fingerprint"] != record.body["data"]["fingerprint"]:
        circumstances.append("data")
    differences, excesses = _early(record, again)
    if again.epochs < epochs:
        ended = f"diverged in epoch {again.epochs + 1}: recorded {record.epochs} epochs"
        differences, excesses, epochs = [*differences, ended], [*excesses, ended], again.epochs
    for curve in CURVES:
        for epoch in range(epochs):
            old = record.body["curves"][curve][epoch]
            new = again.body["curves"][curve][epoch]
            line = f"epoch {epoch + 1}, {curve}: recorded {old}, now {new}"
            if old != new:
                differences.append(line)
                if not _close(curve, old, new):
                    excesses.append(line)
    return Report(record.name, epochs, differences, excesses, circumstances)


def exact_here(found: Iterable[Record]) -> list[Record]:
    """Those that :func:`verify` would ask for the last digit on this machine, if its data are
    theirs too; it takes the threads from each."""
    here = describe(resolve_device("auto"))["environment"]
    made = [(record, record.body["environment"]) for record in found]
    return [r for r, there in made if not _others({**here, "threads": there["threads"]}, there)]


def _others(here: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    return [k for k in _SAME if here.get(k) != there.get(k)]


def _early(record: Record, again: Record) -> tuple[list[str], list[str]]:
    """Differences of the first minibatch losses that both keep, and those beyond the tolerance."""
    old, new = (
        dict(zip(r.body["losses"]["update"], r.body["losses"]["loss"], strict=True))
        for r in (record, again)
    )
    differences, excesses = [], []
    kept = sorted(old.keys() & new.keys())
    for update in [u for u in kept if u <= 20][:3] or [u for u in kept if u <= 100][:1]:
        was, now = old[update], new[update]
        line = f"update {update}, minibatch loss: recorded {was}, now {now}"
        if was != now:
            differences.append(line)
            if not _near(was, now, _TOLERANCE["minibatch"]):
                excesses.append(line)
    return differences, excesses


def _close(curve: str, old: float | None, new: float | None) -> bool:
    of, _, what = curve.rpartition("_")
    tolerance = _TOLERANCE.get(what, 0.0) * (_AT_ONE_POINT if of in ("validation", "test") else 1)
    return _near(old, new, tolerance)


def _near(old: float | None, new: float | None, tolerance: float) -> bool:
    """None stands for what is not finite, and is near nothing."""
    if old is None or new is None:
        return False
    return math.isclose(old, new, rel_tol=tolerance, abs_tol=tolerance / 10)
