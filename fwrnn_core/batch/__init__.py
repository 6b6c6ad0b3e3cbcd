"""Batches of notebooks: which are stale, run those side by side by papermill, keep the others.

A notebook's executed copy carries the stamp of everything that it was made from
(:mod:`~fwrnn_core.batch.stamp`); a copy whose stamp still holds is not made again. File times play
no part. Sources stay without outputs; the copies go under ``_build``.
"""

from fwrnn_core.batch.catalog import book_notebooks, resolve
from fwrnn_core.batch.plan import plan

__all__ = ["book_notebooks", "plan", "resolve"]
