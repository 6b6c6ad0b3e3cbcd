"""Time the optimizer step: Frank-Wolfe (K = 5, outer Adam), Adam, the released code's loop.

    python -m bench.optimizer [--quick] [--save]

Time is per inner step with its share of the outer update. Memory is what the process grows by
while it trains 10 million parameters, in copies of the parameters.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass

from bench import common  # before torch: it sets the allocator

import torch  # isort: skip
from torch import nn

from fwrnn_core import FrankWolfe

K = 5
BARE = "two bare buffers"  # what two copies of the parameters come to, measured the same way
CALLS = 20  # loops of K steps per turn, for workloads of microseconds


def tanh_rnn() -> list[tuple[int, ...]]:
    """Parameter shapes of the tanh RNN for Pixel-MNIST, H = 128."""
    return [(128, 1), (128, 128), (128,), (128,), (10, 128), (10,)]


def indrnn() -> list[tuple[int, ...]]:
    """Parameter shapes of the six-layer IndRNN: linear, recurrent and batch norm of every layer."""
    layers = [
        shape
        for layer in range(6)
        for shape in ((128, 1 if layer == 0 else 128), (128,), (128,), (128,), (128,))
    ]
    return [*layers, (10, 128), (10,)]


def ten_million() -> list[tuple[int, ...]]:
    """10 million parameters in 200 tensors."""
    return [(250, 200)] * 200


@dataclass(frozen=True)
class Workload:
    """Parameter shapes, and what is asked: at most ``share`` of the time of Adam (foreach), at
    least ``factor`` times faster than the released loop."""

    name: str
    shapes: Callable[[], list[tuple[int, ...]]]
    share: float
    factor: float
    calls: int = CALLS


WORKLOADS = (
    Workload("tanh RNN, 6 tensors", tanh_rnn, 0.4, 3.0),
    Workload("IndRNN, 32 tensors", indrnn, 0.45, 4.0),
    Workload("10 M in 200 tensors", ten_million, 0.8, 1.3, calls=1),
)


def parameters(shapes: list[tuple[int, ...]]) -> list[nn.Parameter]:
    """Random parameters with random gradients."""
    generator = torch.Generator().manual_seed(0)
    params = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    for p in params:
        p.grad = torch.randn(p.shape, generator=generator)
    return params


class ReleasedLoop:
    """What the released code does for every parameter in turn (``theory``: released), with Adam."""

    def __init__(self, params: list[nn.Parameter], lr: float = 1e-3) -> None:
        self.params, self.lr, self.t = params, lr, 0
        self.adam = torch.optim.Adam(params, lr=lr)
        self.anchor = [p.detach().clone() for p in params]
        self.buffer = [torch.zeros_like(p) for p in params]

    @torch.no_grad()
    def step(self) -> None:
        """One inner step; on every K-th one Adam's as well."""
        self.t = self.t % K + 1
        for p, anchor, buffer in zip(self.params, self.anchor, self.buffer, strict=True):
            assert p.grad is not None
            if self.t == 1:
                anchor.copy_(p)
            unit = p.grad / torch.norm(p.grad)
            buffer.mul_(1 - 1 / self.t).add_(unit, alpha=-self.lr / self.t)
            p.add_(buffer)
            if self.t == K:
                p.copy_(anchor)
        if self.t == K:
            held = [p.grad for p in self.params]
            for p, buffer in zip(self.params, self.buffer, strict=True):
                p.grad = buffer / -self.lr
            self.adam.step()
            for p, g in zip(self.params, held, strict=True):
                p.grad = g


def loops(optimizer: torch.optim.Optimizer | ReleasedLoop, calls: int = 1) -> Callable[[], None]:
    """Whole loops of K steps, so that every call holds its share of outer updates."""

    def call() -> None:
        for _ in range(calls * K):
            optimizer.step()

    return call


def candidates(work: Workload) -> dict[str, Callable[[], None]]:
    """Everything that is timed on one workload, each on parameters of its own."""

    def params() -> list[nn.Parameter]:
        return parameters(work.shapes())

    found: dict[str, torch.optim.Optimizer | ReleasedLoop] = {
        "Adam, foreach": torch.optim.Adam(params(), foreach=True),
        "Adam, fused": torch.optim.Adam(params(), fused=True),
        "released loop": ReleasedLoop(params()),
        "Frank-Wolfe": FrankWolfe(params(), inner_steps=K),
        "Frank-Wolfe, global": FrankWolfe(params(), inner_steps=K, scope="global"),
        "Frank-Wolfe, tracked": FrankWolfe(params(), inner_steps=K, track=("gap", "angle")),
    }
    return {name: loops(optimizer, work.calls) for name, optimizer in found.items()}


def peak_growth(kind: str) -> float:
    """Peak growth of this process while it makes two loops, in copies of the parameters."""
    torch.set_num_threads(1)
    params = parameters(ten_million())
    optimizers: dict[str, Callable[[], torch.optim.Optimizer | ReleasedLoop]] = {
        "Adam": lambda: torch.optim.Adam(params, fused=True),
        "Frank-Wolfe": lambda: FrankWolfe(params, inner_steps=K),
        "Frank-Wolfe, released": lambda: FrankWolfe(params, inner_steps=K, trajectory="released"),
        "released loop": lambda: ReleasedLoop(params),
    }
    # Import and first-use memory of the optimizer module itself is not a buffer.
    warm = parameters([(2, 2)])
    for cls in (torch.optim.Adam, FrankWolfe):
        loops(cls(warm))()
    size = sum(p.numel() * p.element_size() for p in params)
    before = common.peak_rss(reset=True)
    if kind == BARE:
        kept = [torch.ones_like(p) for _ in range(2) for p in params]
        grown = (common.peak_rss() - before) / size
        del kept  # held until it was measured
        return grown
    loops(optimizers[kind]())()
    return (common.peak_rss() - before) / size


def memory() -> dict[str, float]:
    """Copies of the parameters held beyond the outer Adam's own, in fresh processes (Linux)."""
    if not common.STATUS.is_file():
        return {}
    grown = {}
    for kind in ("Adam", "Frank-Wolfe", "Frank-Wolfe, released", "released loop", BARE):
        code = f"from bench.optimizer import peak_growth; print(peak_growth({kind!r}))"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        grown[kind] = float(done.stdout)
    beyond = {kind: grown[kind] - grown["Adam"] for kind in grown if kind not in ("Adam", BARE)}
    return {kind: round(copies, 2) for kind, copies in {**beyond, BARE: grown[BARE]}.items()}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.optimizer", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a third of the rounds, no memory")
    parser.add_argument("--save", action="store_true", help="also write the record the book reads")
    options = parser.parse_args()
    torch.set_num_threads(1)  # before the machine is described: the record names the threads
    host, results = common.machine(), []
    for work in WORKLOADS:
        rounds = 7 if options.quick else 21
        taken = common.interleave(candidates(work), rounds, warmup=2)
        micro = {
            who: {k: v if k == "rounds" else 1e3 * v / (work.calls * K) for k, v in times.items()}
            for who, times in taken.items()
        }
        asked = {k: v for k, v in asdict(work).items() if k != "shapes"}
        results.append({"workload": asked, "us_per_inner_step": micro})
        print(report(work, {who: times["median"] for who, times in micro.items()}), flush=True)
    copies = {} if options.quick else memory()
    for kind, count in copies.items():
        beyond = "" if kind == BARE else " beyond the outer Adam"
        print(f"{kind}: {count:.2f} copies of 10 M parameters{beyond}")
    if copies:
        print("asked of Frank-Wolfe: <= 2, with the released trajectory <= 3")
    content = {**host, "results": results, "copies_beyond_adam": copies}
    common.save("optimizer", content, record=options.save)
    return 0


def report(work: Workload, micro: dict[str, float]) -> str:
    """One workload's table: time, share of Adam's time, factor over the released loop."""
    rows = [
        [
            who,
            f"{time:.0f}",
            f"{time / micro['Adam, foreach']:.2f}",
            f"{micro['released loop'] / time:.2f}x",
        ]
        for who, time in micro.items()
    ]
    head = [work.name, "us per inner step", "of Adam (foreach)", "over the released loop"]
    asked = f"asked of Frank-Wolfe: <= {work.share} of Adam, >= {work.factor}x over the loop"
    return f"\n{common.table(head, rows)}\n{asked}"


if __name__ == "__main__":
    sys.exit(main())
