"""The plotting style: labels that never touch, summaries that leave out what is not there."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fwrnn_core import figures
from fwrnn_core.book.key import _MARKERS, key
from fwrnn_core.errors import ConfigError
from fwrnn_core.figures.key import entries
from fwrnn_core.figures.style import LOOKS

mpl.use("Agg")
heights = st.lists(st.floats(-10, 10), min_size=1, max_size=7)


@given(heights, st.floats(0.01, 3))
def test_positions_end_up_apart_in_their_old_order(positions: list[float], gap: float) -> None:
    placed = figures.spread_out(positions, gap)
    order = np.argsort(positions, kind="stable")
    assert (np.diff(np.asarray(placed)[order]) >= gap - 1e-9).all()


@given(heights, st.floats(0.01, 3), st.integers(0, 2**32 - 1))
def test_no_other_placement_moves_less(positions: list[float], gap: float, seed: int) -> None:
    """Against random placements that keep the order and the gap."""
    placed = np.asarray(figures.spread_out(positions, gap))
    order = np.argsort(positions, kind="stable")
    cost = np.sum((placed - positions) ** 2)
    random = np.random.default_rng(seed)
    for _ in range(20):
        steps = gap + random.exponential(0.5, len(positions))
        other = np.empty(len(positions))
        other[order] = np.cumsum(steps) + random.uniform(-12, 12)
        assert cost <= np.sum((other - positions) ** 2) + 1e-9


def test_positions_that_are_apart_stay() -> None:
    assert figures.spread_out([3.0, 1.0, 2.0], 0.9) == pytest.approx([3.0, 1.0, 2.0])


def test_the_interval_is_student_s() -> None:
    runs = np.random.default_rng(0).normal(size=(5, 3))
    spread = figures.spread(runs)
    low, high = stats.t.interval(0.95, 4, loc=runs.mean(0), scale=stats.sem(runs, axis=0))
    assert spread.low == pytest.approx(low)
    assert spread.high == pytest.approx(high)


def test_a_run_that_ended_early_counts_as_far_as_it_went() -> None:
    spread = figures.spread([[1.0, 2.0, 3.0], [3.0, np.nan, np.nan], [5.0, 4.0, np.nan]])
    assert spread.centre == pytest.approx([3, 3, 3])
    assert np.isfinite(spread.high[:2]).all()
    assert np.isnan(spread.high[2]), "one run alone has no interval"


def test_labels_at_the_ends_do_not_touch_and_stay_in_the_picture() -> None:
    figures.use()
    fig, ax = figures.panel(xlabel="epoch", ylabel="loss", title="x")
    names = ["Adam", "Adam + clipping", "Frank-Wolfe, K = 1", "Frank-Wolfe, K = 5", "SGD"]
    figures.curves(ax, {name: np.full(9, 1 + 0.001 * i) for i, name in enumerate(names)})
    fig.draw_without_rendering()
    boxes = sorted((text.get_window_extent() for text in ax.texts), key=lambda box: box.y0)
    assert len(boxes) == len(names)
    assert all(below.y1 <= above.y0 for below, above in pairwise(boxes))
    assert max(box.x1 for box in boxes) <= fig.bbox.x1


def test_a_method_looks_the_same_in_any_company() -> None:
    alone = figures.looks(["Frank-Wolfe, K = 5"])["Frank-Wolfe, K = 5"]
    among = figures.looks(["other", "Adam", "Frank-Wolfe, K = 5", "third"])
    assert among["Frank-Wolfe, K = 5"] == alone
    assert len({look.color for look in among.values()}) == 4
    assert len({str(look.linestyle) for look in among.values()}) == 4
    assert len({look.marker for look in among.values()}) == 4


def test_plain_updates_are_not_a_second_blue() -> None:
    names = ["Adam", *(f"Frank-Wolfe, K = {k}" for k in (1, 5, 10)), "K = 5, δ = 0.01"]
    looks = figures.looks([*names, "Plain update, K = 5"])
    assert looks["Frank-Wolfe, K = 5"].color == "#0072b2"
    assert "#2a8fc7" not in {look.color for look in looks.values()}
    assert len({look.marker for look in looks.values()}) == 6


def test_what_stands_out_lies_over_the_grey_rest(tmp_path: Path) -> None:
    fig, axes = figures.panels(2)
    runs = {name: ([0, 1], [0, n]) for n, name in enumerate(("Adam", "a", "b"))}
    figures.stand_out(axes[0], runs, ["Adam", "not run yet"])
    figures.stand_out(axes[1], runs, ["a"])
    lines = {str(line.get_label()): line for line in axes[0].get_lines()}
    assert list(lines) == ["other runs", "_", "Adam"]
    assert lines["Adam"].get_color() == figures.look("Adam").color
    assert lines["other runs"].get_color() == lines["_"].get_color() == figures.FAINT
    assert lines["Adam"].get_zorder() > lines["_"].get_zorder()
    figures.key_below(fig, axes)
    (key_of,) = fig.legends
    assert [text.get_text() for text in key_of.get_texts()] == ["other runs", "Adam", "a"]
    fig.savefig(tmp_path / "a.svg")
    carried = entries((tmp_path / "a.svg").read_text("utf-8"))
    assert [(one.name, one.dashes) for one in carried] == [
        ("other runs", ()),
        ("Adam", figures.look("Adam").linestyle[1]),
        ("a", ()),
    ]
    empty, panels = figures.panels(1)
    figures.key_below(empty, panels)
    assert not empty.legends


def test_a_key_tells_dots_from_dashes(tmp_path: Path) -> None:
    fig, axes = figures.panels(1)
    for style in ("-", "--", ":"):
        axes[0].plot([0, 1], style, color=LOOKS[0].color, label=f"line {style}")
    figures.key_below(fig, axes)
    fig.savefig(tmp_path / "a.svg")
    assert len({one.dashes for one in entries((tmp_path / "a.svg").read_text("utf-8"))}) == 3


def luminance(color: str) -> float:
    channels = np.array(mpl.colors.to_rgb(color))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("look", figures.LOOKS, ids=lambda look: look.color)
def test_colours_stand_out_on_white(look: figures.Look) -> None:
    """WCAG 2.1, 1.4.11: graphics need a contrast of 3 : 1."""
    assert 1.05 / (luminance(look.color) + 0.05) >= 3


@pytest.mark.parametrize("color", [figures.MUTED, *(look.color for look in figures.LOOKS)])
def test_words_can_be_read_on_white(color: str) -> None:
    """WCAG 2.1, 1.4.3: words need a contrast of 4.5 : 1, and keep their colour's name."""
    words = figures.readable(color)
    assert 1.05 / (luminance(words) + 0.05) >= 4.5
    hue, dark = (mpl.colors.rgb_to_hsv(mpl.colors.to_rgb(one))[0] for one in (color, words))
    assert hue == pytest.approx(dark, abs=0.01)


def test_points_that_do_not_fit_are_named() -> None:
    _, ax = figures.panel()
    with pytest.raises(ConfigError, match="'Adam' has 3 points, x has 2"):
        figures.curves(ax, {"Adam": [1.0, 2.0, 3.0]}, x=[1, 2])
    with pytest.raises(ConfigError, match="kind of spread"):
        figures.spread([[1.0]], "sd")  # type: ignore[arg-type]


@given(st.sampled_from([1.0, 1.5, 2.0, 3.0, np.inf]), st.floats(0.1, 5))
def test_the_outline_of_a_ball_lies_on_its_surface(norm: float, radius: float) -> None:
    outline = figures.ball_outline((1.0, -2.0), radius, norm) - (1.0, -2.0)
    assert np.linalg.norm(outline, ord=norm, axis=1) == pytest.approx(radius)


def test_the_same_figure_is_the_same_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    figures.use()
    files = []
    for name in ("a.svg", "b.svg"):
        fig, ax = figures.panel(xlabel="x")
        figures.curves(ax, {"Adam": [[1.0, 2.0, 1.5], [2.0, 2.5, 1.0]]})
        fig.savefig(tmp_path / name, metadata={"Date": None})
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1]


def test_a_band_is_drawn_where_the_limits_lie_apart() -> None:
    _, ax = figures.panel()
    look = figures.LOOKS[1]
    figures.band(ax, range(16), figures.spread(np.ones((1, 16)), "range"), look, "one run")
    figures.band(ax, range(16), figures.spread(np.ones((1, 16))), look, "no interval")
    assert not ax.collections
    runs = figures.spread([np.zeros(16), np.ones(16)], "range")
    figures.band(ax, range(16), runs, look, "two", alpha=0.1, linewidth=1.4)
    (band,), line = ax.collections, ax.get_lines()[-1]
    assert band.get_alpha() == 0.1
    assert (line.get_label(), line.get_color()) == ("two", look.color)
    assert (line.get_markevery(), line.get_linewidth()) == (2, 1.4)
    assert line.get_ydata() == pytest.approx(0.5)


def test_a_picture_carries_its_key(tmp_path: Path) -> None:
    """As it is drawn: what a phone shows below the picture is what the picture shows."""
    names = ["Adam", "K = 5", "a < b & c"]
    fig, axes = plt.subplots(ncols=2)
    for ax in axes:
        figures.curves(ax, {name: np.arange(3.0) * i for i, name in enumerate(names)})
    fig.savefig(tmp_path / "a.svg")
    plt.close(fig)
    found = entries((tmp_path / "a.svg").read_text("utf-8"))
    assert [one.name for one in found] == names, "once, though both panels name it"
    for one, look in zip(found, figures.looks(names).values(), strict=True):
        assert (one.color, one.marker) == (look.color, look.marker)
        assert one.dashes == (() if look.linestyle == "-" else look.linestyle[1])
    shown = key((tmp_path / "a.svg").read_text("utf-8"))
    assert shown.count("<li>") == 3
    assert "a &lt; b &amp; c" in shown
    assert all(look.marker in _MARKERS for look in LOOKS)
