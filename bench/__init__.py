"""Measurements of speed and memory: ``python -m bench`` runs every module here that has ``run``."""

import os

# Before torch is imported, and the same for every candidate: huge pages, without which a fresh
# 51 MB tensor costs 25 ms of page faults.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
