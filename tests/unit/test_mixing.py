"""Where walkers and replicas agree, the measures say so; where they do not, they say what their definition says."""

import numpy as np
import pytest

from entroscape.landscape.mixing import r_hat, r_hat_by_chance, replicas_alike, walkers_alike

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


def test_r_hat_of_few_walkers_exceeds_the_bound_by_chance_as_often_as_said():
    random, runs, walkers = np.random.default_rng(1), 2, 4
    between = 0.21 * random.normal(size=(20_000, runs, walkers)).var(axis=2, ddof=1).mean(axis=1)
    assert (np.sqrt(1 + between) > r_hat_by_chance(1.1, runs, walkers, 0.03)).mean() == pytest.approx(0.03, abs=0.005)
    assert 1.1 < r_hat_by_chance(1.1, 2, 50, 0.03) < r_hat_by_chance(1.1, 2, 8, 0.03) < 1.2
    assert np.isnan(r_hat_by_chance(1.1, 2, 1, 0.03))


ROWS = np.arange(6.0)
FLAT = np.full(6, 1 / 6)


def visits_of(random, *chances: np.ndarray, runs: int = 2, blocks: int = 8, visits: int = 60) -> np.ndarray:
    """Independent visits [R, block, walker, 1, 1, rows] of walkers that see the rows with these chances."""
    return np.stack([random.multinomial(visits, chance, (runs, blocks)) for chance in chances], axis=2)[
        :, :, :, None, None
    ]


def test_walkers_that_mix_are_as_alike_as_any():
    random = np.random.default_rng(0)
    found = np.array([walkers_alike(visits_of(random, *[FLAT] * 4), ROWS)[0] for _ in range(400)])
    assert (found < 0.05).mean() == pytest.approx(0.05, abs=0.03)
    assert found.mean() == pytest.approx(0.5, abs=0.06)


def test_walkers_whose_means_differ_by_little_of_the_width_are_told():
    tilted = FLAT * (1 + 0.3 * np.linspace(-1, 1, 6))
    visits = visits_of(np.random.default_rng(1), *[FLAT] * 4, *[tilted] * 4, visits=400)
    assert r_hat(visits.sum(axis=1), ROWS).max() < 1.02
    assert walkers_alike(visits, ROWS)[0] < 1e-4


def test_a_walker_without_visits_in_a_quarter_and_a_single_walker_tell_nothing():
    visits = visits_of(np.random.default_rng(3), *[FLAT] * 4)
    visits[1, 2:4, 3] = 0
    assert np.isnan(walkers_alike(visits, ROWS)).all()
    assert np.isnan(walkers_alike(visits[:, :, :1], ROWS)).all()
    assert (walkers_alike(visits_of(np.random.default_rng(3), *[FLAT] * 4), np.zeros(6)) == 1).all(), "one value alone"


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
