"""Probes see everything and change nothing."""

from __future__ import annotations

import pytest
import torch
from helpers import small

from fwrnn_core.errors import ConfigError
from fwrnn_core.training import Run, checkpoint, train
from fwrnn_core.training.probes import ProbeContext, build


class Recorder:
    """Writes a row in every hook and draws random numbers, as a careless probe would."""

    name = "recorder"

    def __init__(self) -> None:
        self.total = 0

    def _row(self, context: ProbeContext) -> dict[str, int]:
        self.total += 1
        return {"update": context.update, "epoch": context.epoch, "total": self.total}

    on_inner_gradient = on_outer_update = on_epoch_end = on_run_end = _row

    def state_dict(self) -> dict[str, int]:
        return {"total": self.total}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.total = state["total"]


def test_a_probed_run_is_the_same_run_and_has_all_rows():
    plain = train(small(), store=False, progress=False)
    probed = train(small(), store=False, progress=False, probes=[Recorder()])
    assert probed.body["curves"] == plain.body["curves"]
    assert probed.body["losses"] == plain.body["losses"]
    rows = probed.body["probes"]["recorder"]
    assert len(rows["on_inner_gradient"]) == 20
    assert [r["update"] for r in rows["on_outer_update"]] == [1, 2, 3, 4, 5, 6]
    assert [r["epoch"] for r in rows["on_epoch_end"]] == [0, 1, 2, 3]
    assert len(rows["on_run_end"]) == 1


def test_gradients_are_there_when_the_probe_looks():
    class Norms:
        name = "norms"

        def on_inner_gradient(self, context: ProbeContext) -> dict[str, float]:
            x, y = context.batch
            loss = context.loss_fn(context.model(x), y)
            grads = torch.autograd.grad(loss, list(context.model.parameters()))
            pairs = zip(grads, context.model.parameters(), strict=True)
            return {"error": max(float((g - p.grad).abs().max()) for g, p in pairs)}

    from fwrnn_core.training import ModelConfig

    config = small(model=ModelConfig("tanh", 8))
    record = train(config, store=False, progress=False, probes=[Norms()])
    rows = record.body["probes"]["norms"]["on_inner_gradient"]
    assert max(r["error"] for r in rows) < 1e-6


def test_probe_state_and_rows_survive_a_checkpoint():
    whole = train(small(), store=False, progress=False, probes=[Recorder()])
    first = Run(small(), "cpu", [Recorder()])
    for _ in range(3):
        first.step()
    path = checkpoint.path_of("x")
    checkpoint.save(path, "x", first.state_dict())
    second = Run(small(), "cpu", [Recorder()])
    second.load_state_dict(checkpoint.load(path, "x"))
    second.advance(4, progress=False)
    assert second.record().essence() == whole.essence()


def test_unknown_probes_and_options_are_refused():
    with pytest.raises(ConfigError, match="'angels'.*'angles'"):
        build([{"name": "angels"}])
    with pytest.raises(ConfigError, match="angles.*colour"):
        build([{"name": "angles", "colour": 1}])
