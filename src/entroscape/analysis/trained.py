"""What training reaches at each training loss: binned curves of many independent runs."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from entroscape.analysis.largest import NOTHING, Bounds
from entroscape.grid import Grid

FEWEST_RUNS = 5  # a column with fewer runs has no error to speak of


def per_run(table: pd.DataFrame, grid: Grid, quantity: str) -> np.ndarray:
    """Mean of a quantity over the states that each run recorded in each column, [runs, columns]; nan where none.

    States of one run follow each other closely and are not independent; runs are. So a run enters a column once.
    """
    ln_loss = table["ln_train_loss"].to_numpy()
    column = grid.column(np.where(np.isfinite(ln_loss), ln_loss, grid.x_edges[-1]))
    inside = (column >= 0) & (column < grid.columns)
    means = table[inside].groupby([table["run"][inside], column[inside]])[quantity].mean().unstack()  # noqa: PD010
    return means.reindex(index=np.unique(table["run"]), columns=np.arange(grid.columns)).to_numpy(dtype=float)


def mean_and_error(runs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean over runs [runs, columns], its standard error, and the number of runs, each [columns]."""
    count = np.isfinite(runs).sum(axis=0)
    known = count >= FEWEST_RUNS
    value, error = np.full(len(count), np.nan), np.full(len(count), np.nan)
    value[known] = np.nanmean(runs[:, known], axis=0)
    error[known] = np.nanstd(runs[:, known], axis=0, ddof=1) / np.sqrt(count[known])
    return value, error, count


def left_out_means(runs: np.ndarray) -> np.ndarray:
    """Mean over the columns of the means over all runs but one, for each run; [runs, columns] -> [runs]."""
    present = np.isfinite(runs)
    total, count = np.where(present, runs, 0.0).sum(axis=0), present.sum(axis=0)
    return ((total - np.where(present, runs, 0.0)) / (count - present)).mean(axis=1)


def lowest(runs: np.ndarray, levels: Sequence[float]) -> tuple[list[Bounds], float, int]:
    """Lowest of the means over runs [runs, columns] with bounds at some levels, its standard error and number of runs.

    The lower end of the interval is the lowest that the error of any one mean allows; the upper end allows for the
    choice among all columns.
    """
    value, error, count = mean_and_error(runs)
    if not np.isfinite(value).any():
        return [NOTHING] * len(levels), np.nan, 0
    column, found = int(np.nanargmin(value)), []
    for tail in ((1 - confidence) / 2 for confidence in levels):
        low = np.nanmin(value + error * stdtrit(count - 1, tail))
        high = np.nanmin(value - error * stdtrit(count - 1, tail / len(count)))
        found.append(Bounds(float(value[column]), float(low), float(high)))
    return found, float(error[column]), int(count[column])
