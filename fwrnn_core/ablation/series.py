"""One series of runs that differ in one setting, and what may be said of it.

A :class:`Series` holds the runs of ``ablations/<name>/…`` by setting and seed, with the records
there are. It draws them, tabulates them and puts the result into words; the words follow from the
records by a rule that is stated with them, so that a page says what its records say and no more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from fwrnn_core import figures
from fwrnn_core.ablation.words import by_accuracy, by_loss
from fwrnn_core.errors import unknown
from fwrnn_core.evidence import Coverage, Evidence
from fwrnn_core.fairness import Paired, empty, estimate, paired
from fwrnn_core.reports import X_AXES, markdown_table, note, x_label
from fwrnn_core.training import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The setting that all series share, by the name that it has in each of them.
BASE = {
    "inner-steps": "5",
    "radius": "0.001",
    "norm": "2-tensor",
    "trajectory": "paper",
    "outer": "adam",
}
RULE = (
    "Differences are taken seed by seed, since runs of one seed share initial weights, data order "
    "and held-out subjects. A setting is *better* or *worse* than the base setting if the 95 % "
    "interval of its mean difference (Student's t; ± is half its width) excludes zero; otherwise "
    "the comparison is *undecided*. The intervals are not corrected for their number."
)


def _validated(record: Record) -> bool:
    """Whether the record has a validation loss."""
    kept = "validation_loss" in record.body["curves"]
    return kept and bool(np.isfinite(record.curve("validation_loss")).any())


@dataclass(frozen=True)
class Series:
    """The runs of one ablation.

    Attributes
    ----------
    name : folder below ``ablations/``
    what : what is varied, as a column's head: "K"
    labels : reader's names of the settings where the folder's name is not one
    """

    name: str
    what: str
    labels: Mapping[str, str] = field(default_factory=dict)
    evidence: Evidence = field(default_factory=Evidence, repr=False)

    @property
    def command(self) -> str:
        """What trains the series."""
        return f"fwrnn train 'ablations/{self.name}/*' --jobs 2"

    @property
    def base(self) -> str:
        """The base setting's name in this series."""
        return BASE[self.name]

    @property
    def planned(self) -> dict[str, dict[int, str]]:
        """Names of the runs by setting and seed, in the catalogue's order."""
        found: dict[str, dict[int, str]] = {}
        for name in self.evidence.select(f"ablations/{self.name}/*"):
            setting, seed = name.split("/")[-2], self.evidence.catalogue[name].seed
            found.setdefault(setting, {})[seed] = name
        return found

    def label(self, setting: str) -> str:
        """A setting's name for readers."""
        return self.labels.get(setting, setting)

    def coverage(self) -> Coverage:
        """State of the runs."""
        return self.evidence.coverage(n for runs in self.planned.values() for n in runs.values())

    @property
    def begun(self) -> bool:
        """Whether there is a complete run to draw."""
        return bool(self.coverage().names("complete"))

    def state(self) -> str:
        """What there is and what is missing, in words."""
        return self.coverage().words(self.command)

    def records(self, setting: str) -> dict[int, Record]:
        """The finished runs of one setting by seed, diverged ones too."""
        found = {s: self.evidence.record(n) for s, n in self.planned[setting].items()}
        return {s: r for s, r in found.items() if r is not None and r.status != "partial"}

    def accuracies(self, setting: str) -> dict[int, float]:
        """Test accuracy in per cent at the epoch chosen on validation, by seed."""
        return {
            seed: 100 * record.at_best_validation("test_accuracy")
            for seed, record in self.records(setting).items()
            if record.status == "complete"
        }

    def compare(self, setting: str, other: str | None = None) -> Paired:
        """Paired difference of a setting from another one (default: the base), in points."""
        return paired(self.accuracies(setting), self.accuracies(other or self.base))

    def losses(self, setting: str) -> dict[int, float]:
        """Lowest validation loss by seed; inf for a diverged run, so that a setting with one is
        never the better one. Empty where no validation part was kept."""
        return {
            seed: float(np.nanmin(record.curve("validation_loss")))
            if record.status == "complete"
            else math.inf
            for seed, record in self.records(setting).items()
            if record.status != "complete" or _validated(record)
        }

    # Figures

    def draw(self, ax: Axes, settings: Sequence[str] | None = None) -> None:
        """A dot per seed, a bar at the mean, one place per setting; a thin line joins each seed's
        dots. Gaps say that they are."""
        order = list(settings or self.planned)
        if not self.begun:
            note(ax, "no complete run yet")
            return
        self._columns(ax, dict(enumerate(order)), figures.LOOKS[0], 0.25)
        ax.set_xticks(range(len(order)), [self.label(s) for s in order])
        self._finish(ax, len(order))

    def draw_grid(self, ax: Axes, columns: Sequence[str], rows: Mapping[str, str]) -> None:
        """As :meth:`draw` for settings named ``column-row``: rows stand side by side.

        ``rows`` maps the end of the settings' names to a label; every row has its own marker.
        """
        if not self.begun:
            note(ax, "no complete run yet")
            return
        planned = self.planned
        for place, column in enumerate(columns):
            beside = [f"{column}-{row}" for row in rows if f"{column}-{row}" in planned]
            places = {s: place + 0.36 * (i - (len(rows) - 1) / 2) for i, s in enumerate(beside)}
            self._join(ax, {where: setting for setting, where in places.items()})
            for number, (setting, where) in enumerate(places.items()):
                self._column(ax, where, setting, figures.LOOKS[number], 0.14)
        for number, name in enumerate(rows.values()):
            look = figures.LOOKS[number]
            ax.plot([], [], look.marker, color=look.color, label=name)
        ax.set_xticks(range(len(columns)), [self.label(c) for c in columns])
        self._finish(ax, len(columns))
        ax.figure.legend(
            *ax.get_legend_handles_labels(), loc="outside lower center", ncols=len(rows)
        )

    def _finish(self, ax: Axes, places: int) -> None:
        ax.set_xlim(-0.6, places - 0.4)
        ax.set_ylabel("test accuracy (%)")

    def _columns(
        self, ax: Axes, settings: Mapping[float, str], look: figures.Look, half: float
    ) -> None:
        self._join(ax, settings)
        for place, setting in settings.items():
            self._column(ax, place, setting, look, half)

    def _join(self, ax: Axes, settings: Mapping[float, str]) -> None:
        """A thin line through the dots of each seed: the differences are taken along it."""
        found = {place: self.accuracies(setting) for place, setting in settings.items()}
        for seed in sorted({seed for values in found.values() for seed in values}):
            there = [(place, values[seed]) for place, values in found.items() if seed in values]
            ax.plot(*zip(*there, strict=True), color=figures.FAINT, linewidth=0.7, zorder=1)

    def _column(
        self, ax: Axes, place: float, setting: str, look: figures.Look, half: float
    ) -> None:
        values = list(self.accuracies(setting).values())
        lost = len(self.records(setting)) - len(values)
        if not values and not lost:
            empty(ax, place)
            return
        ax.plot([place] * len(values), values, look.marker, color=look.color, alpha=0.6)
        if values:
            ax.hlines(np.mean(values), place - half, place + half, color=look.color, linewidth=2)
        if lost:
            where = ax.get_xaxis_transform()
            words = f"{lost} diverged"
            ax.text(place, 0.02, words, transform=where, ha="center", fontsize=9, rotation=90)

    def draw_losses(
        self,
        ax: Axes,
        settings: Sequence[str] | None = None,
        *,
        x: str = "epoch",
        ends: bool = True,
    ) -> None:
        """Training loss over ``x`` (a key of :data:`~fwrnn_core.reports.X_AXES`): mean of the
        seeds with their range; names at the ends."""
        if x not in X_AXES:
            raise unknown("x axis", x, X_AXES)
        every: list[Record] = []
        order = list(settings or self.planned)
        # A setting keeps its look whichever others have been run.
        looks = figures.looks([self.label(s) for s in order])
        for setting in order:
            runs = [r for r in self.records(setting).values() if r.status == "complete"]
            if not runs:
                continue
            name = self.label(setting)
            drawn = figures.spread([r.curve("train_loss") for r in runs], "range")
            at = np.mean([r.curve(x) for r in runs], axis=0)
            every += runs
            figures.band(ax, at, drawn, looks[name], name)
        if not ax.get_lines():
            note(ax, "no complete run yet")
        elif ends:
            figures.label_ends(ax)
        ax.set_xlabel(x_label(x, every))
        ax.set_ylabel("training loss")

    # Words

    def table(self) -> str:
        """Per setting, run or not: accuracy and difference from the base with the half-width of
        their 95 % intervals, outer updates, agreement."""
        header = [
            self.what,
            "seeds",
            "test accuracy (%)",
            "minus the base (points)",
            "updates",
            "agreement",
        ]
        rows = []
        for setting, planned in self.planned.items():
            runs, good = self.records(setting), self.accuracies(setting)
            lost = len(runs) - len(good)
            seeds = f"{len(good)} of {len(planned)}" + (f", {lost} diverged" if lost else "")
            if not good:
                what = "diverged" if lost else "not run yet"
                rows.append([self.label(setting), seeds, what, *["–"] * 3])
                continue
            done = [r for r in runs.values() if r.status == "complete"]
            difference = self.compare(setting)
            shown = str(difference) if difference.n else "–"
            rows.append(
                [
                    self.label(setting),
                    seeds,
                    str(estimate(list(good.values()))),
                    "base" if setting == self.base else shown,
                    f"{np.mean([r.curve('updates')[-1] for r in done]):,.0f}",
                    f"{np.mean([np.nanmean(r.curve('agreement')) for r in done]):.2f}",
                ]
            )
        return markdown_table(header, rows)

    def reading(self) -> str:
        """What the records allow to say about this series, as Markdown."""
        means = {
            s: float(np.mean(list(a.values())))
            for s in self.planned
            if len(a := self.accuracies(s)) >= 2
        }
        if len(means) < 2:
            return "Nothing can be read yet: that takes two settings with two seeds each."
        parts = []
        best = max(means, key=lambda s: means[s])
        parts.append(f"- Highest mean: {self.label(best)}, {means[best]:.2f} %.")
        if self.base in means:
            others = [s for s in means if s != self.base]
            parts += self._against_base(others)
            if by_loss := self._by_loss(others):
                parts.append(f"- {by_loss}")
        parts += self._lost()
        if (noise := self.rounding()) is not None:
            parts.append(noise)
        return "\n".join(parts)

    def _against_base(self, others: Iterable[str]) -> list[str]:
        tests = {s: self.compare(s) for s in others}
        base, lines = self.label(self.base), []
        words = {1: f"Above the base setting, {base}", -1: f"Below the base setting, {base}"}
        for side, text in words.items():
            members = [f"{self.label(s)} {t}" for s, t in tests.items() if t.side == side]
            if members:
                lines.append(f"- {text}: {'; '.join(members)} points.")
        undecided = [self.label(s) for s, t in tests.items() if t.side == 0]
        if undecided:
            lines.append(f"- No detectable difference from {base}: {'; '.join(undecided)}.")
        return lines

    def _by_loss(self, others: Iterable[str]) -> str:
        """The same by validation loss, which decides more: it is no count of right answers. Empty
        where no validation part was kept."""
        base = self.losses(self.base)
        tests = {self.label(s): paired(self.losses(s), base) for s in others}
        tests = {s: t for s, t in tests.items() if t.n >= 2}
        return by_loss(tests) if tests else ""

    def brief(self) -> str:
        """The reading in two sentences, for the top of a page."""
        others = [s for s in self.planned if s != self.base and len(self.accuracies(s)) >= 2]
        base, seeds = self.label(self.base), len(self.accuracies(self.base))
        if seeds < 2 or not others:
            return f"Not enough runs yet to compare any setting with the base setting, {base}."
        tests = {self.label(s): self.compare(s) for s in others}
        first = by_accuracy(tests, self.what, base, seeds)
        return f"{first} {self._by_loss(others)}".strip()

    def _lost(self) -> list[str]:
        lost = {s: len(self.records(s)) - len(self.accuracies(s)) for s in self.planned}
        words = [f"{self.label(s)} ({n} of {len(self.planned[s])})" for s, n in lost.items() if n]
        return [f"- Diverged: {', '.join(words)}."] if words else []

    def rounding(self) -> str | None:
        """How far runs of one and the same config lie apart, as a line; None without a repeat.

        The base setting belongs to every series and is trained once for each. Under the same
        sources and on the same processor the runs agree to the last digit; where numbers are
        added in another order they differ, and by how much is a yardstick for every other
        difference.
        """
        spans, repeats, different = [], 0, 0
        for seed in self.planned[self.base]:
            curves = []
            for series, setting in BASE.items():
                record = self.evidence.complete(f"ablations/{series}/{setting}/seed-{seed}")
                if record is not None:
                    best = 100 * record.at_best_validation("test_accuracy")
                    curves.append((best, *record.curve("test_accuracy")))
            if len(curves) > 1:
                spans.append(max(curves)[0] - min(curves)[0])
                repeats, different = max(repeats, len(curves)), max(different, len(set(curves)))
        if not spans:
            return None
        start = f"- A yardstick: the base setting is trained once for each of {repeats} series"
        if different == 1:
            return f"{start}, and the runs agree to the last digit."
        return (
            f"{start}. Runs with the same sources and processor agree to the last digit. Other "
            f"processors or versions give up to {different} different results per seed, which lie "
            f"up to {max(spans):.2f} points apart."
        )

    def contrast(self, setting: str, other: str, above: str, below: str, neither: str) -> str:
        """One of three sentences by the paired interval of ``setting`` − ``other``.

        ``{difference}`` in a sentence stands for the difference and its interval, in points.
        """
        difference = self.compare(setting, other)
        if difference.n < 2:
            return (
                f"Whether {self.label(setting)} differs from {self.label(other)} cannot be read "
                f"yet: {difference.n} of {len(self.planned[setting])} seeds have both runs."
            )
        words = {1: above, -1: below, 0: neither}[difference.side]
        return words.format(difference=f"{difference} points")

    def pairs(self, pairs: Mapping[str, tuple[str, str]]) -> str:
        """First less second setting of each pair, in points, as a list; gaps say that they are."""
        lines = []
        for name, (one, other) in pairs.items():
            difference = self.compare(one, other)
            if difference.n < 2:
                lines.append(f"- {name}: not both run yet.")
            elif difference.difference == difference.low == difference.high == 0:
                lines.append(f"- {name}: no difference in any seed.")
            else:
                verdict = {1: "better", -1: "worse", 0: "undecided"}[difference.side]
                lines.append(f"- {name}: {difference} points, {verdict}.")
        return "\n".join(lines)
