"""The catalogue against the settings that it claims to hold."""

from __future__ import annotations

import dataclasses
from fnmatch import fnmatchcase

import pytest

from fwrnn_core.errors import ConfigError
from fwrnn_core.experiments import GROUPS, SEARCHES, catalogue, fair, planned, select, tuned
from fwrnn_core.training import Record, RunConfig, records


def test_every_run_survives_its_own_json():
    for name, config in catalogue().items():
        assert config.name == name
        assert RunConfig.from_dict(config.to_dict()) == config


def test_no_two_runs_are_the_same_run():
    # An ablation's base setting appears once in each of its series; all else is different.
    ids: dict[str, list[str]] = {}
    for name, config in catalogue().items():
        if not name.startswith("ablations/"):
            ids.setdefault(config.id, []).append(name)
    assert [names for names in ids.values() if len(names) > 1] == []


@pytest.mark.parametrize(
    ("name", "batch", "lr", "inner"),
    [
        ("har2/published/adam", 128, 1e-3, None),
        ("har2/published/fw-k10", 32, 6e-4, 10),
        ("mnist-rnn/published/pixel/fw-k5", 64, 2e-4, 5),
        ("mnist-rnn/published/permuted/fw-k1-tbptt", 32, 6e-4, 1),
        ("mnist-indrnn/published/permuted/fw-k5", 64, 1e-3, 5),
        ("adding/published/fw-k10", 50, 1e-3, 10),
    ],
)
def test_settings_are_the_authors(name, batch, lr, inner):
    config = catalogue()[name]
    assert (config.batch_size, config.optimizer.lr) == (batch, lr)
    assert (config.optimizer.name == "frank-wolfe") == (inner is not None)
    if inner:
        assert config.optimizer.inner_steps == inner
        assert config.optimizer.trajectory == "released"


@pytest.mark.parametrize("task", ["pixel", "permuted"])
def test_adam_in_the_setting_of_one_inner_step_differs_in_the_optimizer_alone(task):
    runs = catalogue()
    adam, ours = runs[f"mnist-rnn/equal/{task}/adam"], runs[f"mnist-rnn/published/{task}/fw-k1"]
    assert (adam.optimizer.name, adam.optimizer.lr) == ("adam", ours.optimizer.lr)
    assert adam.tbptt is ours.tbptt is None  # so that its rule says nothing
    changes = {"name": ours.name, "optimizer": ours.optimizer, "tbptt_rule": ours.tbptt_rule}
    assert adam.replace(**changes) == ours


def test_records_name_the_seed_of_the_order_of_pixels():
    names = [n for n in records.names("mnist-*") if "/permuted/" in n]
    assert names
    for name in names:
        assert records.filed(name).body["data"]["options"]["seed"] == 42, name


def test_groups_select_what_the_paper_shows():
    assert len(select("table3")) == 24
    assert len(select("fig3")) == 3
    assert len(select("fig4")) == 12
    assert len(select("fig4-equal")) == 2
    assert len(select("table2")) == 6
    assert len(select("indrnn-equal")) == 10
    for group in GROUPS:
        if group not in SEARCHES:
            assert select(group)


def test_every_run_belongs_to_a_group():
    # By pattern: a group of runs that follow from a search may still be empty.
    patterns = [pattern for group in GROUPS.values() for pattern in group]
    lost = [name for name in catalogue() if not any(fnmatchcase(name, p) for p in patterns)]
    assert lost == []


def test_an_unknown_run_names_the_nearest():
    with pytest.raises(ConfigError, match="'tabel3'.*'table3'"):
        select("tabel3")


def test_the_fair_search_draws_alike_for_every_method():
    draws = {
        method: [(c.optimizer.lr, c.batch_size, c.lr_gamma) for c in fair.search("har2", method)]
        for method in fair.METHODS
    }
    assert all(d == draws["adam"] for d in draws.values())
    assert len(set(draws["adam"])) == fair.TRIALS


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FWRNN_HOME", str(tmp_path))


def put(config: RunConfig, loss: float, status: str = "complete") -> None:
    curves = {"epoch": [1, 2], "validation_loss": [0.5, loss]}
    body = {"schema": 1, "id": config.id, "status": status, "curves": curves}
    records.save(Record({**body, "config": config.to_dict(), "seconds": [1, 2]}))


def test_final_runs_follow_from_a_complete_search(home):
    assert fair.final("har2", "adam") == []
    with pytest.raises(ConfigError, match="fair-search"):
        select("fair")
    for number, config in enumerate(fair.search("har2", "adam")):
        put(config, abs(number - 7) / 10)
    chosen = fair.search("har2", "adam")[7]
    finals = fair.final("har2", "adam")
    assert [c.seed for c in finals] == [1, 2, 3, 4, 5]
    assert {c.optimizer.lr for c in finals} == {chosen.optimizer.lr}
    assert {c.batch_size for c in finals} == {chosen.batch_size}
    assert [c.name for c in select("fair")] == [c.name for c in finals]


def choose(task: str, method: str, best: int) -> RunConfig:
    """File a search that the given trial wins."""
    trials = fair.search(task, method)
    for number, config in enumerate(trials):
        put(config, 0.1 if number == best else 0.4)
    return trials[best]


def test_equal_gradients_take_passes_in_proportion_to_the_minibatch(home):
    by_batch = {c.batch_size: n for n, c in enumerate(fair.search("har2", "adam"))}
    choose("har2", "adam", by_batch[256])
    assert fair.equal("har2", "adam") == [], "the number of gradients is the baseline's"
    with pytest.raises(ConfigError, match="5 runs wait.*fair-search"):
        select("fair/har2/equal/adam/*")
    choose("har2", fair.BASELINE, by_batch[32])
    choose("har2", "sgd", by_batch[32])
    choose("har2", "adam-tbptt", by_batch[64])
    runs = fair.equal("har2", "adam")
    assert {c.epochs for c in runs} == {800}
    assert {c.lr_step for c in runs} == {400}, "the decay stays at half-time"
    assert [c.seed for c in runs] == [1, 2, 3, 4, 5]
    changes = {"name": "one", "epochs": 2, "lr_step": 1}
    finals = fair.final("har2", "adam")
    assert [c.replace(**changes) for c in runs] == [c.replace(**changes) for c in finals]
    assert fair.equal("har2", "sgd") == fair.final("har2", "sgd"), (
        "the same runs, not trained twice"
    )
    # Eight chunks a window, minibatches twice as large: a quarter of the passes.
    odd = fair.equal("har2", "adam-tbptt")
    assert {c.epochs for c in odd} == {25}
    # So the tuning page says: the rate falls at half-time and once more before the last pass.
    assert {[n for n in range(1, 25) if n % c.lr_step == 0] == [12, 24] for c in odd} == {True}
    assert [c.name for c in select("fair-equal")] == [
        f"fair/har2/equal/{m}/seed-{s}" for m in ("adam", "adam-tbptt") for s in range(1, 6)
    ]
    assert not any(name.startswith("fair/har2/equal/sgd") for name in planned())


def test_a_search_with_a_trial_stopped_early_is_not_complete(home):
    *most, last = fair.search("har2", "adam")
    for config in most:
        put(config, 0.4)
    put(last, 0.1, status="partial")
    assert fair.selected("har2", "adam") is None
    put(last, 0.1, status="diverged")
    assert fair.selected("har2", "adam") == most[0], "a diverged trial lost"
    (records.path_of(last.name)).unlink()
    put(last, 0.1)
    assert fair.selected("har2", "adam") == last


def test_asking_again_what_a_search_selected_hashes_no_config(home, monkeypatch):
    """Pages ask some eighty times each; what files say is looked up every time, what follows from a
    config's fields is not worked out anew."""
    best = choose("har2", "adam", 3)
    assert fair.selected("har2", "adam") == best
    monkeypatch.setattr("fwrnn_core.training.config.canonical_json", None)
    assert fair.selected("har2", "adam") == best


def test_a_record_of_other_settings_is_no_trial(home):
    *most, last = fair.search("har2", "adam")
    for config in most:
        put(config, 0.4)
    put(dataclasses.replace(last, seed=9), 0.1)
    assert fair.selected("har2", "adam") is None


def test_the_adding_task_is_tuned_alike_for_every_method(home):
    for method in tuned.METHODS:
        trials = tuned.search(method)
        assert [c.optimizer.lr for c in trials] == list(fair.LEARNING_RATES)
        assert {c.data.options["length"] for c in trials} == {200}
        assert {c.data.validation for c in trials} == {0.1}
        assert tuned.final(method) == []
    with pytest.raises(ConfigError, match="fig3-search"):
        select("fig3-tuned")
    for number, config in enumerate(tuned.search("fw-k10")):
        put(config, abs(number - 2) / 10)
    finals = tuned.final("fw-k10")
    assert [c.name for c in select("fig3-tuned")] == [c.name for c in finals]
    assert [c.seed for c in finals] == [1, 2, 3]
    assert {c.optimizer.lr for c in finals} == {fair.LEARNING_RATES[2]}
    assert {c.optimizer.inner_steps for c in finals} == {10}
    for number, config in enumerate(tuned.search("fw-k1")):  # by noise, the smallest rate
        put(config, 1 / 6 + number / 1000)
    assert {c.optimizer.lr for c in tuned.final("fw-k1")} == {1e-3}, "the published rate"
