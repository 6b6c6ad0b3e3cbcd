"""What the fair runs say, and what they cannot say, in sentences whose words follow the records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from fwrnn_core.evidence import Evidence
from fwrnn_core.experiments import fair
from fwrnn_core.fairness.final import (
    BASELINE,
    accuracies,
    comparisons,
    completed,
    equal_missing,
    equal_names,
    final_coverage,
    gradients,
    lengthened,
)
from fwrnn_core.fairness.networks import network_leads
from fwrnn_core.fairness.search import TASKS, search_ended_early
from fwrnn_core.fairness.statistics import Paired, adjusted_p, on_side, paired, pooled_p, signed
from fwrnn_core.reports import listed, short
from fwrnn_core.wording import be, in_words, label

PLAIN = ("fw-k1", "fw-k5", "fw-k10")  # the method alone, on the plain network
CHUNKED = ("adam-tbptt", "fw-tbptt")
OTHER_CELLS = {"lstm": "LSTM", "indrnn": "IndRNN"}  # than tanh
FEWEST = 2  # seeds, below which there is no interval


def tanh(method: str) -> bool:
    """Whether a method trains the tanh network, be it in chunks or with batch norm.

    >>> tanh("fw-bn"), tanh("lstm-fw")
    (True, False)
    """
    return fair.METHODS[method][1].cell == "tanh"


def _tests(evidence: Evidence, task: str) -> dict[str, Paired]:
    return comparisons(evidence, task, fewest=FEWEST)


def named(methods: Sequence[str], tests: Mapping[str, Paired] | None = None) -> str:
    """Methods in a sentence, with their differences if ``tests`` has them.

    >>> named(["adam", "fw-k1", "fw-k5"])
    'Adam, Frank-Wolfe with K = 1 and K = 5'
    """
    parts, alone = [], False
    for method in methods:
        name = short(label(method)) if alone and method in PLAIN else in_words(method)
        alone = alone or method in PLAIN
        parts.append(f"{name} ({tests[method].rounded(1)})" if tests else name)
    return listed(parts)


def who_differs(tests: Mapping[str, Paired]) -> str:
    """Who is ahead of the baseline and who behind, by the rule of the interval.

    >>> who_differs({"adam": Paired(2.0, 1.0, 3.0, 0.01, 3)})
    'ahead is Adam (+2.0 ± 1.0)'
    """
    said = []
    for side, words in ((1, "ahead"), (-1, "behind")):
        if who := on_side(tests, side):
            said.append(f"{words} {be(len(who))} {named(who, tests)}")
    return "; ".join(said) or "no method is ahead or behind"


def _surviving(tests: Mapping[str, Paired]) -> list[str]:
    """The methods whose difference is certain also once tests are adjusted for their number."""
    return [m for m, p in adjusted_p(tests).items() if p <= 0.05]


def _lost_to_holm(tests: Mapping[str, Paired]) -> list[str]:
    """The methods whose interval leaves zero out, but not when tests are adjusted for their
    number."""
    adjusted = adjusted_p(tests)
    return [m for m, t in tests.items() if t.side and adjusted[m] > 0.05]


def brief(evidence: Evidence, task: str) -> str:
    """Who is ahead of the baseline and who behind, and what the correction leaves of it."""
    tests = _tests(evidence, task)
    name = TASKS[task]
    if not tests:
        return f"On {name}, no method has been compared with {label(BASELINE)} yet."
    leading, behind = on_side(tests, 1), on_side(tests, -1)
    nets = {
        net: own
        for cell, net in OTHER_CELLS.items()
        if (own := {m for m, (_, model, _) in fair.METHODS.items() if model.cell == cell})
        <= set(leading)
    }
    ahead = [m for m in leading if not any(m in own for own in nets.values())]
    which = "no method on the tanh network" if nets else "no method"
    text = f"On {name}, {which} is ahead of {label(BASELINE)}"
    if ahead:
        text = f"On {name}, {named(ahead, tests)} {be(len(ahead))} ahead of {label(BASELINE)}"
        if len(ahead) > 2:  # the point before a long list
            text = f"On {name}, ahead of {label(BASELINE)} are {named(ahead, tests)}"
        if others := [m for m in PLAIN if m in tests and m not in ahead]:
            text += f"; {named(others)} {be(len(others))} not"
    text += "."
    if nets:
        spans = [f"the {net} ({_span(tests, own)})" for net, own in nets.items()]
        text += f" With either optimizer {listed(spans)} {be(len(nets))} ahead."
    if behind:
        text += f" {named(behind, tests)} {be(len(behind))} behind."
    if leading or behind:
        lost = _lost_to_holm(tests)
        kept = [m for m in (*leading, *behind) if m not in lost]
        seeds = max(t.n for t in tests.values())
        text += f" Corrected for the number of comparisons (Holm, {seeds} seeds), a difference"
        text += f" remains for {named(kept) or 'none'}."
    return text


def _span(tests: Mapping[str, Paired], methods: Iterable[str]) -> str:
    """The smallest and the largest difference of several methods."""
    ends = sorted(tests[m].difference for m in methods)
    return " to ".join(dict.fromkeys(signed(end, 1) for end in (ends[0], ends[-1])))


def reading(evidence: Evidence, task: str) -> str:
    """What the final runs of one task allow to say, by the rule of the interval, as Markdown."""
    heading = f"**{TASKS[task]}.** {final_coverage(evidence, task).words()}"
    tests = _tests(evidence, task)
    if not tests:
        return f"{heading} Nothing can be compared with {label(BASELINE)} yet."
    sides = {1: "Better", 0: "No detectable difference", -1: "Worse"}
    groups = [
        f"{words}: {'; '.join(map(label, members))}"
        for side, words in sides.items()
        if (members := on_side(tests, side))
    ]
    parts = [f"Against {label(BASELINE)}:\n", f"- {'. '.join(groups)}."]
    lost = [label(m) for m in _lost_to_holm(tests)]
    if lost:
        parts.append(
            "- Adjusted for the number of comparisons (Holm), no longer detectable at the 5 % "
            f"level: {'; '.join(lost)}."
        )
    return heading + "\n\n" + "\n".join([*parts, *_strictness(tests)])


def _strictness(tests: Mapping[str, Paired]) -> list[str]:
    """How large a t value the strictest of Holm's steps asks for, beside the largest there is."""
    from scipy.stats import t as student

    proper = [t for t in tests.values() if 0 < t.p < 1]
    if not proper:
        return []
    fewest = min(t.n for t in proper)
    needed = float(student.isf(0.05 / len(tests) / 2, fewest - 1))
    largest = max(float(student.isf(t.p / 2, t.n - 1)) for t in proper)
    text = (
        f"- With {fewest} seeds and {len(tests)} comparisons even the smallest p survives the"
        f" adjustment only if its |t| is at least {needed:.1f}; the largest |t| here is"
        f" {largest:.1f}."
    )
    if largest < needed:
        text += " That none survives is then a statement about the number of seeds."
    return [text]


def both_tasks(evidence: Evidence) -> str:
    """What the adjustment makes of the differences that survive it on one task, if the comparisons
    of both tasks are counted together; empty where there is nothing to say."""
    tests = {task: _tests(evidence, task) for task in TASKS}
    if not all(tests.values()):
        return ""
    together = pooled_p(tests)
    said = []
    for task, own in tests.items():
        alone = adjusted_p(own)
        said += [
            f"from {alone[m]:.3f} to {together[task, m]:.3f} for {in_words(m)} on {TASKS[task]}"
            for m in own
            if alone[m] <= 0.05
        ]
    if not said:
        return ""
    return f"Adjusted for all {len(together)} comparisons of both data sets, p goes {listed(said)}."


def plain_finding(evidence: Evidence) -> str:
    """The method alone against clipping, on clean data and under noise; empty before the method has
    been compared on both."""
    tests = {task: _tests(evidence, task) for task in TASKS}
    if any(m not in found for found in tests.values() for m in PLAIN):
        return ""
    clean, noisy = tests.values()
    ahead = [m for m in PLAIN if clean[m].side == 1]
    text = "**With every method tuned alike** and several seeds, "
    if ahead:
        text += f"{named(ahead, clean)} {be(len(ahead))} ahead of Adam with gradient clipping on"
        text += " clean data."
    else:
        text += (
            "Frank-Wolfe on whole sequences of the plain network is not ahead of Adam with gradient"
            f" clipping on clean data (K = 5: {clean['fw-k5'].rounded(1)} points)."
        )
    ahead = [m for m in PLAIN if noisy[m].side == 1]
    if ahead:
        lost = set(ahead) <= set(_lost_to_holm(noisy))
        hedge = ", but not once corrected for the number of comparisons" if lost else ""
        text += f" Under noise {named(ahead, noisy)} {be(len(ahead))} ahead{hedge}."
    else:
        text += f" Under noise none is ahead (K = 5: {noisy['fw-k5'].rounded(1)} points)."
    return text + search_ended_early(evidence, "har2", "fw-k5")


def inner_steps_finding(evidence: Evidence) -> str:
    """More inner steps against fewer, each tuned, on all data; empty before every pair has two
    seeds."""
    found: dict[tuple[str, str, str], Paired] = {}
    for task in TASKS:
        values = {m: accuracies(evidence, task, m) for m in PLAIN}
        for fewer, more in combinations(PLAIN, 2):
            found[task, more, fewer] = paired(values[more], values[fewer])
    if any(t.n < FEWEST for t in found.values()):
        return ""
    adjusted, said = adjusted_p(found), []
    for key, test in found.items():
        if test.side:
            task, more, fewer = key
            fate = ", not after correction" if adjusted[key] > 0.05 else ""
            which = "ahead of" if test.side > 0 else "behind"
            said.append(
                f"{short(label(more))} is {which} {short(label(fewer))} on {TASKS[task]}"
                f" ({test.rounded(1)}{fate})"
            )
    text = "**More inner steps,** each *K* tuned: "
    if not said:
        return f"{text}no difference between K = 1, 5 and 10 is detectable on either data set."
    rest = len(found) - len(said)
    return (
        f"{text}{listed(said)}; no difference is detectable in the other {rest} of {len(found)}"
        " comparisons of two *K*."
    )


def truncation_finding(evidence: Evidence) -> str:
    """What truncated back-propagation has over the method alone; empty unless both optimizers with
    it have the highest means of the tanh network on all data."""
    tests = {task: _tests(evidence, task) for task in TASKS}
    for found in tests.values():
        others = [t.difference for m, t in found.items() if m not in CHUNKED and tanh(m)]
        best = max([0.0, *others])
        if any(m not in found or found[m].difference <= best for m in CHUNKED):
            return ""
    pairs = [(task, m) for task in tests for m in CHUNKED]
    lost = {task: _lost_to_holm(found) for task, found in tests.items()}
    kept = [(task, m) for task, m in pairs if tests[task][m].side == 1 and m not in lost[task]]
    which = f": {_places(kept)}" if kept else ""
    together = pooled_p(tests)
    if kept and not any(together[place] <= 0.05 for place in kept):
        which += f" (none, if all {len(together)} comparisons of both data sets are counted)"
    text = (
        "**Truncated backpropagation** (TBPTT) gives the tanh network its highest means, with"
        f" either optimizer. {len(kept) or 'None'} of its {len(pairs)} leads over clipping"
        f" survive{'s' * (len(kept) < 2)} the correction for the number of comparisons{which}."
    )
    taken = "".join(_chunks_taken(evidence, task, m) for task, m in kept)
    return text + taken + (_with_equal_gradients(evidence) if taken else "")


def _places(found: Sequence[tuple[str, str]]) -> str:
    """Pairs of task and method in a sentence."""
    return listed([f"{in_words(m)} on {TASKS[task]}" for task, m in found])


def _chunks_taken(evidence: Evidence, task: str, method: str) -> str:
    """A sentence on the gradients of chunks that a method takes from the same data as the baseline;
    empty where it does not take more."""
    taken = gradients(evidence, task)
    ratio = taken[method] / taken[BASELINE]
    if ratio < 2:
        return ""
    chunk = fair.METHODS[method][2]
    return (
        f" There {in_words(method)} takes {ratio:.0f} gradients of {chunk} time steps where"
        f" clipping takes one of {fair.WINDOW}."
    )


def _with_equal_gradients(evidence: Evidence) -> str:
    """What is left of the leads of truncation with as many gradients as the baseline's, on all data
    and not only where a lead is certain; empty before such runs."""
    said, kept = [], []
    for task, name in TASKS.items():
        tests = comparisons(evidence, task, equal_names, FEWEST)
        there = [m for m in CHUNKED if m in tests]
        if there:
            said.append(f"on {name}, {named(there, tests)}")
        certain = _surviving(tests)
        kept += [(task, m) for m in there if tests[m].side == 1 and m in certain]
    if not said:
        return ""
    verb = "survive" if len(kept) > 1 else "survives"
    return (
        f" With as many gradients as clipping, the differences are: {'; '.join(said)}. Of these,"
        f" {_places(kept) or 'none'} {verb} the correction."
    )


def equal_brief(evidence: Evidence, task: str) -> str:
    """What is certain with equal gradients, what these change, and which runs are missing; empty
    while the baseline has none, or no run is another than those of equal passes."""
    base, changed = completed(evidence, task, BASELINE, equal_names), lengthened(evidence, task)
    if not base or not changed:
        return ""
    spent = gradients(evidence, task, equal_names).values()
    span = " to ".join(dict.fromkeys(f"{end:,.0f}" for end in (min(spent), max(spent))))
    tests = comparisons(evidence, task, equal_names, FEWEST)
    told = [
        f"{verb} {named(who, changed)}"
        for verb, side in (("helps", 1), ("hurts", -1))
        if (who := on_side(changed, side))
    ]
    return (
        f"**{TASKS[task]}**, {span} gradients each. Corrected for the number of comparisons, a"
        f" difference from {label(BASELINE)} remains for"
        f" {named(_surviving(tests), tests) or 'no method'}. Compared with a method's own runs of"
        " equal passes, the change in gradients"
        f" {listed(told) or 'makes no detectable difference to any method'}."
        + equal_missing(evidence, task)
    )


def equal_reading(evidence: Evidence, task: str) -> str:
    """Who is ahead with equal gradients and who behind, each comparison by itself."""
    tests = comparisons(evidence, task, equal_names, FEWEST)
    return f"Against {label(BASELINE)}, each comparison by itself: {who_differs(tests)}."


def gradients_spent(evidence: Evidence, task: str) -> str:
    """How many gradients the final runs of one task took, the fewest and the most; or empty."""
    spent = gradients(evidence, task)
    if not spent:
        return ""
    least, most = min(spent, key=lambda m: spent[m]), max(spent, key=lambda m: spent[m])
    text = (
        f"A final run on {TASKS[task]} takes between {spent[least]:,.0f} gradients"
        f" ({in_words(least)}) and {spent[most]:,.0f} ({in_words(most)})"
    )
    if BASELINE in spent and "adam" in spent:
        text += f"; Adam takes {spent['adam']:,.0f}, with clipping {spent[BASELINE]:,.0f}"
    return text + "."


def answer(evidence: Evidence) -> str:
    """Whether the optimizer helps, in three sentences, for who reads no further; empty unless the
    records of both data sets say that it does not beyond chance."""
    tests = {task: comparisons(evidence, task) for task in TASKS}
    leads = {task: network_leads(evidence, task) for task in TASKS}
    if not all(leads.values()) or any(m not in found for found in tests.values() for m in PLAIN):
        return ""
    if any(m in PLAIN for found in tests.values() for m in _surviving(found)):
        return ""
    if any(map(_surviving, leads.values())):
        return ""
    count = len(next(iter(leads.values())))
    text = (
        "**Does it help? Less than the paper says.** With every method tuned alike, on whole"
        " sequences and the plain network, no lead of Frank-Wolfe over Adam with clipped gradients"
        " survives a correction for the number of comparisons, with noise or without. On each of"
        f" {count} networks trained by both, no difference between the two optimizers survives"
        " either."
    )
    # What helps is said of what all comparisons together leave, which is less than each data set's.
    certain = [m for (_, m), p in pooled_p(tests).items() if p <= 0.05]
    more = ["another network"] if any(not tanh(m) for m in certain) else []
    if any(m in CHUNKED for m in certain):
        more.append("truncation, which takes more gradients from the same data")
    return text + (f" More is gained by {listed(more)}." if more else "")
