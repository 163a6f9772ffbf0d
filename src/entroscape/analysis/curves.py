"""Equilibrium, maximum-entropy and trained curves of one landscape, and how far they lie apart.

Tables are tidy: one row per quantity, metric, baseline and column of the landscape. `metric` is what the value is a
value of: the coordinate y of the map, or the judged metric where that is another one, the true test accuracy
(`entroscape.landscape.metric`). `units` counts the independent units (ladders or runs) behind an error, `dof` the
degrees of freedom of its Student's t.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from entroscape.analysis import barrier, families, trained
from entroscape.config.schema import Analysis
from entroscape.grid import Grid
from entroscape.landscape import convergence, curves, jackknife
from entroscape.landscape.metric import ACCURACY, LOGIT, SMOOTH, Metric, judged_map, maps, sign

BASELINES = {  # name: (optimizer, protocol); SGD is not named
    f"{optimizer} {protocol}".removeprefix("sgd "): (optimizer, protocol)
    for optimizer in ("sgd", "adam", "adamw")
    for protocol in ("free", "box", "shell")
}
Functional = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Quantity:
    """Something read off each column of a map: a function maps -> [columns], the maps, and those without each unit."""

    function: Functional
    whole: np.ndarray
    left_out: np.ndarray

    def by_column(self) -> tuple[np.ndarray, np.ndarray]:
        """Value and error in each column."""
        value, error = jackknife.of(self.function, self.whole, self.left_out)
        return np.asarray(value), error

    def known(self) -> np.ndarray:
        """Columns in which it has a value, whichever unit is left out, bool[columns]."""
        with np.errstate(invalid="ignore", divide="ignore"):
            found = np.array([self.function(one) for one in (self.whole, *self.left_out)])
        return np.asarray(np.isfinite(found).all(axis=0))

    def mean_over(self, columns: np.ndarray) -> tuple[float, float]:
        """Value and error of its mean over some columns (bool); nan of none."""
        if not columns.any():
            return np.nan, np.nan
        value, error = jackknife.of(lambda one: self.function(one)[columns].mean(), self.whole, self.left_out)
        return float(value), float(error)


def quantities(landscape: xr.Dataset, grid: Grid, threshold: float) -> dict[tuple[str, str], Quantity]:
    """Quantities read off a landscape alone, by (quantity, metric)."""
    metric, y = Metric.of(landscape), grid.y_values
    values: dict[str, Functional] = {metric.name: lambda maps: y}
    if metric.name == LOGIT:
        values[SMOOTH] = lambda maps: metric.natural(y)
    if "accuracy" in landscape:
        values[ACCURACY] = lambda maps: maps[1]
    found: dict[tuple[str, str], Quantity] = {}
    sampled = maps(landscape)
    for name, value in values.items():
        found["equilibrium", name] = Quantity(_of(curves.equilibrium, value), *sampled)
        found["maximum_entropy", name] = Quantity(_of(curves.maximum_entropy, value), *sampled)
    judged = judged_map(landscape)
    if judged is not None:
        generalising = judged.generalising(threshold)
        ratio = partial(curves.volume_ratio, generalising=generalising)
        found["volume_ratio", judged.name] = Quantity(ratio, judged.entropy, judged.left_out)
    return found


def _of(curve: Callable[[np.ndarray, np.ndarray], np.ndarray], value: Functional) -> Functional:
    """A curve of the metric whose value in each row or bin is a function of the maps."""
    return lambda maps: curve(maps[0], value(maps))


def curve_table(landscape: xr.Dataset, training: pd.DataFrame, grid: Grid, settings: Analysis) -> pd.DataFrame:
    """All curves: columns quantity, metric, baseline, ln_train_loss, value, error, units, dof, inside.

    `advantage` is how much better the equilibrium is than the trained mean at the same loss, positive where it is
    better whatever the metric; `inside` the share of trained states that lie in the sampler's domain.
    """
    read_off, units = {}, landscape.sizes["unit"]
    for (quantity, metric), read in quantities(landscape, grid, settings.generalising).items():
        read_off[quantity, metric] = _frame(quantity, metric, "", grid, *read.by_column(), units, units - 1)
    frames = list(read_off.values())
    for metric in metrics(read_off):
        for baseline, runs, inside in _baselines(training, grid, Metric.of(landscape), metric):
            value, error, count = trained.mean_and_error(runs)
            reached = _frame("trained", metric, baseline, grid, value, error, count, count - 1, inside)
            frames += [reached, _difference(read_off["equilibrium", metric], reached, metric)]
    table = pd.concat(frames, ignore_index=True)
    return table[np.isfinite(table["value"])].reset_index(drop=True)


def low_loss_table(landscape: xr.Dataset, training: pd.DataFrame, grid: Grid, settings: Analysis) -> pd.DataFrame:
    """The same quantities averaged over the columns of the low-loss region, each column counting equally.

    Columns quantity, metric, baseline, value, error, units, dof, lower, upper, columns, reached, convergence: `lower`
    and `upper` are the edges of the region really used, where both the landscape and, for trained and advantage,
    enough runs are known; a volume ratio has no error, and decides nothing, unless it is known in all columns of the
    region that were visited; `reached` is the lower end of the map and `convergence` what is wrong with it, "" if
    nothing. Where memorising states are looked for, also the rows of `entroscape.analysis.barrier` and
    "lowest_trained", the lowest mean accuracy of training in a column, with the ends of their intervals in low and
    high, and of those that a family of several verdicts needs in low_2, high_2 and so on
    (`entroscape.analysis.families`).
    """
    units = landscape.sizes["unit"]
    region = (grid.x_centres > settings.low_loss[0]) & (grid.x_centres < settings.low_loss[1])
    visited = landscape["visited"].to_numpy().any(axis=1)
    rows, known = [], {}
    read_off = quantities(landscape, grid, settings.generalising)
    for (quantity, metric), read in read_off.items():
        known[quantity, metric] = columns = region & read.known()
        value, error = read.mean_over(columns)
        if quantity == "volume_ratio" and (region & visited & ~columns).any():
            error = np.nan  # where states of one kind were not found, the other kind holds all: these columns matter
        rows.append(_row(quantity, metric, "", value, error, units, units - 1, columns, grid))
    for metric in metrics(read_off):
        for baseline, runs, _ in _baselines(training, grid, Metric.of(landscape), metric):
            matched = known["equilibrium", metric] & (np.isfinite(runs).sum(axis=0) >= trained.FEWEST_RUNS)
            sample_value, sample_error = read_off["equilibrium", metric].mean_over(matched)
            runs = runs[np.isfinite(runs[:, matched]).any(axis=1)]
            value, error = np.nan, np.nan
            if matched.any():
                value = np.nanmean(runs[:, matched], axis=0).mean()
                error = float(jackknife.error(trained.left_out_means(runs[:, matched])))
            dof = len(runs) - 1, units - 1
            rows.append(_row("trained", metric, baseline, value, error, len(runs), dof[0], matched, grid))
            both = np.hypot(sample_error, error), effective_dof((error, sample_error), dof)
            better = sign(metric) * (sample_value - value)
            rows.append(_row("advantage", metric, baseline, better, both[0], units, both[1], matched, grid))
    if settings.memorising is not None:
        levels = families.levels(settings.confidence)
        rows += [*_lowest_trained(training, landscape, grid, region, levels)]
        rows += barrier.table(landscape, grid, settings, levels).to_dict("records")
    reached = float(np.round(grid.x_edges[:-1][visited].min(), 9))
    return pd.DataFrame(rows).assign(reached=reached, convergence=convergence.judge(landscape).sentence)


def metrics(read_off: Iterable[tuple[str, str]]) -> list[str]:
    """Metrics of which there is an equilibrium, the coordinate of the map first."""
    return [metric for quantity, metric in read_off if quantity == "equilibrium"]


def effective_dof(errors: tuple, dof: tuple) -> Any:
    """Degrees of freedom of a difference of independent values (Welch 1947, Satterthwaite 1946)."""
    squares = [np.square(error) for error in errors]
    with np.errstate(divide="ignore", invalid="ignore"):
        return sum(squares) ** 2 / sum(square**2 / free for square, free in zip(squares, dof, strict=True))


def _baselines(
    training: pd.DataFrame, grid: Grid, coordinate: Metric, metric: str
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Baseline, per-run means of a metric [runs, columns] and share of states inside the box [columns]."""
    for baseline, (optimizer, protocol) in BASELINES.items():
        table = training[(training["optimizer"] == optimizer) & (training["protocol"] == protocol)]
        if table.empty:
            continue
        if metric not in table:
            table = table.assign(**{metric: coordinate.natural(table[coordinate.name])})
        inside = trained.per_run(table.assign(inside=table["inside"].astype(float)), grid, "inside")
        count = np.isfinite(inside).sum(axis=0)
        share = np.where(count > 0, np.nansum(inside, axis=0) / np.maximum(count, 1), np.nan)
        yield baseline, trained.per_run(table, grid, metric), share


def _lowest_trained(
    training: pd.DataFrame, landscape: xr.Dataset, grid: Grid, region: np.ndarray, levels: list[float]
) -> Iterator[dict]:
    """A row for each baseline, whether or not the landscape reaches where it does."""
    coordinate = Metric.of(landscape)
    for baseline, runs, _ in _baselines(training, grid, coordinate, coordinate.judged):
        known = region & (np.isfinite(runs).sum(axis=0) >= trained.FEWEST_RUNS)
        found, error, count = trained.lowest(runs[:, known], levels)
        value = found[0].value
        about = _row("lowest_trained", coordinate.judged, baseline, value, error, count, count - 1, known, grid)
        yield about | families.columns(found)


def _difference(equilibrium: pd.DataFrame, reached: pd.DataFrame, metric: str) -> pd.DataFrame:
    errors = equilibrium["error"], reached["error"]
    return reached.assign(
        quantity="advantage",
        value=sign(metric) * (equilibrium["value"] - reached["value"]),
        error=np.hypot(*errors),
        units=equilibrium["units"],
        dof=effective_dof(errors, (equilibrium["dof"], reached["dof"])),
    )


def _frame(
    quantity: str,
    metric: str,
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
            "metric": metric,
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
    metric: str,
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
        "metric": metric,
        "baseline": baseline,
        "value": value,
        "error": error,
        "units": units,
        "dof": float(dof),
        "lower": np.round(lower, 9),
        "upper": np.round(upper, 9),
        "columns": int(known.sum()),
    }
