"""Quantities that are positive when a claim has it right, read from records and from the paper.

Runs are named as in the catalogue; ``har2/published/fw-k5`` also says where the paper prints it
(Table III, HAR-2, "Ours K=5"). A value from runs that have not reached their last epoch is
*provisional*: it is shown, and nothing is judged by it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fwrnn_core.evidence import Evidence
from fwrnn_core.fairness import ENOUGH, Paired, repeats, signed
from fwrnn_core.reports import (
    first_reaching,
    last_accuracy,
    published,
    same_machine,
    seconds_per_epoch,
    short,
)
from fwrnn_core.training import Record
from fwrnn_core.wording import counted, label


@dataclass(frozen=True)
class Measured:
    """``value`` is None where there is nothing to compare; ``note`` says what else to know, and
    with ``comparable`` False why the runs, though there, cannot be judged against each other.
    ``apart`` is False where the value is within the error of its measurement, so that its sign
    says nothing; ``half`` is half the width of its 95 % interval, where it has one."""

    value: float | None
    final: bool = True
    note: str = ""
    comparable: bool = True
    apart: bool = True
    half: float | None = None


class Comparison(ABC):
    """What a rule judges."""

    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """The runs it needs."""

    def printed(self) -> float | None:
        """The value by the paper's own numbers; None where it printed none."""
        return None

    def measure(self, evidence: Evidence) -> Measured:
        """The value by the records."""
        runs = evidence.begun(self.names())
        return self.compare(runs, evidence) if len(runs) == len(self.names()) else Measured(None)

    @abstractmethod
    def compare(self, runs: Sequence[Record], evidence: Evidence) -> Measured:
        """The value by the record of each run, all of which have an epoch."""

    @abstractmethod
    def show(self, value: float, half: float | None = None) -> str:
        """The value in words, with its unit and, where it is shown, its interval."""


@dataclass(frozen=True)
class Pair(Comparison):
    """Of two runs, the first of which has something more of what the claim says."""

    first: str
    second: str

    def names(self) -> tuple[str, ...]:
        return self.first, self.second


_DATA = {"pixel": "Pixel", "permuted": "Permute", "har2": "clean", "noisy-har2": "noisy"}


def labels(comparisons: Sequence[Comparison]) -> list[str]:
    """What each comparison is of, as far as its runs tell it from the others.

    >>> labels([gain(f"har2/published/fw-k{k}", "har2/published/adam") for k in (1, 5)])
    ['K = 1', 'K = 5']
    """
    runs = [c.names() for c in comparisons]
    data = [next((_DATA[p] for p in of[0].split("/") if p in _DATA), "") for of in runs]
    sides = [data, *([short(label(n)) for n in side] for side in zip(*runs, strict=True))]
    told = [side for side in sides if len(set(side)) > 1]
    return [", ".join(filter(None, parts)) for parts in zip(*told, strict=True)] or [""] * len(runs)


def in_print(name: str, what: str = "accuracy") -> float | None:
    """What the paper prints for a run: accuracy in per cent, or time in hours; None if nothing.

    >>> in_print("har2/published/fw-k5"), in_print("mnist-indrnn/published/pixel/adam", "time")
    (94.11, 4.84)
    """
    match name.split("/"):
        case ["har2" | "noisy-har2" as column, "published", method]:
            table = "table3"
        case ["mnist-indrnn", "published", column, method]:
            table = "table2"
        case _:
            return None
    return float(published()[table][method][column][what])


def joined(*parts: str) -> str:
    """Those parts that say something, one after the other."""
    return "; ".join(filter(None, parts))


def _common(records: Sequence[Record]) -> int:
    return min(r.epochs for r in records)


def _all_final(records: Sequence[Record]) -> bool:
    return all(r.status != "partial" for r in records)


def _lost(records: Sequence[Record]) -> str:
    lost = [r.name.rpartition("/")[2] for r in records if r.status == "diverged"]
    return f"{', '.join(lost)} diverged" if lost else ""


@dataclass(frozen=True)
class Accuracy(Comparison):
    """A sum of best test accuracies with signs, in percentage points: a mean over seeds where the
    runs were repeated."""

    terms: tuple[tuple[int, str], ...]

    def names(self) -> tuple[str, ...]:
        return tuple(name for _, name in self.terms)

    def printed(self) -> float | None:
        values = [(sign, in_print(name)) for sign, name in self.terms]
        if any(v is None for _, v in values):
            return None
        return sum(sign * v for sign, v in values if v is not None)

    def compare(self, runs: Sequence[Record], evidence: Evidence) -> Measured:
        if not _all_final(runs):
            # Unfinished runs are compared over the epochs that all of them have.
            value = sum(
                sign * 100 * float(np.nanmax(run.curve("test_accuracy")[: _common(runs)]))
                for (sign, _), run in zip(self.terms, runs, strict=True)
            )
            return Measured(value, False, _lost(runs))
        best, notes = repeats.difference(evidence, self.terms), []
        if best.n:
            borrowed = not math.isnan(best.low) and best.n < ENOUGH
            notes.append(counted(best.n, "seed") + ", spread of the repeated rows" * borrowed)
            if not math.isnan(best.low):
                # The best of many epochs lifts a restless curve more than a steady one.
                at_last = repeats.difference(evidence, self.terms, last_accuracy)
                notes.append(f"at the last epoch {at_last.rounded(2)}")
        return _over_seeds(best, repeats.diverged(evidence, self.names()), *notes)

    def show(self, value: float, half: float | None = None) -> str:
        width = "" if half is None else f" ± {half:.2f}"
        return f"{signed(value)}{width} points"


def _over_seeds(found: Paired, *notes: str) -> Measured:
    """A difference over the seeds that have all its runs complete; there may be none."""
    note = joined(*notes)
    if not found.n:
        return Measured(None, note=note, comparable=False)
    if math.isnan(found.low):
        return Measured(found.difference, note=note)
    half = (found.high - found.low) / 2
    return Measured(found.difference, note=note, apart=found.side != 0, half=half)


def gain(better: str, worse: str) -> Accuracy:
    """Best test accuracy of one run minus that of another."""
    return Accuracy(((1, better), (-1, worse)))


@dataclass(frozen=True)
class Loss(Pair):
    """How much lower the first training loss ends than the second, at the last epoch of both."""

    def compare(self, runs: Sequence[Record], evidence: Evidence) -> Measured:
        last = _common(runs) - 1
        low, high = (float(r.curve("train_loss")[last]) for r in runs)
        return Measured(high - low, _all_final(runs), _lost(runs))

    def show(self, value: float, half: float | None = None) -> str:
        return f"{signed(-value, 3)} in training loss"


# The same run's seconds move by a tenth or so with what else the machine does.
TIMES_ALIKE = 0.9, 1.1


def times_apart(ratio: float) -> bool:
    """Whether a ratio of times is told apart from 1.

    >>> [times_apart(ratio) for ratio in (0.89, 0.9, 1.0, 1.1, 1.11)]
    [True, False, False, False, True]
    """
    low, high = TIMES_ALIKE
    return not low <= ratio <= high


@dataclass(frozen=True)
class Saving(Pair):
    """Share that the first run saves of the time that the second takes for an epoch, 0 … 1;
    negative if it takes more.

    An epoch takes the same time all along, so that one epoch of each run is enough. The median
    epochs are judged only if both runs were timed on the same kind of machine and under the same
    sources, and their ratio is told apart from 1 only outside :data:`TIMES_ALIKE`. The note says
    on what they were timed: on a GPU, as in the paper, large minibatches cost less.
    """

    def printed(self) -> float | None:
        ours, baseline = (in_print(n, "time") for n in self.names())
        return 1 - ours / baseline if ours is not None and baseline is not None else None

    def compare(self, runs: Sequence[Record], evidence: Evidence) -> Measured:
        if not same_machine(runs):
            return Measured(None, False, "timed on different machines", False)
        ratio = seconds_per_epoch(runs[0]) / seconds_per_epoch(runs[1])
        if len({r.body["environment"].get("code") for r in runs}) > 1:
            return Measured(1 - ratio, False, "timed under two versions of the sources", False)
        return Measured(1 - ratio, True, _timed_on(runs[0]), apart=times_apart(ratio))

    def show(self, value: float, half: float | None = None) -> str:
        return f"{1 - value:.2f} × the time"


def _timed_on(record: Record) -> str:
    """What a record's seconds are those of."""
    machine = record.body["environment"]
    if machine["device"] != "cpu":
        return str(machine["device"])
    threads = machine["threads"]
    return "one CPU thread" if threads == 1 else f"{threads} CPU threads"


@dataclass(frozen=True)
class Earlier(Pair):
    """Share of ``x`` that the first run saves until the training loss that both reach, or with
    ``accuracy``, until the test accuracy that both reach."""

    x: str = "epoch"
    accuracy: bool = False

    def compare(self, runs: Sequence[Record], evidence: Evidence) -> Measured:
        curve = "test_accuracy" if self.accuracy else "train_loss"
        values = [r.curve(curve) for r in runs]
        level = min(map(np.nanmax, values)) if self.accuracy else max(map(np.nanmin, values))
        spent = [first_reaching(r, curve, float(level), self.x) for r in runs]
        return Measured(1 - spent[0] / spent[1], _all_final(runs), _lost(runs))

    def show(self, value: float, half: float | None = None) -> str:
        unit = {"epoch": "epochs", "updates": "updates"}.get(self.x, "gradients")
        return f"{1 - value:.2f} × the {unit}"


def _log_climb(record: Record, until: int | None = None) -> float:
    """log2 of all that the epochs' mean training losses rise by; NaN if they never do."""
    rises = float(np.clip(np.diff(record.curve("train_loss")[:until]), 0, None).sum())
    return math.log2(rises) if rises else math.nan


@dataclass(frozen=True)
class Swing(Pair):
    """How much more the first training loss climbs back on its way than the second: log2 of the
    ratio of all their rises."""

    def compare(self, runs: Sequence[Record], evidence: Evidence) -> Measured:
        if _common(runs) < 2:
            return Measured(None)
        rises = [_log_climb(r, _common(runs)) for r in runs]
        if any(map(math.isnan, rises)):
            return Measured(None, note="a loss that never rises")
        if not _all_final(runs):
            return Measured(rises[0] - rises[1], False)
        found = repeats.difference(evidence, ((1, self.first), (-1, self.second)), _log_climb)
        seeds = "" if math.isnan(found.low) else counted(found.n, "seed")
        return _over_seeds(found, repeats.diverged(evidence, self.names()), seeds)

    def show(self, value: float, half: float | None = None) -> str:
        ends = (value,) if half is None else (value, value - half, value + half)
        shown, *interval = (f"{2**v:.1f}" if 2**v < 100 else "over 100" for v in ends)
        span = f", {' to '.join(interval)}" if interval else ""
        return f"{shown} × as much climbing back{span}"
