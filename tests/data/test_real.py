"""The real data: fetched where they are not cached, skipped only where no source answers."""

import numpy as np
import pytest
import torch

from fwrnn_core.data import Dataset, har, load, mnist
from fwrnn_core.errors import DataError


def fetched(name: str, **options: str) -> Dataset:
    try:
        return load(name, **options)
    except DataError as error:
        if "no source of the" not in str(error):
            raise
        pytest.skip(f"{name} is not cached and no source answers: {error}")


@pytest.fixture(scope="module")
def hapt() -> Dataset:
    return fetched("har-2", source="hapt")


def test_har_sizes_and_subjects(hapt):
    assert hapt.x_train.shape == (7415, 128, 9)
    assert hapt.x_test.shape == (2996, 128, 9)
    assert set(hapt.test.groups.tolist()) == set(har.TEST_SUBJECTS)
    assert len(set(hapt.train.groups.tolist())) == 21


def test_har_has_both_classes_in_their_proportion(hapt):
    # Sitting 508 + Laying 545 + Walking_Upstairs 471 in the test part.
    assert int((hapt.y_test == 0).sum()) == 1524
    assert int((hapt.y_train == 1).sum()) == 3636


def test_har_statistics_are_close_to_those_of_the_authors(hapt):
    # Their constants come from the UCI windows of the same sessions.
    _, windows = har.load_windows("hapt")
    mean, std = har.statistics(windows.moments, "global")
    assert mean == pytest.approx(har.PUBLISHED[0], abs=2e-3)
    assert std == pytest.approx(har.PUBLISHED[1], abs=2e-3)


def test_har_is_normalised_and_finite(hapt):
    assert torch.isfinite(hapt.x_train).all()
    assert hapt.x_train.double().mean().item() == pytest.approx(0, abs=1e-5)
    assert hapt.x_train.double().std().item() == pytest.approx(1, abs=1e-5)


def test_har_gravity_points_along_x_while_standing(hapt):
    _, windows = har.load_windows("hapt")
    standing = windows.x[windows.activity == 5]
    total = standing[..., 6:].mean((0, 1))
    assert total[0] == pytest.approx(1.0, abs=0.05)
    assert np.abs(standing[..., :3].mean((0, 1))).max() < 0.01


def test_har_fingerprint_is_the_same_everywhere(hapt):
    assert hapt.fingerprint == "34ef3ba082c360f1931d5acd14d9f500fb96d2855c83f04f12518e2caa66cfbe"


@pytest.mark.parametrize("name", ["pixel-mnist", "permuted-mnist"])
def test_mnist(name):
    data = fetched(name)
    assert data.train.x.shape == (60000, 784, 1)
    assert data.test.x.shape == (10000, 784, 1)
    assert torch.bincount(data.y_train).tolist() == [
        *(5923, 6742, 5958, 6131, 5842),
        *(5421, 5918, 6265, 5851, 5949),
    ]
    values = data.train.x.numpy()
    assert values.mean() / 255 == pytest.approx(mnist.MEAN, abs=5e-5)
    assert values.std() / 255 == pytest.approx(mnist.STD, abs=5e-5)
