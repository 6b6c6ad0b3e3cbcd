"""The final runs: Table III once more, every method tuned alike, over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fwrnn_core import figures
from fwrnn_core.evidence import Coverage, Evidence
from fwrnn_core.experiments import fair
from fwrnn_core.fairness.search import TASKS, empty, is_ours, label, search_coverage
from fwrnn_core.fairness.statistics import Paired, estimate, first_reaching, from_zero, holm, paired
from fwrnn_core.reports import markdown_table
from fwrnn_core.training import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BASELINE = "adam-clip"
LEVEL = 0.90  # test accuracy whose cost is compared


def final_names(task: str, method: str) -> dict[int, str]:
    """Planned final runs by seed, whether or not the search has settled what they are."""
    seeds = range(1, fair.SEEDS[task] + 1)
    return {seed: f"fair/{task}/final/{method}/seed-{seed}" for seed in seeds}


def finals(evidence: Evidence, task: str, method: str) -> dict[int, Record]:
    """The finished final runs by seed, diverged ones too."""
    found = {s: evidence.record(name) for s, name in final_names(task, method).items()}
    return {s: r for s, r in found.items() if r is not None and r.status != "partial"}


def accuracies(evidence: Evidence, task: str, method: str) -> dict[int, float]:
    """Test accuracy in per cent at the epoch chosen on validation, by seed; complete runs only."""
    return {
        seed: 100 * record.at_best_validation("test_accuracy")
        for seed, record in finals(evidence, task, method).items()
        if record.status == "complete"
    }


def final_coverage(evidence: Evidence, *tasks: str) -> Coverage:
    """State of the final runs on the given tasks."""
    return evidence.coverage(
        name for task in tasks for m in fair.METHODS for name in final_names(task, m).values()
    )


def next_command(evidence: Evidence, *tasks: str) -> str:
    """What trains the final runs; the search first, since they follow from it."""
    searched = search_coverage(evidence, *tasks)
    first = "" if searched.finished == len(searched) else "fwrnn train fair-search --jobs 2 && "
    return f"{first}fwrnn train fair --jobs 2"


def comparisons(evidence: Evidence, task: str) -> dict[str, Paired]:
    """Every other method's difference from :data:`BASELINE`, in percentage points."""
    baseline = accuracies(evidence, task, BASELINE)
    return {
        m: paired(accuracies(evidence, task, m), baseline) for m in fair.METHODS if m != BASELINE
    }


def final_table(evidence: Evidence, task: str) -> str:
    """Table III under the fair protocol: one row per method, run or not; ± is the half-width of
    the 95 % interval. The highest mean of those that have all their seeds is bold."""
    header = [
        "method",
        "seeds",
        "test accuracy (%)",
        f"minus {label(BASELINE)} (points)",
        "p",
        "p (Holm)",
    ]
    tests = comparisons(evidence, task)
    adjusted = dict(zip(tests, holm([t.p for t in tests.values()]), strict=True))
    rows, means = [], {}
    for place, method in enumerate(fair.METHODS):
        runs, good = finals(evidence, task, method), accuracies(evidence, task, method)
        lost, test = len(runs) - len(good), tests.get(method)
        planned = len(final_names(task, method))
        seeds = f"{len(good)} of {planned}"
        if len(good) == planned:
            means[place] = estimate(list(good.values())).mean
        rows.append(
            [
                label(method),
                seeds + (f", {lost} diverged" if lost else ""),
                str(estimate(list(good.values()))) if good else "not run yet" if not lost else "–",
                str(test) if test is not None and test.n else "–",
                _p(test.p) if test is not None else "–",
                _p(adjusted.get(method, math.nan)),
            ]
        )
    best = {2: max(means, key=lambda place: means[place])} if len(means) > 1 else {}
    return markdown_table(header, rows, best)


def cost_table(evidence: Evidence, task: str) -> str:
    """What it took to reach :data:`LEVEL`: median over the finished seeds, how many got there."""
    level = f"to {100 * LEVEL:.0f} %"
    header = ["method", "got there", "epochs", f"gradients {level}", f"seconds {level}"]
    rows = []
    for method in fair.METHODS:
        records = list(finals(evidence, task, method).values())
        if not records:
            rows.append([label(method), "not run yet", *["–"] * 3])
            continue
        reached = sum(math.isfinite(first_reaching(r)) for r in records)
        costs = [_median(records, x) for x in ("epoch", "gradient_evaluations", "seconds")]
        rows.append([label(method), f"{reached} of {len(records)}", *costs])
    return markdown_table(header, rows)


def _median(records: Sequence[Record], x: str) -> str:
    """Median over the seeds, those that never get there counting as infinite."""
    median = float(np.median([first_reaching(r, x=x) for r in records]))
    if math.isfinite(median):
        return f"{median:,.0f}"
    some = any(math.isfinite(first_reaching(r)) for r in records)
    return "not by most" if some else "never"


def _p(value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def draw_differences(ax: Axes, evidence: Evidence, task: str) -> None:
    """Difference of each method from the baseline: a dot per seed, mean and 95 % interval."""
    baseline = accuracies(evidence, task, BASELINE)
    methods = [m for m in fair.METHODS if m != BASELINE]
    for row, method in enumerate(methods):
        own = accuracies(evidence, task, method)
        values = [own[s] - baseline[s] for s in sorted(set(own) & set(baseline))]
        if not values:
            empty(ax, row, horizontal=True)
            continue
        look = figures.LOOKS[0 if is_ours(method) else 1]
        ax.plot(values, [row] * len(values), "o", color=figures.FAINT, markersize=3.5, zorder=2)
        test = from_zero(values)
        if not math.isnan(test.low):
            ax.hlines(row, test.low, test.high, color=look.color, linewidth=1.8)
        ax.plot([test.difference], [row], look.marker, color=look.color, markersize=7, zorder=3)
    ax.axvline(0, color=figures.INK, linewidth=0.8)
    ax.set_yticks(range(len(methods)), [label(m) for m in methods])
    ax.set_ylim(len(methods) - 0.4, -0.6)


def reading(evidence: Evidence, task: str) -> str:
    """What the final runs of one task allow to say, by the rule of the interval, as Markdown."""
    state = final_coverage(evidence, task)
    heading = f"**{TASKS[task]}.** {state.words(next_command(evidence, task))}"
    tests = {m: t for m, t in comparisons(evidence, task).items() if t.n >= 2}
    if not tests:
        return f"{heading} Nothing can be compared with {label(BASELINE)} yet."
    groups = {
        1: "Better",
        0: "Not told apart",
        -1: "Worse",
    }
    parts = [f"Against {label(BASELINE)}, in points of test accuracy:\n"]
    for side, words in groups.items():
        members = [f"{label(m)} {t}" for m, t in tests.items() if t.side == side]
        if members:
            parts.append(f"- {words}: {'; '.join(members)}.")
    lost = [label(m) for m in _lost_to_holm(tests)]
    if lost:
        parts.append(
            f"- Adjusted for the number of comparisons (Holm), no longer told apart at the 5 % "
            f"level: {'; '.join(lost)}."
        )
    return heading + "\n\n" + "\n".join(parts)


def _lost_to_holm(tests: Mapping[str, Paired]) -> list[str]:
    """The methods that are told apart, but not when the tests are adjusted for their number."""
    adjusted = dict(zip(tests, holm([t.p for t in tests.values()]), strict=True))
    return [m for m, t in tests.items() if t.side and adjusted[m] > 0.05]


def brief(evidence: Evidence, task: str) -> str:
    """How many methods came out better and worse than the baseline, in one sentence."""
    tests = {m: t for m, t in comparisons(evidence, task).items() if t.n >= 2}
    waiting = len(fair.METHODS) - 1 - len(tests)
    rest = f"; {waiting} not run yet" if waiting else ""
    if not tests:
        return f"On {TASKS[task]} no method has been compared with {label(BASELINE)} yet."
    words = {1: "better", 0: "not told apart", -1: "worse"}
    said = []
    for side, text in words.items():
        members = [label(m) for m, t in tests.items() if t.side == side]
        named = f" ({'; '.join(members)})" if 0 < len(members) <= 3 else ""
        said.append(f"{len(members) or 'none'} {text}{named}")
    text = f"On {TASKS[task]}, against {label(BASELINE)}: {', '.join(said)}{rest}."
    if lost := _lost_to_holm(tests):
        kept = [label(m) for m, t in tests.items() if t.side and m not in lost]
        text += (
            " Adjusted for the number of comparisons (Holm), told apart:"
            f" {'; '.join(kept) or 'none'}."
        )
    return text
