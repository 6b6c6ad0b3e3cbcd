"""What the training loop is given: inputs ``[N, T, F]``, targets ``[N]``, and how a batch is made.

A :class:`Dataset` keeps its inputs as small as they came (MNIST stays ``uint8``); pixels become
normalised ``float32`` and noise is drawn only when a batch is made. Noise comes from the generator
that the caller hands in and from nothing else, so that a run resumed from a saved generator state
sees the same numbers as one that was never stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from fwrnn_core.errors import ConfigError, unknown

Task = Literal["binary", "multiclass", "regression"]
Rows = Tensor | Sequence[int]
SPLITS = ("train", "test")


def digest(*parts: object) -> str:
    """SHA-256 (hex) of JSON-able parts, independent of the order of dictionary keys.

    >>> digest("a", {"x": 1, "y": 2}) == digest("a", {"y": 2, "x": 1})
    True
    """
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def array_digest(*arrays: np.ndarray) -> str:
    """SHA-256 (hex) over dtype, shape and little-endian bytes of each array in turn."""
    h = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        h.update(f"{array.dtype.str}{array.shape}".encode())
        h.update(array.data)
    return h.hexdigest()


@dataclass(frozen=True)
class Transform:
    """From stored inputs to what the network sees.

    ``pixels`` holds (mean, std) for ``uint8`` inputs: ``(x / 255 - mean) / std``. ``noise_std`` is
    the standard deviation of Gaussian noise added afresh to every batch; 0 adds none.
    ``noise_seed`` only serves :attr:`Dataset.x_train` and :attr:`Dataset.x_test`.
    """

    pixels: tuple[float, float] | None = None
    noise_std: float = 0.0
    noise_seed: int = 0

    def __call__(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """Normalised, noisy ``float32`` copy of ``x``; draws ``x.numel()`` normals if noisy."""
        if self.pixels is not None:
            mean, std = self.pixels
            # Division by 255 first, then mean and std: the rounding of torchvision's pipeline.
            x = x.to(torch.float32).div_(255).sub_(mean).div_(std)
        if self.noise_std:
            if generator is None:
                raise ConfigError(
                    "this dataset draws new noise for every batch and takes it only from a "
                    "generator: batch(split, index, generator=torch.Generator().manual_seed(0))"
                )
            noise = torch.randn(x.shape, generator=generator, device=generator.device)
            x = x + noise.to(x.device).mul_(self.noise_std)
        return x

    @property
    def trivial(self) -> bool:
        """True when the stored inputs are already what the network sees."""
        return self.pixels is None and not self.noise_std


@dataclass(frozen=True, eq=False)
class Split:
    """One part of a dataset: inputs as stored, targets, and subject ids where there are any."""

    x: Tensor
    y: Tensor
    groups: Tensor | None = None

    def __post_init__(self) -> None:
        if self.x.dim() != 3 or len(self.x) != len(self.y):
            raise ConfigError(
                f"inputs must be [N, T, F] with one target each, got {tuple(self.x.shape)} "
                f"and {tuple(self.y.shape)}"
            )

    def __len__(self) -> int:
        return len(self.y)

    def rows(self, index: Tensor) -> Split:
        """The rows at ``index``, in that order."""
        groups = None if self.groups is None else self.groups[index]
        return Split(self.x.index_select(0, index), self.y[index], groups)

    def to(self, device: torch.device | str) -> Split:
        groups = None if self.groups is None else self.groups.to(device)
        return Split(self.x.to(device), self.y.to(device), groups)


def _rows(split: Split, index: Rows) -> Tensor:
    """``index`` as ``int64`` on the split's device, or a :class:`ConfigError`."""
    rows = torch.as_tensor(list(index) if isinstance(index, range) else index)
    if rows.dtype == torch.bool and rows.shape == (len(split),):
        rows = rows.nonzero().flatten()
    elif rows.dtype == torch.bool or (rows.is_floating_point() and rows.numel()):
        raise ConfigError(
            f"rows must be whole numbers, or a mask of {len(split)} booleans; got "
            f"{tuple(rows.shape)} of {rows.dtype}"
        )
    rows = rows.to(split.x.device, torch.int64)
    if rows.dim() != 1 or not len(rows) or rows.min() < 0 or rows.max() >= len(split):
        raise ConfigError(f"rows must be a non-empty list of numbers in 0 … {len(split) - 1}")
    return rows


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training and test part of one task; :func:`fwrnn_core.data.load` makes them.

    ``task`` is ``"binary"`` (targets ``float32`` 0/1), ``"multiclass"`` (``int64`` classes) or
    ``"regression"`` (``float32``). ``output_size`` is the number of outputs a network needs.
    ``options`` are all options of ``load``, defaults filled in, JSON-able. ``fingerprint`` is the
    SHA-256 of the stored arrays and of every option that changes what a batch holds.

    >>> from fwrnn_core.data import load
    >>> data = load("adding", length=10, train=100, test=20)
    >>> data
    Dataset('adding', regression, train=100, test=20, T=10, F=2)
    >>> x, y = data.batch("train", torch.tensor([0, 5]))
    >>> x.shape, y.shape, x.dtype
    (torch.Size([2, 10, 2]), torch.Size([2]), torch.float32)
    """

    name: str
    task: Task
    output_size: int
    source: str
    fingerprint: str
    options: Mapping[str, Any]
    train: Split = field(repr=False)
    test: Split = field(repr=False)
    transform: Transform = Transform()

    def __repr__(self) -> str:
        return (
            f"Dataset({self.name!r}, {self.task}, train={len(self.train)}, test={len(self.test)}, "
            f"T={self.num_steps}, F={self.num_features})"
        )

    @property
    def num_steps(self) -> int:
        """T, the length of every sequence."""
        return self.train.x.shape[1]

    @property
    def num_features(self) -> int:
        """F, the number of values per time step."""
        return self.train.x.shape[2]

    @property
    def y_train(self) -> Tensor:
        return self.train.y

    @property
    def y_test(self) -> Tensor:
        return self.test.y

    @property
    def x_train(self) -> Tensor:
        """All training inputs, ``float32 [N, T, F]``; see :meth:`inputs`."""
        return self.inputs("train")

    @property
    def x_test(self) -> Tensor:
        """All test inputs, ``float32 [N, T, F]``; see :meth:`inputs`."""
        return self.inputs("test")

    def part(self, split: str) -> Split:
        """The stored :class:`Split` called ``split``."""
        if split not in SPLITS:
            raise unknown("split", split, SPLITS)
        return self.train if split == "train" else self.test

    def inputs(self, split: str) -> Tensor:
        """All inputs of a split, ``float32 [N, T, F]``.

        Clean float data are returned as stored (do not write into them). Pixels are converted
        anew each time (188 MB for MNIST: prefer :meth:`batch`), and redrawn noise is one draw
        that depends on the dataset's seed alone.
        """
        x = self.part(split).x
        if self.transform.trivial:
            return x
        seed = int(digest(self.transform.noise_seed, split)[:15], 16)
        return self.transform(x, torch.Generator().manual_seed(seed))

    def batch(
        self, split: str, index: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Inputs ``float32 [B, T, F]`` and targets ``[B]`` of the rows at ``index`` (int64).

        Redrawn noise consumes B·T·F normals of ``generator`` and nothing else does, so batches
        depend only on the index and on the generator's state. Raises
        :class:`~fwrnn_core.errors.ConfigError` when noise is due and there is no generator.
        """
        part = self.part(split)
        index = index.to(part.x.device)
        return self.transform(part.x.index_select(0, index), generator), part.y[index]

    def to(self, device: torch.device | str) -> Dataset:
        """The same dataset with its stored arrays on ``device``."""
        return replace(self, train=self.train.to(device), test=self.test.to(device))

    def select(self, train_index: Rows, test_index: Rows | None = None) -> Dataset:
        """The dataset cut to the given rows of its training part (and of its test part, if given).

        The fingerprint changes with the choice.

        >>> from fwrnn_core.data import load
        >>> load("adding", length=10, train=100, test=20).select(range(30))
        Dataset('adding', regression, train=30, test=20, T=10, F=2)
        """
        train, test = _rows(self.train, train_index), None
        if test_index is not None:
            test = _rows(self.test, test_index)
        chosen = [None if r is None else array_digest(r.cpu().numpy()) for r in (train, test)]
        return replace(
            self,
            train=self.train.rows(train),
            test=self.test if test is None else self.test.rows(test),
            fingerprint=digest(self.fingerprint, "select", *chosen),
        )

    def with_validation(self, fraction: float = 0.1, *, seed: int = 0) -> tuple[Dataset, Dataset]:
        """Cut a validation part from the training part; the test part is never touched.

        Returns two datasets with the same, smaller training part: the first keeps the test part,
        the second has the validation part in its place, so that whoever tunes on it cannot see a
        test row. Where rows belong to subjects, whole subjects are held out (``fraction`` of them,
        at least one, drawn with ``seed``), as the test part does; otherwise rows are drawn at
        random. The same arguments give the same rows on every machine.

        >>> from fwrnn_core.data import load
        >>> fit, valid = load("adding", length=10, train=100, test=20).with_validation(0.2)
        >>> len(fit.train), len(fit.test), len(valid.train), len(valid.test)
        (80, 20, 80, 20)
        """
        held = self._held_out(fraction, seed)
        rest, held_rows = torch.nonzero(~held).flatten(), torch.nonzero(held).flatten()
        if not len(rest) or not len(held_rows):
            raise ConfigError(
                f"a validation part of {len(held_rows)} rows leaves {len(rest)} of "
                f"{len(self.train)} to train on; both need at least one"
            )
        fit = self.select(rest)
        mark = digest(fit.fingerprint, "validation")
        return fit, replace(fit, test=self.train.rows(held_rows), fingerprint=mark)

    def _held_out(self, fraction: float, seed: int) -> Tensor:
        """True for every training row that goes to the validation part."""
        groups = self.train.groups
        if not 0 < fraction < 1:
            raise ConfigError(f"fraction must lie strictly between 0 and 1, got {fraction}")
        # RandomState's stream is frozen by numpy's compatibility policy; default_rng's is not.
        rng = np.random.RandomState(seed)
        if groups is None:
            count = max(1, round(fraction * len(self.train)))
            held = torch.zeros(len(self.train), dtype=torch.bool, device=self.train.x.device)
            held[torch.from_numpy(rng.permutation(len(self.train))[:count]).to(held.device)] = True
            return held
        known = np.unique(groups.cpu().numpy())
        subjects = rng.permutation(known)[: max(1, round(fraction * len(known)))]
        return torch.isin(groups, torch.from_numpy(subjects).to(groups.device))

    def describe(self) -> dict[str, Any]:
        """One row of the paper's Table I: sizes, task, source and fingerprint.

        >>> from fwrnn_core.data import load
        >>> row = load("adding", length=10, train=100, test=20).describe()
        >>> [row[k] for k in ("dataset", "train", "test", "steps", "features", "task")]
        ['adding', 100, 20, 10, 2, 'regression']
        """
        return {
            "dataset": self.name,
            "train": len(self.train),
            "test": len(self.test),
            "steps": self.num_steps,
            "features": self.num_features,
            "task": self.task,
            "classes": {"binary": 2, "multiclass": self.output_size}.get(self.task),
            "source": self.source,
            "fingerprint": self.fingerprint,
        }
