"""Notices weights that somebody else writes in the middle of a loop.

A walk ends at ω_t and starts the outer update from there, so what others write to ω_t + Δ_k
meanwhile is lost: ``load_state_dict`` with the best weights so far, a ``clamp_`` after every step.
torch counts the writes to every tensor; comparing the counts costs less than a microsecond. Writes
through ``.data`` are not counted, and go unseen.
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor

_OURS = (
    str(Path(__file__).parent) + os.sep,
    str(Path(torch.__file__).parent) + os.sep,
    contextlib.__file__,
)
_version = attrgetter("_version")  # a third faster than a comprehension


class Watch:
    """The weights that walk, and how often each had been written to after the last step."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Watch nothing, until :meth:`note`."""
        self._params: Sequence[Tensor] = ()
        self._versions: list[int] = []
        self._told = False

    def note(self, params: Sequence[Tensor]) -> None:
        """These weights walk, and are as the optimizer left them; none: no loop is under way."""
        if not params:
            self.clear()
        elif not self._told:  # whoever writes after every step hears of it once a loop
            self._params = params
            self._versions = list(map(_version, params))

    def again(self) -> None:
        """Writes since were the optimizer's own, and the weights are as they were."""
        if self._params:
            self.note(self._params)

    def look(self, groups: Sequence[Mapping[str, Any]], state: Mapping[Tensor, Any]) -> None:
        """Warn if a weight was written to since."""
        if list(map(_version, self._params)) == self._versions:
            return
        held = [state.get(p, {}).get("direction") for p in self._params]
        if any(r is None for r in held):  # the state was cleared: no loop is under way any more
            self.clear()
            return
        if any(p.dtype != r.dtype for p, r in zip(self._params, held, strict=True)):
            return  # converted: the step says what to do
        self._params, self._versions, self._told = (), [], True
        inner_step = max(group["inner_step"] for group in groups)
        caution(
            f"the weights were changed after inner step {inner_step} of a loop, not by this "
            "optimizer (load_state_dict, clamp_, …): at the loop's end, and inside anchored(), "
            "they go back to ω_t and the change is lost. Change weights where "
            "optimizer.inner_step is 0, or call optimizer.restart() after the change"
        )

    def saved(self, groups: Sequence[Mapping[str, Any]], anchored: bool) -> None:
        """Warn of a state that is saved where the weights are not those it belongs to."""
        if anchored and any(group["inner_step"] for group in groups):
            caution(
                "state_dict() inside anchored(): the state is of the middle of a loop, the weights "
                "are those of its start, and a run resumed from both goes on differently. Save the "
                "model alone inside, and model and optimizer together outside"
            )


def caution(text: str) -> None:
    """A ``UserWarning`` that points at the first line outside this package and torch, whose hooks
    and schedulers wrap ``step`` in frames of their own."""
    level = 1
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code.co_filename.startswith(_OURS):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, stacklevel=level)
