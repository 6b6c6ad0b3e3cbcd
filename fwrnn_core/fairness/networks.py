"""Frank-Wolfe against Adam on the same network, each network by itself.

Table III sets every method beside a plain network with clipping, so that a row with batch norm, an
LSTM or truncation compares network and optimizer at once. Here the network is fixed.
"""

from __future__ import annotations

from fwrnn_core.evidence import Evidence
from fwrnn_core.experiments import fair
from fwrnn_core.fairness.final import BASELINE, accuracies, gradients, p_value
from fwrnn_core.fairness.search import TASKS
from fwrnn_core.fairness.statistics import Paired, adjusted_p, estimate, on_side, paired, pooled_p
from fwrnn_core.reports import listed, markdown_table

# Network -> Frank-Wolfe and the Adams that train it, with clipping and without where there are two.
# On the IndRNN both methods clip, and Adam has weight decay; chunks of 16 steps are not clipped.
NETWORKS = {
    "plain RNN": ("fw-k5", BASELINE, "adam"),
    "RNN with batch norm": ("fw-bn", "adam-bn-clip", "adam-bn"),
    "RNN with TBPTT": ("fw-tbptt", "adam-tbptt"),
    "LSTM": ("lstm-fw", "lstm-clip", "lstm-adam"),
    "IndRNN": ("indrnn-fw", "indrnn-adam"),
}


def pair(evidence: Evidence, task: str, network: str) -> tuple[str, str]:
    """Frank-Wolfe on a network and the Adam it is held against: a lead over one that does not clip
    may be what clipping would bring too, so the one that does, unless it has fewer seeds."""
    ours, *adams = NETWORKS[network]
    seeds = accuracies(evidence, task, ours)
    return ours, max(adams, key=lambda m: len(seeds.keys() & accuracies(evidence, task, m)))


def network_leads(evidence: Evidence, task: str) -> dict[str, Paired]:
    """Test accuracy with Frank-Wolfe (K = 5) minus that with Adam, in points, by network; those
    that share fewer than two seeds are left out."""
    leads = {
        network: paired(*(accuracies(evidence, task, m) for m in pair(evidence, task, network)))
        for network in NETWORKS
    }
    return {network: lead for network, lead in leads.items() if lead.n >= 2}


def network_table(evidence: Evidence) -> str:
    """A row per data set and network: both accuracies and their difference, seed by seed; empty
    before there is one. p is adjusted for the networks of one data set."""
    rows = []
    for task, name in TASKS.items():
        leads = network_leads(evidence, task)
        adjusted = adjusted_p(leads)
        for network, lead in leads.items():
            methods = pair(evidence, task, network)
            means = [str(estimate(accuracies(evidence, task, m).values())) for m in methods]
            means[1] += r" \*" if fair.clips(methods[1]) else ""
            rows.append([name, network, str(lead.n), *means, str(lead), p_value(adjusted[network])])
    header = ["data", "network", "seeds", "Frank-Wolfe (%)", "Adam (%)", "difference", "p (Holm)"]
    return markdown_table(header, rows, texts=2) + "\n\n\\* Adam clips." if rows else ""


def network_reading(evidence: Evidence) -> str:
    """On which networks the optimizer makes a difference, as sentences; empty without runs."""
    said = []
    for task, name in TASKS.items():
        leads = network_leads(evidence, task)
        if not leads:
            continue
        adjusted = adjusted_p(leads)
        parts = []
        for side, words in ((1, "ahead of"), (-1, "behind")):
            if found := on_side(leads, side):
                fate = {n: ", not after correction" if adjusted[n] > 0.05 else "" for n in found}
                told = [f"the {n} ({leads[n].rounded(1)}{fate[n]})" for n in found]
                parts.append(f"Frank-Wolfe is {words} Adam on {listed(told)}")
        if undecided := [f"the {n} ({leads[n].rounded(1)})" for n in on_side(leads, 0)]:
            parts.append(f"no difference is detectable on {listed(undecided)}")
        text = "; ".join(parts)
        said.append(f"**{name}.** {text[0].upper()}{text[1:]}.{_clipping(evidence, task)}")
    return " ".join(said)


def networks_brief(evidence: Evidence) -> str:
    """Whether the optimizer makes a difference on a network that survives the correction for their
    number, in one sentence; empty before any can be compared."""
    leads = {task: network_leads(evidence, task) for task in TASKS}
    kept = [
        f"the {network} on {TASKS[task]} ({found[network].rounded(1)})"
        for task, found in leads.items()
        for network, p in adjusted_p(found).items()
        if p <= 0.05
    ]
    if not any(leads.values()):
        return ""
    start = "Compared network by network, and corrected for the number of networks,"
    if kept:
        return f"{start} a difference between Frank-Wolfe and Adam remains for {listed(kept)}."
    return f"{start} no difference between Frank-Wolfe and Adam remains."


def network_finding(evidence: Evidence, network: str, *, spending: bool = True) -> str:
    """What the optimizer does for one of :data:`NETWORKS`, with the gradients it took for that if
    ``spending``, on each data set where both methods have three seeds; empty where there is none.
    """
    leads = {task: network_leads(evidence, task) for task in TASKS}
    together, spent = pooled_p(leads), []
    equal: dict[str, list[str]] = {}  # by the Adam, where no difference from it is detectable
    apart = []
    for task, where in (("har2", "on HAR-2"), ("noisy-har2", "under noise")):
        own = leads[task]
        lead = own.get(network)
        if lead is None or lead.n < 3:
            continue
        methods = pair(evidence, task, network)
        adam = _adam(*methods)
        planned = fair.SEEDS[task]
        seeds = f"{lead.n} seeds" + ("" if lead.n == planned else f" of {planned}")
        numbers = f"({lead.rounded(1)} points, {seeds})"
        if not lead.side:
            equal.setdefault(adam, []).append(f"{where} {numbers}")
        else:
            side = "ahead of" if lead.side > 0 else "behind"
            alone = adjusted_p(own)[network] <= 0.05
            said = f"{where} Frank-Wolfe is {side} {adam} {numbers}, which"
            said += f" {'survives' if alone else 'does not survive'} the correction for the"
            said += f" {len(own)} networks compared there"
            if alone and together[task, network] > 0.05:
                said += f", not that for all {len(together)} comparisons of both data sets"
            apart.append(said)
        if spending:
            spent.append(_gradients_taken(evidence, task, where, methods))
    parts = [
        f"no difference between Frank-Wolfe and {adam} is detectable {' or '.join(places)}"
        for adam, places in equal.items()
    ]
    parts += apart
    if not parts:
        return ""
    article = "an" if network[0] in "ILR" else "a"
    return f"**On {article} {network},** tuned alike, {'; '.join(parts)}.{''.join(spent)}"


def _adam(ours: str, peer: str) -> str:
    """What an Adam has that decides a comparison beside the method, in words."""
    words = f"Adam {'with' if fair.clips(peer) else 'without'} clipping"
    decays = [fair.METHODS[method][0].weight_decay > 0 for method in (peer, ours)]
    return f"{words} and with weight decay" if decays == [True, False] else words


def _gradients_taken(evidence: Evidence, task: str, where: str, methods: tuple[str, str]) -> str:
    """A sentence on the gradients that the runs of both take; empty where these are as many."""
    ours, base = (gradients(evidence, task)[m] for m in methods)
    if ours == base:
        return ""
    batches = [fair.final(task, m)[0].batch_size for m in methods]
    return (
        f" {where[0].upper()}{where[1:]} a run of Frank-Wolfe took {ours:,.0f} gradients, one of"
        f" Adam {base:,.0f}: the searches chose minibatches of {batches[0]} and {batches[1]}."
    )


def _clipping(evidence: Evidence, task: str) -> str:
    """What clipping alone brings Adam on each network that was trained with it and without."""
    said = []
    for network, (_, *adams) in NETWORKS.items():
        if len(adams) < 2:
            continue
        brings = paired(*(accuracies(evidence, task, m) for m in adams))
        if brings.n >= 2:
            hedge = "" if brings.side else " (no detectable difference)"
            said.append(f"{brings.rounded(1)} points on the {network}{hedge}")
    return f" Clipping alone brings Adam {'; '.join(said)}." if said else ""
