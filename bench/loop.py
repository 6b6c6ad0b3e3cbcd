"""What the training loop adds to forward, loss and backward: an epoch of HAR-2, tanh RNN, B 128.

    python -m bench.loop [--quick] [--save]

Both do the same 58 minibatches. ``bare`` has them ready in memory and stops after the gradients;
``epoch`` is what ``fwrnn train`` does: it draws the order, makes the batches, adds noise where the
data set has any, steps the optimizer, keeps losses, and evaluates the test set at the end, of which
``evaluation`` is the share that any test of 2,996 windows costs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import torch

from bench import common
from fwrnn_core import experiments, memory
from fwrnn_core.training.evaluate import evaluate
from fwrnn_core.training.loop import Run

RUNS = ("har2/published/adam", "har2/published/fw-k5", "noisy-har2/published/fw-k5")


def candidates(name: str) -> dict[str, Callable[[], None]]:
    """One epoch's work, with and without all that surrounds the gradients."""
    config = experiments.catalogue()[name].replace(epochs=10_000)
    run, twin = Run(config, "cpu"), Run(config, "cpu")
    order = torch.arange(len(twin.data.y_train)).split(config.batch_size)
    noise = torch.Generator().manual_seed(0)
    ready = [twin.data.batch("train", index, noise) for index in order]

    def bare() -> None:
        twin.model.train()
        for x, y in ready:
            twin.model.zero_grad(set_to_none=True)
            twin.loss_fn(twin.model(x), y).backward()

    def epoch() -> None:
        for _ in range(run.minibatches):
            run.step()
        run.finish_epoch()

    def evaluation() -> None:
        evaluate(run.model, run.data, config, run.epoch, run.device)

    return {"bare": bare, "epoch": epoch, "evaluation": evaluation}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.loop", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a third of the rounds")
    parser.add_argument("--save", action="store_true", help="also write the record the book reads")
    options = parser.parse_args()
    memory.prepare()  # as `fwrnn train` does
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    results, rows = {}, []
    for name in RUNS:
        times = common.interleave(candidates(name), rounds=3 if options.quick else 9)
        cpu = {who: t["cpu"] for who, t in times.items()}
        results[name] = times
        added = cpu["epoch"] / cpu["bare"] - 1
        inside = (cpu["epoch"] - cpu["evaluation"]) / cpu["bare"] - 1
        rows.append([name, *(f"{v:.0f}" for v in cpu.values()), f"{added:.0%}", f"{inside:.0%}"])
    head = ["run", "bare ms", "epoch ms", "evaluation ms", "added", "without evaluation"]
    print(common.table(head, rows))
    common.save("loop", {**common.machine(), "results": results}, record=options.save)
    return 0


if __name__ == "__main__":
    sys.exit(main())
