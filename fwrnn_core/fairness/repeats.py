"""Table III's plain rows in the authors' settings with further seeds: what is a seed's luck.

Adam and the other rows of one seed begin at the same weights, so differences are taken seed by
seed. A run's accuracy is read in two ways: at its best epoch, as the paper does, and at its last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fwrnn_core import figures
from fwrnn_core.evidence import Coverage, Evidence
from fwrnn_core.experiments.published import REPEATED, repeats
from fwrnn_core.fairness.search import TASKS, empty
from fwrnn_core.fairness.statistics import (
    Paired,
    differences,
    estimate,
    from_zero,
    on_side,
    paired,
    signed,
)
from fwrnn_core.reports import (
    best_accuracy,
    is_ours,
    last_accuracy,
    listed,
    markdown_table,
    published,
    seeds_done,
    short,
    tail_accuracy,
)
from fwrnn_core.training import Record
from fwrnn_core.wording import counted, label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

YARDSTICK = "adam"
ENOUGH = 3  # seeds, from which on an interval is worth showing
Reading = Callable[[Record], float]
Terms = Sequence[tuple[int, str]]  # sign, name of a published run
READINGS: dict[str, tuple[str, Reading]] = {
    "best": ("best epoch", best_accuracy),
    "last": ("last epoch", last_accuracy),
    "tail": ("mean of the last epochs", tail_accuracy),
}


def repeated_runs(evidence: Evidence, name: str) -> dict[int, Record]:
    """The complete runs of a published setting by seed, the published seed too.

    A diverged run has no last epoch, and its best is of a part: it is left out of every number and
    counted by :func:`diverged_runs`, so that what is shown can say so.
    """
    found = (evidence.complete(n) for n in repeats(name))
    return {r.config.seed: r for r in found if r is not None}


def diverged_runs(evidence: Evidence, name: str) -> int:
    """How many runs of a published setting diverged, of all its seeds."""
    return len(evidence.coverage(repeats(name)).names("diverged"))


def repeated(evidence: Evidence, task: str, method: str, reading: str = "best") -> dict[int, float]:
    """Test accuracy in per cent by seed, the published seed too; complete runs only.

    ``reading`` is a key of :data:`READINGS`.
    """
    runs = repeated_runs(evidence, f"{task}/published/{method}")
    return {seed: READINGS[reading][1](run) for seed, run in runs.items()}


def repeated_lead(evidence: Evidence, task: str, method: str, reading: str = "best") -> Paired:
    """Test accuracy minus Adam's in points, over the seeds that both have."""
    ours, base = (repeated(evidence, task, m, reading) for m in (method, YARDSTICK))
    return paired(ours, base)


def repeated_leads(evidence: Evidence, task: str, reading: str = "best") -> dict[str, Paired]:
    """:func:`repeated_lead` of every repeated row that shares :data:`ENOUGH` seeds with Adam."""
    found = {m: repeated(evidence, task, m, reading) for m in REPEATED}
    return differences(found, YARDSTICK, ENOUGH)


def repeated_words(evidence: Evidence, task: str, method: str, reading: str = "best") -> str:
    """:func:`repeated_lead` with the number of seeds; the interval from :data:`ENOUGH` of them on.

    A dash where no seed has both runs.
    """
    lead = repeated_lead(evidence, task, method, reading)
    if not lead.n:
        return str(lead)
    value = lead.rounded(1) if lead.n >= ENOUGH else signed(lead.difference, 1)
    return f"{value} points with {counted(lead.n, 'seed')}"


def repeat_coverage(evidence: Evidence, *tasks: str) -> Coverage:
    """State of the runs with further seeds on the given tasks."""
    every = (repeats(f"{task}/published/{m}")[1:] for task in tasks for m in REPEATED)
    return evidence.coverage(name for names in every for name in names)


def repeat_table(evidence: Evidence, task: str) -> str:
    """Accuracy at the best and at the last epoch, and both minus Adam's; a row per repeated method,
    ± the half-width of the 95 % interval."""
    header = ["Method", "seeds", "best epoch (%)", "minus Adam", "last epoch (%)", "minus Adam"]
    rows = []
    for method in REPEATED:
        name = f"{task}/published/{method}"
        good, lost = len(repeated_runs(evidence, name)), diverged_runs(evidence, name)
        row = [label(method), seeds_done(good, len(repeats(name)), lost)]
        for reading in ("best", "last"):
            lead = repeated_lead(evidence, task, method, reading)
            row.append(str(estimate(repeated(evidence, task, method, reading).values())))
            row.append("–" if method == YARDSTICK else str(lead))
        rows.append(row)
    return markdown_table(header, rows)


def repeat_figure(evidence: Evidence) -> Figure | None:
    """Difference to Adam of each repeated row, a dot per seed, mean and 95 % interval: at the best
    and at the last epoch, for each task with enough seeds; None while there is none."""
    from matplotlib.figure import Figure

    tasks = [task for task in TASKS if repeated_leads(evidence, task)]
    if not tasks:
        return None
    methods = [m for m in REPEATED if m != YARDSTICK]
    fig = Figure(figsize=(figures.WIDTH, 2.5 * len(tasks)))
    for line, task in zip(
        fig.subplots(len(tasks), 2, sharey=True, squeeze=False), tasks, strict=True
    ):
        for ax, reading in zip(line, ("best", "last"), strict=True):
            for row, method in enumerate(methods):
                both = (repeated(evidence, task, m, reading) for m in (method, YARDSTICK))
                draw_row(ax, row, method, *both)
            finish_rows(ax, methods)
            ax.set_title(f"{TASKS[task]}, {READINGS[reading][0]}")
            if task == tasks[-1]:
                ax.set_xlabel("accuracy minus Adam (points)")
    return fig


def draw_row(
    ax: Axes, row: int, method: str, own: Mapping[int, float], base: Mapping[int, float]
) -> None:
    """One method's differences by seed in a row: faint dots, their mean, its 95 % interval."""
    values = [own[seed] - base[seed] for seed in sorted(own.keys() & base.keys())]
    if not values:
        empty(ax, row, horizontal=True)
        return
    look = figures.LOOKS[0 if is_ours(method) else 1]
    ax.plot(values, [row] * len(values), "o", color=figures.FAINT, markersize=3.5, zorder=2)
    test = from_zero(values)
    if not math.isnan(test.low):
        ax.hlines(row, test.low, test.high, color=look.color, linewidth=1.8)
    ax.plot([test.difference], [row], look.marker, color=look.color, markersize=7, zorder=3)


def finish_rows(ax: Axes, methods: list[str]) -> None:
    """Names of the rows from above to below, the line at zero, and which side of it is better."""
    ax.axvline(0, color=figures.INK, linewidth=0.8)
    ax.set_yticks(range(len(methods)), map(label, methods))
    ax.set_ylim(len(methods) - 0.4, -1.1)
    low, high = ax.get_xlim()
    room = 0.3 * (high - low)  # for the words, where all rows lie on one side
    ax.set_xlim(min(low, -room), max(high, room))
    for side, words in ((-1, "worse ←"), (1, "→ better")):
        ax.annotate(
            words,
            (0, -0.85),
            (4 * side, 0),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="center",
            color=figures.MUTED,
            fontsize=9,
        )


def repeat_reading(evidence: Evidence, task: str) -> str:
    """What the seeds of one task decide, as sentences; empty before there are enough."""
    parts = []
    for reading in ("best", "last"):
        tests = repeated_leads(evidence, task, reading)
        if tests:
            parts.append(f"at the {READINGS[reading][0]}, {sides(tests)}")
    if not parts:
        return ""
    most = max(t.n for t in repeated_leads(evidence, task).values())
    text = f"**{TASKS[task]}, {most} seeds.** Against Adam, in points: {'; '.join(parts)}."
    # K = 5 against K = 1, which share rate and minibatches.
    more = {
        where: paired(*(repeated(evidence, task, m, reading) for m in ("fw-k5", "fw-k1")))
        for reading, (where, _) in READINGS.items()
    }
    if any(lead.n < ENOUGH for lead in more.values()):
        return text
    said = [f"{lead.rounded(1)} ({where})" for where, lead in more.items()]
    return (
        f"{text} K = 5 minus K = 1, with the same learning rate and minibatches: {listed(said)}."
        " Each update of K = 5 averages five minibatches."
    )


def sides(tests: Mapping[str, Paired]) -> str:
    """Which methods are ahead, which behind, and for which the seeds leave both open.

    >>> sides({"fw-k1": Paired(2.0, 1.0, 3.0, 0.01, 3), "fw-k5": Paired(0.5, -1.0, 2.0, 0.4, 3)})
    'K = 1 (+2.0 ± 1.0) is ahead, and K = 5 (+0.5 ± 1.5) shows no detectable difference'
    """
    verbs = {
        1: ("is ahead", "are ahead"),
        -1: ("is behind", "are behind"),
        0: ("shows no detectable difference", "show no detectable difference"),
    }
    said = []
    for side, verb in verbs.items():
        who = [f"{short(label(m))} ({tests[m].rounded(1)})" for m in on_side(tests, side)]
        if who:
            said.append(f"{listed(who)} {verb[len(who) > 1]}")
    return ", and ".join(said)


def printed_lead(task: str, method: str) -> float:
    """What the paper's Table III has a method ahead of Adam, in points.

    >>> round(printed_lead("noisy-har2", "fw-k10"), 2)
    15.14
    """
    rows = published()["table3"]
    return float(rows[method][task]["accuracy"] - rows[YARDSTICK][task]["accuracy"])


def published_finding(evidence: Evidence) -> str:
    """Whether the two main leads of Table III come back, in sentences; empty without their runs.

    A lead counts by its interval from :data:`ENOUGH` seeds on, and by its sign before.
    """
    said = []
    for where, task, method in (
        ("under noise", "noisy-har2", "fw-k10"),
        ("on clean data", "har2", "fw-k5"),
    ):
        lead = repeated_lead(evidence, task, method)
        if not lead.n:
            return ""
        side = lead.side if lead.n >= ENOUGH else int(lead.difference > 0) or -1
        verb = {1: "comes back", 0: "is undecided", -1: "does not come back"}[side]
        text = (
            f"{where} {verb}: {short(label(method))} minus Adam is"
            f" {repeated_words(evidence, task, method)} (in the paper"
            f" {signed(printed_lead(task, method), 1)})"
        )
        # K = 10 has other minibatches and another learning rate than Adam, K = 5 has not.
        if method != "fw-k5" and repeated_lead(evidence, task, "fw-k5").n:
            text += (
                ". With K = 5, which has Adam's learning rate and minibatches, it is"
                f" {repeated_words(evidence, task, 'fw-k5')}"
            )
        said.append(text)
    return f"**In the authors' own settings** the lead {'. The lead '.join(said)}."


def diverged(evidence: Evidence, names: Iterable[str]) -> str:
    """Which published settings diverged, with how many of their seeds; empty where none did.

    Diverged runs are in no :func:`difference`: wherever one is shown, this stands beside it.
    """
    said = []
    for name in names:
        count, seeds = diverged_runs(evidence, name), len(repeats(name))
        if count:
            what = f"{name.rpartition('/')[2]} diverged"
            said.append(f"{what} with {count} of {seeds} seeds" if seeds > 1 else what)
    return ", ".join(said)


def difference(evidence: Evidence, terms: Terms, what: Reading = best_accuracy) -> Paired:
    """The terms added up over the seeds with which all of them are complete.

    The interval is that of the paired t-test from :data:`ENOUGH` seeds on. With fewer it rests on
    the deviation of a single run, pooled over the repeated rows of the same table: NaN where
    nothing was repeated.
    """
    runs = [repeated_runs(evidence, name) for _, name in terms]
    seeds = sorted(set.intersection(*map(set, runs)))
    found = from_zero(
        [sum(s * what(of[n]) for (s, _), of in zip(terms, runs, strict=True)) for n in seeds]
    )
    if not seeds or len(seeds) >= ENOUGH:
        return found
    half = _stand_in(evidence, terms, len(seeds), what)
    mean = found.difference
    return found._replace(low=mean - half, high=mean + half, p=math.nan)


def _stand_in(evidence: Evidence, terms: Terms, seeds: int, what: Reading) -> float:
    from scipy.stats import t

    found = [deviation(evidence, name.partition("/")[0], what) for _, name in terms]
    freedom = min(freedom for _, freedom in found)
    variance = sum(d**2 for d, _ in found) / seeds
    return float(t.ppf(0.975, freedom)) * math.sqrt(variance) if freedom else math.nan


def deviation(evidence: Evidence, task: str, what: Reading = best_accuracy) -> tuple[float, int]:
    """Standard deviation of one run over seeds in points, pooled over the repeated rows of a task,
    and its degrees of freedom; (nan, 0) where no row was repeated."""
    squares, freedom = 0.0, 0
    for row in REPEATED:
        values = [what(r) for r in repeated_runs(evidence, f"{task}/published/{row}").values()]
        if len(values) > 1:
            squares += float(np.var(values, ddof=1)) * (len(values) - 1)
            freedom += len(values) - 1
    return (math.sqrt(squares / freedom), freedom) if freedom else (math.nan, 0)
