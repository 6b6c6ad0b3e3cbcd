"""What the ablation pages share: a series of recorded runs read by one rule, their live parts, and
the decision table that is drawn from all of them.

from fwrnn_core import ablation
series = ablation.Series("radius", "δ")
Markdown(series.reading())
"""

from fwrnn_core.ablation.advice import (
    ADVICE_RULE,
    Decision,
    advice,
    decisions,
    fresh_seeds,
    gain_and_cost,
    once,
    verdict,
)
from fwrnn_core.ablation.live import (
    at_point,
    displacement,
    live,
    minibatches,
    participation,
    short_run,
    turning,
)
from fwrnn_core.ablation.series import BASE, RULE, Series
