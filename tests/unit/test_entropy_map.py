"""The smooth map that walkers feel: values, slopes, continuation, walls, deposits."""

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline

from entroscape import numba_cache
from entroscape.config.sampler import Axis
from entroscape.grid import Grid
from entroscape.sampling.entropy_map import EntropyMap, spline

GRID = Grid.continuous(Axis(min=-2.0, max=1.0, bin_width=0.25), Axis(min=-1.0, max=1.0, bin_width=0.2), "ln_test_loss")
WINDOWS = torch.tensor([[-0.5, 1.0], [-2.0, 0.25]], dtype=torch.float64)
STIFFNESS = 3.0, 7.0
COLUMNS = [(6, 12), (0, 9)]  # of the windows


@pytest.fixture(params=[True, False], ids=["compiled", "general"], autouse=True)
def _lookups(request, monkeypatch):
    monkeypatch.setattr(numba_cache, "COMPILED", request.param)


def make_map(windows=WINDOWS, depth=1e9, deposit_width=1.5, grid=GRID) -> EntropyMap:
    return EntropyMap.of(grid, windows, STIFFNESS, depth, deposit_width)


def random_map(seed=0, depth=1e9) -> tuple[EntropyMap, torch.Tensor]:
    geometry = make_map(depth=depth)
    entropy = torch.as_tensor(np.random.default_rng(seed).normal(size=geometry.zeros().shape) * 3)
    return geometry, geometry.felt(entropy)


def places(count=400, seed=1, reach=3.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Points in the grid and up to `reach` beyond it on all sides, twelve bins in x and fifteen in y, per window."""
    random = np.random.default_rng(seed)
    x, y = random.uniform(-2 - reach, 1 + reach, (2, count)), random.uniform(-1 - reach, 1 + reach, (2, count))
    return torch.as_tensor(x), torch.as_tensor(y)


def test_places_are_within_and_far_beyond_grid_and_windows():
    x, y = places()
    for inside in ((x > -2) & (x < 1), (y > -1) & (y < 1)):
        assert 50 < int(inside.sum()) < inside.numel() - 50
    assert (x < -4).any() and (x > 3).any() and (y < -3).any() and (y > 3).any()


def test_spline_is_the_cubic_b_spline_and_its_derivative():
    distance = np.linspace(-2.5, 2.5, 501)
    reference = BSpline.basis_element([-2, -1, 0, 1, 2], extrapolate=False)
    value, slope = spline(torch.as_tensor(distance))
    np.testing.assert_allclose(value, np.nan_to_num(reference(distance)), atol=1e-15)
    np.testing.assert_allclose(slope, np.nan_to_num(reference.derivative()(distance)), atol=1e-14)


def test_energy_between_the_nodes_is_the_spline_of_their_values():
    geometry, felt = random_map()
    x, y = (torch.as_tensor(v) for v in np.random.default_rng(2).uniform((-1.4, -0.5), (-0.4, 0.5), (2, 50, 2)).T)
    x, y = x.T, y.T  # inside the second window, more than two nodes from its edges
    basis = BSpline.basis_element([-2, -1, 0, 1, 2], extrapolate=False)
    nodes = felt[1].numpy()
    weight_x = np.nan_to_num(basis((x[1].numpy()[:, None] - GRID.x_centres) / 0.25))
    weight_y = np.nan_to_num(basis((y[1].numpy()[:, None] - GRID.y_values) / 0.2))
    expected = np.einsum("ki,kj,ij->k", weight_x, weight_y, nodes)
    np.testing.assert_allclose(geometry.potential(felt, x, y).energy[1], expected, atol=1e-12)


def test_slopes_are_the_gradient_of_the_energy_everywhere():
    geometry, felt = random_map()
    x, y = (value.requires_grad_() for value in places())
    potential = geometry.potential(felt, x, y)
    by_x, by_y = torch.autograd.grad(potential.energy.sum(), (x, y))
    torch.testing.assert_close(potential.slope_x, by_x, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(potential.slope_y, by_y, rtol=1e-10, atol=1e-10)


def test_slopes_are_the_differences_of_the_energy_everywhere():
    """Not by autograd, which sees no jump: a jump of energy between two places shows here."""
    geometry, felt = random_map()
    (x, y), h = places(), 1e-5
    potential = geometry.potential(felt, x, y)
    for slope, (dx, dy) in ((potential.slope_x, (h, 0)), (potential.slope_y, (0, h))):
        ahead, behind = (geometry.potential(felt, x + s * dx, y + s * dy).energy for s in (1, -1))
        torch.testing.assert_close((ahead - behind) / (2 * h), slope, rtol=1e-6, atol=1e-5)


def test_energy_has_no_jump_along_a_line_across_everything():
    geometry, felt = random_map()
    line = torch.linspace(-5, 4, 20_001, dtype=torch.float64).expand(2, -1)
    for x, y in ((line, torch.full_like(line, 0.13)), (torch.full_like(line, -0.1), line)):
        potential = geometry.potential(felt, x, y)
        steepest = torch.stack([potential.slope_x, potential.slope_y]).abs().amax() * 9 / 20_000
        assert (potential.energy.diff(dim=1).abs() <= 1.01 * steepest).all()


def test_a_plane_stays_a_plane_beyond_edges_whatever_lies_outside_the_window():
    geometry = make_map()
    x_nodes, y_nodes = torch.as_tensor(GRID.x_centres)[:, None], torch.as_tensor(GRID.y_values)
    entropy = torch.full((2, GRID.columns, GRID.rows), 1e3, dtype=torch.float64)
    for m, (first, last) in enumerate(COLUMNS):
        entropy[m, first:last] = (m + 1) * (2 * x_nodes - 5 * y_nodes + 1)[first:last]
    x, y = places()
    potential = geometry.potential(geometry.felt(entropy), x, y)
    scale = torch.tensor([[1.0], [2.0]], dtype=torch.float64)
    excess_x = x - torch.minimum(torch.maximum(x, WINDOWS[:, :1]), WINDOWS[:, 1:])
    excess_y = y - y.clamp(-1, 1)
    walls = 3.0 * excess_x**2 + 7.0 * excess_y**2
    torch.testing.assert_close(potential.energy, scale * (2 * x - 5 * y + 1) + walls, rtol=1e-10, atol=1e-9)
    torch.testing.assert_close(potential.slope_x, 2 * scale + 2 * 3.0 * excess_x, rtol=1e-10, atol=1e-9)
    torch.testing.assert_close(potential.slope_y, -5 * scale + 2 * 7.0 * excess_y, rtol=1e-10, atol=1e-9)


def test_a_window_of_one_column_has_no_slope_in_x_but_its_walls():
    geometry = make_map(windows=torch.tensor([[0.0, 0.25]], dtype=torch.float64))
    entropy = torch.as_tensor(np.random.default_rng(0).normal(size=(1, GRID.columns, GRID.rows)))
    x, y = (value[:1].clone() for value in places())
    potential = geometry.potential(geometry.felt(entropy), x, y)
    torch.testing.assert_close(potential.slope_x, 6 * (x - x.clamp(0, 0.25)), rtol=1e-10, atol=1e-9)
    assert potential.slope_y.std() > 0.1


def test_far_below_the_best_of_its_column_the_map_is_flat():
    geometry = make_map(depth=4.0)
    entropy = torch.zeros(2, GRID.columns, GRID.rows, dtype=torch.float64)
    entropy[:, :, 0] = 10.0  # the best; 6 is the floor
    entropy[:, :, 1] = 7.0
    entropy[:, :, 2], entropy[:, :, 3] = 5.9, -100.0
    entropy[:, 3, 0] = 20.0  # the floor of one column only
    nodes = geometry.felt(entropy)[1]
    assert nodes[5].tolist() == [10.0, 7.0, 6.0, *[6.0] * 7]
    assert nodes[3].tolist() == [20.0, *[16.0] * 9]
    x, y = torch.full((2, 1), -0.1, dtype=torch.float64), torch.full((2, 1), 0.4, dtype=torch.float64)
    potential = geometry.potential(geometry.felt(entropy), x, y)
    torch.testing.assert_close(potential.energy, torch.full_like(x, 6.0))
    assert potential.slope_y.abs().max() < 1e-12


def at(x: float, y: float, walkers=1) -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(torch.full((2, walkers), value, dtype=torch.float64) for value in (x, y))


def heights(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64).reshape(-1, 1, 1)


def test_a_deposit_is_a_gaussian_of_its_height_cut_at_four_deviations():
    geometry = make_map(deposit_width=0.7)
    entropy = geometry.zeros()
    geometry.deposit(entropy, *at(-0.5, 0.03), heights(2.0, 5.0))
    distance_x, distance_y = (-0.5 - GRID.x_centres) / (0.25 * 0.7), (0.03 - GRID.y_values) / (0.2 * 0.7)
    one = np.outer(np.exp(-(distance_x**2) / 2), np.exp(-(distance_y**2) / 2))
    near = np.outer(np.abs(distance_x) <= 4, np.abs(distance_y) <= 4)
    assert 0 < near.sum() < near.size
    np.testing.assert_allclose(entropy[0], 2.0 * one * near, rtol=1e-12, atol=0)
    np.testing.assert_allclose(entropy[1], 5.0 * one * near, rtol=1e-12, atol=0)


def test_a_deposit_far_from_the_edges_sums_to_height_times_area():
    fine = Grid.continuous(Axis(min=-2.0, max=1.0, bin_width=0.05), Axis(min=-1.0, max=1.0, bin_width=0.04), "y")
    geometry = make_map(grid=fine, deposit_width=2.0)
    entropy = geometry.zeros()
    geometry.deposit(entropy, *at(-0.513, 0.107), heights(1.0, 3.0))
    # beyond the cut lie 6e-5 of a Gaussian on each axis; the sum over bins errs far less
    assert entropy.sum(dim=(1, 2)).tolist() == pytest.approx([geometry.area, 3 * geometry.area], rel=5e-4)


def test_deposits_of_walkers_add_up_in_their_own_window_and_places_that_are_not_finite_add_nothing():
    geometry, (x, y) = make_map(), places(count=20, reach=0.0)
    together, apart = geometry.zeros(), geometry.zeros()
    geometry.deposit(together, x, y, heights(1.0, 0.5))
    for k in range(20):
        geometry.deposit(apart, x[:, k : k + 1], y[:, k : k + 1], heights(1.0, 0.5))
    torch.testing.assert_close(together, apart, rtol=1e-12, atol=1e-14)
    assert not torch.allclose(together[0], 2 * together[1])
    before = together.clone()
    for wrong in (np.nan, np.inf, -np.inf, 50.0):
        geometry.deposit(together, *at(wrong, 0.0), heights(1.0, 1.0))
        geometry.deposit(together, *at(0.0, wrong), heights(1.0, 1.0))
    torch.testing.assert_close(together, before, rtol=0, atol=0)


def test_compiled_look_ups_are_the_general_ones(monkeypatch):
    geometry, felt = random_map(depth=2.0)
    x, y = places()
    x[0, :3], y[1, 4] = torch.tensor([torch.nan, torch.inf, 1e300]), -torch.inf
    monkeypatch.setattr(numba_cache, "COMPILED", False)
    expected = geometry.potential(felt, x, y)
    monkeypatch.setattr(numba_cache, "COMPILED", True)
    finite = torch.isfinite(x) & torch.isfinite(y) & (x.abs() < 1e300)
    for found, value in zip(geometry.potential(felt, x, y), expected, strict=True):
        torch.testing.assert_close(found[finite], value[finite], rtol=1e-12, atol=1e-11)
        assert found[~finite].isnan().sum() >= 3
