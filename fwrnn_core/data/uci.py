"""The UCI HAR dataset (UCI 240): windows as its authors cut them."""

from __future__ import annotations

import io
import zipfile
from typing import IO

import numpy as np

from fwrnn_core.data import archives
from fwrnn_core.errors import DataError

ROOT = "UCI HAR Dataset"
STEPS = 128
# The largest member unpacks to 15 MB.
LIMIT = 64 * 2**20
CHANNELS = tuple(
    f"{kind}_{axis}" for kind in ("body_acc", "body_gyro", "total_acc") for axis in "xyz"
)


def read(file: IO[bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Windows ``float32 [N, 128, 9]``, activities 1 … 6 and subjects (``int64 [N]``), and which
    rows are the test part (``bool [N]``), from ``UCI HAR Dataset.zip``.

    Raises :class:`~fwrnn_core.errors.DataError` for anything but that layout.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            parts = [_part(archive, split) for split in ("train", "test")]
    except zipfile.BadZipFile as error:
        raise DataError(f"{ROOT}.zip is not a zip archive: {error}") from error
    x, activity, subject = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    test = np.repeat([False, True], [len(part[1]) for part in parts])
    return x, activity, subject, test


def _part(archive: zipfile.ZipFile, split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    activity = _numbers(archive, f"{ROOT}/{split}/y_{split}.txt", 1)[:, 0].astype(np.int64)
    subject = _numbers(archive, f"{ROOT}/{split}/subject_{split}.txt", 1)[:, 0].astype(np.int64)
    x = np.empty((len(activity), STEPS, len(CHANNELS)), dtype=np.float32)
    for column, channel in enumerate(CHANNELS):
        name = f"{ROOT}/{split}/Inertial Signals/{channel}_{split}.txt"
        values = _numbers(archive, name, STEPS)
        if len(values) != len(activity):
            raise DataError(f"{name} has {len(values)} rows, y_{split}.txt has {len(activity)}")
        x[:, :, column] = values
    if len(subject) != len(activity) or not np.isin(activity, range(1, 7)).all():
        raise DataError(f"{split}: activities must be 1 … 6, one for each subject entry")
    return x, activity, subject


def _numbers(archive: zipfile.ZipFile, name: str, columns: int) -> np.ndarray:
    text = archives.zip_member(archive, name, LIMIT)
    if not text.strip():
        raise DataError(f"{name} is empty")
    try:
        values = np.loadtxt(io.BytesIO(text), dtype=np.float64, ndmin=2, encoding="ascii")
    except ValueError as error:
        raise DataError(f"{name}: {error}") from error
    if values.shape[1] != columns:
        raise DataError(f"{name} has {values.shape[1]} columns, not {columns}")
    return values
