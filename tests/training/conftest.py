"""Every test of the training layer has a project folder of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FWRNN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"
