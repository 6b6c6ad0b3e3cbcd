"""The training loop: one :class:`Run` from its first minibatch to its record.

All randomness is a pure function of (seed, epoch, minibatch), so the state of a run is its
counters, the weights, the optimizer and the curves so far; a run that was killed and resumed
repeats an unbroken one bit for bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from fwrnn_core.models import detach
from fwrnn_core.optim import NonFiniteGradient
from fwrnn_core.training import build
from fwrnn_core.training.config import RunConfig
from fwrnn_core.training.environment import describe, resolve_device
from fwrnn_core.training.evaluate import at, evaluate
from fwrnn_core.training.probes import Probe, ProbeContext, ProbeSet
from fwrnn_core.training.probes import build as build_probes
from fwrnn_core.training.records import SCHEMA, Record
from fwrnn_core.training.tbptt import ReleasedTbptt, chunks

# A record's minibatch losses are thinned to at most this many points.
_LOSS_POINTS = 600
CURVES = (
    "epoch",
    "updates",
    "gradient_evaluations",
    "lr",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "test_loss",
    "test_accuracy",
    "agreement",
)


class Diverged(Exception):
    """The loss of a minibatch became infinite or NaN."""

    def __init__(self, where: dict[str, Any]) -> None:
        super().__init__(f"loss {where['loss']} at epoch {where['epoch']}")
        self.where = where


class Run:
    """One run in memory: data, model, optimizer, counters and curves.

    Parameters
    ----------
    config : what to train
    device : "auto" (CUDA where there is one), "cpu", "cuda" …
    probes : measurements beside those that the config names

    ``epoch`` and ``minibatch`` count what is done; ``updates`` outer updates; ``evaluations``
    gradient evaluations (backward passes; under TBPTT one per chunk).
    """

    def __init__(
        self, config: RunConfig, device: str = "auto", probes: Sequence[Probe] = ()
    ) -> None:
        self.config = config
        self.device = resolve_device(device)
        build.precision_of(config, self.device)  # refused before the data are read
        self.data, self.validation = build.build_data(config)
        with build.seeded(build.derive_seed(config.seed, "init"), self.device):
            self.model: nn.Module = build.build_model(config.model, self.data).to(self.device)
        build.check_last_batch(config, self.model, self.data, self.validation)
        self.loss_fn = build.build_loss(config.model, self.data)
        self.head = build.head_of(config.model, self.data)
        self.optimizer = build.build_optimizer(config, self.model)
        self.schedule = build.build_schedule(config, self.optimizer)
        self.probes = ProbeSet([*build_probes(config.probes), *probes])
        self.minibatches = math.ceil(len(self.data.y_train) / config.batch_size)
        self.epoch = self.minibatch = self.updates = self.evaluations = 0
        self.sums = {"loss": 0.0, "correct": 0.0, "seen": 0.0}
        self.curves: dict[str, list[Any]] = {name: [] for name in CURVES}
        self.losses: dict[str, list[Any]] = {"update": [], "gradient_evaluation": [], "loss": []}
        self.seconds: list[float] = []
        # On a CPU the process's own time, which a busy machine does not stretch.
        self._now = time.process_time if self.device.type == "cpu" else time.perf_counter
        self._clock = 0.0
        self.diverged: dict[str, Any] | None = None
        self._order: Tensor | None = None
        self._stride = self._thinning()
        self._context = ProbeContext(
            model=self.model,
            optimizer=self.optimizer,
            dataset=self.data,
            config=config,
            loss_fn=self.loss_fn,
            device=self.device,
        )

    # Everything that changes the weights happens below, a minibatch at a time.

    def step(self) -> float:
        """Train on the next minibatch and return its loss; raises :class:`Diverged`."""
        started = self._now()
        self.model.train()
        x, y = self._next_batch()
        # Dropout and random initial states: a stream per minibatch, whatever happened before.
        place = (self.config.seed, "dropout", self.epoch, self.minibatch)
        with build.seeded(build.derive_seed(*place), self.device):
            loss, output = self._gradients(x, y)
        self.sums["loss"] += loss * len(y)
        self.sums["correct"] += float(build.count_correct(output, y, self.data.task, self.head))
        self.sums["seen"] += len(y)
        self.minibatch += 1
        self._clock += self._now() - started
        return loss

    def _next_batch(self) -> tuple[Tensor, Tensor]:
        if self._order is None:
            total = len(self.data.y_train)
            self._order = (
                torch.randperm(
                    total, generator=build.generator(self.config.seed, "order", self.epoch)
                )
                if self.config.shuffle
                else torch.arange(total)
            )
        size = self.config.batch_size
        index = self._order[self.minibatch * size : (self.minibatch + 1) * size]
        noise = build.generator(self.config.seed, "noise", self.epoch, self.minibatch)
        x, y = self.data.batch("train", index, noise)
        return x.to(self.device, non_blocking=True), y.to(self.device, non_blocking=True)

    def _gradients(self, x: Tensor, y: Tensor) -> tuple[float, Tensor]:
        """Backward and step on the minibatch, chunk by chunk; the last chunk's loss and output."""
        state: Any = None
        pieces = list(chunks(x, self.config.tbptt))
        for position, piece in enumerate(pieces):
            self.optimizer.zero_grad(set_to_none=True)
            with build.precision_of(self.config, self.device):
                if len(pieces) == 1:
                    output = self.model(piece)
                else:
                    output, state = self.model.step(piece, state)  # type: ignore[operator]
                    state = detach(state)
                loss = self.loss_fn(output, y)
            value = float(loss.detach())
            if not math.isfinite(value):
                raise Diverged(self._where(str(value)))
            loss.backward()
            self._clip()
            self.evaluations += 1
            self._context.batch = (x, y)
            self._tell("on_inner_gradient")
            try:
                self._optimizer_step(position, len(pieces), value)
            except NonFiniteGradient:
                # The loss is finite, its gradient overflowed; plain Adam would say so one step on.
                where = {**self._where(str(value)), "gradient": "not finite"}
                raise Diverged(where) from None
        return value, output.detach()

    def _where(self, loss: str) -> dict[str, Any]:
        """What the record says of the minibatch at which the run diverged."""
        return {
            "epoch": self.epoch + 1,
            "minibatch": self.minibatch + 1,
            "update": self.updates,
            "loss": loss,
        }

    def _clip(self) -> None:
        choice = self.config.optimizer
        if choice.clip_value is not None:
            nn.utils.clip_grad_value_(self.model.parameters(), choice.clip_value)
        if choice.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), choice.clip_norm)

    def _optimizer_step(self, position: int, pieces: int, loss: float) -> None:
        if isinstance(self.optimizer, ReleasedTbptt):
            self.optimizer.step(chunk=position, of=pieces)
            completed = self.optimizer.completed
        else:
            self.optimizer.step()
            completed = getattr(self.optimizer, "inner_step", 0) == 0
        if not completed:
            return
        self.updates += 1
        if self.updates % self._stride == 0:
            self.losses["update"].append(self.updates)
            self.losses["gradient_evaluation"].append(self.evaluations)
            self.losses["loss"].append(_digits(loss))
        self._tell("on_outer_update")

    def _tell(self, hook: str) -> None:
        self._context.epoch = self.epoch
        self._context.minibatch = self.minibatch
        self._context.update = self.updates
        self.probes.call(hook, self._context)

    def finish_epoch(self) -> None:
        """Test, extend the curves, move the learning rate; raises :class:`Diverged` where the
        last update has ruined the weights."""
        started = self._now()
        if not all(p.isfinite().all() for p in self.model.parameters()):
            raise Diverged({**self._where("not finite"), "minibatch": self.minibatch})
        config, seen = self.config, self.sums["seen"]
        row: dict[str, Any] = dict.fromkeys(CURVES)
        row["train_loss"] = self.sums["loss"] / seen
        if self.data.task != "regression":
            row["train_accuracy"] = self.sums["correct"] / seen
        row["lr"] = self.optimizer.param_groups[0]["lr"]
        with at(self.optimizer, config.evaluate_at):
            parts = {"test": self.data, "validation": self.validation}
            for part, data in parts.items():
                if data is not None:
                    loss, accuracy = evaluate(self.model, data, config, self.epoch, self.device)
                    row[f"{part}_loss"], row[f"{part}_accuracy"] = loss, accuracy
        agreement = getattr(self.optimizer, "agreement", None)
        if agreement is not None and self.updates:
            row["agreement"] = float(agreement().nanmean())
        row["updates"], row["gradient_evaluations"] = self.updates, self.evaluations
        row["epoch"] = self.epoch + 1
        for name in CURVES:
            self.curves[name].append(_digits(row[name]))
        self._context.batch = None
        self._tell("on_epoch_end")
        if self.schedule is not None:
            self.schedule.step()
        self.epoch, self.minibatch, self._order = self.epoch + 1, 0, None
        self.sums = dict.fromkeys(self.sums, 0.0)
        self._clock += self._now() - started
        self.seconds.append(round(self._clock, 3))

    def advance(
        self,
        until: int,
        *,
        progress: bool = True,
        on_epoch: Callable[[Run], None] | None = None,
        on_batch: Callable[[Run], None] | None = None,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Train until that many epochs are done; False if ``interrupted()`` said so before."""
        with tqdm(
            total=until * self.minibatches,
            initial=self.epoch * self.minibatches + self.minibatch,
            desc=self.config.name,
            unit="batch",
            disable=not progress,
            mininterval=0.5,
            smoothing=0.05,
            leave=False,
        ) as bar:
            try:
                while self.epoch < until and self.diverged is None:
                    while self.minibatch < self.minibatches:
                        self.step()
                        bar.update()
                        if on_batch is not None:
                            on_batch(self)
                        if interrupted():
                            return False
                    self.finish_epoch()
                    bar.set_postfix_str(self._summary(), refresh=False)
                    if on_epoch is not None:
                        on_epoch(self)
                    if interrupted():
                        return False
            except Diverged as error:
                self.diverged = error.where
        if self.epoch == self.config.epochs or self.diverged:
            self._tell("on_run_end")
        return True

    def _summary(self) -> str:
        accuracy = self.curves["test_accuracy"][-1]
        shown = f"epoch {self.epoch} loss {self.curves['train_loss'][-1]:.4f}"
        return shown + (f" test {100 * accuracy:.2f} %" if accuracy is not None else "")

    def _thinning(self) -> int:
        per_update = self.config.optimizer.inner_steps
        if self.config.optimizer.name != "frank-wolfe":
            per_update = 1
        pieces = math.ceil(self.data.num_steps / (self.config.tbptt or self.data.num_steps))
        total = self.config.epochs * self.minibatches * pieces / per_update
        return max(1, math.ceil(total / _LOSS_POINTS))

    # What is kept of it.

    def state_dict(self) -> dict[str, Any]:
        """All that a later process needs to go on as if nothing had happened."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict() if self.schedule else None,
            "probes": self.probes.state_dict(),
            "counters": [self.epoch, self.minibatch, self.updates, self.evaluations],
            "sums": self.sums,
            "curves": self.curves,
            "losses": self.losses,
            "seconds": self.seconds,
            "clock": self._clock,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`state_dict`."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.schedule is not None:
            self.schedule.load_state_dict(state["schedule"])
            # At the very end of an epoch the schedule moves before this process's first step, and
            # torch would warn: the steps that it looks for were taken by an earlier process.
            self.optimizer._opt_called = True  # type: ignore[attr-defined]
        self.probes.load_state_dict(state["probes"])
        self.epoch, self.minibatch, self.updates, self.evaluations = state["counters"]
        self.sums, self.curves, self.losses = state["sums"], state["curves"], state["losses"]
        self.seconds, self._clock, self._order = state["seconds"], state["clock"], None

    def record(self) -> Record:
        """The run so far as a record."""
        status = "complete" if self.epoch == self.config.epochs else "partial"
        if self.diverged:
            status = "diverged"
        body: dict[str, Any] = {
            "schema": SCHEMA,
            "id": self.config.id,
            "status": status,
            "config": self.config.to_dict(),
            "model": {"parameters": sum(p.numel() for p in self.model.parameters())},
            "data": {
                "name": self.data.name,
                "source": self.data.source,
                "options": dict(self.data.options),
                "fingerprint": self.data.fingerprint,
                "train": len(self.data.y_train),
                "validation": len(self.validation.y_test) if self.validation else 0,
                "test": len(self.data.y_test),
            },
            "curves": self.curves,
            "losses": self.losses,
            "probes": self.probes.rows,
            "seconds": self.seconds,
            **describe(self.device),
        }
        if self.diverged:
            body["diverged"] = self.diverged
        return Record(body)


def _digits(value: Any) -> Any:
    """Nine significant digits: all that a float32 has, in little space. JSON has no infinity:
    a test loss that overflows stands as None (NaN in :meth:`Record.curve`)."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.9g}") if math.isfinite(value) else None
