"""What the fair runs say, and what they cannot say, in sentences whose words follow the records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np

from fwrnn_core.evidence import Evidence
from fwrnn_core.experiments import fair
from fwrnn_core.fairness.final import (
    BASELINE,
    accuracies,
    comparisons,
    equal_names,
    final_coverage,
    gradients,
)
from fwrnn_core.fairness.search import TASKS, best_of, trials
from fwrnn_core.fairness.statistics import Paired, adjusted_p, paired, pooled_p, signed
from fwrnn_core.reports import listed, short
from fwrnn_core.wording import label

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


def in_words(method: str) -> str:
    """A method's name inside a sentence, where a comma would part it.

    >>> in_words("fw-k5"), in_words("adam-tbptt")
    ('Frank-Wolfe with K = 5', 'Adam with TBPTT')
    """
    return label(method).replace(", ", " with ", 1)


def _tests(evidence: Evidence, task: str) -> dict[str, Paired]:
    return {m: t for m, t in comparisons(evidence, task).items() if t.n >= FEWEST}


def _side(tests: Mapping[str, Paired], side: int) -> list[str]:
    return [m for m, t in tests.items() if t.side == side]


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
        if who := [m for m, t in tests.items() if t.n >= FEWEST and t.side == side]:
            said.append(f"{words} {'is' if len(who) == 1 else 'are'} {named(who, tests)}")
    return "; ".join(said) or "no method is ahead or behind"


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
    leading, behind = _side(tests, 1), _side(tests, -1)
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
        verb, who = "is" if len(ahead) == 1 else "are", named(ahead, tests)
        text = f"On {name}, {who} {verb} ahead of {label(BASELINE)}"
        if len(ahead) > 2:  # the point before a long list
            text = f"On {name}, ahead of {label(BASELINE)} are {who}"
        others = [m for m in PLAIN if m in tests and m not in ahead]
        if others:
            text += f"; {named(others)} {'is' if len(others) == 1 else 'are'} not"
    text += "."
    if nets:
        spans = [f"the {net} ({_span(tests, own)})" for net, own in nets.items()]
        verb = "is" if len(nets) == 1 else "are"
        text += f" With either optimizer {listed(spans)} {verb} ahead."
    if behind:
        text += f" {named(behind, tests)} {'is' if len(behind) == 1 else 'are'} behind."
    if leading or behind:
        lost = _lost_to_holm(tests)
        kept = [m for m in (*leading, *behind) if m not in lost]
        seeds = max(t.n for t in tests.values())
        left = f"remains for {named(kept)}" if kept else "remains for none"
        text += (
            f" Corrected for the number of comparisons (Holm, {seeds} seeds), a difference {left}."
        )
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
        if (members := _side(tests, side))
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
        text += f"{named(ahead, clean)} {'is' if len(ahead) == 1 else 'are'} ahead of Adam with"
        text += " gradient clipping on clean data."
    else:
        text += (
            "Frank-Wolfe on whole sequences of the plain network is not ahead of Adam with gradient"
            f" clipping on clean data (K = 5: {clean['fw-k5'].rounded(1)} points)."
        )
    ahead = [m for m in PLAIN if noisy[m].side == 1]
    if ahead:
        lost = set(ahead) <= set(_lost_to_holm(noisy))
        text += f" Under noise {named(ahead, noisy)} {'is' if len(ahead) == 1 else 'are'}"
        text += " ahead" + (
            ", but not once corrected for the number of comparisons." if lost else "."
        )
    else:
        text += f" Under noise none is ahead (K = 5: {noisy['fw-k5'].rounded(1)} points)."
    return text + _search_ended_early(evidence, "har2", "fw-k5")


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
    pairs = [(task, m) for task in tests for m in CHUNKED]
    others = {
        task: [0.0, *(t.difference for m, t in found.items() if m not in CHUNKED and tanh(m))]
        for task, found in tests.items()
    }
    if not all(
        m in tests[task] and tests[task][m].difference > max(others[task]) for task, m in pairs
    ):
        return ""
    kept = [
        (task, m)
        for task, m in pairs
        if tests[task][m].side == 1 and m not in _lost_to_holm(tests[task])
    ]
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
        every = comparisons(evidence, task, equal_names)
        tests = {m: t for m, t in every.items() if t.n >= FEWEST}
        there = [m for m in CHUNKED if m in tests]
        if there:
            said.append(f"{named(there, tests)} on {name}")
        adjusted = adjusted_p(tests)
        kept += [(task, m) for m in there if tests[m].side == 1 and adjusted[m] <= 0.05]
    if not said:
        return ""
    which = _places(kept) or "none"
    verb = "survive" if len(kept) > 1 else "survives"
    return (
        f" With as many gradients as clipping, the differences are {'; '.join(said)}; {which}"
        f" {verb} the correction."
    )


def _ended_falling(evidence: Evidence, task: str, method: str) -> int | None:
    """Of a method's search, how many complete trials have their lowest validation loss in the last
    epoch; None before all are there."""
    found = trials(evidence, task, method)
    if any(np.isnan(t.loss) for t in found):
        return None
    ends = [evidence.complete(t.config.name) for t in found]
    return sum(int(np.nanargmin(r.curve("validation_loss"))) == r.epochs - 1 for r in ends if r)


def _search_ended_early(evidence: Evidence, task: str, method: str) -> str:
    """A sentence where more than half of a method's trials, and more than of the baseline's, were
    still falling when they ended."""
    late, base = (_ended_falling(evidence, task, m) for m in (method, BASELINE))
    if late is None or base is None or late <= max(base, fair.TRIALS / 2):
        return ""
    return (
        f" The search may be too short: on {TASKS[task]}, {late} of the {fair.TRIALS} trials of"
        f" {short(label(method))} were still improving when they ended, against {base} of"
        f" {label(BASELINE)}."
    )


def search_limits(evidence: Evidence, task: str) -> str:
    """Two things that the search of one task did not give to all alike, as Markdown bullets; empty
    before a search is complete."""
    late, chosen = [], []
    for method in fair.METHODS:
        last = _ended_falling(evidence, task, method)
        if last is None:
            continue
        late.append(f"{last} for {in_words(method)}")
        if (best := best_of(trials(evidence, task, method))) is not None:
            chosen.append(best.config.batch_size)
    if not late:
        return ""
    small = min(fair.BATCH_SIZES)
    draws = sum(c.batch_size == small for c in fair.search(task, BASELINE))
    return (
        f"- Of {fair.TRIALS} trials per method on {TASKS[task]}, these have their lowest"
        f" validation loss in the last of {fair.SEARCH_EPOCHS} epochs: {listed(late)}. They were"
        " cut short, and a method with many of them is judged below its best.\n"
        f"- {sum(c == small for c in chosen)} of {len(chosen)} choices on {TASKS[task]} are among"
        f" the {draws} draws with minibatches of {small}, which take the most gradients in"
        f" {fair.SEARCH_EPOCHS} epochs. So the search tunes, in part, the number of gradients."
    )


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
