"""Spiral data: geometry, reproducibility, independence of the random roles, round trip through a Dataset."""

import numpy as np
import pytest

from entroscape.config.data import SpiralData
from entroscape.data.dataset import TaskData
from entroscape.data.registry import make_data
from entroscape.errors import FileError


def section(**changes) -> SpiralData:
    values = dict(
        kind="spirals",
        train_points_per_class=20,
        test_points_per_class=30,
        radius_min=1.0,
        radius_max=5.0,
        angle_per_radius=2.0,
        noise=0.1,
        seed=1,
    )
    return SpiralData(**{**values, **changes})


def test_noiseless_points_lie_on_their_spiral():
    data = make_data(section(noise=0.0))
    for x, y in ((data.x_train, data.y_train), (data.x_test, data.y_test)):
        radius = np.hypot(*x.T)
        angle = 2.0 * radius + np.pi * y
        np.testing.assert_allclose(x, np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1), atol=1e-12)


def test_radii_random_for_training_and_equally_spaced_for_test():
    data = make_data(section(noise=0.0, train_points_per_class=2000))
    radii = np.hypot(*data.x_train.T)
    assert radii.min() >= 1 and radii.max() <= 5
    # mean of 4000 draws uniform on [1, 5]: standard error 1.155 / sqrt(4000) = 0.018
    assert abs(radii.mean() - 3) < 0.08
    for label in (0, 1):
        np.testing.assert_allclose(np.hypot(*data.x_test[data.y_test == label].T), np.linspace(1, 5, 30))


def test_noise_has_the_stated_size_on_both_sets_and_is_not_shared():
    many = dict(train_points_per_class=3000, test_points_per_class=3000)
    noisy, clean = make_data(section(**many)), make_data(section(**many, noise=0.0))
    train, test = noisy.x_train - clean.x_train, noisy.x_test - clean.x_test
    for noise in (train, test):
        np.testing.assert_allclose(noise.std(axis=0), 0.1, rtol=0.05)
    assert abs(np.corrcoef(train.ravel(), test.ravel())[0, 1]) < 0.05


def test_shapes_types_and_balanced_labels():
    data = make_data(section())
    assert data.x_train.shape == (40, 2) and data.x_test.shape == (60, 2)
    assert data.x_train.dtype == np.float64 and data.y_train.dtype == np.int64
    assert np.bincount(data.y_train).tolist() == [20, 20] and np.bincount(data.y_test).tolist() == [30, 30]


def test_equal_sections_give_equal_arrays_and_the_seed_matters():
    first, again, other = make_data(section()), make_data(section()), make_data(section(seed=2))
    assert first.x_train.tobytes() == again.x_train.tobytes()
    assert not np.allclose(first.x_train, other.x_train) and not np.allclose(first.x_test, other.x_test)


def test_more_train_points_leave_the_test_set_alone():
    few, many = make_data(section()), make_data(section(train_points_per_class=50))
    assert few.x_test.tobytes() == many.x_test.tobytes()


def test_dataset_round_trip_keeps_arrays_and_provenance():
    data = make_data(section())
    back = TaskData.from_dataset(data.to_dataset())
    assert back.x_train.tobytes() == data.x_train.tobytes() and back.y_test.tobytes() == data.y_test.tobytes()
    assert back.classes == 2
    assert back.provenance == data.provenance
    assert "2503.13145" in back.provenance["source"] and back.provenance["settings"]["noise"] == 0.1


def test_another_dataset_is_refused_by_name_of_what_it_lacks():
    with pytest.raises(FileError, match="no x_test"):
        TaskData.from_dataset(make_data(section()).to_dataset().drop_vars("x_test"))
