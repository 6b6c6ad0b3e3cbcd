"""What the experiment pages say is what the records hold."""

from __future__ import annotations

import math
from contextlib import contextmanager

import numpy as np
import pytest

from fwrnn_core import figures, reports
from fwrnn_core.errors import ConfigError
from fwrnn_core.experiments import catalogue
from fwrnn_core.reports import short_runs
from fwrnn_core.training import DataConfig, Record, RunConfig, records


def record(name: str, accuracies: list[float], status: str = "complete") -> Record:
    config = RunConfig(name)
    curves = {
        "epoch": list(range(1, len(accuracies) + 1)),
        "test_accuracy": accuracies,
        "validation_loss": accuracies,
        "updates": [10 * (i + 1) for i in range(len(accuracies))],
        "agreement": [0.5] * len(accuracies),
    }
    return Record(
        {
            "schema": records.SCHEMA,
            "id": config.id,
            "status": status,
            "config": config.to_dict(),
            "curves": curves,
            "seconds": [60.0 * (i + 1) for i in range(len(accuracies))],
        }
    )


def held(*runs: Record) -> reports.Recorded:
    return reports.Recorded(tuple(run.config for run in runs), runs)


@pytest.mark.parametrize(("kept", "drawn"), [(3, [0.9, 0.4]), (8, [1.0] * 8)])
def test_few_kept_losses_give_way_to_the_means_of_the_epochs(kept, drawn):
    import matplotlib.pyplot as plt

    run = record("har2/published/adam", [0.5, 0.6])
    run.body["curves"]["train_loss"] = [0.9, 0.4]
    places = list(range(1, kept + 1))
    run.body["losses"] = {"loss": [1.0] * kept, "update": places, "gradient_evaluation": places}
    ax = plt.figure().gca()
    reports.draw_losses(ax, held(run))
    [line] = ax.get_lines()
    assert list(line.get_ydata()) == drawn
    assert ("of an epoch" in ax.get_ylabel()) == (kept == 3)
    plt.close("all")


def test_published_numbers_cover_every_row_of_the_catalogue():
    from fwrnn_core.experiments.published import TABLE3

    assert set(reports.published()["table3"]) == set(TABLE3)
    assert set(TABLE3) <= set(reports.LABELS)


def cover(accuracies: dict[str, list[float] | None], **states: str) -> reports.Recorded:
    """Rows of Table III on HAR-2 with these test curves; None: no record."""
    names = {slug: f"har2/published/{slug}" for slug in accuracies}
    return reports.Recorded(
        tuple(RunConfig(name) for name in names.values()),
        tuple(
            None if curve is None else record(names[slug], curve, states.get(slug, "complete"))
            for slug, curve in accuracies.items()
        ),
    )


def cells(table: str) -> list[list[str]]:
    """The body of a MyST table."""
    return [[c.strip() for c in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_rerun_stands_beside_print_with_its_best_epoch():
    printed = reports.published()["table3"]["adam"]["har2"]["accuracy"]
    runs = cover({"adam": [0.6, 0.8, 0.7], "fw-k5": [0.9]})
    first, second = cells(reports.beside_print(runs, "table3", "har2"))
    difference = f"{80 - printed:+.2f}".replace("-", "−")
    assert first == ["Adam", f"{printed:.2f}", "80.00", difference, "2", "70.00", "–"]
    assert second[2] == "**90.00**"


def test_the_end_of_the_curve_stands_beside_its_best_epoch():
    runs = cover({"adam": [0.95, 0.1, *[0.5] * 24, *[0.7] * 25, 0.6]}, adam="partial")
    table = reports.beside_print(runs, "table3", "har2")
    assert "| epochs |" in table, "a run that stops early says where"
    assert cells(table)[0][4:8] == ["52 of 200", "1", "60.00", "60.20"]
    assert np.isnan(reports.tail_accuracy(record("a", [0.5] * 49)))


def test_times_of_two_versions_are_not_compared():
    one, other = record("a", [0.5]), record("b", [0.5])
    assert reports.timed_alike([one, other])
    one.body["environment"] = {"code": "1"}
    other.body["environment"] = {"code": "2"}
    assert reports.same_machine([one, other])
    assert not reports.timed_alike([one, other])


def test_times_stand_beside_print_as_multiples_of_adam_s():
    printed = {m: r["har2"]["time"] for m, r in reports.published()["table3"].items()}
    runs = cover({"adam": [0.5, 0.5], "fw-k5": [0.5, 0.5], "fw-k1": [0.5], "fw-k10": None})
    runs.get("fw-k5").body["seconds"] = [90.0, 180.0]
    runs.get("fw-k1").body["environment"] = {"code": "2"}
    adam, five, one, ten = cells(reports.times_beside_print(runs, "table3", "har2"))
    assert adam[1:] == [f"{printed['adam']:.2f}", "1.00", "2.0", "60.00", "1.00"]
    assert five[2:] == [f"{printed['fw-k5'] / printed['adam']:.2f}", "3.0", "90.00", "1.50"]
    assert one[3:] == ["1.0", "60.00", "–"], "made by other sources than Adam's"
    assert ten[3:] == ["–"] * 3


def test_the_authors_axis_counts_a_minibatch_once():
    """HAR-2 has 7,415 windows: 58 minibatches of 128, and eight chunks of 16 steps in each."""

    def run(name: str, updates_per_epoch: float) -> Record:
        config = catalogue()[f"har2/published/{name}"]
        body = {"config": config.to_dict(), "data": {"train": 7415}, "status": "complete"}
        return Record({**body, "curves": {"epoch": [1], "updates": [updates_per_epoch]}})

    assert reports.authors_axis(run("adam", 58), 1140) == pytest.approx((1140 / 58, 1140))
    assert reports.authors_axis(run("adam-tbptt", 464), 1140) == pytest.approx((1140 / 58, 9120))
    assert reports.authors_axis(run("fw-k5", 11.6), 1140) == pytest.approx((1140 / 11.6, 1140))


def test_an_axis_of_seconds_says_whether_they_can_be_compared():
    from fwrnn_core.figures import panel

    one, other = record("x/adam", [0.5]), record("x/fw-k5", [0.6])
    other.body["environment"] = {"code": "2"}
    assert reports.axis_label("seconds", [one]) == "seconds on one core"
    assert reports.axis_label("epoch", [one, other]) == "epochs"
    _, ax = panel()
    reports.draw(ax, held(one, other), "test_accuracy", "seconds")
    assert ax.get_xlabel().endswith("not comparable)")


def test_no_rerun_is_called_the_best_while_one_is_missing():
    table = reports.beside_print(cover({"adam": [0.6], "fw-k5": None}), "table3", "har2")
    first, second = cells(table)
    assert first[2] == "60.00"
    assert second[2:] == ["–"] * 5


def test_what_is_recorded_is_said_in_words():
    assert cover({"adam": [0.6], "fw-k5": [0.7]}).sentence() == "All 2 runs are complete."
    assert cover({"adam": None, "fw-k5": None}).sentence() == (
        "**Not run yet:** none of the 2 runs has a record."
    )
    begun = cover({"adam": [0.6], "fw-k5": [0.7], "fw-k1": None}, adam="partial")
    assert begun.sentence() == (
        "1 of 3 runs is complete, 1 is at 1 of 200 epochs, 1 is not run yet. "
        "Begun: Adam (1 of 200 epochs). Missing: Frank-Wolfe, K = 1."
    )
    assert not begun.coverage.whole
    assert begun.get("fw-k5") is begun.only("fw-k5").records[0]
    short = cover({"adam": [0.6] * 10, "fw-k5": [0.7] * 10}, adam="partial", **{"fw-k5": "partial"})
    assert short.extent == "10 of 200 epochs"
    assert short.sentence() == "0 of 2 runs are complete, 2 are at 10 of 200 epochs."


def test_what_is_missing_comes_with_the_command_that_trains_it():
    runs = {"adam": [0.6], "fw-k5": [0.7]}
    assert cover(runs).sentence("fwrnn train x") == cover(runs).sentence()
    assert (
        cover(runs | {"fw-k1": None})
        .sentence("fwrnn train x")
        .endswith("Missing: Frank-Wolfe, K = 1. `fwrnn train x` trains the rest.")
    )
    assert (
        cover(dict.fromkeys(runs))
        .sentence("fwrnn train x")
        .endswith("has a record. `fwrnn train x` trains them.")
    )


def test_no_figure_and_no_caption_before_a_run_is_recorded():
    from matplotlib.figure import Figure

    fig = Figure()
    assert reports.shown(fig, [record("a", [0.5])]) is fig
    assert reports.shown(fig, []) is None


def test_the_paper_s_mark_lies_above_the_re_run_s():
    from fwrnn_core.figures import panel

    runs = cover({"adam": [0.6], "adam-tbptt": None, "fw-k5": [0.9]})
    _, ax = panel()
    reports.draw_beside_print(ax, runs, "table3", "har2", [["adam", "fw-k5"], ["adam-tbptt"]])
    assert [t.get_text() for t in ax.get_yticklabels()] == [
        "Adam",
        "Frank-Wolfe, K = 5",
        "Adam, TBPTT",
    ]
    names = [ln.get_label() for ln in ax.get_lines() if not ln.get_label().startswith("_")]
    assert names == ["the paper", "re-run, Adam", "re-run, Frank-Wolfe"]
    _, ax = panel()
    reports.draw_beside_print(ax, runs, "table3", "har2", further={"fw-k5": [88.0, 89.0]})
    dots = [ln for ln in ax.get_lines() if ln.get_label().endswith("re-run, further seeds")]
    assert [float(ln.get_xdata()[0]) for ln in dots] == [88.0, 89.0]
    mark = next(ln for ln in ax.get_lines() if ln.get_label() == "re-run, Frank-Wolfe")
    assert all(ln.get_ydata()[0] > mark.get_ydata()[0] for ln in dots), "beside it, not on it"


def test_settings_that_no_run_has_get_no_column():
    runs = [RunConfig("x/adam"), RunConfig("x/fw-k5")]
    header = reports.setup_table(runs).splitlines()[0]
    assert "TBPTT" not in header
    assert "multiplied" not in header
    assert "TBPTT" in reports.setup_table([*runs, RunConfig("x/adam-tbptt", tbptt=16)])


def test_a_record_of_other_settings_counts_as_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("FWRNN_HOME", str(tmp_path))
    config = RunConfig("har2/published/adam")
    records.save(record(config.name, [0.6]))
    assert reports.recorded([config]).found
    assert reports.recorded([config.replace(epochs=3)]).missing


def test_a_level_is_reached_at_the_first_epoch_that_has_it():
    run = record("a", [0.2, 0.6, 0.5, 0.7])
    assert reports.first_reaching(run, "test_accuracy", 0.55, "updates") == 20
    assert reports.first_reaching(run, "validation_loss", 0.5, "updates") == 10
    assert reports.first_reaching(run, "test_accuracy", 0.6, "updates") == 20, "the level itself"
    assert reports.first_reaching(run, "test_accuracy", 0.8, "updates") == math.inf


def test_an_unknown_x_axis_names_the_nearest():
    import matplotlib.pyplot as plt

    run = held(record("a", [0.5]))
    with pytest.raises(ConfigError, match="'update'.*'updates'"):
        reports.draw(plt.figure().gca(), run, "test_accuracy", "update")


def test_a_run_of_fewer_minibatches_than_one_update_takes_is_not_drawn():
    """Its curve would be that of the initial weights."""
    adding = DataConfig("adding", {"length": 8, "train": 40, "test": 10})
    config = RunConfig("short", data=adding, batch_size=20, epochs=1)
    runs = {
        f"K = {k}": reports.live(
            config.replace(**{"optimizer.inner_steps": k}), seeds=[0, 1], epochs=1, device="cpu"
        )
        for k in (2, 3)
    }
    assert [reports.has_moved(run) for group in runs.values() for run in group] == [
        *(True, True),
        *(False, False),
    ]
    for curve in ("", "train_loss"):
        _, ax = figures.panel()
        reports.draw_groups(ax, runs, "updates", curve)
        assert [line.get_label() for line in ax.get_lines()] == ["K = 2"]
        assert ax.get_title(loc="left") + ax.get_title() == (
            "K = 3: too few minibatches for an update"
        )


def test_a_short_run_is_made_trained_and_recorded_under_the_settings_of_recorded_ones(monkeypatch):
    inside, seen = [], []

    @contextmanager
    def deterministic(device):
        inside.append(device)
        yield
        inside.clear()

    class Watched(short_runs.Run):
        def __init__(self, *given):
            seen.append(("made", *inside))
            super().__init__(*given)

        def record(self):
            seen.append(("recorded", *inside))
            return super().record()

    monkeypatch.setattr(short_runs, "deterministic", deterministic)
    monkeypatch.setattr(short_runs, "Run", Watched)
    adding = DataConfig("adding", {"length": 8, "train": 40, "test": 10})
    config = RunConfig("short", data=adding, batch_size=20, epochs=9)
    reports.live(config, seeds=[0], epochs=1, device="cpu")
    assert seen == [("made", "cpu"), ("recorded", "cpu")]
