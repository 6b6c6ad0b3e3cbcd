"""What audits say of each assumption, counted over all their points and put into words."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fwrnn_core.theory.audit import inexactness_at, lipschitz_at
from fwrnn_core.theory.recorded import how_often, number
from fwrnn_core.theory.verdicts import centre, merged_constants, trust


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
        "a5": how_often((one["holds"] for one in five), "runs").replace("at ", "in "),
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


def _number(of: Callable[[list[float]], float], values: Iterable[float]) -> str:
    known = list(values)
    return number(of(known)) if known else "–"


def _star(points: Iterable[Mapping[str, Any]]) -> str:
    return how_often(p["residual"] >= 0 for p in points)


def _away(points: Iterable[Mapping[str, Any]], angle: str) -> str:
    return how_often(p[angle] is not None and p[angle] >= 90 for p in points)
