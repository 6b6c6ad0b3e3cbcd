"""The two-loop Frank-Wolfe optimizer and its linear minimisation oracle."""

from fwrnn_core.optim.adaptive import AdaptiveRadius
from fwrnn_core.optim.distributed import WorkerLost
from fwrnn_core.optim.frank_wolfe import FrankWolfe
from fwrnn_core.optim.gradients import NonFiniteGradient
from fwrnn_core.optim.oracle import lmo
from fwrnn_core.optim.solvers import ProjectedGradient
from fwrnn_core.optim.trust_region import TrustRegion

__all__ = [
    "AdaptiveRadius",
    "FrankWolfe",
    "NonFiniteGradient",
    "ProjectedGradient",
    "TrustRegion",
    "WorkerLost",
    "lmo",
]
