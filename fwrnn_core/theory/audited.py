"""What audits say of each assumption, counted over all their points and put into words."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fwrnn_core.theory.audit import curvature_at, inexactness_at, lipschitz_at
from fwrnn_core.theory.recorded import how_often, number
from fwrnn_core.theory.verdicts import centre, either, merged_constants, trust


def median(values: Iterable[float | None]) -> str:
    """Two digits of the median of the values that exist, or a dash.

    >>> median([3.0, None, 1.0, float("nan"), 2.0]), median([])
    ('2', '–')
    """
    return _number(statistics.median, (v for v in values if v is not None and not math.isnan(v)))


def percent(shares: Iterable[float]) -> str:
    """The mean of some shares in per cent, or a dash.

    >>> percent([0.5, 1.0]), percent([])
    ('75 %', '–')
    """
    known = list(shares)
    return f"{100 * statistics.mean(known):.0f} %" if known else "–"


def in_words(audits: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """How often every assumption holds and fails, and the sizes behind that, for a page's text.

    :param audits: what :func:`~fwrnn_core.theory.audit.audit` found, by the run's name. A run whose
        name ends in ``/adam`` has no inner loop.
    :returns: for each quantity a few words (``a1``, ``a2``, … as the page uses them).

    >>> in_words({})["a1"]
    'nowhere yet'
    """
    placed = [
        (p, p["loss"] > found["final"]["loss"], name)
        for name, found in audits.items()
        for p in found["points"]
    ]
    points = [p for p, _, _ in placed]
    higher = [p for p, above, _ in placed if above]
    two_loop = [p for p, above, name in placed if above and not name.endswith("/adam")]
    lower = [p for p, above, _ in placed if not above]
    sizes = [[lipschitz_at(p) for p in found["points"]] for found in audits.values()]
    inside = [e for p in points if not math.isnan(e := inexactness_at(p))]
    steady = [merged_constants(found).holds for found in audits.values()]
    five = [found["summary"]["A5"] for found in audits.values()]
    negative = [-p["smallest_eigenvalue"] > p["largest_eigenvalue"] for p in points]
    return {
        "a1": how_often(p["smallest_eigenvalue"] >= 0 for p in points),
        "pairs": percent(p["convex_share"] for p in points),
        "smallest": median(p["smallest_eigenvalue"] for p in points),
        "largest": median(p["largest_eigenvalue"] for p in points),
        "drawn": f"{sum(negative)} of {len(negative)}",
        "a2": _star(points),
        "higher": _star(higher),
        "two-loop": _star(two_loop),
        "below": f"{len(lower)} of {len(points)}",
        "below-held": f"{sum(p['residual'] >= 0 for p in lower)} of {len(lower)}",
        "uphill": _away((p for p in points if p["residual"] < 0), "gradient_goal"),
        "a3-least": _number(min, (size for run in sizes for size in run)),
        "a3-most": _number(max, (size for run in sizes for size in run)),
        "a3-spread": median(max(run) / min(run) for run in sizes if min(run) > 0),
        "a4": _number(max, (p["distance"] for p in points)),
        "a5": _in_runs(one["holds"] for one in five),
        "a5-share": percent(one["share"] for one in five),
        "away": _away(points, "angle_goal"),
        "goal": median(p["angle_goal"] for p in points) + "°",
        "beta": median(p["gradient_goal"] for p in points) + "°",
        "merged": f"{sum(steady)} of {len(steady)}",
        "trust": how_often(trust(p) < 1 for p in points),
        "centre": how_often(centre(p) < 1 for p in points),
        "oracle": how_often(e <= 1 for e in inside),
        "epsilon": median(inside),
    }


def curvature_in_words(
    audits: Mapping[str, Mapping[str, Any]], radius: float = 1e-3, wider: float = 1e-2
) -> dict[str, str]:
    """How curvature and gradient go together along the audited paths, for a page's text.

    :param radius: that of the paper's balls; ``wider``: of one more ball. The audits have both.
    :returns: ``risen-short``, ``risen-long``: points after the first with more curvature than
        there, where the gradient is shorter than there, and where it is not; ``shorter``,
        ``flatter``: paths with such a gradient, and those whose curvature at the shortest is below
        the median of the points after the first; ``apart-…``: by what factor C/δ² differs between
        both balls; the rest count where the ratios of
        :func:`~fwrnn_core.theory.verdicts.trust` and its siblings are large or small.
    """
    paths = [found["points"] for found in audits.values()]
    points = [p for path in paths for p in path]
    starts, ends = [path[0] for path in paths], [path[-1] for path in paths]
    risen: dict[str, list[bool]] = {"short": [], "long": []}
    flatter = []
    for first, *later in paths:
        sizes = {id(p): curvature_at(p, radius) for p in (first, *later)}
        for p in later:
            side = "short" if p["gradient_norm"] < first["gradient_norm"] else "long"
            risen[side].append(sizes[id(p)] > sizes[id(first)])
        least = min((first, *later), key=lambda p: float(p["gradient_norm"]))
        if least is not first:
            middle = statistics.median(sizes[id(p)] for p in later)
            flatter.append(sizes[id(least)] < middle)
    ratios = [
        curvature_at(p, radius) / radius**2 / (curvature_at(p, wider) / wider**2) for p in points
    ]
    apart = [max(ratio, 1 / ratio) for ratio in ratios]
    # Below the plane by the promise: the centre's ratio with −λ_min in place of λ_max.
    fallen = [
        centre({**p, "largest_eigenvalue": -p["smallest_eigenvalue"]}, radius) for p in points
    ]
    return {
        **{f"risen-{side}": how_often(above).removeprefix("at ") for side, above in risen.items()},
        "shorter": f"{len(flatter)} of {len(paths)}",
        "flatter": f"{sum(flatter)} of these {len(flatter)}",
        "apart-median": _number(statistics.median_high, apart),
        "apart-most": _number(max, apart),
        "sure-start": _in_runs(trust(p, radius) < 1 for p in starts),
        "sure-end": _in_runs(trust(p, radius) < 1 for p in ends),
        "distrust-start": _in_runs(trust(p, radius) >= 1 for p in starts),
        "distrust-end": _in_runs(trust(p, radius) >= 1 for p in ends),
        "wrong-end": _in_runs(centre(p, radius) >= 1 for p in ends),
        "above": how_often(centre(p, radius) >= 1 for p in points),
        "below": how_often(ratio >= 1 for ratio in fallen),
        "fair": how_often(either(p, radius) < 1 for p in points),
        "own-distrust": how_often(trust(p) >= 1 for p in points),
        "own-quadratic": how_often(trust(p) >= 4 for p in points),
        "own-centre": how_often(centre(p) >= 1 for p in points),
        "own-either": how_often(either(p) >= 1 for p in points),
    }


def _number(of: Callable[[list[float]], float], values: Iterable[float]) -> str:
    known = list(values)
    return number(of(known)) if known else "–"


def _in_runs(held: Iterable[bool]) -> str:
    return how_often(held, "runs").replace("at ", "in ")


def _star(points: Iterable[Mapping[str, Any]]) -> str:
    return how_often(p["residual"] >= 0 for p in points)


def _away(points: Iterable[Mapping[str, Any]], angle: str) -> str:
    return how_often(p[angle] is not None and p[angle] >= 90 for p in points)
