"""Made-up records for tests, filed in a test's own folder: never in data/records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fwrnn_core.training import Record, RunConfig, records

MACHINE = {"processor": "a", "device": "cpu", "threads": 1, "code": "1"}


def put(
    config: RunConfig,
    curves: Mapping[str, Sequence[float]],
    *,
    status: str = "complete",
    seconds: float = 1.0,
    environment: Mapping[str, Any] = MACHINE,
    probes: Mapping[str, Any] | None = None,
) -> Record:
    """File a record of this run with the given curves; the rest is filled in plausibly."""
    (epochs,) = {len(values) for values in curves.values()}
    numbers = range(1, epochs + 1)
    filled = {
        "epoch": list(numbers),
        "updates": [10 * n for n in numbers],
        "gradient_evaluations": [100 * n for n in numbers],
        "agreement": [0.5] * epochs,
        "train_loss": [1 / n for n in numbers],
        "validation_loss": [1 / n for n in numbers],
        "validation_accuracy": [0.5] * epochs,
        "test_loss": [1 / n for n in numbers],
        "test_accuracy": [0.5] * epochs,
        **{name: list(values) for name, values in curves.items()},
    }
    record = Record(
        {
            "schema": records.SCHEMA,
            "id": config.id,
            "status": status,
            "config": config.to_dict(),
            "data": {"name": config.data.name, "source": "made up", "train": 1000},
            "curves": filled,
            "probes": probes or {},
            "seconds": [seconds * n for n in numbers],
            "environment": dict(environment),
        }
    )
    records.save(record)
    return record
