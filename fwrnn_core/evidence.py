"""Which runs have a record and how far each got: what a page may say, and what it may not.

Pages are built with whatever records there are. :class:`Evidence` hands out only records that
belong to the catalogue's present settings, and :class:`Coverage` says in words what is missing
and which command trains it, so that a gap on a page is a sentence and never an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from fwrnn_core import experiments
from fwrnn_core.training import Record, RunConfig, records
from fwrnn_core.wording import be

STATES = ("complete", "diverged", "partial", "missing")


@dataclass(frozen=True)
class Coverage:
    """State of each of a number of planned runs: name -> (state, epochs done, epochs planned)."""

    runs: Mapping[str, tuple[str, int, int]]

    def __len__(self) -> int:
        return len(self.runs)

    def names(self, state: str) -> list[str]:
        """The runs in one of :data:`STATES`."""
        return [name for name, (its, _, _) in self.runs.items() if its == state]

    @property
    def finished(self) -> int:
        """Number of runs that need no more training: complete, or diverged."""
        return len(self.names("complete")) + len(self.names("diverged"))

    @property
    def whole(self) -> bool:
        """Whether no run needs more training."""
        return self.finished == len(self)

    def words(self, command: str = "", details: str = "") -> str:
        """A few sentences of Markdown: what there is, what is missing, what trains it. ``details``,
        such as names, go before the command wherever there is something to tell apart.

        >>> Coverage({"a": ("complete", 5, 5), "b": ("missing", 0, 5)}).words("fwrnn train ab")
        '1 of 2 runs is complete, 1 is not run yet. `fwrnn train ab` trains the rest.'
        """
        total = len(self)
        if total and len(self.names("complete")) == total:
            return "The run is complete." if total == 1 else f"All {total} runs are complete."
        then = f" `{command}` trains {{}}." if command else ""
        if len(self.names("missing")) == total:
            what = {0: "nothing is planned here", 1: "the run has no record"}
            whole = what.get(total, f"none of the {total} runs has a record")
            return f"**Not run yet:** {whole}." + then.format("it" if total == 1 else "them")
        complete, diverged, partial, missing = (len(self.names(state)) for state in STATES)
        done = [f"{complete} of {total} runs {be(complete)} complete"]
        done += [f"{diverged} diverged"] if diverged else []
        done += [f"{partial} {be(partial)} at {self.extent()}"] if partial else []
        done += [f"{missing} {be(missing)} not run yet"] if missing else []
        return f"{', '.join(done)}.{details}" + ("" if self.whole else then.format("the rest"))

    def extent(self) -> str:
        """How far the runs that stopped early go; there has to be one.

        >>> Coverage({"a": ("partial", 2, 5), "b": ("partial", 3, 5)}).extent()
        '2 to 3 of 5 epochs'
        """
        spans = [(done, of) for state, done, of in self.runs.values() if state == "partial"]
        least, most = min(d for d, _ in spans), max(d for d, _ in spans)
        epochs = f"{least}" if least == most else f"{least} to {most}"
        planned = " or ".join(str(n) for n in sorted({of for _, of in spans}))
        return f"{epochs} of {planned} epochs"


def state_of(record: Record | None, epochs: int) -> tuple[str, int, int]:
    """State, epochs done and epochs planned of a run, as in :class:`Coverage`."""
    return ("missing", 0, epochs) if record is None else (record.status, record.epochs, epochs)


class Evidence:
    """The records that belong to the catalogue, each read once.

    A record under a name of the catalogue but of other settings does not count.

    Parameters
    ----------
    catalogue : planned runs by name (default: the project's)
    folder : of the records (default ``data/records``)
    """

    def __init__(
        self, catalogue: Mapping[str, RunConfig] | None = None, folder: Path | None = None
    ) -> None:
        self.catalogue = experiments.catalogue() if catalogue is None else catalogue
        self.folder = folder
        self._read: dict[str, Record | None] = {}

    def record(self, name: str) -> Record | None:
        """The run's record, finished or not; None if there is none of its settings."""
        if name not in self._read:
            path = records.path_of(name, self.folder)
            record = records.read(path) if path.exists() else None
            planned = self.catalogue.get(name)
            if record is not None and planned is not None and record.config.id != planned.id:
                record = None
            self._read[name] = record
        return self._read[name]

    def complete(self, name: str) -> Record | None:
        """The run's record if it got to its last epoch."""
        record = self.record(name)
        return record if record is not None and record.status == "complete" else None

    def finished(self, names: Mapping[int, str]) -> dict[int, Record]:
        """The records of runs by seed that need no more training, diverged ones too."""
        found = {seed: self.record(name) for seed, name in names.items()}
        return {s: r for s, r in found.items() if r is not None and r.status != "partial"}

    def begun(self, names: Iterable[str]) -> list[Record]:
        """Those of the named runs that have an epoch, finished or not."""
        return [r for name in names if (r := self.record(name)) is not None and r.epochs]

    def select(self, *patterns: str) -> list[str]:
        """Names of planned runs that match a shell pattern, in the catalogue's order."""
        return [n for n in self.catalogue if any(fnmatchcase(n, p) for p in patterns)]

    def coverage(self, names: Iterable[str]) -> Coverage:
        """State of the named runs; runs that are only planned after a search count as missing."""
        found: dict[str, tuple[str, int, int]] = {}
        for name in names:
            record, planned = self.record(name), self.catalogue.get(name)
            epochs = planned.epochs if planned else record.config.epochs if record else 0
            found[name] = state_of(record, epochs)
        return Coverage(found)
