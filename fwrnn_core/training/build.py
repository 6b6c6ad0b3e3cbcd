"""From a config to live objects: data, network, loss, optimizer, schedule; and the run's seeds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fwrnn_core.data import Dataset, load
from fwrnn_core.errors import ConfigError, unknown
from fwrnn_core.models import IndRNN, RecurrentNet
from fwrnn_core.optim import FrankWolfe
from fwrnn_core.training.config import ModelConfig, OptimizerConfig, RunConfig
from fwrnn_core.training.tbptt import ReleasedTbptt

# Independent random streams of one run. Every draw is a pure function of (seed, stream, epoch,
# minibatch), so a resumed run needs no generator state to repeat what an unbroken one draws.
STREAMS = (
    "init",
    "order",
    "noise",
    "dropout",
    "test-noise",
    "test-order",
    "test-state",
    "subset",
    "validation",
)


def derive_seed(seed: int, stream: str, *position: int) -> int:
    """A 63-bit seed for one draw of one stream.

    >>> derive_seed(0, "order", 3) == derive_seed(0, "order", 3)
    True
    >>> derive_seed(0, "order", 3) == derive_seed(0, "noise", 3)
    False
    """
    words = np.random.SeedSequence([seed, STREAMS.index(stream), *position]).generate_state(2)
    return (int(words[0]) << 31) ^ int(words[1])


def generator(seed: int, stream: str, *position: int) -> torch.Generator:
    """A CPU generator at the start of one draw."""
    return torch.Generator().manual_seed(derive_seed(seed, stream, *position))


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Torch's global generators start at ``seed`` inside the block and are put back after it.

    ``torch.manual_seed`` queues a call, with its stack, for every accelerator that is not there
    yet: a fifth of a small model's step, and memory that is never freed.
    """
    generators = [torch.default_generator]
    if device.type == "cuda":
        generators.append(torch.cuda.default_generators[device.index or 0])
    states = [g.get_state() for g in generators]
    for g in generators:
        g.manual_seed(seed)
    try:
        yield
    finally:
        for g, state in zip(generators, states, strict=True):
            g.set_state(state)


def build_data(config: RunConfig) -> tuple[Dataset, Dataset | None]:
    """The data to train and test on, and the validation part (as its test split) or None."""
    data = load(config.data.name, **config.data.options)
    if config.data.train_limit is not None:
        total = len(data.y_train)
        if config.data.train_limit > total:
            raise ConfigError(
                f"data.train_limit = {config.data.train_limit} exceeds the {total} training "
                f"examples of {data.name}"
            )
        order = torch.randperm(total, generator=generator(config.seed, "subset"))
        data = data.select(order[: config.data.train_limit].sort().values)
    validation = None
    if config.data.validation:
        seed = derive_seed(config.seed, "validation") % 2**31
        data, validation = data.with_validation(config.data.validation, seed=seed)
    total = len(data.y_train)
    if config.batch_size > total:
        raise ConfigError(
            f"batch_size = {config.batch_size} exceeds the {total} training examples of "
            f"{data.name}; valid: 1 to {total}"
        )
    if config.tbptt is not None and config.tbptt > data.num_steps:
        raise ConfigError(
            f"tbptt = {config.tbptt} exceeds the {data.num_steps} time steps of {data.name}"
        )
    return data, validation


def head_of(config: ModelConfig, data: Dataset) -> str:
    """The head of the network; "auto" stands for the one that fits this data.

    Raises :class:`~fwrnn_core.errors.ConfigError` for probabilities of several classes: the loss
    of those takes logits.
    """
    if config.head == "sigmoid" and data.task == "multiclass":
        raise ConfigError(
            f"model.head = 'sigmoid': {data.name} has {data.output_size} classes, whose loss takes "
            "logits; 'linear' or 'auto' gives those"
        )
    if config.head != "auto":
        return config.head
    return "sigmoid" if data.task == "binary" else "linear"


# Keywords that a run fills in itself.
_GIVEN = {
    "input_size": "comes from the data",
    "output_size": "comes from the data",
    "generator": "follows from the run's seed",
    "params": "are the network's",
    "process_group": "is for several processes, and a run is one",
}


def _check_options(what: str, target: Callable[..., Any], part: Any) -> None:
    """Refuse keywords of ``target`` that a config cannot have, with those that it can."""
    own = {f.name for f in fields(part)}
    known = {
        name
        for name, parameter in inspect.signature(target).parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD and name not in own | set(_GIVEN)
    }
    for name in part.options:
        if name in _GIVEN:
            raise ConfigError(f"{what}.options: {name!r} {_GIVEN[name]}; leave it out")
        if name not in known:
            field = get_close_matches(str(name), own - {"options"}, n=1)
            hint = f". If you meant {field[0]!r}, set {what}.{field[0]}" if field else ""
            raise ConfigError(f"{unknown(f'key of {what}.options', name, known)}{hint}")


def build_model(config: ModelConfig, data: Dataset) -> nn.Module:
    """The network for the data's features and task; draws its weights from the global generator."""
    model = IndRNN if config.cell == "indrnn" else RecurrentNet
    _check_options("model", model, config)
    common: dict[str, Any] = {
        "input_size": data.num_features,
        "hidden_size": config.hidden_size,
        "output_size": data.output_size,
        "num_layers": config.num_layers,
        "head": head_of(config, data),
        **config.options,
    }
    try:
        if model is IndRNN:
            return IndRNN(**{"seq_len": data.num_steps, **common})
        return RecurrentNet(cell=config.cell, **common)
    except TypeError as error:
        raise ConfigError(f"model.options: {error}") from None


def check_last_batch(
    config: RunConfig, model: nn.Module, data: Dataset, validation: Dataset | None
) -> None:
    """Refuse a split that leaves batch normalisation one row to normalise in training mode."""
    if not any(isinstance(m, nn.BatchNorm1d) for m in model.modules()):
        return
    splits = {"training": (len(data.y_train), config.tbptt)}
    if config.evaluation == "published-code":  # tests in training mode, on whole sequences
        tested = {"test": data, "validation": validation}
        splits |= {part: (len(d.y_test), None) for part, d in tested.items() if d is not None}
    steps = data.num_steps
    for part, (total, chunk) in splits.items():
        # RecurrentNet normalises its last state, [N, H]; IndRNN the N * T rows of a chunk.
        flat = isinstance(model, RecurrentNet)
        one_row = flat or (steps - 1) % (chunk or steps) == 0
        if one_row and (total - 1) % config.batch_size == 0:
            also = "" if flat else f" (and 1 of the {steps} time steps to a chunk of its own)"
            raise ConfigError(
                f"batch_size = {config.batch_size} leaves 1 of the {total} {part} examples of "
                f"{data.name} to a minibatch of its own{also}, and batch normalisation needs two "
                f"rows; give another batch_size{'' if flat else ' or tbptt'}"
            )


def build_loss(config: ModelConfig, data: Dataset) -> Callable[[Tensor, Tensor], Tensor]:
    """Squared error for regression and sigmoid heads, cross-entropy for classes."""
    if data.task == "multiclass":
        return F.cross_entropy
    if data.task == "binary" and head_of(config, data) == "linear":
        return lambda output, target: F.binary_cross_entropy_with_logits(output[:, 0], target)
    return lambda output, target: F.mse_loss(output[:, 0], target)


def precision_of(config: RunConfig, device: torch.device) -> AbstractContextManager[Any]:
    """The block in which a forward pass and its loss run: autocast for mixed precision. bfloat16
    has the exponents of float32, so that gradients need no GradScaler.

    Raises
    ------
    ConfigError : the device has no autocast
    """
    if config.precision == "float32":
        return nullcontext()
    if not torch.amp.is_autocast_available(device.type):
        raise ConfigError(
            f"precision = {config.precision!r}: torch has no mixed precision on {device.type!r}; "
            "give precision = 'float32'"
        )
    return torch.autocast(device.type, getattr(torch, config.precision))


def count_correct(output: Tensor, target: Tensor, task: str, head: str) -> Tensor:
    """Number of right answers in a batch (a scalar tensor); NaN for regression."""
    if task == "multiclass":
        return (output.argmax(1) == target).sum()
    if task == "binary":
        threshold = 0.5 if head == "sigmoid" else 0.0
        return ((output[:, 0] > threshold) == (target > 0.5)).sum()
    return torch.tensor(float("nan"))


def build_optimizer(config: RunConfig, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of the config over the model's parameters."""
    choice = config.optimizer
    params: Any = model.parameters()
    if choice.weight_decay and isinstance(model, IndRNN):
        params = model.param_groups(choice.weight_decay)
    if choice.name == "adam":
        return torch.optim.Adam(params, lr=choice.lr, weight_decay=choice.weight_decay)
    if choice.name == "sgd":
        return torch.optim.SGD(
            params, lr=choice.lr, momentum=choice.momentum, weight_decay=choice.weight_decay
        )
    if config.tbptt is not None and config.tbptt_rule == "released":
        return ReleasedTbptt(params, lr=choice.lr, inner_steps=choice.inner_steps)
    _check_options("optimizer", FrankWolfe, choice)
    try:
        optimizer = FrankWolfe(
            params,
            lr=choice.lr,
            radius=choice.radius,
            inner_steps=choice.inner_steps,
            norm=choice.norm,
            scope=choice.scope,
            step_size=choice.step_size,
            trajectory=choice.trajectory,
            outer=_outer(choice),
            **choice.options,
        )
    except TypeError as error:
        raise ConfigError(f"optimizer.options: {error}") from None
    if optimizer.needs_closure:
        raise ConfigError(
            f"optimizer.options = {dict(choice.options)!r}: this solver or radius rule walks the "
            "whole loop on one minibatch, and a run gives each inner step its own. Call "
            "FrankWolfe.step(closure) in a loop of your own"
        )
    return optimizer


def _outer(choice: OptimizerConfig) -> Callable[..., torch.optim.Optimizer] | None:
    decay = choice.weight_decay
    if choice.outer == "adam":
        return lambda params, lr: torch.optim.Adam(params, lr=lr, weight_decay=decay)
    if choice.outer == "sgd":
        return lambda params, lr: torch.optim.SGD(
            params, lr=lr, momentum=choice.momentum, weight_decay=decay
        )
    if choice.outer == "nesterov":
        return lambda params, lr: torch.optim.SGD(
            params, lr=lr, momentum=choice.momentum, nesterov=True, weight_decay=decay
        )
    return None


def build_schedule(
    config: RunConfig, optimizer: torch.optim.Optimizer
) -> torch.optim.lr_scheduler.StepLR | None:
    """Step decay per epoch; the Frank-Wolfe radius follows the learning rate by itself."""
    if config.lr_step is None:
        return None
    return torch.optim.lr_scheduler.StepLR(optimizer, config.lr_step, config.lr_gamma)
