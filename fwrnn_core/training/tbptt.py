"""Truncated back-propagation through time: how a sequence is cut, and the released code's rule.

Clean rule: a sequence of T steps is cut into chunks; each chunk is one gradient step on the
sequence's target at the chunk's last output, with the state carried over and detached. Under
Frank-Wolfe each chunk is one inner step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor


def chunks(x: Tensor, length: int | None) -> Iterator[Tensor]:
    """Cut x [B, T, F] along time into pieces of ``length`` (the last may be shorter).

    >>> [c.shape[1] for c in chunks(torch.zeros(2, 10, 1), 4)]
    [4, 4, 2]
    >>> [c.shape[1] for c in chunks(torch.zeros(2, 10, 1), None)]
    [10]
    """
    yield from x.split(length, dim=1) if length else (x,)


class ReleasedTbptt(torch.optim.Optimizer):
    """The authors' optimizer under TBPTT, with the anchoring of their flags (p = 2, per tensor).

    Their step takes two flags, "first" and "last"; the training loop sets them for the first chunk
    of an inner loop and for its last chunk, and every other chunk passes (False, False), which
    falls back to the *minibatch's* place in the inner loop. So with n chunks and K = 1, the first
    chunk is a raw displacement that stays, each middle chunk an outer step, and the last chunk
    undoes the outer step before it (but not its Adam moments). With K > 1 the first minibatch moves
    its anchor with every chunk. Source: the released program, where its TBPTT scripts call the
    optimizer.

    Parameters
    ----------
    params : parameters or groups
    lr : learning rate of the outer Adam and radius of each tensor's ball
    inner_steps : K, minibatches per inner loop

    A zero gradient leaves its tensor's vertex at zero; the authors' code divides by zero there.
    """

    def __init__(self, params: Iterable[Any], lr: float = 1e-3, inner_steps: int = 1) -> None:
        super().__init__(params, {"lr": lr, "inner_steps": inner_steps, "k": 0})
        self.outer = torch.optim.Adam(self.param_groups, lr=lr)
        # One dictionary per group, seen by both: a scheduler on this optimizer moves Adam's lr.
        self.outer.param_groups = self.param_groups
        self.completed = False

    @torch.no_grad()
    def step(  # type: ignore[override]
        self, closure: Callable[[], Tensor] | None = None, *, chunk: int = 0, of: int = 1
    ) -> None:
        """One chunk: number ``chunk`` of ``of`` in the current minibatch."""
        self.completed = False
        for group in self.param_groups:
            if chunk == 0:
                group["k"] = group["k"] % group["inner_steps"] + 1
            k, last_k = group["k"], group["inner_steps"]
            first = k == 1 and chunk == 0
            last = k == last_k and chunk == of - 1
            if not first and not last:
                first, last = k == 1, k == last_k
            for p in group["params"]:
                if p.grad is not None:
                    self._move(p, group["lr"], k, first, last)
            if last:
                self.completed = chunk == of - 1
        if last:
            self.outer.step()

    def _move(self, p: Tensor, lr: float, k: int, first: bool, last: bool) -> None:
        state = self.state[p]
        if first or "anchor" not in state:
            state["anchor"] = p.clone()
        if "displacement" not in state:
            state["displacement"] = torch.zeros_like(p)
        norm = p.grad.norm()  # type: ignore[union-attr]
        unit = p.grad / norm if norm > 0 else torch.zeros_like(p)
        state["displacement"].mul_(1 - 1 / k).sub_(unit, alpha=lr / k)
        p.add_(state["displacement"])
        if last:
            p.copy_(state["anchor"])
            p.grad = state["displacement"] / -lr

    def state_dict(self) -> dict[str, Any]:
        """Own state and the outer Adam's."""
        return {**super().state_dict(), "outer": self.outer.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Inverse of :meth:`state_dict`."""
        own = {k: v for k, v in state_dict.items() if k != "outer"}
        super().load_state_dict(own)
        self.outer.load_state_dict(state_dict["outer"])
        self.outer.param_groups = self.param_groups
