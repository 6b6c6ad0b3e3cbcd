"""What ``train`` does about files that are damaged, foreign or unsafe."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import small

from fwrnn_core.errors import RecordError
from fwrnn_core.training import Run, checkpoint, records, train


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda raw: raw[:-7], "truncated or edited"),
        (lambda raw: raw[:10], "not a checkpoint"),
        (lambda raw: raw.replace(b'"schema": 1', b'"schema": 9'), "schema 9"),
        (lambda raw: b"", "not a checkpoint"),
    ],
)
def test_a_damaged_checkpoint_is_refused_by_name_and_kept(damage, words):
    config = small()
    run = Run(config, "cpu")
    run.step()
    path = checkpoint.path_of(config.id)
    checkpoint.save(path, config.id, run.state_dict())
    path.write_bytes(damaged := damage(path.read_bytes()))
    with pytest.raises(RecordError, match=words) as error:
        train(config, progress=False)
    assert str(path) in str(error.value)
    assert path.read_bytes() == damaged


@pytest.mark.parametrize("damage", ["torn", "foreign"])
@pytest.mark.parametrize("place", ["state", "checkpoint"])
def test_a_damaged_state_does_not_block_the_run_while_another_is_intact(place, damage, capsys):
    whole = train(small(), store=False, progress=False)
    train(small(), progress=False, stop_after=2)
    state, kept = records.state_path_of("test/run"), checkpoint.path_of(small().id)
    damaged = state if place == "state" else kept
    if damage == "torn":
        damaged.write_bytes(damaged.read_bytes()[:-7])
    else:  # sealed, and of a version with other parts
        checkpoint.save(damaged, small().id, {"counters": [3, 0, 0, 0]})
    epochs: list[int] = []
    complete = train(small(), progress=False, on_epoch=lambda run: epochs.append(run.epoch))
    said = capsys.readouterr().err
    assert f"goes on from {kept if place == 'state' else state}, since {damaged}: " in said
    assert epochs[0] == 3
    assert complete.essence() == whole.essence()


def test_where_no_state_is_intact_each_is_named_with_a_way_out():
    train(small(), progress=False, stop_after=2)
    state, kept = records.state_path_of("test/run"), checkpoint.path_of(small().id)
    for path in (state, kept):
        path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(RecordError) as error:
        train(small(), progress=False)
    said = str(error.value)
    assert f"{state}: truncated or edited" in said
    assert f"{kept}: truncated or edited" in said
    assert "Restore it from git, or delete it: the run then goes on from its other" in said


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b'{"schema": 1, "id": "x"}\nrest', {"schema": 1, "id": "x"}),
        (b'{"schema": 9, "id": "x"}\nrest', None),
        (b"[1]\nrest", None),
        (b"\x80\n", None),
    ],
)
def test_only_a_header_of_this_version_is_told(tmp_path, line, told):
    assert checkpoint.header(tmp_path / "none.ckpt") is None
    (tmp_path / "x.ckpt").write_bytes(line)
    assert checkpoint.header(tmp_path / "x.ckpt") == told


def test_a_checkpoint_of_another_run_is_refused():
    config, other = small(), small(seed=9)
    checkpoint.save(checkpoint.path_of(config.id), other.id, Run(other, "cpu").state_dict())
    with pytest.raises(RecordError, match=f"run {other.id}, not {config.id}"):
        train(config, progress=False)


class Program:
    """What unpickling would run."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def test_a_checkpoint_cannot_run_code(tmp_path):
    path, trace = tmp_path / "x.ckpt", tmp_path / "trace"
    checkpoint.save(path, "x", {"counters": Program(trace)})
    with pytest.raises(RecordError, match="more than tensors"):
        checkpoint.load(path, "x")
    assert not trace.exists()
