"""The browser's engine computes what the Python reference computes."""

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from fwrnn_core.explorer.bundle import STATIC

HERE = Path(__file__).parent


def _make_vectors():
    spec = importlib.util.spec_from_file_location("make_vectors", HERE / "make_vectors.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _assert_close(mine, golden, path="vectors"):
    if isinstance(golden, dict):
        assert mine.keys() == golden.keys(), path
        for key in golden:
            _assert_close(mine[key], golden[key], f"{path}.{key}")
    elif isinstance(golden, list):
        assert len(mine) == len(golden), path
        for i, value in enumerate(golden):
            _assert_close(mine[i], value, f"{path}[{i}]")
    elif isinstance(golden, float):
        # Looser than the 12 digits written: libm's last bits differ between platforms.
        assert mine == pytest.approx(golden, rel=1e-9, abs=1e-9), path
    else:
        assert mine == golden, path


def test_the_golden_vectors_are_what_the_reference_computes():
    module = _make_vectors()
    golden = json.loads(module.PATH.read_text("utf-8"))
    _assert_close(json.loads(json.dumps(module.vectors())), golden)


def test_javascript_equals_python(tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node here; the browser suite runs the same vectors in Chromium")
    scripts = shutil.copytree(STATIC, tmp_path / "static")
    (scripts / "package.json").write_text('{"type": "module"}')
    done = subprocess.run(
        [node, HERE / "check_vectors.mjs", scripts, HERE / "vectors.json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert {kind: part["cases"] for kind, part in report.items()} == {
        kind: len(cases)
        for kind, cases in json.loads((HERE / "vectors.json").read_text("utf-8"))["cases"].items()
    }
    assert max(part["worst"] for part in report.values()) <= 1e-6
