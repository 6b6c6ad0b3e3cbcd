"""Count the bytes that several workers send: Δ_K averaged once per K minibatches, against DDP.

    python -m bench.traffic [--quick] [--save]

Runs examples/several_workers.py under torchrun on this machine, so Linux only. The counters are
those of the network interfaces (workers of one machine use the loopback), averaged over all
minibatches; what else the machine sends meanwhile is counted too.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from bench import common

EXAMPLE = Path(__file__).parents[1] / "examples" / "several_workers.py"
WAYS = {"ddp": "DistributedDataParallel", "walk": "process_group"}
WORKERS = (2, 3, 4)
_FOUND = re.compile(r"(\d+) kB sent per minibatch, ([\d.]+) copies of the weights")


def measure(way: str, workers: int, loops: int) -> dict[str, float | int | str]:
    """kB, and copies of the weights, that all workers together send per minibatch."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(workers)]
    done = subprocess.run(
        [*command, str(EXAMPLE), way, str(loops)], capture_output=True, text=True, check=False
    )
    found = _FOUND.search(done.stdout)
    if found is None:
        raise SystemExit(f"{way} with {workers} workers failed:\n{done.stderr[-2000:]}")
    return {
        "way": WAYS[way],
        "workers": workers,
        "kb_per_minibatch": int(found[1]),
        "copies": float(found[2]),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.traffic",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="two workers, ten loops")
    parser.add_argument("--save", action="store_true", help="also write the record the book reads")
    options = parser.parse_args()
    host = common.machine()
    numbers, loops = (WORKERS[:1], 10) if options.quick else (WORKERS, 40)
    results = [measure(way, n, loops) for n in numbers for way in WAYS]
    rows = [[r["way"], r["workers"], r["kb_per_minibatch"], r["copies"]] for r in results]
    head = ["", "workers", "kB per minibatch", "copies of the weights"]
    print(common.table(head, rows))
    common.save("traffic", {**host, "loops": loops, "results": results}, record=options.save)
    return 0


if __name__ == "__main__":
    sys.exit(main())
