"""Several gloo workers on one machine: the same weights everywhere, K times fewer exchanges."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import timedelta
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from fwrnn_core import FrankWolfe
from fwrnn_core.errors import ConfigError
from fwrnn_core.optim import WorkerLost

pytestmark = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="torch without gloo"
)
K = 3


def network(seed: int) -> nn.ModuleDict:
    torch.manual_seed(seed)
    return nn.ModuleDict({"a": nn.Linear(3, 4), "b": nn.Linear(4, 1), "rest": nn.Linear(2, 2)})


def loss(model: nn.ModuleDict, rank: int, batch: int) -> Tensor:
    """``rest`` never takes part; worker 1 has no gradient for ``b``'s bias in the first loop."""
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(100 * rank + batch))
    hidden = model["a"](x).tanh()
    bias = None if rank == 1 and batch < K else model["b"].bias
    return (nn.functional.linear(hidden, model["b"].weight, bias) - 1).square().mean()


def worker(rank: int, folder: str) -> None:
    """All jobs, one after the other: starting torch is what takes the time here."""
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/rendezvous",
        rank=rank,
        world_size=3,
        timeout=timedelta(seconds=60),
    )
    pair, trio = dist.new_group([0, 1]), dist.group.WORLD
    results = {"walks of 3": local_walks(rank, trio)}
    if rank < 2:
        results["walks of 2"] = local_walks(rank, pair)
        for job in (ddp, skipping, steering, apart, joining, doubtful, different):
            results[job.__name__] = job(rank, pair)
    results["dying"] = dying(rank, {3: trio, 2: pair} if rank < 2 else {3: trio})
    torch.save(results, f"{folder}/{rank}.pt")
    os._exit(0)  # with a dead peer the group cannot be taken down in an orderly way


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the jobs returned, per rank. Worker 1 leaves in the middle of the last job."""
    folder = tmp_path_factory.mktemp("workers")
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    workers = [
        subprocess.Popen(
            [sys.executable, __file__, str(rank), str(folder)],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(3)
    ]
    errors = [worker.communicate(timeout=300)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0], errors
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(3)]


def local_walks(rank: int, group: Any) -> dict[str, Any]:
    model = network(rank)  # other starting weights everywhere: rank 0's must win
    opt = FrankWolfe(model.parameters(), lr=0.05, inner_steps=K, process_group=group)
    for batch in range(3 * K):
        opt.zero_grad()
        loss(model, rank, batch).backward()
        opt.step()
    return {
        "weights": [p.detach() for p in model.parameters()],
        "agreement": opt.agreement(),
        "moments": len(opt.outer.state) if opt.outer else 0,
    }


def averaged_by_hand(size: int) -> list[Tensor]:
    """One process: each worker's loop by a FrankWolfe of its own, Δ_K averaged, one Adam step."""
    model = network(0)
    params = list(model.parameters())
    adam = torch.optim.Adam(params, lr=0.05)
    for start in range(0, 3 * K, K):
        anchor = [p.detach().clone() for p in params]
        total = [torch.zeros_like(p) for p in params]
        touched = [False] * len(params)
        for rank in range(size):
            opt = FrankWolfe(params, lr=0.05, inner_steps=K, outer=None)
            for batch in range(start, start + K):
                opt.zero_grad()
                loss(model, rank, batch).backward()
                touched = [t or p.grad is not None for t, p in zip(touched, params, strict=True)]
                opt.step()
            with torch.no_grad():
                for t, p, w in zip(total, params, anchor, strict=True):
                    t += (w - p) / 0.05 / size
                    p.copy_(w)
        for p, t, used in zip(params, total, touched, strict=True):
            p.grad = t if used else None
        adam.step()
    return [p.detach() for p in params]


@pytest.mark.parametrize("size", [2, 3])
def test_workers_equal_one_process_that_averages_by_hand(
    size: int, outcomes: list[dict[str, Any]]
) -> None:
    results = [outcome[f"walks of {size}"] for outcome in outcomes[:size]]
    for result in results[1:]:
        for a, b in zip(results[0]["weights"], result["weights"], strict=True):
            assert torch.equal(a, b)
        assert torch.equal(
            results[0]["agreement"].nan_to_num(-1), result["agreement"].nan_to_num(-1)
        )
    for a, b in zip(results[0]["weights"], averaged_by_hand(size), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    assert (results[0]["agreement"][:4] <= 1 + 1e-6).all()
    assert results[0]["moments"] == 4  # the parameters of "rest" were left alone


def ddp(rank: int, group: Any) -> dict[str, Any]:
    torch.manual_seed(0)
    model = nn.parallel.DistributedDataParallel(nn.Linear(3, 1), process_group=group)
    opt = FrankWolfe(model.parameters(), lr=0.05, inner_steps=K)
    for batch in range(2 * K + 1):
        x = torch.randn(2, 3, generator=torch.Generator().manual_seed(batch))
        opt.zero_grad()
        model(x[rank : rank + 1]).square().mean().backward()
        opt.step()
    return {"weights": [p.detach() for p in model.parameters()]}


def test_plain_ddp_equals_one_process_on_the_whole_batch(outcomes: list[dict[str, Any]]) -> None:
    results = [outcome["ddp"] for outcome in outcomes[:2]]
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    opt = FrankWolfe(model.parameters(), lr=0.05, inner_steps=K)
    for batch in range(2 * K + 1):
        x = torch.randn(2, 3, generator=torch.Generator().manual_seed(batch))
        opt.zero_grad()
        model(x).square().mean().backward()
        opt.step()
    for result in results:
        for a, b in zip(result["weights"], model.parameters(), strict=True):
            torch.testing.assert_close(a, b.detach())


def skipping(rank: int, group: Any) -> dict[str, Any]:
    w = nn.Parameter(torch.zeros(2))
    opt = FrankWolfe([w], lr=1.0, inner_steps=2, outer=None, nonfinite="skip", process_group=group)
    for batch in range(2):
        bad = rank == 1 and batch == 0
        w.grad = torch.tensor([float("nan") if bad else 1.0, 0.0])
        opt.step()
    return {"weights": w.detach(), "skipped": opt.skipped, "updates": opt.updates}


def test_a_dropped_minibatch_keeps_the_workers_in_step(outcomes: list[dict[str, Any]]) -> None:
    first, second = (outcome["skipping"] for outcome in outcomes[:2])
    assert torch.equal(first["weights"], second["weights"])
    assert first["weights"].tolist() == pytest.approx([-0.75, 0.0])  # mean of 1 and 1/2
    assert [first["skipped"], second["skipped"]] == [0, 1]
    assert first["updates"] == second["updates"] == 1


def steering(rank: int, group: Any) -> dict[str, Any]:
    """The loss of worker 1 bends, so that its own ratio would shrink the ball."""
    start = torch.tensor([4.0, 1.0])
    w = nn.Parameter(start.clone())
    opt = FrankWolfe(
        [w], radius=1.0, inner_steps=2, outer=None, adaptive="ratio", process_group=group
    )

    def closure() -> Tensor:
        opt.zero_grad()
        loss = w.sum() + (1e-3, 50.0)[rank] * (w - start).square().sum()
        loss.backward()
        return loss

    for _ in range(3):
        opt.step(closure)
    return {"weights": w.detach(), "radius": opt.diagnostics()["radius"]}


def joining(rank: int, group: Any) -> list[Tensor]:
    """A layer that thaws later starts from other weights everywhere, as the first ones do."""
    model = network(rank)
    opt = FrankWolfe(model["a"].parameters(), inner_steps=K, process_group=group)
    for batch in range(3 * K):
        if batch == K:
            opt.add_param_group({"params": model["b"].parameters(), "lr": 1e-2})
        model.zero_grad()
        loss(model, rank, batch).backward()
        opt.step()
    return [p.detach() for p in (*model["a"].parameters(), *model["b"].parameters())]


def test_parameters_that_join_later_start_from_the_first_worker_s(
    outcomes: list[dict[str, Any]],
) -> None:
    first, second = (outcome["joining"] for outcome in outcomes[:2])
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_workers_have_one_adaptive_radius(outcomes: list[dict[str, Any]]) -> None:
    first, second = (outcome["steering"] for outcome in outcomes[:2])
    assert first["radius"] == second["radius"]
    assert torch.equal(first["weights"], second["weights"])


def apart(rank: int, group: Any) -> dict[str, Any]:
    """Four orthogonal vertices, two on each worker: no agreement beyond chance, 1/√4."""
    w = nn.Parameter(torch.zeros(4))
    opt = FrankWolfe([w], lr=0.1, inner_steps=2, adaptive="agreement", process_group=group)
    for batch in range(2):
        w.grad = torch.eye(4)[2 * rank + batch]
        opt.step()
    return {"agreement": opt.agreement(), "signal": opt.diagnostics()["signal"]}


def test_chance_counts_the_vertices_of_all_workers(outcomes: list[dict[str, Any]]) -> None:
    for outcome in (outcome["apart"] for outcome in outcomes[:2]):
        assert float(outcome["agreement"]) == pytest.approx(0.5)
        assert outcome["signal"] == pytest.approx([0.0], abs=1e-6)


def doubtful(rank: int, group: Any) -> dict[str, Any]:
    """Worker 1 drops its minibatch, and the trust region goes on with the other's step."""
    w = nn.Parameter(torch.ones(2))
    opt = FrankWolfe(
        [w],
        **{"radius": 0.1, "outer": None, "scope": "global", "solver": "trust-region"},
        nonfinite="skip",
        process_group=group,
    )

    def closure() -> Tensor:
        opt.zero_grad()
        loss = (w * (float("nan") if rank else 1.0)).sum()
        loss.backward()
        return loss

    opt.step(closure)
    return {"weights": w.detach(), "skipped": opt.skipped}


def test_a_trust_region_without_a_gradient_does_not_stop_the_others(
    outcomes: list[dict[str, Any]],
) -> None:
    first, second = (outcome["doubtful"] for outcome in outcomes[:2])
    assert first["weights"].tolist() == pytest.approx([1 - 0.05 / 2**0.5] * 2)
    assert torch.equal(first["weights"], second["weights"])
    assert (first["skipped"], second["skipped"]) == (0, 1)


def different(rank: int, group: Any) -> str:
    try:
        FrankWolfe(network(0).parameters(), inner_steps=2 + rank, process_group=group)
    except ConfigError as error:
        return str(error)
    return "accepted"


def test_workers_with_other_settings_are_refused(outcomes: list[dict[str, Any]]) -> None:
    for outcome in outcomes[:2]:
        assert "worker 1 built its optimizer differently" in outcome["different"]


def dying(rank: int, groups: dict[int, Any]) -> dict[int, dict[str, Any]]:
    """Worker 1 is gone in the middle of the second loop, the others wait for its walk: in a group
    of all three, and after that in the pair."""
    walks = {}
    for size, group in groups.items():
        w = nn.Parameter(torch.zeros(2))
        walks[size] = w, FrankWolfe([w], inner_steps=2, process_group=group)
    for w, opt in walks.values():
        for _ in range(3):
            w.grad = torch.ones(2)
            opt.step()
    if rank == 1:
        return {}
    results = {}
    for size, (_, opt) in walks.items():
        start, outcome = time.monotonic(), "no error"
        try:
            opt.step()
        except WorkerLost as error:
            outcome = str(error)
        seconds = time.monotonic() - start
        results[size] = {"outcome": outcome, "updates": opt.updates, "seconds": seconds}
    return results


@pytest.mark.parametrize(("rank", "size"), [(0, 2), (0, 3), (2, 3)])
def test_a_worker_that_dies_is_an_error_on_the_others(
    rank: int, size: int, outcomes: list[dict[str, Any]]
) -> None:
    survivor = outcomes[rank]["dying"][size]
    assert "another worker has died" in survivor["outcome"]
    assert survivor["updates"] == 1
    assert survivor["seconds"] < 60


if __name__ == "__main__":
    worker(int(sys.argv[1]), sys.argv[2])
