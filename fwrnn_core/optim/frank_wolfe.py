"""The two-loop Frank-Wolfe optimizer as a :class:`torch.optim.Optimizer`."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeVar, overload

import torch
from torch.optim import Optimizer

from fwrnn_core.errors import ConfigError
from fwrnn_core.optim import (
    checkpoint,
    diagnostics,
    distributed,
    inner,
    minibatch,
    native,
    options,
    walk,
    whole_loop,
)
from fwrnn_core.optim.adaptive import AdaptiveRadius, make_adaptive
from fwrnn_core.optim.balls import Norm
from fwrnn_core.optim.observed import observed
from fwrnn_core.optim.outer import Outer, OuterFactory, check_keywords
from fwrnn_core.optim.schedule import StepSize, rule
from fwrnn_core.optim.solvers import ProjectedGradient, VertexSteps, make_solver
from fwrnn_core.optim.trust_region import TrustRegion
from fwrnn_core.optim.watch import Watch

Group = dict[str, Any]
Loss = TypeVar("Loss")

#: Attributes that deepcopy and pickle carry along.
_COPIED = (
    "scope", "step_size", "trajectory", "nonfinite", "solver", "adaptive", "track", "process_group",
    "skipped", "updates", "_ratio", "_outer", "_rules", "_built",
)  # fmt: skip


class FrankWolfe(diagnostics.Reports):
    """Walk K Frank-Wolfe steps in a ball around the weights, then feed the walk to an optimizer.

    Algorithm 1 of Yue, Li, Saligrama and Zhang (2020): around ω_t, for k = 1 … K,
    s_k = argmin over the ball of ⟨s, ∇F(ω_t + Δ_{k−1})⟩ and Δ_k = (1 − γ_k) Δ_{k−1} + γ_k s_k; then
    −Δ_K/δ is handed as gradient to the outer optimizer, at ω_t. Each :meth:`step` after a
    ``backward()`` is one inner step on a fresh minibatch; every K-th one ends with the outer
    update. A closure runs the whole loop on its own minibatch.

    Args:
        params: parameters, named parameters or groups. A group may set its own ``lr``, ``radius``,
            ``inner_steps``, ``norm``, ``gradient_momentum``, ``maximize`` and any option of the
            outer optimizer (``weight_decay``, ``betas``, …).
        lr: learning rate of the outer optimizer, > 0. Schedule this optimizer's, not that of
            :attr:`outer`, which is overwritten.
        radius: δ > 0, in units of the weights; ``None`` means δ = lr. When a scheduler changes a
            group's lr, δ moves in proportion, from the next loop on. A given δ belongs to the lr
            at construction: schedulers that replace it (OneCycleLR, CyclicLR) scale δ with it.
        inner_steps: K ≥ 1, minibatches (gradient evaluations) per outer update.
        norm: p ≥ 1 of the ball (``math.inf`` too), ``"spectral"``, ``"nuclear"`` or
            ``"newton-schulz"`` (spectral without SVD: leaves the ball by at most 1e-6 δ and
            float32 rounding); non-matrices then get p = 2.
        scope: ``"tensor"``, one ball per parameter tensor, or ``"global"``, one ball around all
            parameters (p-norms only).
        step_size: γ_k: ``"1/k"``, ``"2/(k+1)"`` or a callable k ↦ γ with γ(1) = 1, γ in [0, 1].
        trajectory: ``"paper"`` takes gradient k at ω_t + Δ_{k−1}, inside the ball; ``"released"``
            at ω_t + Σ_{i<k} Δ_i, as the authors' code does, up to K − 1 radii away.
        outer: callable ``(params, lr=…)`` that makes a torch optimizer, or ``None`` for
            ω ← ω + Δ_K.
        gradient_momentum: β of the running mean β·d + (1 − β)·g that replaces the gradient within
            one inner loop; 0 is off. After Mokhtari et al. (2020), whose β grows to 1 and averages
            all noise away: a constant one only lowers it. d starts as a parameter's first gradient
            of the loop, be it in mid-loop.
        maximize: ascend instead of descend.
        solver: ``"frank-wolfe"``, ``"projected-gradient"``, ``"trust-region"``, or an instance of
            :class:`ProjectedGradient` or :class:`TrustRegion` with its options. The trust region
            needs ``norm=2``, ``scope="global"`` and :meth:`step` with a closure; K then bounds its
            conjugate-gradient steps, and there is no ``gradient_momentum``. ``step_size`` is
            Frank-Wolfe's alone.
        adaptive: ``None``, ``"agreement"``, ``"ratio"`` or an :class:`AdaptiveRadius`.
        track: extra diagnostics, any of ``"gap"`` (Frank-Wolfe gap of every inner step; one inner
            product; the trust region has none, and on the released trajectory it is no gap) and
            ``"angle"`` (between Δ_K and the first negative gradient; one buffer).
        nonfinite: what a NaN or infinite gradient does. ``"raise"``: :class:`NonFiniteGradient`,
            with weights and state untouched. ``"skip"``: the minibatch is dropped and counted in
            :attr:`skipped`, and the loop waits for the next one. Under a GradScaler it is always
            ``"skip"``.
        process_group: workers that walk on minibatches of their own and average Δ_K once per loop
            (``torch.distributed.group.WORLD`` for all). A convex combination of points of the ball
            stays in the ball. The first worker's weights are taken over by all; a dropped minibatch
            then counts as the vertex 0, so that workers stay in step.
        **outer_options: passed on to ``outer``: ``weight_decay=0.01``, ``betas=(0.9, 0.99)``, …

    Raises:
        ConfigError: a value out of range or an unknown option, at construction.

    >>> w = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    >>> opt = FrankWolfe([w], lr=0.5, inner_steps=2, outer=None)
    >>> for _ in range(2):
    ...     opt.zero_grad()
    ...     w.square().sum().backward()
    ...     opt.step()
    >>> w.data
    tensor([2.7000, 3.6000])
    >>> FrankWolfe([w], lr=0.5, outer=torch.optim.SGD, momentum=0.9).param_groups[0]["momentum"]
    0.9
    """

    # GradScaler then hands over its verdict instead of leaving step() out: skips can be counted.
    _step_supports_amp_scaling = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        radius: float | None = None,
        inner_steps: int = 5,
        norm: Norm = 2,
        scope: options.Scope = "tensor",
        step_size: Literal["1/k", "2/(k+1)"] | Callable[[int], float] = "1/k",
        trajectory: options.Trajectory = "paper",
        outer: OuterFactory | None = torch.optim.Adam,
        *,
        gradient_momentum: float = 0.0,
        maximize: bool = False,
        solver: options.SolverName | VertexSteps | ProjectedGradient | TrustRegion = "frank-wolfe",
        adaptive: Literal["agreement", "ratio"] | AdaptiveRadius | None = None,
        track: options.Tracked | Collection[options.Tracked] = (),
        nonfinite: options.Nonfinite = "raise",
        process_group: distributed.Group | None = None,
        **outer_options: Any,
    ) -> None:
        check_keywords(outer_options, outer)
        tracked = (track,) if isinstance(track, str) else track
        options.check_choices(scope, trajectory, nonfinite, tracked)
        rule(step_size)
        self._built = False
        self.scope = scope
        self.trajectory = trajectory
        self.nonfinite = nonfinite
        self.solver = make_solver(solver, step_size)
        self.step_size: StepSize = getattr(self.solver, "step_size", step_size)
        self.adaptive, self.track = make_adaptive(adaptive), frozenset(tracked)
        # Until all groups are there, which are shared in one go.
        self.process_group: distributed.Group | None = None
        #: Minibatches dropped for non-finite gradients, and outer updates made.
        self.skipped = self.updates = 0
        self._ratio = math.nan
        self._inside_anchored = False
        self._walker, self._watch = native.Walker(), Watch()
        self._outer: Outer | None = None
        plan = self.solver, self.adaptive, scope, trajectory, self.track
        self._rules = inner.make_rules(*plan, shared=process_group is not None)
        defaults: Group = {"lr": lr, "radius": radius, "inner_steps": inner_steps, "norm": norm}
        defaults |= {"gradient_momentum": gradient_momentum, "maximize": maximize}
        super().__init__(options.parameters(params), defaults)
        if outer is not None:
            self._outer = Outer(outer, self.param_groups, outer_options)
            self.defaults |= {k: self._outer.optimizer.defaults[k] for k in self._outer.options}
        for group in self.param_groups:
            options.check_names(group, self._outer.options if self._outer else ())
        whole_loop.check(self.solver, self.adaptive, self.param_groups, self.scope)
        self._built = True
        if process_group is not None:
            self.process_group = process_group
            distributed.share_start(process_group, self.param_groups, self._settings())

    def add_param_group(self, param_group: Group) -> None:
        """Add parameters; they join the walk of the groups with their K at the next inner step.
        With a ``process_group`` all workers add the same, and take over the first one's weights.

        Raises:
            ConfigError: as at construction.

        >>> w, v = (torch.nn.Parameter(torch.zeros(2)) for _ in range(2))
        >>> opt = FrankWolfe([w], lr=0.5)
        >>> opt.add_param_group({"params": [v], "radius": 0.1})
        >>> opt.diagnostics()["radius"]
        [0.5, 0.1]
        """
        options.check_arrival(param_group)
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        try:
            self._prepare(group)
        except BaseException:  # the outer optimizer may have reasons of its own
            self.param_groups.pop()
            raise

    def _prepare(self, group: Group) -> None:
        options.make_plain(group)
        options.check_group(group, self.step_size)
        options.check_memory(self.param_groups)
        options.check_adaptive(self.adaptive, group, type(self.solver).__name__)
        group["reference_lr"] = float(group["lr"])
        group.update(options.start(self.param_groups, self.scope))
        if not self._built:
            return
        options.check_names(group, self._outer.options if self._outer else ())
        whole_loop.check(self.solver, self.adaptive, self.param_groups, self.scope)
        if self.process_group is not None:
            distributed.share_start(self.process_group, [group], self._settings())
        if self._outer is not None:
            self._outer.add_group(group)

    @property
    def outer(self) -> Optimizer | None:
        """The outer optimizer, for its own hooks and state; ``None`` for the plain update."""
        return self._outer.optimizer if self._outer is not None else None

    @contextmanager
    def anchored(self) -> Iterator[None]:
        """Put ω_t in place of ω_t + Δ_k, to evaluate or save the model; undone on leaving.

        Outside a loop (:attr:`inner_step` = 0) the weights are ω_t already, and nothing is undone.
        In mid-loop, changes made to them inside are lost on leaving, and changes made before, since
        the last step, are not seen inside: a ``UserWarning`` says so. Save the model alone inside;
        a checkpoint to go on from holds both as they are outside: :meth:`state_dict` inside warns.

        Raises:
            RuntimeError: :meth:`step` or :meth:`restart` inside the block.

        >>> w = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
        >>> opt = FrankWolfe([w], lr=0.5, inner_steps=2)
        >>> w.square().sum().backward()
        >>> opt.step()
        >>> with opt.anchored():
        ...     w.tolist()
        [3.0, 4.0]
        """
        if self._inside_anchored:
            yield
            return
        self._watch.look(self.param_groups, self.state)
        moved = [p for group in self.param_groups for p in inner.active(group, self.state)]
        self._inside_anchored = True
        try:
            with walk.replaced(moved, [self.state[p]["anchor"] for p in moved]):
                yield
        finally:
            self._inside_anchored = False
            self._watch.again()

    def restart(self) -> None:
        """Give up the loop under way and begin anew around the weights as they stand.

        For weights that were written to in mid-loop, such as by ``load_state_dict``: without it
        they go back to ω_t at the loop's end. Does nothing where :attr:`inner_step` is 0. With a
        ``process_group``, all workers restart together, at equal weights.

        Raises:
            RuntimeError: inside :meth:`anchored`.
        """
        if self._inside_anchored:
            raise RuntimeError("restart() inside anchored(): leave the block first")
        for group in self.param_groups:
            inner.forget(group, self.state)
        self._watch.clear()

    def __repr__(self) -> str:
        return options.describe(self)

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], Loss]) -> Loss: ...

    @observed
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One inner step with the gradients at hand, or with a closure the whole loop.

        Args:
            closure: clears the gradients, computes the loss on one fixed minibatch, calls
                ``backward()`` and returns the loss. It is called K times (for the trust region see
                :class:`TrustRegion`), and once more under ``adaptive="ratio"``.

        Returns:
            The closure's loss at ω_t, or ``None`` without a closure.

        Raises:
            NonFiniteGradient: under ``nonfinite="raise"``.
            ConfigError: a sparse gradient; none where :attr:`needs_closure`; one over unequal K.
            WorkerLost: another worker of the process group is gone.
            RuntimeError: inside :meth:`anchored`; a closure in mid-loop or with a GradScaler.

        >>> w = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
        >>> opt = FrankWolfe([w], lr=0.5, inner_steps=2, outer=None)
        >>> def closure():
        ...     opt.zero_grad()
        ...     loss = w.square().sum()
        ...     loss.backward()
        ...     return loss
        >>> opt.step(closure).item(), w.data
        (25.0, tensor([2.7000, 3.6000]))
        """
        if self._inside_anchored:
            raise RuntimeError("step() inside anchored(): leave the block first")
        self._watch.look(self.param_groups, self.state)
        if closure is not None:
            return whole_loop.run(self, closure)
        if self.needs_closure:
            raise ConfigError(
                "solver='trust-region' and adaptive='ratio' compare losses on one minibatch: call "
                "step(closure)"
            )
        if finished := minibatch.advance(self):
            self._close(finished)
            self._update(finished)
        return None

    @torch.no_grad()
    def _close(self, finished: list[inner.Loop]) -> None:
        """Δ_K of the loops that reached K, over all workers, and what it tells the radius."""
        if self.process_group is not None:
            for loop in finished:
                inner.average_over_workers(loop, self.state, self.process_group)
        for loop in finished:
            inner.close(loop, self.state, self._rules)

    @torch.no_grad()
    def _update(self, finished: list[inner.Loop]) -> None:
        """One outer update with all loops that reached K."""
        parts = [part for loop in finished for part in loop]
        for loop in finished if self.adaptive is not None else ():
            diagnostics.adapt(self, loop)
        try:
            if self._outer is None:
                for part in (part for part in parts if part.params):
                    alpha = -part.group["loop_radius"]
                    torch._foreach_add_(part.params, part.directions, alpha=alpha)
            else:
                params = [p for part in parts for p in part.params]
                directions = [r for part in parts for r in part.directions]
                self._outer.update(self.param_groups, params, directions)
        finally:  # the loop is over, even if a hook of the outer optimizer raises
            for part in parts:
                inner.reset(part)
        self.updates += 1

    def state_dict(self) -> dict[str, Any]:
        """Everything that :meth:`load_state_dict` needs, exact in the middle of an inner loop.

        Beside torch's ``state`` and ``param_groups``: ``"outer"``, the outer optimizer's own
        ``state_dict``, and ``"frank_wolfe"``, counters and what must match on loading. Between two
        loops the ``state`` holds no tensors: a walk's begin with the next loop.

        >>> w = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
        >>> opt, twin = (FrankWolfe([w], lr=0.5, inner_steps=2) for _ in range(2))
        >>> w.square().sum().backward()
        >>> opt.step()
        >>> twin.load_state_dict(opt.state_dict())
        >>> twin.inner_step
        1
        """
        self._watch.saved(self.param_groups, self._inside_anchored)
        return checkpoint.save(self, super().state_dict)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a :meth:`state_dict`, also of the middle of a loop, without rounding.

        As in torch, tensors are cast to the dtype and device of their parameter. Another order is
        seen through shapes, options and names only: construct from ``named_parameters()``.

        Raises:
            ConfigError: the state of another optimizer or version, of other shapes, names or order,
                or in the middle of a loop with other settings. Nothing is changed then.
        """
        checkpoint.load(self, state_dict, super().load_state_dict)
        self._watch.clear()

    def _settings(self) -> dict[str, Any]:
        kinds = {"solver": type(self.solver).__name__, "outer": type(self.outer).__name__}
        kinds["step_size"] = self.step_size if isinstance(self.step_size, str) else "callable"
        return checkpoint.signature(
            self.param_groups, scope=self.scope, trajectory=self.trajectory, **kinds
        )

    def __getstate__(self) -> dict[str, Any]:
        if self.process_group is not None:
            raise ConfigError("no copy or pickle with a process_group: save state_dict() instead")
        # torch keeps hooks and wrapped methods out of copies; so do we, and add what is ours.
        return {**super().__getstate__(), **{k: v for k, v in vars(self).items() if k in _COPIED}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.__dict__.setdefault("_inside_anchored", False)  # a copy made inside is not inside
        # Of these weights in this memory: never copied.
        self._walker, self._watch = native.Walker(), Watch()
