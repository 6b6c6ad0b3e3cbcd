"""Measurements of speed and memory: ``python -m bench`` runs every module here that has ``run``."""

import os

from fwrnn_core import memory

# Before torch is imported, and the same for every candidate. Freed memory goes back to the system,
# as in any PyTorch program: candidates that take turns in one process would else find each
# other's pages. ``bench.loop`` keeps it, as ``fwrnn train`` does; ``bench.pages`` compares.
os.environ.setdefault(memory.HUGE_PAGES, "1")
