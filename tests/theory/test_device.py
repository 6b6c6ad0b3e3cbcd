"""What is measured on another device than the CPU lies there, without one and, where there is one,
on a GPU with the numbers of the CPU."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.fx.experimental import _config
from torch.utils._pytree import tree_map_only

from fwrnn_core.models import RecurrentNet
from fwrnn_core.theory.audit import Snapshot, audit
from fwrnn_core.theory.bounds import measured_convergence
from fwrnn_core.theory.convexity import hessian_spectrum
from fwrnn_core.theory.curvature import curvature_on_ball, quadratic_curvature
from fwrnn_core.theory.inner_loop import ball_minimum, inner_loop
from fwrnn_core.theory.objective import Objective
from fwrnn_core.theory.probes import AngleProbe, AssumptionProbe, SmoothnessProbe
from fwrnn_core.theory.vanishing import product_singular_values, state_jacobians, step_gradients
from fwrnn_core.training import DataConfig, ModelConfig, OptimizerConfig, Run, RunConfig

from ..accelerator import HERE, accelerator

Measure = Callable[[torch.device], list[float] | Tensor]
HESSIAN = torch.diag(torch.tensor([1.0, 4.0, -9.0], dtype=torch.float64))


def objective(device: torch.device) -> Objective:
    h = HESSIAN.to(device)
    return Objective(lambda w: 0.5 * w @ h @ w, torch.ones(3, dtype=torch.float64, device=device))


def spectrum(device: torch.device) -> Tensor:
    """Of a point and a direction on the CPU, too."""
    here = objective(device)
    found = hessian_spectrum(here)
    assert found.steepest.device == here.hvp(found.steepest.cpu()).device == here.origin.device
    return found.values


def curvature(device: torch.device) -> list[float]:
    here = objective(device)
    steepest = hessian_spectrum(here).steepest
    found = curvature_on_ball(here, radius=0.5, samples=4, ascent_steps=2, steepest=steepest)
    convex = HESSIAN.abs().to(device)
    return [found.value, *(quadratic_curvature(convex, 0.5, p) for p in (1, 2, math.inf))]


def loop(device: torch.device) -> Tensor:
    here = objective(device)
    trace = inner_loop(here, radius=0.5, inner_steps=3)
    assert trace.losses.device == trace.gaps.device == here.origin.device
    assert ball_minimum(here, radius=0.5, max_steps=3)[0].device == here.origin.device
    return trace.losses


def convergence(device: torch.device) -> Tensor:
    w = torch.tensor([[1.0], [0.5]], device=device)
    both = measured_convergence(w, w[:, 0] ** 2, -0.5 * w, w[1], 0.0, 0.25)
    assert both.left.device == both.right.device == w.device
    return both.right


def audited(device: torch.device) -> list[float]:
    """Of snapshots that a checkpoint gave back on the CPU."""
    here, w = objective(device), torch.tensor([1.0, 0.5, 0.2])
    end = torch.zeros(3, device=device)
    found = audit(here, [Snapshot(0, 0, 0.1, w, 2 * w, -0.1 * w, -0.1 * w)], end)
    return [found["points"][0][key] for key in ("loss", "residual", "angle_batch", "inexactness")]


def vanishing(device: torch.device) -> Tensor:
    torch.manual_seed(0)
    net = RecurrentNet(1, 3, 1)
    x, y = torch.randn(2, 5, 1), torch.randn(2, 1)
    net, x, y = net.to(device), x.to(device), y.to(device)
    parts = step_gradients(net, nn.functional.mse_loss, x, y)
    assert parts.total.device == x.device
    return product_singular_values(state_jacobians(net, x[0]))


MEASURES = [spectrum, curvature, loop, convergence, audited, vanishing]


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    # Which entries of a tensor without values are true is unknown: all of them.
    with _config.patch(meta_nonzero_assume_all_nonzero=True), accelerator(monkeypatch):
        yield HERE


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.__name__)
def test_a_measurement_stays_on_its_device(measure: Measure, pretended: torch.device) -> None:
    assert len(measure(pretended))


def probed(device: str) -> Run:
    """A run that is interrupted within an inner loop, with all probes."""
    config = RunConfig(
        "device-test",
        data=DataConfig("adding", {"length": 6, "train": 40, "test": 8}),
        model=ModelConfig("tanh", 4),
        optimizer=OptimizerConfig("frank-wolfe", 1e-2, inner_steps=3),
        batch_size=8,
        epochs=2,
    )
    effort = {"pairs": 2, "lanczos_steps": 3, "curvature_samples": 2, "ascent_steps": 1}

    def begun() -> Run:
        return Run(
            config,
            device,
            [
                AngleProbe(full_every=1),
                AssumptionProbe(snapshots=2, local_samples=8, **effort),
                SmoothnessProbe(samples=16, lanczos_steps=3),
            ],
        )

    first, second = begun(), begun()
    first.advance(1, progress=False)
    assert first.optimizer.inner_step
    home = first.state_dict()
    second.load_state_dict(tree_map_only(Tensor, Tensor.cpu, home))
    second.advance(2, progress=False)
    return second


@pytest.mark.filterwarnings("ignore:for .* copying from a non-meta parameter")
def test_probes_measure_where_the_run_is(pretended: torch.device) -> None:
    rows = probed("pretended").probes.rows
    assert len(rows["smoothness"]["on_epoch_end"]) == 2
    assert len(rows["assumptions"]["on_run_end"][0]["points"]) == 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.__name__)
def test_a_gpu_measures_what_a_cpu_does(measure: Measure) -> None:
    found, expected = (torch.as_tensor(measure(torch.device(d))).cpu() for d in ("cuda", "cpu"))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_probes_measure_on_a_gpu() -> None:
    found, expected = (
        probed(d).probes.rows["smoothness"]["on_epoch_end"][0] for d in ("cuda", "cpu")
    )
    assert found == pytest.approx(expected, rel=1e-2, abs=1e-4)
