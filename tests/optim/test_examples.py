"""The scripts in ``examples/`` and the lines of the migration page run as they are printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from fwrnn_core import FrankWolfe

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


def test_the_character_model_is_a_script_of_thirty_lines() -> None:
    source = (EXAMPLES / "characters.py").read_text(encoding="utf-8")
    code = source.split('"""')[2]
    assert len([line for line in code.splitlines() if line.strip()]) <= 30


@pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available() and Path("/proc/net/dev").is_file()),
    reason="torch without gloo, or no interface counters",
)
def test_walking_apart_sends_a_fifth_of_what_averaging_gradients_sends() -> None:
    copies = {}
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    environment["PYTHONPATH"] = str(EXAMPLES.parent)
    for way in ("walk", "ddp"):
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command = [*launcher, "--nproc-per-node", "2", str(EXAMPLES / "several_workers.py")]
        done = subprocess.run(
            [*command, way, "8"], capture_output=True, text=True, env=environment, timeout=240
        )
        assert done.returncode == 0, done.stderr
        assert f"{way}: 2 workers, 33793 weights" in done.stdout
        (copies[way],) = map(float, re.findall(r"([\d.]+) copies of the weights", done.stdout))
    # Other programs on the machine send too, hence the room.
    assert copies["ddp"] > 1.9
    assert copies["walk"] < 0.4 * copies["ddp"]


def migration_blocks() -> list[str]:
    page = (EXAMPLES.parent / "book/migrating.md").read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)


@pytest.mark.parametrize("block", [b for b in migration_blocks() if "process_group" not in b])
def test_the_lines_of_the_migration_page_run(block: str) -> None:
    model = nn.Linear(2, 1)

    def closure() -> Tensor:
        model.zero_grad()
        loss = model(torch.ones(1, 2)).square().mean()
        loss.backward()
        return loss

    names = {"torch": torch, "FrankWolfe": FrankWolfe, "model": model, "closure": closure}
    exec(block, {**names, "params": [*model.parameters()], "radius": 0.1})


def test_the_lookahead_line_moves_half_of_the_way() -> None:
    w = nn.Parameter(torch.tensor([1.0, -2.0]))
    radius = 0.1
    opt = FrankWolfe([w], lr=0.5 * radius, radius=radius, inner_steps=5, outer=torch.optim.SGD)
    anchor = w.detach().clone()
    gradients = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    for g in gradients:
        w.grad = g.clone()
        opt.step()
    end = anchor - radius * (gradients / gradients.norm(dim=1, keepdim=True)).mean(0)
    assert torch.allclose(w.detach(), anchor + 0.5 * (end - anchor))


@pytest.mark.parametrize(
    ("script", "given", "words"),
    [
        ("characters.py", "--help", "A character-level GRU"),
        ("characters.py", "ten", "invalid int value: 'ten'"),
        ("several_workers.py", "--help", "torchrun --nproc-per-node 2"),
        ("several_workers.py", "wlak", "invalid choice: 'wlak'"),
    ],
)
def test_the_scripts_help_and_refuse_what_they_do_not_know(
    script: str, given: str, words: str
) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(EXAMPLES.parent)}
    command = [sys.executable, str(EXAMPLES / script), given]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == (0 if given == "--help" else 2)
    assert words in (done.stdout if given == "--help" else done.stderr)
    assert "Traceback" not in done.stderr


def test_workers_that_nobody_started_get_a_hint() -> None:
    script = EXAMPLES / "several_workers.py"
    environment = {k: v for k, v in os.environ.items() if k != "RANK"}
    environment["PYTHONPATH"] = str(EXAMPLES.parent)
    command = [sys.executable, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert done.stderr.startswith("torchrun starts the workers: torchrun --nproc-per-node 2 ")
    assert done.stderr.count("\n") == 1
