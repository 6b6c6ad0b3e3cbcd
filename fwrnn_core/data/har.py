"""HAR-2: two classes of activity from nine inertial channels, 128 steps at 50 Hz.

The windows come from one of two sources (``data/README.md``) and are kept in physical units in the
cache; normalisation happens when they are loaded. Column order is that of EdgeML and of the
paper's authors: body acceleration x y z, angular velocity x y z, total acceleration x y z.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fwrnn_core import paths
from fwrnn_core.data import archives, files, hapt, sources, uci, unpickle
from fwrnn_core.data.dataset import array_digest
from fwrnn_core.errors import unknown

ACTIVITIES = {
    1: "Walking",
    2: "Walking_Upstairs",
    3: "Walking_Downstairs",
    4: "Sitting",
    5: "Standing",
    6: "Laying",
}
POSITIVE = ("Standing", "Walking", "Walking_Downstairs")
TEST_SUBJECTS = (2, 4, 9, 10, 12, 13, 18, 20, 24)
NORMALISATIONS = ("global", "published-code", "channel")
# Mean and standard deviation over all windows and channels in the authors' har_dataset.py.
PUBLISHED = (0.10206605722975093, 0.4021651763839265)
# Part of the cached file's name: a change of the recipe must not meet old windows.
RECIPE = 2
REMEDY = "Load the dataset again and it is rebuilt from the downloaded file."
_PICKLE_LIMIT = 128 * 2**20


@dataclass(frozen=True, eq=False)
class Windows:
    """All windows in physical units, the training part first: ``x`` ``float32 [N, 128, 9]``,
    ``activity`` (1 … 6) and ``subject`` ``int64 [N]``; ``count`` rows are the training part.
    ``moments`` ``float64 [2, 9]`` are each channel's mean and variance over the training part;
    ``content`` is the SHA-256 of the windows, activities, subjects and count."""

    x: np.ndarray
    activity: np.ndarray
    subject: np.ndarray
    count: int
    moments: np.ndarray
    content: str

    @classmethod
    def divided(
        cls, x: np.ndarray, activity: np.ndarray, subject: np.ndarray, test: np.ndarray
    ) -> Windows:
        """From rows in any order and a mask of the test rows; the order within a part stays."""
        order = np.argsort(test, kind="stable")
        arrays = x[order], activity[order], subject[order]
        count = int(len(test) - test.sum())
        train = arrays[0][:count].astype(np.float64)
        moments = np.stack([train.mean(axis=(0, 1)), train.var(axis=(0, 1))])
        return cls(*arrays, count, moments, array_digest(*arrays, np.array([count])))

    @property
    def label(self) -> np.ndarray:
        """``float32 [N]``: 1 for Standing, Walking, Walking_Downstairs; 0 for the other three."""
        positive = [number for number, name in ACTIVITIES.items() if name in POSITIVE]
        return np.isin(self.activity, positive).astype(np.float32)


def cache_file(source: str) -> Path:
    """Where the parsed windows of a source lie."""
    return paths.data_cache() / "har" / f"windows-{source}-{RECIPE}.npz"


def load_windows(source: str = "auto") -> tuple[str, Windows]:
    """The name of the source that answered, and its windows.

    ``"auto"`` takes what is cached (uci before hapt), else downloads from uci, else hapt. Several
    processes may call this at once: one builds the windows, the others wait.
    """
    for candidate in sources.candidates("har", source):
        if files.has_arrays(cache_file(candidate.name)):
            return candidate.name, cached_windows(candidate.name)
    chosen = sources.ensure("har", source).name
    path = cache_file(chosen)
    with files.locked(path):
        if not files.has_arrays(path):
            files.save_arrays(path, vars(build(chosen)))
    return chosen, cached_windows(chosen)


def cached_windows(source: str) -> Windows:
    """The parsed windows of a source, after their file was checked."""
    stored = files.load_arrays(cache_file(source), REMEDY)
    count, content = int(stored.pop("count")), str(stored.pop("content"))
    return Windows(**stored, count=count, content=content)


def build(source: str) -> Windows:
    """Make the windows from the source's downloaded file, after checking it."""
    if source == "uci":
        content = sources.read(sources.UCI_ZIP)
        return Windows.divided(*uci.read(io.BytesIO(content.data)))
    content = sources.read(sources.HAPT_PICKLE)
    pickled = archives.gunzip(io.BytesIO(content.data), _PICKLE_LIMIT, "HAPT.pkl.gz")
    x, activity, subject = hapt.windows(unpickle.recordings(pickled))
    return Windows.divided(x, activity, subject, np.isin(subject, TEST_SUBJECTS))


def statistics(moments: np.ndarray, normalise: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (``float32``, scalar or one per channel) to normalise with.

    ``"global"``: one of each over all training values, as the authors did, computed from the
    windows at hand. ``"published-code"``: the authors' own two constants. ``"channel"``: each of
    the nine channels gets zero mean and unit variance. Computed values are rounded to six decimals
    so that every machine's summation order leads to the same numbers.

    >>> moments = np.array([[1.0, 3.0], [4.0, 4.0]])
    >>> [value.tolist() for value in statistics(moments, "channel")]
    [[1.0, 3.0], [2.0, 2.0]]
    >>> [round(value.item(), 3) for value in statistics(moments, "global")]
    [2.0, 2.236]
    """
    if normalise not in NORMALISATIONS:
        raise unknown("normalisation", normalise, NORMALISATIONS)
    mean, variance = moments
    if normalise == "published-code":
        mean, std = np.array(PUBLISHED[0]), np.array(PUBLISHED[1])
    elif normalise == "global":
        # The mean square of the whole is the mean of the channels' mean squares.
        square = (variance + mean**2).mean()
        mean = np.array(mean.mean())
        std = np.sqrt(square - mean**2)
    else:
        std = np.sqrt(variance)
    return np.round(mean, 6).astype(np.float32), np.round(std, 6).astype(np.float32)
