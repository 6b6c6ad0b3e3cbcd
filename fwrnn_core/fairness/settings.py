"""What the search makes of the paper's sentence on the baselines' settings."""

from __future__ import annotations

import math
from typing import NamedTuple

from fwrnn_core.evidence import Evidence
from fwrnn_core.experiments import fair
from fwrnn_core.experiments.published import TABLE3
from fwrnn_core.fairness.search import TASKS, Trial, best_of, trials
from fwrnn_core.fairness.words import in_words
from fwrnn_core.reports import compact, is_ours, listed, markdown_table, published
from fwrnn_core.wording import label


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
            authors = [
                t
                for t in every
                if (t.config.optimizer.lr, t.config.batch_size) == (optimizer.lr, batch)
            ]
            chosen = best_of(every)
            if any(math.isnan(t.loss) for t in every) or not authors or chosen is None:
                continue
            mine = min(authors, key=lambda t: t.loss)
            place = 1 + sum(t.loss < mine.loss for t in every)
            found.append(Sought(task, method, mine, chosen, place))
    return found


def settings_table(evidence: Evidence) -> str:
    """The authors' learning rate and batch size beside the search's, with both losses."""
    header = [
        "data set",
        "method",
        "authors' rate, batch",
        "found",
        "loss, authors'",
        "loss, found",
    ]
    header += ["place of the authors'"]
    rows = [
        [
            TASKS[s.task],
            label(s.method),
            *(
                f"{compact(t.config.optimizer.lr)}, {t.config.batch_size}"
                for t in (s.authors, s.chosen)
            ),
            *(f"{t.loss:.4f}" for t in (s.authors, s.chosen)),
            f"{s.place} of {fair.TRIALS}",
        ]
        for s in sought(evidence)
    ]
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
