"""Table III under a fair protocol: every method tuned alike, judged alike.

Same data order for all; the epoch chosen on a validation part of whole training subjects; tests in
evaluation mode at ω_t. Each method gets the same number of trials of one seeded random search; the
trial with the lowest validation loss is then trained with several seeds, twice: with as many passes
over the data for each method, and with as many gradients. These runs join the catalogue once the
search is complete, since their settings follow from it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cache
from typing import Any, Literal

import numpy as np

from fwrnn_core.errors import unknown
from fwrnn_core.experiments.published import BATCH_NORM, INDRNN, LSTM, TANH, adam
from fwrnn_core.training import DataConfig, ModelConfig, OptimizerConfig, RunConfig, records

TRIALS = 12
SEARCH_EPOCHS, FINAL_EPOCHS = 20, 100
SEEDS = {"har2": 5, "noisy-har2": 3}
LEARNING_RATES = (2e-5, 2e-4, 6e-4, 1e-3, 6e-3)
BATCH_SIZES = (32, 64, 128, 256, 512)
DECAYS = (0.1, 0.5, 0.9)
BASELINE = "adam-clip"  # the one-line remedy that a new optimizer has to beat
WINDOW = 128  # steps of a sequence of HAR-2
# Frank-Wolfe only; None is the learning rate itself, as the authors had it.
RADII = (None, 1e-3, 1e-2, 1e-1)


def _fw(inner_steps: int, **changes: Any) -> OptimizerConfig:
    return OptimizerConfig("frank-wolfe", 1e-3, inner_steps=inner_steps, **changes)


# method -> (optimizer, model, TBPTT chunk)
METHODS: dict[str, tuple[OptimizerConfig, ModelConfig, int | None]] = {
    "sgd": (OptimizerConfig("sgd", 1e-3, momentum=0.9), TANH, None),
    "adam": (adam(1e-3), TANH, None),
    "adam-clip": (adam(1e-3, clip_norm=1.0), TANH, None),
    "adam-tbptt": (adam(1e-3), TANH, 16),
    # Ours: without them Frank-Wolfe with batch norm has no peer but plain networks, and a lead over
    # an Adam that does not clip may be what clipping brings.
    "adam-bn": (adam(1e-3), BATCH_NORM, None),
    "adam-bn-clip": (adam(1e-3, clip_norm=1.0), BATCH_NORM, None),
    "lstm-adam": (adam(1e-3), LSTM, None),
    "lstm-clip": (adam(1e-3, clip_norm=1.0), LSTM, None),
    "fw-k1": (_fw(1), TANH, None),
    "fw-k5": (_fw(5), TANH, None),
    "fw-k10": (_fw(10), TANH, None),
    "fw-bn": (_fw(5), BATCH_NORM, None),
    "fw-tbptt": (_fw(5), TANH, 16),
    "lstm-fw": (_fw(5), LSTM, None),
    "indrnn-adam": (adam(1e-3, weight_decay=1e-4, clip_value=10.0), INDRNN, None),
    "indrnn-fw": (_fw(5, clip_value=10.0), INDRNN, None),
}
DATA = {
    "har2": DataConfig("har-2", validation=0.2),
    "noisy-har2": DataConfig("noisy-har-2", {"noise": "paper"}, validation=0.2),
}


def clips(method: str) -> bool:
    """Whether a method bounds its gradients.

    >>> clips("adam"), clips("adam-clip"), clips("indrnn-fw")
    (False, True, True)
    """
    optimizer, *_ = METHODS[method]
    return bool(optimizer.clip_norm or optimizer.clip_value)


def runs() -> Iterator[RunConfig]:
    """The search's trials, and both kinds of final run of every method whose search is complete."""
    for task in DATA:
        for method in METHODS:
            yield from search(task, method)
    finals = {task: {m: final(task, m) for m in METHODS} for task in DATA}
    for of in finals.values():
        for own in of.values():
            yield from own
    for task, of in finals.items():
        for method, own in of.items():
            longer = _lengthened(own, of[BASELINE], names(task, method, "equal"))
            # With a pass of as many gradients as the baseline's, these are the final runs again.
            yield from (c for c in longer if c.epochs != FINAL_EPOCHS)


def names(task: str, method: str, stage: Literal["final", "equal"]) -> dict[int, str]:
    """What the final runs of a method are called, by seed, of equal passes ("final") or of equal
    gradients ("equal"); also before its search has settled what they are.

    >>> names("har2", "adam", "final")[1]
    'fair/har2/final/adam/seed-1'
    """
    seeds = range(1, SEEDS[task] + 1)
    return {seed: f"fair/{task}/{stage}/{method}/seed-{seed}" for seed in seeds}


@cache
def search(task: str, method: str) -> tuple[RunConfig, ...]:
    """The trials of one method: the same draws for every method and task."""
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    optimizer, model, tbptt = METHODS[method]
    ours = optimizer.name == "frank-wolfe"
    return tuple(
        RunConfig(
            name=f"fair/{task}/search/{method}/{trial:02d}",
            data=DATA[task],
            model=model,
            optimizer=dataclasses.replace(optimizer, lr=lr, radius=radius if ours else None),
            batch_size=batch,
            epochs=SEARCH_EPOCHS,
            lr_step=SEARCH_EPOCHS // 2,
            lr_gamma=decay,
            tbptt=tbptt,
            seed=0,
        )
        for trial, (lr, batch, decay, radius) in enumerate(_draws())
    )


@cache
def _draws() -> list[tuple[float, int, float, float | None]]:
    """Settings drawn without repeating what a method without a radius would see as the same."""
    generator = np.random.default_rng(0)
    axes: tuple[tuple[Any, ...], ...] = (LEARNING_RATES, BATCH_SIZES, DECAYS, RADII)
    drawn: dict[tuple[Any, ...], Any] = {}
    while len(drawn) < TRIALS:
        *key, radius = (axis[int(generator.integers(len(axis)))] for axis in axes)
        drawn.setdefault(tuple(key), radius)
    return [(*key, radius) for key, radius in drawn.items()]


def selected(task: str, method: str) -> RunConfig | None:
    """The trial with the lowest validation loss at any epoch; None until all have a record."""
    return best_trial(search(task, method))


def best_trial(trials: Sequence[RunConfig]) -> RunConfig | None:
    """The trial with the lowest validation loss at any epoch.

    None until every trial has a finished record of these very settings. A trial that diverged
    lost; one that was stopped early is not finished.
    """
    best: tuple[float, RunConfig] | None = None
    for config in trials:
        path = records.path_of(config.name)
        if not path.exists():
            return None
        record = records.read(path)
        if record.status == "partial" or record.config.id != config.id:
            return None
        losses = record.curve("validation_loss")
        score = float(np.nanmin(losses)) if record.status == "complete" else float("inf")
        if best is None or score < best[0]:
            best = score, config
    return best[1] if best else None


def final(task: str, method: str) -> list[RunConfig]:
    """Full-length runs of the selected trial, one per seed; none until the search is complete."""
    choice = selected(task, method)
    if choice is None:
        return []
    longer = dataclasses.replace(choice, epochs=FINAL_EPOCHS, lr_step=FINAL_EPOCHS // 2)
    called = names(task, method, "final")
    return [dataclasses.replace(longer, name=name, seed=seed) for seed, name in called.items()]


def equal(task: str, method: str) -> list[RunConfig]:
    """Runs of the selected trial with as many gradients as the final runs of :data:`BASELINE`, one
    per seed; none until both searches are complete.

    A gradient is that of one minibatch, with TBPTT of one chunk of it. Passes are whole: there are
    enough of them, and not one more. Where :func:`final` has as many, its runs are these.
    """
    called = names(task, method, "equal")
    return _lengthened(final(task, method), final(task, BASELINE), called)


def _lengthened(
    runs: Sequence[RunConfig], base: Sequence[RunConfig], called: Mapping[int, str]
) -> list[RunConfig]:
    """Runs of equal passes with as many passes as it takes for the gradients of ``base``, named by
    seed unless they have as many already. Where that is an odd number, the rate falls at half-time,
    rounded down, and once more before the last pass: the records are of such runs."""
    if not runs or not base:
        return []
    epochs = math.ceil(FINAL_EPOCHS * _gradients_per_pass(base[0]) / _gradients_per_pass(runs[0]))
    if epochs == FINAL_EPOCHS:
        return list(runs)
    half = max(1, epochs // 2)
    return [
        dataclasses.replace(run, name=called[run.seed], epochs=epochs, lr_step=half) for run in runs
    ]


def _gradients_per_pass(config: RunConfig) -> Fraction:
    """Gradients that one sequence stands for in a pass."""
    chunks = math.ceil(WINDOW / config.tbptt) if config.tbptt else 1
    return Fraction(chunks, config.batch_size)
