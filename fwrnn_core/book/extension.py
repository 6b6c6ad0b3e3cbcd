"""Sphinx extension: the book shows executed copies, and asks no other host for anything.

- The table of contents names the clean notebooks; when Sphinx reads one, its executed copy takes
  its place. Addresses, cross-references and downloads all stay those of the source.
- Scripts and styles are slimmed to what the pages use (:mod:`~fwrnn_core.book.assets`).
- ``{fwrnn-status}``, ``{fwrnn-records}`` and ``{fwrnn-environment}`` are the tables of the
  reproducibility page, made from the executed copies, the records and the installed packages.
"""

from __future__ import annotations

import ast
import hashlib
import html
import json
import os
import re
import subprocess
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fwrnn_core import paths
from fwrnn_core.batch.plan import executed
from fwrnn_core.batch.stamp import essence, read
from fwrnn_core.book import noscript
from fwrnn_core.book.assets import finish
from fwrnn_core.book.autodoc import mend_docstring, mend_signature, skip_fields
from fwrnn_core.book.key import add_keys
from fwrnn_core.book.onepage import add_widgets, move_page
from fwrnn_core.book.sharing import describe_page
from fwrnn_core.book.status import EnvironmentTable, RecordsTable, StatusTable, with_new_records
from fwrnn_core.book.unbroken import keep_together
from fwrnn_core.errors import ConfigError

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config


def show_executed(app: Sphinx, docname: str, source: list[str]) -> None:
    """``source-read``: put the executed copy in place of a clean notebook."""
    path = Path(app.env.doc2path(docname))
    if path.suffix != ".ipynb":
        return
    from sphinx.util import logging

    warn = logging.getLogger(__name__).warning
    copy = executed() / f"{docname}.ipynb"
    app.env.note_dependency(str(copy))
    try:
        notebook = read(copy)
    except FileNotFoundError:
        warn("no executed copy of this notebook: run `fwrnn book`", location=docname)
        return
    except ConfigError as error:
        warn("%s", error, location=docname)
        return
    stamp = notebook["metadata"].get("fwrnn", {}).get("stamp", {})
    if stamp.get("notebook") != essence(read(path)):
        warn("the executed copy is of another version: run `fwrnn book`", location=docname)
    source[0] = json.dumps(without_silence(without_echo(notebook)))


def without_echo(notebook: dict[str, Any]) -> dict[str, Any]:
    """Leave out papermill's cell of injected parameters where it only repeats the defaults."""
    cells = notebook["cells"]
    tagged = {tag: cell for cell in cells for tag in cell.get("metadata", {}).get("tags", ())}
    injected, declared = tagged.get("injected-parameters"), tagged.get("parameters")
    if injected and declared and assigned(injected) <= assigned(declared):
        cells = [cell for cell in cells if cell is not injected]
    return {**notebook, "cells": cells}


def without_silence(notebook: dict[str, Any]) -> dict[str, Any]:
    """Leave out outputs of empty Markdown, for which a page would show the object's name.

    >>> nothing = {"data": {"text/markdown": [], "text/plain": ["<Markdown object>"]}}
    >>> without_silence({"cells": [{"outputs": [nothing]}]})
    {'cells': [{'outputs': []}]}
    """

    def silent(output: dict[str, Any]) -> bool:
        data = output.get("data", {})
        return "text/markdown" in data and not "".join(data["text/markdown"]).strip()

    for cell in notebook["cells"]:
        if "outputs" in cell:
            cell["outputs"] = [output for output in cell["outputs"] if not silent(output)]
    return notebook


def assigned(cell: dict[str, Any]) -> set[str]:
    """The assignments of a cell, normalised.

    >>> sorted(assigned({"source": "K = 5  # inner steps\\nprofile = 'quick'"}))
    ['K = 5', "profile = 'quick'"]
    """
    return {ast.unparse(node) for node in ast.parse("".join(cell["source"])).body}


def follow_glue(app: Sphinx, doctree: Any) -> None:
    """``doctree-read``: a page that quotes another notebook's number is rebuilt with it."""
    from myst_nb.ext.glue.utils import PendingGlueReference

    for node in doctree.findall(PendingGlueReference):
        app.env.note_dependency(str(executed() / f"{node.refdoc}.ipynb"))


def find_repository(app: Sphinx, config: Config) -> None:
    """``config-inited``: repository links, launch and edit buttons, where a repository is known.

    ``FWRNN_REPOSITORY_URL`` names it (the publishing workflow sets it), else the checkout's
    remote does if it is on a public forge. A book of a local copy shows no dead links.
    """
    url = os.environ.get("FWRNN_REPOSITORY_URL") or _remote()
    if not url:
        return
    options = config.html_theme_options
    options["repository_url"] = url
    options["repository_branch"] = os.environ.get("FWRNN_REPOSITORY_BRANCH", "main")
    for button in ("repository", "edit_page", "issues"):
        options[f"use_{button}_button"] = True
    # Binder builds environment.yml; a host without it could not import the package.
    options["launch_buttons"] = {
        "notebook_interface": "jupyterlab",
        "binderhub_url": "https://mybinder.org",
    }
    if site := os.environ.get("FWRNN_SITE_URL"):
        config.html_baseurl = config.ogp_site_url = site.rstrip("/") + "/"


def _remote() -> str | None:
    """``https://forge/owner/name`` of the remote ``origin``, None when it is not such a place."""
    try:
        done = subprocess.run(
            ["git", "-C", str(paths.home()), "remote", "get-url", "origin"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return forge_url(done.stdout.strip())


def forge_url(remote: str) -> str | None:
    """The web address of a git remote on GitHub or GitLab; credentials in it are dropped.

    >>> forge_url("git@github.com:owner/name.git")
    'https://github.com/owner/name'
    >>> forge_url("/srv/git/name.git") is None
    True
    """
    found = re.fullmatch(
        r"(?:https://(?:[^@/]*@)?|ssh://git@|git@)(github\.com|gitlab\.com)[:/]([^/]+/[^/]+?)(?:\.git)?/?",
        remote,
    )
    return f"https://{found[1]}/{found[2]}" if found else None


def watch_sources(app: Sphinx, config: Config) -> None:
    """``config-inited``: a style, a script or a module of this package that changed makes all pages
    stale.

    Sphinx copies static files only while it writes a page, and a page names each by its content; of
    an extension's code it knows no more than a version.
    """
    config.fwrnn_static = content(*(Path(app.confdir) / f for f in config.html_static_path))
    config.fwrnn_book = content(Path(__file__).parent, suffixes=(".py", ".html"))


def content(*folders: Path, suffixes: tuple[str, ...] = ()) -> str:
    """SHA-256 of the names and bytes of all files, or those with these suffixes, in folders."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            if not suffixes or path.suffix in suffixes:
                digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def write_doors(app: Sphinx, error: Exception | None) -> None:
    """``build-finished``: ``index.html`` leads to the first page, ``404.html`` back into the book.

    The latter stands alone, since an unknown address can be at any depth and relative links to
    styles would lead nowhere.
    """
    if error or app.builder.name != "html":
        return
    config = app.config
    start = app.builder.get_target_uri(config.root_doc)
    common = {"START": start, "TITLE": config.html_title, "CARD": config.ogp_image}
    common["CARD_ALT"] = config.ogp_image_alt
    path = urlsplit(config.html_baseurl).path
    _fill("not_found.html", Path(app.outdir) / "404.html", {**common, "SITE": path})
    if start != "index.html":
        place = Path(app.outdir) / "index.html"
        _fill("front_door.html", place, {**common, "SITE": config.html_baseurl})


def _fill(template: str, target: Path, values: dict[str, str]) -> None:
    text = (resources.files("fwrnn_core.book") / template).read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", html.escape(value))
    target.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx calls this once."""
    app.add_config_value("fwrnn_static", "", "html")  # pages are written anew
    app.add_config_value("fwrnn_book", "", "env")  # and read anew
    app.connect("config-inited", find_repository)
    app.connect("config-inited", watch_sources)
    app.connect("source-read", show_executed)
    app.connect("doctree-read", follow_glue)
    app.connect("doctree-resolved", add_keys)
    app.connect("doctree-resolved", keep_together)
    app.connect("env-get-outdated", with_new_records)
    # Before the extension that writes the tags.
    app.connect("html-page-context", describe_page, priority=400)
    # Before napoleon.
    app.connect("autodoc-process-docstring", mend_docstring, priority=400)
    app.connect("autodoc-process-signature", mend_signature)
    app.connect("autodoc-skip-member", skip_fields)
    app.connect("build-finished", write_doors, priority=800)
    app.connect("html-page-context", add_widgets)
    app.connect("html-page-context", noscript.say)
    app.connect("build-finished", move_page, priority=850)
    # After all that writes pages or scripts.
    app.connect("build-finished", finish, priority=900)
    app.add_directive("fwrnn-status", StatusTable)
    app.add_directive("fwrnn-records", RecordsTable)
    app.add_directive("fwrnn-environment", EnvironmentTable)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
