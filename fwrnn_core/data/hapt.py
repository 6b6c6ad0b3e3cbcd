"""HAR windows rebuilt from the raw 50 Hz signals of HAPT (UCI dataset 341).

The recipe is the one that the dataset's authors describe (Anguita et al. 2013; Reyes-Ortiz et al.
2016): median filter, low-pass at 20 Hz against noise, low-pass at 0.3 Hz for gravity, windows of
2.56 s with half overlap. They do not say whether the filters run forwards only or both ways, nor
how long the median is; both ways (no delay between body acceleration and gravity) and 3 are ours.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from fwrnn_core.data.unpickle import Recording
from fwrnn_core.errors import DataError, MissingLibrary

RATE = 50.0  # Hz
WINDOW, STRIDE = 128, 64
BASIC_ACTIVITIES = 6  # labels 1 … 6; 7 … 12 are postural transitions
# The grid of the stored values, in g and rad/s: five times finer than the sensors' own steps
# (1/720 g, 1/3274 rad/s), coarse enough that another machine's last bits of a filter cannot show.
GRID = 2.0**-14


def _scipy_signal() -> Any:
    try:
        from scipy import signal
    except ImportError:
        raise MissingLibrary("rebuilding the HAR windows needs scipy: pip install scipy") from None
    return signal


def channels(signals: np.ndarray) -> np.ndarray:
    """Nine channels ``float64 [n, 9]`` of raw signals ``[6, n]``: body acceleration x y z (g),
    angular velocity x y z (rad/s), total acceleration x y z (g), on the grid :data:`GRID`."""
    signal = _scipy_signal()
    noise = signal.butter(3, 20.0, fs=RATE, output="sos")
    gravity = signal.butter(3, 0.3, fs=RATE, output="sos")
    clean = signal.sosfiltfilt(noise, signal.medfilt(signals, (1, 3)), axis=1)
    total, gyro = clean[:3], clean[3:]
    body = total - signal.sosfiltfilt(gravity, total, axis=1)
    return np.rint(np.concatenate([body, gyro, total]).T / GRID) * GRID


def runs(labels: np.ndarray) -> list[tuple[int, int, int]]:
    """(start, stop, label) of every stretch of equal labels.

    >>> runs(np.array([-1, 5, 5, 5, 7]))
    [(0, 1, -1), (1, 4, 5), (4, 5, 7)]
    """
    edges = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
    return [(a, b, int(labels[a])) for a, b in pairwise(edges) if a < b]


def windows(recordings: list[Recording]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windows ``float32 [n, 128, 9]``, activities ``int64 [n]`` (1 … 6), subjects ``int64 [n]``.

    A window lies inside one labelled run of a basic activity; the run's last samples that do not
    fill one are left out.
    """
    x, activity, subject = [], [], []
    for recording in recordings:
        values = channels(recording.signals).astype(np.float32)
        for start, stop, label in runs(recording.labels):
            if not 1 <= label <= BASIC_ACTIVITIES:
                continue
            for first in range(start, stop - WINDOW + 1, STRIDE):
                x.append(values[first : first + WINDOW])
                activity.append(label)
                subject.append(recording.subject)
    if not x:
        raise DataError("the recordings hold no labelled run as long as a window")
    return np.stack(x), np.array(activity, np.int64), np.array(subject, np.int64)
