"""From a config to live objects: what was asked for is what is built."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from helpers import ADDING, small
from torch import nn

from fwrnn_core.data import load
from fwrnn_core.errors import ConfigError
from fwrnn_core.models import IndRNN
from fwrnn_core.training import ModelConfig, OptimizerConfig
from fwrnn_core.training.build import build_loss, build_model, build_optimizer

ADAM, SGD = torch.optim.Adam, torch.optim.SGD


def options(optimizer: torch.optim.Optimizer, expected: dict[str, Any]) -> dict[str, Any]:
    return {name: optimizer.param_groups[0][name] for name in expected}


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("adam", ADAM, {"lr": 0.1, "weight_decay": 0.01}),
        ("sgd", SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": False, "weight_decay": 0.01}),
    ],
)
def test_a_baseline_gets_its_momentum_and_weight_decay(name: str, kind: type, expected: Any):
    config = OptimizerConfig(name, 0.1, momentum=0.9, weight_decay=0.01)
    built = build_optimizer(small(optimizer=config), nn.Linear(2, 1))
    assert type(built) is kind
    assert options(built, expected) == expected


@pytest.mark.parametrize(
    ("outer", "kind", "expected"),
    [
        ("adam", ADAM, {"lr": 0.1, "weight_decay": 0.01}),
        ("sgd", SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": False, "weight_decay": 0.01}),
        ("nesterov", SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ],
)
def test_the_outer_optimizer_is_the_one_asked_for(outer: Any, kind: type, expected: Any):
    config = OptimizerConfig(lr=0.1, outer=outer, momentum=0.9, weight_decay=0.01)
    built = build_optimizer(small(optimizer=config), nn.Linear(2, 1))
    assert type(built.outer) is kind
    assert options(built.outer, expected) == expected
    plain = build_optimizer(small(optimizer=OptimizerConfig(outer="none")), nn.Linear(2, 1))
    assert plain.outer is None


@pytest.mark.parametrize("name", ["adam", "sgd", "frank-wolfe"])
def test_biases_and_recurrent_weights_of_an_indrnn_do_not_decay(name: Any):
    net = IndRNN(2, 4, 1, num_layers=2, seq_len=5)
    config = OptimizerConfig(name, 0.1, weight_decay=0.01)
    built = build_optimizer(small(optimizer=config), net)
    decayed, free = (getattr(built, "outer", None) or built).param_groups
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.01, 0.0)
    assert all(p.dim() == 1 for p in free["params"])


def test_two_classes_are_trained_on_logits_or_on_probabilities():
    data = dataclasses.replace(load("adding", **ADDING.options), task="binary")
    output, target = torch.tensor([[2.0], [0.0]]), torch.tensor([1.0, 0.0])
    linear = build_loss(ModelConfig(head="linear"), data)(output, target)
    assert float(linear) == pytest.approx((math.log1p(math.exp(-2)) + math.log(2)) / 2)
    assert float(build_loss(ModelConfig(), data)(output, target)) == 0.5


def test_probabilities_of_several_classes_are_refused():
    data = dataclasses.replace(load("adding", **ADDING.options), task="multiclass")
    with pytest.raises(ConfigError, match=r"'sigmoid': adding has \d+ classes"):
        build_model(ModelConfig(head="sigmoid"), data)


def test_a_catch_all_is_no_option():
    config = small(optimizer=OptimizerConfig(options={"outer_option": 1}))
    with pytest.raises(ConfigError, match="optimizer.options") as error:
        build_optimizer(config, nn.Linear(2, 1))
    assert "outer_options" not in str(error.value)
