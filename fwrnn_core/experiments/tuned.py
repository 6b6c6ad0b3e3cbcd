"""Fig. 3 once more, harder and fair: the Adding task over 200 steps, learning rates searched alike.

The published Fig. 3 has one learning rate for all methods, 100 steps and one seed. Here each method
gets the same search over the fair protocol's learning rates, judged by the validation loss on a
tenth of the training sequences, and then three seeds at the rate it chose; where no rate learned
anything in the search, at the published one. A trial is as long as a final run: on this task the
loss lies still for tens of passes before it falls, if it falls. The network, its random initial
states and the fixed data order are the published ones; tests are in evaluation mode at ω_t. One
pass is 900 minibatches, 8 to 18 seconds on one core, by processor: 15 trials and 9 final runs of 60
passes (54,000 gradients each). The final runs join the catalogue once their method's search is
complete.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from fwrnn_core.experiments.fair import LEARNING_RATES, best_trial
from fwrnn_core.experiments.published import adam
from fwrnn_core.training import DataConfig, ModelConfig, OptimizerConfig, RunConfig, records

LENGTH = 200
LEARNED = 1 / 12  # at most half the error of always answering with the mean, 1/6
EPOCHS = 60
SEEDS = (1, 2, 3)
METHODS: dict[str, OptimizerConfig] = {
    "adam": adam(1e-3),
    "fw-k1": OptimizerConfig("frank-wolfe", 1e-3, inner_steps=1),
    "fw-k10": OptimizerConfig("frank-wolfe", 1e-3, inner_steps=10),
}


def runs() -> Iterator[RunConfig]:
    """The search's trials, and the final runs of every method whose search is complete."""
    for method in METHODS:
        yield from search(method)
    for method in METHODS:
        yield from final(method)


def search(method: str) -> list[RunConfig]:
    """One run per learning rate."""
    return [
        RunConfig(
            name=f"adding/tuned/search/{method}/lr-{lr:g}",
            data=DataConfig("adding", {"length": LENGTH, "train": 50_000}, validation=0.1),
            model=ModelConfig("tanh", 128, options={"initial_state": "uniform"}),
            optimizer=dataclasses.replace(METHODS[method], lr=lr),
            batch_size=50,
            epochs=EPOCHS,
            shuffle=False,
        )
        for lr in LEARNING_RATES
    ]


def selected(method: str) -> RunConfig | None:
    """The trial with the lowest validation loss; None until all have a record.

    Where no trial has learned anything, the losses differ by noise alone, which is lowest where the
    weights hardly move: then it is the trial at the published rate.
    """
    if untuned(method):
        return next(t for t in search(method) if t.optimizer.lr == METHODS[method].lr)
    return best_trial(search(method))


def untuned(method: str) -> bool:
    """Whether a method's search is complete and none of its trials has learned anything."""
    best = best_trial(search(method))
    if best is None:
        return False
    record = records.read(records.path_of(best.name))
    return bool(np.nanmin(record.curve("validation_loss")) > LEARNED)


def final_names(method: str) -> dict[int, str]:
    """What a method's final runs are called, by seed, also before its search is complete.

    >>> final_names("adam")[1]
    'adding/tuned/final/adam/seed-1'
    """
    return {seed: f"adding/tuned/final/{method}/seed-{seed}" for seed in SEEDS}


def final(method: str) -> list[RunConfig]:
    """Runs at the selected rate, one per seed; none until the search is complete."""
    choice = selected(method)
    if choice is None:
        return []
    return [
        dataclasses.replace(choice, name=name, seed=seed)
        for seed, name in final_names(method).items()
    ]
