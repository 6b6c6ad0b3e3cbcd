"""A panel that trains a small network live and draws its curves as they grow."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import traitlets

from fwrnn_core.errors import FwrnnError
from fwrnn_core.explorer.bundle import bundle
from fwrnn_core.explorer.live import NORMS
from fwrnn_core.training import DataConfig, ModelConfig, OptimizerConfig, Run, RunConfig
from fwrnn_core.training.loop import Diverged

REDRAW = 0.25  # seconds between drawings
POINTS = 300  # of a curve that are sent to the browser
SMOOTH = 0.98  # of the running means, per gradient

TASKS = {
    "Adding, 20 steps": (DataConfig("adding", {"length": 20, "train": 20_000, "test": 500}), 64),
    "HAR-2": (DataConfig("har-2"), 80),
}


class Curves(anywidget.AnyWidget):
    """Line charts that follow their data.

    ``charts`` is a list of ``{"title", "x_name", "log", "series": [{"name", "x", "y"}, …]}``.
    """

    _esm = bundle("curves")
    _css = (Path(__file__).parent / "static" / "explorer.css").read_text("utf-8")

    charts = traitlets.List(traitlets.Dict()).tag(sync=True)


def thin(x: Sequence[float], y: Sequence[float], count: int = POINTS) -> dict[str, list[float]]:
    """At most ``count`` points, evenly chosen, the last one always among them.

    >>> thin(range(10), range(10), 4)
    {'x': [0, 3, 6, 9], 'y': [0, 3, 6, 9]}
    """
    if len(x) <= count:
        return {"x": list(x), "y": list(y)}
    chosen = [round(i * (len(x) - 1) / (count - 1)) for i in range(count)]
    return {"x": [x[i] for i in chosen], "y": [y[i] for i in chosen]}


class _Mean:
    """A running mean that starts as its first value and forgets from there on."""

    def __init__(self) -> None:
        self._sum = self._weight = 0.0

    def add(self, value: float, keep: float) -> float:
        """The mean with one more value, when the earlier ones count ``keep`` times as much."""
        self._sum = keep * self._sum + (1 - keep) * value
        self._weight = keep * self._weight + (1 - keep)
        return self._sum / self._weight


class History:
    """What one run has shown so far: running means of loss and agreement over gradients."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.evaluations: list[float] = []
        self.losses: list[float] = []
        self.updates: list[float] = []
        self.agreements: list[float] = []
        self._loss, self._agreement = _Mean(), _Mean()

    def note(self, run: Run, loss: float) -> None:
        self.evaluations.append(run.evaluations)
        self.losses.append(self._loss.add(loss, SMOOTH))
        if run.updates > len(self.agreements):
            agreement = float(run.optimizer.agreement().double().nanmean())  # type: ignore[attr-defined]
            keep = SMOOTH**run.config.optimizer.inner_steps
            self.updates.append(run.evaluations)
            self.agreements.append(self._agreement.add(agreement, keep))


class TrainingPanel(ipywidgets.VBox):
    """Choose radius, K and norm; train a small recurrent network; watch; stop.

    Earlier runs stay in the picture for comparison until *Clear*.

    Attributes (traitlets):
        running: a network is being trained.
        status: what is going on, in words.
        history: the :class:`History` of the present or last run.
    """

    running = traitlets.Bool(False)
    status = traitlets.Unicode("choose, then train")
    history = traitlets.Instance(History, allow_none=True)

    def __init__(self, task: str = "Adding, 20 steps", max_minibatches: int = 20_000) -> None:
        self.max_minibatches = max_minibatches
        self.curves = Curves()
        self._past: list[History] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.controls = _controls(task)
        self._button = ipywidgets.Button(description="Train", icon="play", button_style="primary")
        self._button.on_click(lambda _: self.stop() if self.running else self.start())
        clear = ipywidgets.Button(description="Clear", icon="eraser")
        clear.on_click(lambda _: self.clear())
        note = ipywidgets.Label()
        row = ipywidgets.HBox([*self.controls.values(), self._button, clear])
        row.layout.flex_flow = "row wrap"
        super().__init__([row, self.curves, note])
        traitlets.dlink((self, "status"), (note, "value"))
        self.observe(self._relabel, "running")
        self._draw()

    def _relabel(self, change: Any) -> None:
        self._button.description = "Stop" if change.new else "Train"
        self._button.icon = "stop" if change.new else "play"

    def config(self) -> RunConfig:
        """The run that the controls describe."""
        value = {name: control.value for name, control in self.controls.items()}
        data, hidden = TASKS[value["task"]]
        optimizer = OptimizerConfig(
            lr=value["lr"],
            radius=value["radius"],
            inner_steps=value["inner_steps"],
            norm=value["norm"],
            trajectory=value["trajectory"],
        )
        return RunConfig("panel", data, ModelConfig(hidden_size=hidden), optimizer, epochs=10_000)

    def start(self) -> None:
        """Train a new network with the chosen settings, in a thread of its own."""
        if self.running:
            return
        config = self.config()
        choice = config.optimizer
        name = f"δ {choice.radius:g}, K {choice.inner_steps}, p {choice.norm:g}"
        if self.history is not None:
            self._past.append(self.history)
        self.history = History(name if choice.trajectory == "paper" else f"{name}, released")
        self._stop.clear()
        self.running, self.status = True, "loading the data…"
        self._thread = threading.Thread(
            target=self._train, args=(config, self.history), daemon=True
        )
        self._thread.start()

    def stop(self, timeout: float | None = 10.0) -> None:
        """Stop after the present minibatch; what was drawn stays."""
        self._stop.set()
        self.wait(timeout)

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the run has ended by itself or was stopped."""
        if self._thread is not None:
            self._thread.join(timeout)

    def clear(self) -> None:
        """Forget the runs before the present one."""
        self._past.clear()
        if not self.running:
            self.history = None
        self._draw()

    def _train(self, config: RunConfig, history: History) -> None:
        try:
            run = Run(config, "cpu")
            self.status = "training…"
            self._steps(run, history)
            ended = "stopped" if self._stop.is_set() else "done"
            self.status = f"{ended} after {run.evaluations:,} gradients, {run.updates:,} updates"
        except Exception as error:  # nobody else would hear of it: this is a thread
            known = isinstance(error, FwrnnError | Diverged)
            self.status = str(error) if known else f"{type(error).__name__}: {error}"
        finally:
            self._draw()
            self.running = False

    def _steps(self, run: Run, history: History) -> None:
        drawn = 0.0
        for _ in range(self.max_minibatches):
            if self._stop.is_set():
                return
            history.note(run, run.step())
            if run.minibatch == run.minibatches:
                run.finish_epoch()
            if time.monotonic() - drawn > REDRAW:
                self._draw()
                self.status = f"training: {run.evaluations:,} gradients, {run.updates:,} updates"
                drawn = time.monotonic()

    def _draw(self) -> None:
        runs = [*self._past, *([self.history] if self.history else [])]
        losses = [{"name": r.name, **thin(r.evaluations, r.losses)} for r in runs]
        agreements = [{"name": r.name, **thin(r.updates, r.agreements)} for r in runs]
        common = {"x_name": "gradient evaluations"}
        self.curves.charts = [
            {"title": "Training loss (running mean)", "log": True, "series": losses, **common},
            {
                "title": "Agreement ‖Δ‖/δ (running mean)",
                "log": False,
                "series": agreements,
                **common,
            },
        ]


def _controls(task: str) -> dict[str, Any]:
    wide = {"layout": {"width": "300px"}, "style": {"description_width": "110px"}}
    return {
        "task": ipywidgets.Dropdown(options=list(TASKS), value=task, description="task", **wide),
        "radius": ipywidgets.FloatLogSlider(
            1e-3, min=-5, max=0, step=0.1, description="radius δ", **wide
        ),
        "lr": ipywidgets.FloatLogSlider(
            1e-3, min=-5, max=-1, step=0.1, description="learning rate", **wide
        ),
        "inner_steps": ipywidgets.IntSlider(5, 1, 30, description="inner steps K", **wide),
        "norm": ipywidgets.Dropdown(options=NORMS, value=2.0, description="norm p", **wide),
        "trajectory": ipywidgets.Dropdown(
            options=["paper", "released"], description="trajectory", **wide
        ),
    }


def training_panel(task: str = "Adding, 20 steps") -> TrainingPanel:
    """The panel, ready to be shown as a cell's last expression.

    Args:
        task: one of :data:`TASKS`.
    """
    return TrainingPanel(task)
