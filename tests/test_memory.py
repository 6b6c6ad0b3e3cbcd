"""Freed memory is kept for the next tensor, in this process and in those that it starts."""

import os
import platform
import subprocess
import sys

import pytest

from fwrnn_core import memory

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's malloc only")

FAULTS = """
import resource, torch
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
torch.ones(1 << 24)  # 64 MB, freed at once
before = faults()
for _ in range(60):
    torch.ones(1 << 24)
print(faults() - before)
"""
PREPARED = "from fwrnn_core import memory; memory.prepare()\n"
CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {FAULTS!r}])"


def fresh_pages(program: str, **settings: str) -> int:
    """Page faults of sixty 64 MB tensors, one after the other, after a first one."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "THP_"))}
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={**clean, **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(result.stdout)


def test_memory_is_taken_from_the_system_a_few_times_at_most():
    # What small objects break off a freed block can make the next tensor start a new one: glibc
    # needs a few turns until it has a block that always fits.
    returned = fresh_pages(FAULTS, THP_MEM_ALLOC_ENABLE="1")
    assert returned >= 60 * 32  # 64 MB are 32 huge pages or 16,384 small ones
    assert fresh_pages(PREPARED + FAULTS) < returned / 4
    assert fresh_pages(PREPARED + CHILD) < returned / 4


def test_what_the_user_has_set_stays(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "65536")
    monkeypatch.setenv(memory.HUGE_PAGES, "0")
    memory.prepare()
    assert os.environ["MALLOC_TRIM_THRESHOLD_"] == "1000000"
    assert not memory.kept()
    assert not memory.huge_pages()
