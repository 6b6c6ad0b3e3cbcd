"""Rules for the claims of the theory: they read what a probe measured along one run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fwrnn_core.claims.rules import pending
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
class Angle:
    """A5's "very similar directions", from the angles along one run."""

    run: str
    key: str
    name: ClassVar[str] = "angle"
    words: ClassVar[str] = (
        f"two directions are *very similar* if the angle between them is below {SIMILAR}° on "
        f"average and never beyond {UPHILL}°: then *reproduced*, *partly* if below {UPHILL}° on "
        "average, *not reproduced* else"
    )

    def names(self) -> tuple[str, ...]:
        return (self.run,)

    def printed(self) -> str:
        return ""

    def judge(self, evidence: Evidence) -> Finding:
        record = evidence.complete(self.run)
        rows = record.body["probes"].get("angles", {}).get("on_run_end", []) if record else []
        if not rows or not rows[0].get(self.key, {}).get("n"):
            return pending(evidence, self.names())
        angle = rows[0][self.key]
        text = f"{angle['mean']:.0f}° ± {angle['std']:.0f}°, up to {angle['max']:.0f}°"
        return Finding(text, by_angle(angle["mean"], angle["max"]))


@dataclass(frozen=True)
class Assumption:
    """How often along a run an assumption of Theorem 2 held where it was measured."""

    run: str
    key: str
    name: ClassVar[str] = "assumption"
    words: ClassVar[str] = (
        "an assumption about all t is *reproduced* if it held at every measured point of the "
        "path, *partly* if at more than half, *not reproduced* else"
    )

    def names(self) -> tuple[str, ...]:
        return (self.run,)

    def printed(self) -> str:
        return "assumed"

    def judge(self, evidence: Evidence) -> Finding:
        record = evidence.complete(self.run)
        rows = record.body["probes"].get("assumptions", {}).get("on_run_end", []) if record else []
        if not rows or self.key not in rows[0]["summary"]:
            return pending(evidence, self.names())
        held = rows[0]["summary"][self.key]
        text = f"at {100 * held['share']:.0f} % of {held['points']} points of one run"
        if held["share"] == 1:
            return Finding(text, Verdict.HOLDS)
        return Finding(text, Verdict.PARTLY if held["share"] > 0.5 else Verdict.FAILS)
