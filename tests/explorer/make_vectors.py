"""Write vectors.json: what the Python reference computes, for the browser's engine to repeat.

Run from the repository's root: python tests/explorer/make_vectors.py
The cases walk through every surface, norm, rule, trajectory and outer method; starts are drawn
from a fixed seed and stay away from the ties of the p = 1 and p = ∞ oracles, where a last-bit
difference would rightly pick another vertex.
"""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from fwrnn_core.explorer.encoding import encode
from fwrnn_core.explorer.engine import (
    METHODS,
    InnerSettings,
    OuterSettings,
    inner_loop,
    outer_loop,
)
from fwrnn_core.explorer.geometry import Normals, lmo, project, vector_norm
from fwrnn_core.explorer.surfaces import Spec, analytic, make_surface

PATH = Path(__file__).with_name("vectors.json")
NORMS = (1.0, 1.5, 2.0, 3.0, math.inf)


def grid_spec() -> Spec:
    """A small wavy grid of losses with their gradients."""
    x, y = np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-0.8, 0.8, 7))
    return {
        "name": "wavy",
        "kind": "grid",
        "domain": [-1.0, 1.0, -0.8, 0.8],
        "start": [0.1, -0.2],
        "gradient_scale": 1.3,
        "grid": {
            "nx": 9,
            "ny": 7,
            "loss": encode(np.sin(2 * x) * np.cos(3 * y) + x * x),
            "grad_x": encode(2 * np.cos(2 * x) * np.cos(3 * y) + 2 * x),
            "grad_y": encode(-3 * np.sin(2 * x) * np.sin(3 * y)),
        },
    }


def plain(value: Any) -> Any:
    """JSON without infinities and numpy types; 15 digits are more than the tolerance needs."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, float):
        return "inf" if value == math.inf else float(f"{value:.12g}")
    return value


def _start(spec: Spec, rng: np.random.Generator) -> tuple[float, float]:
    x0, x1, y0, y1 = spec["domain"]
    u, v = rng.uniform(0.15, 0.85, 2)
    return round(x0 + u * (x1 - x0), 3), round(y0 + v * (y1 - y0), 3)


def vectors() -> dict[str, Any]:
    rng = np.random.default_rng(20201010)
    specs = {**analytic(), "wavy": grid_spec()}
    cases: dict[str, list[Any]] = {"normals": [], "geometry": [], "surface": [], "inner": []}
    for seed in (0, 1, 12345, 2**32 - 1):
        draw = Normals(seed)
        cases["normals"].append({"seed": seed, "values": [draw() for _ in range(6)]})
    for p in NORMS:
        for v in [(0.3, -1.7), (-2.0, 0.4), (0.0, 0.0), (0.05, 0.1), (-1.2, -0.9), (0.0, 3.0)]:
            out = {"norm": vector_norm(v, p), "lmo": lmo(v, 0.7, p), "project": project(v, 0.7, p)}
            cases["geometry"].append({"p": p, "v": v, "radius": 0.7, **out})
    for spec in specs.values():
        surface = make_surface(spec)
        x0, x1, y0, y1 = spec["domain"]
        x, y = (
            rng.uniform(x0 - 0.1, x1 + 0.1, 8).round(3),
            rng.uniform(y0 - 0.1, y1 + 0.1, 8).round(3),
        )
        gx, gy = surface.gradient(x, y)
        cases["surface"].append(
            {
                "surface": spec["name"],
                "x": x,
                "y": y,
                "loss": surface.loss(x, y),
                "gx": gx,
                "gy": gy,
            }
        )
    rules = itertools.cycle(
        itertools.product(("1/k", "2/(k+1)"), ("paper", "released"), (0.0, 0.6))
    )
    for spec, p in itertools.product(specs.values(), NORMS):
        step_size, trajectory, noise = next(rules)
        x0, x1, _, _ = spec["domain"]
        settings = {
            "radius": round(0.12 * (x1 - x0), 4),
            "inner_steps": int(rng.integers(1, 13)),
            "norm": p,
            "step_size": step_size,
            "trajectory": trajectory,
            "noise": noise,
            "seed": int(rng.integers(0, 2**31)),
        }
        start = _start(spec, rng)
        loop = inner_loop(make_surface(spec), start, InnerSettings(**settings))
        cases["inner"].append(
            {"surface": spec["name"], "start": start, "settings": settings, "result": vars(loop)}
        )
    cases["outer"] = []
    for spec, method in itertools.product(specs.values(), METHODS):
        inner = {"radius": round(0.04 * (spec["domain"][1] - spec["domain"][0]), 4)}
        inner |= {"inner_steps": 4, "norm": 2.0, "step_size": "1/k", "trajectory": "paper"}
        inner |= {"noise": 0.2, "seed": 7}
        outer = {
            "budget": 30,
            "learning_rate": 0.05,
            "schedule": ("constant", "1/sqrt(t)")[len(cases["outer"]) // 4 % 2],
            "outer": ("plain", "adam")[len(cases["outer"]) // 8 % 2],
        }
        start = tuple(spec["start"])
        path = outer_loop(
            make_surface(spec), start, InnerSettings(**inner), OuterSettings(**outer), method
        )
        case = {"surface": spec["name"], "start": start, "inner": inner, "outer": outer}
        cases["outer"].append({**case, "method": method, "result": vars(path)})
    return plain({"specs": specs, "cases": cases})


if __name__ == "__main__":
    PATH.write_text(json.dumps(vectors(), separators=(",", ":"), ensure_ascii=False) + "\n")
    print(f"{PATH.name}: {PATH.stat().st_size / 1e3:.0f} kB")
