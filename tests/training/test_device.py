"""Runs on another device than the CPU, without one: everything that they touch lies there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest
import torch

from fwrnn_core import ablation
from fwrnn_core.errors import ConfigError
from fwrnn_core.models import RecurrentNet
from fwrnn_core.theory.live import follow
from fwrnn_core.training import (
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    Run,
    RunConfig,
    build,
    environment,
    train,
)

from ..accelerator import HERE, accelerator

FW = OptimizerConfig("frank-wolfe", 1e-2, inner_steps=2)
ADAM = OptimizerConfig("adam", 1e-2, clip_value=5.0, clip_norm=1.0)


def small(cell: str = "tanh", optimizer: OptimizerConfig = FW, tbptt: int | None = None):
    return RunConfig(
        "device-test",
        data=DataConfig("adding", {"length": 6, "train": 40, "test": 8}, validation=0.2),
        model=ModelConfig(cell, 4),  # type: ignore[arg-type]
        optimizer=optimizer,
        batch_size=8,
        epochs=2,
        tbptt=tbptt,
    )


@pytest.mark.parametrize(
    ("cell", "optimizer", "tbptt"),
    [("tanh", FW, None), ("lstm", FW, 3), ("indrnn", ADAM, None), ("gru", ADAM, 3)],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_a_run_stays_on_its_device(
    cell: str, optimizer: OptimizerConfig, tbptt: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with accelerator(monkeypatch):
        run = Run(small(cell, optimizer, tbptt), "pretended")
        run.advance(2, progress=False)
        states = [t for own in run.optimizer.state.values() for t in own.values()]
    left = [*run.model.parameters(), *run.model.buffers()]
    left += [t for t in states if torch.is_tensor(t) and t.ndim]
    assert {t.device for t in left} == {HERE}
    assert run.curves["test_loss"] == run.curves["validation_loss"] == [0.5, 0.5]
    assert run.record().status == "complete"
    assert run.record().body["environment"]["device"] == "meta"


def test_a_minibatch_left_on_the_cpu_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the other tests of this file rest on."""
    with accelerator(monkeypatch):
        run = Run(small(), "pretended")
        run.device = torch.device("cpu")
        with pytest.raises((RuntimeError, ConfigError), match="cpu.* meta"):
            run.step()


def test_a_short_run_is_measured_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    with accelerator(monkeypatch):
        path = follow(small(), snapshots=2, device="pretended")
        assert path.record.body["environment"]["device"] == "meta"
        kept = [t for s in path.snapshots for t in vars(s).values() if torch.is_tensor(t)]
        for tensor in (*kept, path.points, path.final, *path.model.parameters()):
            assert tensor.device.type == path.context.device.type == "cpu"
        data = path.context.dataset
        (loop,) = ablation.minibatches(data.x_train, data.y_train, 1, 2, 8)
        found = ablation.displacement(path.model, path.context.loss_fn, loop, 1e-3)
    assert {d.device.type for d in found.values()} == {"cpu"}


def test_a_displacement_is_taken_where_the_model_is(monkeypatch: pytest.MonkeyPatch) -> None:
    config = small()
    data, _ = build.build_data(config)
    loss_fn = build.build_loss(config.model, data)
    (loop,) = ablation.minibatches(data.x_train, data.y_train, 1, 3, 8)
    with accelerator(monkeypatch):
        model = RecurrentNet(data.num_features, 4, 1).to(HERE)
        found = ablation.displacement(model, loss_fn, loop, 1e-3)
        assert ablation.turning(model, loss_fn, loop, [1e-3]) == [pytest.approx(0, abs=180)]
    assert {d.device for d in found.values()} == {HERE}


def settings() -> tuple[object, ...]:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        *(cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32),
        os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
    )


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """The settings of a user with a GPU who wants speed."""
    device = torch.device("cuda")
    monkeypatch.setattr(environment, "resolve_device", lambda name: device)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a GPU")
    # Not by monkeypatch: torch's modules of settings let nothing be deleted.
    wanted = (torch.backends.cudnn, "benchmark"), (torch.backends.cuda.matmul, "allow_tf32")
    before = [getattr(*place) for place in wanted]
    for place in wanted:
        setattr(*place, True)
    yield device
    for place, value in zip(wanted, before, strict=True):
        setattr(*place, value)


HELD = (True, True, True, False, False, False)


@pytest.mark.parametrize("workspace", [None, ":16:8"])
def test_cuda_is_held_to_what_can_be_repeated_and_let_go(
    cuda: torch.device, workspace: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    if workspace:
        monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", workspace)
    before = settings()
    assert environment.describe(cuda)["environment"]["deterministic"] is False
    with environment.deterministic("auto"):
        assert settings() == (*HELD, workspace or ":4096:8")
        assert environment.describe(cuda)["environment"]["deterministic"] is True
    assert settings() == before
    with contextlib.suppress(KeyError), environment.deterministic("auto"):
        raise KeyError
    assert settings() == before


def test_training_and_following_hold_it(cuda: torch.device) -> None:
    """The run itself, which finds its device by another name, stays on the CPU."""
    before, seen = settings(), []

    class Look:
        name = "look"

        def on_inner_gradient(self, context: object) -> None:
            seen.append(settings()[:6])

    train(small(), store=False, progress=False, device="cpu", probes=[Look()])
    follow(small(), probes=[Look()], device="cpu")
    assert set(seen) == {HELD}
    assert settings() == before


def test_a_cpu_keeps_its_settings() -> None:
    before = settings()
    with environment.deterministic("cpu"):
        assert settings() == before
    assert "deterministic" not in environment.describe(torch.device("cpu"))["environment"]
