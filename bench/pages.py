"""What fresh pages cost: a training step where freed memory is kept, and where it is returned.

    python -m bench.pages [--quick] [--save]

``fwrnn train`` asks the C library to keep what a step frees, for the next step. Processes of both
kinds take turns; each reports the processor time and the page faults of its median step.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

import torch

from bench import common, recurrences
from fwrnn_core import memory

WORKLOADS = ("HAR-2 RNN", "Pixel-MNIST RNN", "LSTM", "IndRNN, N 32", "IndRNN, N 128")
SECONDS = 4.0  # for the steps of one process


def steps(name: str) -> dict[str, float]:
    """Median milliseconds and page faults of one step of the C kernels, here, on one thread."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    work = next(w for w in recurrences.WORKLOADS if w.name == name)
    step = recurrences.candidates(work)["c"]
    for _ in range(3):
        step()
    taken: list[float] = []
    faults: list[int] = []
    end = time.process_time() + SECONDS
    while len(taken) < 5 or time.process_time() < end:
        before = resource.getrusage(resource.RUSAGE_SELF)
        step()
        after = resource.getrusage(resource.RUSAGE_SELF)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        taken.append(1e3 * used)
        faults.append(after.ru_minflt - before.ru_minflt)
    return {"ms": statistics.median(taken), "faults": statistics.median(faults)}


def measure(name: str, rounds: int) -> dict[str, dict[str, float]]:
    """Medians over ``rounds`` processes of each kind, which take turns."""
    command = [sys.executable, "-m", "bench.pages", "--steps", name]
    returned = {k: v for k, v in os.environ.items() if k not in memory.KEEP}
    keep = {variable: str(value) for variable, (_, value) in memory.KEEP.items()}
    kinds = {"kept": {**returned, **keep}, "returned": returned}
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind, environment in kinds.items():
            out = subprocess.run(command, env=environment, check=True, capture_output=True).stdout
            found[kind].append(json.loads(out))
    return {
        kind: {key: round(statistics.median(f[key] for f in all_), 3) for key in ("ms", "faults")}
        for kind, all_ in found.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.pages", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one process of each kind")
    parser.add_argument("--save", action="store_true", help="also write the record the book reads")
    parser.add_argument("--steps", metavar="WORKLOAD", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.steps:
        print(json.dumps(steps(options.steps)))
        return 0
    results, rows = [], []
    for name in WORKLOADS:
        measured = measure(name, 1 if options.quick else 3)
        results.append({"workload": name, **measured})
        kept, returned = measured["kept"], measured["returned"]
        gain = f"{returned['ms'] / kept['ms']:.2f}x"
        shown = (f"{returned['ms']:.1f}", f"{kept['ms']:.1f}", gain)
        rows.append([name, *shown, f"{returned['faults']:.0f}", f"{kept['faults']:.0f}"])
    head = ["C kernels", "returned ms", "kept ms", "faster", "faults", "faults, kept"]
    print(common.table(head, rows))
    common.save("pages", {**common.machine(), "results": results}, record=options.save)
    return 0


if __name__ == "__main__":
    sys.exit(main())
