"""Frank-Wolfe against Adam on the same network, each network by itself.

Table III sets every method beside a plain network with clipping, so that a row with batch norm, an
LSTM or truncation compares network and optimizer at once. Here the network is fixed.
"""

from __future__ import annotations

from fwrnn_core.evidence import Evidence
from fwrnn_core.experiments import fair
from fwrnn_core.fairness.final import BASELINE, accuracies, gradients, p_value
from fwrnn_core.fairness.search import TASKS
from fwrnn_core.fairness.statistics import Paired, adjusted_p, estimate, paired
from fwrnn_core.reports import listed, markdown_table

# Network -> the methods that train it, Frank-Wolfe first. On the plain one Adam clips; on the
# IndRNN both clip, and Adam has weight decay; elsewhere nothing is clipped, as in Table III.
NETWORKS = {
    "plain RNN": ("fw-k5", BASELINE),
    "RNN with batch norm": ("fw-bn", "adam-bn"),
    "RNN with TBPTT": ("fw-tbptt", "adam-tbptt"),
    "LSTM": ("lstm-fw", "lstm-adam"),
    "IndRNN": ("indrnn-fw", "indrnn-adam"),
}


def network_leads(evidence: Evidence, task: str) -> dict[str, Paired]:
    """Test accuracy with Frank-Wolfe (K = 5) less that with Adam, in points, by network; those
    that share fewer than two seeds are left out."""
    leads = {
        network: paired(*(accuracies(evidence, task, m) for m in methods))
        for network, methods in NETWORKS.items()
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
            means = [
                str(estimate(list(accuracies(evidence, task, m).values())))
                for m in NETWORKS[network]
            ]
            rows.append([name, network, str(lead.n), *means, str(lead), p_value(adjusted[network])])
    header = ["data", "network", "seeds", "Frank-Wolfe, K = 5 (%)", "Adam (%)"]
    return markdown_table([*header, "difference (points)", "p (Holm)"], rows) if rows else ""


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
            found = [
                f"the {n} ({x.rounded(1)}{', not after correction' if adjusted[n] > 0.05 else ''})"
                for n, x in leads.items()
                if x.side == side
            ]
            if found:
                parts.append(f"Frank-Wolfe is {words} Adam on {listed(found)}")
        open_ = [f"the {n} ({x.rounded(1)})" for n, x in leads.items() if x.side == 0]
        if open_:
            parts.append(f"no difference is detectable on {listed(open_)}")
        text = "; ".join(parts)
        said.append(f"**{name}.** {text[0].upper()}{text[1:]}.{_clipping(evidence, task)}")
    return " ".join(said)


def lstm_finding(evidence: Evidence) -> str:
    """What the optimizer does for an LSTM on HAR-2, with the gradients it took for that; empty
    before both have three seeds."""
    task, network = "har2", "LSTM"
    leads = network_leads(evidence, task)
    if network not in leads or leads[network].n < 3:
        return ""
    lead = leads[network]
    adjusted = adjusted_p(leads)
    seeds = f"{lead.n} seeds" + ("" if lead.n == fair.SEEDS[task] else f" of {fair.SEEDS[task]}")
    numbers = f"({lead.rounded(1)} points, {seeds})"
    if lead.side:
        survives = "survives" if adjusted[network] <= 0.05 else "does not survive"
        where = "ahead of" if lead.side > 0 else "behind"
        said = f"Frank-Wolfe is {where} Adam {numbers}, which {survives} the correction for the"
        said += f" number of networks, {len(leads)}"
    else:
        said = f"no difference between Frank-Wolfe and Adam is detectable {numbers}"
    text = f"**On an LSTM,** tuned alike on HAR-2, {said}."
    ours, base = (gradients(evidence, task)[m] for m in NETWORKS[network])
    if ours != base:
        batches = [fair.final(task, m)[0].batch_size for m in NETWORKS[network]]
        text += (
            f" A run of Frank-Wolfe took {ours:,.0f} gradients, one of Adam {base:,.0f}: the"
            f" searches chose minibatches of {batches[0]} and {batches[1]}."
        )
    return text


def _clipping(evidence: Evidence, task: str) -> str:
    """What clipping alone brings Adam: a lead over an Adam that does not clip may be no more."""
    clipped, plain = (accuracies(evidence, task, m) for m in (BASELINE, "adam"))
    brings = paired(clipped, plain)
    if brings.n < 2:
        return ""
    hedge = "" if brings.side else ", no detectable difference"
    return f" Clipping alone brings Adam on the plain RNN {brings.rounded(1)} points{hedge}."
