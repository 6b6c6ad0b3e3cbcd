"""``train``: resumed, killed, shared and interrupted runs are the run that was never stopped."""

from __future__ import annotations

import shutil
import threading
import time

import pytest
import torch
from helpers import small

from fwrnn_core import locks, paths
from fwrnn_core.errors import ConfigError, RecordError
from fwrnn_core.training import (
    AlreadyRunning,
    ModelConfig,
    OptimizerConfig,
    Run,
    checkpoint,
    records,
    train,
)
from fwrnn_core.training.session import on_threads

BATCH_NORM = ModelConfig("tanh", 8, options={"batch_norm": True})
RELEASED = OptimizerConfig(lr=1e-2, inner_steps=3, trajectory="released")
VARIANTS = {
    "frank-wolfe in mid-loop": small(),
    "released trajectory": small(optimizer=RELEASED),
    "adam with schedule": small(optimizer=OptimizerConfig("adam", 1e-2), lr_step=1),
    "truncated": small(tbptt=5),
    "truncated, released": small(optimizer=RELEASED, tbptt=4, tbptt_rule="released"),
    "dropout and batch norm": small(
        model=ModelConfig("indrnn", 6, num_layers=2),
        optimizer=OptimizerConfig("adam", 1e-2, weight_decay=1e-3),
        evaluation="published-code",
    ),
}


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("steps", [1, 5, 8])
@pytest.mark.filterwarnings("error:Detected call of")
def test_a_run_resumed_after_any_minibatch_is_the_unbroken_run(config, steps):
    whole = train(config, store=False, progress=False)
    first = Run(config, "cpu")
    done = 0
    while done < steps:
        if first.minibatch == first.minibatches:
            first.finish_epoch()
        first.step()
        done += 1
    path = checkpoint.path_of(config.id)
    checkpoint.save(path, config.id, first.state_dict())
    resumed = train(config, progress=False)
    assert resumed.essence() == whole.essence()
    assert not path.exists()


def test_a_stored_run_is_not_trained_twice():
    first = train(small(), progress=False)
    stamp = records.path_of("test/run").stat().st_mtime_ns
    assert train(small(), progress=False).body == first.body
    assert records.path_of("test/run").stat().st_mtime_ns == stamp


def test_stop_after_files_a_partial_record_that_goes_on():
    whole = train(small(), store=False, progress=False)
    partial = train(small(), progress=False, stop_after=2)
    assert (partial.status, partial.epochs) == ("partial", 2)
    assert train(small(), progress=False, stop_after=1).body == partial.body
    complete = train(small(), progress=False)
    assert complete.status == "complete"
    assert complete.essence() == whole.essence()


def test_a_partial_record_goes_on_where_only_the_repository_is(capsys):
    whole = train(small(), store=False, progress=False)
    partial = train(small(), progress=False, stop_after=2)
    state = records.state_path_of("test/run")
    shutil.rmtree(paths.checkpoints())  # what git ignores is not in a clone
    before = state.read_bytes()
    assert train(small(), progress=False, stop_after=2).body == partial.body
    assert state.read_bytes() == before
    epochs: list[int] = []
    complete = train(small(), progress=False, on_epoch=lambda run: epochs.append(run.epoch))
    assert epochs == list(range(3, small().epochs + 1))
    assert "without its state" not in capsys.readouterr().err
    assert complete.essence() == whole.essence()
    assert not state.exists()


def test_of_two_states_the_one_that_is_further_on_is_taken():
    train(small(), progress=False, stop_after=2)
    older = checkpoint.path_of(small().id).read_bytes()
    train(small(), progress=False, stop_after=3)
    checkpoint.path_of(small().id).write_bytes(older)
    epochs: list[int] = []
    train(small(), progress=False, on_epoch=lambda run: epochs.append(run.epoch))
    assert epochs[0] == 4


def test_a_partial_record_whose_state_is_lost_starts_again_and_says_so(capsys):
    whole = train(small(), store=False, progress=False)
    train(small(), progress=False, stop_after=2)
    shutil.rmtree(paths.checkpoints())
    records.state_path_of("test/run").unlink()
    complete = train(small(), progress=False)
    assert "test/run: a record without its state; from epoch 1 again" in capsys.readouterr().err
    assert complete.essence() == whole.essence()


def test_the_global_generator_and_thread_count_are_left_alone():
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    with on_threads(threads := torch.get_num_threads() + 1):
        train(small(epochs=1), store=False, progress=False)
        assert torch.get_num_threads() == threads
    assert torch.rand(1) == expected


def test_divergence_stops_the_run_and_says_where():
    config = small(optimizer=OptimizerConfig("sgd", 1e30))
    record = train(config, progress=False)
    assert record.status == "diverged"
    where = record.body["diverged"]
    assert where["epoch"] == 1
    assert where["minibatch"] >= 1
    assert where["loss"] in ("inf", "nan")
    assert train(config, progress=False).body == record.body  # it is not tried again


def test_divergence_keeps_the_last_good_checkpoint(monkeypatch):
    config = small()
    original = Run._next_batch

    def poisoned(self):
        x, y = original(self)
        return (x * float("nan") if self.epoch == 2 else x), y

    monkeypatch.setattr(Run, "_next_batch", poisoned)
    record = train(config, progress=False)
    assert (record.status, record.epochs) == ("diverged", 2)
    state = checkpoint.load(checkpoint.path_of(config.id), config.id)
    assert state["counters"][0] == 2


def test_a_gradient_that_overflows_is_divergence_too(monkeypatch):
    config = small()
    original = Run._clip

    def overflowing(self):
        original(self)
        if self.epoch == 2:
            next(self.model.parameters()).grad.fill_(float("inf"))

    monkeypatch.setattr(Run, "_clip", overflowing)
    record = train(config, progress=False)
    assert (record.status, record.epochs) == ("diverged", 2)
    assert record.body["diverged"]["gradient"] == "not finite"
    state = checkpoint.load(checkpoint.path_of(config.id), config.id)
    assert state["counters"][0] == 2


def test_a_run_that_is_being_trained_is_refused_to_who_will_not_wait():
    config = small()
    with locks.held(checkpoint.lock_of(config.id), "waiting"):
        with pytest.raises(AlreadyRunning, match="another process"):
            train(config, progress=False, wait=False)
        assert checkpoint.is_running(config.id)
    assert not checkpoint.is_running(config.id)


def test_the_second_of_two_waits_and_gets_the_first_ones_record(capsys):
    config = small(epochs=6)
    results = []
    second = threading.Thread(target=lambda: results.append(train(config, progress=False)))
    with locks.held(checkpoint.lock_of(config.id), "waiting"):
        second.start()
        time.sleep(0.2)
        assert not results
    second.join(timeout=60)
    assert results[0].status == "complete"
    assert "waiting" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batch_size": 161}, "batch_size = 161 exceeds the 160"),
        ({"tbptt": 13}, "tbptt = 13 exceeds the 12"),
        ({"model": ModelConfig("tanh", 8, options={"colour": 1})}, "colour"),
        ({"model": ModelConfig("tanh", 8, options={"hed": "linear"})}, "'hed'.*set model.head"),
        ({"model": ModelConfig("tanh", 8, options={"x": 1})}, "Valid: batch_norm, initial_state$"),
        ({"model": ModelConfig("tanh", 8, options={"input_size": 3})}, "'input_size' comes from"),
        ({"model": ModelConfig("indrnn", 8, options={"output_size": 3})}, "'output_size' comes"),
        ({"model": ModelConfig("tanh", 8, options={"generator": 3})}, "'generator' follows from"),
        ({"optimizer": OptimizerConfig(options={"params": []})}, "'params' are the network's"),
        ({"model": BATCH_NORM, "batch_size": 53}, "leaves 1 of the 160 training .*needs two"),
        (
            {"model": BATCH_NORM, "batch_size": 13, "evaluation": "published-code"},
            "leaves 1 of the 40 test .*needs two",
        ),
        (
            {"model": ModelConfig("indrnn", 8), "batch_size": 53, "tbptt": 11},
            "1 of the 160 .*1 of the 12 time steps .*needs two",
        ),
        ({"model": ModelConfig("indrnn", 8), "batch_size": 1, "tbptt": 1}, "needs two"),
        ({"optimizer": OptimizerConfig(options={"trak": ["gap"]})}, "'trak'.*'track'"),
        ({"optimizer": OptimizerConfig(options={"adaptive": "ratio"})}, r"step\(closure\)"),
    ],
)
def test_settings_that_do_not_fit_the_data_are_refused_before_training(changes, words):
    with pytest.raises(ConfigError, match=words):
        train(small(**changes), progress=False)
    assert not records.path_of("test/run").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"stop_after": 0}, "stop_after = 0"),
        ({"threads": 0}, "threads = 0"),
        ({"probes": [object()]}, "probes from config.probes"),
    ],
)
def test_what_a_call_cannot_ask_for_is_refused_before_training(options, words):
    with pytest.raises(ConfigError, match=words):
        train(small(), progress=False, **options)
    assert not records.path_of("test/run").exists()


def test_a_name_that_other_settings_have_taken_is_refused():
    first = train(small(epochs=1), progress=False)
    other = small(epochs=1, seed=5)
    with pytest.raises(RecordError, match=f"holds run {first.config.id}, not {other.id}"):
        train(other, progress=False)


def test_batch_normalisation_over_time_takes_one_sequence_of_several_steps():
    model = ModelConfig("indrnn", 8, num_layers=1)
    for changes in ({"tbptt": 5}, {"tbptt": None}):
        config = small(model=model, batch_size=53, epochs=1, **changes)
        assert train(config, store=False, progress=False).status == "complete"


def test_an_absent_device_is_refused():
    with pytest.raises(ConfigError, match="'cuda:7' is not available"):
        train(small(), store=False, progress=False, device="cuda:7")
    with pytest.raises(ConfigError, match="'meta' is not available here: it holds no numbers"):
        train(small(), store=False, progress=False, device="meta")
    with pytest.raises(ConfigError, match=r"'cudda'.*'cuda'.*auto, cpu, cuda, cuda:1, mps$"):
        train(small(), store=False, progress=False, device="cudda")


def test_weights_that_the_last_update_ruins_are_divergence(monkeypatch):
    original = Run._optimizer_step

    def ruining(self, *arguments):
        original(self, *arguments)
        if (self.epoch, self.minibatch) == (3, 4):
            with torch.no_grad():
                next(self.model.parameters()).fill_(float("nan"))

    monkeypatch.setattr(Run, "_optimizer_step", ruining)
    record = train(small(), progress=False)
    assert (record.status, record.epochs) == ("diverged", 3)
    assert record.body["diverged"]["loss"] == "not finite"
    assert record.body["diverged"]["minibatch"] == 5


def test_a_test_loss_that_overflows_is_none():
    huge = small("test/huge", optimizer=OptimizerConfig("sgd", 1e25), batch_size=160, epochs=1)
    record = train(huge, progress=False)
    assert (record.status, record.body["curves"]["test_loss"]) == ("complete", [None])
    assert train(huge, progress=False).body == record.body


def test_the_clock_of_a_resumed_run_goes_on():
    first = Run(small(), "cpu")
    first.advance(1, progress=False)
    resumed = Run(small(), "cpu")
    resumed.load_state_dict({**first.state_dict(), "clock": 1000.0})
    resumed.advance(2, progress=False)
    assert resumed.seconds[1] > 1000
