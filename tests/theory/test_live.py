from __future__ import annotations

import pytest
import torch

from fwrnn_core.errors import ConfigError
from fwrnn_core.theory.live import follow
from fwrnn_core.theory.objective import flatten
from fwrnn_core.theory.probes import parameters
from fwrnn_core.training import DataConfig, ModelConfig, OptimizerConfig, RunConfig
from fwrnn_core.training.loop import Run

SMALL = RunConfig(
    "live-test",
    data=DataConfig("adding", {"length": 6, "train": 64, "test": 8}),
    model=ModelConfig("tanh", 5),
    optimizer=OptimizerConfig("frank-wolfe", 1e-2, inner_steps=2, outer="none"),
    batch_size=16,
    epochs=4,
)


def test_a_path_begins_at_the_initial_weights_and_ends_where_training_does() -> None:
    path = follow(SMALL, snapshots=4)
    start = flatten(parameters(Run(SMALL).model).values())
    assert torch.equal(path.points[0], start)
    assert torch.equal(path.final, flatten(parameters(path.model).values()))
    run = Run(SMALL)
    run.advance(SMALL.epochs, progress=False)
    assert torch.equal(path.final, flatten(parameters(run.model).values()))
    assert [s.epoch for s in path.snapshots] == [0, 1, 2, 3]


def test_plain_steps_are_the_displacements_and_stay_in_their_balls() -> None:
    path = follow(SMALL, snapshots=4)
    tensors = list(parameters(path.model).values())
    for snapshot in path.snapshots:
        torch.testing.assert_close(snapshot.step, snapshot.displacement, rtol=1e-4, atol=1e-7)
        parts = snapshot.displacement.split([p.numel() for p in tensors])
        assert all(float(part.norm()) <= snapshot.radius * (1 + 1e-5) for part in parts)


def test_the_risk_of_a_path_is_that_of_its_model() -> None:
    path = follow(SMALL, snapshots=2)
    data = path.context.dataset
    with torch.no_grad():
        loss = float(path.context.loss_fn(path.model(data.x_train), data.y_train))
    assert path.risk().value(path.final) == pytest.approx(loss, rel=1e-5)
    # The gradient kept with a point is that of one minibatch; the risk's is that of all of them.
    assert path.risk().grad(path.final).shape == path.final.shape


def test_a_run_too_short_for_one_update_is_refused_in_a_sentence() -> None:
    with pytest.raises(ConfigError, match="one inner loop of K = 30; give more epochs"):
        follow(SMALL.replace(**{"optimizer.inner_steps": 30}), snapshots=2)


def test_the_path_does_not_depend_on_the_threads_that_torch_has():
    before = torch.get_num_threads()
    try:
        paths = []
        for count in (1, 2):
            torch.set_num_threads(count)
            paths.append(follow(SMALL, snapshots=3).points)
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*paths)
