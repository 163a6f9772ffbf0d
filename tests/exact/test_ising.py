"""16 spins on a ring through the same driver as the networks: nine binomial entropies."""

import numpy as np
import pytest
from ising import exact_entropy, ring
from whole_runs import deviations, exchange_settings, landscape_of

from entroscape.grid import Grid
from entroscape.sampling.kernel import run_walkers

SPINS = 16
GRID = Grid(x_min=0.0, bin_width=1.0, columns=9, rows=1)  # x: pairs of broken bonds

pytestmark = pytest.mark.exact


@pytest.fixture(scope="module")
def starts():
    return np.random.default_rng(0).choice([-1.0, 1.0], (200, SPINS))


def reachable(starts, domain_walls):
    """Add states with many and few broken bonds, which random ones do not have."""
    extra = [np.where(np.arange(SPINS) < walls, (-1.0) ** np.arange(SPINS), 1.0) for walls in domain_walls]
    return np.concatenate([starts, extra])


@pytest.mark.parametrize("windows", [[(0.0, 9.0)], [(3.0, 9.0), (0.0, 5.0)]], ids=["one window", "two windows"])
def test_all_nine_entropies(starts, windows):
    settings = exchange_settings(windows, production=800_000, walkers=8)
    difference, error = [], []
    for seed in range(6):
        landscape = landscape_of(lambda: ring(SPINS), GRID, settings, reachable(starts, range(SPINS + 1)), seed)
        d, e = deviations(landscape, exact_entropy(SPINS)[:, None])
        assert len(d) == 9
        difference.append(d)
        error.append(e)
    scaled = np.abs(difference) / error
    print(
        f"largest error {np.max(np.abs(difference)):.4f}, within 2 sigma {np.mean(scaled < 2):.3f}, "
        f"rms in errors {np.sqrt(np.mean(scaled**2)):.2f}"
    )
    assert np.max(np.abs(difference)) < 0.05
    assert np.mean(scaled < 2) > 0.85
    assert 0.5 < np.sqrt(np.mean(scaled**2)) < 1.6  # errors are neither far too small nor far too large


def test_number_of_states(starts):
    """Normalised at the two ground states, the entropies count all 2^16 states."""
    settings = exchange_settings([(0.0, 9.0)], production=1_600_000)
    landscape = landscape_of(lambda: ring(SPINS), GRID, settings, starts, "count")
    entropy = landscape["entropy"].to_numpy()[:, 0]
    states = 2 * np.exp(entropy - entropy[0]).sum()
    assert states == pytest.approx(2**SPINS, rel=0.05)


def test_moves_out_of_the_window_count_the_present_bin_and_raise_it():
    """Every move from a ground state breaks bonds, which this window does not allow."""
    spins, report = np.ones((1, SPINS)), np.zeros((1, 5), dtype=np.int64)
    entropy, ceiling = np.full((9, 1), -np.inf), np.full(9, -np.inf)
    histograms = np.zeros((1, 9, 1), dtype=np.int64)
    generator, window = np.random.default_rng(0), (0, 1)
    run_walkers(ring(SPINS), generator, spins, entropy, ceiling, histograms, window, 700, 1.0, 0.125, 12.0, report)
    assert histograms[0, :, 0].tolist() == [700] + [0] * 8
    assert entropy[0, 0] == 700 * 0.125 and np.isneginf(entropy[1:]).all()
    assert report[0, 0] == 0 and (spins == 1).all()
