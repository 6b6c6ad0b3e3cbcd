"""Time the recurrences against PyTorch's own: forward, loss and backward of a whole model.

    python -m bench.recurrences [--quick] [--save] [--threads 1 [2]]

On one thread the processor's time is compared, which equals the clock's on a quiet machine and
means something on a busy one too. Two threads have only the clock, and mean nothing on a busy
machine: PyTorch's threads wait for one another at every time step.

Denormal numbers are flushed to zero on both sides unless a row says otherwise: a gradient that
vanishes over 784 steps ends among them, where a CPU is many times slower, and PyTorch would be
measured at its worst.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bench import common
from bench.plain import PlainIndRNN
from fwrnn_core import paths
from fwrnn_core.models import IndRNN, RecurrentNet, kernels

THREADS = (1, 2)


@dataclass(frozen=True)
class Workload:
    """One model and one batch; ``target`` is the least speed-up asked of C (1 | 2 threads) and of
    plain PyTorch (1 thread), where one was asked."""

    name: str
    cell: str
    hidden: int
    steps: int
    batch: int
    features: int
    target: tuple[float | None, float | None] = (None, None)
    fallback: float | None = None
    rounds: int = 9
    denormals: bool = False
    dead: float = 0.0
    """The share of units whose weights are denormal, as weight decay leaves those of a unit that
    no gradient reaches (IndRNN only)."""

    @property
    def gflop(self) -> float:
        """Multiply-adds of the matrix products alone, in GF: forward, input and weight gradients
        (no gradient of the model's input)."""
        rows = 2e-9 * self.steps * self.batch
        if self.cell == "indrnn":
            return rows * self.hidden * (2 * self.features + 5 * 3 * self.hidden)
        gates = self.hidden * (4 if self.cell == "lstm" else 1)
        return rows * gates * (3 * self.hidden + 2 * self.features)


WORKLOADS = (
    Workload("Pixel-MNIST RNN", "tanh", 128, 784, 128, 1, (2.5, 3.5), 1.5, 11),
    Workload("Pixel-MNIST RNN, denormals", "tanh", 128, 784, 128, 1, rounds=5, denormals=True),
    Workload("Pixel-MNIST RNN, N 32", "tanh", 128, 784, 32, 1),
    Workload("HAR-2 RNN", "tanh", 80, 128, 64, 9, (3.3, 5.0), 1.7, 41),
    Workload("LSTM", "lstm", 128, 128, 64, 9, (1.8, 1.9), None, 21),
    Workload("IndRNN, N 32", "indrnn", 128, 784, 32, 1, (5.0, 6.0), 2.2, 5),
    Workload("IndRNN, N 128", "indrnn", 128, 784, 128, 1, (7.0, 5.5), None, 3),
    Workload("IndRNN, dead units", "indrnn", 80, 128, 128, 9, denormals=True, dead=0.1),
)


def candidates(work: Workload) -> dict[str, Callable[[], object]]:
    """One training step (forward, cross-entropy, backward) per way of computing it."""
    torch.manual_seed(0)
    x = torch.randn(work.batch, work.steps, work.features)
    label = torch.randint(10, (work.batch,))
    net: nn.Module
    steps: dict[str, Callable[[], object]] = {}
    if work.cell == "indrnn":
        net = IndRNN(work.features, work.hidden, 10, seq_len=work.steps)
        for layer in net.layers:
            layer.linear.weight.data[: int(work.dead * work.hidden)] = 1e-39
        for name, flat in (("loop", False), ("loop, 2-D norm", True)):
            steps[name] = _step(PlainIndRNN(net, flat), x, label)
    else:
        net = RecurrentNet(work.features, work.hidden, 10, cell=work.cell)
        steps["torch.nn"] = _step(_Builtin(net), x, label)
    for backend in ("c", "torch"):
        steps[backend] = _step(net, x, label, backend)
    return steps


class _Builtin(nn.Module):
    """The recurrence of PyTorch itself, as called in any training script."""

    def __init__(self, net: RecurrentNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net.head(self.net.rnn(x)[0][:, -1])


def _step(net: nn.Module, x: Tensor, label: Tensor, backend: str = "auto") -> Callable[[], object]:
    def step() -> None:
        net.zero_grad()
        with kernels.use_backend(backend):
            loss = nn.functional.cross_entropy(net(x), label)
        loss.backward()

    return step


def measure(work: Workload, threads: int, rounds: int) -> dict[str, dict[str, float]]:
    torch.set_flush_denormal(not work.denormals)
    torch.set_num_threads(threads)
    try:
        return common.interleave(candidates(work), rounds)
    finally:
        torch.set_flush_denormal(True)
        torch.set_num_threads(1)


def peak_memory(work: Workload, candidate: str) -> float:
    """Megabytes that one training step adds to a fresh process at its peak."""
    command = [sys.executable, "-m", "bench.recurrences", "--peak", work.name, candidate]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _own_peak(work: Workload, candidate: str) -> float:
    torch.set_num_threads(1)
    step = candidates(work)[candidate]
    small = Workload("warm-up", work.cell, 8, 2, 8, work.features)
    candidates(small)[candidate]()  # libraries load, buffers of fixed size come to be
    before = common.peak_rss(reset=True)
    step()
    return (common.peak_rss() - before) / 2**20


def run(
    quick: bool = False, save: bool = False, only: str = "", threads: Sequence[int] = THREADS
) -> None:
    """Print every ratio; ``quick`` takes a third of the rounds and leaves memory out."""
    host, results = common.machine(), []
    peak = host["sgemm_gflops"]["1"]
    print(f"{host['environment']['processor']}, load {host['load_average'][0]}, sgemm {peak} GF/s")
    for work in WORKLOADS:
        if only not in work.name:
            continue
        rounds = max(3, work.rounds // 3) if quick else work.rounds
        times = {str(n): measure(work, n, rounds) for n in threads}
        measured = common.STATUS.is_file() and not quick
        memory = {} if not measured else {c: peak_memory(work, c) for c in times["1"]}
        results.append({"workload": vars(work) | {"gflop": work.gflop}, "ms": times, "mb": memory})
        print(report(results[-1], peak), flush=True)
    if save and only:
        results = _replaced(results)
    common.save("recurrences", {**host, "results": results}, record=save)


def _replaced(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of the book's record, with those that were measured again in their place."""
    new = {r["workload"]["name"]: r for r in results}
    path = paths.records() / "bench" / "recurrences.json"
    old = json.loads(path.read_text(encoding="utf-8"))["results"] if path.exists() else []
    kept = [new.pop(r["workload"]["name"], r) for r in old]
    return [*kept, *new.values()]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.recurrences", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a third of the rounds, no memory")
    parser.add_argument("--save", action="store_true", help="also write the record the book reads")
    parser.add_argument("--threads", nargs="+", type=int, choices=THREADS, default=THREADS)
    parser.add_argument(
        "--only", default="", help="workloads whose name contains this; with --save the others stay"
    )
    parser.add_argument(
        "--peak", nargs=2, metavar=("WORKLOAD", "CANDIDATE"), help=argparse.SUPPRESS
    )
    options = parser.parse_args()
    if options.peak:
        named = next(w for w in WORKLOADS if w.name == options.peak[0])
        print(_own_peak(named, options.peak[1]))
    else:
        run(options.quick, options.save, options.only, options.threads)
    return 0


def report(result: dict[str, Any], peak: float) -> str:
    """The table of one workload: times and speed-ups per number of threads, rate, memory."""
    work, times, memory = result["workload"], result["ms"], result["mb"]
    clocks = {"1": "cpu", "2": "median"}
    names = list(next(iter(times.values())))
    head, rows = [work["name"]], [[name] for name in names]
    for n, taken in times.items():
        head += [f"{n} thread(s) ms", "clock", "faster"]
        for row, name in zip(rows, names, strict=True):
            now, base = taken[name][clocks[n]], taken[names[0]][clocks[n]]
            row += [f"{now:.1f}", f"{taken[name]['median']:.1f}", f"{base / now:.2f}x"]
            if n == "1":
                rate = 1e3 * work["gflop"] / now
                row += [f"{rate:.0f}", f"{rate / peak:.0%}"]
        head += ["GF/s", "of peak"] if n == "1" else []
    head.append("MB")
    for row, name in zip(rows, names, strict=True):
        row.append(f"{memory[name]:.0f}" if memory else "-")
    lines = ["", common.table(head, rows)]
    if work["target"][0]:
        asked = f"asked: c {work['target'][0]}x | {work['target'][1]}x"
        lines.append(asked + (f", torch {work['fallback']}x" if work["fallback"] else ""))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
