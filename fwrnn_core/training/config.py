"""What a run is: frozen, validated, serialisable, and hashed into the run's id.

Two configs with the same id train the same weights (on the same backend and thread count); the
name only says where the record is filed. Execution details that do not change the mathematics
(device, threads, progress bars) are arguments of :func:`fwrnn_core.training.train` instead.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeGuard, get_args, get_origin, get_type_hints

from fwrnn_core.errors import ConfigError, choice, unknown
from fwrnn_core.optim.balls import MatrixNorm

Norm = float | MatrixNorm
_FLOAT32_MAX = 3.4028234663852886e38
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.=+-]*(/[A-Za-z0-9_][A-Za-z0-9_.=+-]*)*")


def _require(ok: bool, what: str, value: object, valid: str) -> None:
    if not ok:
        raise ConfigError(f"{what} = {value!r} is out of range; valid: {valid}")


def _positive(what: str, value: float | None, *, optional: bool = False) -> None:
    if value is None and optional:
        return
    ok = _number(value) and 0 < value <= _FLOAT32_MAX
    _require(ok, what, value, "a finite float32 > 0" + (" or None" if optional else ""))


def _number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _no_field_in(part: OptimizerConfig | ModelConfig, what: str) -> None:
    """``options`` are what has no field: one setting must not have two places, or two ids."""
    for f in fields(part):
        if f.name in part.options:
            raise ConfigError(
                f"{what}.options = {dict(part.options)!r}: {f.name!r} is a field of its own; set "
                f"{what}.{f.name}"
            )


def _mapping(what: str, value: object) -> None:
    _require(isinstance(value, Mapping), what, value, "a mapping of names to values")


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _widen(self: Any, where: str = "") -> None:
    """Whole numbers given for float fields become floats, so that 1 and 1.0 are one config; a
    field of a few words takes no other."""
    hints = _hints(type(self))  # type: ignore[arg-type]  # classes are hashable
    for f in fields(self):
        hint = hints[f.name]
        value = _coerce(hint, getattr(self, f.name))
        if get_origin(hint) is Literal:
            choice(where + f.name, value, get_args(hint))
        object.__setattr__(self, f.name, value)


def _count(what: str, value: object, *, optional: bool = False) -> None:
    if value is None and optional:
        return
    ok = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    _require(ok, what, value, "a whole number >= 1" + (" or None" if optional else ""))


@dataclass(frozen=True)
class DataConfig:
    """Which data, with which options of :func:`fwrnn_core.data.load`.

    ``train_limit`` keeps that many training examples, drawn once with the run's seed (quick
    runs). ``validation`` is the share of the training set held out, by subject where the data
    set knows its subjects, else at random; 0 trains on everything, as the authors did.
    """

    name: str = "har-2"
    options: Mapping[str, Any] = field(default_factory=dict)
    train_limit: int | None = None
    validation: float = 0.0

    def __post_init__(self) -> None:
        _widen(self)
        _require(isinstance(self.name, str) and bool(self.name), "data.name", self.name, "a name")
        _count("data.train_limit", self.train_limit, optional=True)
        ok = isinstance(self.validation, int | float) and 0 <= self.validation < 1
        _require(ok, "data.validation", self.validation, "0 <= share < 1")
        _mapping("data.options", self.options)


Cell = Literal["tanh", "lstm", "gru", "indrnn"]


@dataclass(frozen=True)
class ModelConfig:
    """Which network. ``head`` "auto" is sigmoid for binary tasks (trained on squared error, as the
    authors did) and linear else. ``options`` are further keywords of the model's constructor."""

    cell: Cell = "tanh"
    hidden_size: int = 80
    num_layers: int = 1
    head: Literal["auto", "linear", "sigmoid"] = "auto"
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _widen(self, "model.")
        _count("model.hidden_size", self.hidden_size)
        _count("model.num_layers", self.num_layers)
        _mapping("model.options", self.options)
        _no_field_in(self, "model")


OptimizerName = Literal["frank-wolfe", "adam", "sgd"]
Outer = Literal["adam", "sgd", "nesterov", "none"]


@dataclass(frozen=True)
class OptimizerConfig:
    """How the weights move.

    ``radius`` to ``outer`` concern Frank-Wolfe only (``fwrnn_core.FrankWolfe``); ``momentum`` is
    that of SGD, as the method or as the outer optimizer. ``clip_value`` clamps each gradient
    entry, ``clip_norm`` rescales the whole gradient, both before the optimizer sees it. ``options``
    are further keywords of :class:`fwrnn_core.FrankWolfe` (solver, adaptive radius …).
    """

    name: OptimizerName = "frank-wolfe"
    lr: float = 1e-3
    radius: float | None = None
    inner_steps: int = 1
    norm: Norm = 2.0
    scope: Literal["tensor", "global"] = "tensor"
    step_size: Literal["1/k", "2/(k+1)"] = "1/k"
    trajectory: Literal["paper", "released"] = "paper"
    outer: Outer = "adam"
    momentum: float = 0.0
    weight_decay: float = 0.0
    clip_value: float | None = None
    clip_norm: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _widen(self, "optimizer.")
        _positive("optimizer.lr", self.lr)
        _positive("optimizer.radius", self.radius, optional=True)
        _count("optimizer.inner_steps", self.inner_steps)
        known = get_args(MatrixNorm)
        if isinstance(self.norm, str):
            if self.norm not in known:
                nearest = unknown("optimizer.norm", self.norm, known)
                raise ConfigError(f"{nearest} or a float >= 1, inf")
        else:
            ok = _number(self.norm) and self.norm >= 1
            valid = f"a float >= 1, inf, {', '.join(map(repr, known))}"
            _require(ok, "optimizer.norm", self.norm, valid)
        ok = _number(self.momentum) and 0 <= self.momentum < 1
        _require(ok, "optimizer.momentum", self.momentum, "0 <= momentum < 1")
        ok = _number(self.weight_decay) and 0 <= self.weight_decay < math.inf
        _require(ok, "optimizer.weight_decay", self.weight_decay, "a finite number >= 0")
        _positive("optimizer.clip_value", self.clip_value, optional=True)
        _positive("optimizer.clip_norm", self.clip_norm, optional=True)
        if self.outer == "nesterov" and self.name == "frank-wolfe":
            what = 'with outer="nesterov", optimizer.momentum'
            _require(self.momentum > 0, what, self.momentum, "0 < momentum < 1")
        _mapping("optimizer.options", self.options)
        if self.options and self.name != "frank-wolfe":
            raise ConfigError(
                f"optimizer.options = {dict(self.options)!r} are keywords of FrankWolfe; "
                f"optimizer.name = {self.name!r} takes none"
            )
        _no_field_in(self, "optimizer")
        if "process_group" in self.options:
            raise ConfigError(
                "optimizer.options: a run is one process, so 'process_group' is not for it; call "
                "FrankWolfe in a training loop of your own"
            )


Evaluation = Literal["eval", "published-code"]


@dataclass(frozen=True)
class RunConfig:
    """One training run.

    Parameters
    ----------
    name : where the record is filed below ``data/records`` (not part of the id)
    batch_size : sequences per minibatch; the last one of an epoch may be smaller
    epochs : passes over the training set
    lr_step, lr_gamma : the learning rate is multiplied by ``lr_gamma`` every ``lr_step`` epochs
        (never, if None); the radius follows it
    shuffle : draw a new order every epoch, else keep the data's order
    tbptt : length of the chunks of truncated back-propagation through time; None: whole sequences
    tbptt_rule : "clean" makes each chunk one gradient step; "released" repeats the anchoring of
        the authors' code, flag by flag (:class:`~fwrnn_core.training.tbptt.ReleasedTbptt`)
    evaluation : "eval" tests in evaluation mode over samples; "published-code" repeats what the
        authors ran: training mode while testing, mean of per-minibatch accuracies
    evaluate_at : "anchor" tests ω_t, "iterate" the displaced ω_t + Δ_k where an epoch ends in
        the middle of an inner loop, as the authors' code does
    seed : of the initial weights, the data order, noise and dropout
    precision : "float32", or "bfloat16" for mixed precision: the weights and the optimizer stay
        float32, the forward pass runs under ``torch.autocast`` (the fused kernels, which have one
        dtype from end to end, stay float32 in it)
    probes : measurements taken along the way, ``{"name": …, option: …}`` each

    Raises
    ------
    ConfigError : a value outside its range, naming the value and the range

    >>> run = RunConfig(name="demo", epochs=3, optimizer=OptimizerConfig(inner_steps=5))
    >>> run == RunConfig.from_dict(run.to_dict())
    True
    >>> OptimizerConfig(inner_steps=0)
    Traceback (most recent call last):
    fwrnn_core.errors.ConfigError: optimizer.inner_steps = 0 is out of range; valid: ...
    """

    name: str
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    batch_size: int = 128
    epochs: int = 200
    lr_step: int | None = None
    lr_gamma: float = 0.1
    shuffle: bool = True
    tbptt: int | None = None
    tbptt_rule: Literal["clean", "released"] = "clean"
    evaluation: Evaluation = "eval"
    evaluate_at: Literal["anchor", "iterate"] = "anchor"
    seed: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    probes: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        _widen(self)
        ok = isinstance(self.name, str) and bool(_NAME.fullmatch(self.name))
        valid = "words of letters, digits and . _ = + - joined by single slashes"
        _require(ok, "name", self.name, valid)
        ok = not self.name.startswith("bench/")
        _require(ok, "name", self.name, "any but bench/…, where benchmarks are")
        parts = {"data": DataConfig, "model": ModelConfig, "optimizer": OptimizerConfig}
        for part, kind in parts.items():
            value = getattr(self, part)
            valid = f"a {kind.__name__} (RunConfig.from_dict takes mappings)"
            _require(isinstance(value, kind), part, value, valid)
        _require(isinstance(self.shuffle, bool), "shuffle", self.shuffle, "True, False")
        _count("batch_size", self.batch_size)
        _count("epochs", self.epochs)
        _count("lr_step", self.lr_step, optional=True)
        ok = _number(self.lr_gamma) and 0 < self.lr_gamma <= 1
        _require(ok, "lr_gamma", self.lr_gamma, "0 < factor <= 1")
        _count("tbptt", self.tbptt, optional=True)
        ok = isinstance(self.seed, int) and _number(self.seed) and 0 <= self.seed < 2**31
        _require(ok, "seed", self.seed, "a whole number, 0 <= seed < 2^31")
        ok = isinstance(self.probes, list | tuple)
        _require(ok, "probes", self.probes, "a list of mappings with a 'name'")
        for probe in self.probes:
            ok = isinstance(probe, Mapping) and isinstance(probe.get("name"), str)
            _require(ok, "probes", probe, "mappings with a 'name'")
        object.__setattr__(self, "probes", tuple(dict(p) for p in self.probes))
        if self.tbptt is not None and self.tbptt_rule == "released":
            self._check_released()

    def _check_released(self) -> None:
        """The authors' rule under TBPTT is one optimizer, not a variant of ours: no choices."""
        fixed = OptimizerConfig(
            lr=self.optimizer.lr,
            inner_steps=self.optimizer.inner_steps,
            trajectory="released",
            clip_value=self.optimizer.clip_value,
            clip_norm=self.optimizer.clip_norm,
        )
        for f in fields(fixed):
            found, only = getattr(self.optimizer, f.name), getattr(fixed, f.name)
            what = f'with tbptt_rule="released", optimizer.{f.name}'
            _require(found == only, what, found, f"{only!r} alone")

    @functools.cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits: SHA-256 over every field but the name.

        Fields at their default are left out, so that a field added later keeps old ids valid.
        """
        body = _plain(self, defaults=False)
        del body["name"]
        return hashlib.sha256(canonical_json(body).encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, every field present."""
        return _plain(self)

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> RunConfig:
        """Inverse of :meth:`to_dict`; unknown keys are refused with the nearest valid ones."""
        return _build(cls, body, "config")

    def replace(self, **changes: Any) -> RunConfig:
        """A copy with fields changed; dotted names reach inside: ``{"optimizer.lr": 1e-2}``."""
        body = self.to_dict()
        for key, value in changes.items():
            *path, last = key.split(".")
            place = body
            for part in path:
                if not isinstance(place.get(part), dict):
                    raise unknown("config key", key, _dotted(self.to_dict()))
                place = place[part]
            if last not in place and not path[-1:] == ["options"]:
                raise unknown("config key", key, _dotted(self.to_dict()))
            place[last] = _plain(value)
        return RunConfig.from_dict(body)


def canonical_json(body: object) -> str:
    """The one text of a JSON value: sorted keys, no spaces, no NaN (``inf`` is spelled out)."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _plain(value: Any, *, defaults: bool = True) -> Any:
    """Dataclasses, tuples and infinities as JSON types, with or without fields at their default."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        shown = [f for f in fields(value) if defaults or getattr(value, f.name) != _default(f)]
        return {f.name: _plain(getattr(value, f.name), defaults=defaults) for f in shown}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and math.isinf(value):
        return "inf"
    return value


def _default(f: dataclasses.Field[Any]) -> Any:
    if f.default_factory is not dataclasses.MISSING:
        return f.default_factory()
    return f.default


def _build(cls: type, body: Mapping[str, Any], where: str) -> Any:
    if not isinstance(body, Mapping):
        raise ConfigError(f"{where} must be a mapping, found {type(body).__name__}")
    hints = _hints(cls)
    known = [f.name for f in fields(cls)]
    for key in body:
        if key not in known:
            raise unknown(f"key of {where}", key, known)
    if cls is RunConfig and "name" not in body:
        raise ConfigError(f"{where} lacks its 'name'")
    arguments = {}
    for key, value in body.items():
        hint = hints[key]
        if dataclasses.is_dataclass(hint):
            arguments[key] = _build(hint, value, f"{where}.{key}")  # type: ignore[arg-type]
        else:
            arguments[key] = _coerce(hint, value)
    return cls(**arguments)


def _coerce(hint: Any, value: Any) -> Any:
    """JSON has no tuples and no infinity and may write 2.0 as 2; validation sees to the rest."""
    kinds = get_args(hint) or (hint,)
    if isinstance(value, str) and value == "inf" and float in kinds:
        return math.inf
    if float in kinds and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if get_origin(hint) is tuple and isinstance(value, list):
        return tuple(value)
    return value


def _dotted(body: Mapping[str, Any], prefix: str = "") -> list[str]:
    names = []
    for key, value in body.items():
        names.append(prefix + key)
        if isinstance(value, Mapping):
            names += _dotted(value, f"{prefix}{key}.")
    return names
