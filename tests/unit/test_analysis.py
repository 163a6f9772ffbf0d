"""From maps and baselines to advantages and verdicts, against direct computation."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from entroscape.analysis import claims, curves, trained
from entroscape.config.schema import Analysis
from entroscape.grid import MAP, Grid

GRID = Grid(x_min=-2.0, bin_width=0.5, columns=4, rows=5)
SETTINGS = Analysis(low_loss=(-2.0, -1.0), generalising_accuracy=0.75, confidence=0.95)


def test_a_run_enters_a_column_once():
    table = pd.DataFrame(
        {"run": [0, 0, 0, 1, 1], "ln_train_loss": [-1.9, -1.8, -0.1, -1.7, np.nan], "test_accuracy": [1, 0, 0.5, 1, 0]}
    )
    np.testing.assert_array_equal(
        trained.per_run(table, GRID), [[0.5, np.nan, np.nan, 0.5], [1.0, np.nan, np.nan, np.nan]]
    )


def test_left_out_means_are_those_of_the_table_without_the_run():
    runs = np.random.default_rng(0).uniform(size=(7, 3))
    runs[2, 1] = runs[5, 0] = np.nan
    direct = [np.nanmean(np.delete(runs, r, axis=0), axis=0).mean() for r in range(len(runs))]
    np.testing.assert_allclose(trained.left_out_means(runs), direct)


@pytest.mark.parametrize(
    ("lower", "upper", "sign", "expected"),
    [
        (0.1, 0.3, 1, "supported"),
        (-0.3, -0.1, 1, "contradicted"),
        (-0.1, 0.3, 1, "undecided"),
        (-0.3, -0.1, -1, "supported"),
        (0.1, 0.3, -1, "contradicted"),
        (np.nan, 0.3, 1, "undecided"),
    ],
)
def test_verdict(lower, upper, sign, expected):
    assert claims.verdict(lower, upper, sign) == expected


def test_slope_is_that_of_weighted_least_squares_and_widens_with_scatter():
    x, error = np.array([2.0, 2.6, 3.0, 4.0]), np.array([0.1, 0.2, 0.1, 0.3])
    line = 1.0 - 0.5 * x
    value, narrow, dof = claims.slope(x, line, error)
    assert (value, dof) == (pytest.approx(-0.5), 2)
    scattered = line + np.array([0.5, -0.5, 0.5, -0.5])
    value, wide, _ = claims.slope(x, scattered, error)
    assert value == pytest.approx(np.polyfit(x, scattered, 1, w=1 / error)[0])
    assert wide > 2 * narrow
    assert np.isnan(claims.slope(x[:2], line[:2], error[:2])[0])


def test_welch_degrees_of_freedom():
    assert curves.effective_dof((1.0, 1.0), (5, 5)) == pytest.approx(10)
    assert curves.effective_dof((1.0, 0.0), (5, 9)) == pytest.approx(5)


def test_low_loss_averages_match_direct_computation():
    """Two low columns; baselines reach both with a constant accuracy, so the advantage is known by hand."""
    rng = np.random.default_rng(1)
    entropy = rng.normal(size=(4, 5))
    left_out = entropy + 0.01 * rng.normal(size=(6, 4, 5))
    landscape = xr.Dataset({"entropy": (MAP, entropy), "entropy_left_out": (("unit", *MAP), left_out)})
    rows = [
        {"protocol": protocol, "run": run, "ln_train_loss": x, "test_accuracy": accuracy, "inside": protocol == "box"}
        for protocol, accuracy in (("free", 0.25), ("box", 0.5))
        for run in range(6)
        for x in (-1.9, -1.2)
    ]
    table = curves.low_loss_table(landscape, pd.DataFrame(rows), GRID, SETTINGS).set_index(["quantity", "baseline"])
    weight = np.exp(entropy[:2])
    equilibrium = ((weight @ GRID.y_values) / weight.sum(axis=1)).mean()
    assert table.loc[("equilibrium", ""), "value"] == pytest.approx(equilibrium)
    assert table.loc[("advantage", "free"), "value"] == pytest.approx(equilibrium - 0.25)
    assert table.loc[("advantage", "box"), "value"] == pytest.approx(equilibrium - 0.5)
    assert table.loc[("advantage", "box"), "error"] == pytest.approx(table.loc[("equilibrium", ""), "error"])
    assert set(table["columns"]) == {2} and set(table["lower"]) == {-2.0} and set(table["upper"]) == {-1.0}
