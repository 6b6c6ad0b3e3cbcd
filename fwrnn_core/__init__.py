"""Two-loop Frank-Wolfe training of recurrent networks (Yue, Li, Saligrama, Zhang, ICPR 2020).

The public names load on first use, so that ``fwrnn --help`` does not wait for torch and the
command line can set the allocator's environment before torch is imported.

>>> import fwrnn_core
>>> fwrnn_core.FrankWolfe.__name__
'FrankWolfe'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fwrnn_core.optim import FrankWolfe, lmo

__version__ = "0.1.0"
__all__ = ["FrankWolfe", "lmo"]

_HOME = {"FrankWolfe": "fwrnn_core.optim", "lmo": "fwrnn_core.optim"}

if not TYPE_CHECKING:  # to a type checker, a module with this function has every name

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
