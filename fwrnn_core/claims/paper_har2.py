"""What the paper claims of HAR-2 with and without noise: Fig. 6 and Table III."""

from __future__ import annotations

from functools import partial

from fwrnn_core.claims import fair
from fwrnn_core.claims.claim import (
    HARS,
    NOISY,
    STEADY_ON_HAR2,
    Claim,
    always_beats,
    beats,
    each,
    har2,
)
from fwrnn_core.claims.comparisons import Accuracy, Saving, Swing, gain
from fwrnn_core.claims.curve_rules import Converges, Overtakes
from fwrnn_core.claims.rules import Fades, HalfSize, Steadier

# The drop from clean to noisy data, Adam's less ours: sign, data set, method.
DROPS = (
    (1, "noisy-har2", "fw-k10"),
    (-1, "har2", "fw-k10"),
    (-1, "noisy-har2", "adam"),
    (1, "har2", "adam"),
)
_claim = partial(Claim, part="HAR-2", page="experiments/har2")

HAR2 = (
    _claim(
        "har2-adam",
        "On HAR-2, K = 5 is better than SGD (Adam).",
        "Table III",
        *beats("fw-k5", "adam"),
    ),
    _claim(
        "har2-clip",
        "On HAR-2, K = 5 is better than SGD (Adam) with clipped gradients.",
        "Table III",
        *beats("fw-k5", "adam-clip"),
        headline=True,
    ),
    _claim(
        "har2-tbptt",
        "K = 5 is better than TBPTT, with or without noise.",
        "Table III",
        *always_beats("fw-k5", "adam-tbptt"),
    ),
    _claim(
        "har2-boost",
        "Combined with TBPTT it improves on TBPTT, with or without noise.",
        "Sec. V-A, Table III",
        *always_beats("fw-tbptt", "adam-tbptt"),
    ),
    _claim(
        "har2-tbptt-loss",
        "On clean data TBPTT reaches a desirable mean square error.",
        "Sec. V-A, Fig. 6",
        Converges(har2("adam-tbptt")),
        note="Fig. 6, curves only",
    ),
    _claim(
        "har2-lstm",
        "It improves an LSTM, with or without noise.",
        "Table III",
        *always_beats("lstm-fw", "lstm-adam"),
    ),
    _claim(
        "har2-bn",
        "It works well with batch normalisation (better than without), with or without noise.",
        "Table III",
        *always_beats("fw-bn", "fw-k5"),
    ),
    _claim(
        "har2-indrnn",
        "It improves IndRNN, with or without noise.",
        "Sec. V-A, Table III",
        *always_beats("indrnn-fw", "indrnn-adam"),
    ),
    _claim(
        "har2-indrnn-time",
        "IndRNN with it takes less running time, with or without noise.",
        "Sec. V-A, Table III",
        *each(
            HARS,
            *(
                (
                    HalfSize(Saving(har2("indrnn-fw", noisy), har2("indrnn-adam", noisy))),
                    fair.Cost(task, "indrnn-fw", "indrnn-adam"),
                )
                for task, noisy in zip(fair.fairness.TASKS, NOISY, strict=True)
            ),
        ),
    ),
    _claim(
        "har2-epochs",
        "It passes the baseline's accuracy within fewer training epochs.",
        "Sec. V-A",
        Overtakes(har2("fw-k5"), har2("adam")),
        fair.Sooner("har2", "fw-k5", "adam"),
    ),
    _claim(
        "har2-swing",
        "With or without noise, the training loss of SGD (Adam) swings up and down, and "
        "the method's does not.",
        "Sec. V-A, Fig. 6",
        Steadier(STEADY_ON_HAR2),
        note="Fig. 6, curves only",
    ),
    _claim(
        "noise-unstable",
        "When the data are very noisy, RNNs usually exhibit unstable performance.",
        "Sec. V-A",
        Steadier((Swing(har2("adam", True), har2("adam")),)),
    ),
    _claim(
        "noisy-clip",
        "Under noise, K = 5 and K = 10 are better than SGD (Adam) with clipped gradients.",
        "Table III",
        *each(
            ("K = 5", "K = 10"),
            *(beats(m, "adam-clip", noisy=True) for m in ("fw-k5", "fw-k10")),
        ),
    ),
    _claim(
        "clip-fades",
        "Clipping helps SGD (Adam) on clean data and loses its advantage on noisy data.",
        "Sec. V-A, Table III",
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
    _claim(
        "noise-drop",
        "It is robust to noise: K = 10 loses less accuracy to it than SGD (Adam).",
        "Abstract; Sec. V-A",
        HalfSize(Accuracy(tuple((sign, f"{t}/published/{m}") for sign, t, m in DROPS))),
        fair.Interval(DROPS, what="Adam's drop minus that of K = 10"),
    ),
)
