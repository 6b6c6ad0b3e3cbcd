"""Whether a backend changes what a run ends with: HAR-2, 50 epochs, three seeds, trained by each.

    python -m bench.backends [--quick] [--save]

Rounding differs between backends and a recurrent network amplifies it, so the curves part after
some epochs. What has to agree is the accuracy, within what another seed changes.
"""

from __future__ import annotations

import argparse
import sys

from tqdm.auto import tqdm

from bench import common
from fwrnn_core import experiments
from fwrnn_core.models import kernels
from fwrnn_core.training.loop import Run

RUNS = tuple(f"ablations/inner-steps/5/seed-{seed}" for seed in range(3))
BACKENDS = ("c", "torch")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.backends", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="5 epochs each")
    parser.add_argument("--save", action="store_true", help="also write the record the book reads")
    options = parser.parse_args()
    results, rows = [], []
    for name in tqdm(RUNS, desc="runs", unit="run"):
        config = experiments.catalogue()[name]
        for backend in BACKENDS:
            with kernels.use_backend(backend):
                run = Run(config, "cpu")
                run.advance(5 if options.quick else config.epochs)
            accuracy = run.curves["test_accuracy"]
            results.append(
                {"run": name, "backend": backend, "accuracy": accuracy, "seconds": run.seconds}
            )
            shown = (f"{100 * accuracy[-1]:.2f}", f"{100 * max(accuracy):.2f}")
            rows.append([name, backend, *shown, f"{run.seconds[-1]:.0f}"])
    print(common.table(["run", "backend", "last %", "best %", "s"], rows))
    common.save("backends", {**common.machine(), "results": results}, record=options.save)
    return 0


if __name__ == "__main__":
    sys.exit(main())
