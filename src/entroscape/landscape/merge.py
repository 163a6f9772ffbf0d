"""From independent runs to one landscape with errors."""

import itertools

import numpy as np
import xarray as xr

from entroscape.errors import SamplingError
from entroscape.grid import MAP
from entroscape.landscape import jackknife
from entroscape.landscape.reweight import combine


def merge(replicas: list[xr.Dataset]) -> xr.Dataset:
    """Landscape of independent runs of one procedure on one grid.

    entropy[ln_train_loss, test_accuracy] (largest bin 0; -inf where nothing was visited), its standard error
    entropy_err (nan where fewer than two independent units came by), histogram, visited; entropy_left_out[unit, ...],
    the maps without one unit, from which the error of anything read off the map follows (`jackknife.of`);
    entropy_replica and entropy_replica_err[replica, ...], each run on its own.

    Raises
    ------
    SamplingError
        If the runs differ in procedure or grid, or windows cannot be joined.
    """
    first = replicas[0]
    for other in replicas[1:]:
        if other.attrs["procedure"] != first.attrs["procedure"] or not all(
            other[axis].equals(first[axis]) for axis in MAP
        ):
            raise SamplingError("runs of different procedures or grids cannot be merged; sample them anew")
    return _merge_exchange(replicas) if first.attrs["procedure"] == "replica_exchange" else _merge_cycles(replicas)


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
                "entropy": (MAP, entropy - top),
                "entropy_err": (MAP, np.where(np.isfinite(entropy), jackknife.error(common), np.nan)),
                "histogram": (MAP, histogram),
                "visited": (MAP, np.isfinite(entropy)),
                "entropy_left_out": (("unit", *MAP), common - top),
                "entropy_replica": (("replica", *MAP), align(replica_maps, entropy) - top),
                "entropy_replica_err": (("replica", *MAP), replica_errors),
            }
        )


def _merge_exchange(replicas: list[xr.Dataset]) -> xr.Dataset:
    """All windows and runs reweighted into one map; the units are the ladders, independent in production."""
    histograms = np.array([replica["histogram"].to_numpy() for replica in replicas])  # [R, block, window, walker, ...]
    weights = np.array([replica["weight_entropy"].to_numpy() for replica in replicas])  # [R, window, ...]
    visits = histograms.sum(axis=1).swapaxes(1, 2)  # [R, walker, window, ...]
    entropy, left_out, offsets = _estimate(visits, weights)
    alone = [_estimate(visits[[r]], weights[[r]]) for r in range(len(replicas))]
    errors = np.array([jackknife.error(align(maps, mean)) for mean, maps, _ in alone])
    merged = _landscape(entropy, left_out, visits.sum(axis=(0, 1, 2)), np.array([mean for mean, _, _ in alone]), errors)
    merged = merged.assign_coords({axis: replicas[0][axis] for axis in MAP})
    cumulative = histograms.sum(axis=3).cumsum(axis=1).swapaxes(0, 1)  # [block, R, window, ...]
    until = np.array([combine(_states(so_far), _states(weights), offsets)[0] for so_far in cumulative])
    merged["entropy_until"] = (("block", *MAP), align(until, merged["entropy"].to_numpy()))
    merged["window_edges"] = replicas[0]["window_edges"]
    for name in ("sigma", "acceptance", "flatness", "exchange_rate", "round_trips"):
        merged[name] = xr.concat([replica[name] for replica in replicas], dim="replica")
    return merged.merge(_overlaps(visits, weights))


def _states(array: np.ndarray) -> np.ndarray:
    """[R, window, columns, rows] -> [R window, columns, rows]."""
    return array.reshape(-1, *array.shape[2:])


def _estimate(visits: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Map of all ladders, delete-one maps [units, ...] and offsets; visits [R, walker, window, columns, rows].

    Without a single ladder nothing is left, so one ladder on its own has no delete-one map.
    """
    replicas, walkers = visits.shape[:2]
    units = [(r, k) for r in range(replicas) for k in range(walkers)]
    pooled = visits.sum(axis=1)
    entropy, offsets = combine(_states(pooled), _states(weights))
    left_out = np.empty((len(units) if len(units) > 1 else 0, *entropy.shape))
    for one, (r, k) in zip(left_out, units, strict=False):
        rest = pooled.copy()
        rest[r] -= visits[r, k]
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
    merged = _landscape(_mean(maps), left_out, histogram, maps, within)
    merged["first_visit"] = (("replica", *MAP), np.array([replica["first_visit"] for replica in replicas]))
    return merged.assign_coords({axis: replicas[0][axis] for axis in MAP})


def _mean(maps: np.ndarray) -> np.ndarray:
    visited = np.isfinite(maps)
    total = np.where(visited, maps, 0.0).sum(axis=0)
    return np.where(visited.any(axis=0), total / np.maximum(visited.sum(axis=0), 1), -np.inf)


def _instance_error(replica: xr.Dataset) -> np.ndarray:
    """Standard error of the mean over the instances of the last cycle, the only spread the procedure itself has."""
    instances = replica["entropy_instances"].to_numpy()
    with np.errstate(invalid="ignore"):
        return instances.std(axis=0, ddof=1) / np.sqrt(len(instances))
