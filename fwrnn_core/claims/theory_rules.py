"""Rules for the claims of the theory: they read what a probe measured along one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from fwrnn_core.claims.comparisons import joined
from fwrnn_core.claims.rules import Rule, pending
from fwrnn_core.claims.verdicts import Finding, Verdict
from fwrnn_core.evidence import Evidence

# Degrees: "very similar" up to here on average, and beyond here a direction points uphill.
SIMILAR, UPHILL = 45, 90


def by_angle(mean: float, most: float) -> Verdict:
    """The rule of :class:`Angle`, from the mean and the largest angle in degrees.

    >>> [by_angle(*angles).value for angles in ((30, 80), (30, 95), (92, 95))]
    ['reproduced', 'partly', 'not reproduced']
    """
    if mean < SIMILAR and most <= UPHILL:
        return Verdict.HOLDS
    return Verdict.PARTLY if mean < UPHILL else Verdict.FAILS


@dataclass(frozen=True)
class Angle(Rule):
    """A5's "very similar directions", from the angles along one run. ``what`` says of which
    tensors and gradients, ``beside`` is shown with it and not judged."""

    run: str
    key: str
    what: str
    beside: tuple[tuple[str, str], ...] = ()
    words: ClassVar[str] = (
        f"two directions are *very similar* if the angle between them is below {SIMILAR}° on "
        f"average and never beyond {UPHILL}°: then *reproduced*, *partly* if below {UPHILL}° on "
        f"average, otherwise *not reproduced*. Unrelated directions are {UPHILL}° apart on "
        "average, so *partly* says little"
    )

    def names(self) -> tuple[str, ...]:
        return (self.run,)

    def judge(self, evidence: Evidence) -> Finding:
        angles = _probed(evidence, self.run, "angles") or {}
        if not angles.get(self.key, {}).get("n"):
            return pending(evidence, self.names())
        angle = angles[self.key]
        shown = [f"{self.what}, {angle['n']:,} updates: {_spread(angle)}"]
        others = ((words, angles.get(key, {})) for words, key in self.beside)
        shown += [f"{words}: {_spread(other)}" for words, other in others if other.get("n")]
        verdict = by_angle(angle["mean"], angle["max"])
        if SIMILAR <= angle["mean"] < UPHILL:
            shown.append(f"unrelated directions would be {UPHILL}° apart on average")
        return Finding("; ".join(shown), verdict)


def _spread(angle: Mapping[str, float]) -> str:
    return f"{angle['mean']:.0f}° ± {angle['std']:.0f}°, up to {angle['max']:.0f}°"


# The runs that :doc:`assumptions` audits.
AUDITED = (
    *(
        f"theory/har2/{m}"
        for m in ("adam", "fw-k1", "fw-k5", "fw-k10", "fw-k5-wide", "fw-k5-plain")
    ),
    *(f"theory/adding/{m}" for m in ("adam", "fw-k1", "fw-k10")),
)


@dataclass(frozen=True)
class Assumption(Rule):
    """How often along several runs an assumption of Theorem 2 held where it was measured.
    ``of`` says of which risk, where that is another than the runs'."""

    key: str
    runs: tuple[str, ...] = AUDITED
    of: str = ""
    words: ClassVar[str] = (
        "an assumption about all t is *reproduced* if it held at every measured point of every "
        "audited run, *partly* if at more than half of all these points, otherwise *not reproduced*"
    )

    def names(self) -> tuple[str, ...]:
        return self.runs

    def printed(self) -> str:
        return "assumed"

    def judge(self, evidence: Evidence) -> Finding:
        audits = [a for name in self.runs if (a := _probed(evidence, name, "assumptions"))]
        found = [a["summary"][self.key] for a in audits if self.key in a["summary"]]
        points = sum(int(of["points"]) for of in found)
        held = sum(round(of["share"] * of["points"]) for of in found)
        text = f"at {held} of {points} points of {len(found)} runs" if found else ""
        if text and (alone := sum(name.endswith("/adam") for name in self.runs)):
            text += f", {alone} of them with Adam"
        text = joined(text, self._above_the_end(audits), self.of)
        if len(found) < len(self.runs):
            return pending(evidence, self.runs, text)
        if held == points:
            return Finding(text, Verdict.HOLDS)
        return Finding(text, Verdict.PARTLY if 2 * held > points else Verdict.FAILS)

    def _above_the_end(self, audits: Sequence[Mapping[str, Any]]) -> str:
        """A2 where it is a test: a point no higher than the end of its run asks little."""
        if self.key != "A2":
            return ""
        above = [p for a in audits for p in a["points"] if p["loss"] > a["final"]["loss"]]
        held = sum(p["residual"] >= 0 for p in above)
        return f"at {held} of {len(above)} where the risk is above that at the end" if above else ""


def _probed(evidence: Evidence, name: str, probe: str) -> dict[str, Any] | None:
    """What a probe wrote at the end of a run; None where it is not recorded."""
    record = evidence.complete(name)
    rows = record.body["probes"].get(probe, {}).get("on_run_end", []) if record else []
    return rows[0] if rows else None
