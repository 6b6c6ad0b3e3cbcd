"""Equal numbers of gradients, trained: the chosen settings once more, each until it has as many as
the baseline's final runs."""

from __future__ import annotations

import math

from fwrnn_core.evidence import Evidence
from fwrnn_core.experiments import fair
from fwrnn_core.experiments.fair import BASELINE
from fwrnn_core.fairness.final import (
    accuracies,
    comparisons,
    completed,
    equal_names,
    final_names,
    finals,
    p_value,
)
from fwrnn_core.fairness.search import TASKS
from fwrnn_core.fairness.statistics import Paired, adjusted_p, estimate, paired
from fwrnn_core.fairness.words import FEWEST, in_words, named, who_differs
from fwrnn_core.reports import listed, markdown_table
from fwrnn_core.wording import label


def lengthened(evidence: Evidence, task: str) -> dict[str, Paired]:
    """What equal gradients change: accuracy with them minus accuracy with equal passes, in points,
    seed by seed, for the methods that have both and whose runs are not the same."""
    tests = {
        m: paired(accuracies(evidence, task, m, equal_names), accuracies(evidence, task, m))
        for m in fair.METHODS
        if equal_names(task, m) != final_names(task, m)
    }
    return {m: test for m, test in tests.items() if test.n}


def equal_table(evidence: Evidence, task: str) -> str:
    """One row per method that has a run of equal gradients; ± is the half-width of the 95 %
    interval, and the highest mean of those that have all their seeds is bold."""
    header = [
        "method",
        f"minus {label(BASELINE)} (points)",
        "p (Holm)",
        "test accuracy (%)",
        "minus equal passes (points)",
        "passes",
        "seeds",
    ]
    tests, changed = comparisons(evidence, task, equal_names), lengthened(evidence, task)
    adjusted = adjusted_p(tests)
    rows: list[list[str]] = []
    means: dict[int, float] = {}
    for method in fair.METHODS:
        runs, names = finals(evidence, task, method, equal_names), equal_names(task, method)
        if not runs:
            continue
        good = accuracies(evidence, task, method, equal_names)
        if len(good) == len(names):
            means[len(rows)] = estimate(list(good.values())).mean
        passes = {run.config.epochs for run in runs.values()}
        lost, same = len(runs) - len(good), names == final_names(task, method)
        rows.append(
            [
                label(method),
                str(tests[method]) if method in tests and tests[method].n else "–",
                p_value(adjusted.get(method, math.nan)),
                str(estimate(list(good.values()))) if good else "–",
                "the same runs" if same else str(changed[method]) if method in changed else "–",
                listed(sorted(map(str, passes))),
                f"{len(good)} of {len(names)}" + (f", {lost} diverged" if lost else ""),
            ]
        )
    best = {3: max(means, key=lambda place: means[place])} if len(means) > 1 else {}
    return markdown_table(header, rows, best)


def equal_reading(evidence: Evidence, task: str) -> str:
    """Who is ahead with equal gradients, what they change, and which runs are missing; empty while
    the baseline has none, or no run is another than those of equal passes."""
    base, changed = completed(evidence, task, BASELINE, equal_names), lengthened(evidence, task)
    if not base or not changed:
        return ""
    spent = [
        min(float(run.curve("gradient_evaluations")[-1]) for run in runs.values())
        for m in fair.METHODS
        if (runs := completed(evidence, task, m, equal_names))
    ]
    span = " to ".join(dict.fromkeys(f"{ends:,.0f}" for ends in (min(spent), max(spent))))
    tests = {m: t for m, t in comparisons(evidence, task, equal_names).items() if t.n >= FEWEST}
    kept = [m for m, p in adjusted_p(tests).items() if p <= 0.05]
    after = named(kept, tests) if kept else "none"
    text = (
        f"**{TASKS[task]}**, {span} gradients each. Against {label(BASELINE)}:"
        f" {who_differs(tests)}. Corrected for the number of comparisons, a difference remains for"
        f" {after}."
    )
    better, worse = ([m for m, t in changed.items() if t.side == side] for side in (1, -1))
    text += " Compared with a method's own runs of equal passes, the change in gradients"
    told = [
        f"{verb} {named(who, changed)}"
        for verb, who in (("helps", better), ("hurts", worse))
        if who
    ]
    text += f" {listed(told)}." if told else " makes no detectable difference to any method."
    return text + _missing(evidence, task)


def _missing(evidence: Evidence, task: str) -> str:
    """Which methods have no run of equal gradients, or not all; empty where nothing is missing."""
    there = {m: len(finals(evidence, task, m, equal_names)) for m in fair.METHODS}
    wanted = {m: len(equal_names(task, m)) for m in fair.METHODS}
    without = [in_words(m) for m, n in there.items() if not n]
    partly = [f"{in_words(m)} ({n} of {wanted[m]})" for m, n in there.items() if 0 < n < wanted[m]]
    said = [f"Not run: {listed(without)}"] if without else []
    said += [f"Run with only some seeds: {listed(partly)}"] if partly else []
    if not said:
        return ""
    command = f"`fwrnn train 'fair/{task}/equal/*' --jobs 2` trains what is missing"
    return f" {'. '.join(said)}; {command}."
