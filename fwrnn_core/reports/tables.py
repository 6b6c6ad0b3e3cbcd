"""Tables of the experiment pages, as MyST Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fwrnn_core import figures
from fwrnn_core.reports.names import label, method, published
from fwrnn_core.reports.recorded import Coverage, Verdict, progress
from fwrnn_core.training import Record, RunConfig


def markdown_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    bold: Mapping[int, int] | None = None,
    *,
    texts: int = 1,
) -> str:
    """A MyST table; ``bold`` maps a column to the row whose entry is the best.

    The first ``texts`` columns hold words and are set to the left, the others numbers.

    >>> print(markdown_table(["a", "b"], [["x", "1"], ["y", "2"]], bold={1: 1}))
    | a | b |
    |---|--:|
    | x | 1 |
    | y | **2** |
    """
    lines = [f"| {' | '.join(header)} |", "|---" * texts + "|" + "--:|" * (len(header) - texts)]
    for number, row in enumerate(rows):
        cells = [
            f"**{cell}**" if bold and bold.get(column) == number else cell
            for column, cell in enumerate(row)
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def best_accuracy(record: Record) -> float:
    """Best test accuracy over the epochs, in per cent: what the paper's tables hold.

    NaN for a run that diverged in its first epoch.
    """
    return 100 * record.best("test_accuracy") if record.epochs else float("nan")


def beside_print(cover: Coverage, table: str, column: str) -> str:
    """Best test accuracy, published and re-run, one row per run; a dash where there is no record.

    ``table`` is a table of :func:`published`, ``column`` its data set ("har2", "pixel" …). The best
    re-run is bold only once every run is at full length.
    """
    header = ["Method", "in print (%)", "re-run (%)", "difference", "epochs", "best at", "minutes"]
    printed = [published()[table][method(c)][column]["accuracy"] for c in cover.configs]
    ours = [best_accuracy(r) if r is not None else float("nan") for r in cover.records]
    body = []
    for (config, record), paper, mine in zip(cover, printed, ours, strict=True):
        row = [label(config), f"{paper:.2f}"]
        if record is None or not record.epochs:
            state = "–" if record is None else progress(record)
            row += ["–", "–", state, "–", "–"]
        else:
            row += [
                f"{mine:.2f}",
                f"{mine - paper:+.2f}",
                progress(record).removesuffix(" epochs"),
                f"{np.nanargmax(record.curve('test_accuracy')) + 1}",
                f"{record.seconds / 60:.1f}",
            ]
        body.append(row)
    best = {1: int(np.argmax(printed))}
    if cover.whole and np.isfinite(ours).any():
        best[2] = int(np.nanargmax(ours))
    return markdown_table(header, body, best)


def beside_published(
    records: Sequence[Record], table: Mapping[str, Any], column: str
) -> tuple[list[str], list[list[str]], dict[int, int]]:
    """Header, rows and best entries: published against re-run best test accuracy, one row each.

    ``table`` is a table of :func:`published`, ``column`` its data set ("har2", "pixel" …).
    """
    header = ["Method", "published (%)", "re-run (%)", "difference", "epoch of the best", "minutes"]
    rows = []
    for record in records:
        printed = table[method(record)][column]["accuracy"]
        ours = best_accuracy(record)
        epoch = int(np.nanargmax(record.curve("test_accuracy"))) + 1
        rows.append(
            [
                label(record),
                f"{printed:.2f}",
                f"{ours:.2f}",
                f"{ours - printed:+.2f}",
                str(epoch),
                f"{record.seconds / 60:.1f}",
            ]
        )
    best = {c: int(np.argmax([float(row[c]) for row in rows])) for c in (1, 2)}
    return header, rows, best


def setup_table(
    configs: Sequence[RunConfig], more: Mapping[str, Callable[[RunConfig], str]] | None = None
) -> str:
    """The settings in which the runs of a page differ; ``more`` are further columns."""
    more = more or {}
    header = ["Method", "batch", "learning rate", "multiplied by", "K", "TBPTT chunk", *more]
    body = []
    for config in configs:
        every = "" if config.lr_step == 1 else f" {config.lr_step}"
        unit = "epoch" if config.lr_step == 1 else "epochs"
        inner = config.optimizer.inner_steps if config.optimizer.name == "frank-wolfe" else None
        row = [
            label(config),
            str(config.batch_size),
            f"{config.optimizer.lr:g}",
            f"{config.lr_gamma:g} every{every} {unit}" if config.lr_step else "–",
            str(inner or "–"),
            str(config.tbptt or "–"),
            *(column(config) for column in more.values()),
        ]
        body.append(row)
    return markdown_table(header, body)


def claim_table(claims: Sequence[tuple[str, str, str, Verdict]]) -> str:
    """What the paper says, what counts, what came out, the verdict: one row per claim."""
    header = ["The paper says", "Counted as reproduced if", "Re-run", "Verdict"]
    return markdown_table(header, [[*row[:3], f"**{row[3]}**"] for row in claims], texts=4)


def by_setting(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Ablation records by their setting, the part of the name before the seed, in order."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.name.split("/")[-2], []).append(record)
    return groups


def chosen(record: Record) -> float:
    """Test accuracy in per cent at the epoch with the lowest validation loss; NaN if diverged."""
    if record.status == "diverged":
        return float("nan")
    return 100 * record.at_best_validation("test_accuracy")


def settings_table(groups: Mapping[str, Sequence[Record]], what: str) -> str:
    """Per setting: mean chosen accuracy, its 95 % interval, updates, agreement, and time."""
    rows, means = [], []
    for name, runs in groups.items():
        values = np.array([[chosen(r)] for r in runs])
        centre, low, high = (float(v[0]) for v in figures.spread(values))
        updates = np.mean([r.curve("updates")[-1] for r in runs])
        agreement = np.mean([np.nanmean(r.curve("agreement")) for r in runs])
        minutes = np.mean([r.seconds for r in runs]) / 60
        rows.append(
            [
                name,
                f"{centre:.2f}",
                f"{low:.2f} to {high:.2f}",
                f"{updates:.0f}",
                f"{agreement:.2f}",
                f"{minutes:.1f}",
            ]
        )
        means.append(centre)
    header = [what, "test accuracy (%)", "95 % interval", "outer updates", "agreement", "minutes"]
    return markdown_table(header, rows, {1: int(np.nanargmax(means))})
