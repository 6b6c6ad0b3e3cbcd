"""The walk on an accelerator, without one: fake tensors have a device and no values.

An operation that mixes devices is an error, and so is reading a number anywhere but in
``walk.numbers``, which waits for the device."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from fwrnn_core.optim import FrankWolfe, walk

INNER_STEPS, MINIBATCHES = 3, 7
SHAPES = {"matrix": ((4, 3), (5, 2)), "mixed": ((4, 3), (4,), (2, 3, 2), ())}
MATRIX_NORMS = ("spectral", "nuclear", "newton-schulz")
P_NORMS = (1, 1.5, 2, 3, float("inf"))


def waits(monkeypatch: pytest.MonkeyPatch, shapes: str, **options: Any) -> int:
    """How often seven minibatches wait for the device; all that they leave behind lies on it."""
    asked = []

    def numbers(scalars: list[torch.Tensor]) -> list[float]:
        asked.extend([len(scalars)] if scalars else [])
        return [1.0] * len(scalars)

    monkeypatch.setattr(walk, "numbers", numbers)
    with FakeTensorMode():
        weights = [nn.Parameter(torch.empty(s, device="cuda")) for s in SHAPES[shapes]]
        optimizer = FrankWolfe(weights, radius=0.1, inner_steps=INNER_STEPS, **options)
        for _ in range(MINIBATCHES):
            for w in weights:
                w.grad = torch.empty_like(w)
            optimizer.step()
        left = [t for own in optimizer.state.values() for t in own.values() if torch.is_tensor(t)]
    assert {t.device.type for t in [*weights, *left]} == {"cuda"}
    assert len(left) >= 2 * len(weights)  # ω_t and R
    return len(asked)


@pytest.mark.parametrize("trajectory", ["paper", "released"])
@pytest.mark.parametrize(
    ("norm", "scope", "shapes"),
    [(p, scope, "mixed") for p in P_NORMS for scope in ("tensor", "global")]
    + [(norm, "tensor", "matrix") for norm in MATRIX_NORMS],
)
def test_a_walk_waits_for_the_device_once_a_minibatch(
    norm: float | str, scope: str, shapes: str, trajectory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And once more where an inner loop ends, whatever the number of tensors."""
    found = waits(monkeypatch, shapes, norm=norm, scope=scope, trajectory=trajectory)
    assert found <= MINIBATCHES + MINIBATCHES // INNER_STEPS


@pytest.mark.parametrize(
    ("options", "each"),
    [
        ({"step_size": "2/(k+1)"}, 1),
        ({"weight_decay": 0.1}, 1),
        ({"outer": torch.optim.SGD, "momentum": 0.9, "nesterov": True}, 1),
        ({"outer": None}, 1),
        ({"adaptive": "agreement"}, 1),
        ({"gradient_momentum": 0.5}, 2),  # the gradient, to refuse NaN, and its average
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else str(value),
)
def test_an_option_waits_no_more_than_it_must(
    options: dict[str, Any], each: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = waits(monkeypatch, "mixed", **options)
    assert found <= each * MINIBATCHES + MINIBATCHES // INNER_STEPS
