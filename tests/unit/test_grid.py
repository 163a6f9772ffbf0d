"""Bins of a landscape: edges, values and which bin a state falls into, for both kinds of test metric."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

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


AXES = st.builds(
    lambda start, width, bins: Axis(min=start * width, max=(start + bins) * width, bin_width=width),
    st.integers(-100, 100),
    st.sampled_from([0.05, 0.1, 0.15, 0.25]),
    st.integers(2, 120),
)


@given(x_axis=AXES, y_axis=AXES, shift=st.floats(1e-6, 1 - 1e-6))
def test_a_value_lies_in_the_bin_whose_edges_enclose_it(x_axis, y_axis, shift):
    grid = Grid.continuous(x_axis, y_axis, "ln_test_loss")
    for find, edges, bins in ((grid.column, grid.x_edges, grid.columns), (grid.row, grid.y_edges, grid.rows)):
        inside = edges[:-1] + shift * np.diff(edges)
        np.testing.assert_array_equal(find(inside), np.arange(bins))
        assert find(edges[0] - 1e-6) == -1 and find(edges[-1] + 1e-6) == bins


@given(axis=AXES, data=st.data())
def test_a_window_holds_the_columns_between_its_edges(axis, data):
    grid = Grid.of(axis, 10)
    first = data.draw(st.integers(0, grid.columns - 1))
    last = data.draw(st.integers(first + 1, grid.columns))
    lower, upper = (round(float(grid.x_edges[edge]), 9) for edge in (first, last))  # as written in a configuration
    assert grid.window(lower, upper) == (first, last)


@given(points=st.integers(1, 10_000), data=st.data())
def test_attainable_accuracies_fall_into_their_own_rows(points, data):
    correct = data.draw(st.integers(0, points))
    assert Grid.of(X_AXIS, points).row(correct / points) == correct
