"""``explore(model, loss_fn, batch)``: the explorer on a plane through your own model's weights."""

from __future__ import annotations

import math
import threading
from typing import Any

import ipywidgets
import traitlets
from torch import nn
from tqdm.auto import tqdm

from fwrnn_core.errors import FwrnnError
from fwrnn_core.explorer.measure import Batch, LossFn, Stopped, plane_slice
from fwrnn_core.explorer.slices import Slice
from fwrnn_core.explorer.widget import Explorer

NORMS = [("1", 1.0), ("1.5", 1.5), ("2", 2.0), ("3", 3.0), ("∞", float("inf"))]
MATRIX_NORMS = [("spectral", "spectral"), ("nuclear", "nuclear")]
SCOPES = [("one ball per tensor", "tensor"), ("one ball around all weights", "global")]


class LiveExplorer(ipywidgets.VBox):
    """The explorer over a model's own plane, with controls that measure the plane anew.

    Attributes (traitlets):
        slice: the last measured :class:`~fwrnn_core.explorer.slices.Slice`; its ``agreement``,
            ``angle`` and ``path`` are those of the real inner loop, in all dimensions.
        explorer: the :class:`~fwrnn_core.explorer.Explorer` in it, with traitlets of its own.
        progress: share of the grid measured, 0 … 1.
        running: a measurement is under way.
        status: what happened last, in words.
    """

    slice = traitlets.Instance(Slice, allow_none=True)
    explorer = traitlets.Instance(Explorer)
    progress = traitlets.Float(0.0)
    running = traitlets.Bool(False)
    status = traitlets.Unicode("")

    def __init__(
        self,
        model: nn.Module,
        loss_fn: LossFn,
        batch: Batch,
        settings: dict[str, Any],
        piece: Slice,
    ) -> None:
        self._model, self._loss_fn, self._batch = model, loss_fn, batch
        self._span = settings["span"]
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.controls = _controls(settings)
        self._button = ipywidgets.Button(description="Measure again", icon="refresh")
        self._button.on_click(lambda _: self.stop() if self.running else self.measure())
        bar = ipywidgets.FloatProgress(min=0, max=1, layout={"width": "100%"})
        note = ipywidgets.Label()
        explorer = Explorer([piece.spec()], inner_steps=settings["inner_steps"])
        row = ipywidgets.HBox([*self.controls.values(), self._button])
        row.layout.flex_flow = "row wrap"
        super().__init__([explorer, row, bar, note])
        self.explorer = explorer
        traitlets.dlink((self, "progress"), (bar, "value"))
        traitlets.dlink((self, "status"), (note, "value"))
        self.observe(self._relabel, "running")
        self._show(piece)

    def _show(self, piece: Slice) -> None:
        self.slice, self.progress = piece, 1.0
        self.status = (
            f"{piece.loss.size} points; in all dimensions: agreement {piece.agreement:.0%}, "
            f"angle {piece.angle:.0f}°"
        )

    def _relabel(self, change: Any) -> None:
        self._button.description = "Stop" if change.new else "Measure again"
        self._button.icon = "stop" if change.new else "refresh"

    def settings(self) -> dict[str, Any]:
        """Keywords of :func:`~fwrnn_core.explorer.measure.plane_slice` as the controls stand."""
        values = {name: control.value for name, control in self.controls.items()}
        return {**values, "span": self._span}

    def measure(self) -> None:
        """Measure the plane at the model's present weights, in a thread of its own."""
        if self.running:
            return
        self._stop.clear()
        self.running, self.status = True, "measuring…"
        self._thread = threading.Thread(target=self._measure, daemon=True)
        self._thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """Stop a measurement in a thread; the last complete slice stays."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def wait(self, timeout: float | None = None) -> None:
        """Wait until a measurement in a thread is done."""
        if self._thread is not None:
            self._thread.join(timeout)

    def _measure(self) -> None:
        def report(done: int, total: int) -> bool:
            self.progress = done / total
            return self._stop.is_set()

        try:
            settings = self.settings()
            piece = plane_slice(
                self._model, self._loss_fn, self._batch, progress=report, **settings
            )
            self.explorer.add(piece.spec())
            self._show(piece)
        except Stopped:
            self.status = "stopped; the picture is the last complete one"
        except Exception as error:  # nobody else would hear of it: this is a thread
            known = isinstance(error, FwrnnError)
            self.status = str(error) if known else f"{type(error).__name__}: {error}"
        finally:
            self.running = False


def _controls(settings: dict[str, Any]) -> dict[str, Any]:
    """Controls whose ranges hold what the caller asked for: a slider would silently clamp it."""
    wide = {"layout": {"width": "300px"}, "style": {"description_width": "90px"}}
    size, steps, points = (settings[k] for k in ("radius", "inner_steps", "resolution"))
    decade = math.log10(size)
    return {
        "radius": ipywidgets.FloatLogSlider(
            size, min=min(-5, decade), max=max(1, decade), step=0.05, description="radius δ", **wide
        ),
        "inner_steps": ipywidgets.IntSlider(
            steps, 1, max(30, steps), description="inner steps K", **wide
        ),
        "norm": ipywidgets.Dropdown(
            options=_with(settings["norm"], NORMS + MATRIX_NORMS),
            value=settings["norm"],
            description="norm",
            **wide,
        ),
        "scope": ipywidgets.Dropdown(
            options=SCOPES, value=settings["scope"], description="scope", **wide
        ),
        "resolution": ipywidgets.IntSlider(
            points, min(6, points), max(65, points), description="grid points", **wide
        ),
    }


def _with(value: Any, options: list[Any]) -> list[Any]:
    known = any(value == option for _, option in options)
    return options if known else [(str(value), value), *options]


def explore(
    model: nn.Module,
    loss_fn: LossFn,
    batch: Batch,
    *,
    radius: float = 1e-2,
    inner_steps: int = 5,
    norm: float | str = 2.0,
    scope: str = "tensor",
    span: float = 3.0,
    resolution: int = 21,
) -> LiveExplorer:
    """Explore the inner loop on your own model, in the plane of its gradient and its Δ_K.

    The model is copied; its weights, buffers and gradients stay as they are. The arguments are
    those of :func:`~fwrnn_core.explorer.measure.plane_slice`; all but ``span`` can be changed in
    the widget, which then measures again (in a thread: it can be stopped).

    Raises:
        ConfigError: a value outside its range, a zero gradient, or a loss that is not finite.

    >>> import torch
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    >>> x = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> live = explore(net, nn.functional.mse_loss, (x, x[:, :1]), radius=0.1, resolution=8)
    >>> live.slice.loss.shape, 0 < live.explorer.agreement <= 1
    ((7, 8), True)
    """
    settings: dict[str, Any] = {
        "radius": radius,
        "inner_steps": inner_steps,
        "norm": norm,
        "scope": scope,
        "span": span,
        "resolution": resolution,
    }
    with tqdm(desc="measuring the plane", unit="point", leave=False) as bar:

        def report(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        piece = plane_slice(model, loss_fn, batch, progress=report, **settings)
    return LiveExplorer(model, loss_fn, batch, settings, piece)
