"""Claims held against records, in rows: what the pages show."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path

from fwrnn_core import paths
from fwrnn_core.claims import fair
from fwrnn_core.claims.claim import Claim
from fwrnn_core.claims.comparisons import Comparison, Saving
from fwrnn_core.claims.paper import CLAIMS
from fwrnn_core.claims.rules import Rule
from fwrnn_core.claims.verdicts import FAIR, Finding, Verdict
from fwrnn_core.errors import unknown
from fwrnn_core.evidence import Evidence
from fwrnn_core.experiments.published import repeats
from fwrnn_core.experiments.published import runs as published_runs
from fwrnn_core.fairness import holm
from fwrnn_core.reports import markdown_table, unequal
from fwrnn_core.training import RunConfig, records

# Verdicts that are verbs, after a number above one.
_PLURAL = {"holds": "hold", "holds in part": "hold in part", "does not hold": "do not hold"}


@dataclass(frozen=True)
class Row:
    """One claim with what the records say of it; None where it has no such rule."""

    claim: Claim
    published: Finding | None
    fair: Finding | None

    @property
    def cells(self) -> tuple[str, str]:
        """Verdict and evidence under each protocol, as Markdown; a dash where it has no such rule,
        and in the first the verdict on a claim that no run can decide."""
        if self.published is None and self.fair is None:
            return self.claim.settled, "–"
        first = _cell(self.published, {v: v.value for v in Verdict})
        # Where seeds are counted, the evidence has said so.
        if self.one_seed and "seed" not in first:
            first += " (one seed)"
        return first, _cell(self.fair, FAIR)

    @property
    def one_seed(self) -> bool:
        """Whether the verdict in the published settings rests on runs of one seed: another seed
        could turn it, but for times, which do not depend on the seed."""
        rule, found = self.claim.published, self.published
        if rule is None or found is None or found.verdict not in _FIRM:
            return False
        compared = _compared(rule)
        if compared and all(isinstance(c, Saving) for c in compared):
            return False
        return any(len(repeats(name)) == 1 for name in rule.names())


_FIRM = (Verdict.HOLDS, Verdict.PARTLY, Verdict.FAILS)
# So that the eye finds a verdict before it reads it; the word stands beside it.
_SIGNS = {
    Verdict.HOLDS: "✓",
    Verdict.PARTLY: "◐",
    Verdict.FAILS: "✗",
    Verdict.UNDECIDED: "≈",
}


def _cell(finding: Finding | None, words: dict[Verdict, str]) -> str:
    if finding is None:
        return "–"
    sign = _SIGNS.get(finding.verdict, "")
    verdict = f"{sign} **{words[finding.verdict]}**".strip()
    return verdict if finding.text in ("", "–") else f"{verdict}: {finding.text}"


def examine(claim: Claim | str, evidence: Evidence | None = None) -> Row:
    """Hold a claim, or the one of that key, against the records.

    Raises :class:`~fwrnn_core.errors.ConfigError` for an unknown key.
    """
    evidence = evidence or Evidence()
    if isinstance(claim, str):
        known = {c.key: c for c in CLAIMS}
        if claim not in known:
            raise unknown("claim", claim, known)
        claim = known[claim]
    rules = claim.published, claim.fair
    return Row(claim, *(rule.judge(evidence) if rule else None for rule in rules))


def examine_all(claims: Iterable[Claim] = CLAIMS, evidence: Evidence | None = None) -> list[Row]:
    """Every claim, with the records read once."""
    evidence = evidence or Evidence()
    return [examine(claim, evidence) for claim in claims]


def table(rows: Sequence[Row], *, numbers: bool = False, here: str = "") -> str:
    """Claims, what the paper prints, verdict and evidence under each protocol: a MyST table with
    links to the pages.

    It stands in a division of the class ``claims``, for the style sheet.
    ``numbers`` puts each claim's place in :data:`CLAIMS` in front and links it to its row of
    :func:`sources`, which must stand on the same page; ``here`` is the page that the table stands
    on, which it need not link to.
    """
    header = ["Claim", "Paper", "Same settings as the paper", "Fair conditions"]
    body = []
    for row in rows:
        claim = row.claim
        there = f"{{doc}}`{claim.where} </notebooks/{claim.page}>`"
        link = claim.where if claim.page == here else there
        start, number = "", _number(claim)
        if numbers:
            start = f'<span id="claim-{number}">{number}</span>. '
            if claim.published or claim.fair:
                link += f', <a href="#records-of-claim-{number}">records</a>'
        body.append([f"{start}{claim.text} ({link})", claim.printed(), *row.cells])
    return f"````{{div}} claims\n{markdown_table(header, body, texts=4)}\n````"


def _number(claim: Claim) -> int:
    return CLAIMS.index(claim) + 1


def summary(rows: Sequence[Row]) -> str:
    """How many claims came out how, in two sentences, and on how many seeds what came back did."""
    published = [r.published.verdict for r in rows if r.published is not None]
    alone = sum(r.one_seed and r.published.verdict is Verdict.HOLDS for r in rows if r.published)
    fair = [r.fair.verdict for r in rows if r.fair is not None]
    words = {v: v.value for v in Verdict}
    parts = []
    if published:
        claims = "claim" if len(published) == 1 else "claims"
        parts.append(
            f"{len(published)} {claims} can be tested in the published settings: "
            f"{_counted(published, words, alone)}."
        )
    if fair:
        parts.append(f"{len(fair)} can be tested under fair conditions: {_counted(fair, FAIR)}.")
    return " ".join(parts)


def _counted(verdicts: Sequence[Verdict], words: dict[Verdict, str], alone: int = 0) -> str:
    """``alone``: how many of those that came back did so with one seed."""
    counts = Counter(verdicts)
    waiting = sum(n for v, n in counts.items() if v.open)
    if waiting == len(verdicts):
        return "none can be judged yet"
    seeds = {}
    if alone:
        seeds[Verdict.HOLDS] = (
            " (with one seed)" if alone == counts[Verdict.HOLDS] else f" ({alone} with one seed)"
        )
    judged = [
        f"{counts[v]} *{_PLURAL.get(words[v], words[v]) if counts[v] > 1 else words[v]}*"
        f"{seeds.get(v, '')}"
        for v in Verdict
        if counts[v] and not v.open
    ]
    return ", ".join([*judged, f"{waiting} cannot be judged yet"] if waiting else judged)


def corrected(evidence: Evidence) -> str:
    """What is left of the fair intervals once they are corrected for their number (Holm), in one
    sentence; empty before any can be judged."""
    rules = (part for c in CLAIMS if c.fair for part in _parts(c.fair))
    found = {r.terms: r for r in rules if isinstance(r, fair.Interval)}
    judged = [i for i in found.values() if not i.judge(evidence).verdict.open]
    tests = [i.test(evidence) for i in judged]
    if not tests:
        return ""
    alone = sum(t.side != 0 for t in tests)
    kept = sum(
        t.side != 0 and p < 0.05 for t, p in zip(tests, holm([t.p for t in tests]), strict=True)
    )
    return (
        f"Of the {len(tests)} differences behind the fair column, {alone} "
        f"{'has' if alone == 1 else 'have'} an interval that excludes zero; corrected for their "
        f"number (Holm), {kept or 'none'} of them still {'do' if kept > 1 else 'does'}."
    )


def rules_in_words(claims: Iterable[Claim] = CLAIMS) -> str:
    """Every rule that is applied, in words, as a Markdown list."""
    found = [
        part.words
        for claim in claims
        for rule in (claim.published, claim.fair)
        for part in (_parts(rule) if rule else ())
        # Several intervals are judged together, by words of their own.
        if isinstance(part, Rule) and (part is rule or not isinstance(rule, fair.EveryInterval))
    ]
    # The first letter may stand behind an asterisk.
    capital = [re.sub("[a-z]", lambda first: first[0].upper(), words, count=1) for words in found]
    return "\n".join(f"- {words}." for words in dict.fromkeys(capital))


def _parts(rule: Rule) -> Iterator[Rule | Comparison]:
    """A rule and all that it is made of."""
    yield rule
    for part in rule.parts():
        yield from _parts(part) if isinstance(part, Rule) else (part,)


def _compared(rule: Rule) -> list[Comparison]:
    """The comparisons that a rule rests on."""
    return [part for part in _parts(rule) if isinstance(part, Comparison)]


def sources(rows: Sequence[Row], evidence: Evidence, here: str = "") -> str:
    """The runs behind each claim, each a link to its record where it has one, how many have, and in
    what runs that are compared differ beside the method: a Markdown table. ``here`` is the page
    below ``notebooks/`` that it stands on."""
    folder = (paths.home() / "notebooks" / here).parent
    body = []
    for row in rows:
        number = _number(row.claim)
        place = f' id="records-of-claim-{number}"'
        for rule in (row.claim.published, row.claim.fair):
            if rule is None:
                continue
            names = [run for name in rule.names() for run in repeats(name)]
            coverage = evidence.coverage(names)
            there = len(coverage) - len(coverage.names("missing"))
            shown = ", ".join(
                _runs(pattern, alike, evidence, folder) for pattern, alike in _short(names).items()
            )
            # Links by HTML: Markdown has no places inside a table.
            back = f'<a{place} href="#claim-{number}">{number}</a>'
            apart = ", ".join(apart_in(rule)) or "–"
            body.append([back, shown, f"{there} of {len(coverage)}", apart])
            place = ""
    return markdown_table(["Claim", "Runs", "Records", "Not the method alone"], body, texts=4)


def apart_in(rule: Rule) -> list[str]:
    """The settings beside the method in which two runs that a rule compares differ, in any of its
    pairs. Tuned runs are not asked: there each method has its own settings by design.

    >>> from fwrnn_core.claims.paper import CLAIMS
    >>> apart_in(next(c.published for c in CLAIMS if c.key == "noisy-adam"))
    ['learning rate', 'batch size']
    """
    configs = _published()
    pairs = (
        (configs[a], configs[b])
        for comparison in _compared(rule)
        for a, b in combinations(comparison.names(), 2)
        if a in configs and b in configs and configs[a].data == configs[b].data
    )
    return list(dict.fromkeys(what for pair in pairs for what in unequal(*pair)))


@cache
def _published() -> dict[str, RunConfig]:
    return {config.name: config for config in published_runs()}


def _runs(pattern: str, names: Sequence[str], evidence: Evidence, folder: Path) -> str:
    """A run, or those of one pattern by what stands for its star, as links to their records."""
    if names == [pattern]:
        return _link(f"`{pattern}`", pattern, evidence, folder)
    if all(evidence.record(name) is None for name in names):
        return f"`{pattern}`"
    ends = ((name.rpartition("/")[2].removeprefix("seed-"), name) for name in names)
    return f"`{pattern}` ({', '.join(_link(end, name, evidence, folder) for end, name in ends)})"


def _link(text: str, name: str, evidence: Evidence, folder: Path) -> str:
    """The text, as a link to the run's record where it has one."""
    if evidence.record(name) is None:
        return text
    target = os.path.relpath(records.path_of(name, evidence.folder), folder)
    return f"[{text}]({Path(target).as_posix()})"


def _short(names: Iterable[str]) -> dict[str, list[str]]:
    """Runs by name; those that differ in the seed or the number of a draw alone under a pattern.

    >>> _short(["a/b/seed-1", "a/b/seed-2", "c", "d/07"])
    {'a/b/*': ['a/b/seed-1', 'a/b/seed-2'], 'c': ['c'], 'd/*': ['d/07']}
    """
    short: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        start, _, end = name.rpartition("/")
        alike = end.removeprefix("seed-").isdigit()
        short.setdefault(f"{start}/*" if alike else name, []).append(name)
    return short
