"""What the paper claims of MNIST read pixel by pixel: Fig. 4, Fig. 5 and Table II."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fwrnn_core.claims import fair
from fwrnn_core.claims.claim import MNISTS, STEADY_ON_MNIST, TASKS, Claim, indrnn, rnn
from fwrnn_core.claims.comparisons import Comparison, Earlier, Loss, Saving, gain
from fwrnn_core.claims.curve_rules import MuchSteadier, SameLoss, Stuck
from fwrnn_core.claims.rules import Every, HalfSize, Slight, Within
from fwrnn_core.claims.several import Each

ALMOST_EQUAL = "equal batch size and rate, weight decay with Adam alone"


def _against_adam(compare: Callable[[str, str], Comparison], protocol: str) -> Iterator[Comparison]:
    """IndRNN with K = 1 and K = 5 against Adam, on both data sets."""
    for t in TASKS:
        for m in ("fw-k1", "fw-k5"):
            yield compare(indrnn(t, m, protocol), indrnn(t, "adam", protocol))


def _saving(task: str, protocol: str) -> Saving:
    return Saving(indrnn(task, "fw-k5", protocol), indrnn(task, "adam", protocol))


MNIST = (
    Claim(
        "rnn-stuck",
        "Vanilla RNN on MNIST",
        "SGD (Adam) shows no convergence or very slow convergence.",
        "Sec. V-A, Fig. 4",
        "experiments/mnist_rnn",
        Stuck(tuple(rnn(t, "adam") for t in TASKS)),
        fair.Otherwise(
            "Adam in the setting of K = 1",
            Stuck(tuple(rnn(t, "adam", "equal") for t in TASKS)),
        ),
        note="Fig. 4, curves only",
    ),
    Claim(
        "rnn-tbptt-helps",
        "Vanilla RNN on MNIST",
        "TBPTT helps the convergence on Permute-MNIST.",
        "Sec. V-A, Fig. 4",
        "experiments/mnist_rnn",
        Every(
            (Earlier(rnn("permuted", "adam-tbptt"), rnn("permuted", "adam"), accuracy=True),),
        ),
        note="Fig. 4, curves only",
    ),
    Claim(
        "rnn-tbptt-slight",
        "Vanilla RNN on MNIST",
        "On Pixel-MNIST TBPTT is only slightly better than SGD (Adam).",
        "Sec. V-A, Fig. 4",
        "experiments/mnist_rnn",
        Slight(*(gain(rnn(t, "adam-tbptt"), rnn(t, "adam")) for t in ("permuted", "pixel"))),
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
        fair.Otherwise(
            "K = 1 against Adam in its setting",
            Every(
                tuple(
                    Earlier(rnn(t, "fw-k1"), rnn(t, "adam", "equal"), accuracy=True) for t in TASKS
                ),
            ),
        ),
        note="Fig. 4, curves only",
    ),
    Claim(
        "rnn-stable",
        "Vanilla RNN on MNIST",
        "Where the loss of TBPTT goes up and down, the method is much more stable, on both data "
        "sets.",
        "Sec. V-A, Fig. 4",
        "experiments/mnist_rnn",
        MuchSteadier(STEADY_ON_MNIST),
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
        "rnn-tbptt-faster",
        "Vanilla RNN on MNIST",
        "Combined with TBPTT it converges faster than the baseline on Pixel-MNIST.",
        "Sec. V-A, Fig. 4",
        "experiments/mnist_rnn",
        Every(
            tuple(
                Earlier(rnn("pixel", m), rnn("pixel", "adam"), accuracy=True)
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
        Within(tuple(_against_adam(gain, "published"))),
        fair.Otherwise(ALMOST_EQUAL, Within(tuple(_against_adam(gain, "equal")))),
        headline=True,
    ),
    Claim(
        "indrnn-loss",
        "IndRNN on MNIST",
        "In training it has the same performance as Adam.",
        "Sec. V-A, Fig. 5",
        "experiments/mnist_indrnn",
        SameLoss(tuple(_against_adam(Loss, "published"))),
        fair.Otherwise(ALMOST_EQUAL, SameLoss(tuple(_against_adam(Loss, "equal")))),
        note="Fig. 5, curves only",
    ),
    Claim(
        "indrnn-updates",
        "IndRNN on MNIST",
        "It needs fewer gradient updates.",
        "Fig. 5; Conclusions",
        "experiments/mnist_indrnn",
        Every(
            tuple(
                Earlier(indrnn(t, "fw-k5"), indrnn(t, "adam"), "updates", accuracy=True)
                for t in TASKS
            )
        ),
        fair.Otherwise(
            "equal batch size, counted in gradients",
            Every(
                tuple(
                    Earlier(
                        indrnn(t, "fw-k5", "equal"),
                        indrnn(t, "adam", "equal"),
                        "gradient_evaluations",
                        accuracy=True,
                    )
                    for t in TASKS
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
        Each(tuple(HalfSize(_saving(t, "published")) for t in TASKS), MNISTS),
        fair.Otherwise(
            "equal batch size",
            Each(
                tuple(
                    HalfSize(_saving(t, "equal"), claimed=_saving(t, "published")) for t in TASKS
                ),
                MNISTS,
            ),
        ),
        headline=True,
    ),
)
