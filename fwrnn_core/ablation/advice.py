"""Which settings to take, as the ablations' records decide it: one rule, one table.

The setting is chosen on the validation loss, the accuracy on the test set is only reported: a
setting that was picked for its test accuracy would look better than it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fwrnn_core.ablation.series import Series
from fwrnn_core.ablation.words import counted, predicate
from fwrnn_core.evidence import Evidence
from fwrnn_core.fairness import Paired, estimate, paired, pooled_p, signed
from fwrnn_core.reports import listed, markdown_table, same_machine, seconds_per_epoch

ADVICE_RULE = (
    "- Settings are chosen on the validation loss: each run's lowest, averaged over the seeds. The "
    "test set decides nothing; the accuracy shown is that of the setting taken, at the epoch of "
    "its lowest validation loss.\n"
    "- The setting with the lowest loss replaces the default only if the paired t-test of their "
    "difference, adjusted for the number of alternatives to the default (Holm), has p ≤ 0.05. "
    "Those of an argument with two rows are counted together.\n"
    "- Where the 95 % interval of that difference excludes zero, but only before the adjustment, "
    "the setting is *worth trying*, and is listed among the undecided ones.\n"
    "- The others are *worse* where the interval of their difference from the setting taken lies "
    "wholly on the bad side, and *undecided* otherwise. No interval is corrected for the number "
    "of comparisons."
)
LEVEL = 0.05  # of p, adjusted


@dataclass(frozen=True)
class Decision:
    """One argument of the optimizer and the part of a series that is about it.

    Attributes
    ----------
    argument : name of the argument of :class:`~fwrnn_core.FrankWolfe`
    series : the recorded runs; their base setting is the optimizer's default
    page : the ablation's page, as a target of the ``doc`` role in ``notebooks/``
    values : what is typed for a setting, by the setting's name in the series; the order is kept
    rivals : the argument's other rows, whose alternatives count where p is adjusted
    """

    argument: str
    series: Series
    page: str
    values: Mapping[str, str]
    rivals: tuple[Decision, ...] = ()

    def losses(self) -> dict[str, dict[int, float]]:
        """Lowest validation loss by setting and seed, as :meth:`Series.losses` has it."""
        return {setting: self.series.losses(setting) for setting in self.values}

    def against(self, setting: str) -> dict[str, tuple[int, Paired]]:
        """Per other setting with two seeds: 1 where its validation loss is worse than that of
        ``setting`` or a run diverged, −1 where it is better, 0 where that is undecided; and its
        paired difference in that loss."""
        losses = self.losses()
        tests = {
            s: paired(found, losses[setting])
            for s, found in losses.items()
            if s != setting and len(found) >= 2
        }
        return {s: (1 if math.inf in losses[s].values() else t.side, t) for s, t in tests.items()}

    def adjusted(self, setting: str) -> float:
        """p of a setting against the default in validation loss, adjusted for the number of
        alternatives that the argument has (Holm)."""
        rows = {
            str(row): {s: test for s, (_, test) in made.against(made.series.base).items()}
            for row, made in enumerate((self, *self.rivals))
        }
        return pooled_p(rows)["0", setting]

    @property
    def lowest(self) -> str | None:
        """The setting with the lowest validation loss; None where fewer than two settings, or not
        the default, have two seeds."""
        means = {s: np.mean(list(v.values())) for s, v in self.losses().items() if len(v) >= 2}
        if len(means) < 2 or self.series.base not in means:
            return None
        return min(means, key=lambda s: means[s])

    @property
    def taken(self) -> str | None:
        """The setting to take: the default stays unless the one with the lowest loss is better
        after the adjustment. None while there are too few runs."""
        best, base = self.lowest, self.series.base
        if best is None or best == base:
            return best
        return best if self.adjusted(best) <= LEVEL else base

    @property
    def tempting(self) -> str | None:
        """The setting with the lowest loss where it is better than the default before the
        adjustment alone: worth trying, but not established. None where there is no such one."""
        best, base = self.lowest, self.series.base
        if best is None or best == self.taken:
            return None
        return best if paired(self.losses()[best], self.losses()[base]).side < 0 else None

    def typed(self, setting: str) -> str:
        """A setting as it is typed, in code font."""
        return f"`{self.argument}={self.values[setting]}`"

    def cost(self, setting: str) -> float:
        """Seconds of one epoch, mean over the seeds; NaN where they ran on unlike machines."""
        runs = list(self.series.records(setting).values())
        if not runs or not same_machine(runs):
            return float("nan")
        return float(np.mean([seconds_per_epoch(r) for r in runs]))

    def row(self) -> list[str]:
        """The decision's row in :func:`advice`."""
        # A long name may break after its underscore; the table would be wider than the page.
        name, taken = self.argument.replace("_", "_\N{ZERO WIDTH SPACE}"), self.taken
        link = f"{{doc}}`{name} <{self.page}>`"
        if taken is None:
            return [link, "not run yet", *["–"] * 4]
        default = " (the default)" if taken == self.series.base else ""
        try_too = f"<br>worth trying: `{self.values[self.tempting]}`" if self.tempting else ""
        others = self.against(taken)
        return [
            link,
            f"`{self.values[taken]}`{default}{try_too}",
            self._listed({s: t for s, (side, t) in others.items() if side <= 0}),
            self._listed({s: t for s, (side, t) in others.items() if side > 0}),
            str(estimate(self.series.accuracies(taken).values())),
            self._seconds(taken),
        ]

    def _listed(self, settings: Mapping[str, Paired]) -> str:
        items = []
        for setting, test in settings.items():
            value = self.values[setting]
            # Short values stay beside their number; the long ones would make the table too wide.
            gap = "\N{NO-BREAK SPACE}" if len(value) < 12 else " "
            items.append(f"`{value}`{gap}{signed(test.difference, 3) if test.n else 'diverged'}")
        return "<br>".join(items) or "–"

    def _seconds(self, taken: str) -> str:
        spent, usual = self.cost(taken), self.cost(self.series.base)
        if np.isnan(spent):
            return "–"
        more = "" if taken == self.series.base or np.isnan(usual) else f" (default {usual:.2f})"
        return f"{spent:.2f}{more}"


def decisions(evidence: Evidence | None = None) -> list[Decision]:
    """All decisions that the ablations bear on, in the order in which a user meets them.

    >>> [d.argument for d in decisions()][-4:]
    ['step_size', 'gradient_momentum', 'solver', 'adaptive']
    """
    known = evidence or Evidence()
    inner_steps = {k: k for k in ("1", "2", "5", "10", "30")}
    # None is δ = lr, and lr is 0.001 in all these runs.
    radii = {r: r for r in ("1e-05", "0.0001", "0.001", "0.01", "0.1")} | {"0.001": "None"}
    norms = {f"{p}-tensor": p for p in ("1", "1.5", "2", "3")}
    norms |= {"inf-tensor": "math.inf", "spectral-tensor": '"spectral"'}
    # Of a series of their own, with runs of the default beside them.
    matrices = {"default": "2", "newton-schulz": '"newton-schulz"', "nuclear": '"nuclear"'}
    options = {
        "step_size": {"default": '"1/k"', "step-size": '"2/(k+1)"'},
        "gradient_momentum": {"default": "0.0", "gradient-momentum": "0.5"},
        "solver": {"default": '"frank-wolfe"', "projected-gradient": '"projected-gradient"'},
        "adaptive": {"default": "None", "adaptive": '"agreement"'},
    }
    outer = {"none": "None", "sgd": "torch.optim.SGD", "adam": "torch.optim.Adam"}
    plan: list[tuple[str, str, str, dict[str, str]]] = [
        ("inner_steps", "inner-steps", "inner_steps", inner_steps),
        ("radius", "radius", "radius", radii),
        ("norm", "norm", "norm_and_scope", norms),
        ("norm", "options", "options", matrices),
        ("scope", "norm", "norm_and_scope", {f"2-{s}": f'"{s}"' for s in ("tensor", "global")}),
        ("trajectory", "trajectory", "trajectory", {s: f'"{s}"' for s in ("paper", "released")}),
        ("outer", "outer", "outer", outer),
        *((argument, "options", "options", values) for argument, values in options.items()),
    ]
    made = [
        Decision(argument, Series(name, argument, evidence=known), f"ablations/{page}", values)
        for argument, name, page, values in plan
    ]
    return [
        replace(one, rivals=tuple(d for d in made if d is not one and d.argument == one.argument))
        for one in made
    ]


def advice(made: Sequence[Decision]) -> str:
    """The decision table as Markdown: what to take, its accuracy, the alternatives, the cost."""
    header = ["argument", "take", "undecided", "worse", "test accuracy (%)", "s per epoch"]
    return markdown_table(header, [d.row() for d in made], texts=4)


def verdict(made: Sequence[Decision]) -> str:
    """What the table comes to, in a few sentences: what to change, to try and to avoid."""
    if all(d.taken is None for d in made):
        return "Nothing can be said yet: that takes two settings with two seeds each."
    changed = [
        f"{d.typed(taken)} (p = {d.adjusted(taken):.3f} after correction)"
        for d in made
        if (taken := d.taken) is not None and taken != d.series.base
    ]
    if changed:
        parts = [f"**Take {listed(changed)}, and keep every other default.**"]
    else:
        parts = ["**Keep every default.**"]
    for d in made:
        if (setting := d.tempting) is not None:
            gain = paired(d.losses()[setting], d.losses()[d.series.base]).rounded(3)
            parts.append(
                f"{d.typed(setting)} is worth trying (validation loss {gain}; "
                f"p = {d.adjusted(setting):.3f} after correction)."
            )
    avoid: dict[bool, list[str]] = {True: [], False: []}
    for d in (d for d in made if d.taken is not None):
        losses = d.losses()
        for setting, (side, _) in d.against(d.series.base).items():
            if side > 0:
                diverged = math.inf in losses[setting].values()
                avoid[diverged or d.adjusted(setting) <= LEVEL].append(d.typed(setting))
    if avoid[True]:
        parts.append(f"Avoid {listed(avoid[True])}.")
    if avoid[False]:
        parts.append(
            f"At this learning rate {predicate(avoid[False], 'worse')}, though not after the "
            "correction for several comparisons."
        )
    return " ".join(parts)


def fresh_seeds(evidence: Evidence | None = None) -> str:
    """What the runs with seeds of their own say of the spectral ball and of K = 1 in it, in two
    sentences; empty where fewer than two seeds have both runs."""
    series, said, seeds = Series("spectral", "ball", evidence=evidence or Evidence()), [], 0
    ball = "newton-schulz"
    for verb, other in (("is", "default"), ("are", f"{ball}-k1")):
        test = paired(series.losses(ball), series.losses(other))
        if test.n < 2:
            return ""
        seeds = test.n
        found = {-1: f"{verb} better than", 1: f"{verb} worse than", 0: "cannot be told from"}
        numbers = f"validation loss {test.rounded(3)}, test accuracy "
        numbers += f"{series.compare(ball, other).rounded(1)} points"
        said.append((found[test.side], numbers))
    (default, against_default), (one, against_one) = said
    return (
        f"Trained with {counted(seeds, 'seed')} that had no part in choosing it, the spectral ball "
        f'(`norm="{ball}"`) {default} the default one ({against_default}). Five inner steps in it '
        f"{one} one ({against_one})."
    )


def gain_and_cost(made: Decision, setting: str, name: str) -> str:
    """Training loss, test accuracy and seconds of a setting beside the others of its series, in
    three sentences; empty where it or the base setting has fewer than two complete runs. ``name``
    is what a reader calls the setting in the middle of a sentence.
    """
    series, ends = made.series, {}
    for each in series.planned:
        runs = [r for r in series.records(each).values() if r.status == "complete"]
        if len(runs) >= 2:
            ends[each] = float(np.mean([r.curve("train_loss")[-1] for r in runs]))
    if setting not in ends or series.base not in ends:
        return ""
    least = min(loss for each, loss in ends.items() if each != setting)
    lowest = ends[setting] < least
    difference, spent = series.compare(setting), (made.cost(setting), made.cost(series.base))
    verdict = {
        1: f"Its test accuracy is higher than the base setting's ({difference} points)",
        -1: f"Its test accuracy is lower than the base setting's ({difference} points)",
        0: f"Its {'lead' if difference.difference > 0 else 'deficit'} in test accuracy "
        f"({difference} points against the base setting) is undecided",
    }[difference.side]
    cost = f" One epoch takes {spent[0]:.2f} s instead of {spent[1]:.2f} s."
    reached = f"reaches {'the lowest' if lowest else 'a'} training loss{',' if lowest else ' of'}"
    return (
        f"{name[:1].upper()}{name[1:]} {reached} {ends[setting]:.3f} in the last epoch as a mean "
        f"of the seeds ({'next lowest' if lowest else 'lowest'}: {least:.3f}). {verdict}."
        f"{'' if np.isnan(spent).any() else cost}"
    )


def once(runs: Mapping[str, str], evidence: Evidence | None = None) -> str:
    """Runs of one seed and no validation set, as a Markdown table: accuracy at the *last* epoch.
    ``runs`` is what a reader calls each, by its name in the catalogue.

    The last epoch is fixed beforehand, so the test set chooses nothing here either. A run without a
    complete record is left out.

    >>> once({}, Evidence({}))
    'Not run yet.'
    """
    known, rows = evidence or Evidence(), []
    for name, label in runs.items():
        record = known.complete(name)
        if record is None:
            continue
        agreement = record.curve("agreement")
        rows.append(
            [
                label,
                f"{record.body['data']['train']:,}",
                f"{record.config.batch_size:,}",
                f"{100 * record.curve('test_accuracy')[-1]:.2f}",
                f"{record.curve('updates')[-1]:,.0f}",
                f"{np.nanmean(agreement):.2f}" if np.isfinite(agreement).any() else "–",
            ]
        )
    if not rows:
        return "Not run yet."
    header = ["run", "windows", "minibatch", "test accuracy (%)", "updates", "agreement"]
    return markdown_table(header, rows)
