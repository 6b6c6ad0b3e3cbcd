"""What the ablation pages say follows from the records, whichever of them there are."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import math

import pytest
import torch
from torch import nn

from fwrnn_core import FrankWolfe, ablation, paths
from fwrnn_core.errors import ConfigError
from fwrnn_core.evidence import Evidence
from fwrnn_core.experiments import ablations, catalogue
from fwrnn_core.fairness import paired
from fwrnn_core.figures import panel

from .shelf import MACHINE, put

RUNS = catalogue()


pytestmark = pytest.mark.usefixtures("shelf")


def finish(setting: str, accuracies: list[float], **options: object) -> None:
    """Runs of the first seeds; the epoch chosen on validation is the first."""
    for seed, accuracy in enumerate(accuracies):
        curves = {"validation_loss": [0.1, 0.2], "test_accuracy": [accuracy / 100, 0.99]}
        put(RUNS[f"ablations/{setting}/seed-{seed}"], curves, **options)  # type: ignore[arg-type]


def test_the_base_setting_is_the_same_in_every_series():
    places = tuple(f"ablations/{series}/{base}/" for series, base in ablation.BASE.items())
    configs = [config for name, config in RUNS.items() if name.startswith(places)]
    assert {s.split("/")[1] for s in RUNS if s.startswith("ablations/")} == set(ablation.BASE)
    for config in configs:
        # A radius of its own size and the learning rate as the radius are one and the same ball.
        optimizer = dataclasses.replace(config.optimizer, radius=None)
        assert optimizer == ablations.BASE
        assert config.optimizer.radius in (None, ablations.BASE.lr)


@pytest.mark.parametrize("name", ablation.BASE)
def test_without_a_record_everything_says_so(name):
    series = ablation.Series(name, "setting")
    assert series.state().startswith("**Not run yet:**")
    assert f"fwrnn train 'ablations/{name}/*'" in series.state()
    table = series.table().splitlines()[2:]
    assert len(table) == len(series.planned)
    assert all("not run yet" in line for line in table)
    assert series.reading().startswith("Nothing can be read yet")
    assert series.rounding() is None
    _, ax = panel()
    series.draw(ax)
    _, ax = panel()
    series.draw_losses(ax)


def test_recorded_losses_are_drawn_over_what_is_asked_for():
    finish("trajectory/paper", [80.0, 81.0])
    finish("trajectory/released", [80.0, 81.0], seconds=3.0)
    ends = {
        "epoch": ("epochs", 2, 2),
        "updates": ("outer updates", 20, 20),
        "gradient_evaluations": ("gradient evaluations", 200, 200),
        "seconds": ("seconds on one core", 2, 6),
    }
    series = ablation.Series("trajectory", "trajectory")
    for x, (label, *last) in ends.items():
        _, ax = panel()
        series.draw_losses(ax, x=x)
        assert ax.get_xlabel() == label
        assert [line.get_xdata()[-1] for line in ax.get_lines()] == last
    with pytest.raises(ConfigError, match="unknown x axis 'time'"):
        series.draw_losses(panel()[1], x="time")


def test_live_runs_take_the_settings_that_a_page_gives(monkeypatch):
    asked = []
    module = importlib.import_module("fwrnn_core.ablation.live")  # the function has its name

    def live(config, *, seeds, epochs, device, **changes):
        asked.extend((config.replace(epochs=epochs, seed=s, **changes), device) for s in seeds)
        return list(seeds)

    monkeypatch.setattr(module.reports, "live", live)
    shared = {"inner_steps": 3, "radius": 0.2, "norm": math.inf}
    found = ablation.live(
        {"one": {}, "two": {"radius": 0.1}},
        seeds=[4, 5],
        epochs=2,
        source="uci",
        device="cuda",
        **shared,
    )
    assert {name: len(runs) for name, runs in found.items()} == {"one": 2, "two": 2}
    assert [c.seed for c, _ in asked] == [4, 5, 4, 5]
    assert [c.optimizer.radius for c, _ in asked] == [0.2, 0.2, 0.1, 0.1]
    for config, device in asked:
        assert (config.optimizer.inner_steps, config.optimizer.norm) == (3, math.inf)
        assert (config.epochs, config.data.options["source"]) == (2, "uci")
        assert device == "cuda"
        assert (config.data.validation, config.data.train_limit) == (0.2, 1200)


def test_settings_stand_in_the_catalogue_s_order():
    series = ablation.Series("radius", "δ")
    assert list(series.planned) == [f"{r:g}" for r in ablations.RADII]
    assert all(len(seeds) == len(ablations.SEEDS) for seeds in series.planned.values())


def test_the_reading_follows_the_paired_interval():
    finish("radius/0.001", [80.0, 85.0, 90.0])
    finish("radius/0.0001", [82.0, 87.1, 92.2])  # always about 2 above
    finish("radius/0.01", [78.0, 83.2, 87.9])  # always about 2 below
    finish("radius/0.1", [90.0, 70.0, 89.0])  # anything
    series = ablation.Series("radius", "δ", {"0.0001": "small"})
    words = series.reading()
    assert "- Highest mean: small, 87.1 %." in words
    assert "- Above the base setting, 0.001: small +2.1 ± 0.2 points." in words
    assert "- Below the base setting, 0.001: 0.01 −2.0" in words
    assert "- No detectable difference from 0.001: 0.1." in words
    assert "12 of 15 runs are complete" in series.state()
    lines = series.table().splitlines()
    assert "| 1e-05 | 0 of 3 | not run yet |" in lines[2]
    assert "| small | 3 of 3 | 87.1 ±" in lines[3]
    assert "| base |" in lines[4]
    _, ax = panel()
    series.draw(ax)
    assert [t.get_text() for t in ax.get_xticklabels()][:2] == ["1e-05", "small"]


def test_a_single_seed_is_not_enough_to_read():
    finish("radius/0.001", [80.0])
    finish("radius/0.01", [90.0])
    series = ablation.Series("radius", "δ")
    assert series.reading().startswith("Nothing can be read yet")
    assert series.compare("0.01").difference == pytest.approx(10)
    sentence = series.contrast("0.01", "0.001", "up {difference}", "down", "neither")
    assert sentence == (
        "Whether 0.01 differs from 0.001 cannot be read yet: 1 of 3 seeds have both runs."
    )


def test_one_of_three_sentences_is_said():
    finish("trajectory/paper", [80.0, 81.0, 82.0])
    for accuracies, said in (
        ([85.0, 86.0, 87.1], "up +5.0 ± 0.1 points"),
        ([70.0, 71.0, 72.1], "down"),
        ([70.0, 81.0, 92.0], "neither"),
    ):
        for path in (paths.records() / "ablations/trajectory/released").glob("*"):
            path.unlink()
        finish("trajectory/released", accuracies)
        series = ablation.Series("trajectory", "trajectory")
        words = series.contrast("released", "paper", "up {difference}", "down", "neither")
        assert words == said


def test_diverged_runs_are_counted_and_not_averaged():
    finish("radius/0.001", [80.0, 81.0, 82.0])
    finish("radius/0.01", [80.0, 81.0])
    config = RUNS["ablations/radius/0.01/seed-2"]
    put(config, {"test_accuracy": [0.1]}, status="diverged")
    series = ablation.Series("radius", "δ")
    assert "- Diverged: 0.01 (1 of 3)." in series.reading()
    assert "| 0.01 | 2 of 3, 1 diverged | 80.5" in series.table()
    _, ax = panel()
    series.draw(ax)
    assert "1 diverged" in [t.get_text() for t in ax.texts]


def test_repeats_of_the_base_setting_are_a_yardstick():
    finish("inner-steps/5", [80.0, 81.0])
    series = ablation.Series("radius", "δ")
    assert series.rounding() is None
    finish("trajectory/paper", [80.0, 81.0])
    assert "agree to the last digit" in (ablation.Series("radius", "δ").rounding() or "")
    finish("outer/adam", [80.5, 83.0], environment={**MACHINE, "code": "2"})
    words = ablation.Series("radius", "δ").rounding() or ""
    assert "lie up to 2.00 points apart" in words
    assert "each of 3 series" in words
    assert "up to 2 different results per seed" in words, "two of the three runs are the same"


def test_pairs_are_listed_with_their_gaps():
    finish("norm/2-tensor", [80.0, 81.0, 82.0])
    finish("norm/2-global", [70.0, 71.0, 72.1])
    finish("norm/inf-tensor", [75.0, 76.0, 77.0])
    finish("norm/inf-global", [75.0, 76.0, 77.0])
    series = ablation.Series("norm", "ball")
    wanted = {"p = 2": "2", "p = 1": "1", "p = ∞": "inf"}
    shown = series.pairs({name: (f"{n}-tensor", f"{n}-global") for name, n in wanted.items()})
    assert shown.splitlines() == [
        "- p = 2: +10.0 ± 0.1 points, better.",
        "- p = 1: not both run yet.",
        "- p = ∞: no difference in any seed.",
    ]
    fig, ax = panel()
    series.draw_grid(ax, ["1", "2", "spectral"], {"tensor": "per tensor", "global": "around all"})
    assert [t.get_text() for t in fig.legends[0].get_texts()] == ["per tensor", "around all"]


def test_pairs_are_compared_by_accuracy_and_by_loss():
    pair = {"one ball": ("2-global", "2-tensor")}
    assert ablation.Series("norm", "ball").compared(pair) == ""
    chosen("norm/2-tensor", [0.20, 0.21, 0.22], [80.0, 81.0, 82.0])
    chosen("norm/2-global", [0.17, 0.19, 0.18], [85.0, 86.0, 87.1])
    chosen("norm/1-tensor", [0.20, 0.25, 0.22], [80.0, 81.0, 82.0])
    series = ablation.Series("norm", "ball")
    alone = paired(series.losses("2-global"), series.losses("2-tensor"))
    assert series.compared(pair).splitlines()[2:] == [
        f"| one ball | 3 | +5.0 ± 0.1 | −0.030 ± 0.025 | {alone.p:.3f} |"
    ]
    both = series.compared({**pair, "p = 1": ("1-tensor", "2-tensor")}).splitlines()[2:]
    assert both[0].endswith(f"| {2 * alone.p:.3f} |"), "adjusted for two"
    assert both[1].startswith("| p = 1 | 3 | +0.0 ± 0.0 | +0.013 ± ")


def test_records_of_other_settings_are_left_out():
    config = RUNS["ablations/radius/0.01/seed-0"]
    put(config.replace(batch_size=64), {"test_accuracy": [0.9]})
    assert ablation.Series("radius", "δ", evidence=Evidence()).records("0.01") == {}


def chosen(setting: str, losses: list[float], accuracies: list[float], **options: object) -> None:
    """Runs of the first seeds whose lowest validation loss, at the first epoch, is given."""
    for seed, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True)):
        curves = {"validation_loss": [loss, 9.0], "test_accuracy": [accuracy / 100, 0.99]}
        put(RUNS[f"ablations/{setting}/seed-{seed}"], curves, **options)  # type: ignore[arg-type]


def decision(argument: str) -> ablation.Decision:
    return next(d for d in ablation.decisions(Evidence()) if d.argument == argument)


def test_the_defaults_of_the_table_are_the_optimizer_s():
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(FrankWolfe).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    for made in ablation.decisions():
        typed = made.values[made.series.base]
        assert eval(typed, {"torch": torch, "math": math}) == defaults[made.argument]
        assert set(made.values) <= set(made.series.planned)
        assert (paths.home() / "notebooks" / f"{made.page}.ipynb").is_file()
        configs = [RUNS[made.series.planned[s][0]].optimizer for s in made.values]
        # One argument is varied, the others stay: the settings differ in nothing else.
        flat = [(d := dataclasses.asdict(c)) | d.pop("options") for c in configs]
        rest = [{**settings, made.argument: "varied"} for settings in flat]
        assert all(settings == rest[0] for settings in rest)


def test_without_a_record_the_table_says_so():
    lines = ablation.advice(ablation.decisions(Evidence())).splitlines()[2:]
    assert len(lines) == len(ablation.decisions())
    assert all("| not run yet |" in line for line in lines)


def test_the_setting_is_chosen_on_validation_and_not_on_the_test_set():
    chosen("radius/0.001", [0.20, 0.21, 0.22], [80.0, 81.0, 82.0])
    chosen("radius/0.01", [0.10, 0.11, 0.121], [70.0, 71.0, 72.1])  # worse on the test set
    chosen("radius/0.1", [0.05, 0.40, 0.05], [95.0, 96.0, 97.0])  # anything
    made = decision("radius")
    assert made.taken == "0.01"
    link, take, same, worse, accuracy, _ = made.row()
    assert link == "{doc}`radius <ablations/radius>`"
    assert take == "`0.01`"
    assert same == "`0.1`\N{NO-BREAK SPACE}+0.056"
    assert worse == "`None`\N{NO-BREAK SPACE}+0.100"
    reading = made.series.reading()
    loss = "In validation loss, *0.01* is better (−0.100 ± 0.001; not corrected"
    assert f"- {loss}" in reading
    accuracy_first = (
        "Against *0.001*, in test accuracy (three seeds): *0.1* is better; *0.01* is worse"
    )
    assert made.series.brief().startswith(f"{accuracy_first}. {loss}")
    assert accuracy.startswith("71.0 ± ")


def test_what_replaces_a_default_is_adjusted_for_the_number_of_alternatives():
    assert ablation.verdict(ablation.decisions(Evidence())).startswith("Nothing can be said yet")
    chosen("radius/0.001", [0.20, 0.21, 0.22], [80.0, 81.0, 82.0])
    chosen("radius/0.01", [0.17, 0.19, 0.18], [80.0, 81.0, 82.0])
    alone = decision("radius").adjusted("0.01")
    assert 0.025 < alone < 0.05
    said = ablation.verdict([decision("radius")])
    assert said.startswith("**Take `radius=0.01` (p = 0.0")
    assert decision("radius").taken == "0.01"
    assert decision("radius").tempting is None
    chosen("radius/0.1", [0.20, 0.22, 0.21], [80.0, 81.0, 82.0])
    assert decision("radius").adjusted("0.01") == pytest.approx(2 * alone)
    said = ablation.verdict([decision("radius")])
    assert said.startswith("**Keep every default.** `radius=0.01` is worth trying")
    assert said.endswith(f"p = {2 * alone:.3f} after correction).")
    made = decision("radius")
    assert (made.taken, made.tempting) == ("0.001", "0.01")
    assert made.row()[1] == "`None` (the default)<br>worth trying: `0.01`"
    assert made.row()[2].startswith("`0.01`\N{NO-BREAK SPACE}−"), (
        "the table does not call it better"
    )


def test_the_rows_of_one_argument_are_counted_together():
    chosen("norm/2-tensor", [0.20, 0.21, 0.22], [80.0, 81.0, 82.0])
    chosen("norm/1.5-tensor", [0.17, 0.19, 0.18], [80.0, 81.0, 82.0])
    alone = decision("norm").adjusted("1.5-tensor")
    chosen("options/default", [0.20, 0.21, 0.22], [80.0, 81.0, 82.0])
    chosen("options/nuclear", [0.20, 0.22, 0.21], [80.0, 81.0, 82.0])
    chosen("options/adaptive", [0.20, 0.22, 0.21], [80.0, 81.0, 82.0])  # another argument
    assert decision("norm").adjusted("1.5-tensor") == pytest.approx(2 * alone)


def test_fresh_seeds_speak_for_themselves():
    assert ablation.fresh_seeds() == ""
    for seed, base in zip(ablations.FRESH_SEEDS, [0.20, 0.21, 0.22], strict=False):
        for setting, gain in (("default", 0.0), ("newton-schulz", 0.03 + seed / 1e3)):
            curves = {"validation_loss": [base - gain], "test_accuracy": [0.8 + gain]}
            put(RUNS[f"ablations/spectral/{setting}/seed-{seed}"], curves)
    assert ablation.fresh_seeds() == "", "before K = 1 is there"
    for seed, loss in zip(ablations.FRESH_SEEDS, [0.10, 0.21, 0.17], strict=False):
        curves = {"validation_loss": [loss], "test_accuracy": [0.8]}
        put(RUNS[f"ablations/spectral/newton-schulz-k1/seed-{seed}"], curves)
    first, second = ablation.fresh_seeds().split(" Five inner steps ")
    assert first == (
        "Trained with three seeds that had no part in choosing it, the spectral ball "
        '(`norm="newton-schulz"`) is better than the default one (validation loss −0.034 ± 0.002, '
        "test accuracy +3.4 ± 0.2 points)."
    )
    assert second.startswith("in it cannot be told from one (validation loss +0.016 ± 0.125")


def test_what_to_avoid_is_adjusted_too():
    chosen("radius/0.001", [0.20, 0.21, 0.22], [80.0, 81.0, 82.0])
    chosen("radius/0.1", [0.40, 0.411, 0.42], [80.0, 81.0, 82.0])  # beyond doubt
    chosen("radius/0.01", [0.21, 0.23, 0.23], [80.0, 81.0, 82.0])  # worse before the correction
    chosen("radius/0.0001", [0.21, 0.2201, 0.2299], [80.0, 81.0, 82.0])
    chosen("radius/1e-05", [0.20, 0.22, 0.21], [80.0, 81.0, 82.0])
    said = ablation.verdict([decision("radius")])
    assert "Avoid `radius=0.0001` and `radius=0.1`." in said
    assert "radius=0.01`" not in said, "its interval includes zero"
    put(RUNS["ablations/radius/0.01/seed-2"], {"test_accuracy": [0.1]}, status="diverged")
    assert "`radius=0.01`" in ablation.verdict([decision("radius")])


def test_what_a_setting_gains_is_said_beside_its_cost():
    norms = decision("norm")
    assert ablation.gain_and_cost(norms, "spectral-tensor", "the spectral ball") == ""
    chosen("norm/2-tensor", [0.20, 0.21, 0.22], [80.0, 81.0, 82.0], seconds=2.0)
    chosen("norm/spectral-tensor", [0.20, 0.21, 0.22], [90.0, 70.0, 89.0], seconds=3.0)
    said = ablation.gain_and_cost(decision("norm"), "spectral-tensor", "the spectral ball")
    assert said.startswith("The spectral ball reaches a training loss of 0.500 in the last epoch")
    assert "Its lead in test accuracy (+2.0 ± " in said
    assert said.endswith(" is undecided. One epoch takes 3.00 s instead of 2.00 s.")


def test_within_the_noise_the_default_stays():
    chosen("radius/0.001", [0.20, 0.21, 0.22], [80.0, 81.0, 82.0])
    chosen("radius/0.1", [0.05, 0.30, 0.05], [95.0, 96.0, 97.0])
    made = decision("radius")
    assert made.taken == "0.001"
    assert made.tempting is None
    assert made.row()[1] == "`None` (the default)"
    assert made.against(made.taken)["0.1"][0] == 0


def test_a_setting_that_diverged_is_never_taken():
    chosen("radius/0.001", [0.20, 0.21, 0.22], [80.0, 81.0, 82.0])
    chosen("radius/0.1", [0.01, 0.01], [95.0, 96.0])
    put(RUNS["ablations/radius/0.1/seed-2"], {"test_accuracy": [0.1]}, status="diverged")
    made = decision("radius")
    assert made.taken == "0.001"
    assert made.against(made.taken)["0.1"][0] == 1


def test_costs_of_unlike_machines_are_not_averaged():
    chosen("radius/0.001", [0.2, 0.2, 0.2], [80.0, 81.0, 82.0], seconds=2.0)
    chosen("radius/0.1", [0.1, 0.1, 0.1], [80.0, 81.0, 82.0], seconds=3.0)
    made = decision("radius")
    assert made.row()[-1] == "3.00 (default 2.00)"
    put(
        RUNS["ablations/radius/0.1/seed-0"],
        {"test_accuracy": [0.8]},
        environment={**MACHINE, "processor": "b"},
    )
    assert math.isnan(decision("radius").cost("0.1"))


def test_single_runs_show_their_last_epoch():
    config = RUNS["theory/har2/fw-k5"]
    put(config, {"test_accuracy": [0.95, 0.9], "agreement": [0.4, 0.6]})
    table = ablation.once({config.name: "five", "theory/har2/adam": "Adam"}, Evidence())
    assert table.splitlines()[2:] == ["| five | 1,000 | 128 | 90.00 | 20 | 0.50 |"]


def mean_square(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return (output - target).square().mean()


def test_a_displacement_is_the_mean_of_the_vertices():
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    before = [p.detach().clone() for p in model.parameters()]
    batches = [(torch.randn(8, 3), torch.randn(8, 1)) for _ in range(4)]
    found = ablation.displacement(model, mean_square, batches, 1e-12)
    for name in found:
        vertices = []
        for x, y in batches:
            loss = mean_square(model(x), y)
            (gradient,) = torch.autograd.grad(loss, [dict(model.named_parameters())[name]])
            vertices.append(-(gradient / gradient.norm()).flatten())
        assert found[name] == pytest.approx(torch.stack(vertices).mean(0).double(), abs=1e-5)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_a_tiny_ball_turns_nothing_and_a_wide_one_does():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    x, y = torch.randn(200, 3), torch.randn(200, 1)
    (loop,) = ablation.minibatches(x, y, loops=1, inner_steps=5, size=32)
    assert [len(rows) for rows, _ in loop] == [32] * 5
    (long,) = ablation.minibatches(x, y, loops=1, inner_steps=30, size=32)
    assert len(long) == 30, "K minibatches, though the rows are used up before"
    tiny, wide = ablation.turning(model, mean_square, loop, [1e-9, 1.0])
    assert tiny < 0.1
    assert wide > 1


def test_a_model_is_put_at_a_point():
    model = nn.Linear(2, 1)
    moved = ablation.at_point(model, torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64))
    assert moved.weight.tolist() == [[1.0, 2.0]]
    assert moved.bias.tolist() == [3.0]
    assert model.bias.tolist() != [3.0]
