"""The build around Jupyter Book: what is swapped in, left out, and said of a page."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docutils import nodes
from hypothesis import given
from hypothesis import strategies as st

from fwrnn_core import paths
from fwrnn_core.batch import stamp
from fwrnn_core.book import assets, autodoc, build, extension, noscript, sharing, status, unbroken
from fwrnn_core.errors import ConfigError
from fwrnn_core.training import Record

from .sandbox import write_notebook, write_tree

ROOT = Path(__file__).parents[1]
CODE = Path(extension.__file__).parent


def cell(source: str, *tags: str) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "metadata": {"tags": list(tags)}, "outputs": []}


def test_injected_parameters_show_only_where_they_differ() -> None:
    declared = cell("profile = 'quick'  # how long\nK = 5", "parameters")
    same = cell('# Parameters\nprofile = "quick"\n', "injected-parameters")
    other = cell("# Parameters\nK = 7\n", "injected-parameters")
    assert extension.without_echo({"cells": [declared, same]})["cells"] == [declared]
    assert extension.without_echo({"cells": [declared, other]})["cells"] == [declared, other]


def read_page(docname: str) -> tuple[str, list[str]]:
    """Let the hook read a page; its text and the files that the page now depends on."""
    dependencies: list[str] = []
    env = SimpleNamespace(
        doc2path=lambda name: str(paths.home() / f"{name}.ipynb"),
        note_dependency=dependencies.append,
    )
    source = ["clean"]
    extension.show_executed(SimpleNamespace(env=env), docname, source)  # type: ignore[arg-type]
    return source[0], dependencies


def test_the_executed_copy_is_shown_if_it_is_of_this_version(
    project: Any, caplog: pytest.LogCaptureFixture
) -> None:
    source = write_notebook(project / "notebooks/a.ipynb", "K = 1", "K")
    copy = paths.build() / "executed/notebooks/a.ipynb"
    shown, dependencies = read_page("notebooks/a")
    assert shown == "clean"
    assert "no executed copy" in caplog.text
    assert dependencies == [str(copy)], "rebuilt once there is one"

    executed = json.loads(source.read_text())
    executed["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "1"}]
    executed["metadata"]["fwrnn"]["stamp"] = {"notebook": stamp.essence(stamp.read(source))}
    copy.parent.mkdir(parents=True)
    copy.write_text(json.dumps(executed))
    caplog.clear()
    assert json.loads(read_page("notebooks/a")[0])["cells"][1]["outputs"]
    assert caplog.text == ""

    write_notebook(project / "notebooks/a.ipynb", "K = 2", "K")
    read_page("notebooks/a")
    assert "of another version" in caplog.text


def paragraph(*parts: str | nodes.Node) -> nodes.paragraph:
    return nodes.paragraph("", "", *(nodes.Text(p) if isinstance(p, str) else p for p in parts))


def document(*paragraphs: nodes.paragraph) -> nodes.document:
    from docutils.utils import new_document

    page = new_document("page")
    page += nodes.section("", nodes.title("", "Title"), *paragraphs)
    return page


def test_a_description_has_no_formulas() -> None:
    formula, simple = nodes.math("", r"\Delta_K"), nodes.math("", r"\delta = 1")
    page = document(
        paragraph("The walk ends at ", formula, ". It never leaves the ball."),
        paragraph("So the paper says:"),
        paragraph("In short. Yes. It is ", formula, "."),
        paragraph("Question. Is the step of Sec. II (Fig. 1) as short as ", simple, "? Why?"),
        paragraph("It is ", formula, "."),
        paragraph("word " * 60),
    )
    said = "Is the step of Sec. II (Fig. 1) as short as δ = 1? Why?"
    assert sharing.description(page) == said
    long = sharing.description(document(paragraph("word " * 60)))
    assert long.endswith("…")
    assert len(long) <= sharing.LENGTH


def test_without_javascript_a_page_says_what_is_missing() -> None:
    widget = f'<script type="{noscript.WIDGET}">{{}}</script>'
    formula = '<span class="math notranslate nohighlight">x</span>'
    assert "picture that you can move is missing and formulas" in noscript.sentence(
        widget + formula
    )
    assert "picture" not in noscript.sentence(formula)
    context = {"body": formula}
    noscript.say(None, "page", "page.html", context, None)
    assert context["body"].startswith("<noscript>")
    assert context["body"].endswith(formula)


def test_pages_that_are_no_more_go(tmp_path: Path) -> None:
    kept = {"index.html", "404.html", "search.html", "a/b.html", "_static/x.html"}
    write_tree(tmp_path, dict.fromkeys([*kept, "a/old.html", "py-modindex.html"], ""))
    assets.remove_strays(tmp_path, {"a/b.html"})
    found = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.html")}
    assert found == kept


names = st.text("abcdef-", min_size=1, max_size=5).filter(lambda s: s[0] not in "-0123456789")


@given(st.lists(names, min_size=1, max_size=6), st.sets(names, max_size=4))
def test_slim_styles_keep_what_is_used_and_only_that(rules: list[str], used: set[str]) -> None:
    sheet = "".join(f".{name} a:hover{{x:1}}@media print{{.{name}{{y:2}}}}" for name in rules)
    slim = assets.slim_styles(sheet, used)
    kept = [name for name in rules if name in used]
    assert slim == "".join(f".{n} a:hover{{x:1}}@media print{{.{n}{{y:2}}}}" for n in kept)


def test_slim_styles_leave_the_rest_of_css_alone() -> None:
    sheet = (
        '@charset "utf-8";:root{--a:url("data:x{y}")}@font-face{src:url(a.woff)}'
        'html:not(.gone) a{b:c}a[href$="}"]{d:e}@keyframes k{from{x:0}to{x:1}}'
    )
    assert assets.slim_styles(sheet, {"used"}) == sheet


def test_slim_styles_know_comments_and_leave_the_font_of_icons() -> None:
    sheet = ".a{x:1}\n/*! Fonts, Inc. */.fa-bars{y:2}.fa-bars:before{content:'b'}.fa:before{z:3}"
    slim = assets.slim_styles(sheet, {"a", "fa", "fa-bars"})
    assert slim == ".a{x:1}\n/*! Fonts, Inc. */.fa-bars{y:2}"


def test_names_and_intervals_stay_on_a_line_and_code_is_left_alone() -> None:
    prose = nodes.paragraph("", "", nodes.strong("", "HAR-2"), nodes.Text(": −1.5 ± 12.3,\np = ∞."))
    code = nodes.paragraph("", "", nodes.literal("", "HAR-2"))
    page = nodes.section("", prose, code, nodes.literal_block("", "K = 5"))
    before = [part.astext().replace("\n", " ") for part in page]
    unbroken.keep_together(SimpleNamespace(), page, "")  # type: ignore[arg-type]
    spans = [n.astext() for n in page.findall(nodes.inline) if n["classes"] == ["kept"]]
    assert spans == ["HAR-2", "−1.5 ± 12.3", "p = ∞"]
    assert [part.astext() for part in page] == before


def test_a_figure_keeps_its_size_and_text() -> None:
    svg = '<g transform="scale(0.103125 -0.1)"><path id="p" d="M 1.23456 -0.00012 z"/></g>'
    assert assets.slim_figure(svg) == svg.replace("1.23456 -0.00012", "1.23 -0")


def test_the_status_row_says_how_a_notebook_was_run() -> None:
    papermill = {"parameters": {"K": 3}, "duration": 2.04, "end_time": "2026-01-02T03:04:05+00:00"}
    notebook = {
        "cells": [cell("1"), {"cell_type": "markdown", "source": "x"}],
        "metadata": {"papermill": papermill},
    }
    row = status.status_row(notebook)
    assert row == ["K = 3", "1", "2.0", "2026-01-02 03:04"]


def test_records_are_counted_by_family() -> None:
    def record(name: str, status: str, epochs: int) -> Record:
        body = {
            "config": {"name": name},
            "status": status,
            "curves": {"epoch": list(range(epochs))},
            "seconds": [1800.0] * epochs,
            "data": {"name": "har-2", "source": "hapt"},
        }
        return Record(body)

    found = {
        "a/b/x": record("a/b/x", "complete", 1200),
        "a/b/y": record("a/b/y", "diverged", 1),
        "elsewhere/a/b/y": record("a/b/y", "complete", 2),
        "own": record("own", "", 0),
    }
    rows = status.record_rows(found, ["a/b/x", "a/b/y", "a/b/z", "a/c/1"])
    assert rows == [
        ["a/b", "2 of 3", "1", "1", "1,201", "1.0", "har-2 (hapt)"],
        ["a/c", "0 of 1", "–", "–", "–", "–", "–"],
        ["elsewhere/a", "1 of 1", "1", "0", "2", "0.5", "har-2 (hapt)"],
        ["own", "1 of 1", "0", "0", "0", "0.0", "har-2 (hapt)"],
    ]


def test_a_new_record_makes_its_table_stale(project: Path) -> None:
    write_tree(project, {"data/records/a/b.json": "{}", "data/records/bench/c.json": "{}"})
    record = str(paths.records() / "a/b.json")
    env = SimpleNamespace(dependencies={"book/status": {record, "x"}, "other": {"x"}})
    stale = partial(status.with_new_records, None, env, set(), set(), set())  # type: ignore[arg-type]
    assert stale() == []
    write_tree(project, {"data/records/a/new.json": "{}"})
    assert stale() == ["book/status"]


def test_a_style_that_changed_makes_the_pages_stale(project: Path) -> None:
    def static(**styles: str) -> str:
        write_tree(project, {f"static/{name}.css": text for name, text in styles.items()})
        config = SimpleNamespace(html_static_path=["static"])
        extension.watch_sources(SimpleNamespace(confdir=project), config)  # type: ignore[arg-type]
        assert config.fwrnn_book == extension.content(CODE, suffixes=(".py", ".html"))
        return config.fwrnn_static

    before = static(one="a {}")
    assert static(one="a {}") == before
    assert static(one="b {}") != before


def test_code_that_makes_the_pages_is_known_by_its_content(project: Path) -> None:
    write_tree(project, {"code/a.py": "1", "code/a.html": "2", "code/__pycache__/a.pyc": "3"})
    sources = partial(extension.content, project / "code", suffixes=(".py", ".html"))
    before = sources()
    write_tree(project, {"code/__pycache__/a.pyc": "another Python's"})
    assert sources() == before
    write_tree(project, {"code/a.html": "3"})
    assert sources() != before


def test_docstrings_of_either_form_are_read_as_google_s() -> None:
    lines = [
        "One run.",
        "",
        "Parameters",
        "----------",
        "lr_step, lr_gamma : every so many",
        "    epochs",
        "",
        "Raises",
        "------",
        "ConfigError : out of range",
        "",
        ">>> 1",
    ]
    autodoc.mend_docstring(None, "class", "x", None, None, lines)  # type: ignore[arg-type]
    assert lines == [
        "One run.",
        "",
        "Args:",
        "    lr_step, lr_gamma: every so many",
        "        epochs",
        "",
        "Raises:",
        "    ConfigError: out of range",
        "",
        ">>> 1",
    ]
    google = ["x", "", "Args:", "    a: b", "", "---"]
    assert autodoc.sections(google) == google


def test_an_unknown_format_is_refused_before_anything_runs() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'html'"):
        build.check_format("htm")


@pytest.mark.parametrize(
    ("remote", "url"),
    [
        ("https://user:secret@github.com/a/b.git", "https://github.com/a/b"),
        ("ssh://git@gitlab.com/a/b", "https://gitlab.com/a/b"),
        ("https://example.org/a/b", None),
    ],
)
def test_a_remote_becomes_a_link_only_on_a_public_forge(remote: str, url: str | None) -> None:
    assert extension.forge_url(remote) == url
