"""The scripts in ``examples/`` run, and the optimizer is swapped by changing one line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
OURS = "optimizer = FrankWolfe(model.parameters(), lr=2e-3, inner_steps=5)"
ADAM = "optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)"


@pytest.mark.parametrize("line", [OURS, ADAM])
def test_the_character_model_learns_with_either_optimizer(line: str, tmp_path: Path) -> None:
    source = (EXAMPLES / "characters.py").read_text(encoding="utf-8")
    assert source.count(OURS) == 1
    script = tmp_path / "characters.py"
    script.write_text(source.replace(OURS, line), encoding="utf-8")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(EXAMPLES.parent)}
    done = subprocess.run(
        [sys.executable, str(script), "12"],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    bits = [float(x) for x in re.findall(r"([\d.]+) bits per character", done.stdout)]
    assert bits[0] > 6  # log2 of the alphabet: nothing known yet
    assert bits[-1] < bits[0] - 1
