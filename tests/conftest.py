"""What every test gets: the same random numbers each time, and one thread."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from fwrnn_core import paths

from .sandbox import write_tree

# Tests run side by side (pytest -n); more threads than cores would only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A suite started in the background ignores Ctrl-C, and so would the programs that it sends one to.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile(
    "deterministic",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.load_profile("deterministic")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Browser tests need the built book: they run when asked for (`make browser`)."""
    if "browser" in config.getoption("-m"):
        return
    kept = [item for item in items if "browser" not in item.keywords]
    config.hook.pytest_deselected(items=[item for item in items if "browser" in item.keywords])
    items[:] = kept


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of records that holds those alone which the test puts there."""
    monkeypatch.setattr(paths, "records", lambda: tmp_path)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project with a small package of its own in place of ours."""
    monkeypatch.setenv("FWRNN_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    package = {
        "__init__.py": "LAZY = {'Best': 'fwrnn_core.optim'}\n",
        "optim/__init__.py": "from fwrnn_core.optim.ball import edge\n",
        "optim/ball.py": "edge = 1\n",
        "optim/ball.c": "int edge;\n",
        "figures.py": "import math\n",
        "late.py": "def f():\n    from fwrnn_core import plugins\n",
        "plugins/__init__.py": "",
        "plugins/one.py": "from fwrnn_core.figures import math\n",
        "dynamic.py": "name = 'one'\n__import__(f'fwrnn_core.plugins.{name}')\n",
        "typed.py": "import typing\nif typing.TYPE_CHECKING:\n    import fwrnn_core.late\n",
        "explorer/__init__.py": "",
        "explorer/static/view.js": "let x",
    }
    write_tree(tmp_path / "fwrnn_core", package)
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "fwrnn_core")
    return tmp_path
