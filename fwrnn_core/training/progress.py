"""One bar over several runs that are trained side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tqdm.auto import tqdm

_FORMAT = "{percentage:3.0f}%|{bar}| {n:.1f}/{total:.0f} epochs [{elapsed}<{remaining}]"


class Place(NamedTuple):
    """How far a run is, in epochs and parts of one."""

    name: str
    epochs: float


class Bar:
    """Counts epochs of all runs together, from where each stands to where it is to stop.

    What earlier processes did is not counted, so that the time left follows from this one's pace.

    :param spans: first and last epoch of every run, by name.
    :param show: whether to draw it.

    >>> bar = Bar({"half done": (5, 10), "new": (0, 10)}, show=False)
    >>> bar.total, bar.done
    (15, 0.0)
    >>> bar.move(Place("half done", 7.5))
    >>> bar.end("half done")  # it diverged: its other epochs will not be made
    >>> bar.total, bar.done
    (12.5, 2.5)
    """

    def __init__(self, spans: Mapping[str, tuple[int, int]], show: bool = True) -> None:
        self._at: dict[str, float] = {name: first for name, (first, _) in spans.items()}
        self._last = {name: last for name, (_, last) in spans.items()}
        self.total: float = sum(last - first for first, last in spans.values())
        self.done = 0.0
        self._bar = tqdm(total=self.total, bar_format=_FORMAT, disable=not show, smoothing=0.02)

    def move(self, place: Place) -> None:
        """A run has come as far as this."""
        made = min(place.epochs, self._last[place.name]) - self._at[place.name]
        if made > 0:
            self._at[place.name] += made
            self.done += made
            self._bar.update(made)

    def end(self, name: str) -> None:
        """A run has ended, there or before."""
        self.total -= self._last[name] - self._at[name]
        self._at[name] = self._last[name]
        self._bar.total = self.total
        self._bar.refresh()

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: Any) -> None:
        self._bar.close()
