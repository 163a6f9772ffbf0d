"""Bins of a landscape: edges, values and which bin a state falls into, for both kinds of test metric."""

import numpy as np
import pytest
import xarray as xr

from entroscape.config.sampler import Axis
from entroscape.grid import MAP, Grid, dimensions

X_AXIS = Axis(min=-6, max=1, bin_width=0.1)


def test_discrete_rows_are_attainable_accuracies():
    grid = Grid.of(X_AXIS, 40)
    assert grid.discrete and grid.dimensions == MAP
    assert (grid.columns, grid.rows) == (70, 41)
    assert np.array_equal(grid.row(grid.y_values), np.arange(41))
    assert grid.y_edges[[0, -1]] == pytest.approx([-1 / 80, 1 + 1 / 80])


def test_continuous_rows_are_equal_bins():
    grid = Grid.continuous(X_AXIS, Axis(min=-2, max=2, bin_width=0.25), "ln_test_loss")
    assert not grid.discrete and grid.dimensions == ("ln_train_loss", "ln_test_loss")
    assert (grid.columns, grid.rows) == (70, 16)
    assert np.array_equal(grid.y_edges, np.linspace(-2, 2, 17))
    assert np.array_equal(grid.y_values, np.linspace(-1.875, 1.875, 16))
    assert np.array_equal(grid.row(grid.y_values), np.arange(16))
    assert np.array_equal(grid.row([-2.0, -1.75, 1.9999, -2.01, 2.0]), [0, 1, 15, -1, 16])


def test_coordinates_name_the_dimensions_of_a_dataset():
    grid = Grid.continuous(X_AXIS, Axis(min=0, max=1, bin_width=0.5), "smoothed_accuracy")
    for name, dims in (("entropy", grid.dimensions), ("weight_entropy", ("window", *grid.dimensions))):
        shape = [1] * (len(dims) - 2) + [grid.columns, grid.rows]
        dataset = xr.Dataset({name: (dims, np.zeros(shape))}, grid.coordinates)
        assert dimensions(dataset) == ("ln_train_loss", "smoothed_accuracy")


@pytest.mark.parametrize(
    "grid", [Grid.of(X_AXIS, 40), Grid.continuous(X_AXIS, Axis(min=-2, max=2.5, bin_width=0.15), "ln_test_loss")]
)
def test_grid_of_a_landscape_is_that_it_was_sampled_on(grid):
    landscape = xr.Dataset({"entropy": (grid.dimensions, np.zeros((grid.columns, grid.rows)))}, grid.coordinates)
    assert Grid.of_landscape(landscape, X_AXIS) == grid
