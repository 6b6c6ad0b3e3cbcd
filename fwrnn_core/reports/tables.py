"""Tables of the experiment pages, as MyST Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from fwrnn_core.reports.names import compact, label, listed, method, published, short
from fwrnn_core.reports.runs import Recorded, progress, seconds_per_epoch, timed_alike
from fwrnn_core.training import Record, RunConfig
from fwrnn_core.wording import counted


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


def highest(columns: Mapping[int, Mapping[int, float]]) -> dict[int, int]:
    """For a table's ``bold``: by column the row of its highest value, where there are several."""
    return {
        column: max(values, key=lambda row: values[row])
        for column, values in columns.items()
        if len(values) > 1
    }


def seeds_done(good: int, planned: int, lost: int) -> str:
    """How many of the planned seeds are complete, for a table's cell.

    >>> seeds_done(4, 5, 0), seeds_done(2, 3, 1)
    ('4 of 5', '2 of 3, 1 diverged')
    """
    return f"{good} of {planned}" + (f", {lost} diverged" if lost else "")


TAIL = 50  # epochs at the end of a run whose mean shows where its curve lies


def best_accuracy(record: Record) -> float:
    """Best test accuracy over the epochs, in per cent: what the paper's tables hold.

    NaN for a run that diverged in its first epoch.
    """
    return 100 * record.best("test_accuracy") if record.epochs else float("nan")


def standing(runs: Sequence[Record]) -> str:
    """The best test accuracy of each run within the epochs that all of them have, the highest
    first, in words.

    >>> curves = {"adam": {"epoch": [1, 2], "test_accuracy": [0.2, 0.5]}}
    >>> curves["fw-k1"] = {"epoch": [1], "test_accuracy": [0.3]}
    >>> configs = {method: RunConfig(method).to_dict() for method in curves}
    >>> runs = [Record({"config": configs[m], "curves": curves[m]}) for m in curves]
    >>> standing(runs), standing([])
    ('30.0 % (K = 1) and 20.0 % (Adam) in 1 epoch', 'no run yet')
    """
    begun = [r for r in runs if r.epochs]
    if not begun:
        return "no run yet"
    common = min(r.epochs for r in begun)
    best = {short(label(r)): float(np.nanmax(r.curve("test_accuracy")[:common])) for r in begun}
    ranked = sorted(best.items(), key=lambda item: -item[1])
    shown = listed([f"{100 * value:.1f} % ({name})" for name, value in ranked])
    return f"{shown} in {counted(common, 'epoch')}"


def last_accuracy(record: Record) -> float:
    """Test accuracy of the last recorded epoch, in per cent; NaN where there is none."""
    return 100 * float(record.curve("test_accuracy")[-1]) if record.epochs else float("nan")


def tail_accuracy(record: Record) -> float:
    """Mean test accuracy of the last :data:`TAIL` epochs, in per cent; NaN for a shorter run."""
    if record.epochs < TAIL:
        return float("nan")
    return 100 * float(np.mean(record.curve("test_accuracy")[-TAIL:]))


def beside_print(cover: Recorded, table: str, column: str) -> str:
    """Best test accuracy, published and re-run, and where the re-run's curve ends; one row per run,
    a dash where there is no record.

    ``table`` is a table of :func:`published`, ``column`` its data set ("har2", "pixel" …). The best
    re-run is bold only once every run is at full length; how many epochs there are is only said
    while a run is not.
    """
    header = ["Method", "paper (%)", "re-run (%)", "difference (points)", "epochs", "best at"]
    header += ["last epoch (%)", f"last {TAIL}, mean (%)"]
    printed = [published()[table][method(c)][column]["accuracy"] for c in cover.configs]
    ours = [best_accuracy(r) if r is not None else float("nan") for r in cover.records]
    body = []
    for (config, record), paper, mine in zip(cover, printed, ours, strict=True):
        row = [label(config), f"{paper:.2f}", *["–"] * 6]
        if record is not None:
            row[4] = progress(record)
        if record is not None and record.epochs:
            tail = tail_accuracy(record)
            row[2:] = [
                f"{mine:.2f}",
                f"{mine - paper:+.2f}".replace("-", "−"),
                progress(record).removesuffix(" epochs"),
                f"{np.nanargmax(record.curve('test_accuracy')) + 1}",
                f"{last_accuracy(record):.2f}",
                f"{tail:.2f}" if np.isfinite(tail) else "–",
            ]
        body.append(row)
    if all(r.status == "complete" for r in cover.found):
        place = header.index("epochs")
        for row in (header, *body):
            del row[place]
    best = {1: int(np.argmax(printed))}
    if cover.coverage.whole and np.isfinite(ours).any():
        best[2] = int(np.nanargmax(ours))
    return markdown_table(header, body, best)


def times_beside_print(cover: Recorded, table: str, column: str) -> str:
    """Training times, published and re-run, and each as a multiple of Adam's; one row per run.

    The re-run's multiple is that of the seconds per epoch. It is a dash where the run and Adam's
    are not :func:`timed_alike`, the minutes are one where there is no record. The paper's times
    stand as printed, without a unit.
    """
    header = ["Method", "paper (as printed)", "paper, times Adam", "re-run (minutes)"]
    header += ["seconds per epoch", "re-run, times Adam"]
    printed = {m: row[column]["time"] for m, row in published()[table].items()}
    base = cover.get("adam")
    body = []
    for config, record in cover:
        paper = printed[method(config)]
        row = [label(config), f"{paper:.2f}", f"{paper / printed['adam']:.2f}", "–", "–", "–"]
        if record is not None and record.epochs:
            spent = seconds_per_epoch(record)
            row[3], row[4] = f"{record.seconds / 60:.1f}", f"{spent:.2f}"
            if base is not None and base.epochs and timed_alike([base, record]):
                row[5] = f"{spent / seconds_per_epoch(base):.2f}"
        body.append(row)
    return markdown_table(header, body)


def setup_table(
    configs: Sequence[RunConfig] | Mapping[str, RunConfig],
    more: Mapping[str, Callable[[RunConfig], str]] | None = None,
) -> str:
    """The settings in which the runs of a page differ; ``more`` are further columns.

    Rows are named after the method, or as the mapping names them. A column that is empty for all of
    them is left out.
    """
    if not isinstance(configs, Mapping):
        configs = {label(config): config for config in configs}
    more = more or {}
    decay = "multiplied by (every … epochs)"
    header = ["Method", "batch", "learning rate", decay, "K", "TBPTT chunk", *more]
    body = []
    for name, config in configs.items():
        inner = config.optimizer.inner_steps if config.optimizer.name == "frank-wolfe" else None
        row = [
            name,
            str(config.batch_size),
            compact(config.optimizer.lr),
            f"{config.lr_gamma:g} ({config.lr_step})" if config.lr_step else "–",
            str(inner or "–"),
            str(config.tbptt or "–"),
            *(column(config) for column in more.values()),
        ]
        body.append(row)
    used = [i for i in range(len(header)) if any(row[i] != "–" for row in body)]
    return markdown_table([header[i] for i in used], [[row[i] for i in used] for row in body])
