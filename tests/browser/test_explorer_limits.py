"""What the explorer says and does at the ends of its ranges."""

from __future__ import annotations

from typing import Any

import pytest

from fwrnn_core.explorer import Explorer, slices

from .explorer_page import Show, act, expected, frames, model, shown

pytestmark = pytest.mark.browser


def summary(page: Any) -> str:
    page.wait_for_timeout(300)
    return page.locator(".fwx-summary").inner_text()


def reset(page: Any) -> None:
    page.locator("button[data-name=reset]").click()
    frames(page)


def test_reset_goes_back_to_what_the_page_opened_with(show: Show) -> None:
    """A page that speaks of its noise has to get it back."""
    opened = {"surface": "saddle", "noise": 0.6, "inner_steps": 7, "radius": 0.4, "norm": 3.0}
    page = show(**opened)
    for order in ("slide noise 0", "slide inner_steps 2", "slide radius 1.1", "pick norm 1"):
        act(page, order)
    assert shown(page) != expected(Explorer(**opened))
    reset(page)
    assert shown(page) == expected(Explorer(**opened))
    # On another surface the start and the ranges are that surface's own.
    act(page, "select surface bowl")
    act(page, "slide inner_steps 3")
    reset(page)
    assert shown(page) == expected(Explorer(surface="bowl", noise=0.6, inner_steps=7, norm=3.0))


def test_home_and_end_set_the_smallest_and_the_largest_ball(show: Show) -> None:
    page = show(surface="ravine")
    page.locator(".fwx-edge").focus()
    for key, end in (("Home", "min"), ("End", "max")):
        page.keyboard.press(key)
        frames(page)
        spec = next(s for s in Explorer(surface="ravine").surfaces if s["name"] == "ravine")
        assert model(page, "radius") == pytest.approx(spec["radius"][end])


def test_a_budget_below_one_inner_loop_is_said(show: Show) -> None:
    page = show(view="outer", budget=10, inner_steps=30)
    assert "does not pay for one inner loop of K = 30" in summary(page)
    act(page, "slide inner_steps 5")
    assert "takes 2 steps with 10 gradients" in summary(page)


def test_losses_beyond_the_measured_plane_are_called_extrapolated(show: Show) -> None:
    name = slices.names()[-1]
    page = show(surfaces=[name, "bowl"], surface=name)
    assert "extrapolated" not in summary(page)
    act(page, "pick trajectory released")
    act(page, "slide inner_steps 30")
    assert "extrapolated" in summary(page)
    act(page, "select surface bowl")
    act(page, "slide radius 1.6")
    assert "extrapolated" not in summary(page)


ROWS = """() => {
  const canvas = document.querySelector('.fwx-chart-descent canvas');
  const paint = document.createElement('canvas').getContext('2d');
  paint.fillStyle = getComputedStyle(canvas).getPropertyValue('--fwx-delta');
  paint.fillRect(0, 0, 1, 1);
  const [r, g, b] = paint.getImageData(0, 0, 1, 1).data;
  const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  const rows = new Set();
  for (let i = 0; i < data.length; i += 4) {
    const off = Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b);
    if (off < 20 && data[i + 3] > 200) rows.add(Math.floor(i / 4 / canvas.width));
  }
  return (Math.max(...rows) - Math.min(...rows)) / canvas.height;
}"""


def test_a_method_that_diverges_does_not_flatten_the_others(show: Show) -> None:
    steps = {"radius": 0.4, "learning_rate": 1.5, "noise": 2.0, "budget": 300}
    page = show(view="outer", surface="saddle", **steps)
    assert "Diverged: Gradient descent" in summary(page)
    assert page.evaluate(ROWS) > 0.3
