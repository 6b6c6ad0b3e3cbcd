"""torch's wrapper around ``step`` (profiler entry, hooks), left out while nobody looks.

Opening and closing the profiler's entry takes as long as the rest of an inner step on a small
network, and an optimizer that steps K times per update pays it K times.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer, optimizer


def observed(step: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: ``step`` as torch wraps it if a profiler runs or a hook is there, else bare."""
    watched = Optimizer.profile_hook_step(step)

    @functools.wraps(step)
    def wrapper(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling():
            # Not for tracing: the step is one call into C, and reads its numbers on the way.
            return torch.compiler.disable(watched)(self, *args, **kwargs)
        if (
            torch.autograd._profiler_enabled()
            or self._optimizer_step_pre_hooks
            or self._optimizer_step_post_hooks
            or optimizer._global_optimizer_pre_hooks
            or optimizer._global_optimizer_post_hooks
        ):
            return watched(self, *args, **kwargs)
        return step(self, *args, **kwargs)

    wrapper.hooked = True  # type: ignore[attr-defined]  # torch wraps what does not say so
    return wrapper
