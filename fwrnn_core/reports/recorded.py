"""Which of a page's runs are recorded, how far each got, and what can be judged from that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fwrnn_core.reports.names import label, method
from fwrnn_core.training import Record, RunConfig, records

Verdict = Literal[
    "reproduced",
    "partly",
    "not reproduced",
    "not run yet",
    "not run to full length yet",
    "not comparable",
]


@dataclass(frozen=True)
class Coverage:
    """The runs that a page is about (``configs``) and what is recorded of them, in their order."""

    configs: tuple[RunConfig, ...]
    records: tuple[Record | None, ...]

    def __iter__(self) -> Iterator[tuple[RunConfig, Record | None]]:
        return iter(zip(self.configs, self.records, strict=True))

    def get(self, slug: str) -> Record | None:
        """The record of the run whose name ends with this method; None while there is none."""
        return next((r for r in self.found if method(r) == slug), None)

    def only(self, *slugs: str) -> Coverage:
        """The runs of these methods alone, in this order."""
        pairs = {method(config): (config, record) for config, record in self}
        chosen = [pairs[s] for s in slugs]
        return Coverage(tuple(c for c, _ in chosen), tuple(r for _, r in chosen))

    @property
    def found(self) -> list[Record]:
        """What is recorded."""
        return [r for r in self.records if r is not None]

    @property
    def missing(self) -> list[RunConfig]:
        """What has no record."""
        return [config for config, record in self if record is None]

    @property
    def partial(self) -> list[Record]:
        """Records that stop before their last epoch."""
        return [r for r in self.found if r.status == "partial"]

    @property
    def whole(self) -> bool:
        """Every run is recorded and none stops early (a diverged run has ended)."""
        return not self.missing and not self.partial

    @property
    def extent(self) -> str:
        """How far all recorded runs go, where all stop early at the same epoch; else ""."""
        extents = {progress(r) for r in self.found}
        return extents.pop() if self.partial == self.found and len(extents) == 1 else ""

    def sentence(self) -> str:
        """In plain words what is recorded, what is only begun, and what is missing."""
        total, found = len(self.configs), len(self.found)
        if not found:
            return f"None of the {total} runs is recorded yet."
        whole = found - len(self.partial)
        if whole == total:
            text = f"All {total} runs are recorded at full length."
        elif found == total:
            text = f"All {total} runs are recorded, {whole or 'none'} of them at full length."
        else:
            verb = "is" if found == 1 else "are"
            text = f"{found} of {total} runs {verb} recorded so far, "
            text += f"{whole or 'none'} at full length."
        if self.partial:
            if self.extent:
                text += f" Each recorded run has {self.extent}."
            else:
                begun = [f"{label(r)} ({progress(r)})" for r in self.partial]
                text += f" Begun: {'; '.join(begun)}."
        if diverged := [r for r in self.found if r.status == "diverged"]:
            text += f" Diverged: {'; '.join(f'{label(r)} ({progress(r)})' for r in diverged)}."
        if self.missing:
            text += f" Missing: {'; '.join(label(c) for c in self.missing)}."
        return text


def coverage(configs: Sequence[RunConfig]) -> Coverage:
    """Look up the records of these runs; a damaged record raises, a missing one does not."""
    found = []
    for config in configs:
        path = records.path_of(config.name)
        found.append(records.read(path) if path.exists() else None)
    return Coverage(tuple(configs), tuple(found))


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


def judge(runs: Sequence[Record | None], rule: Callable[[], Verdict]) -> Verdict:
    """The rule's word, once every run that it looks at is there and at full length.

    >>> judge([None], lambda: "reproduced")
    'not run yet'
    """
    if any(run is None for run in runs):
        return "not run yet"
    if any(run is not None and run.status == "partial" for run in runs):
        return "not run to full length yet"
    return rule()


def tally(holds: Iterable[bool]) -> Verdict:
    """Several comparisons as one verdict.

    >>> tally([True, True]), tally([True, False]), tally([False])
    ('reproduced', 'partly', 'not reproduced')
    """
    outcomes = list(holds)
    if all(outcomes):
        return "reproduced"
    return "partly" if any(outcomes) else "not reproduced"


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """A page's verdict from those of its claims; none before each claim has been judged.

    >>> overall(["reproduced", "not reproduced"]), overall(["reproduced", "not run yet"])
    ('partly', 'not run to full length yet')
    """
    judged: tuple[Verdict, ...] = ("reproduced", "partly", "not reproduced")
    if all(v in judged for v in verdicts):
        if len(set(verdicts)) == 1:
            return verdicts[0]
        return "partly"
    if all(v == "not run yet" for v in verdicts):
        return "not run yet"
    return "not run to full length yet"


def same_machine(runs: Sequence[Record]) -> bool:
    """Whether the times of these runs can be compared."""
    keys = ("processor", "device", "threads", "backend")
    places = {tuple(r.body.get("environment", {}).get(key) for key in keys) for r in runs}
    return len(places) <= 1


def seconds_per_epoch(record: Record) -> float:
    """Median over the epochs, test included; NaN where no epoch is complete.

    >>> seconds_per_epoch(Record({"seconds": [2.0, 4.0, 7.0]}))
    2.0
    """
    spent = np.diff(record.curve("seconds"), prepend=0.0)
    return float(np.median(spent)) if spent.size else float("nan")


def reaches(
    record: Record, curve: str, level: float, x: str = "gradient_evaluations"
) -> int | None:
    """Where on ``x`` a per-epoch curve first gets to a level; None if it does not.

    A loss gets there from above, an accuracy (as a fraction) from below.
    """
    values = record.curve(curve)
    there = values >= level if curve.endswith("accuracy") else values <= level
    return int(record.curve(x)[np.flatnonzero(there)[0]]) if there.any() else None
