"""The paper's claims, one by one: its words, where they stand, and the rules that judge them."""

from __future__ import annotations

from fwrnn_core.claims import fair
from fwrnn_core.claims.claim import BEYOND_SGD, DROP, NOISY, TASKS, Claim, beats, har2, indrnn, rnn
from fwrnn_core.claims.comparisons import Earlier, Saving, Swing, gain
from fwrnn_core.claims.curve_rules import Learns, Overtakes, Stuck
from fwrnn_core.claims.rules import Every, Fades, HalfSize, Most, Steadier, Within
from fwrnn_core.claims.theory_rules import Angle, Assumption

CLAIMS = (
    Claim(
        "theorem",
        "Theory",
        "Under A1 to A5 the risk converges at a sublinear rate.",
        "Abstract; Theorem 2",
        "theory/convergence",
        note="a proof, lost in the text at hand",
        settled="proved, given the assumptions (the proof is ours)",
    ),
    Claim(
        "inside",
        "Theory",
        "With a step size of 1/k the inner loop never leaves its ball.",
        "Sec. III",
        "theory/algorithm",
        settled="true of Algorithm 1; the released program walks up to K − 1 radii away",
    ),
    Claim(
        "a1",
        "Theory",
        "Along the path the risk is convex inside each ball (A1).",
        "Sec. IV, Theorem 2",
        "theory/assumptions",
        fair=Assumption("A1"),
    ),
    Claim(
        "a2",
        "Theory",
        "Along the path the risk is star-convex (A2).",
        "Sec. IV, Theorem 2",
        "theory/assumptions",
        fair=Assumption("A2"),
    ),
    Claim(
        "a5",
        "Theory",
        "The displacement and the negative gradient have very similar directions (the paper's "
        "reading of A5).",
        "Sec. IV, Fig. 2",
        "theory/a5_angles",
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
        note="a range, a mean and a deviation, lost in the text at hand",
        headline=True,
    ),
    Claim(
        "small-k",
        "Theory",
        "Often a small K works better than SGD (Adam).",
        "Sec. IV",
        "experiments/har2",
        Most(tuple(gain(har2(m, n), har2("adam", n)) for n in NOISY for m in ("fw-k1", "fw-k5"))),
        fair.MostIntervals(
            tuple(fair.gain(t, m, "adam") for t in fair.fairness.TASKS for m in ("fw-k1", "fw-k5"))
        ),
    ),
    Claim(
        "adding",
        "Adding task",
        "On a long Adding task the method converges while SGD (Adam) does not learn.",
        "Sec. V-A, Fig. 3",
        "experiments/adding",
        Learns(("adding/published/fw-k1", "adding/published/fw-k10"), "adding/published/adam"),
        fair.TunedAdding(),
        note="Fig. 3, curves only",
        headline=True,
    ),
    Claim(
        "rnn-stuck",
        "Vanilla RNN on MNIST",
        "SGD (Adam) shows no convergence or very slow convergence.",
        "Sec. V-A, Fig. 4",
        "experiments/mnist_rnn",
        Stuck(tuple(rnn(t, "adam") for t in TASKS)),
        note="Fig. 4, curves only",
    ),
    Claim(
        "rnn-faster",
        "Vanilla RNN on MNIST",
        "The method converges faster than SGD (Adam) and TBPTT on both data sets.",
        "Sec. V-A, Fig. 4",
        "experiments/mnist_rnn",
        Every(
            tuple(
                Earlier(rnn(t, ours), rnn(t, theirs), accuracy=True)
                for t in TASKS
                for ours in ("fw-k1", "fw-k5")
                for theirs in ("adam", "adam-tbptt")
            ),
            what="epochs to the accuracy that both reach",
        ),
        note="Fig. 4, curves only",
    ),
    Claim(
        "rnn-tbptt",
        "Vanilla RNN on MNIST",
        "Combined with TBPTT it reaches higher accuracy than the baseline.",
        "Sec. V-A, Fig. 4",
        "experiments/mnist_rnn",
        Every(
            tuple(
                gain(rnn(t, m), rnn(t, "adam"))
                for t in TASKS
                for m in ("fw-k1-tbptt", "fw-k5-tbptt")
            )
        ),
        note="Fig. 4, curves only",
    ),
    Claim(
        "rnn-updates",
        "Vanilla RNN on MNIST",
        "With more inner steps, fewer updates are needed to converge.",
        "Sec. V-A, Fig. 4",
        "experiments/mnist_rnn",
        Every(tuple(Earlier(rnn(t, "fw-k5"), rnn(t, "fw-k1"), "updates") for t in TASKS)),
        fair.Otherwise(
            "same runs, counted in gradients",
            Every(
                tuple(
                    Earlier(rnn(t, "fw-k5"), rnn(t, "fw-k1"), "gradient_evaluations") for t in TASKS
                )
            ),
        ),
        note="Fig. 4, curves only",
    ),
    Claim(
        "indrnn-accuracy",
        "IndRNN on MNIST",
        "It reaches a test accuracy comparable with the baseline's.",
        "Table II; Conclusions",
        "experiments/mnist_indrnn",
        Within(
            tuple(gain(indrnn(t, m), indrnn(t, "adam")) for t in TASKS for m in ("fw-k1", "fw-k5"))
        ),
        fair.Otherwise(
            "equal batch size and rate",
            Within(
                tuple(
                    gain(indrnn(t, m, "equal"), indrnn(t, "adam", "equal"))
                    for t in TASKS
                    for m in ("fw-k1", "fw-k5")
                )
            ),
        ),
        headline=True,
    ),
    Claim(
        "indrnn-updates",
        "IndRNN on MNIST",
        "It needs fewer gradient updates.",
        "Fig. 5; Conclusions",
        "experiments/mnist_indrnn",
        Every(
            (Earlier(indrnn("pixel", "fw-k5"), indrnn("pixel", "adam"), "updates", accuracy=True),)
        ),
        fair.Otherwise(
            "equal batch size, counted in gradients",
            Every(
                (
                    Earlier(
                        indrnn("pixel", "fw-k5", "equal"),
                        indrnn("pixel", "adam", "equal"),
                        "gradient_evaluations",
                        accuracy=True,
                    ),
                )
            ),
        ),
        note="Fig. 5, by its axis",
    ),
    Claim(
        "indrnn-time",
        "IndRNN on MNIST",
        "With K = 5 it takes about half the training time.",
        "Table II; Conclusions",
        "experiments/mnist_indrnn",
        HalfSize(Saving(indrnn("pixel", "fw-k5"), indrnn("pixel", "adam"))),
        fair.Otherwise(
            "equal batch size",
            HalfSize(
                Saving(
                    indrnn("pixel", "fw-k5", "equal"),
                    indrnn("pixel", "adam", "equal"),
                ),
                claimed=Saving(indrnn("pixel", "fw-k5"), indrnn("pixel", "adam")),
            ),
        ),
        headline=True,
    ),
    Claim(
        "har2-adam",
        "HAR-2",
        "On HAR-2, K = 5 is better than SGD (Adam).",
        "Table III",
        "experiments/har2",
        *beats("fw-k5", "adam"),
    ),
    Claim(
        "har2-clip",
        "HAR-2",
        "On HAR-2, K = 5 is better than SGD (Adam) with clipped gradients.",
        "Table III",
        "experiments/har2",
        *beats("fw-k5", "adam-clip"),
        headline=True,
    ),
    Claim(
        "har2-tbptt",
        "HAR-2",
        "On HAR-2, K = 5 is better than TBPTT.",
        "Table III",
        "experiments/har2",
        *beats("fw-k5", "adam-tbptt"),
    ),
    Claim(
        "har2-lstm",
        "HAR-2",
        "It improves an LSTM.",
        "Table III",
        "experiments/har2",
        *beats("lstm-fw", "lstm-adam"),
    ),
    Claim(
        "har2-bn",
        "HAR-2",
        "It works with batch normalisation.",
        "Table III",
        "experiments/har2",
        *beats("fw-bn", "fw-k5"),
    ),
    Claim(
        "har2-indrnn",
        "HAR-2",
        "It improves IndRNN.",
        "Sec. V-A, Table III",
        "experiments/har2",
        *beats("indrnn-fw", "indrnn-adam"),
    ),
    Claim(
        "har2-indrnn-time",
        "HAR-2",
        "IndRNN with it takes less running time.",
        "Sec. V-A, Table III",
        "experiments/har2",
        HalfSize(Saving(har2("indrnn-fw"), har2("indrnn-adam"))),
        fair.Cost("har2", "indrnn-fw", "indrnn-adam"),
    ),
    Claim(
        "har2-epochs",
        "HAR-2",
        "It passes the baseline's accuracy within fewer training epochs.",
        "Sec. V-A",
        "experiments/har2",
        Overtakes(har2("fw-k5"), har2("adam")),
        fair.Sooner("har2", "fw-k5", "adam"),
    ),
    Claim(
        "har2-swing",
        "HAR-2",
        "With or without noise, the training loss of SGD (Adam) swings up and down, and "
        "the method's does not.",
        "Sec. V-A, Fig. 6",
        "experiments/har2",
        Steadier(tuple(Swing(har2("adam", n), har2("fw-k5", n)) for n in NOISY)),
        note="Fig. 6, curves only",
    ),
    Claim(
        "noisy-clip",
        "HAR-2",
        "Under noise, K = 10 is better than SGD (Adam) with clipped gradients.",
        "Table III",
        "experiments/har2",
        *beats("fw-k10", "adam-clip", noisy=True),
    ),
    Claim(
        "clip-fades",
        "HAR-2",
        "Clipping helps SGD (Adam) on clean data and loses its advantage on noisy data.",
        "Sec. V-A, Table III",
        "experiments/har2",
        Fades(
            gain(har2("adam-clip"), har2("adam")),
            gain(har2("adam-clip", True), har2("adam", True)),
        ),
        fair.Interval(
            (
                (1, "har2", "adam-clip"),
                (-1, "har2", "adam"),
                (-1, "noisy-har2", "adam-clip"),
                (1, "noisy-har2", "adam"),
            ),
            what="gain on clean data less gain on noisy data",
        ),
    ),
    Claim(
        "noise-drop",
        "HAR-2",
        "It is robust to noise: K = 10 loses less accuracy to it than SGD (Adam).",
        "Abstract; Sec. V-A",
        "experiments/har2",
        HalfSize(DROP),
        fair.Interval(
            (
                (1, "noisy-har2", "fw-k10"),
                (-1, "har2", "fw-k10"),
                (-1, "noisy-har2", "adam"),
                (1, "har2", "adam"),
            ),
            what="Adam's drop less that of K = 10",
        ),
    ),
    Claim(
        "every-sgd",
        "Overall",
        "It outperforms SGD (Adam) in all experiments.",
        "Conclusions",
        "experiments/reproduction_report",
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
    Claim(
        "tbptt",
        "Overall",
        "It boosts TBPTT.",
        "Conclusions",
        "experiments/har2",
        Every(tuple(gain(har2("fw-tbptt", n), har2("adam-tbptt", n)) for n in NOISY)),
        fair.EveryInterval(
            tuple(fair.gain(t, "fw-tbptt", "adam-tbptt") for t in fair.fairness.TASKS)
        ),
        headline=True,
    ),
    Claim(
        "cost",
        "Overall",
        "In spite of the inner loop, training costs less than plain back-propagation.",
        "Abstract",
        "experiments/reproduction_report",
        Every(
            (
                *(Saving(har2("fw-k5", n), har2("adam", n)) for n in NOISY),
                *(Saving(indrnn(t, "fw-k5"), indrnn(t, "adam")) for t in TASKS),
            )
        ),
        fair.Cost("har2", "fw-k5", "adam"),
        headline=True,
    ),
    Claim(
        "noisy-adam",
        "Overall",
        "In the noisy experiment it improves on SGD (Adam) by 15.14 points.",
        "Conclusions",
        "experiments/har2",
        HalfSize(gain(har2("fw-k10", True), har2("adam", True))),
        fair.Sized(
            fair.gain("noisy-har2", "fw-k10", "adam").terms,
            unlike="noise of variance 2, in the authors' runs 4",
        ),
        headline=True,
    ),
)
