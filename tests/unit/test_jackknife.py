"""Errors by leaving out one unit at a time."""

import numpy as np
import pytest

from entroscape.landscape import jackknife


def leave_one_out_means(values: np.ndarray) -> np.ndarray:
    return np.array([np.delete(values, i, axis=0).mean(axis=0) for i in range(len(values))])


@pytest.mark.parametrize("units", [2, 3, 8])
def test_error_of_a_mean_is_the_textbook_standard_error(units):
    values = np.random.default_rng(units).normal(3.0, 2.0, (units, 4, 5))
    expected = values.std(axis=0, ddof=1) / np.sqrt(units)
    np.testing.assert_allclose(jackknife.error(leave_one_out_means(values)), expected, rtol=1e-12)


def test_linear_functions_propagate_exactly():
    values = np.random.default_rng(1).normal(size=(6, 3))
    weights = np.array([1.0, -2.0, 0.5])
    value, error = jackknife.of(lambda one: one @ weights, values.mean(axis=0), leave_one_out_means(values))
    assert value == pytest.approx(values.mean(axis=0) @ weights)
    assert error == pytest.approx((values @ weights).std(ddof=1) / np.sqrt(6))


def test_a_constant_has_no_error():
    np.testing.assert_array_equal(jackknife.error(np.full((4, 2), 7.0)), [0.0, 0.0])


@pytest.mark.parametrize("missing", [-np.inf, np.nan])
def test_no_error_where_an_estimate_does_not_exist(missing):
    left_out = np.array([[1.0, 2.0], [1.5, missing], [1.2, 2.5]])
    error = jackknife.error(left_out)
    assert error[0] > 0 and np.isnan(error[1])


@pytest.mark.parametrize("units", [0, 1])
def test_fewer_than_two_units_tell_nothing(units):
    assert np.isnan(jackknife.error(np.ones((units, 2, 3)))).all()
    assert jackknife.error(np.ones((units, 2, 3))).shape == (2, 3)


def test_interval_is_students():
    assert jackknife.half_width(2.0, 7, 0.95) == pytest.approx(2.0 * 2.3646, rel=1e-4)
    assert jackknife.half_width(1.0, 1, 0.95) == pytest.approx(12.706, rel=1e-4)
