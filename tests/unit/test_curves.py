"""What is read off a map."""

import warnings

import numpy as np
import pytest

from entroscape.landscape import curves

Y = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
NONE = -np.inf
MAP = np.array(
    [
        [0.0, 1.0, 2.0, 1.5, -1.0],
        [NONE, 3.0, NONE, 3.5, NONE],
        [NONE, NONE, NONE, NONE, NONE],
        [NONE, NONE, 7.0, NONE, NONE],
        [900.0, 901.0, 902.0, 901.5, 899.0],
    ]
)


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_equilibrium_is_the_sum_of_equation_1():
    curve = curves.equilibrium(MAP, Y)
    for column in (0, 1, 3):
        volumes = [0.0 if s == NONE else np.exp(s) for s in MAP[column]]
        assert curve[column] == pytest.approx(sum(y * g for y, g in zip(Y, volumes, strict=True)) / sum(volumes))
    assert curve[3] == 0.5
    assert curve[4] == pytest.approx(curve[0]), "heights that exp cannot hold"
    assert np.isnan(curve).tolist() == [False, False, True, False, False]


def test_equilibrium_does_not_depend_on_the_height_of_the_map():
    np.testing.assert_allclose(curves.equilibrium(MAP - 1e4, Y), curves.equilibrium(MAP, Y))


def test_maximum_entropy_is_the_place_of_the_largest():
    np.testing.assert_array_equal(curves.maximum_entropy(MAP, Y), [0.5, 0.75, np.nan, 0.5, 0.5])


def test_column_entropy_is_the_logarithm_of_the_whole_column():
    entropy = curves.column_entropy(MAP)
    assert entropy[0] == pytest.approx(np.log(np.exp(MAP[0]).sum()))
    assert entropy[1] == pytest.approx(np.log(np.exp(3.0) + np.exp(3.5)))
    assert entropy[2] == NONE and entropy[3] == 7.0
    assert entropy[4] - entropy[0] == pytest.approx(900.0)


def test_volume_ratio():
    ratio = curves.volume_ratio(MAP, Y >= 0.75)
    assert ratio[0] == pytest.approx(np.log((np.exp(1.5) + np.exp(-1)) / (1 + np.exp(1) + np.exp(2))))
    assert ratio[1] == pytest.approx(0.5)
    assert np.isnan(ratio[2])
    assert ratio[3] == NONE, "none generalises"
    assert curves.volume_ratio(MAP, Y >= 0.5)[3] == np.inf, "all do"
    assert ratio[4] == pytest.approx(ratio[0])


def test_values_of_bins_count_where_they_were_visited():
    """The metric may differ from bin to bin; bins that were not visited have none."""
    values = np.where(np.isfinite(MAP), Y + 0.1 * np.arange(5)[:, None], np.nan)
    assert curves.equilibrium(MAP, values)[3] == pytest.approx(0.8)
    np.testing.assert_allclose(curves.equilibrium(MAP, values)[[0, 4]], curves.equilibrium(MAP, Y)[[0, 4]] + [0, 0.4])
    np.testing.assert_allclose(curves.maximum_entropy(MAP, values), [0.5, 0.85, np.nan, 0.8, 0.9])
