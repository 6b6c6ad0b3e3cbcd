"""Every page of the built book: over http under a sub-path and as a file, light, dark, phone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import pytest

from fwrnn_core import paths

from .conftest import Visit, html, pages

pytestmark = pytest.mark.browser

PROSE, HEAVIEST = 1_500_000, 4_000_000  # bytes over the wire, nothing compressed
SHOOT_ALL = "FWRNN_SCREENSHOTS" in os.environ
FRONT = "notebooks/overview.html"
# Most of the time goes into these; a text has the same colours on a phone, whose own bars and
# buttons the front page shows.
COLOUR_RULES = ["color-contrast", "link-in-text-block"]
LOOKS = [(scheme, width) for scheme in ("light", "dark") for width in (1280, 390)]


def settle(page: Any) -> None:
    """Wait until mathematics and figures stand."""
    page.wait_for_load_state("networkidle")
    page.evaluate("async () => { if (window.MathJax?.startup) await MathJax.startup.promise; }")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.book-widget')].every((el) => el.dataset.state)"
    )


@pytest.mark.parametrize("page", pages())
def test_page_over_http(visit: Visit, site: str, page: str) -> None:
    visit.page.goto(f"{site}/{page}")
    settle(visit.page)
    assert visit.trouble == []
    shows = visit.page.locator("main img, main .book-widget").count()
    assert visit.weight < (HEAVIEST if shows else PROSE)
    assert visit.page.locator("mjx-merror").count() == 0
    assert visit.page.locator("[data-state=failed]").count() == 0
    for scheme, width in LOOKS:
        look(visit.page, scheme, width)
        colours = width > 1000 or page == FRONT
        wrong = too_wide(visit.page) + squeezed(visit.page) + broken_rules(visit.page, colours)
        if wrong or SHOOT_ALL:
            shoot(visit.page, page, scheme, width)
        assert wrong == [], (scheme, width)
    assert visit.trouble == []


@pytest.mark.parametrize("page", pages())
def test_page_as_a_file(visit: Visit, page: str) -> None:
    visit.page.goto((html() / page).as_uri())
    settle(visit.page)
    assert visit.trouble == []
    assert visit.page.locator("[data-state=failed]").count() == 0
    if visit.page.locator(".math").count():
        assert visit.page.locator("mjx-container").count() > 0


def look(page: Any, scheme: str, width: int) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_function("s => document.documentElement.dataset.theme === s", arg=scheme)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 60)))")


def too_wide(page: Any) -> list[str]:
    """Elements that make the page scroll sideways; none where it does not."""
    return list(
        page.evaluate(
            """() => {
              const width = document.documentElement.clientWidth;
              if (document.documentElement.scrollWidth <= width) return [];
              return [...document.querySelectorAll("main *")]
                .filter((el) => el.getBoundingClientRect().right > width + 1)
                .map((el) => `${el.tagName}.${el.className}`).slice(0, 5);
            }"""
        )
    )


def squeezed(page: Any) -> list[str]:
    """Drawn figures too narrow for their letters to be read; on a phone they scroll instead."""
    return list(
        page.evaluate(
            """() => [...document.querySelectorAll("main figure > img[src$='.svg']")]
              .filter((img) => img.naturalWidth > 480 && img.getBoundingClientRect().width < 479)
              .map((img) => img.alt)"""
        )
    )


def broken_rules(page: Any, colours: bool) -> list[str]:
    """Rules of axe-core (WCAG 2.1 A and AA, and good practice) that the page breaks; those about
    colours only if asked for."""
    from axe_playwright_python.sync_playwright import Axe

    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
    options = {
        "runOnly": rules,
        # axe does not read MathML: a header that is a formula counts as empty.
        "rules": {
            "empty-table-header": {"enabled": False},
            **{rule: {"enabled": colours} for rule in COLOUR_RULES},
        },
        # Without this axe asks for style sheets of its own accord.
        "preload": False,
        # Selectors of all that passes would take most of the time on a page of many links.
        "resultTypes": ["violations"],
    }
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{rule['id']}: {node['target']} {node['html'][:160]}"
        for rule in found
        for node in rule["nodes"][:3]
    ]


def shoot(page: Any, name: str, scheme: str, width: int) -> None:
    """Keep a picture of a page that is at fault, or of every one (FWRNN_SCREENSHOTS=1)."""
    folder = html().parent / "screenshots"
    folder.mkdir(exist_ok=True)
    stem = name.removesuffix(".html").replace("/", "-")
    page.screenshot(path=folder / f"{stem}-{scheme}-{width}.png", full_page=True)


def test_an_unknown_address_answers_with_a_page_of_the_book(visit: Visit, site: str) -> None:
    for address in ("/no/such/page.html", "/nothing"):
        visit.trouble.clear()
        answer = visit.page.goto(f"{site}{address}")
        assert answer.status == 404
        visit.page.wait_for_function(
            "root => document.querySelector('main a').href.startsWith(root)",
            arg=f"{site}/notebooks",
        )
        # It stands alone: nothing is asked for but the address itself and where the book begins.
        asked = [line.split()[-1] for line in visit.trouble if line.startswith("404")]
        assert all(url == f"{site}{address}" or url.endswith("/objects.inv") for url in asked)
        assert visit.page.locator("h1").inner_text().startswith("No such page")
        home = visit.page.locator("main a").first
        home.click()
        visit.page.wait_for_load_state()
        assert "notebooks/overview" in visit.page.url


def test_the_front_door_leads_in(visit: Visit, site: str) -> None:
    visit.page.goto(f"{site}/index.html")
    visit.page.wait_for_url("**/notebooks/overview.html")
    assert visit.trouble == []


def build_beside(folder: Path, *options: str, **environment: str) -> None:
    """Build the book into a folder of its own, from the pages as the last build read them."""
    read = ".doctrees"  # what a build's settings change of it, Sphinx reads again
    shutil.copytree(paths.build() / read, folder / "_build" / read)
    start = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", start, "build", str(paths.home()), "-q", "-W"]
    command += ["--keep-going", *options, "--path-output", str(folder)]
    subprocess.run(command, env=os.environ | environment, check=True, capture_output=True)


def test_a_published_book_has_buttons_to_launch_and_edit(tmp_path: Path) -> None:
    """Built as the publishing workflow does, into a folder of its own."""
    build_beside(
        tmp_path,
        FWRNN_REPOSITORY_URL="https://github.com/owner/name",
        FWRNN_SITE_URL="https://owner.github.io/name",
    )
    page = (tmp_path / "_build/html/notebooks/using.html").read_text("utf-8")
    for address in (
        "https://mybinder.org/v2/gh/owner/name/main?urlpath=lab/tree/notebooks/using.ipynb",
        "https://github.com/owner/name/edit/main/notebooks/using.ipynb",
        "https://owner.github.io/name/_static/card.png",
    ):
        assert f'"{address}"' in page, address
    lost = (tmp_path / "_build/html/404.html").read_text("utf-8")
    assert 'href="/name/notebooks/overview.html"' in lost


def test_the_whole_book_on_one_page(visit: Visit, tmp_path: Path) -> None:
    build_beside(tmp_path, "--builder", "singlehtml")
    page = tmp_path / "_build/singlehtml/index.html"
    visit.page.goto(page.as_uri())
    settle(visit.page)
    assert visit.trouble == []
    states = visit.page.locator(".book-widget").evaluate_all(
        "all => all.map((w) => w.dataset.state)"
    )
    assert set(states) == {"ready"}
    assert len(states) > 3, "the explorers of several chapters"
    tags = Tags(page.read_text("utf-8"))
    places = tags.ids() | {""}
    assert [u for u in links(tags) if u.startswith("#") and unquote(u[1:]) not in places] == []


def test_search_finds_a_word_of_the_book(visit: Visit, site: str) -> None:
    visit.page.goto(f"{site}/search.html?q=Frank-Wolfe")
    visit.page.wait_for_selector("#search-results li")
    assert visit.page.locator("#search-results li").count() >= 1
    assert visit.trouble == []


def test_a_phone_s_drawer_of_contents_closes_on_the_section_chosen(visit: Visit, site: str) -> None:
    visit.page.set_viewport_size({"width": 390, "height": 844})
    visit.page.goto(f"{site}/notebooks/experiments/tuning.html")
    settle(visit.page)
    visit.page.locator(".secondary-toggle:visible").first.click()
    drawer = visit.page.locator("dialog[open]")
    drawer.locator('a[href^="#"]:visible').nth(2).click()
    drawer.wait_for(state="hidden")
    assert visit.trouble == []


def test_a_phone_names_the_curves_below_a_picture_that_scrolls(visit: Visit, site: str) -> None:
    visit.page.goto(f"{site}/notebooks/experiments/har2.html")
    settle(visit.page)
    keys = visit.page.locator("figure .figure-key")
    assert keys.count() >= 3
    look(visit.page, "light", 1280)
    assert not any(keys.nth(i).is_visible() for i in range(keys.count()))
    look(visit.page, "light", 390)
    names = keys.first.locator("li")
    assert {"Adam", "K = 5"} <= {text.strip() for text in names.all_inner_texts()}
    edges = names.evaluate_all("items => items.map((item) => item.getBoundingClientRect().right)")
    assert min(edges) > 0
    assert max(edges) <= 390
    assert visit.trouble == []


def test_paper_shows_whole_tables_and_dark_figures_in_ink(visit: Visit, site: str) -> None:
    visit.page.goto(f"{site}/notebooks/experiments/tuning.html")
    settle(visit.page)
    look(visit.page, "dark", 720)  # about A4 between its margins
    visit.page.emulate_media(media="print", color_scheme="dark")
    cut = visit.page.evaluate(
        "() => [...document.querySelectorAll('.pst-scrollable-table-container')]"
        ".filter((box) => box.scrollWidth > box.clientWidth + 1).length"
    )
    assert cut == 0
    filters = visit.page.evaluate(
        "() => [...document.querySelectorAll('.bd-article figure img')]"
        ".map((img) => getComputedStyle(img).filter)"
    )
    assert filters, "the page has figures"
    assert set(filters) == {"none"}


# What needs no browser


class Tags(HTMLParser):
    """Names and attributes of all tags of a page, and its ids."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def ids(self) -> set[str]:
        return {str(a[key]) for _, a in self.tags for key in ("id", "name") if a.get(key)}


@pytest.fixture(scope="module")
def parsed() -> dict[str, Tags]:
    return {page: Tags((html() / page).read_text("utf-8")) for page in [*pages(), "index.html"]}


def links(tags: Tags) -> Iterator[str]:
    for _, attributes in tags.tags:
        yield from (str(attributes[key]) for key in ("href", "src") if attributes.get(key))


def test_every_link_inside_the_book_resolves(parsed: dict[str, Tags]) -> None:
    dead = []
    for page, tags in parsed.items():
        for link in links(tags):
            url = urlsplit(link)
            if url.scheme or url.netloc or link.startswith(("#top", "data:")):
                continue
            target = unquote(urlsplit(urljoin(f"/{page}", link)).path).lstrip("/")
            if page == "404.html" and link.startswith("/"):
                continue
            if not (html() / target).is_file():
                dead.append(f"{page}: {link}")
            elif (
                url.fragment
                and target in parsed
                and unquote(url.fragment) not in parsed[target].ids()
            ):
                dead.append(f"{page}: no such place on the page: {link}")
    assert dead == []


def test_the_report_hands_out_its_records(parsed: dict[str, Tags]) -> None:
    page = "notebooks/experiments/reproduction_report.html"
    links = {
        str(attributes["href"])
        for tag, attributes in parsed[page].tags
        if tag == "a" and "download" in (attributes.get("class") or "").split()
    }
    assert links
    for link in links:
        place = html() / unquote(urlsplit(urljoin(f"/{page}", link)).path).lstrip("/")
        record = json.loads(place.read_text("utf-8"))
        assert record["config"]["name"].rpartition("/")[2] == place.stem


def test_every_picture_says_what_it_shows(parsed: dict[str, Tags]) -> None:
    """An alt text is written by a person: not absent, not the file's address."""
    bare = [
        f"{page}: {attributes.get('src', '')[:80]}"
        for page, tags in parsed.items()
        for tag, attributes in tags.tags
        if tag == "img" and len((attributes.get("alt") or "").split()) < 2
    ]
    assert bare == []


def test_every_figure_is_drawn(parsed: dict[str, Tags]) -> None:
    """Not shown as the words that stand for one where no format for pictures is set."""
    pages = {page: (html() / page).read_text("utf-8") for page in parsed}
    assert [page for page, text in pages.items() if "&lt;Figure size" in text] == []


def test_every_page_can_be_shared(parsed: dict[str, Tags]) -> None:
    """Title, description and picture for those who paste a link, without leftovers of LaTeX."""
    for page, tags in parsed.items():
        if page in ("genindex.html", "py-modindex.html", "search.html", "404.html", "index.html"):
            continue
        about = {
            a.get("property") or a.get("name"): a.get("content")
            for t, a in tags.tags
            if t == "meta"
        }
        assert about.get("og:title"), page
        description = about.get("og:description") or ""
        assert len(description) > 30, page
        assert not {"\\", "$"} & set(description), page
        assert about.get("og:image"), page


def test_downloads_are_the_clean_notebooks() -> None:
    for page in pages():
        source = html() / "_sources" / Path(page).with_suffix(".ipynb")
        if source.is_file():
            cells = json.loads(source.read_text("utf-8"))["cells"]
            assert not any(cell.get("outputs") for cell in cells), page
