"""Measurements of speed and memory: ``python -m bench`` runs every module here that has ``run``."""

from fwrnn_core import memory

# Before torch is imported, and the same for every candidate: as ``fwrnn train`` does.
memory.prepare()
