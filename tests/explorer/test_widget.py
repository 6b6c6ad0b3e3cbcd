"""The widget's Python side: traitlets in, results out, without any front end."""

import json
import math

import pytest
import traitlets

from fwrnn_core.errors import ConfigError
from fwrnn_core.explorer import Explorer
from fwrnn_core.explorer.engine import InnerSettings, inner_loop
from fwrnn_core.explorer.surfaces import analytic, make_surface


def test_results_follow_every_setting():
    explorer = Explorer()
    seen = []
    explorer.observe(lambda change: seen.append(change.new), "agreement")
    changes = {
        "x": -1.0, "y": 0.5, "radius": 1.1, "inner_steps": 9, "norm": math.inf,
        "step_size": "2/(k+1)", "trajectory": "released", "noise": 0.4, "seed": 11,
    }  # fmt: skip
    for name, value in changes.items():
        setattr(explorer, name, value)
        plan = InnerSettings(
            explorer.radius, explorer.inner_steps, explorer.norm, explorer.step_size,
            explorer.trajectory, explorer.noise, explorer.seed,
        )  # fmt: skip
        expected = inner_loop(make_surface(analytic()["bowl"]), (explorer.x, explorer.y), plan)
        assert explorer.agreement == expected.agreement
        assert explorer.angle == expected.angle
        assert explorer.loss == expected.losses[-1]
        assert explorer.gap == expected.gaps[-1]
    assert len(seen) >= 5


def test_a_new_surface_brings_its_start_and_radius():
    explorer = Explorer(surface="bowl", x=0.3)
    assert explorer.x == 0.3
    explorer.surface = "cliff"
    spec = analytic()["cliff"]
    assert [explorer.x, explorer.y] == spec["start"]
    assert explorer.radius == spec["radius"]["default"]
    assert explorer.result.losses[0] == pytest.approx(
        float(make_surface(spec).loss(*map(float, spec["start"])))
    )


def test_the_saved_state_is_plain_json_also_with_an_infinite_norm():
    state = Explorer(norm=math.inf).get_state()
    text = json.dumps(state, allow_nan=False)
    assert json.loads(text)["norm"] == "inf"
    assert "result" not in state


def test_a_front_end_message_arrives_as_one_change():
    explorer = Explorer()
    explorer.set_state({"norm": "inf", "x": 0.7, "y": -0.2})
    assert explorer.norm == math.inf
    assert explorer.result.gradient == pytest.approx((0.7 - 0.07, -0.44 + 0.245))


def test_mistakes_are_named():
    with pytest.raises(ConfigError, match="Did you mean 'bowl'"):
        Explorer(surface="bowll")
    with pytest.raises(ConfigError, match="unknown surface 'hill'"):
        Explorer(["hill"])
    with pytest.raises(ConfigError, match="at least one surface"):
        Explorer([])
    with pytest.raises(ConfigError, match="radius must be a positive number"):
        Explorer(radius=-1)
    explorer = Explorer()
    with pytest.raises(ConfigError, match="unknown surface"):
        explorer.surface = "nowhere"
    with pytest.raises(traitlets.TraitError):
        explorer.trajectory = "published"


def test_trajectories_spend_the_budget():
    paths = Explorer(surface="ravine", budget=40, inner_steps=8).trajectories()
    assert {name: path.evaluations[-1] for name, path in paths.items()} == dict.fromkeys(paths, 40)
    assert len(paths["frank-wolfe"].points) == 6
