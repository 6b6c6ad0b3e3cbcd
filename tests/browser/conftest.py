"""A headless Chromium that can reach this book and nothing else."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from fwrnn_core import paths

from .explorer_page import show  # noqa: F401 (a fixture)

SUB_PATH = "/some/where/book"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Even what the browser itself would ask for stays here.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


def html() -> Path:
    return paths.build() / "html"


def pages() -> list[str]:
    """Pages of the built book by path, without those that only redirect."""
    found = sorted(p.relative_to(html()).as_posix() for p in html().rglob("*.html"))
    alone = ("index.html", "404.html")
    return [page for page in found if page not in alone and not page.startswith("_static/")]


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the book under a sub-path, and 404.html for the rest, as GitHub Pages does."""

    def translate_path(self, path: str) -> str:
        inside = unquote(urlsplit(path).path)
        if not inside.startswith(f"{SUB_PATH}/"):
            return str(html() / "nowhere")
        return super().translate_path(inside.removeprefix(SUB_PATH))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        page = html() / "404.html"
        if code != 404 or not page.is_file():
            super().send_error(code, message, explain)
            return
        body = page.read_bytes()
        self.send_response(404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    """Address of the built book under a sub-path of a local server."""
    assert (html() / "index.html").is_file(), f"no book in {html()}: run `make book` first"
    handler = functools.partial(Handler, directory=str(html()))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{SUB_PATH}"
        server.shutdown()


def chromium() -> str:
    for name in (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"):
        if name and (path := shutil.which(name)):
            return path
    raise RuntimeError("no Chromium found: install one, or name it in CHROMIUM")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page and everything that went wrong while it was open."""

    page: Any
    trouble: list[str] = field(default_factory=list)
    weight: int = 0


@pytest.fixture
def visit(browser: Any, site: str) -> Iterator[Visit]:
    """A fresh page, 1280 px wide, that notes foreign requests, failures and console errors."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, color_scheme="light", reduced_motion="reduce"
    )
    visit = Visit(context.new_page())
    own = urlsplit(site).netloc

    def route(route: Any) -> None:
        url = urlsplit(route.request.url)
        if url.scheme in ("data", "blob", "file") or url.netloc == own:
            route.continue_()
        else:
            visit.trouble.append(f"asks another host: {route.request.url}")
            route.abort()

    def response(response: Any) -> None:
        if response.status >= 400:
            visit.trouble.append(f"{response.status}: {response.url}")
            return
        visit.weight += int(response.headers.get("content-length", 0))

    context.route("**/*", route)
    visit.page.on("response", response)
    visit.page.on("requestfailed", lambda r: visit.trouble.append(f"failed: {r.url} ({r.failure})"))
    visit.page.on("pageerror", lambda error: visit.trouble.append(f"error: {error}"))
    visit.page.on(
        "console",
        lambda m: visit.trouble.append(f"console: {m.text}") if m.type == "error" else None,
    )
    yield visit
    context.close()
