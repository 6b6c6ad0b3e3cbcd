"""The house rules: one environment in two forms, clean notebooks, a whole book, a true README."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from fwrnn_core.batch.catalog import book_pages
from fwrnn_core.batch.stamp import python_of

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").rglob("*.ipynb"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def read(path: Path) -> dict:
    return json.loads(path.read_text("utf-8"))


def name_of(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {name_of(name): version for name, version in pairs}


def test_conda_users_get_what_pyproject_asks_for() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    *conda, pip = environment["dependencies"]
    assert f"python{PROJECT['project']['requires-python']}" in conda
    assert "pip" in conda
    extras = ",".join(sorted(PROJECT["project"]["optional-dependencies"]))
    assert pip == {"pip": ["--constraint constraints.txt", f"--editable .[{extras}]"]}
    assert (
        f"--constraint constraints.txt --editable '.[{extras}]'" in (ROOT / "Makefile").read_text()
    )


def test_every_dependency_is_pinned() -> None:
    project = PROJECT["project"]
    wanted = [
        *project["dependencies"],
        *(r for rs in project["optional-dependencies"].values() for r in rs),
    ]
    pinned = constraints()
    assert [name for name in map(name_of, wanted) if name not in pinned] == []
    assert not [version for version in pinned.values() if "+" in version]


def imported(source: str) -> set[str]:
    """The packages that a source imports, wherever it does."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            found.add(str(node.module))
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name.partition(".")[0] for name in found} - sys.stdlib_module_names


def test_every_library_that_is_imported_is_declared() -> None:
    """Not left to what some other dependency brings."""
    project = PROJECT["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["book"], *extras["cluster"]]
    declared = set(map(name_of, wanted))
    sources = [path.read_text("utf-8") for path in (ROOT / "fwrnn_core").rglob("*.py")]
    sources += [python_of(read(path)) for path in NOTEBOOKS]
    used = set[str]().union(*map(imported, sources)) - {"fwrnn_core"}
    assert len(used) > 10
    used -= {"triton"}  # torch's own compiler for GPUs, where there is one
    made_by = metadata.packages_distributions()
    assert {u for u in used if not declared & set(map(name_of, made_by.get(u, [u])))} == set()


def test_pinned_versions_take_the_oldest_python_promised() -> None:
    """Not only the Python at hand: Debian 12 has 3.11.2, where a pin for 3.11.5 ends ``make``."""
    promised = PROJECT["project"]["requires-python"].removeprefix(">=") + ".0"
    installed = {name_of(found.name): found.metadata for found in metadata.distributions()}
    asked = {
        name: installed[name].get("Requires-Python", "")
        for name in constraints()
        if name in installed
    }
    assert len(asked) > 100
    assert {n: a for n, a in asked.items() if promised not in SpecifierSet(a)} == {}


def test_the_optimizer_alone_needs_little() -> None:
    """torch and numpy are heavy; tqdm and filelock have no dependencies (torch brings filelock)."""
    needed = {"torch", "numpy", "tqdm", "filelock"}
    assert set(map(name_of, PROJECT["project"]["dependencies"])) == needed


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_source_is_clean(path: Path) -> None:
    notebook = read(path)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not [c for c in code if c["outputs"] or c["execution_count"]], "clear its outputs"
    assert "widgets" not in notebook["metadata"]
    parameters = [c for c in code if "parameters" in c["metadata"].get("tags", [])]
    assert len(parameters) == 1, "one cell tagged `parameters`"
    assert set(notebook["metadata"].get("fwrnn", {})) <= {"data", "records", "modules"}
    assert notebook["cells"][0]["cell_type"] == "markdown", "begins with its title"
    assert "".join(notebook["cells"][0]["source"]).startswith("# ")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_figures_have_alt_text_and_caption(path: Path) -> None:
    cells = read(path)["cells"]
    drawn = any("figure" in cell["metadata"].get("mystnb", {}) for cell in cells)
    styled = any("figures.use()" in "".join(cell["source"]) for cell in cells)
    assert styled or not drawn, "without it a figure is shown as the words <Figure size …>"
    for cell in cells:
        about = cell["metadata"].get("mystnb", {})
        if "figure" in about or "image" in about:
            assert len(about["image"]["alt"].split()) > 3, cell["source"]
            assert len(about["figure"]["caption"].split()) > 3, cell["source"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_uses_names_that_the_package_has(path: Path) -> None:
    tree = ast.parse(python_of(read(path)))
    known: dict[str, object] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fwrnn_core"):
            for alias in node.names:
                module = importlib.import_module(node.module)
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")
                known[alias.asname or alias.name] = getattr(module, alias.name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = known.get(node.value.id)
            assert not isinstance(owner, ModuleType) or hasattr(owner, node.attr), ast.unparse(node)


def test_figure_names_are_unique_in_the_book() -> None:
    names = [
        cell["metadata"]["mystnb"]["figure"]["name"]
        for path in NOTEBOOKS
        for cell in read(path)["cells"]
        if "figure" in cell["metadata"].get("mystnb", {})
    ]
    assert sorted(names) == sorted(set(names))


def test_the_table_of_contents_names_every_page_once() -> None:
    pages = list(book_pages(yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))))
    assert len(pages) == len(set(pages))
    files = [*NOTEBOOKS, *(ROOT / "book").rglob("*.md")]
    assert set(pages) == {p.relative_to(ROOT).with_suffix("").as_posix() for p in files}


def test_the_readme_s_code_runs() -> None:
    """In a process of its own, as a reader would run it."""
    text = (ROOT / "README.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, last = map(float, re.findall(r"loss (\d\.\d+)", done.stdout))
    assert last < first / 4, "it shows that the network learns"
    assert "agreement " in done.stdout


def test_links_of_the_readme_lead_to_files_and_headings() -> None:
    for name in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / name).read_text("utf-8")
        headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}
        for target in re.findall(r"\]\(([^)]+)\)", text):
            there = target[1:] in anchors if target.startswith("#") else (ROOT / target).exists()
            assert target.startswith("https://") or there, target


def test_versions_agree() -> None:
    version = PROJECT["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == version
    source = (ROOT / "fwrnn_core/__init__.py").read_text("utf-8")
    assert f'__version__ = "{version}"' in source


#: Bottom to top. A module imports its own part and those of lines above, never a neighbour's.
LAYERS = (
    *("errors", "locks memory paths signals wording"),
    *("data", "models", "optim", "training", "experiments"),
    *("theory figures explorer", "evidence", "reports", "fairness", "ablation claims"),
    *("batch", "book", "cli", "__main__"),
)
#: Measurements that were recorded are read as evidence; a config names the probes it carries.
UPWARD = {
    ("theory/recorded.py", "evidence"),
    ("training/probes.py", "theory"),
}
#: How a string names a module, or an object in it.
MODULE = re.compile(r"fwrnn_core(\.\w+)+(:\w+)?")


def imports(tree: ast.AST) -> Iterator[str]:
    """What a module imports of the package, wherever it does: by statement, or by a string."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, "no relative imports: they hide what they lead to"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(text := getattr(node, "value", None), str) and MODULE.fullmatch(text):
            yield text.partition(":")[0]


def test_the_source_distribution_names_files_that_exist() -> None:
    lines = (ROOT / "MANIFEST.in").read_text("utf-8").splitlines()
    (included,) = (line.split()[1:] for line in lines if line.startswith("include "))
    assert [name for name in included if not (ROOT / name).is_file()] == []
    assert "prune tests" in lines  # they run in a clone only


def test_a_lower_layer_never_imports_a_higher_one() -> None:
    level = {name: number for number, names in enumerate(LAYERS) for name in names.split()}
    package = ROOT / "fwrnn_core"
    upward = set()
    for path in package.rglob("*.py"):
        place = path.relative_to(package)
        part = place.with_suffix("").parts[0]
        if part == "__init__":
            continue
        assert part in level, f"say in which layer {part} lies"
        for name in imports(ast.parse(path.read_text("utf-8"))):
            _, *pieces = name.split(".")
            if not name.startswith("fwrnn_core.") or pieces[0] in (part, "__version__"):
                continue
            if level[pieces[0]] >= level[part]:
                upward.add((place.as_posix(), pieces[0]))
    assert upward == UPWARD
