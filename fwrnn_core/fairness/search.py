"""The random search: what was drawn, what each trial reached, what was chosen, and what that makes
of the paper's sentence on the baselines' settings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fwrnn_core import figures
from fwrnn_core.evidence import Coverage, Evidence
from fwrnn_core.experiments import fair
from fwrnn_core.experiments.published import TABLE3
from fwrnn_core.reports import compact, is_ours, listed, markdown_table, published, short
from fwrnn_core.training import RunConfig
from fwrnn_core.wording import in_words, label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TASKS = {"har2": "HAR-2", "noisy-har2": "Noisy-HAR-2"}


def empty(ax: Axes, place: float, *, horizontal: bool = False) -> None:
    """Say at one place of a categorical axis that nothing has been run there."""
    style: dict[str, Any] = {"color": figures.MUTED, "fontsize": 9, "va": "center", "ha": "center"}
    if horizontal:
        ax.text(0.5, place, "not run yet", transform=ax.get_yaxis_transform(), **style)
    else:
        where = ax.get_xaxis_transform()
        ax.text(place, 0.5, "not run yet", transform=where, rotation=90, **style)


class Trial(NamedTuple):
    """One trial: ``number`` is the last part of its record's name, counted from 0; ``loss`` is its
    lowest validation loss, inf if it diverged, NaN if it is not finished; ``accuracy`` (a fraction)
    stands at the same epoch."""

    number: int
    config: RunConfig
    loss: float
    accuracy: float


def trials(evidence: Evidence, task: str, method: str) -> list[Trial]:
    """The search of one method in the order of its draws."""
    found = []
    for number, config in enumerate(fair.search(task, method)):
        record = evidence.record(config.name)
        loss = accuracy = math.nan
        if record is not None and record.status == "diverged":
            loss = math.inf
        elif record is not None and record.status == "complete":
            loss = float(np.nanmin(record.curve("validation_loss")))
            accuracy = record.at_best_validation("validation_accuracy")
        found.append(Trial(number, config, loss, accuracy))
    return found


def best_of(found: Sequence[Trial]) -> Trial | None:
    """The finished trial with the lowest loss, or None."""
    finished = [t for t in found if math.isfinite(t.loss)]
    return min(finished, key=lambda t: t.loss) if finished else None


def _setting(config: RunConfig) -> list[str]:
    radius = "–"
    if config.optimizer.name == "frank-wolfe":
        radius = "lr" if config.optimizer.radius is None else compact(config.optimizer.radius)
    return [compact(config.optimizer.lr), str(config.batch_size), f"{config.lr_gamma:g}", radius]


def draws_table() -> str:
    """The draws of the search, the same for every method and task."""
    header = ["trial", "learning rate", "batch size", "decay", "radius δ"]
    draws = fair.search("har2", "fw-k5")
    return markdown_table(
        header, [[f"{n:02d}", *_setting(config)] for n, config in enumerate(draws)]
    )


def outcome_table(evidence: Evidence, task: str) -> str:
    """What the search chose per method, or the best so far and how many trials are missing."""
    setting = ["rate", "batch", "decay", "δ"]
    header = ["method", "done", "trial", *setting, "loss", "acc. (%)"]
    rows = []
    for method in fair.METHODS:
        found = trials(evidence, task, method)
        best, done = best_of(found), sum(not math.isnan(t.loss) for t in found)
        chosen = ["–" if not done else "all diverged", *["–"] * 6]
        if best is not None:
            sure = "" if done == len(found) else " so far"
            score = [f"{best.loss:.4f}", f"{100 * best.accuracy:.1f}"]
            chosen = [f"{best.number:02d}{sure}", *_setting(best.config), *score]
        rows.append([label(method), f"{done}/{len(found)}", *chosen])
    return markdown_table(header, rows)


def draw_search(ax: Axes, evidence: Evidence, task: str) -> None:
    """Validation loss of every finished trial, one row per method; the best has a ring."""
    methods = list(fair.METHODS)
    everything = {m: trials(evidence, task, m) for m in methods}
    finite = [t.loss for ts in everything.values() for t in ts if math.isfinite(t.loss)]
    edge = 1.1 * max(finite, default=1.0)
    for row, method in enumerate(methods):
        look = figures.LOOKS[0 if is_ours(method) else 1]
        losses = [t.loss for t in everything[method] if math.isfinite(t.loss)]
        ax.plot(losses, [row] * len(losses), look.marker, color=look.color, alpha=0.55)
        lost = sum(math.isinf(t.loss) for t in everything[method])
        ax.plot([edge] * lost, [row] * lost, "x", color=figures.INK)
        best = best_of(everything[method])
        if best is not None:
            ax.plot([best.loss], [row], "o", color=look.color, mfc="none", markersize=11)
        elif not lost:
            empty(ax, row, horizontal=True)
    ax.set_yticks(range(len(methods)), [label(m) for m in methods])
    ax.set_ylim(len(methods) - 0.4, -0.6)
    ax.locator_params(axis="x", nbins=4)


def search_coverage(evidence: Evidence, *tasks: str) -> Coverage:
    """State of the search's trials on the given tasks."""
    return evidence.coverage(
        config.name for task in tasks for m in fair.METHODS for config in fair.search(task, m)
    )


class Sought(NamedTuple):
    """A baseline's search: the trial at the authors' learning rate and batch size, the chosen one,
    and the former's place by validation loss, counted from 1."""

    task: str
    method: str
    authors: Trial
    chosen: Trial
    place: int


def sought(evidence: Evidence) -> list[Sought]:
    """The baselines of Table III whose search is complete and drew the authors' learning rate and
    batch size. The decay is our own in every trial, and so is no part of the comparison."""
    found = []
    for task in TASKS:
        for method in fair.METHODS:
            if is_ours(method) or method not in TABLE3:
                continue
            optimizer, batch = TABLE3[method][task]
            every = trials(evidence, task, method)
            settings = optimizer.lr, batch
            authors = [t for t in every if (t.config.optimizer.lr, t.config.batch_size) == settings]
            chosen = best_of(every)
            if any(math.isnan(t.loss) for t in every) or not authors or chosen is None:
                continue
            mine = min(authors, key=lambda t: t.loss)
            place = 1 + sum(t.loss < mine.loss for t in every)
            found.append(Sought(task, method, mine, chosen, place))
    return found


def settings_table(evidence: Evidence) -> str:
    """The authors' learning rate and batch size beside the search's, with both losses."""
    header = ["data set", "method", "authors' rate, batch", "found", "loss, authors'"]
    header += ["loss, found", "place of the authors'"]
    rows = []
    for s in sought(evidence):
        both = s.authors, s.chosen
        settings = (f"{compact(t.config.optimizer.lr)}, {t.config.batch_size}" for t in both)
        losses, place = (f"{t.loss:.4f}" for t in both), f"{s.place} of {fair.TRIALS}"
        rows.append([TASKS[s.task], label(s.method), *settings, *losses, place])
    return markdown_table(header, rows, texts=2)


def settings_reading(evidence: Evidence) -> str:
    """What the searches so far say of the baselines' settings, as Markdown; empty before a
    baseline's search is complete. The verdict is that of the claim ``literature``."""
    found = sought(evidence)
    if not found:
        return ""
    same = [s for s in found if s.authors.number == s.chosen.number]
    names = listed([f"{in_words(s.method)} on {TASKS[s.task]}" for s in same]) or "none"
    said = published()["hyperparameters"]["says"]["baselines"]
    small = min(fair.BATCH_SIZES)
    fewer = sum(s.chosen.config.batch_size == small < s.authors.config.batch_size for s in found)
    elsewhere = (
        " In the others another draw has a lower validation loss; in"
        f" {fewer} of these {len(found) - len(same)} it has minibatches of {small}, and so more"
        " gradients in the same passes."
        if len(same) < len(found)
        else ""
    )
    return (
        "**The baselines' settings.** The paper takes them"
        f" from the literature, since “from our experiments they {said}”. On HAR-2, by the"
        " authors' program, they are Adam with the learning rate and batch size below, which are"
        f" among the {fair.TRIALS} draws. Of {len(found)} searches of a baseline, {len(same)} chose"
        f" them ({names}).{elsewhere} One seed and one split decide each choice."
    )


def _ended_falling(evidence: Evidence, task: str, method: str) -> int | None:
    """Of a method's search, how many complete trials have their lowest validation loss in the last
    epoch; None before all are there."""
    found = trials(evidence, task, method)
    if any(np.isnan(t.loss) for t in found):
        return None
    ends = [evidence.complete(t.config.name) for t in found]
    return sum(int(np.nanargmin(r.curve("validation_loss"))) == r.epochs - 1 for r in ends if r)


def search_ended_early(evidence: Evidence, task: str, method: str) -> str:
    """A sentence where more than half of a method's trials, and more than of the baseline's, were
    still falling when they ended."""
    late, base = (_ended_falling(evidence, task, m) for m in (method, fair.BASELINE))
    if late is None or base is None or late <= max(base, fair.TRIALS / 2):
        return ""
    return (
        f" The search may be too short: on {TASKS[task]}, {late} of the {fair.TRIALS} trials of"
        f" {short(label(method))} were still improving when they ended, against {base} of"
        f" {label(fair.BASELINE)}."
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
    draws = sum(c.batch_size == small for c in fair.search(task, fair.BASELINE))
    return (
        f"- Of {fair.TRIALS} trials per method on {TASKS[task]}, these have their lowest"
        f" validation loss in the last of {fair.SEARCH_EPOCHS} epochs: {listed(late)}. They were"
        " cut short, and a method with many of them is judged below its best.\n"
        f"- {sum(c == small for c in chosen)} of {len(chosen)} choices on {TASKS[task]} are among"
        f" the {draws} draws with minibatches of {small}, which take the most gradients in"
        f" {fair.SEARCH_EPOCHS} epochs. So the search tunes, in part, the number of gradients."
    )
