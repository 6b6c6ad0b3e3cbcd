"""How everything here is timed: candidates take turns in one process, medians are compared.

Turns, because clocks and neighbours drift over minutes and a ratio of two runs made one after
the other measures the drift.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from fwrnn_core import locks, paths
from fwrnn_core.training.environment import describe

STATUS = Path("/proc/self/status")  # Linux: where memory can be measured


def interleave(
    candidates: Mapping[str, Callable[[], object]], rounds: int, warmup: int = 1
) -> dict[str, dict[str, float]]:
    """Milliseconds per call of each candidate: median, quartiles and best of ``rounds`` turns.

    ``cpu`` is the median of the processor time, which neighbours on a busy machine disturb less;
    on one thread the two agree on a quiet one.
    """
    for _ in range(warmup):
        for call in candidates.values():
            call()
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in candidates}
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, call in candidates.items():
                start = time.perf_counter(), time.process_time()
                call()
                end = time.perf_counter(), time.process_time()
                taken[name].append((1e3 * (end[0] - start[0]), 1e3 * (end[1] - start[1])))
    finally:
        gc.enable()
    return {name: _summary(*zip(*pairs, strict=True)) for name, pairs in taken.items()}


def _summary(wall: Sequence[float], cpu: Sequence[float]) -> dict[str, float]:
    low, middle, high = statistics.quantiles(wall, n=4, method="inclusive")
    return {
        "median": round(middle, 3),
        "low": round(low, 3),
        "high": round(high, 3),
        "best": round(min(wall), 3),
        "cpu": round(statistics.median(cpu), 3),
        "rounds": len(wall),
    }


def machine() -> dict[str, Any]:
    """Where the figures come from, the load at the time, and what the hardware can do at best."""
    return {
        **describe(torch.device("cpu")),
        "load_average": [round(v, 2) for v in os.getloadavg()],
        "sgemm_gflops": {str(n): _sgemm(n) for n in (1, 2)},
        "memory_gb_per_s": _copy(),
    }


def _sgemm(threads: int) -> float:
    """Rate of a large float32 matrix product, in GF/s; on one thread by processor time."""
    torch.set_num_threads(threads)
    n = 2048
    a, b, c = torch.randn(n, n), torch.randn(n, n), torch.empty(n, n)
    taken = interleave({"sgemm": lambda: torch.mm(a, b, out=c)}, rounds=9, warmup=2)["sgemm"]
    torch.set_num_threads(1)
    return round(2e-6 * n**3 / taken["cpu" if threads == 1 else "best"], 1)


def _copy() -> float:
    """Bandwidth of a copy far larger than the caches, one thread, in GB/s read plus written."""
    torch.set_num_threads(1)
    source = torch.ones(64 << 20)
    target = torch.empty_like(source)
    taken = interleave({"copy": lambda: target.copy_(source)}, rounds=7, warmup=2)["copy"]
    return round(2e-6 * source.nbytes / taken["cpu"], 1)


def peak_rss(reset: bool = False) -> int:
    """Largest resident size so far, in bytes; ``reset`` starts anew from the present one.

    Not ``ru_maxrss``: a child process inherits its parent's.
    """
    if reset:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    for line in STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM"):
            return 1024 * int(line.split()[1])
    raise OSError("no VmHWM in /proc/self/status")


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Plain text, columns as wide as they need to be, the first one flushed left."""
    cells = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def save(name: str, content: Mapping[str, Any], *, record: bool = False) -> None:
    """Write the result as JSON and say where.

    Every run leaves ``_build/bench/NAME.json``, so that two runs can be compared; with ``record``
    it also becomes ``data/records/bench/NAME.json``, from which the book's figures are drawn.
    """
    folders = [paths.home() / "_build" / "bench", *([paths.records() / "bench"] if record else [])]
    for folder in folders:
        path = folder / f"{name}.json"
        locks.write_atomic(path, (json.dumps(content, indent=1) + "\n").encode())
        shown = path.relative_to(paths.home()) if path.is_relative_to(paths.home()) else path
        print("written:", shown)
