"""What the ablation pages share: a series of recorded runs read by one rule, their live parts, and
the decision table that is drawn from all of them.

from fwrnn_core import ablation
series = ablation.Series("radius", "δ")
Markdown(series.reading())
"""

from fwrnn_core.ablation.advice import (
    ADVICE_RULE,
    Decision,
    adjusted,
    advice,
    choose,
    decisions,
    once,
)
from fwrnn_core.ablation.live import (
    at_point,
    displacement,
    live,
    minibatches,
    participation,
    turning,
)
from fwrnn_core.ablation.series import BASE, RULE, Series

__all__ = [
    "ADVICE_RULE",
    "BASE",
    "RULE",
    "Decision",
    "Series",
    "adjusted",
    "advice",
    "at_point",
    "choose",
    "decisions",
    "displacement",
    "live",
    "minibatches",
    "once",
    "participation",
    "turning",
]
