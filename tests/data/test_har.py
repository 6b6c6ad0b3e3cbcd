"""HAR-2 end to end: a small archive of the UCI layout, served, fetched, cached, loaded."""

import dataclasses
import functools
import hashlib
import io
import multiprocessing
import zipfile

import numpy as np
import pytest
import torch

from fwrnn_core.cli import main
from fwrnn_core.data import download, files, har, load, sources, uci
from fwrnn_core.errors import ConfigError, DataError

# Windows in each part, with all six activities in both.
ROWS = {"train": 18, "test": 12}


@functools.cache
def tiny() -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """The members of the archive as text, and the numbers behind them."""
    rng = np.random.RandomState(0)
    members, numbers = {f"{uci.ROOT}/README.txt": "hello", f"__MACOSX/{uci.ROOT}/._x": "junk"}, {}
    for split, rows in ROWS.items():
        x = (rng.standard_normal((rows, 128, 9)) * 0.3 + np.arange(9) / 4).round(7)
        activity = np.arange(rows) % 6 + 1
        subject = np.arange(rows) // 6 + (1 if split == "train" else 20)
        for column, name in enumerate(uci.CHANNELS):
            lines = ("  ".join(f"{v: .7e}" for v in row) for row in x[:, :, column])
            path = f"{uci.ROOT}/{split}/Inertial Signals/{name}_{split}.txt"
            members[path] = "\n".join(lines) + "\n"
        members[f"{uci.ROOT}/{split}/y_{split}.txt"] = "\n".join(map(str, activity)) + "\n"
        members[f"{uci.ROOT}/{split}/subject_{split}.txt"] = "\n".join(map(str, subject)) + "\n"
        numbers |= {f"x_{split}": x, f"activity_{split}": activity, f"subject_{split}": subject}
    return members, numbers


def zipped(members: dict[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def archive(cache, serve, monkeypatch):
    """The tiny archive behind a local web server, pinned in place of the real one."""
    members, numbers = tiny()
    inner = zipped(members)
    outer = zipped({f"{uci.ROOT}.names": b"", f"{uci.ROOT}.zip": inner})
    url = serve({"/har.zip": outer}) + "/har.zip"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    pinned = dataclasses.replace(sources.UCI_ZIP, sha256=hashlib.sha256(inner).hexdigest())
    wanted = download.Expected(url, 10**7, hashlib.sha256(outer).hexdigest())
    monkeypatch.setattr(sources, "UCI_OUTER", wanted)
    monkeypatch.setattr(sources, "UCI_ZIP", pinned)
    first = dataclasses.replace(sources.SOURCES["har"][0], files=(pinned,), origin=url)
    second = dataclasses.replace(sources.SOURCES["har"][1], fetch=_no_second_source)
    monkeypatch.setitem(sources.SOURCES, "har", (first, second))
    return numbers


def _no_second_source(scratch):
    raise DataError("the second source does not answer")
    yield


def test_from_the_server_to_normalised_windows(archive):
    data = load("har-2", source="uci")
    raw = archive["x_train"].astype(np.float32).astype(np.float64)
    exact = (raw - raw.mean()) / raw.std()
    np.testing.assert_allclose(data.x_train.numpy(), exact, atol=1e-5)
    np.testing.assert_allclose(
        data.x_test.numpy(), (archive["x_test"] - raw.mean()) / raw.std(), atol=1e-5
    )
    # 1 Walking, 3 Walking_Downstairs and 5 Standing are the positive class.
    assert data.y_train.tolist() == [float(a in (1, 3, 5)) for a in archive["activity_train"]]
    assert data.y_test.tolist() == [float(a in (1, 3, 5)) for a in archive["activity_test"]]
    assert data.train.groups.tolist() == archive["subject_train"].tolist()
    assert data.test.groups.tolist() == archive["subject_test"].tolist()
    assert (data.source, data.task, data.output_size) == ("uci", "binary", 1)
    assert data.options == {"source": "uci", "normalise": "global"}
    assert data.y_train.dtype == torch.float32


def test_the_second_load_needs_no_network_and_is_the_same(archive, monkeypatch):
    first = load("har-2")
    monkeypatch.setenv("FWRNN_OFFLINE", "1")
    monkeypatch.setattr(har, "build", lambda source: pytest.fail("built twice"))
    second = load("har-2")
    assert torch.equal(first.x_train, second.x_train)
    assert first.fingerprint == second.fingerprint


@pytest.mark.parametrize("normalise", har.NORMALISATIONS)
def test_normalisations(archive, normalise):
    data = load("har-2", normalise=normalise)
    raw = archive["x_train"].astype(np.float32).astype(np.float64)
    mean, std = {
        "global": (raw.mean(), raw.std()),
        "published-code": (0.10206605722975093, 0.4021651763839265),
        "channel": (raw.mean((0, 1)), raw.std((0, 1))),
    }[normalise]
    np.testing.assert_allclose(data.x_train.numpy(), (raw - mean) / std, atol=2e-5)


def test_options_that_change_the_data_change_the_fingerprint(archive):
    loads = [load("har-2", normalise=n) for n in har.NORMALISATIONS]
    loads += [
        load("noisy-har-2", noise=noise, seed=seed)
        for noise in ("published-code", "paper", "fixed")
        for seed in (0, 1)
    ]
    assert len({data.fingerprint for data in loads}) == len(loads)
    # Where the data came from does not: the same windows are the same data.
    assert load("har-2", source="uci").fingerprint == loads[0].fingerprint


@pytest.mark.parametrize(("noise", "variance"), [("published-code", 4.0), ("paper", 2.0)])
def test_redrawn_noise_in_both_parts(archive, noise, variance):
    clean, noisy = load("har-2"), load("noisy-har-2", noise=noise)
    generator = torch.Generator().manual_seed(0)
    for split in ("train", "test"):
        index = torch.arange(12)
        draws = torch.stack([noisy.batch(split, index, generator)[0] for _ in range(10)])
        added = draws - clean.batch(split, index)[0]
        # 138,240 normals: the standard error of the variance is 0.4 %.
        assert added.var().item() == pytest.approx(variance, rel=0.02)
        assert abs(added.mean().item()) < 0.03
        assert not torch.equal(draws[0], draws[1])
        assert torch.equal(noisy.batch(split, index, generator)[1], clean.batch(split, index)[1])


def test_fixed_noise_is_drawn_once_per_seed_and_window(archive):
    clean, fixed = load("har-2"), load("noisy-har-2", noise="fixed", seed=3)
    index = torch.tensor([2, 5])
    x, _ = fixed.batch("train", index)
    assert torch.equal(x, fixed.batch("train", index, torch.Generator().manual_seed(9))[0])
    assert torch.equal(x, load("noisy-har-2", noise="fixed", seed=3).x_train[index])
    assert not torch.equal(x, load("noisy-har-2", noise="fixed", seed=4).x_train[index])
    assert torch.equal(fixed.select([5]).x_train[0], x[1])
    for split in ("train", "test"):
        added = fixed.inputs(split) - clean.inputs(split)
        assert added.var().item() == pytest.approx(2.0, rel=0.05)


def test_validation_is_cut_by_subject(archive):
    fit, valid = load("har-2").with_validation(0.3, seed=1)
    assert set(fit.train.groups.tolist()).isdisjoint(valid.test.groups.tolist())
    assert set(fit.test.groups.tolist()) == {20, 21}


def test_a_swapped_download_is_refused_and_every_source_named(archive, monkeypatch, cache):
    wrong = dataclasses.replace(sources.UCI_OUTER, sha256="0" * 64)
    monkeypatch.setattr(sources, "UCI_OUTER", wrong)
    with pytest.raises(DataError) as caught:
        load("har-2")
    text = str(caught.value)
    for words in (
        *("uci", "is not the pinned file: expected SHA-256 000", "hapt"),
        *("the second source does not answer", "HAPT.pkl.gz  SHA-256 231bf6d5", 'load("adding")'),
    ):
        assert words in text
    assert not list(cache.rglob("*.zip"))
    assert not list(cache.glob(".fetch-*"))


def test_a_swapped_inner_archive_is_refused(archive, monkeypatch, cache):
    pinned = dataclasses.replace(sources.UCI_ZIP, sha256="1" * 64)
    first = dataclasses.replace(sources.SOURCES["har"][0], files=(pinned,))
    monkeypatch.setitem(sources.SOURCES, "har", (first,))
    with pytest.raises(DataError, match=r"UCI HAR Dataset\.zip from .* is not the pinned file"):
        load("har-2")
    assert not list(cache.rglob("*.zip"))


def test_a_spoiled_archive_in_the_cache_is_set_aside_and_fetched_again(archive, cache):
    path = sources.UCI_ZIP.resolve()
    path.parent.mkdir(parents=True)
    path.write_bytes(b"spoiled")
    with pytest.raises(DataError, match=r"expected SHA-256 .*\n.*found .*\n.*fetch har-2"):
        load("har-2")
    assert len(list(path.parent.glob("*.bad-*"))) == 1
    assert len(load("har-2").train) == ROWS["train"]


def test_spoiled_windows_are_set_aside_and_rebuilt_without_the_network(archive, monkeypatch):
    good = load("har-2")
    monkeypatch.setenv("FWRNN_OFFLINE", "1")
    path = har.cache_file("uci")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="Load the dataset again"):
        load("har-2")
    assert load("har-2").fingerprint == good.fingerprint


def test_rebuilding_finds_windows_that_do_not_belong_to_the_file(archive, capsys):
    load("har-2")
    assert main(["data", "verify", "har-2", "--rebuild"]) == 0
    assert "har windows rebuilt from uci: ok" in capsys.readouterr().out
    windows = vars(har.cached_windows("uci"))
    files.save_arrays(har.cache_file("uci"), {**windows, "content": "another"})
    assert main(["data", "verify", "har-2"]) == 0
    assert main(["data", "verify", "har-2", "--rebuild"]) == 2
    assert "another" in capsys.readouterr().err


def test_offline_with_an_empty_cache_says_so(archive, monkeypatch):
    monkeypatch.setenv("FWRNN_OFFLINE", "1")
    with pytest.raises(DataError, match="FWRNN_OFFLINE is set"):
        load("har-2")
    assert len(load("adding", train=5, test=5).train) == 5


def test_auto_falls_back_and_says_why(archive, monkeypatch, cache, capsys):
    first, second = sources.SOURCES["har"]
    refusing = dataclasses.replace(first, name="hapt", fetch=_no_second_source)
    swapped = (dataclasses.replace(refusing, files=second.files), first)
    monkeypatch.setitem(sources.SOURCES, "har", swapped)
    assert load("har-2").source == "uci"
    assert "uci instead of hapt, the second source" in capsys.readouterr().err


def test_litter_of_a_killed_download_is_removed(archive, cache):
    litter = cache / ".fetch-har-dead"
    litter.mkdir(parents=True)
    (litter / "half.zip").write_bytes(b"half")
    load("har-2")
    assert not litter.exists()


def _load_fingerprint(results):
    results.put(load("har-2").fingerprint)


def test_processes_that_ask_at_once_download_and_build_once(archive, monkeypatch, cache):
    context = multiprocessing.get_context("fork")
    built, fetched, results = context.Value("i", 0), context.Value("i", 0), context.Queue()
    real_build, real_https = har.build, download.https

    def counted_build(source):
        with built:
            built.value += 1
        return real_build(source)

    def counted_https(*arguments):
        with fetched:
            fetched.value += 1
        return real_https(*arguments)

    monkeypatch.setattr(har, "build", counted_build)
    monkeypatch.setattr(download, "https", counted_https)
    workers = [context.Process(target=_load_fingerprint, args=(results,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    prints = {results.get(timeout=30) for _ in workers}
    for worker in workers:
        worker.join(10)
    assert len(prints) == 1
    assert (fetched.value, built.value) == (1, 1)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("train/y_train.txt", "1\n2\n", "has 18 rows, y_train.txt has 2"),
        ("train/y_train.txt", "7\n" * 18, "activities must be 1"),
        ("train/subject_train.txt", "1\n" * 17, "one for each subject"),
        ("test/Inertial Signals/body_acc_x_test.txt", "1 2 3\n" * 12, "3 columns, not 128"),
        ("test/Inertial Signals/body_acc_x_test.txt", "1 two 3\n", "body_acc_x_test.txt: "),
        ("test/Inertial Signals/body_acc_x_test.txt", "", "body_acc_x_test.txt is empty"),
    ],
)
def test_an_archive_of_another_shape_is_a_sentence(name, content, words):
    members = {**tiny()[0], f"{uci.ROOT}/{name}": content}
    with pytest.raises(DataError, match=words):
        uci.read(io.BytesIO(zipped(members)))


def test_a_missing_member_and_a_broken_zip_are_sentences():
    members = dict(tiny()[0])
    del members[f"{uci.ROOT}/test/y_test.txt"]
    with pytest.raises(DataError, match="holds no file UCI HAR Dataset/test/y_test.txt"):
        uci.read(io.BytesIO(zipped(members)))
    with pytest.raises(DataError, match="not a zip archive"):
        uci.read(io.BytesIO(b"PK broken"))


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("har-2", {"source": "usi"}, "Did you mean 'uci'"),
        ("har-2", {"normalise": "chanel"}, "Did you mean 'channel'"),
        ("har-2", {"noise": "paper"}, "unknown option of har-2 'noise'"),
        ("noisy-har-2", {"noise": "papr"}, "Did you mean 'paper'"),
        ("noisy-har-2", {"noise": 2.0}, "noise must be a text, got 2.0"),
        ("har2", {}, "Did you mean 'har-2'"),
    ],
)
def test_bad_options(archive, name, options, words):
    with pytest.raises(ConfigError, match=words):
        load(name, **options)


def test_train_windows_come_first_in_their_own_order():
    test = np.arange(100) % 3 == 0
    x = np.arange(100 * 2 * 9, dtype=np.float32).reshape(100, 2, 9)
    windows = har.Windows.divided(x, np.arange(1, 101), np.arange(100), test)
    rows = [*(n for n in range(100) if n % 3), *range(0, 100, 3)]
    assert windows.count == 66
    assert windows.subject.tolist() == rows
    np.testing.assert_array_equal(windows.x, x[rows])


def test_has_arrays_is_false_until_both_files_are_there(cache):
    path = har.cache_file("uci")
    assert not files.has_arrays(path)
    files.write_atomic(path, b"x")
    assert not files.has_arrays(path)
