"""Run configs: validated at construction, round trips, ids that mean what they say."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwrnn_core.errors import ConfigError
from fwrnn_core.training import DataConfig, ModelConfig, OptimizerConfig, RunConfig


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: OptimizerConfig(inner_steps=0), ["inner_steps", "0", ">= 1"]),
        (lambda: OptimizerConfig(radius=0.0), ["radius", "0.0", "> 0"]),
        (lambda: OptimizerConfig(radius=math.nan), ["radius", "nan"]),
        (lambda: OptimizerConfig(lr=-1.0), ["lr", "-1.0"]),
        (lambda: OptimizerConfig(norm=0.5), ["norm", "0.5", ">= 1"]),
        (lambda: OptimizerConfig(norm=math.nan), ["norm", "nan"]),
        (lambda: OptimizerConfig(norm="spectrum"), ["spectrum", "'spectral'", "a float >= 1"]),
        (lambda: OptimizerConfig(norm="newton"), ["'newton'", "'newton-schulz'", "inf"]),
        (lambda: OptimizerConfig(norm=None), ["None", ">= 1", "'newton-schulz'"]),
        (lambda: OptimizerConfig("frankwolfe"), ["frankwolfe", "'frank-wolfe'"]),
        (lambda: OptimizerConfig(weight_decay=math.inf), ["weight_decay", "inf"]),
        (lambda: OptimizerConfig(weight_decay="some"), ["weight_decay", "'some'"]),
        (lambda: OptimizerConfig(momentum="much"), ["momentum", "'much'"]),
        (lambda: OptimizerConfig(outer="nesterov"), ["momentum", "0.0", "0 < momentum"]),
        (lambda: OptimizerConfig("adam", options={"track": "gap"}), ["track", "'adam'", "none"]),
        (lambda: OptimizerConfig(options=5), ["optimizer.options", "5", "mapping"]),
        (lambda: OptimizerConfig(options={"scope": "global"}), ["'scope'", "set optimizer.scope"]),
        (lambda: OptimizerConfig(options={"process_group": 3}), ["'process_group'", "one process"]),
        (lambda: ModelConfig(options="abc"), ["model.options", "'abc'"]),
        (lambda: ModelConfig(options={"hidden_size": 9}), ["set model.hidden_size"]),
        (lambda: DataConfig(options=[1]), ["data.options", "[1]"]),
        (
            lambda: RunConfig("a", DataConfig(), tbptt=16, tbptt_rule="released"),
            ["tbptt_rule", "trajectory", "'paper'", "'released'"],
        ),
        (lambda: RunConfig("a", probes=5), ["probes", "5"]),
        (lambda: RunConfig("a", probes=("angles",)), ["probes", "'angles'"]),
        (lambda: ModelConfig("lstn"), ["lstn", "'lstm'"]),
        (lambda: ModelConfig(hidden_size=True), ["hidden_size", "True"]),
        (lambda: DataConfig(validation=1.0), ["validation", "1.0"]),
        (lambda: RunConfig("a", batch_size=0), ["batch_size", "0"]),
        (lambda: RunConfig("a", epochs=2.5), ["epochs", "2.5"]),
        (lambda: RunConfig("a", lr_gamma=0), ["lr_gamma", "0"]),
        (lambda: RunConfig("../a"), ["name", "../a"]),
        (lambda: RunConfig("bench/a"), ["name", "bench/a", "benchmarks"]),
        (lambda: RunConfig("a", seed=-1), ["seed", "-1"]),
        (lambda: RunConfig("a", seed=True), ["seed", "True"]),
        (lambda: RunConfig("a", shuffle="false"), ["shuffle", "'false'", "True, False"]),
        (lambda: RunConfig("a", data={"name": "adding"}), ["data", "DataConfig", "from_dict"]),
        (lambda: RunConfig("a", probes=[{"name": ["angles"]}]), ["probes", "'name'"]),
        (lambda: OptimizerConfig(lr=1e40), ["lr", "1e+40", "finite float32"]),
        (lambda: OptimizerConfig(lr=True), ["lr", "True"]),
        (lambda: OptimizerConfig(norm=True), ["norm", "True"]),
    ],
)
def test_a_bad_value_is_refused_with_the_value_and_the_range(make, words):
    with pytest.raises(ConfigError) as error:
        make()
    for word in words:
        assert word in str(error.value)


configs = st.builds(
    RunConfig,
    name=st.sampled_from(["a", "har2/x", "deep/er/name_1.5"]),
    data=st.builds(DataConfig, train_limit=st.none() | st.integers(1, 99)),
    optimizer=st.builds(
        OptimizerConfig,
        lr=st.floats(1e-6, 1.0),
        norm=st.sampled_from([1, 2.0, math.inf, "spectral", "newton-schulz"]),
        inner_steps=st.integers(1, 30),
        radius=st.none() | st.floats(1e-6, 10),
    ),
    epochs=st.integers(1, 300),
    tbptt=st.none() | st.integers(1, 50),
    probes=st.just(({"name": "angles", "every": 2},)) | st.just(()),
)


@given(configs)
def test_to_dict_and_back_is_the_same_config_with_the_same_id(config):
    again = RunConfig.from_dict(config.to_dict())
    assert again == config
    assert again.id == config.id


@given(configs, st.integers(301, 999))
def test_every_field_but_the_name_changes_the_id(config, epochs):
    assert config.replace(name="another").id == config.id
    assert config.replace(epochs=epochs).id != config.id
    assert config.replace(**{"optimizer.lr": 2.0}).id != config.id


def test_ids_are_golden():
    # An id that moved would orphan every record in the repository.
    assert RunConfig("x").id == "44136fa355b3"
    optimizer = OptimizerConfig(norm=math.inf, inner_steps=5)
    assert RunConfig("x", optimizer=optimizer).id == "4ab1751e3965"


def test_one_and_one_point_zero_are_one_config():
    whole = RunConfig("x", optimizer=OptimizerConfig(lr=1, norm=1))
    assert whole.id == RunConfig("x", optimizer=OptimizerConfig(lr=1.0, norm=1.0)).id


def test_unknown_keys_are_refused_with_the_nearest_names():
    with pytest.raises(ConfigError, match="'batchsize'.*'batch_size'"):
        RunConfig.from_dict({"name": "a", "batchsize": 3})
    with pytest.raises(ConfigError, match=r"config\.optimizer.*'inner_step'.*'inner_steps'"):
        RunConfig.from_dict({"name": "a", "optimizer": {"inner_step": 3}})
    with pytest.raises(ConfigError, match="'optimizer.lrr'.*'optimizer.lr'"):
        RunConfig("a").replace(**{"optimizer.lrr": 3})
    with pytest.raises(ConfigError, match="lacks its 'name'"):
        RunConfig.from_dict({})
