"""What the experiment pages say is what the records hold."""

from __future__ import annotations

import pytest

from fwrnn_core import reports
from fwrnn_core.errors import ConfigError
from fwrnn_core.training import Record, RunConfig, records


def record(name: str, accuracies: list[float], losses: list[float] | None = None) -> Record:
    config = RunConfig(name)
    curves = {
        "epoch": list(range(1, len(accuracies) + 1)),
        "test_accuracy": accuracies,
        "validation_loss": losses or accuracies,
        "updates": [10 * (i + 1) for i in range(len(accuracies))],
        "agreement": [0.5] * len(accuracies),
    }
    return Record(
        {
            "schema": records.SCHEMA,
            "id": config.id,
            "status": "complete",
            "config": config.to_dict(),
            "curves": curves,
            "seconds": [60.0 * (i + 1) for i in range(len(accuracies))],
        }
    )


def test_published_numbers_cover_every_row_of_the_catalogue():
    from fwrnn_core.experiments.published import TABLE3

    table = reports.published()["table3"]
    assert set(table) == set(TABLE3)
    assert set(TABLE3) <= set(reports.LABELS)
    for row in table.values():
        for task in ("har2", "noisy-har2"):
            assert 50 < row[task]["accuracy"] < 100


def test_rerun_stands_beside_print_with_its_best_epoch():
    table = reports.published()["table3"]
    runs = [record("har2/published/adam", [0.6, 0.8, 0.7]), record("har2/published/fw-k5", [0.9])]
    _, rows, best = reports.beside_published(runs, table, "har2")
    printed = table["adam"]["har2"]["accuracy"]
    assert rows[0][:5] == ["Adam", f"{printed:.2f}", "80.00", f"{80 - printed:+.2f}", "2"]
    assert best[2] == 1


def test_the_chosen_accuracy_never_looks_at_the_test_set():
    run = record("ablations/radius/0.1/seed-0", [0.99, 0.5, 0.7], losses=[3.0, 1.0, 2.0])
    assert reports.chosen(run) == pytest.approx(50)


def test_settings_are_grouped_and_their_best_mean_is_bold():
    runs = [record(f"ablations/k/{k}/seed-{s}", [k / 10 + s / 100]) for k in (5, 7) for s in (0, 1)]
    groups = reports.by_setting(runs)
    assert {k: len(v) for k, v in groups.items()} == {"5": 2, "7": 2}
    lines = reports.settings_table(groups, "K").splitlines()
    assert "**70.50**" in lines[3]
    assert "**" not in lines[2]


def test_an_unknown_x_axis_names_the_nearest():
    import matplotlib.pyplot as plt

    with pytest.raises(ConfigError, match="'update'.*'updates'"):
        reports.draw(plt.figure().gca(), [record("a", [0.5])], "test_accuracy", "update")
