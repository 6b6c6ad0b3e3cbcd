"""The answer of the fair runs in short, for who reads no further."""

from __future__ import annotations

from fwrnn_core.evidence import Evidence
from fwrnn_core.fairness.final import comparisons
from fwrnn_core.fairness.networks import network_leads
from fwrnn_core.fairness.search import TASKS
from fwrnn_core.fairness.statistics import adjusted_p, pooled_p
from fwrnn_core.fairness.words import CHUNKED, PLAIN, tanh
from fwrnn_core.reports import listed


def answer(evidence: Evidence) -> str:
    """Whether the optimizer helps, in three sentences; empty unless the records of both data sets
    say that it does not beyond chance."""
    tests = {task: comparisons(evidence, task) for task in TASKS}
    leads = {task: network_leads(evidence, task) for task in TASKS}
    if not all(leads.values()) or any(not found[m].n for found in tests.values() for m in PLAIN):
        return ""
    if any(
        p <= 0.05 and m in PLAIN for found in tests.values() for m, p in adjusted_p(found).items()
    ):
        return ""
    if any(p <= 0.05 for found in leads.values() for p in adjusted_p(found).values()):
        return ""
    count = len(next(iter(leads.values())))
    text = (
        "**Does it help? Less than the paper says.** With every method tuned alike, on whole"
        " sequences and the plain network, no lead of Frank-Wolfe over Adam with clipped gradients"
        " survives a correction for the number of comparisons, with noise or without. Nor does"
        f" any difference between the two optimizers on one and the same of {count} networks."
    )
    # What helps is said of what all comparisons together leave, which is less than each data set's.
    certain = [m for (_, m), p in pooled_p(tests).items() if p <= 0.05]
    more = ["another network"] if any(not tanh(m) for m in certain) else []
    if any(m in CHUNKED for m in certain):
        more.append("from truncation, which takes more gradients from the same data")
    return text + (f" More comes from {listed(more)}." if more else "")
