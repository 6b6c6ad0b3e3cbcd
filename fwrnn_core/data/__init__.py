"""The datasets of the paper: :func:`load` by name, each a :class:`Dataset`."""

from fwrnn_core.data.catalog import CATALOG, load
from fwrnn_core.data.dataset import Dataset, Split, Transform

NAMES = tuple(CATALOG)

__all__ = ["NAMES", "Dataset", "Split", "Transform", "load"]
