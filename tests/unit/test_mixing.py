"""Where walkers and replicas agree, the measures say so; where they do not, they say what their definition says."""

import numpy as np
import pytest

from entroscape.landscape.mixing import r_hat, replicas_alike

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


def left_out(deviations: np.ndarray) -> np.ndarray:
    """Means over all walkers but one, of walkers that say [units, bins]."""
    return (deviations.sum(axis=0) - deviations) / (len(deviations) - 1)


def noise(random, units: int) -> np.ndarray:
    """That of two modes, so that all bins rise and fall together."""
    return random.normal(size=(units, 2)) @ random.normal(size=(2, 60))


@pytest.mark.parametrize("walkers", [4, 8])
def test_replicas_that_differ_by_noise_alone_are_as_alike_as_any(walkers):
    random = np.random.default_rng(3)
    found = np.array([replicas_alike(left_out(noise(random, 2 * walkers)), 2) for _ in range(200)])
    assert (found <= 0.03).mean() < 0.08
    assert found.mean() == pytest.approx(0.5, abs=0.1)


def test_replicas_that_differ_are_the_rarest_deal():
    apart = noise(np.random.default_rng(4), 8)
    apart[:4, :30] += 20.0
    assert replicas_alike(left_out(apart), 2) == pytest.approx(1 / 35)


@pytest.mark.parametrize("replicas", [(0, 0, 1), (0, 1, 1), (0, 0, 1, 1), (0, 0, 0, 1)])
def test_any_replicas_that_differ_are_a_rare_deal(replicas):
    apart = noise(np.random.default_rng(4), 4 * len(replicas))
    apart[:, :30] += 20.0 * np.repeat(replicas, 4)[:, None]
    assert replicas_alike(left_out(apart), len(replicas)) < 0.03


def test_few_walkers_or_one_replica_do_not_tell_and_blank_bins_do_not_count():
    said = left_out(noise(np.random.default_rng(5), 8))
    assert np.isnan(replicas_alike(said[:6], 2)) and np.isnan(replicas_alike(said, 1))
    blank = np.concatenate([said, np.full((8, 3), -np.inf)], axis=1)
    assert replicas_alike(blank, 2) == replicas_alike(said, 2)
    assert np.isnan(replicas_alike(blank[:, -3:], 2))
