"""The Adding task against a literal generator, and its options."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fwrnn_core.data import adding, load
from fwrnn_core.errors import ConfigError


def literal(length: int, count: int, rng: np.random.RandomState):
    """The task in words, one sequence at a time, drawing in the order of the cited generator."""
    values = rng.uniform(size=(length, count))
    marks = rng.randint(length // 2, size=(count, 2))
    x, y = np.zeros((count, length, 2)), np.zeros(count)
    for n in range(count):
        first, second = marks[n, 0], marks[n, 1] + length // 2
        for t in range(length):
            x[n, t, 0] = values[t, n]
            x[n, t, 1] = 1.0 if t in (first, second) else 0.0
        y[n] = np.float32(x[n, first, 0]) + np.float32(x[n, second, 0])
    return x.astype(np.float32), y.astype(np.float32)


@pytest.mark.parametrize("length", [2, 6, 100])
def test_equals_the_literal_generator(length):
    made = adding.generate(length, 20, np.random.RandomState(7))
    wanted = literal(length, 20, np.random.RandomState(7))
    np.testing.assert_array_equal(made[0], wanted[0])
    np.testing.assert_array_equal(made[1], wanted[1])


@settings(derandomize=True, max_examples=60, deadline=None)
@given(length=st.integers(2, 41), count=st.integers(1, 30), seed=st.integers(0, 2**32 - 1))
def test_one_marker_in_each_half_and_the_sum(length, count, seed):
    x, y = adding.generate(length, count, np.random.RandomState(seed))
    assert x.shape == (count, length, 2)
    assert x.dtype == y.dtype == np.float32
    marks = x[..., 1]
    assert set(np.unique(marks)) <= {0.0, 1.0}
    assert (marks[:, : length // 2].sum(1) == 1).all()
    assert (marks[:, length // 2 :].sum(1) == 1).all()
    assert (x[..., 0] >= 0).all()
    assert (x[..., 0] <= 1).all()
    np.testing.assert_array_equal((x[..., 0] * marks).sum(1), y)


def test_every_position_can_be_marked():
    x, _ = adding.generate(5, 2000, np.random.RandomState(0))
    assert (x[..., 1].sum(0) > 0).all()


def test_parts_have_separate_streams():
    small = load("adding", length=10, train=30, test=5)
    more_train = load("adding", length=10, train=60, test=5)
    more_test = load("adding", length=10, train=30, test=9)
    assert torch.equal(small.x_test, more_train.x_test)
    assert torch.equal(small.x_train, more_test.x_train)
    assert not torch.equal(small.x_train[:5], small.x_test)


def test_seed_and_length_change_data_and_fingerprint():
    prints = {
        load("adding", length=length, train=20, test=5, seed=seed).fingerprint
        for length in (10, 11)
        for seed in (0, 1)
    }
    assert len(prints) == 4


def test_golden_fingerprint():
    # Numbers of a frozen stream: they are the same on every machine and with every numpy.
    data = load("adding", length=10, train=20, test=5)
    assert data.fingerprint == "811280da4aae1856d2a2575eaca9771bf1bbed4f250a7f8b8a530dc831025fd6"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"length": 1}, "length must be at least 2"),
        ({"train": 0}, "train must be at least 1"),
        ({"test": -3}, "test must be at least 1 sequence, got -3"),
        ({"seed": -1}, "seed must lie in 0"),
        ({"length": 10.0}, "length must be a whole number, got 10.0"),
        ({"train": True}, "train must be a whole number, got True"),
        ({"lenght": 10}, "Did you mean 'length'"),
        ({"source": "uci"}, "unknown option of adding"),
    ],
)
def test_bad_options(options, words):
    with pytest.raises(ConfigError, match=words):
        load("adding", **options)
