"""Where a run was made: the sources and the commit that a record names."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from helpers import small

import fwrnn_core
from fwrnn_core.training import Run, environment, train


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of a few files in place of ours."""
    root = tmp_path / "package"
    names = "data/a.py models/kernels/b.c models/kernels/b.h optim/c.py training/loop.py"
    for name in [*names.split(), "training/session.py", "theory/d.py", "optim/e.md", "__init__.py"]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("one\n")
    monkeypatch.setattr(fwrnn_core, "__file__", str(root / "__init__.py"))
    return root


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("data/a.py", True),
        ("models/kernels/b.c", True),
        ("models/kernels/b.h", True),
        ("optim/c.py", True),
        ("training/loop.py", True),
        ("training/session.py", False),
        ("theory/d.py", False),
        ("optim/e.md", False),
    ],
)
def test_the_digest_is_of_all_sources_that_change_numbers(package: Path, name: str, counts: bool):
    digest = environment.code_digest.__wrapped__
    before = digest()
    (package / name).write_text("two\n")
    assert (digest() != before) == counts


def test_a_changed_package_is_marked_behind_its_commit(package: Path):
    commit = environment._commit.__wrapped__
    git = ["git", "-C", str(package), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *command], check=True)
    clean = commit()
    assert clean is not None
    assert len(clean) == 12
    (package / "optim/c.py").write_text("two\n")
    assert commit() == clean + "+"


def test_a_package_that_lies_in_somebody_else_s_checkout_has_no_commit(package: Path):
    host = package.parent
    git = ["git", "-C", str(host), "-c", "user.name=a", "-c", "user.email=a@b"]
    (host / ".gitignore").write_text("package\n")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "theirs"]):
        subprocess.run([*git, *command], check=True)
    assert environment._commit.__wrapped__() is None


@pytest.fixture
def forgotten(monkeypatch, tmp_path):
    """A package folder of its own, not yet looked at in this process."""
    package = tmp_path / "fwrnn_core"
    (package / "models").mkdir(parents=True)
    source = package / "models" / "recurrent.py"
    source.write_text("h = tanh(x + h)\n")
    monkeypatch.setattr("fwrnn_core.__file__", str(package / "__init__.py"))
    kept = environment.code_digest, environment._commit
    for function in kept:
        function.cache_clear()
    yield source
    for function in kept:
        function.cache_clear()


def test_a_record_names_the_sources_that_the_run_began_with(forgotten):
    def edit(run: Run) -> None:
        forgotten.write_text("h = relu(x + h)\n")

    record = train(small(), store=False, progress=False, on_epoch=edit)
    loaded = record.body["environment"]["code"]
    environment.code_digest.cache_clear()
    assert environment.code_digest() != loaded
    forgotten.write_text("h = tanh(x + h)\n")
    environment.code_digest.cache_clear()
    assert environment.code_digest() == loaded
