"""Tables of what should agree if the sampler has converged: time, replicas, windows, other samplers."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import stdtr

from entroscape.grid import dimensions
from entroscape.landscape import curves, jackknife
from entroscape.landscape.metric import maps

KNOWN_TO = 1.0  # error of S beyond which a bin counts as not known: on maps, where it is hatched, and to barriers


def deviation(landscape: xr.Dataset) -> pd.DataFrame:
    """Root mean square of S(part of the production) - S(all of it): columns window, share, rms, expected, bins.

    window -1 stands for the whole map. `expected` follows from the reported errors alone: independent visits give
    error * sqrt((1 - f) / f) after a share f. Only bins that were visited by then and are known to `KNOWN_TO` in the
    end are compared: the error of a bin that was found late, by few visits, is itself not known.
    """
    final, error = landscape["entropy"].to_numpy(), landscape["entropy_err"].to_numpy()
    blocks = landscape["entropy_until"].to_numpy()
    rows = []
    for window, inside in enumerate(_columns(landscape), start=-1):
        for number, until in enumerate(blocks, start=1):
            known = inside[:, None] & (error <= KNOWN_TO) & np.isfinite(until)
            share = number / len(blocks)
            expected = np.sqrt((1 - share) / share) * rms(error[known])
            rows.append((window, share, rms(until[known] - final[known]), expected, int(known.sum())))
    return pd.DataFrame(rows, columns=["window", "share", "rms", "expected", "bins"])


def agreement(landscape: xr.Dataset) -> pd.DataFrame:
    """Bin by bin difference of independent replicas: columns pair, those of the two dimensions, difference, error, z.

    Replicas are compared in pairs (first and second, third and fourth, ...), so that no replica counts twice. error
    (and z = difference / error) is nan where a replica alone has none, as with a single walker in each window.
    """
    found, errors = landscape["entropy_replica"].to_numpy(), landscape["entropy_replica_err"].to_numpy()
    if walkers(landscape) < 2:
        errors = np.full_like(errors, np.nan)
    x, y = dimensions(landscape)
    frames = [pd.DataFrame(columns=["pair", x, y, "difference", "error", "z"], dtype=float)]  # of a single replica
    for pair, (first, second) in enumerate(zip(range(0, len(found), 2), range(1, len(found), 2), strict=False)):
        column, row = np.nonzero(np.isfinite(found[first]) & np.isfinite(found[second]))
        difference = found[first][column, row] - found[second][column, row]
        error = np.hypot(errors[first], errors[second])[column, row]
        frame = {
            "pair": pair,
            x: landscape[x].to_numpy()[column],
            y: landscape[y].to_numpy()[row],
            "difference": difference,
            "error": error,
            "z": difference / np.where(error > 0, error, np.nan),
        }
        frames.append(pd.DataFrame(frame))
    return pd.concat(frames[1:] or frames, ignore_index=True)


def walkers(landscape: xr.Dataset) -> int:
    """Independent units of each replica: its walkers in a window, or 1 for the published procedure."""
    return landscape.sizes["unit"] // landscape.sizes["replica"]


def agreement_dof(landscape: xr.Dataset) -> int:
    """Degrees of freedom of z in `agreement`: each of the two errors comes from `walkers` units."""
    return 2 * (walkers(landscape) - 1)


def share_within(z: np.ndarray, limit: float = 2.0) -> float:
    """Share of |z| <= limit among the finite ones; nan if there are none."""
    z = z[np.isfinite(z)]
    return float((np.abs(z) <= limit).mean()) if len(z) else np.nan


def share_expected(dof: int, limit: float = 2.0) -> float:
    """Share within `limit` that Student's t with `dof` degrees of freedom predicts."""
    return float(1 - 2 * stdtr(dof, -limit))


def overlaps(landscape: xr.Dataset) -> pd.DataFrame:
    """A row per pair of neighbouring windows: lower and upper edge in ln L, mismatch of S and exchange rate.

    bins, rms, rms_in_errors, tilt, tilt_err as in the landscape; expected is what rms_in_errors should be, more than 1
    because the errors come from few units n: sqrt(v / (v - 2)) with v = n - 1, nan for n < 4. exchange_0,
    exchange_1, ...: accepted share of the exchanges that each replica attempted.
    """
    edges = landscape["window_edges"].to_numpy()
    table = pd.DataFrame({"overlap": np.arange(1, len(edges)), "lower": edges[:-1, 0], "upper": edges[1:, 1]})
    for name in ("bins", "rms", "rms_in_errors", "tilt", "tilt_err"):
        table[name] = landscape[f"overlap_{name}"].to_numpy()
    free = landscape.sizes["unit"] - 1
    table["expected"] = np.sqrt(free / (free - 2)) if free > 2 else np.nan
    for replica, rates in enumerate(landscape["exchange_rate"].to_numpy()):
        table[f"exchange_{replica}"] = rates
    return table


def comparison(landscape: xr.Dataset, other: xr.Dataset) -> pd.DataFrame:
    """Another landscape of the same network against this one, a row per column of either.

    The two must have bins of one width in ln L; their test metrics may differ. profile_difference: ln of the volume
    at each loss, other minus this, each relative to the column where this one is largest among those of both, so that
    the unknown constant drops out; equilibrium and equilibrium_other: mean of the judged metric; each with its standard
    error; bins and bins_other: visited ones.
    """
    x = [np.round(dataset["ln_train_loss"].to_numpy(), 9) for dataset in (landscape, other)]
    union, both = np.union1d(x[0], x[1]), np.intersect1d(x[0], x[1])
    heights = [curves.column_entropy(dataset["entropy"].to_numpy()) for dataset in (landscape, other)]
    height, height_other = (at[np.isin(one, both)] for at, one in zip(heights, x, strict=True))
    top = both[np.where(np.isfinite(height_other), height, -np.inf).argmax()] if len(both) else np.nan
    table, profile = pd.DataFrame({"ln_train_loss": union}), {}
    for name, dataset, columns in (("", landscape, x[0]), ("_other", other, x[1])):
        place = np.searchsorted(union, columns)
        found, left_out = maps(dataset)
        profile[name] = [_spread(v, place, union) for v in jackknife.of(_profile(columns == top), found, left_out)]
        value, error = jackknife.of(_judged_equilibrium(dataset), found, left_out)
        table[f"equilibrium{name}"] = _spread(value, place, union)
        table[f"equilibrium{name}_err"] = _spread(error, place, union)
        bins = _spread(dataset["visited"].to_numpy().sum(axis=1).astype(float), place, union)
        table[f"bins{name}"] = np.nan_to_num(bins).astype(int)
    with np.errstate(invalid="ignore"):
        difference = profile["_other"][0] - profile[""][0]
    table["profile_difference"] = np.where(np.isfinite(difference), difference, np.nan)
    table["profile_difference_err"] = np.hypot(profile["_other"][1], profile[""][1])
    return table[(table["bins"] > 0) | (table["bins_other"] > 0)].reset_index(drop=True)


def spread(landscape: xr.Dataset) -> pd.DataFrame:
    """By column, medians over its bins: ln_train_loss, error of S, spread (standard deviation) between ladders."""
    x, y = dimensions(landscape)
    error = landscape["entropy_err"].median(y).to_numpy()
    table = pd.DataFrame({x: landscape[x].to_numpy(), "error": error})
    return table.assign(spread=error * np.sqrt(landscape.sizes["unit"])).dropna(ignore_index=True)


def windows(landscape: xr.Dataset) -> pd.DataFrame:
    """A row per window: lower, upper (edges in ln L), flatness, the smallest of the replicas; nan if not reported."""
    edges = landscape["window_edges"].to_numpy()
    flat = landscape["flatness"].min("replica").to_numpy() if "flatness" in landscape else np.full(len(edges), np.nan)
    table = pd.DataFrame({"lower": edges[:, 0], "upper": edges[:, 1], "flatness": flat})
    return table.assign(window=np.arange(1, len(edges) + 1))


def _profile(top: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Function of maps: ln of the volume at each loss less that of column `top`, [columns]; -inf where not visited."""

    def function(found: np.ndarray) -> np.ndarray:
        columns = curves.column_entropy(found[0])
        return np.asarray(columns - columns[top].sum())

    return function


def _judged_equilibrium(landscape: xr.Dataset) -> Callable[[np.ndarray], np.ndarray]:
    """Function of maps: mean of the judged metric at each loss, the true accuracy where that is known."""
    y_values = landscape[dimensions(landscape)[1]].to_numpy()
    return lambda found: curves.equilibrium(found[0], found[1] if len(found) > 1 else y_values)


def _spread(values: np.ndarray, place: np.ndarray, union: np.ndarray) -> np.ndarray:
    """Values at their places among all columns, nan elsewhere."""
    whole = np.full(len(union), np.nan)
    whole[place] = values
    return whole


def _columns(landscape: xr.Dataset) -> list[np.ndarray]:
    """Which columns belong to the whole map and to each window, bool[columns] each."""
    x = landscape["ln_train_loss"].to_numpy()
    windows = [(x > lower) & (x < upper) for lower, upper in landscape["window_edges"].to_numpy()]
    return [np.ones(len(x), dtype=bool), *windows]


def rms(values: np.ndarray) -> float:
    """Root mean square, nan of nothing."""
    return float(np.sqrt(np.mean(values**2))) if len(values) else np.nan
