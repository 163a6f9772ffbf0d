"""Basins that join only above the highest window: maps of them are wrong, and must not be called converged.

`trap_runs` makes each landscape from starts in both basins, half and half or all but one in one of them, and from
starts in one alone. The honest twins join inside the window.
"""

from collections import Counter

import numpy as np
import pytest
import torch
import traps
from scipy.special import logsumexp
from trap_runs import ALONE, HALF, MOSTLY, SAMPLERS, SEEDS, TWO_WINDOWS, dynamics, monte_carlo, outcomes
from traps import BASINS, CONTINUOUS, COUNTED, TRAPS, TWINS, A, B

from entroscape.sampling import kernel

pytestmark = pytest.mark.exact

EVERY = {name: TRAPS[name] for name in TRAPS} | {f"twin, {name}": TWINS[name] for name in TWINS}
SHARE_MISSED = 1 / 20  # of wrong maps that may be called converged where both basins hold starts
FEWEST_WRONG = SEEDS // 2  # else a trap traps nobody
FEWEST_PASS = SEEDS - 3  # of honest twins; each fails one check or another by chance in 1 of 30 runs


@pytest.fixture(autouse=True)
def one_thread():
    """Batches are small: threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", EVERY)
def test_the_exact_entropy_is_that_of_points_all_over_the_box(name):
    basins = EVERY[name]
    theta = np.random.default_rng(0).uniform(-basins.half_width, basins.half_width, (1_000_000, traps.DIMENSIONS + 2))
    bins = np.empty((len(theta), 2), dtype=np.int64)
    kernel.locate(traps.system(basins), theta, bins)
    x, y = (values.numpy() for values in traps.target(basins, theta).coordinates(torch.as_tensor(theta)))
    assert (COUNTED.column(x) == bins[:, 0]).all() and (CONTINUOUS.row(y) == bins[:, 1]).all()
    inside = bins[(bins[:, 0] >= 0) & (bins[:, 0] < COUNTED.columns)]
    counts = np.zeros((COUNTED.columns, COUNTED.rows))
    np.add.at(counts, tuple(inside.T), 1)
    exact = traps.exact_entropy(basins)
    expected = np.exp(exact - logsumexp(exact)) * len(inside)
    many = expected > 20
    scaled = (counts - expected)[many] / np.sqrt(expected[many])
    assert len(inside) > 50_000 and many.sum() > 40
    assert 0.7 < np.sqrt(np.mean(scaled**2)) < 1.3 and np.abs(scaled).max() < 4.5


@pytest.mark.parametrize("name", TRAPS)
def test_the_volumes_of_the_basins_are_those_of_calculus(name):
    basins = TRAPS[name]
    columns = [logsumexp(traps.exact_entropy(basins, [basin]), axis=1) for basin in BASINS]
    assert columns[B] - columns[A] == pytest.approx(basins.ln_volume_ratio(COUNTED.x_centres), abs=0.02)
    assert np.exp(logsumexp(columns, axis=0)) == pytest.approx(np.exp(traps.exact_entropy(basins)).sum(axis=1))
    if basins.resolved:
        assert traps.ln_ratio(traps.exact_entropy(basins)) == pytest.approx(5.4, abs=1e-6)
    assert basins.ridge > 0.8 and TWINS[name].ridge < -1.3


def show(title, table):
    missed, medians = table["wrong"] & table["passes"], table[["r_hat", "r_hat_of_y"]].median().round(3)
    print(
        f"{title}: {table['wrong'].sum()} of {len(table)} wrong (found {table['found'].median():.2f}, exact "
        f"{table['exact'].iloc[0]:.2f}), {missed.sum()} of these called converged; {table['passes'].sum()} pass; "
        f"medians R-hat of S {medians['r_hat']}, of y {medians['r_hat_of_y']}; "
        f"failed: {dict(Counter(check for checks in table['failed'] for check in checks))}"
    )


def assert_not_fooled(title, table):
    show(title, table)
    wrong = table["wrong"]
    assert wrong.sum() >= FEWEST_WRONG
    assert table["passes"][wrong].sum() <= SHARE_MISSED * wrong.sum()


@pytest.mark.parametrize("starts", ["half", "mostly"])
@pytest.mark.parametrize("name", TRAPS)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_wrong_maps_are_not_called_converged(sampler, name, starts):
    basins = TRAPS[name]
    chosen = HALF if starts == "half" else MOSTLY[name]
    assert_not_fooled(f"{sampler}, {name}, {starts}", outcomes(SAMPLERS[sampler](basins, chosen), basins))


def test_nor_in_two_windows():
    basins = TRAPS["hidden"]
    assert_not_fooled("two windows", outcomes(monte_carlo(basins, HALF, windows=TWO_WINDOWS), basins))


def test_nor_by_langevin_dynamics():
    basins = TRAPS["resolved"]
    assert_not_fooled("baoab", outcomes(dynamics(basins, HALF, integrator="baoab"), basins))


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_maps_of_basins_that_join_inside_the_window_are_right_and_pass(sampler, name):
    basins = TWINS[name]
    table = outcomes(SAMPLERS[sampler](basins, HALF), basins)
    show(f"{sampler}, twin, {name}", table)
    assert table["wrong"].sum() <= 2
    assert table["passes"].sum() >= FEWEST_PASS


@pytest.mark.parametrize(("name", "basin"), [("resolved", A), ("resolved", B), ("hidden", B)])
def test_starts_in_one_basin_alone_give_a_good_map_of_that_basin(name, basin):
    """Nothing in it says that there is another: no criterion can tell, and only starts of other kinds do.

    A alone is left out where y hides B: B has 2 % of the volume there.
    """
    basins = TRAPS[name]
    runs = list(monte_carlo(basins, ALONE[basin], seeds=SEEDS // 2))
    whole, own = outcomes(runs, basins), outcomes(runs, basins, only=[basin])
    show(f"{name}, {'AB'[basin]} alone", whole)
    assert whole["wrong"].all() and own["wrong"].sum() <= 1
    assert whole[["r_hat", "r_hat_of_y"]].max(axis=None) < 1.02


def test_how_often_cooled_random_states_find_the_second_basin():
    """As docs/method.md says: descents by the gradient from anywhere in the box, and the share of volume it has."""
    for name, second, by_gradient, greedily in [("resolved", A, 0.06, 0.25), ("hidden", B, 0.0075, 0.25)]:
        found = [traps.cooled(TRAPS[name], way, 4000, np.random.default_rng(1)) for way in ("gradient", "greedy")]
        shares = [(basin == second).mean() for basin in found]
        print(f"{name}: by the gradient {shares[0]:.4f}, greedily {shares[1]:.4f}")
        assert shares == [pytest.approx(by_gradient, rel=0.4), pytest.approx(greedily, rel=0.15)]
