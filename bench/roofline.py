"""How close each pass of the C kernels comes to what the machine can do at all.

    python -m bench.roofline [--save]

For every pass: the floating-point operations it does, the bytes it must move to and from memory
(each sequence read or written once; what stays in the caches is free), and the processor time it
takes on one thread. The roof is the smaller of the sgemm rate and intensity times the copy rate.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from bench import common
from fwrnn_core.models.kernels.native import Native

ROUNDS = 9


@dataclass(frozen=True)
class Pass:
    """``kernel`` and ``part`` name it; ``gflop`` and ``gb`` are 1e9 operations and bytes."""

    kernel: str
    part: str
    gflop: float
    gb: float
    call: Callable[[], object]


def gated(
    name: str, gates: int, hidden: int, steps: int, rows: int, features: int
) -> Iterator[Pass]:
    """Forward and backward of the tanh RNN (``gates`` 1) or the LSTM (4)."""
    x = torch.randn(rows, steps, features).transpose(0, 1)
    states = torch.zeros(2 if gates == 4 else 1, rows, hidden).unbind(0)
    bound = hidden**-0.5
    weights = [
        torch.empty(gates * hidden, *size).uniform_(-bound, bound)
        for size in ((features,), (hidden,), ())
    ]
    start = (x, *states, *weights[:2])
    cells = 1e-9 * steps * rows * hidden
    product, moved = 2 * gates * cells, 4 * cells * (6 if gates == 4 else 1)
    upper = torch.randn(steps, rows, hidden)
    forward = Native.lstm_forward if gates == 4 else Native.tanh_forward
    backward = Native.lstm_backward if gates == 4 else Native.tanh_backward
    made = forward(*start, weights[2])
    kept = made if gates == 4 else (made,)
    ends = (None,) * (2 if gates == 4 else 1)
    yield Pass(
        name, "forward", product * (hidden + features), moved, lambda: forward(*start, weights[2])
    )
    yield Pass(
        name,
        "backward",
        product * (2 * hidden + features),
        moved + 4 * cells,
        lambda: backward(*start, *kept, upper, *ends, False),
    )


def independent(name: str, hidden: int, steps: int, rows: int) -> Iterator[Pass]:
    """The passes of one IndRNN layer with batch normalisation after the recurrence."""
    z, g = torch.randn(2, steps, rows, hidden).unbind(0)
    h, h0, mask = torch.rand_like(z), torch.zeros(rows, hidden), torch.ones(rows, hidden)
    scale, shift, u, c2, c3 = torch.rand(5, hidden).unbind(0)
    weight, flat = torch.randn(hidden, hidden), z.view(-1, hidden)
    cells = 1e-9 * steps * rows * hidden
    passes: list[tuple[str, float, int, Callable[[], object]]] = [
        ("product", 2 * hidden, 2, lambda: torch.mm(flat, weight.T)),
        ("weight product", 2 * hidden, 2, lambda: torch.mm(flat.T, g.view(-1, hidden))),
        ("recurrence, sums", 8, 2, lambda: Native.recur(z, scale, shift, u, h0, h, True)),
        ("normalise", 3, 2, lambda: Native.affine(h, scale, shift, mask)),
        ("backward sums", 4, 2, lambda: Native.cross_moments(g, mask, h)),
        (
            "backward recurrence",
            12,
            3,
            lambda: Native.recur_backward(g, mask, h, scale, c2, c3, u, h0, None),
        ),
    ]
    for part, operations, sequences, call in passes:
        yield Pass(name, part, operations * cells, 4 * sequences * cells, call)


def passes() -> Iterator[Pass]:
    yield from gated("Pixel-MNIST RNN", 1, 128, 784, 128, 1)
    yield from gated("HAR-2 RNN", 1, 80, 128, 64, 9)
    yield from gated("LSTM", 4, 128, 128, 64, 9)
    yield from independent("IndRNN layer", 128, 784, 32)


def run(save: bool = False) -> None:
    """Print every pass with its share of the roof above it."""
    torch.manual_seed(0)
    torch.set_flush_denormal(True)
    host = common.machine()
    peak, copy = host["sgemm_gflops"]["1"], host["memory_gb_per_s"]
    results = []
    for item in passes():
        times = common.interleave({"c": item.call}, ROUNDS, warmup=2)["c"]
        results.append(
            {
                "kernel": item.kernel,
                "part": item.part,
                "gflop": item.gflop,
                "gb": item.gb,
                "ms": times,
            }
        )
    rows = []
    for r in results:
        rate, intensity = 1e3 * r["gflop"] / r["ms"]["cpu"], r["gflop"] / r["gb"]
        roof = min(peak, intensity * copy)
        rows.append(
            (
                f"{r['kernel']}: {r['part']}",
                f"{r['ms']['cpu']:.2f}",
                f"{intensity:.1f}",
                f"{rate:.0f}",
                f"{roof:.0f}",
                f"{rate / roof:.0%}",
            )
        )
    print(f"sgemm {peak} GF/s, copy {copy} GB/s, load {host['load_average'][0]}")
    print(common.table(("pass", "ms", "flop/byte", "GF/s", "roof", "share"), rows))
    common.save("roofline", {**host, "results": results}, record=save)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.roofline", description=__doc__)
    parser.add_argument("--save", action="store_true", help="also write the record the book reads")
    run(parser.parse_args().save)
    return 0


if __name__ == "__main__":
    sys.exit(main())
