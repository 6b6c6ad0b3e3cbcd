"""What the paper claims of MNIST read pixel by pixel: Fig. 4, Fig. 5 and Table II."""

from __future__ import annotations

from fwrnn_core.claims import fair
from fwrnn_core.claims.claim import TASKS, Claim, indrnn, rnn
from fwrnn_core.claims.comparisons import Earlier, Saving, gain
from fwrnn_core.claims.curve_rules import Stuck
from fwrnn_core.claims.rules import Every, HalfSize, Within

MNIST = (
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
)
