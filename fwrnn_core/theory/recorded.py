"""Full-length runs as the theory pages read them: which are recorded, and what their probes saw.

A page is built with whatever records there are. Everything here gives what exists, in the
catalogue's order, so that a page can say less when runs are missing, and never fails.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fwrnn_core.evidence import Evidence
from fwrnn_core.training import Record
from fwrnn_core.wording import label, power_of_ten

TASKS = {"har2": "HAR-2", "adding": "Adding"}


@dataclass(frozen=True)
class Recorded:
    """A finished run of the theory part with the rows of its probes."""

    record: Record

    @property
    def task(self) -> str:
        """The task's name for readers."""
        return TASKS[self.record.name.split("/")[1]]

    @property
    def label(self) -> str:
        """The method's name for readers."""
        return label(self.record.name)

    def last(self, probe: str) -> dict[str, Any]:
        """What a probe wrote at the end of the run."""
        return dict(self.record.body["probes"][probe]["on_run_end"][-1])

    @property
    def audit(self) -> dict[str, Any]:
        """What :func:`fwrnn_core.theory.audit.audit` found: points, summary, final, cost."""
        return self.last("assumptions")

    @property
    def smoothness(self) -> list[dict[str, float]]:
        """Rows of :class:`~fwrnn_core.theory.probes.SmoothnessProbe`, one per epoch."""
        return list(self.record.body["probes"]["smoothness"]["on_epoch_end"])

    @property
    def radii(self) -> Tensor:
        """δ_t of every outer update where δ is the learning rate, [T]."""
        updates = np.diff(self.record.curve("updates"), prepend=0).astype(int)
        rates = np.repeat(self.record.curve("lr"), updates)
        # An epoch's first update ends a loop that began in the epoch before, and has its radius.
        return torch.from_numpy(np.concatenate([rates[:1], rates[:-1]]))

    @property
    def angles(self) -> dict[str, Any]:
        """Statistics and histograms of :class:`~fwrnn_core.theory.probes.AngleProbe`, by tensor."""
        return self.last("angles")


def planned(*patterns: str, probe: str, evidence: Evidence | None = None) -> list[str]:
    """Names of the catalogue's runs that match and are to carry this probe.

    >>> planned("theory/adding/*", probe="assumptions")
    ['theory/adding/adam', 'theory/adding/fw-k1', 'theory/adding/fw-k10']
    """
    known = evidence or Evidence()
    return [
        name
        for name in known.select(*patterns)
        if any(p["name"] == probe for p in known.catalogue[name].probes)
    ]


def recorded(*patterns: str, probe: str, evidence: Evidence | None = None) -> dict[str, Recorded]:
    """The finished runs among :func:`planned`, by name without the leading ``theory/``."""
    known = evidence or Evidence()
    found = {}
    for name in planned(*patterns, probe=probe, evidence=known):
        record = known.complete(name)
        if record is not None and record.body["probes"].get(probe):
            found[name.removeprefix("theory/")] = Recorded(record)
    return found


def coverage(*patterns: str, probe: str, evidence: Evidence | None = None) -> str:
    """In words, how many of the :func:`planned` runs are recorded, and how to train the rest."""
    known = evidence or Evidence()
    return known.coverage(planned(*patterns, probe=probe, evidence=known)).words(
        "fwrnn train theory"
    )


def how_often(held: Iterable[bool], unit: str = "points") -> str:
    """How often something held, for the middle of a sentence.

    >>> how_often([True, True]), how_often([False]), how_often([True, False, False])
    ('at all 2 points', 'at none of 1 points', 'at 1 of 3 points')
    """
    all_of_them = list(held)
    count, total = sum(map(bool, all_of_them)), len(all_of_them)
    if not total:
        return "nowhere yet"
    if count == total:
        return f"at all {total} {unit}"
    return f"at {count or 'none'} of {total} {unit}"


def number(value: float) -> str:
    """Two digits for small numbers, whole ones with their thousands apart for large.

    >>> number(0.01234), number(-51820.7), number(6.9e-5), number(1481740)
    ('0.012', '−51,821', '6.9·10⁻⁵', '1.5·10⁶')
    """
    if math.isfinite(value) and value and not 1e-4 <= abs(value) < 1e5:
        mantissa, exponent = f"{value:.1e}".split("e")
        text = f"{mantissa}·{power_of_ten(int(exponent))}"
    else:
        text = f"{value:.2g}" if abs(value) < 99.5 else f"{value:,.0f}"
    return text.replace("-", "−")
