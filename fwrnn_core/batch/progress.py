"""What a batch shows while it runs, and what it says about each notebook that ran."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from fwrnn_core.batch.note import spoken
from fwrnn_core.batch.plan import Plan
from fwrnn_core.batch.report import Failure


@dataclass(frozen=True)
class Outcome:
    """One notebook that was run: ``failure`` is None when ``plan.output`` is new and whole."""

    plan: Plan
    seconds: float
    failure: Failure | None = None
    kept: Path | None = None
    notes: Sequence[str] = ()


@dataclass
class Progress:
    """One bar over all cells of all notebooks, with the names of those now running."""

    total: int
    disable: bool = False
    _done: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.bar = tqdm(
            total=float(self.total),
            desc="notebooks",
            disable=self.disable,
            bar_format="{desc} {percentage:3.0f}% |{bar}| {elapsed}<{remaining} {postfix}",
            dynamic_ncols=True,
        )

    def cell(self, notebook: str, share: float) -> None:
        """``share`` of ``notebook`` is done (0 … 1)."""
        with self._lock:
            self.bar.update(share - self._done.get(notebook, 0.0))
            self._done[notebook] = share
            running = (Path(n).stem for n, s in self._done.items() if s < 1)
            self.bar.set_postfix_str(", ".join(running))

    def say(self, text: str) -> None:
        with self._lock:
            self.bar.write(text, file=sys.stderr)


def describe(outcome: Outcome) -> str:
    """One line, more for a failure."""
    name = outcome.plan.notebook
    if outcome.failure is None:
        notes = "".join(f"\n      wrote to standard error: {note}" for note in outcome.notes)
        return f"  ok  {name}  {outcome.seconds:.1f} s{notes}"
    failure = outcome.failure
    where = f"code cell [{failure.cell}]" if failure.cell else "outside its cells"
    line = f", at `{failure.line}`" if failure.line else ""
    own = {k: v for k, v in outcome.plan.parameters.items() if k != "profile"}
    given = f"\n      with {spoken(own)}; its parameter cell says what each may be" if own else ""
    kept = f"\n      its copy is kept: {outcome.kept}" if outcome.kept else ""
    return f"FAILED {name}: {where}{line}\n      {failure.error}{given}{kept}"
