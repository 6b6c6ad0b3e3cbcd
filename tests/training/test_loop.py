"""The loop's bookkeeping: counters, curves, thinning, losses and accuracies by hand."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch
from helpers import ADDING, small

from fwrnn_core.data import Dataset
from fwrnn_core.errors import ConfigError
from fwrnn_core.training import DataConfig, ModelConfig, OptimizerConfig, Run, train
from fwrnn_core.training.build import count_correct, derive_seed


def test_updates_and_gradient_evaluations_are_counted_apart():
    record = train(small(inner_steps=3), store=False, progress=False)
    assert record.curve("gradient_evaluations").tolist() == [5, 10, 15, 20]
    assert record.curve("updates").tolist() == [1, 3, 5, 6]
    chunked = train(small(inner_steps=3, tbptt=4), store=False, progress=False)
    assert chunked.curve("gradient_evaluations").tolist() == [15, 30, 45, 60]
    assert chunked.curve("updates").tolist() == [5, 10, 15, 20]


def test_first_gradient_is_that_of_plain_torch():
    config = small(optimizer=OptimizerConfig("sgd", 0.5), model=ModelConfig("tanh", 8))
    run = Run(config, "cpu")
    before = [p.detach().clone() for p in run.model.parameters()]
    x, y = run._next_batch()
    loss = torch.nn.functional.mse_loss(run.model(x)[:, 0], y)
    expected = torch.autograd.grad(loss, list(run.model.parameters()))
    assert run.step() == pytest.approx(loss.item())
    for p, old, g in zip(run.model.parameters(), before, expected, strict=True):
        torch.testing.assert_close(p.data, old - 0.5 * g)


def test_an_epoch_sees_every_example_once_in_another_order_each_time():
    run = Run(small(), "cpu")
    seen = []
    for _ in range(2):
        targets = []
        for _ in range(run.minibatches):
            targets.append(run._next_batch()[1])
            run.minibatch += 1
        seen.append(torch.cat(targets))
        run.epoch, run.minibatch, run._order = run.epoch + 1, 0, None
    assert not torch.equal(seen[0], seen[1])
    for targets in seen:
        assert torch.equal(targets.sort().values, run.data.y_train.sort().values)


def test_without_shuffling_the_order_is_the_data_s():
    run = Run(small(shuffle=False), "cpu")
    assert torch.equal(run._next_batch()[1], run.data.y_train[:32])


def test_losses_are_thinned_to_a_bounded_number_of_points():
    long = small(epochs=300, inner_steps=1)
    record = train(long, store=False, progress=False, stop_after=20)
    losses = record.body["losses"]
    # 1500 updates are expected in all: every third is kept, 100 of them are done.
    assert losses["update"] == list(range(3, 101, 3))
    assert losses["update"] == losses["gradient_evaluation"]


def test_clipping_reaches_the_gradient_before_the_optimizer_sees_it():
    tight = OptimizerConfig("sgd", 1.0, clip_norm=1e-6)
    run = Run(small(optimizer=tight), "cpu")
    before = torch.cat([p.detach().flatten() for p in run.model.parameters()])
    run.step()
    after = torch.cat([p.detach().flatten() for p in run.model.parameters()])
    assert (after - before).norm() <= 1.1e-6
    clamp = OptimizerConfig("sgd", 1.0, clip_value=1e-6)
    run = Run(small(optimizer=clamp), "cpu")
    before = [p.detach().clone() for p in run.model.parameters()]
    run.step()
    for p, old in zip(run.model.parameters(), before, strict=True):
        assert (p - old).abs().max() <= 1.1e-6  # float32 rounds the difference


def test_the_schedule_moves_learning_rate_and_radius_together():
    record = train(small(lr_step=1, lr_gamma=0.5), store=False, progress=False)
    torch.testing.assert_close(
        torch.tensor(record.curve("lr")), torch.tensor([1e-2, 5e-3, 2.5e-3, 1.25e-3]).double()
    )


def test_validation_is_held_out_and_reported():
    config = small(data=DataConfig("adding", {"length": 12, "train": 160}, validation=0.25))
    record = train(config, store=False, progress=False)
    assert record.body["data"]["train"] == 120
    assert record.body["data"]["validation"] == 40
    assert len(set(record.body["curves"]["validation_loss"])) == 4
    assert record.at_best_validation("test_loss") in record.body["curves"]["test_loss"]


def test_accuracy_counts_right_answers():
    output = torch.tensor([[0.6], [0.4], [0.9]])
    target = torch.tensor([1.0, 1.0, 1.0])
    assert count_correct(output, target, "binary", "sigmoid") == 2
    assert count_correct(output - 0.5, target, "binary", "linear") == 2
    logits = torch.tensor([[0.0, 1.0], [2.0, 1.0]])
    assert count_correct(logits, torch.tensor([1, 1]), "multiclass", "linear") == 1


@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru", "indrnn"])
def test_mixed_precision_is_off_unless_asked_for_and_then_near(cell):
    """On whatever device there is: the layers' outputs tell in which precision they ran."""
    plain = small(model=ModelConfig(cell, 8), shuffle=False)
    curves = {}
    for config in (plain, plain.replace(precision="bfloat16")):
        run, seen = Run(config, "auto"), set()
        for layer in run.model.modules():
            if isinstance(layer, torch.nn.Linear):
                layer.register_forward_hook(lambda *_, seen=seen: seen.add(_[2].dtype))
        run.advance(config.epochs, progress=False)
        assert seen == {getattr(torch, config.precision)}
        # What is trained and what is kept of it is float32 in both.
        kept = [*run.model.parameters(), *run.model.buffers()]
        assert {t.dtype for t in kept if t.is_floating_point()} == {torch.float32}
        curves[config.precision] = [run.curves["train_loss"], run.curves["test_loss"]]
    mixed, full = map(torch.tensor, (curves["bfloat16"], curves["float32"]))
    assert not torch.equal(mixed, full)
    torch.testing.assert_close(mixed, full, rtol=0.02, atol=0)
    assert plain.id == small(model=ModelConfig(cell, 8), shuffle=False, precision="float32").id
    assert plain.id != plain.replace(precision="bfloat16").id


def test_a_device_without_mixed_precision_is_refused_before_the_data_are_read(monkeypatch):
    monkeypatch.setattr(torch.amp, "is_autocast_available", lambda _: False)
    monkeypatch.setattr("fwrnn_core.training.build.build_data", lambda _: pytest.fail("read"))
    with pytest.raises(ConfigError, match="no mixed precision on 'cpu'; give precision = 'float3"):
        Run(small(precision="bfloat16"), "cpu")


def test_training_learns():
    config = small(
        data=DataConfig("adding", {"length": 6, "train": 500, "test": 200}),
        model=ModelConfig("tanh", 16),
        epochs=30,
        inner_steps=2,
    )
    record = train(config, store=False, progress=False)
    # The mean of the targets alone keeps the first epoch's loss. How far a run gets below half of
    # it depends on the last bits, hence on the machine.
    assert record.curve("test_loss")[-1] < 0.5 * record.curve("test_loss")[0]


def test_streams_and_positions_have_seeds_of_their_own():
    places = itertools.product((0, 1), ("order", "noise"), range(50))
    assert len({derive_seed(*place) for place in places}) == 200


def test_train_loss_is_the_mean_over_the_epoch_s_own_examples():
    run = Run(small(batch_size=50), "cpu")
    for epoch in range(2):
        losses = [run.step() for _ in range(run.minibatches)]
        run.finish_epoch()
        # The last minibatch has 10 of the 160 examples.
        mean = sum(n * loss for n, loss in zip((50, 50, 50, 10), losses, strict=True)) / 160
        assert run.curves["train_loss"][epoch] == pytest.approx(mean)


def test_thinning_expects_updates_and_not_minibatches():
    # 1500 minibatches with K = 3 are 500 updates, which need no thinning.
    record = train(small(epochs=300), store=False, progress=False, stop_after=1)
    assert record.body["losses"]["update"] == [1]


def test_thinning_expects_an_update_for_every_chunk():
    # Three chunks of 1500 minibatches are 4500 updates: every eighth is kept.
    record = train(
        small(epochs=300, inner_steps=1, tbptt=5), store=False, progress=False, stop_after=2
    )
    assert record.body["losses"]["update"] == [8, 16, 24]


def test_a_training_subset_is_drawn_with_the_run_s_seed_and_keeps_the_data_s_order():
    whole = Run(small(), "cpu").data.y_train.tolist()
    limited = dataclasses.replace(ADDING, train_limit=40)
    first, again, other = (
        Run(small(data=limited, seed=seed), "cpu").data.y_train.tolist() for seed in (0, 0, 1)
    )
    assert first == again != other
    assert len(first) == 40
    assert first == [y for y in whole if y in first]
    with pytest.raises(ConfigError, match="train_limit = 161 exceeds the 160"):
        Run(small(data=dataclasses.replace(ADDING, train_limit=161)), "cpu")


def test_the_run_s_seed_decides_who_is_held_out():
    held = dataclasses.replace(ADDING, validation=0.25)
    first, again, other = (
        Run(small(data=held, seed=seed), "cpu").validation.y_test.tolist() for seed in (0, 0, 1)
    )
    assert first == again != other


def test_no_two_minibatches_share_their_noise_or_their_dropout(monkeypatch):
    """A draw that repeats every epoch would be learned by heart, and every run would still resume
    bit for bit."""
    seeds: dict[str, list[int]] = {"train": [], "test": [], "dropout": []}
    batch, gradients = Dataset.batch, Run._gradients

    def noisy(self, split, index, generator=None):
        seeds[split].append(generator.initial_seed())
        return batch(self, split, index, generator)

    def dropping(self, x, y):
        seeds["dropout"].append(torch.initial_seed())
        return gradients(self, x, y)

    monkeypatch.setattr(Dataset, "batch", noisy)
    monkeypatch.setattr(Run, "_gradients", dropping)
    train(small(epochs=3), store=False, progress=False)
    assert [len(drawn) for drawn in seeds.values()] == [15, 3, 15]
    assert len({seed for drawn in seeds.values() for seed in drawn}) == 33


def test_every_chunk_of_a_sequence_is_clipped():
    tight = OptimizerConfig("sgd", 1.0, clip_norm=1e-6)
    run = Run(small(optimizer=tight, tbptt=4), "cpu")
    before = torch.cat([p.detach().flatten() for p in run.model.parameters()])
    run.step()
    after = torch.cat([p.detach().flatten() for p in run.model.parameters()])
    assert run.updates == 3
    assert (after - before).norm() <= 3.3e-6


def test_an_infinite_loss_is_divergence_at_once(monkeypatch):
    original = Run._next_batch

    def poisoned(self):
        x, y = original(self)
        return x, (y + float("inf") if self.minibatch == 2 else y)

    monkeypatch.setattr(Run, "_next_batch", poisoned)
    config = small(optimizer=OptimizerConfig("sgd", 1e-2))
    record = train(config, store=False, progress=False)
    assert record.body["diverged"] == {"epoch": 1, "minibatch": 3, "update": 2, "loss": "inf"}
