"""The command line of runs: what a person types, what they read, and the exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import Future
from pathlib import Path

import pytest

from fwrnn_core import experiments, paths
from fwrnn_core.cli import main
from fwrnn_core.experiments import fair
from fwrnn_core.training import Run, checkpoint, queue, records
from fwrnn_core.training.status import survey

CONFIG = {
    "name": "mine/run",
    "data": {"name": "adding", "options": {"length": 8, "train": 60, "test": 20}},
    "model": {"cell": "tanh", "hidden_size": 6},
    "optimizer": {"inner_steps": 2},
    "batch_size": 20,
    "epochs": 3,
}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FWRNN_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def config(tmp_path):
    def write(**changes):
        path = tmp_path / "run.json"
        path.write_text(json.dumps({**CONFIG, **changes}))
        return str(path)

    return write


def test_a_config_of_ones_own_is_trained_listed_and_verified(config, capsys):
    assert main(["train", config(), "--no-progress"]) == 0
    out = capsys.readouterr().out
    assert "mine/run: complete" in out
    assert f"Record: {records.path_of('mine/run')}" in out
    assert records.read(records.path_of("mine/run")).status == "complete"
    assert main(["records", "mine/*"]) == 0
    out = capsys.readouterr().out
    assert "complete" in out
    assert "3 / 3" in out
    assert f"1 run: 1 complete (records in {records.paths.records()})" in out
    assert main(["verify", "mine/run", "--epochs", "2"]) == 0
    assert "agree to the last digit" in capsys.readouterr().out
    assert main(["verify", config()]) == 2
    assert "give the name of the run in place of a file: 'mine/run'" in capsys.readouterr().err
    assert main(["verify", str(records.path_of("mine/run"))]) == 2
    assert "in place of a file: 'mine/run'" in capsys.readouterr().err


def test_bars_are_drawn_where_somebody_sees_them_and_wants_them(config, capsys, monkeypatch):
    for terminal in (False, True):
        monkeypatch.setattr(sys.stderr, "isatty", lambda seen=terminal: seen)
        main(["train", config(name=f"mine/{terminal}", epochs=1)])
        assert ("batch/s" in capsys.readouterr().err) == terminal
        for wanted in (True, False):
            asked = [] if wanted else ["--no-progress"]
            assert main(["verify", f"mine/{terminal}", *asked]) == 0
            assert ("batch/s" in capsys.readouterr().err) == (terminal and wanted)


def test_list_shows_every_run_of_the_catalogue(capsys):
    assert main(["train", "--list"]) == 0
    out = capsys.readouterr().out
    for name in ("adding/tuned/search/fw-k10/lr-0.001", "fair/har2/search/sgd/00", "theory/har2/"):
        assert name in out
    assert main(["train"]) == 2
    assert "--list" in capsys.readouterr().err


def test_show_prints_a_config_that_train_accepts(config, capsys, tmp_path):
    assert main(["train", "har2/published/fw-k5", "--show"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["optimizer"]["inner_steps"] == 5
    copy = tmp_path / "copy.json"
    copy.write_text(json.dumps(body))
    assert main(["train", str(copy), "--list"]) == 0
    assert "200 epochs  har2/published/fw-k5" in capsys.readouterr().out


def test_missing_runs_are_listed_as_missing(capsys):
    assert main(["records", "har2/published/*", "--state", "missing"]) == 0
    assert "12 runs: 12 missing" in capsys.readouterr().out
    assert main(["records", "har2/published/adam"]) == 0
    assert "1 run: 1 missing" in capsys.readouterr().out
    assert main(["records", "har2/published/adam", "har2/published/*", "fig3"]) == 0
    assert "15 runs: 15 missing" in capsys.readouterr().out, "each once"
    assert main(["records", "har2/published/adam", "--state", "complete"]) == 0
    assert "har2/published/adam is missing, not complete" in capsys.readouterr().err
    assert main(["records", "har2/published/*", "--state", "complete"]) == 0
    assert "none of the 12 runs is complete" in capsys.readouterr().err


def test_runs_that_wait_for_a_search_are_missing_too(capsys):
    """Nothing is searched here: no final run has settings, and all are planned."""
    assert main(["records", "fair/*/final/*", "--state", "missing"]) == 0
    out = capsys.readouterr().out
    planned = len(fair.METHODS) * sum(fair.SEEDS.values())
    assert f"{planned} runs: {planned} missing" in out
    assert f"{planned} runs wait for their search" in out
    assert "`fwrnn train fair-search` first" in out
    assert main(["records", "fig3-tuned"]) == 0
    assert "`fwrnn train fig3-search` first" in capsys.readouterr().out
    for name in ("fair", "fair/har2/final/lstm-adam/*", "fair/har2/final/lstm-adam/seed-1"):
        assert main(["train", name]) == 2
        assert "`fwrnn train fair-search` first" in capsys.readouterr().err


def test_an_interrupted_run_is_listed_with_its_epochs_and_minutes(config, capsys):
    """Of the catalogue or not."""
    name = "adding/published/adam"
    select = ["records", name, "--state", "interrupted"]
    run = experiments.select(name)[0]
    about = {"name": name, "epoch": 8, "epochs": run.epochs}
    for seconds, minutes in (({}, "-"), ({"seconds": 90.0}, "1.5")):  # of an older version, and now
        checkpoint.save(checkpoint.path_of(run.id), run.id, {}, **about, **seconds)
        assert main(select) == 0
        row = capsys.readouterr().out.splitlines()[1].split()
        assert row == [name, "interrupted", "8", "/", str(run.epochs), minutes, "-"]
    assert main(["records"]) == 0  # where a name is asked for by no pattern
    assert "1 interrupted" in capsys.readouterr().out


@pytest.mark.parametrize("partial", [False, True])
def test_a_run_of_ones_own_that_was_interrupted_is_listed(config, capsys, monkeypatch, partial):
    path = config()
    if partial:
        assert main(["train", path, "--no-progress", "--stop-after", "1"]) == 0
        assert main(["records", "mine/*", "--state", "partial"]) == 0
        assert "1 / 3" in capsys.readouterr().out

    def killed(self):
        if self.epoch == 2:
            raise KeyboardInterrupt
        return original(self)

    original = Run._next_batch
    monkeypatch.setattr(Run, "_next_batch", killed)
    assert main(["train", path, "--no-progress"]) == 130
    assert main(["records", "mine/*", "--state", "interrupted"]) == 0
    assert "2 / 3" in capsys.readouterr().out
    filed = records.load("mine/*")[0].seconds if partial else 0
    assert survey("mine/*", {})[0].seconds > filed
    monkeypatch.setattr(Run, "_next_batch", original)
    assert main(["train", path, "--no-progress"]) == 0
    assert main(["records", "mine/*", "--state", "complete"]) == 0
    assert "3 / 3" in capsys.readouterr().out


def test_groups_are_understood_wherever_runs_are_named(capsys):
    assert main(["records", "table3"]) == 0
    out = capsys.readouterr().out
    assert "noisy-har2/published/adam" in out
    assert "theory/" not in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "har2/published/fw-k6"], ["fw-k6", "'har2/published/fw-k5'"]),
        (["train", "no-such.json"], ["no-such.json", "config (No such file or directory)"]),
        (["train", "table3", "--jobs", "0"], ["--jobs = 0"]),
        (["verify", "nothing/*"], ["unknown record 'nothing/*'", "`fwrnn records` lists"]),
        (["verify", "har2/published/fw-k5"], ["has no record yet", "fwrnn train 'har2/published"]),
        (["verify", "har2/published/fw-k5"], ["the published ones are in the repository"]),
        (["verify", "har2/published/fw-k6"], ["'har2/published/fw-k6'", "`fwrnn records` lists"]),
        (["verify", "table3"], ["'table3' has no record yet", "`fwrnn train 'table3'` makes them"]),
        (["verify", "no-such.json"], ["no-such.json: give the name of a run", "lists every run"]),
        (["records", "har2/publishd/adam"], ["'har2/published/adam'"]),
        (["records", "table3", "har2/publishd/adam"], ["'har2/published/adam'"]),
        (["train", "har2/published/adam", "--device", "cudda"], ["cudda"]),
        (["verify", "x", "--epochs", "0"], ["--epochs = 0"]),
        # Also with several runs: one mistake is one sentence, not a failure of each of them.
        (["train", "table3", "--device", "cudda"], ["unknown device 'cudda'. Did you mean 'cuda'"]),
        (["train", "table3", "--threads", "0"], ["--threads = 0", "valid: 1 … 1024"]),
        (["train", "table3", "--threads", "99999"], ["--threads = 99999", "valid: 1 … 1024"]),
        (["train", "table3", "--stop-after", "0"], ["--stop-after = 0"]),
        (["train", "--jobs", "0", "har2"], ["--jobs = 0"]),  # what was typed first is said first
        (["train", "har2"], ["'har2' is a folder, no run; 'har2/*'"]),
        (["records", "har2/"], ["'har2/' is a folder, no run; 'har2/*'"]),
    ],
)
def test_mistakes_are_answered_with_a_sentence_and_status_2(arguments, words, capsys):
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("fwrnn: ")
    assert "Traceback" not in err
    assert not err.rstrip().endswith("Valid:")  # a list of valid names that is empty
    for word in words:
        assert word in err


def test_every_name_that_is_to_be_verified_must_have_a_record(config, capsys):
    main(["train", config(), "--no-progress"])
    capsys.readouterr()
    assert main(["verify", "mine/run", "mine/rum"]) == 2
    assert "unknown record 'mine/rum'. Did you mean 'mine/run'" in capsys.readouterr().err


def test_a_run_that_is_trained_already_is_said_to_be(config, capsys):
    main(["train", config(), "--no-progress"])
    assert "already" not in capsys.readouterr().err
    assert main(["train", config(), "--no-progress"]) == 0
    assert "mine/run had its record already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochz": 3}, ["epochz", "'epochs'"]),
        ({"optimizer": {"inner_steps": 0}}, ["inner_steps", "0", ">= 1"]),
        ({"optimizer": {"radius": -1}}, ["radius", "-1"]),
        ({"optimizer": {"norm": 0.5}}, ["norm", "0.5"]),
        ({"data": {"name": "hra-2"}}, ["hra-2", "'har-2'"]),
        ({"batch_size": 61}, ["batch_size = 61", "60"]),
        ({"name": "../../etc/run"}, ["name", "../../etc/run"]),
        ({"optimizer": {"momentum": "much"}}, ["run.json"]),
        ({"optimizer": {"weight_decay": "some"}}, ["run.json"]),
        ({"probes": 5}, ["run.json"]),
        ({"probes": ["angles"]}, ["run.json"]),
        ({"seed": "lucky"}, ["seed", "lucky"]),
        # What is looked at only when the run is built names the file all the same.
        ({"data": {"name": "hra-2"}}, ["run.json: unknown dataset"]),
        ({"probes": [{"name": "angels"}]}, ["run.json: unknown probe 'angels'"]),
        ({"model": {"options": {"x": 1}}}, ["run.json: unknown key of model.options"]),
    ],
)
def test_bad_configs_are_refused_before_training(config, changes, words, capsys):
    assert main(["train", config(**changes), "--no-progress"]) == 2
    err = capsys.readouterr().err
    for word in words:
        assert word in err
    assert not list(records.paths.records().rglob("*.json"))


def test_of_two_configs_with_one_name_neither_is_dropped(config, capsys, tmp_path):
    first, second = config(), tmp_path / "second.json"
    second.write_text(json.dumps({**CONFIG, "seed": 7}))
    assert main(["train", first, str(second), "--no-progress"]) == 2
    err = capsys.readouterr().err
    assert f"{second}: its run is called 'mine/run' like that of {first}" in err
    assert not list(records.paths.records().rglob("*.json"))
    second.write_text(json.dumps(CONFIG))  # the same settings twice are one run
    assert main(["train", first, str(second), "--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_diverged_run_says_so_and_exits_with_1(config, capsys):
    path = config(optimizer={"name": "sgd", "lr": 1e30})
    assert main(["train", path, "--no-progress"]) == 1
    out = capsys.readouterr().out
    assert "mine/run: diverged (loss " in out
    assert "at epoch 1, minibatch " in out


def test_a_run_that_diverges_late_names_the_state_that_is_kept(config, capsys, monkeypatch):
    original = Run._next_batch

    def poisoned(self):
        x, y = original(self)
        return (x * float("nan") if self.epoch == 2 else x), y

    monkeypatch.setattr(Run, "_next_batch", poisoned)
    assert main(["train", config(), "--no-progress"]) == 1
    out = capsys.readouterr().out
    assert "loss nan at epoch 3, minibatch 1" in out
    kept = out.splitlines()[0].rpartition("kept in ")[2]
    assert Path(kept).is_file()


def test_a_folder_that_cannot_be_written_is_a_sentence(config, capsys, tmp_path, monkeypatch):
    path = config()
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FWRNN_HOME", str(tmp_path / "file"))
    assert main(["train", path, "--no-progress"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("fwrnn: ")
    assert f"FWRNN_HOME = {tmp_path / 'file'} is a file; set it to a folder" in err
    assert main(["data", "list"]) == 2  # whatever the command
    below = tmp_path / "file" / "below"
    monkeypatch.setenv("FWRNN_HOME", str(below))
    assert main(["train", path, "--no-progress"]) == 2
    assert "Not a directory; set FWRNN_HOME" in capsys.readouterr().err


def test_a_disk_that_is_full_is_a_sentence(config, capsys, home, monkeypatch):
    """Such a write names no file, so it cannot be told by its path."""

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert main(["train", config(), "--no-progress"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("fwrnn: No space left on device")
    assert f"in the middle of a write below {home}. " in err
    assert "run the same command again" in err
    assert not list(home.rglob(".*.ckpt.*"))


def test_a_full_disk_is_the_same_sentence_for_runs_side_by_side(home):
    error = OSError(28, "No space left on device")
    future: Future[queue.Outcome] = Future()
    future.set_exception(error)
    assert queue._outcome(future, "mine/run").error == paths.explain(error)
    assert str(home) in (paths.explain(error) or "")
    assert paths.explain(OSError(2, "No such file or directory", "/somewhere/else")) is None


def test_outside_a_checkout_records_are_no_cache(tmp_path, monkeypatch):
    """Caches are deleted without a thought; nothing but training makes a record again."""
    monkeypatch.delenv("FWRNN_HOME")
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "site" / "fwrnn_core")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.chdir(tmp_path)
    assert paths.records() == tmp_path / "share" / "fwrnn" / "records"
    assert paths.checkpoints().is_relative_to(tmp_path / "cache" / "fwrnn")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("pattern", ["*", "har2/published/adam"])  # more than a buffer, and less
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_standard_output_that_is_full_is_said_to_be(pattern, unbuffered):
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "fwrnn_core", "records", pattern]
        given = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=given)
    assert done.returncode == 2
    assert done.stderr == "fwrnn: standard output cannot be written: No space left on device\n"


def test_an_error_of_ours_keeps_its_traceback(config, monkeypatch):
    def broken(self):
        raise FileNotFoundError(2, "No such file or directory", "/somewhere/else")

    monkeypatch.setattr(Run, "_next_batch", broken)
    with pytest.raises(FileNotFoundError):
        main(["train", config(), "--no-progress"])


def test_a_network_that_does_not_fit_into_memory_is_a_sentence(config, capsys):
    # 10 TB of weights: refused by every allocator, nothing is touched.
    path = config(model={"cell": "tanh", "hidden_size": 1_600_000})
    assert main(["train", path, "--no-progress"]) == 2
    err = capsys.readouterr().err
    assert "out of memory" in err
    assert "batch_size" in err


def test_another_runtime_error_is_ours_and_keeps_its_traceback(config, monkeypatch):
    def broken(self):
        raise RuntimeError("sizes of tensors do not match")

    monkeypatch.setattr(Run, "_next_batch", broken)
    with pytest.raises(RuntimeError, match="do not match"):
        main(["train", config(), "--no-progress"])


def test_runs_that_were_interrupted_are_not_reported_as_done(config, capsys, monkeypatch):
    outcomes = [queue.Outcome("a", "complete"), queue.Outcome("b", "interrupted")]
    monkeypatch.setattr(queue, "train_all", lambda *_, **__: outcomes)
    assert main(["train", "table3", "--no-progress"]) == 130
    assert "b: interrupted" in capsys.readouterr().out


def test_a_damaged_record_is_refused_by_name(config, capsys):
    path = config()
    main(["train", path, "--no-progress"])
    record = records.path_of("mine/run")
    record.write_text(record.read_text()[:-20])
    capsys.readouterr()
    assert main(["train", path, "--no-progress"]) == 2
    assert str(record) in capsys.readouterr().err


def test_a_damaged_record_does_not_hide_the_others(config, capsys):
    main(["train", config(), "--no-progress"])
    main(["train", config(name="mine/other"), "--no-progress"])
    record = records.path_of("mine/run")
    record.write_text(record.read_text()[:-20])
    capsys.readouterr()
    assert main(["records", "mine/*"]) == 2
    told = capsys.readouterr()
    states = {line.split()[0]: line.split()[1] for line in told.out.splitlines() if "mine/" in line}
    assert states == {"mine/other": "complete", "mine/run": "damaged"}
    assert str(record) in told.err
    assert "mine/other" not in told.err
    assert main(["records", "mine/*", "--state", "complete"]) == 0


def test_help_teaches_and_does_not_wait_for_torch():
    code = (
        "import sys; from fwrnn_core.cli import build_parser; build_parser(); "
        "print('torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


@pytest.mark.parametrize("command", ["train", "records", "verify", "run", "book"])
def test_every_command_has_examples_in_its_help(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert "example" in capsys.readouterr().out


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize("command", ["train", "run", "data fetch"])
def test_help_is_shown_by_a_terminal_that_lacks_its_characters(command, encoding):
    done = subprocess.run(
        [sys.executable, "-m", "fwrnn_core", *command.split(), "--help"],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_without_a_home_folder_the_way_out_is_named(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("FWRNN_HOME", raising=False)
    monkeypatch.setattr(paths, "_project", lambda: None)

    def homeless(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", homeless)
    assert main(["records"]) == 2
    said = capsys.readouterr().err
    assert "there is no home folder; set HOME, or FWRNN_HOME" in said
