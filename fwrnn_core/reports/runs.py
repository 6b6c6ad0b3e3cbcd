"""Which of a page's runs are recorded, how far each got, and which can be held against which."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fwrnn_core.evidence import Coverage, Evidence, state_of
from fwrnn_core.reports.names import label, method
from fwrnn_core.training import Record, RunConfig


@dataclass(frozen=True)
class Recorded:
    """The runs that a page is about (``configs``) and what is recorded of them, in their order."""

    configs: tuple[RunConfig, ...]
    records: tuple[Record | None, ...]

    def __iter__(self) -> Iterator[tuple[RunConfig, Record | None]]:
        return iter(zip(self.configs, self.records, strict=True))

    def get(self, slug: str) -> Record | None:
        """The record of the run whose name ends with this method; None while there is none."""
        return next((r for r in self.found if method(r) == slug), None)

    def only(self, *slugs: str) -> Recorded:
        """The runs of these methods alone, in this order."""
        pairs = {method(config): (config, record) for config, record in self}
        chosen = [pairs[s] for s in slugs]
        return Recorded(tuple(c for c, _ in chosen), tuple(r for _, r in chosen))

    @property
    def found(self) -> list[Record]:
        """What is recorded."""
        return [r for r in self.records if r is not None]

    @property
    def missing(self) -> list[RunConfig]:
        """What has no record."""
        return [config for config, record in self if record is None]

    @property
    def coverage(self) -> Coverage:
        """State of the runs."""
        return Coverage({config.name: state_of(record, config.epochs) for config, record in self})

    @property
    def extent(self) -> str:
        """How far all recorded runs go, where all stop early at the same epoch; otherwise ""."""
        extents = {progress(r) for r in self.found}
        early = all(r.status == "partial" for r in self.found)
        return extents.pop() if early and len(extents) == 1 else ""

    def sentence(self, command: str = "") -> str:
        """In plain words what is recorded, what is only begun, what is missing, what trains it."""
        told = {"Begun": "partial", "Diverged": "diverged"}
        named = {
            what: [f"{label(r)} ({progress(r)})" for r in self.found if r.status == state]
            for what, state in told.items()
            if state != "partial" or not self.extent
        }
        named["Missing"] = [label(config) for config in self.missing]
        details = [f" {what}: {'; '.join(which)}." for what, which in named.items() if which]
        return self.coverage.words(command, "".join(details))


def recorded(configs: Sequence[RunConfig]) -> Recorded:
    """Look up the records of these runs.

    A damaged record raises, a missing one does not; one of other settings counts as missing.
    """
    evidence = Evidence({config.name: config for config in configs})
    return Recorded(tuple(configs), tuple(evidence.record(config.name) for config in configs))


def progress(record: Record) -> str:
    """How far a record goes.

    >>> half = {"config": RunConfig("a", epochs=9).to_dict(), "curves": {"epoch": [1, 2]}}
    >>> progress(Record({**half, "status": "partial"}))
    '2 of 9 epochs'
    """
    of = f"{record.epochs} of {record.config.epochs} epochs"
    if record.status == "diverged":
        return f"diverged after {of}"
    return of if record.status == "partial" else f"{record.epochs} epochs"


def overall(verdicts: Sequence[str]) -> str:
    """A page's verdict from those of its claims, in the words of :class:`claims.Verdict`.

    None is given before every claim has been judged; claims that their runs cannot decide are left
    out, and that there are some is said.

    >>> overall(["reproduced", "not reproduced"]), overall(["reproduced", "not finished"])
    ('partly reproduced', 'open until its runs are complete')
    >>> overall(["reproduced", "undecided"]), overall(["not run yet", "not run yet"])
    ('reproduced, as far as its claims can be decided', 'not run yet')
    """
    unsettled = {"undecided", "not comparable"}
    found = set(verdicts) - unsettled
    if found == {"not run yet"}:
        return "not run yet"
    if not found <= {"reproduced", "partly", "not reproduced"}:
        return "open until its runs are complete"
    if not found:
        return "undecided"
    word = found.pop() if len(found) == 1 and "partly" not in found else "partly reproduced"
    return f"{word}, as far as its claims can be decided" if unsettled & set(verdicts) else word


def same_machine(runs: Sequence[Record]) -> bool:
    """Whether the times of these runs can be compared."""
    keys = ("processor", "device", "threads", "backend")
    places = {tuple(r.body.get("environment", {}).get(key) for key in keys) for r in runs}
    return len(places) <= 1


def timed_alike(runs: Sequence[Record]) -> bool:
    """Whether seconds may be compared: one kind of machine, one version of the sources."""
    sources = {r.body.get("environment", {}).get("code") for r in runs}
    return len(sources) <= 1 and same_machine(runs)


def seconds_per_epoch(record: Record) -> float:
    """Median over the epochs, test included; NaN where no epoch is complete.

    >>> seconds_per_epoch(Record({"seconds": [2.0, 4.0, 7.0]}))
    2.0
    """
    spent = np.diff(record.curve("seconds"), prepend=0.0)
    return float(np.median(spent)) if spent.size else float("nan")


def authors_epochs(config: RunConfig, train: int, updates: float) -> float:
    """Epochs over ``train`` sequences until so many outer updates, as the authors' program counts
    them: a minibatch once, also where TBPTT makes an update of each of its chunks.
    """
    inner = config.optimizer.inner_steps if config.optimizer.name == "frank-wolfe" else 1
    return updates * inner / math.ceil(train / config.batch_size)


def authors_axis(record: Record, updates: float) -> tuple[float, float]:
    """Where a loss axis of so many outer updates (:func:`authors_epochs`) ends for this run: in
    epochs, and in the record's own updates.
    """
    epochs = authors_epochs(record.config, record.body["data"]["train"], updates)
    return epochs, epochs * float(record.curve("updates")[-1]) / record.epochs


def first_reaching(
    record: Record, curve: str, level: float, x: str = "gradient_evaluations"
) -> float:
    """Value of ``x`` at the first epoch whose ``curve`` is at a level or beyond; inf if none is.

    A loss gets there from above, an accuracy (as a fraction) from below; the level itself is good
    enough for both, wherever levels are read. Per-epoch curves only: the true crossing lies up to
    one epoch before.

    >>> run = Record({"curves": {"epoch": [1, 2], "train_loss": [0.5, 0.2]}})
    >>> [first_reaching(run, "train_loss", level, "epoch") for level in (0.2, 0.1)]
    [2.0, inf]
    """
    values = record.curve(curve)
    there = np.flatnonzero(values >= level if curve.endswith("accuracy") else values <= level)
    return float(record.curve(x)[there[0]]) if there.size else math.inf


def unequal(first: RunConfig, second: RunConfig) -> dict[str, tuple[float, float]]:
    """Learning rate, batch size, weight decay and *K* of two runs, where they differ.

    *K* counts if both are Frank-Wolfe's and it does not stand in both names: "K = 5 against K = 1"
    is a comparison of nothing else.

    >>> from fwrnn_core.experiments import catalogue
    >>> runs = catalogue()
    >>> unequal(runs["har2/published/lstm-fw"], runs["har2/published/lstm-adam"])["learning rate"]
    (0.02, 0.001)
    >>> unequal(runs["har2/published/fw-k5"], runs["har2/published/fw-k1"])
    {}
    """
    pair = first, second
    values = {
        "learning rate": (first.optimizer.lr, second.optimizer.lr),
        "batch size": (first.batch_size, second.batch_size),
        "weight decay": (first.optimizer.weight_decay, second.optimizer.weight_decay),
    }
    ours = all(c.optimizer.name == "frank-wolfe" for c in pair)
    if ours and not all("K = " in label(c) for c in pair):
        values["K"] = first.optimizer.inner_steps, second.optimizer.inner_steps
    return {what: (a, b) for what, (a, b) in values.items() if a != b}
