"""The outer optimizer: built from a factory, fed with −Δ_K/δ, kept in step with the groups."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from fwrnn_core.errors import ConfigError, unknown
from fwrnn_core.optim.options import LOOP, OWN

OuterFactory = Callable[..., Optimizer]

#: How torch runs an optimizer's arithmetic, rather than what it computes.
_IMPLEMENTATION = ("foreach", "fused", "capturable", "differentiable", "maximize")
#: Of these at most one may be chosen.
_WAYS = ("foreach", "fused", "differentiable")

#: What a paper or another optimizer calls an option of ours.
_MEANT = {
    "k": "inner_steps",
    "delta": "radius",
    "δ": "radius",
    "p": "norm",
    "learning_rate": "lr",
    "optimizer": "outer",
    "base_optimizer": "outer",
}

#: LBFGS evaluates a closure of its own; SparseAdam takes sparse gradients only.
_REFUSED = (torch.optim.LBFGS, torch.optim.SparseAdam)


class Outer:
    """A torch optimizer over the same parameters, with its options mirrored in our groups.

    The mirror (betas, weight_decay, momentum, …) lets schedulers and users change the outer
    optimizer's options on the one object that they hold. It goes both ways: some optimizers keep
    running values in their groups (step counts, a learning rate of their own).
    """

    def __init__(
        self,
        factory: OuterFactory,
        groups: Sequence[dict[str, Any]],
        given: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.optimizer = _build(factory, groups, given)
        _check_ways(self.optimizer.param_groups)
        defaults = self.optimizer.defaults
        self.options = [k for k in defaults if k not in OWN and k not in _IMPLEMENTATION]
        for ours, theirs in zip(groups, self.optimizer.param_groups, strict=True):
            ours.update({key: theirs[key] for key in self.options})
        #: The options when both sides last had the same.
        self._agreed = self._options()

    def _options(self) -> list[dict[str, Any]]:
        return [{k: group[k] for k in self.options} for group in self.optimizer.param_groups]

    def add_group(self, group: dict[str, Any]) -> None:
        """Let the outer optimizer follow a group that joined later."""
        count = len(self.optimizer.param_groups)
        try:
            self.optimizer.add_param_group(_their_view(group))
            _check_ways(self.optimizer.param_groups[count:])
        except BaseException:
            del self.optimizer.param_groups[count:]
            raise
        self._agreed = [*self._agreed, self._options()[-1]]
        group.update(self._agreed[-1])

    def state_dict(self, groups: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The outer optimizer's own, in step with our groups."""
        self.synchronise(groups)
        return self.optimizer.state_dict()

    def load(self, state: dict[str, Any], groups: Sequence[dict[str, Any]]) -> None:
        """Restore the outer optimizer's ``state_dict``. Options that it did not have when the
        state was saved (an older torch's) keep their defaults."""
        self.optimizer.load_state_dict(state)
        for group in (*self.optimizer.param_groups, *groups):
            for key in self.options:
                group.setdefault(key, self.optimizer.defaults[key])
        self._agreed = self._options()

    def synchronise(self, groups: Sequence[dict[str, Any]]) -> None:
        """Hand on, in either direction, what changed in the options of one side since both had the
        same; where both changed, ours count."""
        count = len(self.optimizer.param_groups)
        if len(groups) != count:
            raise ConfigError(
                f"the optimizer has {len(groups)} parameter groups and its outer optimizer {count}:"
                " take a group out of both, optimizer.param_groups and"
                " optimizer.outer.param_groups, or make the optimizer anew"
            )
        agreed = self._agreed if len(self._agreed) == count else self._options()
        for ours, theirs, last in zip(groups, self.optimizer.param_groups, agreed, strict=True):
            for key in self.options:
                if _differ(ours[key], last[key]):
                    theirs[key] = ours[key]
                else:
                    ours[key] = theirs[key]
                last[key] = theirs[key]
        self._agreed = agreed

    def update(
        self, groups: Sequence[dict[str, Any]], params: Sequence[Tensor], grads: Sequence[Tensor]
    ) -> None:
        """One outer step with ``grads`` (−Δ_K/δ) for ``params``; other parameters rest.

        The caller's ``p.grad`` are put back afterwards."""
        self.synchronise(groups)
        for ours, theirs in zip(groups, self.optimizer.param_groups, strict=True):
            # Users put other parameters into a group's list, when a network grows or is pruned.
            theirs["params"] = ours["params"]
            theirs["lr"] = ours["lr"]
        every = params
        if sum(len(group["params"]) for group in groups) > len(params):
            every = [p for group in groups for p in group["params"]]
        kept = [p.grad for p in every]
        try:
            if every is not params:
                for p in every:
                    p.grad = None
            for p, grad in zip(params, grads, strict=True):
                p.grad = grad
            self.optimizer.step()
            self.synchronise(groups)
        finally:
            for p, own in zip(every, kept, strict=True):
                p.grad = own


def _check_ways(groups: Sequence[Mapping[str, Any]]) -> None:
    if any(group.get("differentiable") for group in groups):
        raise ConfigError(
            "differentiable = True: the outer optimizer is fed with directions that carry no graph "
            "to differentiate through; leave it out"
        )


def _differ(a: Any, b: Any) -> bool:
    if a is b:
        return False
    try:
        return bool(a != b)
    except (RuntimeError, ValueError):  # tensors or arrays of several numbers
        return True


def _their_view(group: dict[str, Any]) -> dict[str, Any]:
    """A group as the outer optimizer sees it: our options and loop state taken out."""
    hidden = (*OWN, *LOOP, "param_names")
    return {**{k: v for k, v in group.items() if k not in hidden}, "lr": group["lr"]}


def check_keywords(given: Mapping[str, Any], factory: OuterFactory | None) -> None:
    """Keywords that are not FrankWolfe's own go to the outer optimizer: refuse what it lacks.

    Raises:
        ConfigError: with the nearest names that there are.
    """
    if not given:
        return
    from fwrnn_core.optim.frank_wolfe import FrankWolfe  # it imports this module

    _, *ours, _ = inspect.signature(FrankWolfe).parameters
    takes = _keywords(factory)
    for key in given:
        if key.lower() in _MEANT:
            raise ConfigError(f"unknown option {key!r}. Did you mean {_MEANT[key.lower()]!r}?")
        if takes is None or factory is None:
            if get_close_matches(key, ours, cutoff=0.8):
                raise unknown("option", key, ours)
        elif key not in takes:
            valid = dict.fromkeys((*ours, *takes))
            raise unknown("option", key, [name for name in valid if name != "differentiable"])
        if factory is None:
            raise ConfigError(
                f"{key} = {given[key]!r} is an option for an outer optimizer, and outer=None has "
                "none: leave it out, or give one, such as outer=torch.optim.SGD"
            )


def _keywords(factory: OuterFactory | None) -> list[str] | None:
    """What a factory takes beside parameters and lr; None where it does not say."""
    try:
        _, *others = inspect.signature(factory).parameters.values()  # type: ignore[arg-type]
    except (TypeError, ValueError):  # not callable, a builtin, or without parameters
        return None
    if any(p.kind is p.VAR_KEYWORD for p in others):
        return None
    return [p.name for p in others if p.name != "lr" and p.kind is not p.VAR_POSITIONAL]


def _build(
    factory: OuterFactory, groups: Sequence[dict[str, Any]], given: Mapping[str, Any]
) -> Optimizer:
    lr = groups[0]["lr"]
    if not callable(factory):
        # An optimizer prints all its groups.
        what = (
            repr(factory)
            if isinstance(factory, str)
            else f"an object of type {type(factory).__name__}"
        )
        raise ConfigError(
            f"outer is {what}: give an optimizer class or a callable (params, lr=…) that makes "
            "one, such as torch.optim.Adam, or None"
        )
    chosen = any(side.get(way) is not None for side in (given, *groups) for way in _WAYS)
    if factory in (torch.optim.Adam, torch.optim.AdamW) and not chosen:
        # The same update in one pass over memory instead of a dozen; refused by devices and
        # dtypes that lack it.
        try:
            return factory([_their_view(g) for g in groups], lr=lr, **{"fused": True, **given})
        except (RuntimeError, TypeError):
            pass
    try:
        inspect.signature(factory).bind([], lr=lr, **given)
    except ValueError:  # a builtin that does not tell its signature
        pass
    except TypeError as error:
        raise ConfigError(f"outer must be callable as (params, lr=…): {error}") from None
    made = factory([_their_view(g) for g in groups], lr=lr, **given)
    if not isinstance(made, Optimizer):
        raise ConfigError(f"outer made a {type(made).__name__}, not a torch.optim.Optimizer")
    from fwrnn_core.optim.frank_wolfe import FrankWolfe  # it imports this module

    if isinstance(made, (*_REFUSED, FrankWolfe)):
        raise ConfigError(
            f"{type(made).__name__} cannot be the outer optimizer: it is fed with one dense "
            "direction per loop, without a closure"
        )
    return made
