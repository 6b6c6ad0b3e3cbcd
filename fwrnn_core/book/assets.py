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
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tinycss2

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

# At-rules that hold rules.
_BLOCKS = ("media", "supports", "container", "layer")
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
_GLYPH = re.compile(r"\.fa[\w-]*:+before")
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
    return _slim_rules(tinycss2.parse_stylesheet(sheet), used)


def _slim_rules(rules: Iterable[Any], used: set[str]) -> str:
    out: list[str] = []
    for rule in rules:
        if rule.type == "qualified-rule":
            if kept := [one for one in _selectors(rule.prelude) if _in_use(one, used)]:
                heads = ",".join(map(tinycss2.serialize, kept))
                out.append(f"{heads}{{{tinycss2.serialize(rule.content)}}}")
        elif rule.type == "at-rule" and rule.at_keyword in _BLOCKS and rule.content:
            if inner := _slim_rules(tinycss2.parse_rule_list(rule.content), used):
                head = tinycss2.serialize(rule.prelude)
                out.append(f"@{rule.at_keyword}{head}{{{inner}}}")
        else:
            out.append(rule.serialize())
    return "".join(out)


def _selectors(prelude: Iterable[Any]) -> list[list[Any]]:
    """The selectors of a rule as lists of tokens; what stands in brackets is one token."""
    parts: list[list[Any]] = [[]]
    for token in prelude:
        if token == ",":
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _in_use(selector: list[Any], used: set[str]) -> bool:
    # The script draws the icons; their font, a third of a page, would be fetched for nothing.
    if _GLYPH.match(tinycss2.serialize(selector)):
        return False
    # What stands in :not(…) need not exist for the rule to hold.
    pairs = pairwise(selector)
    return all(dot != "." or name.type != "ident" or name.value in used for dot, name in pairs)
