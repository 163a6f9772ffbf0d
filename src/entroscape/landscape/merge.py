"""From independent runs to one landscape with errors."""

import itertools

import numpy as np
import xarray as xr

from entroscape.errors import SamplingError
from entroscape.grid import dimensions
from entroscape.landscape import jackknife
from entroscape.landscape.curves import column_entropy
from entroscape.landscape.mixing import r_hat, walkers_alike
from entroscape.landscape.reweight import combine

ABOVE_FLOOR = 1.0  # in units of S, how far a map must lie above the lowest of its column for the deposits to tell S

# What each window of a run reports, as far as its procedure has it; the landscape keeps it per replica.
REPORTS = (
    "sigma",
    "time_step",
    "mass",
    "kinetic_temperature",
    "acceptance",
    "steps_begun",
    "steps_accepted",
    "flatness",
    "exchange_rate",
    "round_trips",
    "round_trips_in_y",
    "start_kind",
)


def merge(replicas: list[xr.Dataset]) -> xr.Dataset:
    """Landscape of independent runs of one procedure on one grid.

    entropy[x, y] on the dimensions of the runs (largest bin 0; -inf where nothing was visited), its standard error
    entropy_err (nan where fewer than two independent units came by), histogram, visited; entropy_left_out[unit, ...],
    the maps without one unit, from which the error of anything read off the map follows (`jackknife.of`);
    entropy_replica and entropy_replica_err[replica, ...], each run on its own. Where the runs summed up the true test
    accuracy of the states in each bin: accuracy, its mean (nan where not visited), and accuracy_left_out[unit, ...].
    Where they counted states by it: entropy_by_accuracy[x, true accuracy] and entropy_by_accuracy_left_out[unit, ...].
    r_hat and r_hat_of_y[replica, window], walkers_alike and walkers_alike_in_y[window]: whether walkers agree
    (`entroscape.landscape.mixing`).
    entropy_until[block, ...]: S after each eighth of the production; entropy_deposits: S before it, from the deposits.
    Maps of a continuous test metric, which have many more bins, are kept in single precision but for entropy itself.

    Raises
    ------
    SamplingError
        If the runs differ in procedure, grid, windows, walkers or in what they report, or windows cannot be joined.
    """
    first = replicas[0]
    for other in replicas[1:]:
        _check_alike(first, other)
    return _merge_cycles(replicas) if first.attrs["procedure"] == "cycles" else _merge_windows(replicas)


def _check_alike(first: xr.Dataset, other: xr.Dataset) -> None:
    """Raise SamplingError unless two runs are replicas of each other."""
    procedures = [[run.attrs.get(name) for name in ("procedure", "integrator")] for run in (first, other)]
    if procedures[0] != procedures[1] or not all(
        axis in other.coords and other[axis].equals(first[axis]) for axis in dimensions(first)
    ):
        raise SamplingError("runs of different procedures or grids cannot be merged; sample them anew")
    edges = [run.get("window_edges", xr.DataArray()) for run in (first, other)]
    if first.sizes != other.sizes or set(first.data_vars) != set(other.data_vars) or not edges[0].equals(edges[1]):
        raise SamplingError(
            "runs that differ in their windows, in the number of walkers or in what they report, as those of another "
            "version do, cannot be merged; sample them anew"
        )


def align(maps: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Shift each map [units, columns, rows] so that its mean over the common region equals the reference's.

    The common region holds the bins that every map and the reference have visited; others stay as they are.

    Raises
    ------
    SamplingError
        If there is no common region.
    """
    common = np.isfinite(maps).all(axis=0) & np.isfinite(reference)
    if not common.any():
        raise SamplingError("the runs share no visited bin, so their maps cannot be compared; sample longer")
    return maps - (maps[:, common].mean(axis=1) - reference[common].mean())[:, None, None]


def _landscape(
    dims: tuple[str, str],
    entropy: np.ndarray,
    left_out: np.ndarray,
    histogram: np.ndarray,
    replica_maps: np.ndarray,
    replica_errors: np.ndarray,
) -> xr.Dataset:
    top = entropy.max()
    common = align(left_out, entropy)
    with np.errstate(invalid="ignore"):
        return xr.Dataset(
            {
                "entropy": (dims, entropy - top),
                "entropy_err": (dims, np.where(np.isfinite(entropy), jackknife.error(common), np.nan)),
                "histogram": (dims, histogram),
                "visited": (dims, np.isfinite(entropy)),
                "entropy_left_out": (("unit", *dims), common - top),
                "entropy_replica": (("replica", *dims), align(replica_maps, entropy) - top),
                "entropy_replica_err": (("replica", *dims), replica_errors),
            }
        )


def _merge_windows(replicas: list[xr.Dataset]) -> xr.Dataset:
    """All windows and runs reweighted into one map; the units are the ladders, independent in production."""
    dims = dimensions(replicas[0])
    weights = np.array([replica["weight_entropy"].to_numpy() for replica in replicas])  # [R, window, ...]
    histograms = np.array([replica["histogram"].to_numpy() for replica in replicas])  # [R, block, window, walker, ...]
    histograms = np.where(np.isfinite(weights)[:, None, :, None], histograms, 0)  # closed bins hold no sample
    visits = histograms.sum(axis=1).swapaxes(1, 2)  # [R, walker, window, ...]
    entropy, left_out, offsets = _estimate(visits, weights)
    alone = [_estimate(visits[[r]], weights[[r]]) for r in range(len(replicas))]
    errors = np.array([jackknife.error(align(maps, mean)) for mean, maps, _ in alone])
    pooled = visits.sum(axis=(0, 1, 2))
    merged = _landscape(dims, entropy, left_out, pooled, np.array([mean for mean, _, _ in alone]), errors)
    merged = merged.assign_coords({axis: replicas[0][axis] for axis in dims})
    cumulative = histograms.sum(axis=3).cumsum(axis=1).swapaxes(0, 1)  # [block, R, window, ...]
    until = np.array([combine(_states(so_far), _states(weights), offsets)[0] for so_far in cumulative])
    merged["entropy_until"] = (("block", *dims), align(until, merged["entropy"].to_numpy()))
    merged["entropy_deposits"] = (dims, _deposits(_states(weights), offsets, merged["entropy"].to_numpy()))
    merged["window_edges"] = replicas[0]["window_edges"]
    for name in REPORTS:
        if name in replicas[0]:
            merged[name] = xr.concat([replica[name] for replica in replicas], dim="replica")
    merged["r_hat"] = (("replica", "window"), r_hat(visits, weights))
    merged["r_hat_of_y"] = (("replica", "window"), r_hat(visits, merged[dims[1]].to_numpy()))
    in_time = histograms.swapaxes(2, 3)  # [R, block, walker, window, ...]
    merged["walkers_alike"] = ("window", walkers_alike(in_time, weights))
    merged["walkers_alike_in_y"] = ("window", walkers_alike(in_time, merged[dims[1]].to_numpy()))
    if "accuracy_sum" in replicas[0]:
        merged = merged.merge(_accuracy(replicas, visits))
    if "accuracy_histogram" in replicas[0]:
        merged = merged.merge(_by_accuracy(replicas, visits, merged))
    merged = merged.merge(_overlaps(visits, weights))
    if "integrator" in replicas[0].attrs:
        merged.attrs["integrator"] = replicas[0].attrs["integrator"]
    return merged if dims[1] == "test_accuracy" else _compact(merged)


def _deposits(weights: np.ndarray, offsets: np.ndarray, entropy: np.ndarray) -> np.ndarray:
    """What the deposits alone say of S, [columns, rows]: mean of the frozen maps W_s - f_s of the states [S, ...].

    Shifted to the mean of `entropy`. nan where a map lies on its floor, which says no more than that S is lower, and
    where no state could go. A column of one row has no floor.
    """
    with np.errstate(invalid="ignore"):
        floor = np.where(np.isfinite(weights), weights, np.inf).min(axis=2, keepdims=True)
        told = (weights > floor + ABOVE_FLOOR) if weights.shape[2] > 1 else np.isfinite(weights)
        heights = np.where(told, weights - offsets[:, None, None], 0.0)
        found = np.where(told.any(axis=0), heights.sum(axis=0) / told.sum(axis=0), np.nan)
    common = np.isfinite(found) & np.isfinite(entropy)
    return np.asarray(found - (found[common] - entropy[common]).mean() if common.any() else found)


def _accuracy(replicas: list[xr.Dataset], visits: np.ndarray) -> xr.Dataset:
    """Mean true accuracy of the states in each bin, all of them and without one ladder at a time; nan where none is.

    Within a bin all windows and runs draw from the same states, so their sums are added as they are.
    """
    dims = dimensions(replicas[0])
    sums = np.array(
        [
            replica["accuracy_sum"].where(np.isfinite(replica["weight_entropy"]), 0.0).sum("window").to_numpy()
            for replica in replicas
        ]
    )  # [R, walker, ...]
    counts = visits.sum(axis=2)
    total, count = _without_each(sums), _without_each(counts)
    with np.errstate(invalid="ignore", divide="ignore"):
        return xr.Dataset(
            {
                "accuracy": (dims, sums.sum(axis=(0, 1)) / counts.sum(axis=(0, 1))),
                "accuracy_left_out": (("unit", *dims), total / count),
            }
        )


def _by_accuracy(replicas: list[xr.Dataset], visits: np.ndarray, landscape: xr.Dataset) -> xr.Dataset:
    """S by ln L and true accuracy, and without one ladder at a time: S of the column and how accuracies share it.

    In each window of each run the weighted visits of a column are in proportion to volumes. Windows and runs that share
    a column count by their visits there.
    """
    weighted = np.array([replica["accuracy_histogram"].to_numpy() for replica in replicas]).swapaxes(1, 2)
    counts = visits.sum(axis=-1)  # [R, walker, window, columns], as those of weighted
    pooled, number = weighted.sum(axis=1), counts.sum(axis=1)
    shares = _column_shares(pooled, number)
    left_out = []
    ladders = np.ndindex(weighted.shape[:2])
    for (r, k), entropy in zip(ladders, landscape["entropy_left_out"].to_numpy(), strict=False):
        rest, others = pooled.copy(), number.copy()
        rest[r] = np.delete(weighted[r], k, axis=0).sum(axis=0)
        others[r] = np.delete(counts[r], k, axis=0).sum(axis=0)
        left_out.append(_split(entropy, _column_shares(rest, others)))
    dims = (dimensions(replicas[0])[0], "test_accuracy")
    return xr.Dataset(
        {
            "entropy_by_accuracy": (dims, _split(landscape["entropy"].to_numpy(), shares)),
            "entropy_by_accuracy_left_out": (("unit", *dims), np.array(left_out).reshape(-1, *shares.shape)),
        },
        {"test_accuracy": replicas[0]["test_accuracy"]},
    )


def _column_shares(weighted: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Share of each accuracy in the volume of a column, [columns, rows]; 0 where nothing was visited.

    weighted[R, window, columns, rows]: visits in proportion to volumes; number[R, window, columns]: visits.
    """
    total = weighted.sum(axis=-1, keepdims=True)
    shares = weighted / np.where(total > 0, total, 1.0)
    return np.asarray(
        (number[..., None] * shares).sum(axis=(0, 1)) / np.maximum(number.sum(axis=(0, 1)), 1e-300)[:, None]
    )


def _split(entropy: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """S of the columns of a map, shared out: [columns, accuracies]."""
    with np.errstate(divide="ignore"):
        return np.asarray(column_entropy(entropy)[:, None] + np.log(shares))


def _without_each(sums: np.ndarray) -> np.ndarray:
    """Sum over all ladders but one, [R, walker, ...] -> [units, ...]; sums anew, since subtracting leaves residues."""
    units = sums.reshape(-1, *sums.shape[2:])
    return np.array([np.delete(units, unit, axis=0).sum(axis=0) for unit in range(len(units))])


def _compact(landscape: xr.Dataset) -> xr.Dataset:
    """Single precision for all maps of floats but `entropy`."""
    maps = [
        name
        for name, variable in landscape.data_vars.items()
        if variable.dims[-2:] == landscape["entropy"].dims and variable.dtype == np.float64 and name != "entropy"
    ]
    return landscape.assign({name: landscape[name].astype(np.float32) for name in maps})


def _states(array: np.ndarray) -> np.ndarray:
    """[R, window, columns, rows] -> [R window, columns, rows]."""
    return array.reshape(-1, *array.shape[2:])


def _estimate(visits: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Map of all ladders, delete-one maps [units, ...] and offsets; visits [R, walker, window, columns, rows].

    Without a single ladder nothing is left, so one ladder on its own has no delete-one map. Visits may be weighted
    (float): then a bin counts as visited if anyone was there, whatever the weight.
    """
    replicas, walkers = visits.shape[:2]
    units = [(r, k) for r in range(replicas) for k in range(walkers)]
    pooled = visits.sum(axis=1)
    entropy, offsets = combine(_states(pooled), _states(weights))
    left_out = np.empty((len(units) if len(units) > 1 else 0, *entropy.shape))
    for one, (r, k) in zip(left_out, units, strict=False):
        rest = pooled.copy()
        rest[r] = np.delete(visits[r], k, axis=0).sum(axis=0)  # subtracting would leave residues of weighted visits
        one[:] = combine(_states(rest), _states(weights), offsets)[0]
    return entropy, left_out, offsets


def _overlaps(visits: np.ndarray, weights: np.ndarray) -> xr.Dataset:
    """How well neighbouring windows, each reweighted on its own, agree where they overlap.

    Per overlap: bins shared, root mean square of the difference of S after removing its mean, the same in units of its
    jackknife error, and the tilt, the slope of the difference along ln L in columns, with its error: windows join well
    where their slopes agree.
    """
    windows = visits.shape[2]
    alone = [_estimate(visits[:, :, [m]], weights[:, [m]])[:2] for m in range(windows)]
    rows = []
    for (above, above_out), (below, below_out) in itertools.pairwise(alone):
        shared = np.isfinite(above) & np.isfinite(below)
        shared &= np.isfinite(above_out).all(axis=0) & np.isfinite(below_out).all(axis=0)
        difference = below[shared] - above[shared]
        left_out = below_out[:, shared] - above_out[:, shared]
        column = np.nonzero(shared)[0].astype(float)
        column -= column.mean() if len(column) else 0.0
        norm = max((column**2).sum(), 1e-300)
        centred, centred_out = difference - difference.mean(), left_out - left_out.mean(axis=1, keepdims=True)
        error = jackknife.error(centred_out)
        tilt_err = jackknife.error(left_out @ column / norm)
        scaled = np.sqrt(np.mean((centred / error) ** 2))
        rows.append((shared.sum(), np.sqrt(np.mean(centred**2)), scaled, difference @ column / norm, tilt_err))
    names = ("overlap_bins", "overlap_rms", "overlap_rms_in_errors", "overlap_tilt", "overlap_tilt_err")
    columns = np.array(rows, dtype=float).reshape(-1, len(names)).T
    return xr.Dataset({name: ("overlap", values) for name, values in zip(names, columns, strict=True)})


def _merge_cycles(replicas: list[xr.Dataset]) -> xr.Dataset:
    """Mean over runs; a bin is averaged over the runs that visited it. The units are the runs."""
    maps = np.array([replica["entropy"].to_numpy() for replica in replicas])
    maps = align(maps, maps[0])
    left_out = np.array([_mean(np.delete(maps, r, axis=0)) for r in range(len(maps))])
    within = np.array([_instance_error(replica) for replica in replicas])
    histogram = np.sum([replica["histogram"].to_numpy() for replica in replicas], axis=0)
    dims = dimensions(replicas[0])
    merged = _landscape(dims, _mean(maps), left_out, histogram, maps, within)
    merged["first_visit"] = (("replica", *dims), np.array([replica["first_visit"] for replica in replicas]))
    return merged.assign_coords({axis: replicas[0][axis] for axis in dims})


def _mean(maps: np.ndarray) -> np.ndarray:
    visited = np.isfinite(maps)
    total = np.where(visited, maps, 0.0).sum(axis=0)
    return np.where(visited.any(axis=0), total / np.maximum(visited.sum(axis=0), 1), -np.inf)


def _instance_error(replica: xr.Dataset) -> np.ndarray:
    """Standard error of the mean over the instances of the last cycle, the only spread the procedure itself has."""
    instances = replica["entropy_instances"].to_numpy()
    with np.errstate(invalid="ignore"):
        return instances.std(axis=0, ddof=1) / np.sqrt(len(instances))
