"""Batches, noise, subsets and validation splits, on small made-up data."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fwrnn_core.data import Dataset, Split, Transform, load
from fwrnn_core.data.dataset import array_digest, digest
from fwrnn_core.errors import ConfigError

AS_STORED = Transform()


def made(
    rows: int = 40,
    transform: Transform = AS_STORED,
    groups: torch.Tensor | None = None,
    pixels: bool = False,
) -> Dataset:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(rows + 10, 5, 3, generator=g)
    if pixels:
        x = torch.randint(0, 256, (rows + 10, 5, 1), generator=g, dtype=torch.uint8)
    y = torch.arange(rows + 10, dtype=torch.float32)
    return Dataset(
        name="made",
        task="regression",
        output_size=1,
        source="generated",
        fingerprint=digest("made"),
        options={},
        train=Split(x[:rows], y[:rows], groups),
        test=Split(x[rows:], y[rows:]),
        transform=transform,
    )


def test_batch_is_rows_in_the_order_of_the_index():
    data = made()
    x, y = data.batch("train", torch.tensor([3, 0, 3]))
    assert torch.equal(x, data.x_train[[3, 0, 3]])
    assert y.tolist() == [3.0, 0.0, 3.0]
    x, y = data.batch("test", torch.tensor([9]))
    assert torch.equal(x[0], data.x_test[9])
    assert y.item() == 49.0


def test_batch_does_not_alias_the_stored_inputs():
    data = made()
    x, _ = data.batch("train", torch.arange(3))
    kept = data.x_train.clone()
    x.zero_()
    assert torch.equal(data.x_train, kept)


def test_unknown_split_names_the_valid_ones():
    with pytest.raises(ConfigError, match="unknown split 'trian'. Did you mean 'train'"):
        made().batch("trian", torch.tensor([0]))


def test_pixels_become_normalised_floats_only_in_the_batch():
    data = made(transform=Transform(pixels=(0.1307, 0.3081)), pixels=True)
    assert data.train.x.dtype == torch.uint8
    x, _ = data.batch("train", torch.arange(40))
    exact = (data.train.x.double() / 255 - 0.1307) / 0.3081
    assert x.dtype == torch.float32
    torch.testing.assert_close(x.double(), exact, rtol=0, atol=5e-7)
    assert torch.equal(x, data.x_train)


@pytest.mark.parametrize("std", [2.0, math.sqrt(2)])
def test_redrawn_noise_is_the_generator_s_and_nothing_else(std):
    clean, noisy = made(), made(transform=Transform(noise_std=std))
    index = torch.tensor([4, 4, 7])
    generator = torch.Generator().manual_seed(5)
    x, _ = noisy.batch("train", index, generator)
    twin = torch.Generator().manual_seed(5)
    wanted = clean.batch("train", index)[0] + torch.randn(3, 5, 3, generator=twin) * std
    assert torch.equal(x, wanted)
    # Exactly B*T*F normals were drawn: both generators go on alike.
    assert torch.equal(generator.get_state(), twin.get_state())
    assert not torch.equal(x[0], x[1])
    again, _ = noisy.batch("train", index, generator)
    assert not torch.equal(again, x)


def test_resumed_generator_gives_the_same_noise_whatever_the_global_seed():
    noisy = made(transform=Transform(noise_std=2.0))
    generator = torch.Generator().manual_seed(1)
    noisy.batch("train", torch.arange(8), generator)
    state = generator.get_state()
    expected = noisy.batch("train", torch.arange(8), generator)[0]
    torch.manual_seed(12345)
    resumed = torch.Generator()
    resumed.set_state(state)
    before = torch.get_rng_state()
    assert torch.equal(noisy.batch("train", torch.arange(8), resumed)[0], expected)
    assert torch.equal(torch.get_rng_state(), before)


def test_redrawn_noise_without_a_generator_is_refused():
    with pytest.raises(ConfigError, match="generator=torch"):
        made(transform=Transform(noise_std=2.0)).batch("train", torch.tensor([0]))


def test_materialised_noisy_inputs_are_one_seeded_draw_per_part():
    first = made(transform=Transform(noise_std=2.0, noise_seed=3))
    assert torch.equal(first.x_train, first.x_train)
    other = made(transform=Transform(noise_std=2.0, noise_seed=4))
    assert not torch.equal(first.x_train, other.x_train)
    clean = made()
    noise_train, noise_test = first.x_train - clean.x_train, first.x_test - clean.x_test
    assert (noise_train[:8] - noise_test[:8]).abs().max() > 1


def test_clean_batches_draw_nothing():
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    made().batch("train", torch.arange(4), generator)
    assert torch.equal(generator.get_state(), before)


def test_select_restricts_rows_and_changes_the_fingerprint():
    data = made(groups=torch.arange(40) % 4)
    cut = data.select([5, 1, 2])
    assert cut.y_train.tolist() == [5.0, 1.0, 2.0]
    assert cut.train.groups.tolist() == [1, 1, 2]
    assert torch.equal(cut.x_test, data.x_test)
    both = data.select([5, 1, 2], test_index=torch.tensor([0]))
    assert len(both.test) == 1
    assert len({d.fingerprint for d in (data, cut, both, data.select([1, 5, 2]))}) == 4
    assert cut.fingerprint == data.select(torch.tensor([5, 1, 2])).fingerprint


def test_select_takes_a_mask_and_no_fractions():
    data = made()
    mask = data.y_train > 30
    assert data.select(mask).y_train.tolist() == data.y_train[mask].tolist()
    for wrong in (mask[:5], torch.tensor([0.9, 1.9])):
        with pytest.raises(ConfigError, match="whole numbers, or a mask of 40"):
            data.select(wrong)


@pytest.mark.parametrize("index", [[], [40], [-1], [[1, 2]]])
def test_select_refuses_rows_that_do_not_exist(index):
    with pytest.raises(ConfigError, match="0 … 39"):
        made().select(index)


@settings(derandomize=True, max_examples=40, deadline=None)
@given(fraction=st.floats(0.02, 0.9), seed=st.integers(0, 1000))
def test_random_validation_partitions_the_training_rows(fraction, seed):
    data = made()
    fit, valid = data.with_validation(fraction, seed=seed)
    kept, held = fit.y_train.tolist(), valid.y_test.tolist()
    assert sorted(kept + held) == data.y_train.tolist()
    assert len(held) == max(1, round(fraction * 40))
    assert torch.equal(fit.x_test, data.x_test)
    assert valid.y_train.tolist() == kept
    assert len({data.fingerprint, fit.fingerprint, valid.fingerprint}) == 3
    again = data.with_validation(fraction, seed=seed)[1]
    assert again.y_test.tolist() == held
    assert again.fingerprint == valid.fingerprint


@settings(derandomize=True, max_examples=40, deadline=None)
@given(
    groups=st.lists(st.integers(1, 6), min_size=40, max_size=40).filter(lambda g: len(set(g)) > 2),
    fraction=st.floats(0.02, 0.6),
    seed=st.integers(0, 1000),
)
def test_validation_by_subject_never_splits_a_subject(groups, fraction, seed):
    data = made(groups=torch.tensor(groups))
    fit, valid = data.with_validation(fraction, seed=seed)
    inside, outside = set(valid.test.groups.tolist()), set(fit.train.groups.tolist())
    assert not inside & outside
    assert inside | outside == set(groups)
    assert len(inside) == max(1, round(fraction * len(set(groups))))
    assert sorted(fit.y_train.tolist() + valid.y_test.tolist()) == data.y_train.tolist()


def test_the_split_is_the_same_on_every_machine():
    held = made().with_validation(0.1, seed=0)[1].y_test.tolist()
    assert held == sorted(np.random.RandomState(0).permutation(40)[:4].tolist())
    assert held == [4.0, 20.0, 22.0, 25.0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"fraction": 0.0}, "between 0 and 1, got 0.0"),
        ({"fraction": 1.0}, "between 0 and 1"),
        ({"fraction": float("nan")}, "between 0 and 1"),
        ({"fraction": 0.99}, "leaves 0 of"),
    ],
)
def test_bad_validation_requests(arguments, words):
    with pytest.raises(ConfigError, match=words):
        made().with_validation(**arguments)


def test_the_only_subject_is_not_held_out():
    with pytest.raises(ConfigError, match="leaves 0"):
        made(groups=torch.zeros(40, dtype=torch.int64)).with_validation(0.1)


def test_to_moves_everything():
    moved = made(groups=torch.arange(40)).to("meta")
    assert {moved.train.x.device.type, moved.test.y.device.type} == {"meta"}
    assert moved.train.groups.device.type == "meta"


def test_split_refuses_ill_shaped_arrays():
    with pytest.raises(ConfigError, match=r"\[N, T, F\]"):
        Split(torch.zeros(3, 2), torch.zeros(3))
    with pytest.raises(ConfigError, match="one target each"):
        Split(torch.zeros(3, 2, 1), torch.zeros(4))


def test_array_digest_sees_values_shape_and_dtype_but_not_layout():
    a = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert array_digest(a) == array_digest(np.asfortranarray(a))
    assert array_digest(a) == array_digest(a.astype(">f4"))
    others = [a.reshape(3, 2), a.astype(np.float64), a + 1, a[:, :2]]
    assert len({array_digest(a), *map(array_digest, others)}) == 5


def test_describe_is_a_row_of_plain_values():
    row = load("adding", length=10, train=20, test=5).describe()
    assert row["classes"] is None
    assert {type(value) for value in row.values()} <= {str, int, type(None)}
