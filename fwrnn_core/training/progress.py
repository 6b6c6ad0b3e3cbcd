"""One bar over several runs that are trained side by side."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping
from statistics import fmean, median
from typing import Any, NamedTuple

from tqdm.auto import tqdm

from fwrnn_core.errors import RecordError
from fwrnn_core.training import records
from fwrnn_core.training.config import RunConfig, canonical_json

_FORMAT = "{percentage:3.0f}%|{bar}| {n:.1f}/{total:.0f} epochs [{elapsed}<{desc}]"


class Place(NamedTuple):
    """How far a run is, in epochs and parts of one, and the seconds that one takes it (0: not yet
    known)."""

    name: str
    epochs: float
    seconds: float = 0.0


class Bar:
    """Counts epochs of all runs together, from where each stands to where it is to stop.

    What earlier processes did is not counted, so that the time left follows from this one's pace.

    :param spans: first and last epoch of every run, by name.
    :param kinds: by name which runs take as long for an epoch; by default each is of its own kind.
    :param recorded: seconds of an epoch, by kind, as records have them.
    :param show: whether to draw it.

    >>> bar = Bar({"half done": (5, 10), "new": (0, 10)}, show=False)
    >>> bar.total, bar.done
    (15, 0.0)
    >>> bar.move(Place("half done", 7.5))
    >>> bar.end("half done")  # it diverged: its other epochs will not be made
    >>> bar.total, bar.done
    (12.5, 2.5)
    """

    def __init__(
        self,
        spans: Mapping[str, tuple[int, int]],
        kinds: Mapping[str, str] | None = None,
        recorded: Mapping[str, float] | None = None,
        show: bool = True,
    ) -> None:
        self._at: dict[str, float] = {name: first for name, (first, _) in spans.items()}
        self._last = {name: last for name, (_, last) in spans.items()}
        self._made = dict.fromkeys(spans, 0.0)
        self._kinds = {name: (kinds or {}).get(name, name) for name in spans}
        self._recorded, self._here = dict(recorded or {}), dict[str, float]()
        self.total: float = sum(last - first for first, last in spans.values())
        self.done, self._began = 0.0, time.monotonic()
        self._bar = tqdm(total=self.total, desc="?", bar_format=_FORMAT, disable=not show)

    def move(self, place: Place) -> None:
        """A run has come as far as this."""
        if place.seconds:
            self._here[self._kinds[place.name]] = place.seconds
        made = min(place.epochs, self._last[place.name]) - self._at[place.name]
        if made > 0:
            self._at[place.name] += made
            self._made[place.name] += made
            self.done += made
            self._estimate()
            self._bar.update(made)

    def end(self, name: str) -> None:
        """A run has ended, there or before."""
        self.total -= self._last[name] - self._at[name]
        self._at[name] = self._last[name]
        self._bar.total = self.total
        self._estimate()
        self._bar.refresh()

    def left(self, elapsed: float) -> float | None:
        """Seconds until all runs have ended, at the pace of the ``elapsed`` ones; None before the
        first step. An epoch counts by what it costs.

        >>> costs = {"tanh": 1.0, "indrnn": 9.0}
        >>> bar = Bar({"tanh": (0, 10), "indrnn": (0, 10)}, recorded=costs, show=False)
        >>> bar.move(Place("tanh", 5))
        >>> bar.left(elapsed=10)
        190.0
        """
        cost = self._costs()
        done = sum(cost[name] * made for name, made in self._made.items())
        todo = sum(cost[name] * (self._last[name] - at) for name, at in self._at.items())
        return elapsed * todo / done if done else None

    def _costs(self) -> dict[str, float]:
        """Seconds of an epoch by run: as measured here; else as recorded, times by how much this
        machine is slower where both are known; else the mean of the others."""
        here, recorded = self._here, self._recorded
        both = here.keys() & recorded.keys()
        slower = sum(here[k] for k in both) / sum(recorded[k] for k in both) if both else 1.0
        known = {kind: slower * seconds for kind, seconds in recorded.items()} | here
        mean = fmean(known.values()) if known else 1.0
        return {name: known.get(kind, mean) for name, kind in self._kinds.items()}

    def _estimate(self) -> None:
        left = self.left(time.monotonic() - self._began)
        self._bar.set_description_str("?" if left is None else tqdm.format_interval(left), False)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: Any) -> None:
        self._bar.close()


def kind(config: RunConfig) -> str:
    """Runs with the same take about as long for an epoch: what its cost depends on."""
    body = config.to_dict()
    cost = {k: body[k] for k in ("data", "model", "batch_size", "tbptt", "probes")}
    return canonical_json({**cost, **{k: body["optimizer"][k] for k in ("name", "options")}})


def recorded(kinds: Iterable[str]) -> dict[str, float]:
    """Seconds of an epoch by :func:`kind`: the median of the stored records that can be read."""
    found: dict[str, list[float]] = {which: [] for which in kinds}
    for name in records.names():
        with contextlib.suppress(RecordError):
            record = records.filed(name)
            if record.seconds and (alike := kind(record.config)) in found:
                found[alike].append(record.seconds / record.epochs)
    return {which: median(seconds) for which, seconds in found.items() if seconds}
