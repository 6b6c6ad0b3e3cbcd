"""The explorer as a widget: one Python object for JupyterLab and for the rendered book.

The browser computes and draws by itself (``static/``), so the figure also works in a page without
a kernel. Where there is a kernel, every change arrives here as a traitlet and the results are
computed by the Python reference, ready to be read or observed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from fwrnn_core.errors import ConfigError, unknown
from fwrnn_core.explorer.bundle import bundle
from fwrnn_core.explorer.engine import (
    METHODS,
    OUTERS,
    SCHEDULES,
    STEP_SIZES,
    TRAJECTORIES,
    InnerLoop,
    InnerSettings,
    OuterPath,
    OuterSettings,
    inner_loop,
    outer_loop,
)
from fwrnn_core.explorer.slices import load_slice, names
from fwrnn_core.explorer.surfaces import Spec, Surface, analytic, make_surface

VIEWS = ("inner", "outer")


def _norm_to_json(value: float, _: Any) -> float | str:
    return "inf" if value == math.inf else value


def _norm_from_json(value: float | str, _: Any) -> float:
    return float(value)


def _resolve(surfaces: Iterable[str | Mapping[str, Any]] | None) -> list[Spec]:
    """Specs from names of analytic surfaces, names of shipped slices, and specs."""
    known, shipped = analytic(), names()
    if surfaces is None:
        return list(known.values())
    specs: list[Spec] = []
    for surface in surfaces:
        if isinstance(surface, Mapping):
            specs.append(dict(surface))
        elif surface in known:
            specs.append(known[surface])
        elif surface in shipped:
            specs.append(load_slice(surface).spec())
        else:
            raise unknown("surface", surface, [*known, *shipped])
    if not specs:
        raise ConfigError("an explorer needs at least one surface; surfaces was empty")
    return specs


class Explorer(anywidget.AnyWidget):
    """The inner loop of Algorithm 1 on a loss surface, to play with.

    Settings are traitlets of the same names as :class:`~fwrnn_core.explorer.engine.InnerSettings`
    and :class:`~fwrnn_core.explorer.engine.OuterSettings`; set them from Python or move them in
    the picture, either side follows.

    Args:
        surfaces: names of analytic surfaces (``"ravine"``), names of shipped slices (``"har2-2"``;
            :func:`fwrnn_core.explorer.slices.names`), or specs such as ``Slice.spec()`` makes, in
            the order in which the reader is offered them; default: every analytic one.
        surface: name of the one shown first; default: the first.
        **settings: any other traitlet, e.g. ``radius=0.5``, ``norm=math.inf``, ``x=-1.0``.

    Attributes:
        result: the :class:`~fwrnn_core.explorer.engine.InnerLoop` at the current settings.
        agreement: ‖Δ_K‖/δ.
        angle: A5's angle in degrees (NaN where the gradient or Δ_K is 0).
        loss: F(ω_t + Δ_K).
        gap: Frank-Wolfe gap at ω_t + Δ_K.

    Raises:
        ConfigError: an unknown surface or a value outside its range.

    >>> explorer = Explorer(surface="ravine", inner_steps=1)
    >>> explorer.agreement
    1.0
    >>> explorer.inner_steps = 8
    >>> round(explorer.agreement, 3)
    0.983
    """

    _esm = bundle("explorer")
    _css = (Path(__file__).parent / "static" / "explorer.css").read_text("utf-8")

    surfaces = traitlets.List(traitlets.Dict()).tag(sync=True)
    surface = traitlets.Unicode().tag(sync=True)
    x = traitlets.Float().tag(sync=True)
    y = traitlets.Float().tag(sync=True)
    radius = traitlets.Float(0.5).tag(sync=True)
    inner_steps = traitlets.Int(5).tag(sync=True)
    norm = traitlets.Float(2.0).tag(sync=True, to_json=_norm_to_json, from_json=_norm_from_json)
    step_size = traitlets.Enum(tuple(STEP_SIZES), "1/k").tag(sync=True)
    trajectory = traitlets.Enum(TRAJECTORIES, "paper").tag(sync=True)
    noise = traitlets.Float(0.0).tag(sync=True)
    seed = traitlets.Int(0).tag(sync=True)
    view = traitlets.Enum(VIEWS, "inner").tag(sync=True)
    budget = traitlets.Int(60).tag(sync=True)
    learning_rate = traitlets.Float(0.1).tag(sync=True)
    schedule = traitlets.Enum(SCHEDULES, "constant").tag(sync=True)
    outer = traitlets.Enum(OUTERS, "plain").tag(sync=True)

    result = traitlets.Instance(InnerLoop, allow_none=True)
    agreement = traitlets.Float()
    angle = traitlets.Float(math.nan)
    loss = traitlets.Float()
    gap = traitlets.Float()

    _INNER = ("x", "y", "radius", "inner_steps", "norm", "step_size", "trajectory", "noise", "seed")

    def __init__(
        self,
        surfaces: Iterable[str | Mapping[str, Any]] | None = None,
        surface: str | None = None,
        **settings: Any,
    ) -> None:
        specs = _resolve(surfaces)
        offered = [spec["name"] for spec in specs]
        if surface is None:
            surface = offered[0]
        if surface not in offered:
            raise unknown("surface", surface, offered)
        self._planes: dict[str, Surface] = {spec["name"]: make_surface(spec) for spec in specs}
        first = _start(self._planes[surface].spec)
        super().__init__(surfaces=specs, surface=surface, **{**first, **settings})
        self.observe(self._follow, names=["surface"])
        self.observe(self._compute, names=list(self._INNER))
        self._compute()

    @traitlets.validate("surface")
    def _known_surface(self, proposal: Any) -> str:
        if proposal.value not in self._planes:
            raise unknown("surface", proposal.value, self._planes)
        return str(proposal.value)

    def _follow(self, change: Any) -> None:
        """A new surface starts at its own ω_t with its own radius."""
        with self.hold_trait_notifications():
            for name, value in _start(self._planes[change.new].spec).items():
                setattr(self, name, value)
        self._compute()

    def add(self, spec: Mapping[str, Any]) -> None:
        """Offer one more surface (or a new version of one) and show it.

        Args:
            spec: as ``Slice.spec()`` makes it; a surface of the same name is replaced.
        """
        name = str(spec["name"])
        self._planes = {**self._planes, name: make_surface(spec)}
        with self.hold_sync(), self.hold_trait_notifications():
            self.surfaces = [plane.spec for plane in self._planes.values()]
            self.surface = name
            for trait, value in _start(self._planes[name].spec).items():
                setattr(self, trait, value)
        self._compute()

    def settings(self) -> InnerSettings:
        """The inner loop's settings as they stand."""
        return InnerSettings(
            radius=self.radius,
            inner_steps=self.inner_steps,
            norm=self.norm,
            step_size=self.step_size,
            trajectory=self.trajectory,
            noise=self.noise,
            seed=self.seed,
        )

    def _compute(self, _: Any = None) -> None:
        loop = inner_loop(self._planes[self.surface], (self.x, self.y), self.settings())
        with self.hold_trait_notifications():
            self.result = loop
            self.agreement = loop.agreement
            self.angle = math.nan if loop.angle is None else loop.angle
            self.loss = float(loop.losses[-1])
            self.gap = float(loop.gaps[-1])

    def trajectories(self) -> dict[str, OuterPath]:
        """Whole trajectories of every method from ω_t, as the second view draws them.

        >>> paths = Explorer(budget=20).trajectories()
        >>> {name: path.evaluations[-1] for name, path in paths.items()}
        {'frank-wolfe': 20, 'gradient-descent': 20, 'normalised': 20, 'adam': 20}
        """
        outer = OuterSettings(self.budget, self.learning_rate, self.schedule, self.outer)
        plane, start = self._planes[self.surface], (self.x, self.y)
        return {m: outer_loop(plane, start, self.settings(), outer, m) for m in METHODS}


def _start(spec: Spec) -> dict[str, float]:
    return {
        "x": float(spec["start"][0]),
        "y": float(spec["start"][1]),
        "radius": float(spec["radius"]["default"]),
        "learning_rate": float(spec["learning_rate"]["default"]),
    }
