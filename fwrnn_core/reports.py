"""What the experiment pages share: labels, x axes, curves and tables made from records."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from fwrnn_core import figures, paths
from fwrnn_core.errors import unknown
from fwrnn_core.training import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The last part of a run's name says the method; these are the names that a reader sees.
LABELS = {
    "adam": "Adam",
    "adam-clip": "Adam + clipping",
    "adam-tbptt": "Adam, TBPTT",
    "lstm-adam": "LSTM, Adam",
    "fw-k1": "Frank-Wolfe, K = 1",
    "fw-k5": "Frank-Wolfe, K = 5",
    "fw-k10": "Frank-Wolfe, K = 10",
    "fw-k30": "Frank-Wolfe, K = 30",
    "fw-bn": "Frank-Wolfe + batch norm",
    "fw-tbptt": "Frank-Wolfe, TBPTT",
    "fw-k1-tbptt": "Frank-Wolfe, K = 1, TBPTT",
    "fw-k5-tbptt": "Frank-Wolfe, K = 5, TBPTT",
    "lstm-fw": "LSTM, Frank-Wolfe",
    "indrnn-adam": "IndRNN, Adam",
    "indrnn-fw": "IndRNN, Frank-Wolfe",
}
# What progress is measured in; the paper's figures mix the first three.
X_AXES = {
    "epoch": "epochs",
    "updates": "outer updates",
    "gradient_evaluations": "gradient evaluations",
    "seconds": "seconds on one core",
}
Y_AXES = {
    "train_loss": "training loss",
    "test_loss": "test loss",
    "train_accuracy": "training accuracy (%)",
    "test_accuracy": "test accuracy (%)",
    "validation_accuracy": "validation accuracy (%)",
}


def method(record: Record) -> str:
    """The method's part of a run's name.

    >>> from fwrnn_core.training import RunConfig
    >>> method(Record({"config": RunConfig("har2/published/fw-k5").to_dict()}))
    'fw-k5'
    """
    return record.name.rpartition("/")[2]


def label(record: Record) -> str:
    """The method's name for readers."""
    return LABELS.get(method(record), method(record))


@cache
def published() -> dict[str, Any]:
    """The paper's printed numbers: ``data/published.json``, with their source."""
    path = paths.home() / "data" / "published.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))


def draw(ax: Axes, records: Sequence[Record], curve: str, x: str = "epoch") -> None:
    """One line per record: ``curve`` over ``x`` (a key of :data:`X_AXES`), labels at the ends.

    Accuracies are drawn in per cent. Raises :class:`~fwrnn_core.errors.ConfigError` for another x.
    """
    if x not in X_AXES:
        raise unknown("x axis", x, X_AXES)
    looks = figures.looks([label(r) for r in records])
    for record in records:
        look = looks[label(record)]
        values = record.curve(curve) * (100 if curve.endswith("accuracy") else 1)
        ax.plot(
            record.curve(x),
            values,
            label=label(record),
            color=look.color,
            linestyle=look.linestyle,
            marker=look.marker,
            markevery=max(1, len(values) // 8),
        )
    ax.set_xlabel(X_AXES[x])
    ax.set_ylabel(Y_AXES[curve])
    figures.label_ends(ax)


def draw_losses(ax: Axes, records: Sequence[Record], x: str = "update", window: int = 15) -> None:
    """Minibatch losses over ``update`` or ``gradient_evaluation``, averaged over a short window."""
    looks = figures.looks([label(r) for r in records])
    for record in records:
        look = looks[label(record)]
        losses = np.asarray(record.body["losses"]["loss"])
        places = np.asarray(record.body["losses"][x])
        width = min(window, len(losses))
        smooth = np.convolve(losses, np.ones(width) / width, mode="valid")
        ax.plot(
            places[width - 1 :],
            smooth,
            label=label(record),
            color=look.color,
            linestyle=look.linestyle,
            marker=look.marker,
            markevery=max(1, len(smooth) // 8),
        )
    ax.set_xlabel("outer updates" if x == "update" else "gradient evaluations")
    ax.set_ylabel("minibatch loss")
    figures.label_ends(ax)


def best_accuracy(record: Record) -> float:
    """Best test accuracy over the epochs, in per cent: what the paper's tables hold."""
    return 100 * record.best("test_accuracy")


def markdown_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], bold: Mapping[int, int] | None = None
) -> str:
    """A MyST table; ``bold`` maps a column to the row whose entry is the best.

    >>> print(markdown_table(["a", "b"], [["x", "1"], ["y", "2"]], bold={1: 1}))
    | a | b |
    |---|--:|
    | x | 1 |
    | y | **2** |
    """
    lines = [f"| {' | '.join(header)} |", "|---|" + "--:|" * (len(header) - 1)]
    for number, row in enumerate(rows):
        cells = [
            f"**{cell}**" if bold and bold.get(column) == number else cell
            for column, cell in enumerate(row)
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


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


def draw_settings(ax: Axes, groups: Mapping[str, Sequence[Record]]) -> None:
    """Chosen test accuracy of each setting: one dot per seed, a bar at their mean."""
    for place, runs in enumerate(groups.values()):
        values = np.array([chosen(r) for r in runs])
        ax.plot(np.full(len(values), place), values, "o", color=figures.LOOKS[0].color, alpha=0.6)
        if np.isfinite(values).any():
            ax.hlines(np.nanmean(values), place - 0.25, place + 0.25, color=figures.LOOKS[1].color)
    ax.set_xticks(range(len(groups)), list(groups))
    ax.set_ylabel("test accuracy (%)")


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
