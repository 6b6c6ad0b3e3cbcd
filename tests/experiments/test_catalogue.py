"""The catalogue against the settings that it claims to hold."""

from __future__ import annotations

import pytest

from fwrnn_core.errors import ConfigError
from fwrnn_core.experiments import GROUPS, catalogue, fair, select
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


def test_groups_select_what_the_paper_shows():
    assert len(select("table3")) == 24
    assert len(select("fig3")) == 3
    assert len(select("fig4")) == 12
    assert len(select("table2")) == 6
    for group in GROUPS:
        if group != "fair":
            assert select(group)


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


def test_final_runs_follow_from_a_complete_search(tmp_path, monkeypatch):
    monkeypatch.setenv("FWRNN_HOME", str(tmp_path))
    assert fair.final("har2", "adam") == []
    with pytest.raises(ConfigError, match="fair-search"):
        select("fair")
    for number, config in enumerate(fair.search("har2", "adam")):
        curves = {"epoch": [1, 2], "validation_loss": [0.5, abs(number - 7) / 10]}
        body = {"schema": 1, "id": config.id, "status": "complete", "curves": curves}
        records.save(Record({**body, "config": config.to_dict(), "seconds": [1, 2]}))
    chosen = fair.search("har2", "adam")[7]
    finals = fair.final("har2", "adam")
    assert [c.seed for c in finals] == [1, 2, 3, 4, 5]
    assert {c.optimizer.lr for c in finals} == {chosen.optimizer.lr}
    assert {c.batch_size for c in finals} == {chosen.batch_size}
    assert [c.name for c in select("fair")] == [c.name for c in finals]
