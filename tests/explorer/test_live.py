"""`explore` and the training panel, driven as a person would, without a browser."""

import json
import time
from unittest.mock import Mock

import pytest
import torch
from torch import nn

from fwrnn_core.errors import ConfigError
from fwrnn_core.explorer import explore, panel, plane_slice, training_panel
from fwrnn_core.models import RecurrentNet
from fwrnn_core.training import DataConfig


def problem():
    torch.manual_seed(0)
    x, y = torch.randn(8, 5, 2), torch.randn(8, 1)
    return RecurrentNet(2, 5, 1), nn.functional.mse_loss, (x, y)


def until(condition, timeout=30.0):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.01)


def test_explore_measures_the_users_plane():
    model, loss_fn, batch = problem()
    live = explore(model, loss_fn, batch, radius=0.1, inner_steps=3, resolution=6)
    direct = plane_slice(model, loss_fn, batch, radius=0.1, inner_steps=3, resolution=6)
    assert live.slice.loss.tolist() == direct.loss.tolist()
    assert (live.progress, live.running) == (1.0, False)
    assert live.explorer.inner_steps == 3
    loss = loss_fn(model(batch[0]), batch[1]).item()
    assert live.explorer.result.losses[0] == pytest.approx(loss, abs=1e-3)
    json.dumps(live.explorer.get_state(), allow_nan=False)


def test_measuring_again_follows_the_controls_and_the_model():
    model, loss_fn, batch = problem()
    live = explore(model, loss_fn, batch, radius=0.1, resolution=6)
    before = live.explorer.result.losses[0]
    live.controls["radius"].value = 0.2
    live.controls["norm"].value = float("inf")
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(0.5)
    live.explorer.x = 0.01
    live.measure()
    live.wait(30)
    direct = plane_slice(model, loss_fn, batch, radius=0.2, norm=float("inf"), resolution=6)
    assert live.slice.loss.tolist() == direct.loss.tolist()
    assert live.explorer.x == 0
    assert live.explorer.result.losses[0] != before
    assert "agreement" in live.status


def test_a_measurement_can_be_stopped_and_the_old_picture_stays():
    model, loss_fn, batch = problem()
    live = explore(model, loss_fn, batch, radius=0.1, resolution=6)
    old = live.slice
    live.controls["resolution"].value = 65
    live.measure()
    until(lambda: 0 < live.progress < 1)
    live.stop(30)
    assert not live.running
    assert live.slice is old
    assert "stopped" in live.status


def test_errors_in_the_thread_become_words():
    model, loss_fn, (x, y) = problem()
    live = explore(model, loss_fn, (x, y), radius=0.1, resolution=6)
    live._batch = (x[:, :, :1], y)
    live.measure()
    live.wait(30)
    assert not live.running
    assert live.status not in ("", "measuring…")
    live._batch = (x, y)
    for error in (ValueError("of the loss"), KeyError("of anything")):
        live._loss_fn = Mock(side_effect=error)
        live.measure()
        live.wait(30)
        assert live.status == f"{type(error).__name__}: {error}"
    with pytest.raises(ConfigError, match="resolution"):
        explore(model, loss_fn, (x, y), resolution=200)


@pytest.fixture
def small(monkeypatch):
    data = DataConfig("adding", {"length": 6, "train": 256, "test": 64})
    monkeypatch.setattr(panel, "TASKS", {"small": (data, 8)})
    monkeypatch.setattr(panel, "REDRAW", 0.0)
    return training_panel("small")


def test_the_panel_trains_draws_and_stops(small):
    drawn = []
    small.curves.observe(lambda change: drawn.append(change.new), "charts")
    small.start()
    until(lambda: small.history.agreements)
    small.stop()
    assert not small.running
    assert "stopped after" in small.status
    loss, agreement = small.curves.charts
    assert loss["series"][0]["y"] == small.history.losses[: len(loss["series"][0]["y"])]
    assert agreement["series"][0]["x"][0] == 5  # the first update comes after K gradients
    assert 0 < agreement["series"][0]["y"][0] <= 1
    sizes = [len(chart[0]["series"][0]["x"]) for chart in drawn if chart[0]["series"]]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 2  # it grew while training


def test_runs_stay_for_comparison_until_cleared(small):
    small.max_minibatches = 12
    for steps in (1, 3):
        small.controls["inner_steps"].value = steps
        small.start()
        small.wait(30)
    names = [series["name"] for series in small.curves.charts[0]["series"]]
    assert names == ["δ 0.001, K 1, p 2", "δ 0.001, K 3, p 2"]
    assert "done after 12 gradients, 4 updates" in small.status
    small.clear()
    assert small.curves.charts[0]["series"] == []


def test_the_loss_goes_down_while_it_trains(small):
    small.max_minibatches = 400
    small.controls["lr"].value = 0.01
    small.start()
    small.wait(60)
    assert small.history.losses[-1] < 0.8 * small.history.losses[0]


def test_wrong_choices_become_words(small, monkeypatch):
    monkeypatch.setattr(panel, "TASKS", {"small": (DataConfig("addding"), 8)})
    small.start()
    small.wait(30)
    assert not small.running
    assert "Did you mean 'adding'" in small.status


def test_whatever_stops_the_training_is_said(small, monkeypatch):
    monkeypatch.setattr(panel.Run, "step", Mock(side_effect=RuntimeError("out of memory")))
    small.start()
    small.wait(30)
    assert not small.running
    assert small.status == "RuntimeError: out of memory"


def test_a_run_that_diverges_says_so(small):
    small.controls["lr"].max = 30
    small.controls["radius"].max = 30
    small.controls["lr"].value = small.controls["radius"].value = 1e30
    small.start()
    small.wait(30)
    assert not small.running
    assert "loss" in small.status
