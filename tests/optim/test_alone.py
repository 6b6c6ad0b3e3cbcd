"""The optimizer alone: what importing it needs, on a machine without the book's extras."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

_SCRIPT = """
import sys
sys.modules.update(dict.fromkeys({absent!r}))  # None: "not installed"
import torch
before = set(sys.modules)
from fwrnn_core import FrankWolfe, lmo
w = torch.nn.Parameter(torch.ones(3))
opt = FrankWolfe([w], inner_steps=2)
for _ in range(4):
    opt.zero_grad()
    w.square().sum().backward()
    opt.step()
assert opt.updates == 2
print(*sorted({{name.partition(".")[0] for name in set(sys.modules) - before}}))
"""


def modules_of(requirements: list[str]) -> set[str]:
    names = (re.match(r"[A-Za-z0-9._-]+", r) for r in requirements)
    return {name[0].replace("-", "_") for name in names if name}


def test_the_extras_are_not_needed() -> None:
    """As after ``pip install .``: nothing of [book], [cluster] and [dev] can be imported."""
    extras = PROJECT["optional-dependencies"].values()
    absent = modules_of([r for requirements in extras for r in requirements])
    absent |= {"sphinx", "IPython", "pandas", "yaml", "nbformat", "dask", "tqdm", "filelock"}
    absent -= {"filelock"}  # torch's own need
    assert {"scipy", "matplotlib", "papermill", "jupyter_book"} <= absent
    script = _SCRIPT.format(absent=absent)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_import_brings_nothing_but_the_package_itself() -> None:
    """Hence takes no longer than torch's own."""
    code = (
        "import sys, torch; before = set(sys.modules); from fwrnn_core import FrankWolfe, lmo; "
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) - set(sys.stdlib_module_names) == {"fwrnn_core"}
