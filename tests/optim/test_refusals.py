"""What the optimizer cannot do is refused with a sentence."""

from __future__ import annotations

import copy
import math
from functools import partial
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from fwrnn_core import FrankWolfe, lmo
from fwrnn_core.errors import ConfigError
from fwrnn_core.optim import AdaptiveRadius, ProjectedGradient, TrustRegion, distributed
from fwrnn_core.optim.solvers import VertexSteps


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"inner_steps": 0}, "inner_steps = 0"),
        ({"inner_steps": 2.0}, "inner_steps = 2.0"),
        ({"radius": 0.0}, "radius = 0.0"),
        ({"radius": -1.0}, "radius = -1.0"),
        ({"radius": math.nan}, "radius = nan"),
        ({"radius": math.inf}, "radius = inf"),
        ({"lr": 0.0}, "lr = 0.0"),
        ({"lr": "fast"}, "lr = 'fast'"),
        ({"norm": 0.5}, "norm = 0.5"),
        ({"norm": math.nan}, "norm = nan"),
        ({"norm": "spektral"}, "Did you mean 'spectral'"),
        ({"scope": "tensors"}, "Did you mean 'tensor'"),
        ({"trajectory": "release"}, "Did you mean 'released'"),
        ({"step_size": "1/K"}, "Did you mean '1/k'"),
        ({"step_size": lambda k: 1 / (k + 1)}, "must be 1 at k = 1"),
        ({"step_size": lambda k: 1 if k == 1 else 1.5}, "within [0, 1]"),
        ({"norm": "nuclear", "scope": "global"}, "p-norms only"),
        ({"gradient_momentum": 1.0}, "gradient_momentum = 1.0"),
        ({"nonfinite": "ignore"}, "nonfinite"),
        ({"track": ["gaps"]}, "Did you mean 'gap'"),
        ({"solver": "trust-regoin"}, "Did you mean 'trust-region'"),
        ({"adaptive": "rato"}, "Did you mean 'ratio'"),
        ({"adaptive": "agreement", "inner_steps": 1}, "needs inner_steps >= 2"),
        ({"lr": "1e-3"}, "lr = '1e-3'"),
        ({"radius": "1e-3"}, "radius = '1e-3'"),
        ({"outer": "adam"}, "outer is 'adam'"),
        ({"outer": lambda params, lr: 3}, "made a int"),
        ({"outer": torch.optim.LBFGS}, "LBFGS cannot be the outer optimizer"),
        ({"outer": torch.optim.SparseAdam}, "SparseAdam cannot be the outer optimizer"),
        ({"step_size": lambda k: None}, "step_size(1) = None"),
        ({"track": "gaps"}, "Did you mean 'gap'"),
        ({"track": None}, "track = None"),
        ({"track": "gap", "solver": "trust-region", "scope": "global"}, "has none"),
        (
            {"gradient_momentum": 0.5, "solver": "trust-region", "scope": "global"},
            "gradient_momentum is the mean",
        ),
        *(
            (
                {"step_size": "2/(k+1)", "solver": solver, "scope": "global"},
                "step_size = '2/(k+1)' is of solver='frank-wolfe'",
            )
            for solver in ("projected-gradient", TrustRegion(), VertexSteps(lambda k: 1 / k))
        ),
        ({"step_size": [1, 0.5]}, "unknown step_size"),
        ({"step_size": lambda k: torch.ones(2)}, "step_size(1)"),
        ({"solver": VertexSteps(lambda k: 2.0)}, "step_size(1) = 2.0"),
        ({"maximize": "no"}, "maximize = 'no'"),
        ({"outer": lambda: None}, "outer must be callable as (params, lr=…)"),
        ({"adaptive": "agreement", "norm": 1}, "adaptive='agreement' needs norm=2"),
        ({"adaptive": "agreement", "solver": "projected-gradient"}, "even random steps agree"),
        # What new_group gives to a worker that is not in it, and a rank for a group.
        ({"process_group": dist.GroupMember.NON_GROUP_MEMBER}, "give a torch.distributed."),
        ({"process_group": 3}, "process_group = 3"),
    ],
)
def test_bad_arguments(arguments: Any, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        FrankWolfe([nn.Parameter(torch.zeros(2))], **arguments)
    assert message in str(error.value)


def test_one_track_needs_no_list() -> None:
    assert FrankWolfe([nn.Parameter(torch.zeros(2))], track="gap").track == {"gap"}


@pytest.mark.parametrize("norm", ["spectral", "nuclear", "newton-schulz"])
def test_empty_matrices_have_an_empty_vertex(norm: Any) -> None:
    assert lmo(torch.zeros(0, 3), norm=norm).shape == (0, 3)
    w = nn.Parameter(torch.zeros(0, 3))
    opt = FrankWolfe([w], norm=norm, inner_steps=2)
    for _ in range(2):
        w.grad = torch.zeros(0, 3)
        opt.step()
    assert opt.updates == 1


@pytest.mark.skipif(not dist.is_available(), reason="torch without distributed")
def test_sharded_and_shared_optimizers(tmp_path: Any) -> None:
    """In a process of one worker: a DTensor has no memory of its own for the C kernels."""
    store = f"file://{tmp_path}/rendezvous"
    dist.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    try:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.tensor import Shard, distribute_tensor

        mesh = init_device_mesh("cpu", (1,))
        sharded = nn.Parameter(distribute_tensor(torch.ones(4, 3), mesh, [Shard(0)]))
        with pytest.raises(ConfigError, match="DTensor"):
            FrankWolfe([sharded])
        opt = FrankWolfe([nn.Parameter(torch.zeros(2))], process_group=dist.group.WORLD)
        with pytest.raises(ConfigError, match="state_dict"):
            copy.deepcopy(opt)
    finally:
        dist.destroy_process_group()


class Hollow(Tensor):
    """A subclass without memory at its pointer."""

    def data_ptr(self) -> int:
        return 0


def test_tensor_subclasses_do_not_reach_the_c_kernels() -> None:
    w = nn.Parameter(torch.ones(3))
    opt = FrankWolfe([w], lr=0.5, inner_steps=1, outer=None)
    w.grad = torch.tensor([3.0, 0.0, 4.0]).as_subclass(Hollow)
    opt.step()
    assert w.tolist() == pytest.approx([0.7, 1.0, 0.6])


def test_a_flat_parameter_of_fsdp_is_refused() -> None:
    flat = nn.Parameter(torch.zeros(6))
    flat._is_flat_param = True  # type: ignore[attr-defined]  # as torch marks its own
    with pytest.raises(ConfigError, match="slice through many tensors"):
        FrankWolfe([flat])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FrankWolfe(nn.Linear(2, 2)), "params is a Linear: pass its .parameters()"),
        (lambda: lmo([1.0, 2.0]), "lmo needs a tensor, got a list"),
        (lambda: lmo(torch.ones(2), "1"), "radius = '1'"),
        (lambda: lmo(torch.ones(2), None), "radius = None"),
        (lambda: ProjectedGradient("0.1"), "step_length = '0.1'"),
        (lambda: ProjectedGradient(0.0), "step_length = 0.0"),
        (lambda: ProjectedGradient(math.inf), "step_length = inf"),
        (lambda: TrustRegion(None), "tolerance = None"),
        (lambda: TrustRegion(1.0), "tolerance = 1.0"),
        (lambda: AdaptiveRadius("rato"), "Did you mean 'ratio'"),
        (lambda: AdaptiveRadius(low=None), "low = None"),
        (lambda: AdaptiveRadius(low=0.75), "low = 0.75 must be below high = 0.75"),
        *(
            (partial(AdaptiveRadius, **factors), "must be 0 < shrink < 1 < grow")
            for factors in ({"shrink": 0}, {"shrink": 1}, {"grow": 1}, {"grow": math.inf})
        ),
        *(
            (partial(AdaptiveRadius, bounds=bounds), f"bounds = {bounds!r}")
            for bounds in (0.5, (0.5,), (0.0, 2.0), (2.0, 3.0), (0.5, 0.9), (0.5, math.inf))
        ),
        (lambda: FrankWolfe([nn.Parameter(torch.zeros(2))]).load_state_dict(None), "state_dict"),
        (
            lambda: FrankWolfe([nn.Parameter(torch.zeros(2).char(), requires_grad=False)]),
            "convert it with .float()",
        ),
    ],
)
def test_values_of_the_wrong_kind_are_named(make: Any, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        make()
    assert message in str(error.value)


@pytest.mark.parametrize("options", [{"solver": "trust-region"}, {"adaptive": "ratio"}])
def test_losses_that_one_group_lowers_and_one_raises_are_not_compared(options: Any) -> None:
    a, b = (nn.Parameter(torch.ones(2)) for _ in range(2))
    with pytest.raises(ConfigError, match="one maximize for all groups"):
        FrankWolfe(
            [{"params": [a]}, {"params": [b], "maximize": True}],
            scope="global",
            outer=None,
            **options,
        )


def started(monkeypatch: pytest.MonkeyPatch, *workers: nn.Parameter) -> list[int]:
    """Start one optimizer per weight as a worker of a group whose first member has the global
    rank 3, without other processes; the ranks that weights came from."""
    told: list[Any] = []
    sources: list[int] = []

    def gather(into: list[Any], own: Any, group: Any) -> None:
        told.append(own)
        into[:] = told

    monkeypatch.setattr(distributed, "Group", object)
    monkeypatch.setattr(distributed, "size", lambda group: len(told) + 1)
    monkeypatch.setattr(dist, "all_gather_object", gather)
    monkeypatch.setattr(dist, "get_global_rank", lambda group, rank: rank + 3)
    monkeypatch.setattr(dist, "broadcast", lambda tensor, src, group: sources.append(src))
    for w in workers:
        FrankWolfe([w], process_group=object())
    return sources


@pytest.mark.skipif(not dist.is_available(), reason="torch without distributed")
def test_weights_come_from_the_first_worker_of_the_group_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert started(monkeypatch, nn.Parameter(torch.zeros(2))) == [3]


@pytest.mark.skipif(not dist.is_available(), reason="torch without distributed")
def test_workers_must_freeze_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    free, frozen = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2), requires_grad=False)
    started(monkeypatch, free, nn.Parameter(torch.zeros(2)))
    with pytest.raises(ConfigError, match="worker 1 built its optimizer differently"):
        started(monkeypatch, free, frozen)


def test_groups_are_taken_out_of_both_optimizers() -> None:
    weights = [nn.Parameter(torch.zeros(2)) for _ in range(2)]
    opt = FrankWolfe([{"params": [w]} for w in weights], inner_steps=1)
    del opt.param_groups[0]
    weights[1].grad = torch.ones(2)
    with pytest.raises(ConfigError, match="1 parameter groups and its outer optimizer 2"):
        opt.step()
    assert opt.outer is not None
    del opt.outer.param_groups[0]
    opt.step()
    assert weights[1].tolist() == pytest.approx([-1e-3, -1e-3])
    assert weights[0].tolist() == [0.0, 0.0]
