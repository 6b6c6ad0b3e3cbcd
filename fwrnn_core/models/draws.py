"""The same random draws at every evaluation of a network: dropout, a random initial state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class SameDraws:
    """Makes every evaluation of a network see the same draws, and nobody else's draws move.

    Modules with a ``generator`` of their own are given a copy of it.

    >>> net = nn.Dropout()
    >>> draws, ones = SameDraws(net), torch.ones(8)
    >>> with draws.again():
    ...     first = net(ones)
    >>> with draws.again():
    ...     print(torch.equal(net(ones), first))
    True
    """

    def __init__(self, model: nn.Module) -> None:
        self._own: dict[int, tuple[torch.Generator, Tensor]] = {}
        for module in model.modules():
            generator = getattr(module, "generator", None)
            if isinstance(generator, torch.Generator):
                fresh = torch.Generator(generator.device), generator.get_state()
                # Modules that share one go on sharing it.
                twin, _ = self._own.setdefault(id(generator), fresh)
                module.__dict__["generator"] = twin

    @contextmanager
    def again(self) -> Iterator[None]:
        """Inside, all draws begin where they began before."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            for generator, state in self._own.values():
                generator.set_state(state)
            yield
