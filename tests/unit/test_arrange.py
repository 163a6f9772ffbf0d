"""Choosing train and test points, and scaling by the train points alone."""

import numpy as np
import pytest

from entroscape.data.arrange import balanced_order, split, standardised
from entroscape.errors import ConfigError


@pytest.mark.parametrize(
    ("train", "test", "slices"),
    [
        (None, None, (slice(0, 5), slice(5, 11))),
        (3, None, (slice(0, 3), slice(5, 11))),
        (None, 2, (slice(0, 5), slice(9, 11))),
        (4, 7, (slice(0, 4), slice(4, 11))),
    ],
)
def test_train_points_are_the_first_and_test_points_the_last(train, test, slices):
    assert split(11, train, test) == slices


def test_too_many_points_are_refused():
    with pytest.raises(ConfigError, match=r"train_points = 9 and data\.test_points = 3 need 12 rows, but .* only 11"):
        split(11, 9, 3)


def test_every_prefix_and_suffix_is_balanced_and_the_largest_class_cut():
    labels = np.repeat([3, 5, 7], [10, 12, 40])
    order = balanced_order(labels, np.random.default_rng(0))
    assert len(order) == 30 == len(set(order.tolist()))
    for n in range(1, 31):
        for stretch in (labels[order[:n]], labels[order[-n:]]):
            counts = [(stretch == label).sum() for label in (3, 5, 7)]
            assert max(counts) - min(counts) <= 1
    first = [labels[balanced_order(labels, np.random.default_rng(seed))[0]] for seed in range(20)]
    assert set(first) == {3, 5, 7}


def test_scale_comes_from_the_train_rows():
    values = np.random.default_rng(0).normal(3, 2, (50, 4))
    scaled = standardised(values, slice(0, 20))
    np.testing.assert_allclose(scaled[:20].mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(scaled[:20].std(axis=0), 1)
    values[20:] *= 100
    np.testing.assert_array_equal(standardised(values, slice(0, 20))[:20], scaled[:20])


def test_missing_values_do_not_count_and_constants_stay_finite():
    values = np.array([[1.0, 0.1], [3.0, 0.1], [np.nan, 0.1], [5.0, 9.0]])
    scaled = standardised(values, slice(0, 3))
    np.testing.assert_allclose(scaled[[0, 1, 3], 0], [-1, 1, 3])
    np.testing.assert_allclose(scaled[:, 1], [0, 0, 0, 8.9], atol=1e-12)
