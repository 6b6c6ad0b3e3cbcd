"""Batches: what runs again and why, what a failure leaves behind, what is refused beforehand."""

from __future__ import annotations

import errno
import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fwrnn_core import batch, paths
from fwrnn_core.batch import local, parameters, stamp, worker
from fwrnn_core.batch.closure import Graph
from fwrnn_core.cli import main
from fwrnn_core.errors import ConfigError

from .sandbox import write_notebook, write_tree

# What code a notebook could see

#: The package itself, and what a name of it leads to on first use.
LAZY = {"__init__", "optim/__init__", "optim/ball"}


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("x = 1", set()),
        ("from fwrnn_core import figures", {*LAZY, "figures"}),
        ("import fwrnn_core.figures as f", {*LAZY, "figures"}),
        ("from fwrnn_core import Best", LAZY),
        ("def f():\n    import fwrnn_core.optim.ball as b", LAZY),
        ("from fwrnn_core.late import f", {*LAZY, "late", "plugins/__init__"}),
        (
            "from fwrnn_core import dynamic",
            {*LAZY, "dynamic", "plugins/__init__", "plugins/one", "figures"},
        ),
        ("from fwrnn_core import typed", {*LAZY, "typed"}),
        ("m = 'fwrnn_core.figures'", {*LAZY, "figures"}),
        ("m = 'fwrnn_core'", set()),
        (
            "if TYPE_CHECKING:\n    import fwrnn_core.late\n"
            "else:\n    import fwrnn_core.figures as f",
            {*LAZY, "figures"},
        ),
    ],
)
def test_the_closure_is_what_the_code_could_import(
    project: Path, source: str, seen: set[str]
) -> None:
    files = Graph(paths.PACKAGE).closure(source)
    modules = {p.relative_to(paths.PACKAGE).as_posix()[:-3] for p in files if p.suffix == ".py"}
    assert modules == seen


def test_assets_belong_to_the_modules_of_their_folder(project: Path) -> None:
    litter = {"optim/.ball.c.swp", "optim/ball.so", "optim/__pycache__/ball.txt"}
    write_tree(paths.PACKAGE, dict.fromkeys(litter, ""))
    graph = Graph(paths.PACKAGE)
    seen = graph.closure("import fwrnn_core.optim")
    assert paths.PACKAGE / "optim/ball.c" in seen
    assert not litter & {path.relative_to(paths.PACKAGE).as_posix() for path in seen}
    assert paths.PACKAGE / "explorer/static/view.js" in graph.closure("import fwrnn_core.explorer")
    view = paths.PACKAGE / "explorer/static/view.js"
    assert view not in graph.closure("import fwrnn_core.figures as f")


def test_the_real_package_is_followed_where_python_itself_goes() -> None:
    """Every module that importing our package in a fresh Python loads is in the static closure."""
    source = "from fwrnn_core import FrankWolfe"
    script = (
        f"{source}\nimport sys; print(*(m for m in sys.modules if m.split('.')[0] == 'fwrnn_core'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    graph = Graph(paths.PACKAGE)
    closure = set(graph.closure(source))
    loaded = {graph.modules[name] for name in done.stdout.split() if name in graph.modules}
    assert len(loaded) > 2
    assert loaded <= closure
    assert not any("explorer" in path.parts or "batch" in path.parts for path in closure)


# What makes a notebook run again


def stamp_of(notebook: str, **given: object) -> dict[str, str]:
    return stamp.stamp(notebook, given, Graph(paths.PACKAGE))


def test_a_list_of_what_would_run_downloads_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_notebook(project / "notebooks/a.ipynb", "x = 1", metadata={"data": ["har-2"]})
    monkeypatch.setattr("fwrnn_core.data.inventory.cached_source", lambda family: None)
    monkeypatch.setattr("fwrnn_core.data.catalog.load", lambda name: pytest.fail("downloads"))
    (plan,) = batch.plan(["notebooks/a.ipynb"], fetch=False)
    assert plan.stamp["data har-2"] == "not here yet"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"fwrnn_core/optim/ball.py": "edge = 2\n"}, ["code fwrnn_core/optim/ball.py"]),
        ({"fwrnn_core/optim/ball.c": "int edge2;\n"}, ["code fwrnn_core/optim/ball.c"]),
        ({"fwrnn_core/figures.py": "import cmath\n"}, []),
        ({"data/records/har2/adam.json": "{1}"}, ["record har2/adam"]),
        ({"data/records/har2/new.json": "{}"}, ["record har2/new"]),
        ({"data/records/other/x.json": "{1}"}, []),
    ],
)
def test_only_what_a_notebook_reads_makes_it_stale(
    project: Path, changed: dict[str, str], reason: list[str]
) -> None:
    metadata = {"records": ["har2/*"]}
    write_notebook(
        project / "notebooks/a.ipynb", "K = 1", "import fwrnn_core.optim", metadata=metadata
    )
    write_tree(project, {"data/records/har2/adam.json": "{}", "data/records/other/x.json": "{}"})
    before = stamp_of("notebooks/a.ipynb")
    write_tree(project, changed)
    assert stamp.changes(before, stamp_of("notebooks/a.ipynb")) == reason


def test_touching_files_makes_nothing_stale(project: Path) -> None:
    path = write_notebook(project / "notebooks/a.ipynb", "K = 1", "import fwrnn_core.optim")
    before = stamp_of("notebooks/a.ipynb")
    for file in [path, *paths.PACKAGE.rglob("*.*")]:
        os.utime(file, (1, 1))
    assert stamp_of("notebooks/a.ipynb") == before
    notebook = json.loads(path.read_text())
    notebook["cells"][0] |= {"outputs": [{"output_type": "stream"}], "execution_count": 3}
    path.write_text(json.dumps(notebook))
    assert stamp_of("notebooks/a.ipynb") == before
    notebook["metadata"]["fwrnn"] = {"modules": ["fwrnn_core.optim"]}
    path.write_text(json.dumps(notebook))
    assert stamp.changes(before, stamp_of("notebooks/a.ipynb")) == ["notebook"]


def test_parameters_cells_and_data_are_ingredients(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stamp, "_fingerprint", lambda name, fetch: "f1")
    metadata = {"data": ["har-2"]}
    write_notebook(
        project / "notebooks/a.ipynb", "K = 1", "%matplotlib inline\n!ls", metadata=metadata
    )
    before = stamp_of("notebooks/a.ipynb", K=1)
    assert stamp.changes(before, stamp_of("notebooks/a.ipynb", K=2)) == ["parameters"]
    monkeypatch.setattr(stamp, "_fingerprint", lambda name, fetch: "f2")
    assert stamp.changes(before, stamp_of("notebooks/a.ipynb", K=1)) == ["data har-2"]
    write_notebook(project / "notebooks/a.ipynb", "K = 1", "2", metadata=metadata)
    assert "notebook" in stamp.changes(before, stamp_of("notebooks/a.ipynb", K=1))


def test_library_versions_are_ingredients(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_notebook(project / "notebooks/a.ipynb", "K = 1")
    before = stamp_of("notebooks/a.ipynb")
    assert before["library torch"].startswith("2.")
    stamp.libraries.cache_clear()
    monkeypatch.setattr(stamp.metadata, "version", lambda name: "9.9")
    after = stamp_of("notebooks/a.ipynb")
    stamp.libraries.cache_clear()
    assert "library torch" in stamp.changes(before, after)
    assert "notebook" not in stamp.changes(before, after)


# What is refused before anything runs


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "unknown notebook 'nonsense'"),
        (["theory/alpha2"], "Did you mean 'notebooks/theory/alpha.ipynb'"),
        (["alpah"], "'notebooks/theory/alpha.ipynb'? `fwrnn run --list` lists them"),
        (["K=3"], "a parameter is given as -p NAME VALUE"),
        (["beta*"], "no notebook matches 'beta*'; `fwrnn run --list` lists them"),
        (["alpha", "-p", "Kk", "3"], "unknown parameter 'Kk'. Did you mean 'K'?"),
        (["alpha", "--profile", "papre"], "Did you mean 'paper'?"),
        (["alpha", "-p", "profile", "slow"], "unknown profile 'slow'"),
        (["alpha", "-p", "K", "many"], "parameter 'K' is int (default 5), 'many' is not"),
        (["alpha", "-p", "K", "1", "-p", "K", "2"], "'K' was given twice"),
        (["alpha", "--jobs", "0"], "--jobs = 0 is out of range"),
        (["alpha", "--engine", "dsk"], "Did you mean 'dask'?"),
        # Also where nothing is to run, and before anything else is looked at.
        (["--jobs", "0", "--list"], "--jobs = 0 is out of range"),
        (["nonsense", "--engine", "foo", "--list"], "unknown engine 'foo'"),
        (["alpha", "--scheduler", "tcp://x:1"], "needs --engine dask"),
        (["broken"], "not a notebook"),
        (["uncut"], "not a notebook: cells is not a list"),
        (["python2"], "not valid Python"),
        (["alpha", "--output", "notebooks/broken.ipynb/x"], "broken.ipynb/x: Not a directory"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_status_2(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    write_notebook(project / "notebooks/theory/alpha.ipynb", 'profile = "quick"\nK = 5')
    write_notebook(project / "notebooks/python2.ipynb", "K = 5", "print 'x'")
    (project / "notebooks/broken.ipynb").write_text("{")
    (project / "notebooks/uncut.ipynb").write_text('{"cells": "K = 5"}')
    assert main(["run", *arguments]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert not paths.build().exists()


def test_of_a_folder_the_notebooks_that_take_a_parameter_are_named(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And where none takes it, the nearest name."""
    for name, cell in (("a", "K = 5"), ("b", "norm = 2"), ("c", "K = 5"), ("d", "K = 1\nnorm = 2")):
        write_notebook(project / f"notebooks/part/{name}.ipynb", cell)
    assert main(["run", "part", "-p", "K", "3", "--list"]) == 2
    said = "notebooks/part/b.ipynb has no parameter 'K'; name only those that take what you gave: "
    assert capsys.readouterr().err == f"fwrnn: {said}fwrnn run part/a part/c part/d …\n"
    assert main(["run", "part", "-p", "K", "3", "-p", "norm", "1", "--list"]) == 2
    assert "(and 2 more lack one); name only" in (said := capsys.readouterr().err)
    assert said.endswith("fwrnn run part/d …\n")
    assert main(["run", "part/a", "part/c", "part/d", "-p", "K", "3", "--list"]) == 0
    capsys.readouterr()
    assert main(["run", "part", "-p", "nrom", "1", "--list"]) == 2
    assert "a.ipynb: unknown parameter 'nrom'" in capsys.readouterr().err


def test_the_book_checks_its_options_first(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["book", "--jobs", "-1"]) == 2
    assert "--jobs = -1 is out of range" in capsys.readouterr().err


def test_outside_a_project_it_says_so(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run"]) == 2
    assert "inside a checkout" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "book"])
def test_with_the_optimizer_alone_it_says_what_to_install(
    project: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    monkeypatch.setattr("fwrnn_core.cli.notebooks.EXTRA", ("nbformat", "no_such_package"))
    assert main([command]) == 2
    error = capsys.readouterr().err
    assert "(no_such_package not installed): pip install 'fwrnn-core[book]'" in error


def test_the_profile_goes_to_those_that_have_one(project: Path) -> None:
    write_notebook(project / "notebooks/a.ipynb", 'profile = "quick"\nK = 5')
    write_notebook(project / "notebooks/b.ipynb", "K = 5")
    plans = batch.plan(["notebooks/a.ipynb", "notebooks/b.ipynb"], {"K": 7}, "paper")
    assert [p.parameters for p in plans] == [{"profile": "paper", "K": 7}, {"K": 7}]


def test_parameters_of_ones_own_never_touch_the_copies_of_the_book(project: Path) -> None:
    write_notebook(project / "notebooks/a.ipynb", 'profile = "quick"\nK = 5')
    name = ["notebooks/a.ipynb"]
    folders = [
        batch.plan(name, given, profile)[0].output
        for given in ({}, {"K": 6}, {"K": 7})
        for profile in ("quick", "paper")
    ]
    assert len(set(folders)) == 6
    executed = [f.is_relative_to(paths.build() / "executed") for f in folders]
    assert executed == [True] + [False] * 5


def test_declared_parameters_are_those_that_papermill_sees() -> None:
    import papermill

    for name in batch.book_notebooks():
        ours = parameters.declared(name)
        theirs = papermill.inspect_notebook(str(paths.home() / name))
        assert ours.keys() == theirs.keys(), name
        for parameter, text in ours.items():
            # papermill reads line by line: of a value over several lines it has the first.
            if "\n" not in text:
                assert text == str(theirs[parameter]["default"]), (name, parameter)


def test_a_name_may_be_a_path_a_folder_or_bare(project: Path) -> None:
    for name in ("theory/a", "theory/b", "experiments/c", "ablations/a"):
        write_notebook(project / f"notebooks/{name}.ipynb", "K = 1")
    theory = ["notebooks/theory/a.ipynb", "notebooks/theory/b.ipynb"]
    assert batch.resolve(["notebooks/theory"]) == theory
    assert batch.resolve(["theory"]) == theory
    assert batch.resolve(["c"]) == ["notebooks/experiments/c.ipynb"]
    assert batch.resolve(["theory/a", "./notebooks/theory/a.ipynb"]) == theory[:1]
    assert len(batch.resolve([])) == 4
    assert batch.resolve(["theory/*"]) == batch.resolve(["*/theory/?.ipynb"]) == theory
    assert batch.resolve(["[bc]"]) == ["notebooks/experiments/c.ipynb", theory[1]]
    with pytest.raises(ConfigError, match="names 2 notebooks"):
        batch.resolve(["a"])


def test_values_are_read_as_python_would() -> None:
    pairs = [("a", "1e-3"), ("b", "True"), ("c", "none"), ("d", "x y"), ("e", "-inf"), ("f", "'3'")]
    assert parameters.parse(pairs[:4]) == {"a": 1e-3, "b": True, "c": None, "d": "x y"}
    assert parameters.parse(pairs[4:]) == {"e": float("-inf"), "f": "3"}


def test_of_a_tree_that_was_never_installed_the_declared_libraries_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def absent(name: str) -> list[str]:
        raise stamp.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(stamp.metadata, "requires", absent)
    stamp.libraries.cache_clear()
    found = stamp.libraries()
    stamp.libraries.cache_clear()
    names = ("torch", "scipy", "PyYAML", "anywidget")
    assert {"python", *(f"library {name}" for name in names)} <= set(found)
    assert "library pytest" not in found


# Runs, with real kernels


def test_a_batch_from_end_to_end(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A failure leaves the others alone; what is done is not done again; an edit re-runs one."""
    good = project / "notebooks/good.ipynb"
    write_notebook(good, "K = 2", "import sys; print(K * 21); print('odd', file=sys.stderr)")
    write_notebook(
        project / "notebooks/bad.ipynb", "K = 1", "x = 1", "x = 2\nraise ValueError('no')"
    )
    write_notebook(project / "notebooks/crash.ipynb", "K = 1", "import os; os.kill(os.getpid(), 9)")
    assert main(["run", "--jobs", "2"]) == 1
    report = "".join(capsys.readouterr())
    assert "2 of 3 notebooks failed" in report
    assert "code cell [3], at `raise ValueError('no')`" in report
    assert "ValueError: no" in report
    assert "notebooks/crash.ipynb: outside its cells" in report
    assert "wrote to standard error: odd" in report
    kept = paths.build() / "failed/executed/notebooks/bad.ipynb"
    assert str(kept) in report
    assert "ValueError" in kept.read_text()

    copy = paths.build() / "executed/notebooks/good.ipynb"
    assert "42" in copy.read_text()
    assert str(project) not in copy.read_text()
    assert not (paths.build() / "executed/notebooks/bad.ipynb").exists()
    assert not list((paths.build() / "running").iterdir())

    # Nothing changed: not executed again. One mended: that one alone.
    first = copy.read_bytes()
    write_notebook(project / "notebooks/bad.ipynb", "K = 1", "x = 1")
    (project / "notebooks/crash.ipynb").unlink()
    assert main(["run"]) == 0
    assert "1 of 2 notebooks are up to date" in capsys.readouterr().out
    assert copy.read_bytes() == first
    assert not kept.exists()
    assert main(["run"]) == 0
    assert "2 of 2 notebooks are up to date" in capsys.readouterr().out

    # A torn copy counts as none.
    copy.write_bytes(first[: len(first) // 2])
    assert main(["run", "--list"]) == 0
    assert "good.ipynb (never run)" in capsys.readouterr().out


def test_a_copy_reaches_another_filesystem_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, output = tmp_path / "here/a.ipynb", tmp_path / "there/a.ipynb"
    for path in (made, output):
        path.parent.mkdir()
    made.write_text("new")
    output.write_text("old")
    rename = os.replace

    def within_one_folder(source: Path, target: Path) -> None:
        if source.parent != target.parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        assert target.read_text() == "old"
        rename(source, target)

    monkeypatch.setattr(os, "replace", within_one_folder)
    worker._place(made, output)
    assert output.read_text() == "new"
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["a.ipynb"]


def test_a_copy_that_cannot_be_put_in_its_place_is_kept(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = project / "out/notebooks/a.ipynb"
    # Folders stand where the copy, and the copy of a failure, would go.
    blocked = [str(output), str(output.with_suffix(".failed.ipynb"))]
    blocking = f"import os\nfor path in {blocked}: os.makedirs(path)\nprint(6 * 7)"
    source = write_notebook(project / "notebooks/a.ipynb", "K = 1", blocking)
    # The little package must not stand before ours in the worker.
    monkeypatch.chdir(source.parent)
    assert main(["run", "--quiet", "--output", str(project / "out")]) == 1
    report = "".join(capsys.readouterr())
    assert f"{output}: its copy cannot be put there (Is a directory)" in report
    kept = Path(report.partition("its copy is kept: ")[2].splitlines()[0])
    assert "42" in kept.read_text()


@pytest.mark.parametrize("order", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "kill"])
def test_an_order_to_end_ends_the_kernels_and_keeps_what_was_finished(
    project: Path, order: signal.Signals
) -> None:
    write_notebook(project / "notebooks/a.ipynb", "K = 1")
    note = "import os, pathlib, time; pathlib.Path('pid').write_text(str(os.getpid()))"
    sleeper = f"{note}\ntime.sleep(300)"
    write_notebook(project / "notebooks/b.ipynb", "K = 1", sleeper)
    command = [sys.executable, "-m", "fwrnn_core", "run", "--jobs", "1"]
    # Not from the project's folder, where the little package would stand before ours.
    process = subprocess.Popen(
        command, cwd=project / "notebooks", stderr=subprocess.PIPE, text=True
    )
    pid_file = project / "notebooks/pid"
    try:
        wait_for(lambda: pid_file.exists() and pid_file.read_text())
        kernel = int(pid_file.read_text())
        process.send_signal(order)
        assert process.wait(timeout=90) == 130
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
        wait_for(lambda: not alive(kernel))
    finally:
        process.kill()
    assert (paths.build() / "executed/notebooks/a.ipynb").exists()
    assert not (paths.build() / "executed/notebooks/b.ipynb").exists()
    assert list((paths.build() / "running").iterdir()) == []


def test_dask_workers_run_notebooks_too(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The little package must not stand before ours in the workers.
    monkeypatch.chdir(
        write_notebook(project / "notebooks/a.ipynb", "K = 1", "print(K * 21)").parent
    )
    write_notebook(project / "notebooks/b.ipynb", "K = 1", "raise KeyError(K)")
    assert main(["run", "-p", "K", "2", "--engine", "dask", "--jobs", "1"]) == 1
    report = "".join(capsys.readouterr())
    assert "ok  notebooks/a.ipynb" in report
    assert "KeyError: 2" in report
    (copy,) = (paths.build() / "runs").rglob("a.ipynb")
    assert "42" in copy.read_text()
    assert list((paths.build() / "running").iterdir()) == []


def test_what_a_killed_batch_left_goes_with_the_next(project: Path) -> None:
    """Not what other machines, or processes that are at work, have there."""
    over = subprocess.Popen([sys.executable, "-c", ""])
    over.wait()
    root, here = paths.build() / "running", platform.node()
    left = root / f"{here}-{over.pid}-x1_y"
    others = [root / f"{here}-{os.getpid()}-ab", root / f"not-{here}-{over.pid}-ab", root / "cd"]
    for folder in (left, *others):
        (folder / "notebooks").mkdir(parents=True)
    with local.running() as own:
        assert sorted(root.iterdir()) == sorted([own, *others])
    assert sorted(root.iterdir()) == sorted(others)


def wait_for(condition, seconds: float = 30.0) -> None:  # type: ignore[no-untyped-def]
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"
