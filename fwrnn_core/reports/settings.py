"""In what two runs differ beside the method."""

from __future__ import annotations

from fwrnn_core.reports.names import label
from fwrnn_core.training import RunConfig


def unequal(first: RunConfig, second: RunConfig) -> dict[str, tuple[float, float]]:
    """Learning rate, batch size, weight decay and *K* of two runs, where they differ.

    *K* counts if both are Frank-Wolfe's and it does not stand in both names: "K = 5 against K = 1"
    is a comparison of nothing else.

    >>> from fwrnn_core.experiments import catalogue
    >>> runs = catalogue()
    >>> unequal(runs["har2/published/lstm-fw"], runs["har2/published/lstm-adam"])["learning rate"]
    (0.02, 0.001)
    >>> unequal(runs["har2/published/fw-k5"], runs["har2/published/fw-k1"])
    {}
    """
    pair = first, second
    values = {
        "learning rate": (first.optimizer.lr, second.optimizer.lr),
        "batch size": (first.batch_size, second.batch_size),
        "weight decay": (first.optimizer.weight_decay, second.optimizer.weight_decay),
    }
    ours = all(c.optimizer.name == "frank-wolfe" for c in pair)
    if ours and not all("K = " in label(c) for c in pair):
        values["K"] = first.optimizer.inner_steps, second.optimizer.inner_steps
    return {what: (a, b) for what, (a, b) in values.items() if a != b}
