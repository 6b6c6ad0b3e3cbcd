"""Several runs at once: each is the run it would have been alone, and one failure stops none."""

from __future__ import annotations

from helpers import small

from fwrnn_core.training import ModelConfig, queue, records, train


def test_side_by_side_runs_are_the_runs_alone_and_failures_are_reported():
    configs = [
        small("q/a"),
        small("q/bad", model=ModelConfig("tanh", 8, options={"colour": 1})),
        small("q/b", seed=1),
    ]
    train(configs[0], progress=False, stop_after=2)
    outcomes = {o.name: o for o in queue.train_all(configs, jobs=2, progress=False)}
    assert {n: o.status for n, o in outcomes.items()} == {
        "q/a": "complete",
        "q/bad": "failed",
        "q/b": "complete",
    }
    assert "colour" in outcomes["q/bad"].error
    for config in (configs[0], configs[2]):
        alone = train(config, store=False, progress=False)
        assert records.read(records.path_of(config.name)).essence() == alone.essence()
    assert [c.name for c in queue.missing(configs)] == ["q/bad"]
