"""``train`` in a process of its own that is killed or interrupted."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch
from helpers import small

from fwrnn_core import paths
from fwrnn_core.training import Run, RunConfig, checkpoint, records, train

SCRIPT = """
import json, sys
from fwrnn_core.training import RunConfig, train
config = RunConfig.from_dict(json.loads(sys.argv[1]))
print("ready", flush=True)
train(config, progress=False)
"""


def _start(config: RunConfig) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), json.dumps(config.to_dict())],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.01)


def test_kill_minus_nine_at_ten_random_moments_changes_nothing():
    config = small(epochs=150)
    started = time.perf_counter()
    whole = train(config, store=False, progress=False)
    duration = time.perf_counter() - started
    moments = random.Random(0)
    killed = 0
    for _ in range(10):
        process = _start(config)
        time.sleep(moments.uniform(0, duration / 10))
        process.kill()
        killed += process.wait() == -signal.SIGKILL
    resumed = train(config, progress=False)
    assert killed == 10
    assert not list(paths.checkpoints().glob(".*")), "half a file of one that was killed"
    assert resumed.essence() == whole.essence()


def test_half_files_of_killed_runs_go_when_the_run_goes_on():
    """And those of no other run, whose process may be writing them."""
    config = small()
    places = [checkpoint.path_of(config.id), records.path_of(config.name)]
    places += [records.state_path_of(config.name), checkpoint.path_of("another")]
    halves = [place.with_name(f".{place.name}.0123456789ab.part") for place in places]
    for half in halves:
        half.parent.mkdir(parents=True, exist_ok=True)
        half.write_bytes(b"half")
    train(config, progress=False)
    assert [half.exists() for half in halves] == [False, False, False, True]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_writes_a_checkpoint_in_mid_epoch(number):
    config = small(epochs=100_000)
    process = _start(config)
    _wait_for(checkpoint.path_of(config.id))
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "run again to go on" in err
    state = checkpoint.load(checkpoint.path_of(config.id), config.id)
    assert state is not None
    unbroken = Run(config, "cpu")
    while unbroken.state_dict()["counters"] != state["counters"]:
        assert unbroken.evaluations <= state["counters"][3]
        finished = unbroken.minibatch == unbroken.minibatches
        (unbroken.finish_epoch if finished else unbroken.step)()
    torch.testing.assert_close(unbroken.state_dict()["model"], state["model"], rtol=0, atol=0)
    assert not records.path_of(config.name).exists()


def test_ctrl_c_is_the_caller_s_again_when_a_run_is_over():
    numbers = signal.SIGINT, signal.SIGTERM
    before = [signal.getsignal(number) for number in numbers]
    train(small(epochs=1), progress=False)
    assert [signal.getsignal(number) for number in numbers] == before
