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
from fwrnn_core.evidence import Coverage, Evidence
from fwrnn_core.fairness import (
    Paired,
    adjusted_p,
    differences,
    empty,
    estimate,
    on_side,
    p_value,
    paired,
)
from fwrnn_core.reports import draw_groups, markdown_table, note, seeds_done
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
    "options": "default",
    "spectral": "default",
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
        return self.coverage().words(f"fwrnn train 'ablations/{self.name}/*' --jobs 2")

    def records(self, setting: str) -> dict[int, Record]:
        """The finished runs of one setting by seed, diverged ones too."""
        return self.evidence.finished(self.planned[setting])

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

    def draw(self, ax: Axes) -> None:
        """A dot per seed, a bar at the mean, one place per setting; a thin line joins each seed's
        dots. Gaps say that they are."""
        order = list(self.planned)
        looks = figures.LOOKS[:1] * len(order)
        self._places(ax, [dict(enumerate(order))], looks, 0.25, order)

    def draw_grid(self, ax: Axes, columns: Sequence[str], rows: Mapping[str, str]) -> None:
        """As :meth:`draw` for settings named ``column-row``: rows stand side by side.

        ``rows`` maps the end of the settings' names to a label; every row has its own marker.
        """
        planned, groups = self.planned, []
        for place, column in enumerate(columns):
            beside = [f"{column}-{row}" for row in rows if f"{column}-{row}" in planned]
            start = place - 0.36 * (len(rows) - 1) / 2
            groups.append({start + 0.36 * i: setting for i, setting in enumerate(beside)})
        self._places(ax, groups, figures.LOOKS, 0.14, columns)
        if self.begun:
            for look, name in zip(figures.LOOKS, rows.values(), strict=False):
                ax.plot([], [], look.marker, color=look.color, label=name)
            ax.figure.legend(
                *ax.get_legend_handles_labels(), loc="outside lower center", ncols=len(rows)
            )

    def _places(
        self,
        ax: Axes,
        groups: Iterable[Mapping[float, str]],
        looks: Sequence[figures.Look],
        half: float,
        names: Sequence[str],
    ) -> None:
        """Settings at their places on the axis; a line joins the dots of a seed in each group, as
        the differences are taken along it. ``half`` is half the width of a bar."""
        if not self.begun:
            note(ax, "no complete run yet")
            return
        for group in groups:
            found = {place: self.accuracies(setting) for place, setting in group.items()}
            for seed in sorted({seed for values in found.values() for seed in values}):
                there = [(place, values[seed]) for place, values in found.items() if seed in values]
                ax.plot(*zip(*there, strict=True), color=figures.FAINT, linewidth=0.7, zorder=1)
            for (place, setting), look in zip(group.items(), looks, strict=False):
                values = list(found[place].values())
                lost = len(self.records(setting)) - len(values)
                if not values and not lost:
                    empty(ax, place)
                    continue
                ax.plot([place] * len(values), values, look.marker, color=look.color, alpha=0.6)
                if values:
                    ends = place - half, place + half
                    ax.hlines(np.mean(values), *ends, color=look.color, linewidth=2)
                if lost:
                    where, words = ax.get_xaxis_transform(), f"{lost} diverged"
                    ax.text(
                        place, 0.02, words, transform=where, ha="center", fontsize=9, rotation=90
                    )
        ax.set_xticks(range(len(names)), [self.label(name) for name in names])
        ax.set_xlim(-0.6, len(names) - 0.4)
        ax.set_ylabel("test accuracy (%)")

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
        groups = {
            self.label(s): [r for r in self.records(s).values() if r.status == "complete"]
            for s in settings or self.planned
        }
        if any(groups.values()):
            draw_groups(ax, groups, x, "train_loss", ends=ends)
        else:
            note(ax, "no complete run yet")

    # Words

    def table(self) -> str:
        """Per setting, run or not: accuracy and difference from the base with the half-width of
        their 95 % intervals, outer updates, agreement."""
        header = [self.what, "seeds", "test accuracy (%)", "minus the base (points)"]
        header += ["updates", "agreement"]
        rows = []
        for setting, planned in self.planned.items():
            runs, good = self.records(setting), self.accuracies(setting)
            lost = len(runs) - len(good)
            row = [self.label(setting), seeds_done(len(good), len(planned), lost)]
            if good:
                done = [r for r in runs.values() if r.status == "complete"]
                row += [
                    str(estimate(good.values())),
                    "base" if setting == self.base else str(self.compare(setting)),
                    f"{np.mean([r.curve('updates')[-1] for r in done]):,.0f}",
                    f"{np.mean([np.nanmean(r.curve('agreement')) for r in done]):.2f}",
                ]
            else:
                row += ["diverged" if lost else "not run yet", *["–"] * 3]
            rows.append(row)
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
        best = max(means, key=lambda s: means[s])
        parts = [f"- Highest mean: {self.label(best)}, {means[best]:.1f} %."]
        if self.base in means:
            others = [s for s in means if s != self.base]
            parts += self._against_base(others)
            if by_loss := self._by_loss(others):
                parts.append(f"- {by_loss}")
        lost = {s: len(self.records(s)) - len(self.accuracies(s)) for s in self.planned}
        words = [f"{self.label(s)} ({n} of {len(self.planned[s])})" for s, n in lost.items() if n]
        if words:
            parts.append(f"- Diverged: {', '.join(words)}.")
        return "\n".join(filter(None, [*parts, self.rounding()]))

    def _against_base(self, others: Iterable[str]) -> list[str]:
        tests = {s: self.compare(s) for s in others}
        base, lines = self.label(self.base), []
        for side, word in ((1, "Above"), (-1, "Below")):
            if members := [f"{self.label(s)} {tests[s]}" for s in on_side(tests, side)]:
                lines.append(f"- {word} the base setting, {base}: {'; '.join(members)} points.")
        if undecided := [self.label(s) for s in on_side(tests, 0)]:
            lines.append(f"- No detectable difference from {base}: {'; '.join(undecided)}.")
        return lines

    def _by_loss(self, others: Iterable[str]) -> str:
        """The same by validation loss, which decides more: it is no count of right answers. Empty
        where no validation part was kept."""
        tests = differences({s: self.losses(s) for s in (self.base, *others)}, self.base, 2)
        return by_loss({self.label(s): test for s, test in tests.items()}) if tests else ""

    def brief(self) -> str:
        """The reading in two sentences, for the top of a page."""
        others = [s for s in self.planned if s != self.base and len(self.accuracies(s)) >= 2]
        base, seeds = self.label(self.base), len(self.accuracies(self.base))
        if seeds < 2 or not others:
            return f"Not enough runs yet to compare any setting with the base setting, {base}."
        tests = {self.label(s): self.compare(s) for s in others}
        first = by_accuracy(tests, self.what, base, seeds)
        return f"{first} {self._by_loss(others)}".strip()

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

    def compared(self, pairs: Mapping[str, tuple[str, str]]) -> str:
        """First less second setting of each pair as a table: test accuracy, and validation loss
        with its p, adjusted for the number of pairs; empty before a pair shares two seeds."""
        losses = {
            name: paired(self.losses(one), self.losses(other))
            for name, (one, other) in pairs.items()
        }
        if all(test.n < 2 for test in losses.values()):
            return ""
        adjusted = adjusted_p(losses)
        rows = [
            [
                name,
                str(losses[name].n),
                self.compare(one, other).rounded(1),
                losses[name].rounded(3),
                p_value(adjusted[name]),
            ]
            for name, (one, other) in pairs.items()
        ]
        header = ["", "seeds", "test accuracy (points)", "validation loss", "p of the loss (Holm)"]
        return markdown_table(header, rows)
