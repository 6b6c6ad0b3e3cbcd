"""One setting of the optimizer changed at a time, on HAR-2: 50 epochs, three seeds or more.

The base is Frank-Wolfe as Algorithm 1 states it, K = 5, with the radius and outer Adam of the
paper's "Ours K=5". Every run tests in evaluation mode at ω_t and holds out a fifth of the training
subjects, so that the epoch can be chosen without looking at the test set.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fwrnn_core.training import DataConfig, OptimizerConfig, RunConfig

SEEDS = (0, 1, 2)
BASE = OptimizerConfig("frank-wolfe", lr=1e-3, inner_steps=5)
INNER_STEPS = (1, 2, 5, 10, 30)
# Five decades around the base's radius (= its learning rate).
RADII = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
NORMS: tuple[Any, ...] = (1.0, 1.5, 2.0, 3.0, math.inf, "spectral")
SCOPES = ("tensor", "global")
# What else a user can set, one at a time. A mean over the loop's gradients that forgets more slowly
# than this would hardly turn away from the first of five.
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "step-size": {"step_size": "2/(k+1)"},
    "gradient-momentum": {"options": {"gradient_momentum": 0.5}},
    "projected-gradient": {"options": {"solver": "projected-gradient"}},
    "adaptive": {"options": {"adaptive": "agreement"}},
    "newton-schulz": {"norm": "newton-schulz"},
    "nuclear": {"norm": "nuclear"},
    "nesterov": {"outer": "nesterov", "momentum": 0.9},
}
# Planned after the runs above had the spectral ball ahead: once more, with seeds that had no part
# in that, and with K = 1, which tells what the inner loop adds.
FRESH_SEEDS = range(3, 9)
SPECTRAL: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "newton-schulz": {"norm": "newton-schulz"},
    "newton-schulz-k1": {"norm": "newton-schulz", "inner_steps": 1},
}


def runs() -> Iterator[RunConfig]:
    """All ablation runs."""
    for inner in INNER_STEPS:
        yield from _vary(f"inner-steps/{inner}", inner_steps=inner)
    for radius in RADII:
        yield from _vary(f"radius/{radius:g}", radius=radius)
    for norm in NORMS:
        for scope in SCOPES:
            if norm == "spectral" and scope == "global":
                continue  # a spectral ball needs a matrix; the whole parameter vector is none
            label = norm if isinstance(norm, str) else f"{norm:g}"
            yield from _vary(f"norm/{label}-{scope}", norm=norm, scope=scope)
    for trajectory in ("paper", "released"):
        yield from _vary(f"trajectory/{trajectory}", trajectory=trajectory)
    for outer, lr in (("none", 1e-3), ("sgd", 1e-3), ("adam", 1e-3)):
        yield from _vary(f"outer/{outer}", outer=outer, lr=lr)
    for option, changes in OPTIONS.items():
        yield from _vary(f"options/{option}", **changes)
    for setting, changes in SPECTRAL.items():
        yield from _vary(f"spectral/{setting}", FRESH_SEEDS, **changes)


def _vary(label: str, seeds: Iterable[int] = SEEDS, **changes: Any) -> Iterator[RunConfig]:
    for seed in seeds:
        yield RunConfig(
            name=f"ablations/{label}/seed-{seed}",
            data=DataConfig("har-2", validation=0.2),
            optimizer=dataclasses.replace(BASE, **changes),
            epochs=50,
            seed=seed,
        )
