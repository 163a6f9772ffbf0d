"""How far a landscape can be trusted: tables of what should agree if the sampler has converged."""

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import t as student

from entroscape.landscape import curves, jackknife


def deviation(landscape: xr.Dataset) -> pd.DataFrame:
    """Root mean square of S(part of the production) - S(all of it): columns window, share, rms, expected, bins.

    window -1 stands for the whole map. `expected` follows from the reported errors alone: independent visits give
    error * sqrt((1 - f) / f) after a share f. Only bins that have an error and were visited by then are compared.
    """
    final, error = landscape["entropy"].to_numpy(), landscape["entropy_err"].to_numpy()
    blocks = landscape["entropy_until"].to_numpy()
    rows = []
    for window, inside in enumerate(_columns(landscape), start=-1):
        for number, until in enumerate(blocks, start=1):
            known = inside[:, None] & np.isfinite(error) & np.isfinite(until)
            share = number / len(blocks)
            expected = np.sqrt((1 - share) / share) * _rms(error[known])
            rows.append((window, share, _rms(until[known] - final[known]), expected, int(known.sum())))
    return pd.DataFrame(rows, columns=["window", "share", "rms", "expected", "bins"])


def agreement(landscape: xr.Dataset) -> pd.DataFrame:
    """Bin by bin difference of independent replicas: columns pair, ln_train_loss, test_accuracy, difference, error, z.

    Replicas are compared in pairs (first and second, third and fourth, ...), so that no replica counts twice. error
    (and z = difference / error) is nan where a replica alone has none, as with a single walker in each window.
    """
    maps, errors = landscape["entropy_replica"].to_numpy(), landscape["entropy_replica_err"].to_numpy()
    if walkers(landscape) < 2:
        errors = np.full_like(errors, np.nan)
    frames = []
    for pair, (first, second) in enumerate(zip(range(0, len(maps), 2), range(1, len(maps), 2), strict=False)):
        column, row = np.nonzero(np.isfinite(maps[first]) & np.isfinite(maps[second]))
        difference = maps[first][column, row] - maps[second][column, row]
        error = np.hypot(errors[first], errors[second])[column, row]
        frame = {
            "pair": pair,
            "ln_train_loss": landscape["ln_train_loss"].to_numpy()[column],
            "test_accuracy": landscape["test_accuracy"].to_numpy()[row],
            "difference": difference,
            "error": error,
            "z": difference / np.where(error > 0, error, np.nan),
        }
        frames.append(pd.DataFrame(frame))
    return pd.concat(frames, ignore_index=True)


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
    return float(1 - 2 * student.sf(limit, dof))


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
    """Another map of the same grid against this one, a row per column of either.

    profile_difference: ln of the volume at each loss, other minus this, each relative to its largest column, so that
    the unknown constant drops out; equilibrium and equilibrium_other: eq. 1 of both; each with its standard error;
    bins and bins_other: visited ones.
    """
    y_values = landscape["test_accuracy"].to_numpy()
    table = pd.DataFrame({"ln_train_loss": landscape["ln_train_loss"].to_numpy()})
    profile = {}
    for name, dataset in (("", landscape), ("_other", other)):
        entropy, left_out = dataset["entropy"].to_numpy(), list(dataset["entropy_left_out"].to_numpy())
        profile[name] = jackknife.of(_profile, entropy, left_out)
        value, error = jackknife.of(lambda one: curves.equilibrium(one, y_values), entropy, left_out)
        table[f"equilibrium{name}"], table[f"equilibrium{name}_err"] = value, error
        table[f"bins{name}"] = dataset["visited"].to_numpy().sum(axis=1)
    with np.errstate(invalid="ignore"):
        difference = profile["_other"][0] - profile[""][0]
    table["profile_difference"] = np.where(np.isfinite(difference), difference, np.nan)
    table["profile_difference_err"] = np.hypot(profile["_other"][1], profile[""][1])
    return table[(table["bins"] > 0) | (table["bins_other"] > 0)].reset_index(drop=True)


def _profile(entropy: np.ndarray) -> np.ndarray:
    """ln of the volume at each loss relative to the largest, [columns]; -inf where not visited."""
    columns: np.ndarray = curves.column_entropy(entropy)
    return np.asarray(columns - columns.max())


def _columns(landscape: xr.Dataset) -> list[np.ndarray]:
    """Which columns belong to the whole map and to each window, bool[columns] each."""
    x = landscape["ln_train_loss"].to_numpy()
    windows = [(x > lower) & (x < upper) for lower, upper in landscape["window_edges"].to_numpy()]
    return [np.ones(len(x), dtype=bool), *windows]


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2))) if len(values) else np.nan


def summary(landscape: xr.Dataset) -> dict[str, float]:
    """Key numbers of one landscape, by what they are; those that a procedure does not have are left out."""
    error = landscape["entropy_err"].to_numpy()
    visited = landscape["visited"].to_numpy()
    known = np.isfinite(error)
    reached = landscape["ln_train_loss"].to_numpy()[visited.any(axis=1)]
    numbers = {
        "visited bins": int(visited.sum()),
        "of these without an error": int((visited & ~known).sum()),
        "lowest ln L reached (middle of bin)": float(reached.min()),
        "error of S, median": float(np.median(error[known])) if known.any() else np.nan,
        "error of S, largest": float(error[known].max()) if known.any() else np.nan,
    }
    if "window_edges" not in landscape:
        return numbers
    z = agreement(landscape)["z"].to_numpy()
    trips = landscape["round_trips"].sum("configuration").to_numpy()
    table = overlaps(landscape)
    return numbers | {
        "bins where replicas differ by less than 2σ": share_within(z),
        "the same, expected": share_expected(agreement_dof(landscape)) if np.isfinite(z).any() else np.nan,
        "largest mismatch of an overlap / σ": float(table["rms_in_errors"].max()),
        "lowest share of accepted exchanges": float(landscape["exchange_rate"].min()),
        "round trips, fewest of a replica": int(trips.min()),
    }
