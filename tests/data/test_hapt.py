"""Windows from raw signals: where they lie, and what the filters do."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from fwrnn_core.data import hapt
from fwrnn_core.data.unpickle import Recording
from fwrnn_core.errors import DataError


def tone(frequency: float, seconds: float = 40.0) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(int(seconds * hapt.RATE)) / hapt.RATE)


def amplitude(values: np.ndarray) -> float:
    """Of a sine, from the middle half, away from the ends of the recording."""
    n = len(values) // 4
    return float(np.sqrt(2) * values[n:-n].std())


def recording(labels: np.ndarray, subject: int = 1, seed: int = 0) -> Recording:
    signals = np.random.RandomState(seed).standard_normal((6, len(labels)))
    return Recording(subject, signals, labels)


def test_gravity_is_split_off_the_acceleration_only():
    signals = np.stack([1 + 0 * tone(5), tone(5), 0.5 + tone(5), tone(5), 0.5 + tone(5), tone(5)])
    x = hapt.channels(signals)
    body, gyro, total = x[:, :3], x[:, 3:6], x[:, 6:]
    middle = slice(500, -500)
    assert np.abs(body[middle, 0]).max() < 2 * hapt.GRID
    np.testing.assert_allclose(total[:, 0], 1, atol=2 * hapt.GRID)
    assert np.abs(body[middle].mean(0)).max() < 1e-3
    np.testing.assert_allclose(total[middle].mean(0), [1, 0, 0.5], atol=1e-3)
    np.testing.assert_allclose(gyro[middle].mean(0), [0, 0.5, 0], atol=1e-3)


@pytest.mark.parametrize(
    ("frequency", "total", "body"), [(0.02, 1.0, 0.0), (1.0, 1.0, 1.0), (4.0, 0.81, 0.81)]
)
def test_bands(frequency, total, body):
    # Squared Butterworth gains, as both directions are run; the median of three takes
    # 1 - cos(2 pi f / 50) of a sine's tips at most.
    x = hapt.channels(np.tile(tone(frequency, 200), (6, 1)))
    assert amplitude(x[:, 6]) == pytest.approx(total, abs=0.2 if frequency > 2 else 0.02)
    assert amplitude(x[:, 0]) == pytest.approx(body, abs=0.2 if frequency > 2 else 0.02)


def test_noise_above_twenty_hertz_is_damped():
    # The median is switched off by a slope steeper than the ripple, which leaves the low-pass.
    ramp = np.arange(2000) * 2.0
    x = hapt.channels(np.tile(ramp + 0.1 * tone(24.0), (6, 1)))
    ripple = x[:, 3] - ramp
    gain = 1 / (1 + (np.tan(np.pi * 24 / 50) / np.tan(np.pi * 20 / 50)) ** 6)
    assert amplitude(ripple) == pytest.approx(0.1 * gain, abs=2e-3)


def test_single_spikes_vanish_in_the_median():
    signals = np.zeros((6, 500))
    signals[:, 250] = 100.0
    assert np.abs(hapt.channels(signals)).max() == 0


def test_no_delay_between_channels():
    x = hapt.channels(np.tile(tone(1.0), (6, 1)))
    np.testing.assert_allclose(x[500:-500, 6], tone(1.0)[500:-500], atol=0.03)


def test_values_lie_on_the_grid_and_survive_the_last_bits():
    signals = np.random.RandomState(0).standard_normal((6, 3000))
    x = hapt.channels(signals)
    np.testing.assert_array_equal(x / hapt.GRID, np.rint(x / hapt.GRID))
    np.testing.assert_array_equal(x, x.astype(np.float32))
    nudged = hapt.channels(signals * (1 + 2e-16))
    np.testing.assert_array_equal(x, nudged)


def test_another_form_of_the_filters_gives_the_same_values():
    # Transfer functions in place of second-order sections: their rounding errors differ a lot.
    signals = np.random.RandomState(1).standard_normal((6, 20_000))
    smooth = signal.filtfilt(*signal.butter(3, 20 / 25), signal.medfilt(signals, (1, 3)), axis=1)
    gravity = signal.filtfilt(*signal.butter(3, 0.3 / 25), smooth[:3], axis=1)
    other = np.concatenate([smooth[:3] - gravity, smooth[3:], smooth[:3]]).T
    made = hapt.channels(signals)
    assert 0 < np.abs(made - other).max() <= hapt.GRID / 2 + 1e-9
    np.testing.assert_array_equal(made, np.rint(other / hapt.GRID) * hapt.GRID)


@settings(derandomize=True, max_examples=30, deadline=None)
@given(lengths=st.lists(st.tuples(st.integers(-1, 12), st.integers(1, 400)), max_size=6))
def test_windows_are_those_of_a_literal_search(lengths):
    labels = np.array([lab for lab, n in lengths for _ in range(n)] + [-1] * 20, dtype=np.int64)
    made = recording(labels)
    values = hapt.channels(made.signals).astype(np.float32)
    wanted, activities = [], []
    start = 0
    while start < len(labels):
        stop = start
        while stop < len(labels) and labels[stop] == labels[start]:
            stop += 1
        first = start
        while labels[start] in range(1, 7) and first + 128 <= stop:
            wanted.append(values[first : first + 128])
            activities.append(labels[start])
            first += 64
        start = stop
    if not wanted:
        with pytest.raises(DataError, match="no labelled run"):
            hapt.windows([made])
        return
    x, activity, subject = hapt.windows([made])
    np.testing.assert_array_equal(x, np.stack(wanted))
    assert x.dtype == np.float32
    assert activity.tolist() == activities
    assert set(subject.tolist()) == {1}


@pytest.mark.parametrize(("length", "count"), [(128, 1), (191, 1), (192, 2), (256, 3)])
def test_a_run_is_used_to_its_last_sample(length, count):
    labels = np.concatenate([np.full(30, -1), np.full(length, 2), np.full(30, 8)])
    assert len(hapt.windows([recording(labels)])[0]) == count


def test_windows_never_mix_recordings():
    labels = np.full(200, 5)
    x, _, subject = hapt.windows([recording(labels, 3, 1), recording(labels, 4, 2)])
    assert subject.tolist() == [3, 3, 4, 4]
    alone, _, _ = hapt.windows([recording(labels, 4, 2)])
    np.testing.assert_array_equal(x[2:], alone)


def test_without_scipy_the_way_out_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(DataError, match="pip install scipy"):
        hapt.channels(np.zeros((6, 100)))
