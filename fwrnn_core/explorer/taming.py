"""Slopes that a grid can carry.

At a cliff narrower than a grid cell the measured gradient is right at its node and far too steep
for the cell: a cubic that obeys it swings far below and above everything measured, and shows
valleys that are not there. Here the gradients of such nodes are scaled down, in steps, until the
surface stays close to its data. Elsewhere they stay as measured.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fwrnn_core.explorer.surfaces import Array, hermite

LOCAL, GLOBAL = 0.15, 0.02  # how far a cell may swing beyond its neighbourhood's and all values
SHRINK, ROUNDS = 0.8, 40
_CHECKED = np.linspace(0, 1, 6)  # where a cell is looked at, along either axis


def _corners(a: Any) -> tuple[Any, Any, Any, Any]:
    return a[:-1, :-1], a[:-1, 1:], a[1:, :-1], a[1:, 1:]


def _swings(f: Array, fx: Array, fy: Array) -> tuple[Array, Array]:
    """Lowest and highest interpolated value inside every cell (slopes per cell)."""
    fxy = 0.5 * (np.gradient(fx, axis=0) + np.gradient(fy, axis=1))
    values = []
    for s in _CHECKED:
        for t in _CHECKED:
            bx, by = hermite(t), hermite(s)
            total = np.zeros_like(f[1:, 1:])
            for value, x, y, xy, (j, i) in zip(
                *(_corners(a) for a in (f, fx, fy, fxy)), np.ndindex(2, 2), strict=True
            ):
                total += by[j] * (bx[i] * value + bx[2 + i] * x)
                total += by[2 + j] * (bx[i] * y + bx[2 + i] * xy)
            values.append(total)
    return np.min(values, axis=0), np.max(values, axis=0)


def _allowed(f: Array) -> tuple[Array, Array]:
    """Bounds of every cell from its neighbourhood of 4 × 4 nodes."""
    around = np.pad(f, 1, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(around, (4, 4))
    low, high = windows.min(axis=(2, 3)), windows.max(axis=(2, 3))
    room = LOCAL * (high - low)
    whole = GLOBAL * float(np.ptp(f))
    return np.maximum(low - room, f.min() - whole), np.minimum(high + room, f.max() + whole)


def tame(loss: Array, grad_x: Array, grad_y: Array, hx: float, hy: float) -> tuple[Array, Array]:
    """The gradients, scaled down at the nodes of cells that would swing beyond their data.

    Args:
        loss, grad_x, grad_y: [ny, nx].
        hx, hy: the grid's spacing.

    >>> loss = np.zeros((5, 5))
    >>> loss[:, 3:] = 1.0  # a step between two columns
    >>> steep = np.zeros((5, 5))
    >>> steep[:, 2] = 50.0
    >>> gx, _ = tame(loss, steep, np.zeros((5, 5)), 1.0, 1.0)
    >>> bool(gx[2, 2] < 5), bool((gx[:, [0, 4]] == 0).all())
    (True, True)
    """
    low, high = _allowed(loss)
    scale = np.ones_like(loss)
    for _ in range(ROUNDS):
        lowest, highest = _swings(loss, grad_x * scale * hx, grad_y * scale * hy)
        wild = (lowest < low - 1e-12) | (highest > high + 1e-12)
        if not wild.any():
            break
        touched = np.zeros(loss.shape, dtype=bool)
        for corner in _corners(touched):
            np.logical_or(corner, wild, out=corner)
        scale[touched] *= SHRINK
    return grad_x * scale, grad_y * scale
