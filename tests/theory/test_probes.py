from __future__ import annotations

import copy
import json
import subprocess
import sys

import pytest
import torch

from fwrnn_core import FrankWolfe
from fwrnn_core.errors import ConfigError
from fwrnn_core.models.kernels import use_backend
from fwrnn_core.theory.probes import (
    AngleProbe,
    AssumptionProbe,
    SmoothnessProbe,
    last_displacement,
    summary,
    training_risk,
)
from fwrnn_core.training import DataConfig, ModelConfig, OptimizerConfig, RunConfig
from fwrnn_core.training.loop import Run
from fwrnn_core.training.probes import ProbeContext

FW = OptimizerConfig("frank-wolfe", 1e-2, inner_steps=3)


def config(optimizer: OptimizerConfig = FW, epochs: int = 4, **changes: object) -> RunConfig:
    return RunConfig(
        "probe-test",
        data=DataConfig("adding", {"length": 6, "train": 64, "test": 8}),
        model=ModelConfig("tanh", 6),
        optimizer=optimizer,
        batch_size=16,
        epochs=epochs,
        **changes,
    )


def probes() -> list[AngleProbe | AssumptionProbe | SmoothnessProbe]:
    quick = {"pairs": 2, "lanczos_steps": 3, "curvature_samples": 2, "ascent_steps": 1}
    return [
        AngleProbe(full_every=2),
        AssumptionProbe(snapshots=3, local_samples=8, **quick),
        SmoothnessProbe(samples=16, lanczos_steps=3),
    ]


def finished(run: Run) -> Run:
    run.advance(run.config.epochs, progress=False)
    return run


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"model.options": {"batch_norm": True}},
        {"model.options": {"initial_state": "uniform"}},
        {"model.cell": "lstm"},
        {"optimizer.trajectory": "released"},
        {"optimizer.outer": "none"},
        {"optimizer.scope": "global"},
    ],
)
def test_a_run_with_probes_is_the_run_without(changes: dict[str, object]) -> None:
    wanted = config().replace(**changes)
    plain, probed = finished(Run(wanted)), finished(Run(wanted, probes=probes()))
    for name, tensor in plain.model.state_dict().items():
        assert torch.equal(tensor, probed.model.state_dict()[name]), name
    assert plain.curves == probed.curves
    assert plain.losses == probed.losses
    assert probed.probes.rows["angles"]["on_run_end"]
    assert probed.probes.rows["assumptions"]["on_run_end"]
    assert len(probed.probes.rows["smoothness"]["on_epoch_end"]) == wanted.epochs


def test_probes_that_are_not_asked_for_are_not_even_imported() -> None:
    # What is off costs nothing: no hook is called, and this part of the package stays unloaded.
    program = """
import sys
from fwrnn_core.training import DataConfig, ModelConfig, OptimizerConfig, RunConfig
from fwrnn_core.training.loop import Run
data = DataConfig("adding", {"length": 6, "train": 64, "test": 8})
run = Run(RunConfig("off", data=data, model=ModelConfig("tanh", 6),
    optimizer=OptimizerConfig("frank-wolfe", 1e-2, inner_steps=3), batch_size=16, epochs=2))
run.advance(2, progress=False)
assert run.epoch == 2 and run.probes.rows == {}
assert not any(run.probes._listeners.values())
assert not [name for name in sys.modules if name.startswith("fwrnn_core.theory")]
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_audits_risk_is_the_training_risk() -> None:
    run = finished(Run(config(epochs=1)))
    context = run._context
    with torch.no_grad():
        output = run.model(run.data.x_train)
        whole = float(run.loss_fn(output, run.data.y_train))
        some = run.data.x_train[[0, 32, 63]], run.data.y_train[[0, 32, 63]]
        part = float(run.loss_fn(run.model(some[0]), some[1]))
    assert training_risk(context, dtype=torch.float64).value() == pytest.approx(whole, rel=1e-5)
    # A sample is spread evenly over the training set.
    assert training_risk(context, samples=3).value() == pytest.approx(part, rel=1e-5)
    assert training_risk(context, samples=10_000).value() == pytest.approx(whole, rel=1e-5)


def test_rows_are_json_and_small() -> None:
    text = json.dumps(finished(Run(config(), probes=probes())).probes.rows, allow_nan=False)
    assert len(text) < 60_000


def test_a_resumed_run_measures_what_an_unbroken_one_does() -> None:
    unbroken = finished(Run(config(), probes=probes()))
    first = Run(config(), probes=probes())
    for _ in range(5):  # into the second epoch and the middle of an inner loop
        if first.minibatch == first.minibatches:
            first.finish_epoch()
        first.step()
    assert first.optimizer.inner_step == 2
    state = first.state_dict()
    second = Run(config(), probes=probes())
    second.load_state_dict(state)
    finished(second)
    assert second.probes.rows == unbroken.probes.rows


def test_last_displacement_is_where_the_plain_update_goes() -> None:
    torch.manual_seed(0)
    net = torch.nn.Linear(3, 2)
    opt = FrankWolfe(net.parameters(), lr=0.1, inner_steps=4, outer=None)
    with pytest.raises(ConfigError, match="completed"):
        last_displacement(opt, net.parameters())
    start = torch.cat([p.detach().flatten() for p in net.parameters()])
    x = torch.randn(8, 3)
    for _ in range(4):
        opt.zero_grad()
        net(x).square().mean().backward()
        opt.step()
    moved = torch.cat([p.detach().flatten() for p in net.parameters()]) - start
    torch.testing.assert_close(
        last_displacement(opt, net.parameters()), moved, rtol=1e-4, atol=1e-7
    )


def test_one_inner_step_points_exactly_along_the_minibatch_gradient() -> None:
    run = finished(Run(config(OptimizerConfig("frank-wolfe", 1e-2)), probes=[AngleProbe()]))
    (row,) = run.probes.rows["angles"]["on_run_end"]
    tensors = [name for name in row if name.startswith("batch/") and name != "batch/global"]
    assert len(tensors) == 6
    assert all(row[name]["max"] < 0.1 for name in tensors)
    # One ball per tensor rescales the tensors against each other: globally the angle is not zero.
    assert row["batch/global"]["min"] > 1
    assert sum(row["batch/global"]["histogram"]) == row["batch/global"]["n"] == 4 * 4


def test_released_statistic_is_biased_towards_ninety_degrees() -> None:
    run = finished(Run(config(OptimizerConfig("frank-wolfe", 1e-3)), probes=[AngleProbe()]))
    (row,) = run.probes.rows["angles"]["on_run_end"]
    assert row["batch/rnn.weight_hh_l0"]["max"] < 0.1
    assert row["released/rnn.weight_hh_l0"]["mean"] > 30


def test_angles_need_inner_loops_and_say_so() -> None:
    run = Run(config(OptimizerConfig("adam", 1e-3)), probes=[AngleProbe()])
    with pytest.raises(ConfigError, match="frank-wolfe"):
        run.step()
    with pytest.raises(ConfigError, match="full_every"):
        AngleProbe(full_every=-1)


def test_assumptions_are_audited_for_any_optimizer() -> None:
    run = finished(Run(config(OptimizerConfig("adam", 1e-3)), probes=[probes()[1]]))
    (row,) = run.probes.rows["assumptions"]["on_run_end"]
    assert [p["epoch"] for p in row["points"]] == [0, 2, 3]
    assert row["points"][0]["distance"] > row["points"][-1]["distance"] > 0
    assert set(row["summary"]) >= {"A1", "A2", "A3", "A4", "A5", "A5 step"}
    with pytest.raises(ConfigError, match="snapshots"):
        AssumptionProbe(snapshots=1)


def test_smoothness_is_of_one_risk_at_the_weights_between_updates() -> None:
    run = finished(Run(config(epochs=1), probes=[SmoothnessProbe(lanczos_steps=100)]))
    (row,) = run.probes.rows["smoothness"]["on_epoch_end"]
    assert run.optimizer.inner_step == 1  # four minibatches and K = 3: the weights are on a walk
    with run.optimizer.anchored():
        model = copy.deepcopy(run.model).double()
    weights = dict(model.named_parameters())
    shapes = [w.shape for w in weights.values()]
    inputs, targets = run.data.x_train.double(), run.data.y_train.double()

    def risk(flat: torch.Tensor) -> torch.Tensor:
        parts = flat.split([s.numel() for s in shapes])
        given = {n: p.view(s) for n, p, s in zip(weights, parts, shapes, strict=True)}
        with use_backend("reference"):
            return run.loss_fn(torch.func.functional_call(model, given, (inputs,)), targets)

    flat = torch.cat([w.detach().flatten() for w in weights.values()])
    eigenvalues = torch.linalg.eigvalsh(torch.autograd.functional.hessian(risk, flat))
    gradient = torch.autograd.functional.jacobian(risk, flat)
    assert row["epoch"] == 1
    assert row["gradient_norm"] == pytest.approx(float(gradient.norm()), rel=1e-5)
    assert row["smallest"] == pytest.approx(float(eigenvalues[0]), rel=1e-5)
    assert row["largest"] == pytest.approx(float(eigenvalues[-1]), rel=1e-5)


def test_weights_that_are_not_finite_have_no_smoothness() -> None:
    run = finished(Run(config(OptimizerConfig("adam", 1e-3), epochs=1)))
    next(run.model.parameters()).data.fill_(torch.nan)
    assert SmoothnessProbe().on_epoch_end(run._context) is None


def test_summary_leaves_out_what_is_not_finite() -> None:
    assert summary([float("inf")]) == {"n": 0}
    assert summary([2.0])["std"] == 0


def test_angles_are_per_tensor_also_where_the_optimizer_holds_another_order() -> None:
    """An IndRNN with weight decay is optimized in two groups."""
    settings = config(OptimizerConfig("frank-wolfe", 1e-2, weight_decay=1e-12)).replace(
        model={"cell": "indrnn", "hidden_size": 8, "num_layers": 2, "options": {"dropout": 0.0}}
    )
    run = finished(Run(settings, probes=[AngleProbe()]))
    (row,) = run.probes.rows["angles"]["on_run_end"]
    tensors = [k for k in row if k.startswith("batch/") and not k.endswith(("global", "undefined"))]
    assert len(tensors) == 12
    assert max(row[name]["max"] for name in tensors) < 0.1


def test_an_option_that_the_audit_does_not_have_is_refused_before_the_run() -> None:
    with pytest.raises(ConfigError, match="snapshot.*snapshots"):
        AssumptionProbe(snapshot=5)


def test_an_epoch_and_a_run_of_one_epoch_have_the_same_statistics() -> None:
    run = finished(Run(config(OptimizerConfig("frank-wolfe", 1e-2), epochs=1), probes=probes()[:1]))
    (epoch,) = run.probes.rows["angles"]["on_epoch_end"]
    (whole,) = run.probes.rows["angles"]["on_run_end"]
    assert epoch.pop("epoch") == 1
    for name, row in epoch.items():
        for key in ("n", "min", "max", "mean", "std"):
            assert whole[name][key] == pytest.approx(row[key], abs=2e-3), (name, key)
    assert epoch["batch/global"]["std"] > 0.05  # four values: n and n - 1 can be told apart


def test_where_the_minibatch_is_the_whole_the_two_gradients_are_one() -> None:
    settings = config(OptimizerConfig("frank-wolfe", 1e-2), epochs=2).replace(batch_size=64)
    run = finished(Run(settings, probes=[AngleProbe(full_every=1)]))
    (row,) = run.probes.rows["angles"]["on_run_end"]
    assert row["gradients/global"]["max"] < 0.1
    assert row["full/global"]["min"] > 1


def test_the_released_product_is_the_length_of_the_gradient_for_one_inner_step() -> None:
    """The mean of K = 1 unit gradients is g/‖g‖, whose inner product with g is ‖g‖."""

    class Lengths:
        name = "lengths"

        def on_inner_gradient(self, context: ProbeContext) -> float:
            return float(context.model.rnn.weight_hh_l0.grad.norm())

    settings = config(OptimizerConfig("frank-wolfe", 1e-2))
    run = finished(Run(settings, probes=[AngleProbe(), Lengths()]))
    lengths = run.probes.rows["lengths"]["on_inner_gradient"]
    (row,) = run.probes.rows["angles"]["on_run_end"]
    assert row["product/rnn.weight_hh_l0"]["max"] == pytest.approx(max(lengths), abs=1e-3)
    assert max(lengths) > 0.05
