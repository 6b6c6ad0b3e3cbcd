"""The paper's claims as data: what was printed, which records speak to it, and the verdict.

A claim of the kind "A is better than B by d points of test accuracy" is judged by one rule that was
fixed before any number was seen: *reproduced* if our difference has the same sign and at least
half the size, *partly* if it has the sign alone, *not reproduced* else. A claim whose runs have no
record yet says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fwrnn_core.reports import LABELS, best_accuracy, markdown_table, published
from fwrnn_core.training import Record, records


@dataclass(frozen=True)
class Claim:
    """``better`` beats ``worse`` on ``task``: method slugs and a data set's slug."""

    text: str
    where: str
    task: str
    better: str
    worse: str

    def printed(self) -> float:
        """The difference that the paper printed, in percentage points."""
        table: Mapping[str, Any] = published()["table3"]
        a, b = (table[m][self.task]["accuracy"] for m in (self.better, self.worse))
        return float(a - b)


CLAIMS = (
    Claim("better than Adam", "Table III", "har2", "fw-k5", "adam"),
    Claim("better than Adam with clipped gradients", "Table III", "har2", "fw-k5", "adam-clip"),
    Claim("better than TBPTT", "Table III", "har2", "fw-k5", "adam-tbptt"),
    Claim("helps TBPTT", "Table III", "har2", "fw-tbptt", "adam-tbptt"),
    Claim("helps an LSTM", "Table III", "har2", "lstm-fw", "lstm-adam"),
    Claim("helps IndRNN", "Table III", "har2", "indrnn-fw", "indrnn-adam"),
    Claim(
        "better than Adam on noise, by 15.14 points", "Conclusions", "noisy-har2", "fw-k10", "adam"
    ),
    Claim("better than clipping on noise", "Table III", "noisy-har2", "fw-k10", "adam-clip"),
)


def _find(name: str) -> Record | None:
    path = records.path_of(name)
    return records.read(path) if path.exists() else None


@dataclass(frozen=True)
class Finding:
    """What the records say of a claim; differences in percentage points, None where missing."""

    claim: Claim
    printed: float
    rerun: float | None

    @property
    def verdict(self) -> str:
        """In one or two words, by the module's rule."""
        return verdict(self.printed, self.rerun)


def verdict(printed: float, rerun: float | None) -> str:
    """The rule of this module.

    >>> verdict(6.0, 3.1), verdict(6.0, 0.2), verdict(6.0, -1.0), verdict(6.0, None)
    ('reproduced', 'partly', 'not reproduced', 'not run yet')
    """
    if rerun is None:
        return "not run yet"
    if rerun * printed <= 0:
        return "not reproduced"
    return "reproduced" if abs(rerun) >= abs(printed) / 2 else "partly"


def examine(claim: Claim) -> Finding:
    """Hold a claim against the runs in the authors' settings."""
    pair = [_find(f"{claim.task}/published/{m}") for m in (claim.better, claim.worse)]
    rerun = None
    if pair[0] is not None and pair[1] is not None:
        rerun = best_accuracy(pair[0]) - best_accuracy(pair[1])
    return Finding(claim, claim.printed(), rerun)


_TASKS = {"har2": "HAR-2", "noisy-har2": "Noisy-HAR-2"}


def table(findings: list[Finding]) -> str:
    """The verdicts as a MyST table."""
    rows = []
    for f in findings:
        pair = f"{LABELS[f.claim.better]} against {LABELS[f.claim.worse]}"
        rows.append(
            [
                f"{_TASKS[f.claim.task]}: {f.claim.text}",
                pair,
                f"{f.printed:+.2f}",
                "–" if f.rerun is None else f"{f.rerun:+.2f}",
                f.verdict,
            ]
        )
    header = ["The optimizer is …", "compared", "in print", "re-run", "verdict"]
    return markdown_table(header, rows)
