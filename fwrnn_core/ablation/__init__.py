"""What the ablation pages share: a series of recorded runs read by one rule, and their live parts.

from fwrnn_core import ablation
series = ablation.Series("radius", "δ")
Markdown(series.reading())
"""

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
    "BASE",
    "RULE",
    "Series",
    "at_point",
    "displacement",
    "live",
    "minibatches",
    "participation",
    "turning",
]
