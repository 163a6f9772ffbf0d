"""Equilibrium, maximum-entropy and trained curves of one landscape, and how far they lie apart.

Tables are tidy: one row per quantity, baseline and column of the landscape. `units` counts the independent units
(ladders or runs) behind an error, `dof` the degrees of freedom of its Student's t.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from entroscape.analysis import trained
from entroscape.config.schema import Analysis
from entroscape.grid import Grid
from entroscape.landscape import curves, jackknife

BASELINES = ("free", "box")
Functional = Callable[[np.ndarray], np.ndarray]


def functionals(y_values: np.ndarray, threshold: float) -> dict[str, Functional]:
    """Quantities read off a map [columns, rows] alone, each giving [columns]."""
    return {
        "equilibrium": lambda entropy: curves.equilibrium(entropy, y_values),
        "maximum_entropy": lambda entropy: curves.maximum_entropy(entropy, y_values),
        "volume_ratio": lambda entropy: curves.volume_ratio(entropy, y_values, threshold),
    }


def curve_table(landscape: xr.Dataset, training: pd.DataFrame, grid: Grid, settings: Analysis) -> pd.DataFrame:
    """All curves: columns quantity, baseline, ln_train_loss, value, error, units, dof, inside.

    `advantage` is the equilibrium minus the trained mean at the same loss; `inside` the share of trained states that
    lie in the sampler's box.
    """
    maps = _maps(landscape)
    read_off = {}
    for quantity, function in functionals(grid.y_values, settings.generalising_accuracy).items():
        value, error = jackknife.of(function, *maps)
        read_off[quantity] = _frame(quantity, "", grid, value, error, len(maps[1]), len(maps[1]) - 1)
    frames = list(read_off.values())
    for baseline, runs, inside in _baselines(training, grid):
        value, error, count = trained.mean_and_error(runs)
        reached = _frame("trained", baseline, grid, value, error, count, count - 1, inside)
        frames += [reached, _difference(read_off["equilibrium"], reached)]
    table = pd.concat(frames, ignore_index=True)
    return table[np.isfinite(table["value"])].reset_index(drop=True)


def low_loss_table(landscape: xr.Dataset, training: pd.DataFrame, grid: Grid, settings: Analysis) -> pd.DataFrame:
    """The same quantities averaged over the columns of the low-loss region, each column counting equally.

    Columns quantity, baseline, value, error, units, dof, lower, upper, columns: `lower` and `upper` are the edges of
    the region really used, where both the landscape and, for trained and advantage, enough runs are known.
    """
    entropy, left_out = maps = _maps(landscape)
    region = (grid.x_centres > settings.low_loss[0]) & (grid.x_centres < settings.low_loss[1])
    rows, sampled = [], {}
    read_off = functionals(grid.y_values, settings.generalising_accuracy)
    for quantity, function in read_off.items():
        sampled[quantity] = known = region & np.isfinite(np.array([function(one) for one in (entropy, *left_out)])).all(
            axis=0
        )
        value, error = _mean_over(known, function, maps)
        rows.append(_row(quantity, "", value, error, len(left_out), len(left_out) - 1, known, grid))
    for baseline, runs, _ in _baselines(training, grid):
        matched = sampled["equilibrium"] & (np.isfinite(runs).sum(axis=0) >= trained.FEWEST_RUNS)
        sample_value, sample_error = _mean_over(matched, read_off["equilibrium"], maps)
        runs = runs[np.isfinite(runs[:, matched]).any(axis=1)]
        value, error = np.nan, np.nan
        if matched.any():
            value = np.nanmean(runs[:, matched], axis=0).mean()
            error = float(jackknife.error(trained.left_out_means(runs[:, matched])))
        dof = len(runs) - 1, len(left_out) - 1
        rows.append(_row("trained", baseline, value, error, len(runs), dof[0], matched, grid))
        both = np.hypot(sample_error, error), effective_dof((error, sample_error), dof)
        rows.append(_row("advantage", baseline, sample_value - value, both[0], len(left_out), both[1], matched, grid))
    return pd.DataFrame(rows)


def effective_dof(errors: tuple, dof: tuple) -> Any:
    """Degrees of freedom of a difference of independent values (Welch 1947, Satterthwaite 1946)."""
    squares = [np.square(error) for error in errors]
    with np.errstate(divide="ignore", invalid="ignore"):
        return sum(squares) ** 2 / sum(square**2 / free for square, free in zip(squares, dof, strict=True))


def _maps(landscape: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    return landscape["entropy"].to_numpy(), landscape["entropy_left_out"].to_numpy()


def _baselines(training: pd.DataFrame, grid: Grid) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Baseline, per-run means [runs, columns] and share of states inside the box [columns]."""
    for baseline in BASELINES:
        table = training[training["protocol"] == baseline]
        inside = trained.per_run(table.assign(inside=table["inside"].astype(float)), grid, "inside")
        count = np.isfinite(inside).sum(axis=0)
        share = np.where(count > 0, np.nansum(inside, axis=0) / np.maximum(count, 1), np.nan)
        yield baseline, trained.per_run(table, grid), share


def _mean_over(known: np.ndarray, function: Functional, maps: tuple) -> tuple[float, float]:
    if not known.any():
        return np.nan, np.nan
    value, error = jackknife.of(lambda entropy: function(entropy)[known].mean(), *maps)
    return float(value), float(error)


def _difference(equilibrium: pd.DataFrame, reached: pd.DataFrame) -> pd.DataFrame:
    errors = equilibrium["error"], reached["error"]
    return reached.assign(
        quantity="advantage",
        value=equilibrium["value"] - reached["value"],
        error=np.hypot(*errors),
        units=equilibrium["units"],
        dof=effective_dof(errors, (equilibrium["dof"], reached["dof"])),
    )


def _frame(
    quantity: str,
    baseline: str,
    grid: Grid,
    value: np.ndarray,
    error: np.ndarray,
    units: Any,
    dof: Any,
    inside: Any = np.nan,
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "quantity": quantity,
            "baseline": baseline,
            "ln_train_loss": grid.x_centres,
            "value": value,
            "error": error,
            "units": units,
            "dof": np.asarray(dof, dtype=float),
            "inside": inside,
        }
    )


def _row(
    quantity: str,
    baseline: str,
    value: float,
    error: float,
    units: int,
    dof: float,
    known: np.ndarray,
    grid: Grid,
) -> dict:
    edges = grid.x_edges
    lower, upper = (edges[:-1][known].min(), edges[1:][known].max()) if known.any() else (np.nan, np.nan)
    return {
        "quantity": quantity,
        "baseline": baseline,
        "value": value,
        "error": error,
        "units": units,
        "dof": float(dof),
        "lower": np.round(lower, 9),
        "upper": np.round(upper, 9),
        "columns": int(known.sum()),
    }
