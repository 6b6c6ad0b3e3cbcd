"""One claim of the paper, the names of the runs that claims are about, and shared comparisons."""

from __future__ import annotations

from dataclasses import dataclass, field

from fwrnn_core.claims import fair
from fwrnn_core.claims.comparisons import Comparison, Loss, Swing, gain
from fwrnn_core.claims.rules import Each, HalfSize, Rule

PARTS = (
    "Theory",
    "Set-up",
    "Adding task",
    "Vanilla RNN on MNIST",
    "IndRNN on MNIST",
    "HAR-2",
    "Overall",
)


@dataclass(frozen=True)
class Claim:
    """One claim.

    ``page`` is the page with the runs, below ``notebooks/``; ``note`` stands where the paper prints
    no figure. ``published`` judges the runs in the authors' settings, ``fair`` those under fair
    conditions; None where there are no such runs. ``settled`` is the verdict on a claim that no run
    can decide. ``headline`` claims stand on the first page too.
    """

    key: str
    text: str
    where: str
    published: Rule | None = None
    fair: Rule | None = None
    part: str = field(kw_only=True)
    page: str = field(kw_only=True)
    note: str = ""
    settled: str = ""
    headline: bool = False

    def printed(self) -> str:
        """The evidence in print."""
        rules = [rule.printed() for rule in (self.published, self.fair) if rule]
        return next(filter(None, rules), "") or self.note or "in words"


def har2(method: str, noisy: bool = False) -> str:
    """A row of Table III."""
    return f"{'noisy-' if noisy else ''}har2/published/{method}"


def rnn(task: str, method: str, protocol: str = "published") -> str:
    """A curve of Fig. 4, or Adam in the setting of K = 1."""
    return f"mnist-rnn/{protocol}/{task}/{method}"


def indrnn(task: str, method: str, protocol: str = "published") -> str:
    """A row of Table II, or the same method at equal batch size."""
    return f"mnist-indrnn/{protocol}/{task}/{method}"


def beats(better: str, worse: str, noisy: bool = False) -> tuple[Rule, Rule]:
    """Both protocols' rules for "this method is better than that one" on HAR-2."""
    task = "noisy-har2" if noisy else "har2"
    published = HalfSize(gain(har2(better, noisy), har2(worse, noisy)))
    return published, fair.gain(task, better, worse)


def each(of: tuple[str, ...], *pairs: tuple[Rule, Rule]) -> tuple[Rule, Rule]:
    """Pairs of rules as one, for each protocol; ``of`` names what each is about."""
    published, fair = zip(*pairs, strict=True)
    return Each(published, of), Each(fair, of)


TASKS = ("pixel", "permuted")
MNISTS = ("Pixel", "Permute")
CHUNKED = ("fw-k1-tbptt", "fw-k5-tbptt")
NOISY = (False, True)
HARS = ("clean", "noisy")


def always_beats(better: str, worse: str) -> tuple[Rule, Rule]:
    """Both protocols' rules for "better than that one, with and without noise"."""
    return each(HARS, *(beats(better, worse, noisy) for noisy in NOISY))


BEYOND_SGD: tuple[Comparison, ...] = (
    *(gain(har2(m, n), har2("adam", n)) for n in NOISY for m in ("fw-k1", "fw-k5", "fw-k10")),
    *(gain(rnn(t, m), rnn(t, "adam")) for t in TASKS for m in ("fw-k1", "fw-k5")),
    *(gain(indrnn(t, m), indrnn(t, "adam")) for t in TASKS for m in ("fw-k1", "fw-k5")),
    *(Loss(f"adding/published/{m}", "adding/published/adam") for m in ("fw-k1", "fw-k10")),
)
STEADY_ON_HAR2 = tuple(Swing(har2("adam", n), har2("fw-k5", n)) for n in NOISY)
# Against TBPTT: a loss that is stuck, as Adam's is there, has nothing to climb back from.
STEADY_ON_MNIST = tuple(
    Swing(rnn(t, "adam-tbptt"), rnn(t, m)) for t in TASKS for m in ("fw-k1", "fw-k5")
)
