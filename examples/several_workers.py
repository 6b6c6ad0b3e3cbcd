"""Several workers, one exchange per K minibatches.

    torchrun --nproc-per-node 2 examples/several_workers.py walk

``walk``: every worker walks in the ball around the shared weights on minibatches of its own, and
only Δ_K is averaged. ``ddp``: DistributedDataParallel averages every gradient, and all workers walk
the same way. The last line says how many bytes left this machine's network interfaces (the loopback
included) per minibatch; the figure includes whatever else the machine sends meanwhile.
"""

import argparse
import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from fwrnn_core import FrankWolfe

K = 5


def bytes_sent() -> int:
    """By all interfaces so far (Linux)."""
    lines = Path("/proc/net/dev").read_text(encoding="ascii").splitlines()[2:]
    return sum(int(line.split(":")[1].split()[8]) for line in lines)


def main(way: str, loops: int) -> None:
    """Fit a small network to a random teacher and report loss and traffic."""
    dist.init_process_group("gloo")
    rank, size = dist.get_rank(), dist.get_world_size()
    torch.manual_seed(0)
    teacher = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 1))
    model: nn.Module = nn.Sequential(nn.Linear(64, 512), nn.Tanh(), nn.Linear(512, 1))
    count = sum(p.numel() for p in model.parameters())
    if way == "ddp":
        model = nn.parallel.DistributedDataParallel(model)
        optimizer = FrankWolfe(model.parameters(), lr=3e-3, inner_steps=K)
    else:
        group = dist.group.WORLD
        optimizer = FrankWolfe(model.parameters(), lr=3e-3, inner_steps=K, process_group=group)
    torch.manual_seed(1 + rank)  # other minibatches on every worker
    dist.barrier()
    before = bytes_sent()
    for _ in range(loops * K):
        x = torch.randn(128, 64)
        loss = (model(x) - teacher(x).detach()).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    dist.barrier()
    sent = (bytes_sent() - before) / (loops * K)
    same = torch.cat([p.detach().flatten() for p in model.parameters()]).double().sum()
    sums = [torch.zeros_like(same) for _ in range(size)]
    dist.all_gather(sums, same)
    assert all(torch.equal(s, same) for s in sums), "the workers' weights differ"
    if rank == 0:
        copies = sent / (4 * count)
        print(f"{way}: {size} workers, {count} weights, loss {loss.item():.4f}")
        print(f"{sent / 1e3:.0f} kB sent per minibatch, {copies:.2f} copies of the weights")
    dist.destroy_process_group()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("way", nargs="?", choices=("walk", "ddp"), default="walk")
    parser.add_argument("loops", nargs="?", type=int, default=20, help="of K minibatches each")
    arguments = parser.parse_args()
    if "RANK" not in os.environ:
        sys.exit("torchrun starts the workers: torchrun --nproc-per-node 2 " + sys.argv[0])
    main(arguments.way, arguments.loops)
