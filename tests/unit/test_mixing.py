"""R-hat of S: 1 where walkers agree, and what its definition says where they do not."""

import numpy as np
import pytest

from entroscape.landscape.mixing import r_hat

WEIGHTS = np.array([[[[-3.0, 0.0, 2.0], [1.0, -np.inf, 4.0]]]])  # [R, window, columns, rows]


def test_walkers_with_equal_visits_agree():
    visits = np.broadcast_to(np.random.default_rng(0).integers(1, 9, (2, 3)), (1, 4, 1, 2, 3))
    np.testing.assert_allclose(r_hat(visits, WEIGHTS), 1.0)


def test_it_is_the_spread_of_means_against_that_within_walkers():
    visits = np.zeros((1, 2, 1, 2, 3))
    visits[0, 0, 0, 0, 1:], visits[0, 1, 0, 1, ::2] = 1, 1  # S = 0, 2 and S = 1, 4
    assert r_hat(visits, WEIGHTS)[0, 0] == pytest.approx(np.sqrt(1 + np.var([1, 2.5], ddof=1) / np.mean([1, 2.25])))


def test_one_walker_tells_nothing():
    assert np.isnan(r_hat(np.ones((2, 1, 1, 2, 3)), np.repeat(WEIGHTS, 2, axis=0))).all()
