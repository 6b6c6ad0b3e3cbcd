"""How a process that trains should get its memory: to be called before torch is imported.

Every training step frees its activations and asks for as many again. Left alone, the C library
returns large blocks to the system, and the next step pays for fresh pages: on a 784-step IndRNN
that is up to a quarter of the time. No number that is computed depends on any of this. The
price is memory that is held until the process ends, some blocks more than are in use at a time.
"""

from __future__ import annotations

import ctypes
import os
import platform

HUGE_PAGES = "THP_MEM_ALLOC_ENABLE"
"""PyTorch reads it once, at its first allocation: ask Linux for pages of 2 MB."""

KEEP = {"MALLOC_MMAP_MAX_": (-4, 0), "MALLOC_TRIM_THRESHOLD_": (-1, 2**31 - 1)}
"""glibc's mallopt(3): take even large blocks from the heap (M_MMAP_MAX), and never give the
heap's free end back (M_TRIM_THRESHOLD). In the environment for processes that are started from
here, by a call for this one."""


def prepare() -> None:
    """Huge pages, and freed memory kept for the next tensor, here and in all processes started
    from here. What the user has set in the environment is left as it is; so is any C library
    but glibc.
    """
    os.environ.setdefault(HUGE_PAGES, "1")
    if platform.libc_ver()[0] != "glibc":
        return
    for name, (option, value) in KEEP.items():
        if os.environ.setdefault(name, str(value)) == str(value):
            ctypes.CDLL(None).mallopt(option, value)


def huge_pages() -> bool:
    """Whether this process asks for huge pages."""
    return os.environ.get(HUGE_PAGES) == "1"


def kept() -> bool:
    """Whether this process keeps what it frees."""
    return all(os.environ.get(name) == str(value) for name, (_, value) in KEEP.items())
