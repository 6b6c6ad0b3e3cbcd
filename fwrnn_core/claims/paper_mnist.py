"""What the paper claims of MNIST read pixel by pixel: Fig. 4, Fig. 5 and Table II."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from fwrnn_core.claims import fair
from fwrnn_core.claims.claim import CHUNKED, MNISTS, STEADY_ON_MNIST, TASKS, Claim, indrnn, rnn
from fwrnn_core.claims.comparisons import Comparison, Earlier, Loss, Saving, gain
from fwrnn_core.claims.curve_rules import MuchSteadier, SameLoss, Stuck
from fwrnn_core.claims.rules import Each, Every, HalfSize, Slight, Within

ALMOST_EQUAL = "equal batch size and rate, weight decay with Adam alone"

_vanilla = partial(
    Claim, part="Vanilla RNN on MNIST", page="experiments/mnist_rnn", note="Fig. 4, curves only"
)
_ind = partial(Claim, part="IndRNN on MNIST", page="experiments/mnist_indrnn")


def _against_adam(compare: Callable[[str, str], Comparison], protocol: str) -> Iterator[Comparison]:
    """IndRNN with K = 1 and K = 5 against Adam, on both data sets."""
    for t in TASKS:
        for m in ("fw-k1", "fw-k5"):
            yield compare(indrnn(t, m, protocol), indrnn(t, "adam", protocol))


def _needs_fewer(x: str, protocol: str) -> Every:
    """IndRNN with K = 5 against Adam, by what both take to the accuracy that both reach."""
    runs = [(indrnn(t, "fw-k5", protocol), indrnn(t, "adam", protocol)) for t in TASKS]
    return Every(tuple(Earlier(ours, adam, x, accuracy=True) for ours, adam in runs))


def _fewer_with_k(x: str) -> Every:
    """K = 5 against K = 1, by what both take to the training loss that both reach."""
    return Every(tuple(Earlier(rnn(t, "fw-k5"), rnn(t, "fw-k1"), x) for t in TASKS))


def _half_the_time(protocol: str) -> Each:
    """The printed saving of time on each data set, held against runs of a protocol."""

    def saving(task: str, protocol: str) -> Saving:
        return Saving(indrnn(task, "fw-k5", protocol), indrnn(task, "adam", protocol))

    claimed = {t: saving(t, "published") for t in TASKS}
    return Each(tuple(HalfSize(saving(t, protocol), claimed[t]) for t in TASKS), MNISTS)


MNIST = (
    _vanilla(
        "rnn-stuck",
        "SGD (Adam) shows no convergence or very slow convergence.",
        "Sec. V-A, Fig. 4",
        Stuck(tuple(rnn(t, "adam") for t in TASKS)),
        fair.Otherwise(
            "Adam in the setting of K = 1",
            Stuck(tuple(rnn(t, "adam", "equal") for t in TASKS)),
        ),
    ),
    _vanilla(
        "rnn-tbptt-helps",
        "TBPTT helps the convergence on Permute-MNIST.",
        "Sec. V-A, Fig. 4",
        Every(
            (Earlier(rnn("permuted", "adam-tbptt"), rnn("permuted", "adam"), accuracy=True),),
        ),
    ),
    _vanilla(
        "rnn-tbptt-slight",
        "On Pixel-MNIST TBPTT is only slightly better than SGD (Adam).",
        "Sec. V-A, Fig. 4",
        Slight(*(gain(rnn(t, "adam-tbptt"), rnn(t, "adam")) for t in ("permuted", "pixel"))),
    ),
    _vanilla(
        "rnn-faster",
        "The method converges faster than SGD (Adam) and TBPTT on both data sets.",
        "Sec. V-A, Fig. 4",
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
    ),
    _vanilla(
        "rnn-stable",
        "Where the loss of TBPTT goes up and down, the method is much more stable, on both data "
        "sets.",
        "Sec. V-A, Fig. 4",
        MuchSteadier(STEADY_ON_MNIST),
    ),
    _vanilla(
        "rnn-tbptt",
        "Combined with TBPTT it reaches higher accuracy than the baseline.",
        "Sec. V-A, Fig. 4",
        Every(tuple(gain(rnn(t, m), rnn(t, "adam")) for t in TASKS for m in CHUNKED)),
    ),
    _vanilla(
        "rnn-tbptt-faster",
        "Combined with TBPTT it converges faster than the baseline on Pixel-MNIST.",
        "Sec. V-A, Fig. 4",
        Every(
            tuple(Earlier(rnn("pixel", m), rnn("pixel", "adam"), accuracy=True) for m in CHUNKED)
        ),
    ),
    _vanilla(
        "rnn-updates",
        "With more inner steps, fewer updates are needed to converge.",
        "Sec. V-A, Fig. 4",
        _fewer_with_k("updates"),
        fair.Otherwise("same runs, counted in gradients", _fewer_with_k("gradient_evaluations")),
    ),
    _ind(
        "indrnn-accuracy",
        "It reaches a test accuracy comparable with the baseline's.",
        "Table II; Conclusions",
        Within(tuple(_against_adam(gain, "published"))),
        fair.Otherwise(ALMOST_EQUAL, Within(tuple(_against_adam(gain, "equal")))),
        headline=True,
    ),
    _ind(
        "indrnn-loss",
        "In training it has the same performance as Adam.",
        "Sec. V-A, Fig. 5",
        SameLoss(tuple(_against_adam(Loss, "published"))),
        fair.Otherwise(ALMOST_EQUAL, SameLoss(tuple(_against_adam(Loss, "equal")))),
        note="Fig. 5, curves only",
    ),
    _ind(
        "indrnn-updates",
        "It needs fewer gradient updates.",
        "Fig. 5; Conclusions",
        _needs_fewer("updates", "published"),
        fair.Otherwise(
            "equal batch size, counted in gradients", _needs_fewer("gradient_evaluations", "equal")
        ),
        note="Fig. 5, by its axis",
    ),
    _ind(
        "indrnn-time",
        "With K = 5 it takes about half the training time.",
        "Table II; Conclusions",
        _half_the_time("published"),
        fair.Otherwise("equal batch size", _half_the_time("equal")),
        headline=True,
    ),
)
