"""Testing a model: exact over samples, or as the authors did it."""

from __future__ import annotations

import pytest
import torch
from helpers import ADDING, small
from torch import nn

from fwrnn_core.data import load
from fwrnn_core.training import ModelConfig, Run, RunConfig
from fwrnn_core.training.build import generator
from fwrnn_core.training.evaluate import evaluate

CPU = torch.device("cpu")


class Constant(nn.Module):
    """Answers 0.7 to everything and notes in which mode it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.modes: list[tuple[bool, int]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.modes.append((self.training, len(x)))
        return torch.full((len(x), 1), 0.7)


def test_loss_is_the_mean_over_samples_and_regression_has_no_accuracy():
    data = load("adding", **ADDING.options)
    loss, accuracy = evaluate(Constant(), data, small(), 0, CPU)
    assert loss == pytest.approx(float(((0.7 - data.y_test) ** 2).mean()), rel=1e-6)
    assert accuracy is None


def test_evaluation_mode_leaves_the_model_as_it_was():
    model = Constant().train()
    evaluate(model, load("adding", **ADDING.options), small(), 0, CPU)
    assert model.training
    assert model.modes == [(False, 40)]


def test_the_published_way_tests_in_training_mode_and_minibatches():
    model = Constant()
    config = small(evaluation="published-code")
    evaluate(model, load("adding", **ADDING.options), config, 0, CPU)
    assert model.modes == [(True, 32), (True, 8)]


def test_dropout_in_the_published_way_is_repeatable_and_leaves_the_generator_alone():
    config = small(evaluation="published-code", model=ModelConfig("indrnn", 6, num_layers=2))
    run = Run(config, "cpu")
    before = torch.get_rng_state()
    first = evaluate(run.model, run.data, config, 0, CPU)
    again = evaluate(run.model, run.data, config, 0, CPU)
    other = evaluate(run.model, run.data, config, 1, CPU)
    assert first == again != other
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("where", ["anchor", "iterate"])
def test_an_epoch_that_ends_in_mid_loop_is_tested_where_asked(where: str):
    # Five minibatches an epoch, K = 3: the first epoch ends two inner steps after an update.
    config: RunConfig = small(evaluate_at=where)
    run = Run(config, "cpu")
    for _ in range(5):
        run.step()
    assert run.optimizer.inner_step == 2
    displaced = [p.detach().clone() for p in run.model.parameters()]
    here = evaluate(run.model, run.data, config, 0, CPU)[0]
    with run.optimizer.anchored():
        anchor = evaluate(run.model, run.data, config, 0, CPU)[0]
    assert here != anchor
    run.finish_epoch()
    expected = anchor if where == "anchor" else here
    assert run.curves["test_loss"][0] == pytest.approx(expected, rel=1e-8)
    assert all(torch.equal(a, b) for a, b in zip(displaced, run.model.parameters(), strict=True))


def test_the_published_way_shuffles_and_gives_a_short_minibatch_the_weight_of_a_full_one():
    data, config = load("adding", **ADDING.options), small(evaluation="published-code")
    for epoch in range(2):
        order = torch.randperm(40, generator=generator(config.seed, "test-order", epoch))
        parts = [float(((0.7 - data.y_test[rows]) ** 2).mean()) for rows in order.split(32)]
        loss, _ = evaluate(Constant(), data, config, epoch, CPU)
        assert loss == pytest.approx(sum(parts) / 2, rel=1e-6)
