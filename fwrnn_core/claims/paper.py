"""The paper's claims, one by one: its words, where they stand, and the rules that judge them."""

from __future__ import annotations

from functools import partial

from fwrnn_core.claims import fair
from fwrnn_core.claims.claim import (
    BEYOND_SGD,
    CHUNKED,
    NOISY,
    STEADY_ON_HAR2,
    STEADY_ON_MNIST,
    TASKS,
    Claim,
    har2,
    indrnn,
    rnn,
)
from fwrnn_core.claims.comparisons import Saving, gain
from fwrnn_core.claims.curve_rules import Learns
from fwrnn_core.claims.paper_har2 import HAR2
from fwrnn_core.claims.paper_mnist import MNIST
from fwrnn_core.claims.rules import Every, HalfSize, Most, Steadier
from fwrnn_core.claims.theory_rules import Angle, Assumption

_theory = partial(Claim, part="Theory")
_setup = partial(Claim, part="Set-up")
_overall = partial(Claim, part="Overall", page="experiments/reproduction_report")

_FIRST = (
    _theory(
        "theorem",
        "Under A1 to A5 the risk converges at a sublinear rate.",
        "Abstract; Theorem 2",
        page="theory/convergence",
        note="a proof, missing from our copy",
        settled="proved, given the assumptions and steps with Σ η = ∞ and Σ η²δ² < ∞ (A5's formula "
        "and the proof are ours)",
    ),
    _theory(
        "inside",
        "With a step size of 1/k the inner loop never leaves its ball.",
        "Sec. III",
        page="theory/algorithm",
        settled="true of Algorithm 1; the released program walks up to K − 1 radii away",
    ),
    _theory(
        "restart",
        "It is in essence SGD with a restart scheme.",
        "Abstract",
        page="theory/algorithm",
        settled="a reading, not a result: every update starts a new walk of K steps along "
        "normalised gradients, from ω and with a step size of 1",
    ),
    _theory(
        "a1",
        "Along the path the risk is convex inside each ball (A1).",
        "Sec. IV, Theorem 2",
        page="theory/assumptions",
        fair=Assumption("A1", of="for the risk of 128 training sequences"),
    ),
    _theory(
        "a2",
        "Along the path the risk is star-convex (A2).",
        "Sec. IV, Theorem 2",
        page="theory/assumptions",
        fair=Assumption("A2"),
    ),
    _theory(
        "a5",
        "The displacement and the negative gradient have very similar directions (the paper's "
        "reading of A5).",
        "Sec. IV, Fig. 2",
        Angle(
            "theory/har2/fw-k10-published",
            "batch/rnn.weight_hh_l0",
            "recurrent matrix, full batch",
            beside=(("all weights", "batch/global"),),
        ),
        fair.Otherwise(
            "a ball per tensor, never left",
            Angle("theory/har2/fw-k5", "batch/global", "all weights, minibatches"),
        ),
        page="theory/a5_angles",
        note="a range, a mean and a deviation, missing from our copy",
        headline=True,
    ),
    _theory(
        "slow",
        "Frank-Wolfe normalises the gradients, which can lead to a slow convergence rate.",
        "Abstract",
        page="theory/convergence",
        settled="not tested: it is said of Frank-Wolfe as a solver run to convergence, but here a "
        "walk of K steps makes one update",
    ),
    _theory(
        "beyond-k1",
        "It converges faster than normalised gradients (K = 1): here, K = 5 is the more accurate.",
        "Sec. I",
        Every(tuple(gain(har2("fw-k5", n), har2("fw-k1", n)) for n in NOISY)),
        fair.EveryInterval(tuple(fair.gain(t, "fw-k5", "fw-k1") for t in fair.fairness.TASKS)),
        page="theory/convergence",
    ),
    _theory(
        "small-k",
        "Often a small K works better than SGD (Adam).",
        "Sec. IV",
        Most(tuple(gain(har2(m, n), har2("adam", n)) for n in NOISY for m in ("fw-k1", "fw-k5"))),
        fair.MostIntervals(
            tuple(fair.gain(t, m, "adam") for t in fair.fairness.TASKS for m in ("fw-k1", "fw-k5"))
        ),
        page="experiments/har2",
    ),
    _setup(
        "table1",
        "The data sets have the sizes of Table I.",
        "Sec. V, Table I",
        page="experiments/table1",
        settled="its page counts them as they are loaded, and says where they differ",
    ),
    _setup(
        "normalised",
        "All data sets are normalised to zero mean and unit variance.",
        "Sec. V",
        page="experiments/table1",
        settled="true of all entries together, in the program and here; not channel by channel",
    ),
    _setup(
        "literature",
        "The baselines' settings, those of the literature, seem to be the best.",
        "Sec. V, Hyperparameters",
        page="experiments/tuning",
        fair=fair.BestDraw(("adam", "adam-clip", "adam-tbptt", "indrnn-adam")),
    ),
    _setup(
        "bn-tbptt",
        "Batch normalisation does not suit TBPTT, as its statistics change over time.",
        "Sec. V-A",
        page="experiments/mnist_indrnn",
        settled="not tested, there or here: no run has both",
    ),
    Claim(
        "adding",
        "On a long Adding task the method converges while SGD (Adam) does not learn.",
        "Sec. V-A, Fig. 3",
        Learns(("adding/published/fw-k1", "adding/published/fw-k10"), "adding/published/adam"),
        fair.TunedAdding(),
        part="Adding task",
        page="experiments/adding",
        note="Fig. 3, curves only",
        headline=True,
    ),
)

_LAST = (
    _overall(
        "every-sgd",
        "It outperforms SGD (Adam) in all experiments.",
        "Conclusions",
        Every(BEYOND_SGD),
        fair.EveryInterval(
            tuple(
                fair.gain(t, m, "adam")
                for t in fair.fairness.TASKS
                for m in ("fw-k1", "fw-k5", "fw-k10")
            )
        ),
        headline=True,
    ),
    _overall(
        "tbptt",
        "It boosts TBPTT.",
        "Conclusions",
        Every(
            (
                *(gain(har2("fw-tbptt", n), har2("adam-tbptt", n)) for n in NOISY),
                *(gain(rnn(t, m), rnn(t, "adam-tbptt")) for t in TASKS for m in CHUNKED),
            )
        ),
        fair.EveryInterval(
            tuple(fair.gain(t, "fw-tbptt", "adam-tbptt") for t in fair.fairness.TASKS)
        ),
        headline=True,
    ),
    _overall(
        "stability",
        "It is an effective solver for the training stability of RNNs.",
        "Conclusions",
        Steadier((*STEADY_ON_HAR2, *STEADY_ON_MNIST), what="climbing back"),
    ),
    _overall(
        "cost",
        "In spite of the inner loop, training costs less than plain back-propagation (here with "
        "K = 5; in print K = 10, with smaller minibatches, takes twice Adam's time on HAR-2).",
        "Abstract",
        Every(
            (
                *(Saving(har2("fw-k5", n), har2("adam", n)) for n in NOISY),
                *(Saving(indrnn(t, "fw-k5"), indrnn(t, "adam")) for t in TASKS),
            )
        ),
        fair.Cost("har2", "fw-k5", "adam"),
        headline=True,
    ),
    _overall(
        "noisy-adam",
        "In the noisy experiment it improves on SGD (Adam) by 15.14 points.",
        "Conclusions",
        HalfSize(gain(har2("fw-k10", True), har2("adam", True))),
        fair.Sized(
            fair.gain("noisy-har2", "fw-k10", "adam").terms,
            unlike="noise of variance 2, in the authors' runs 4",
        ),
        page="experiments/har2",
        headline=True,
    ),
)

CLAIMS = (*_FIRST, *MNIST, *HAR2, *_LAST)
