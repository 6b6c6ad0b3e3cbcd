"""Assets of the built pages: MathJax from PyPI, and a theme without what no page uses.

The theme ships 2,000 icons as script (1.5 MB) and the whole of Bootstrap as style sheet (0.4 MB) to
every page. After a build the pages are there to be read, so everything in the two files that no
page and no script mentions is left out. A page of prose then weighs about half.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

# Of MathJax's 15 MB: loader, TeX input with the extensions that it loads on demand, HTML output
# and MathML for screen readers. The ready-made bundles weigh twice as much, with a menu and speech.
MATHJAX = (
    "startup.js",
    "core.js",
    "input/tex.js",
    "input/tex/extensions",
    "output/chtml.js",
    "output/chtml/fonts",
    "a11y/assistive-mml.js",
)
THEME = "theme/pydata_sphinx_theme/static"
ICONS, STYLES = "scripts/fontawesome.js", "styles/pydata-sphinx-theme.css"

# Pages that are no document of the book.
ALONE = ("index.html", "404.html", "genindex.html", "search.html")

_WORD = re.compile(r"[\w-]+")
_ICON = re.compile(
    r'"?(?P<name>[\w-]+)"?:\[\d+,\d+,\[(?P<aliases>[^\]]*)\],"[0-9a-f]+",'
    r'(?:"[^"]*"|\["[^"]*","[^"]*"\])\],?'
)
_SEARCH = re.compile(
    r'\s*<script src="[^"]*(?:searchtools|language_data|searchindex)\.js[^"]*"></script>'
)
_PATH = re.compile(r'(?<= d=")[^"]+')
_DECIMALS = re.compile(r"-?\d+\.\d{3,}")
_CLASS = re.compile(r"\.((?:[\w-]|\\.)+)")
_ROW_NAME = re.compile(
    r'(<tr[^>]*>\s*)<td>((?:(?!</td>).)*)</td>(?=\s*<td class="text-right")', re.DOTALL
)
_SIGNATURE = re.compile(r'(<span class="sig-paren">\(</span>)\s*<dl>(.*?)</dl>', re.DOTALL)
_FORMULA = '<span class="math notranslate nohighlight">[^<]*</span>'
_BESIDE = re.compile(
    rf'<span class="kept">[^<]*{_FORMULA}[^<]*</span>|([(\[“]?)({_FORMULA})([.,;:!?)\]’”]*)'
)


def finish(app: Sphinx, error: Exception | None) -> None:
    """``build-finished``: put MathJax beside the pages and slim the theme."""
    if error or app.builder.format != "html":
        return
    out = Path(app.outdir)
    if app.builder.name == "html":
        remove_strays(out, {app.builder.get_target_uri(page) for page in app.env.found_docs})
    _copy_mathjax(out / "_static" / "mathjax")
    # Always from the originals: an incremental build may need what the last one did not.
    theme = resources.files("pydata_sphinx_theme") / THEME
    used = words(out)
    for name, slim in ((ICONS, slim_icons), (STYLES, slim_styles)):
        text = slim((theme / name).read_text(encoding="utf-8"), used)
        (out / "_static" / name).write_text(text, encoding="utf-8")
    for path, mend in (*((p, slim_figure) for p in (out / "_images").glob("*.svg")), *_pages(out)):
        before = path.read_text(encoding="utf-8")
        if (after := mend(before)) != before:
            path.write_text(after, encoding="utf-8")


def remove_strays(out: Path, pages: set[str]) -> None:
    """Remove pages of an earlier build that the book no longer has; ``pages`` by their address."""
    for path in out.rglob("*.html"):
        page = path.relative_to(out).as_posix()
        if page not in pages and page not in ALONE and not page.startswith("_static/"):
            path.unlink()


def _pages(out: Path) -> list[tuple[Path, Callable[[str], str]]]:
    mend: dict[str, Callable[[str], str]] = {"search.html": mend_roles}
    return [(path, mend.get(path.name, mend_page)) for path in out.rglob("*.html")]


def mend_page(page: str) -> str:
    """A page without the search index, which only the search page reads, and with right roles.

    >>> mend_page('<script src="../searchindex.js"></script><p>')
    '<p>'
    """
    return mend_roles(name_rows(mend_signatures(hold_together(_SEARCH.sub("", page)))))


def name_rows(page: str) -> str:
    """A name before a row of numbers is the row's header, which Markdown cannot say.

    >>> name_rows('<tr><td><p>Adam</p></td><td class="text-right">1</td></tr>')
    '<tr><th scope="row"><p>Adam</p></th><td class="text-right">1</td></tr>'
    """
    return _ROW_NAME.sub(r'\1<th scope="row">\2</th>', page)


def mend_signatures(page: str) -> str:
    """Sphinx sets a long signature as a definition list without terms; here it is lines.

    >>> mend_signatures('<span class="sig-paren">(</span><dl><dd>a</dd></dl>')
    '<span class="sig-paren">(</span><span class="sig-lines"><span>a</span></span>'
    """

    def lines(found: re.Match[str]) -> str:
        inner = found[2].replace("<dd>", "<span>").replace("</dd>", "</span>")
        return f'{found[1]}<span class="sig-lines">{inner}</span>'

    return _SIGNATURE.sub(lines, page)


def hold_together(page: str) -> str:
    """Formulas together with the punctuation beside them, which browsers put on a line of its own.

    >>> page = hold_together('(<span class="math notranslate nohighlight">x</span>), or')
    >>> page
    '<span class="kept">(<span class="math notranslate nohighlight">x</span>),</span> or'
    >>> hold_together(page) == page
    True
    """

    def keep(found: re.Match[str]) -> str:
        alone = not (found[1] or found[3])
        return found[0] if alone else f'<span class="kept">{found[0]}</span>'

    return _BESIDE.sub(keep, page)


def mend_roles(page: str) -> str:
    """docutils gives the entries of a bibliography a role that ARIA 1.2 has only on ``<li>``.

    >>> mend_roles('<div class="citation" role="doc-biblioentry">')
    '<div class="citation" role="listitem">'
    """
    return page.replace('role="doc-biblioentry"', 'role="listitem"')


def slim_figure(svg: str) -> str:
    """An SVG whose paths are given to a hundredth of a point: half the size, the same picture.

    >>> slim_figure('<path d="M 12.345678 7.1 L 3 4.000049" style="stroke-width: 0.8"/>')
    '<path d="M 12.35 7.1 L 3 4" style="stroke-width: 0.8"/>'
    """
    return _PATH.sub(lambda path: _DECIMALS.sub(_rounded, path[0]), svg)


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def _copy_mathjax(target: Path) -> None:
    found = metadata.distribution("sphinx-mathjax-offline").locate_file("sphinx-mathjax-offline")
    source = Path(str(found)) / "static" / "mathjax"
    for part in MATHJAX:
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part, dirs_exist_ok=True)
        else:
            (target / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / part, target / part)


def words(out: Path) -> set[str]:
    """Every word of every page and script: a class that is used anywhere is one of them."""
    files: Iterable[Path] = [
        *out.rglob("*.html"),
        *(p for p in out.rglob("*.js") if p.name not in ("fontawesome.js", "searchindex.js")),
    ]
    return {word for file in files for word in _WORD.findall(file.read_text(encoding="utf-8"))}


def slim_icons(script: str, used: set[str]) -> str:
    """Font Awesome's script with only those icons whose name (or alias) is a word in use.

    >>> slim_icons('p={bars:[4,5,["navicon"],"f0c9","M1"],"at-x":[5,5,[],"40","M2"]};', {"fa-bars"})
    'p={bars:[4,5,["navicon"],"f0c9","M1"],};'
    """

    def keep(match: re.Match[str]) -> str:
        names = [match["name"], *re.findall(r'"([^"]+)"', match["aliases"])]
        return match[0] if any(f"fa-{name}" in used for name in names) else ""

    return _ICON.sub(keep, script)


def slim_styles(sheet: str, used: set[str]) -> str:
    """A minified style sheet without rules for classes that are no word in use.

    A rule stays if any of its selectors mentions no unused class; blocks of rules (``@media``)
    are gone through, other at-rules kept as they are.

    >>> slim_styles(".a,.b{x:1}.c .a{y:2}@media print{.c{z:3}.a{z:4}}", {"a"})
    '.a{x:1}@media print{.a{z:4}}'
    """
    out: list[str] = []
    place = 0
    while place < len(sheet):
        if sheet.startswith("/*", place):
            place = _after(sheet, "*/", place)
            continue
        opening = sheet.find("{", place)
        semicolon = sheet.find(";", place)
        if opening < 0:
            break
        if sheet[place] == "@" and 0 <= semicolon < opening:  # @import, @charset
            out.append(sheet[place : semicolon + 1])
            place = semicolon + 1
            continue
        closing = _closing(sheet, opening)
        head, body = sheet[place:opening], sheet[opening + 1 : closing]
        place = closing + 1
        if head.startswith(("@media", "@supports", "@container", "@layer")):
            if inner := slim_styles(body, used):
                out.append(f"{head}{{{inner}}}")
        elif head.startswith("@"):
            out.append(f"{head}{{{body}}}")
        elif kept := [one for one in _selectors(head) if _in_use(one, used)]:
            out.append(f"{','.join(kept)}{{{body}}}")
    return "".join(out)


def _in_use(selector: str, used: set[str]) -> bool:
    # What stands in :not(…) need not exist for the rule to hold.
    plain = re.sub(r":(?:not|is|where|has)\([^()]*(?:\([^()]*\)[^()]*)*\)", "", selector)
    return all(name.replace("\\", "") in used for name in _CLASS.findall(plain))


def _selectors(head: str) -> list[str]:
    """Split at commas that stand outside brackets.

    >>> _selectors(".a:not(.b,.c),d")
    ['.a:not(.b,.c)', 'd']
    """
    parts, depth, start = [], 0, 0
    for place, letter in enumerate(head):
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0:
            parts.append(head[start:place])
            start = place + 1
    return [*parts, head[start:]]


def _after(text: str, mark: str, start: int) -> int:
    found = text.find(mark, start)
    return len(text) if found < 0 else found + len(mark)


def _closing(text: str, opening: int) -> int:
    """Place of the brace that closes the one at ``opening``; quoted text is passed over."""
    depth, place = 0, opening
    while place < len(text):
        letter = text[place]
        if letter in "\"'":
            place += 1
            while place < len(text) and text[place] != letter:
                place += 2 if text[place] == "\\" else 1
        else:
            depth += (letter == "{") - (letter == "}")
            if depth == 0:
                return place
        place += 1
    return len(text)
