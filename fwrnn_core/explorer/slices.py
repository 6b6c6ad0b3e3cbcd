"""Slices: a network's loss over a plane of its weights, small enough to ship in a page.

The plane at ω is spanned by the negative gradient (x axis) and by the part of Δ_K, the result of
one real inner loop, that is orthogonal to it (y axis). On a grid in that plane the package measures
the loss and the gradient's two components; :class:`~fwrnn_core.explorer.surfaces.Grid` draws a
smooth surface through both. The inner loop that the reader then plays with runs on that surface, in
two dimensions with the plane's own ball; the network's own loop, in all its dimensions, is kept
beside it, projected onto the plane.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fwrnn_core.errors import RecordError, unknown
from fwrnn_core.explorer.encoding import decode, encode
from fwrnn_core.explorer.surfaces import Array, Spec
from fwrnn_core.explorer.taming import tame

FOLDER = Path(__file__).parent / "slices"
FORMAT = "fwrnn-slice-1"


@dataclass(frozen=True)
class Slice:
    """Losses and in-plane gradients on a grid around ω = (0, 0), with where they come from.

    Attributes:
        name, label, group, about: how the explorer offers it.
        domain: (x0, x1, y0, y1) in units of the weights (ℓ2 length along the two axes).
        loss, grad_x, grad_y: float64 [ny, nx].
        path: [K+1, 2], the network's own Δ_0 … Δ_K projected onto the plane.
        radius: length of the first vertex in all dimensions: the plane's ball to start from.
        agreement: mean over the balls of ‖Δ_K‖/δ in all dimensions.
        angle: between Δ_K and −∇F in all dimensions, degrees.
        origin: JSON-able account of model, data, training and settings.
    """

    name: str
    label: str
    group: str
    about: str
    domain: tuple[float, float, float, float]
    loss: Array = field(repr=False)
    grad_x: Array = field(repr=False)
    grad_y: Array = field(repr=False)
    path: Array = field(repr=False)
    radius: float
    agreement: float
    angle: float
    origin: dict[str, Any] = field(default_factory=dict, repr=False)

    def spec(self) -> Spec:
        """The JSON-able surface spec that the explorer and its browser side read.

        Gradients too steep for the grid are tamed (:mod:`fwrnn_core.explorer.taming`).
        """
        x0, x1, y0, y1 = self.domain
        ny, nx = self.loss.shape
        spacing = (x1 - x0) / (nx - 1), (y1 - y0) / (ny - 1)
        grad_x, grad_y = tame(self.loss, self.grad_x, self.grad_y, *spacing)
        steep = float(np.median(np.hypot(self.grad_x, self.grad_y))) or 1.0
        at_omega = self.path_gradient()
        rate = self.radius / at_omega if at_omega else 1.0
        return {
            "name": self.name,
            "label": self.label,
            "group": self.group,
            "about": self.about,
            "kind": "grid",
            "domain": [x0, x1, y0, y1],
            "start": [0.0, 0.0],
            "radius": _range(self.radius, (y1 - y0) * 0.4),
            "learning_rate": {"min": rate / 50, "max": 2 * rate, "default": rate / 4},
            "gradient_scale": _short(steep),
            "axes": ["along −∇F", "across"],
            "grid": {
                "nx": nx,
                "ny": ny,
                "loss": encode(self.loss),
                "grad_x": encode(grad_x),
                "grad_y": encode(grad_y),
            },
            "path": [[_short(x), _short(y)] for x, y in self.path],
        }

    def path_gradient(self) -> float:
        """‖∇F(ω)‖ within the plane, from the grid node nearest to ω."""
        x0, x1, y0, y1 = self.domain
        ny, nx = self.loss.shape
        j, i = round(-y0 / (y1 - y0) * (ny - 1)), round(-x0 / (x1 - x0) * (nx - 1))
        return float(np.hypot(self.grad_x[j, i], self.grad_y[j, i]))

    def save(self, path: Path) -> None:
        """Write as one JSON file (about 30 kB for 41 × 33 points)."""
        plain = {k: v for k, v in asdict(self).items() if not isinstance(v, np.ndarray)}
        arrays = {k: encode(getattr(self, k)) for k in ("loss", "grad_x", "grad_y", "path")}
        body = {"format": FORMAT, "shape": list(self.loss.shape), **plain, **arrays}
        path.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", "utf-8")

    @classmethod
    def load(cls, path: Path) -> Slice:
        """Read what :meth:`save` wrote.

        Raises:
            RecordError: not a slice, or damaged.
        """
        try:
            body = json.loads(path.read_text("utf-8"))
            if body.pop("format") != FORMAT:
                raise RecordError(f"{path}: not a {FORMAT} file")
            shape = tuple(body.pop("shape"))
            for name in ("loss", "grad_x", "grad_y"):
                body[name] = decode(body[name]).reshape(shape)
            body["path"] = decode(body["path"]).reshape(-1, 2)
            return cls(**{**body, "domain": tuple(body["domain"])})
        except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise RecordError(f"{path}: not a readable slice ({error})") from None


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _range(default: float, top: float) -> dict[str, float]:
    return {
        "min": _short(default / 20),
        "max": _short(max(top, default)),
        "default": _short(default),
    }


def names() -> list[str]:
    """Names of the slices that come with the package, in the order of training."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def load_slice(name: str) -> Slice:
    """One of the slices that come with the package, by name.

    Raises:
        ConfigError: no slice of that name.
    """
    path = FOLDER / f"{name}.json"
    if not path.is_file():
        raise unknown("slice", name, names())
    return Slice.load(path)
