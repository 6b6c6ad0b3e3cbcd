"""A page with the explorer alone, and what a reader does and sees on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fwrnn_core.explorer import Explorer

from ..explorer.page import widget_page

Show = Callable[..., Any]


@pytest.fixture
def show(browser: Any) -> Iterator[Show]:
    """Open a page with an Explorer of the given settings; fail on any error or request."""
    contexts, trouble = [], []

    def open_page(theme: str | None = "light", width: int = 1000, **settings: Any) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": 1000},
            has_touch=width < 500,
            reduced_motion="no-preference",
        )
        contexts.append(context)
        page = context.new_page()

        def request(route: Any) -> None:
            trouble.append(route.request.url)
            route.abort()

        page.route("http*://**", request)
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("console", lambda m: trouble.append(m.text) if m.type == "error" else None)
        page.set_content(widget_page(Explorer(**settings), theme))
        page.wait_for_function("window.ready")
        frames(page)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert trouble == []


def frames(page: Any, count: int = 3) -> None:
    page.evaluate(
        "async n => { for (let i = 0; i < n; i++) await new Promise(requestAnimationFrame); }",
        count,
    )


def picture(page: Any) -> str:
    """Both canvases of the stage, as the reader sees them."""
    return page.evaluate(
        "['.fwx-heat', '.fwx-over'].map((s) => document.querySelector(s).toDataURL()).join()"
    )


def act(page: Any, order: str) -> None:
    verb, name, value = order.split(" ", 2)
    if verb == "slide":
        page.locator(f"input[type=range][data-name={name}]").evaluate(
            "(el, v) => { el.value = v; el.dispatchEvent(new Event('input', {bubbles: true})); }",
            value,
        )
    elif verb == "pick":
        choice = page.locator(f'input[data-name={name}][value="{value}"]')
        page.locator(f'label[for="{choice.get_attribute("id")}"]').click()
    else:
        page.locator(f"select[data-name={name}]").select_option(value)
    frames(page)


def shown(page: Any) -> dict[str, float]:
    """The four numbers of the inner view, unrounded."""
    read = "el => [el.dataset.value, el.dataset.agreement]"
    loss, gap, angle = (
        page.locator(f"output[data-name={name}]").evaluate(read)
        for name in ("loss", "gap", "angle")
    )
    values = {"loss": loss[0], "gap": gap[0], "angle": angle[0], "agreement": angle[1]}
    return {name: float(value) for name, value in values.items()}


def expected(explorer: Explorer) -> dict[str, float]:
    names = ("loss", "gap", "angle", "agreement")
    return {name: pytest.approx(getattr(explorer, name), abs=1e-6, rel=1e-6) for name in names}


def ends(page: Any) -> dict[str, float]:
    rows = page.locator(".fwx-table tbody tr")
    return dict(rows.evaluate_all("rs => rs.map((r) => [r.dataset.method, +r.dataset.loss])"))


def expected_ends(explorer: Explorer) -> dict[str, Any]:
    paths = explorer.trajectories().items()
    return {name: pytest.approx(path.losses[-1], abs=1e-6, rel=1e-6) for name, path in paths}


def model(page: Any, name: str) -> Any:
    return page.evaluate("name => window.model.get(name)", name)


def centre(page: Any, selector: str) -> tuple[float, float]:
    box = page.locator(selector).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def moved(page: Any, surface: str) -> Explorer:
    return Explorer(
        surface=surface, x=model(page, "x"), y=model(page, "y"), radius=model(page, "radius")
    )
