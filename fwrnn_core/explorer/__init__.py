"""The explorable figures of the book: see the inner loop walk inside its ball.

Everything is loaded on first use; the arithmetic (``engine``, ``surfaces``) needs numpy alone, the
widgets need the ``book`` extra.
"""

from __future__ import annotations

from typing import Any

_HOMES = {
    "Explorer": "fwrnn_core.explorer.widget",
    "LiveExplorer": "fwrnn_core.explorer.live",
    "Slice": "fwrnn_core.explorer.slices",
    "TrainingPanel": "fwrnn_core.explorer.panel",
    "explore": "fwrnn_core.explorer.live",
    "load_slice": "fwrnn_core.explorer.slices",
    "plane_slice": "fwrnn_core.explorer.measure",
    "training_panel": "fwrnn_core.explorer.panel",
}

__all__ = [
    "Explorer",
    "LiveExplorer",
    "Slice",
    "TrainingPanel",
    "explore",
    "load_slice",
    "plane_slice",
    "training_panel",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
