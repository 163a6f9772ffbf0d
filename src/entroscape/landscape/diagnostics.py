"""Numbers that tell how far a landscape can be trusted; `entroscape.landscape.convergence` judges by them."""

import numpy as np
import xarray as xr

from entroscape.grid import dimensions
from entroscape.landscape import jackknife, time_step
from entroscape.landscape.cross_checks import (
    KNOWN_TO,
    agreement,
    agreement_dof,
    deviation,
    overlaps,
    rms,
    share_expected,
    share_within,
)
from entroscape.landscape.curves import column_entropy
from entroscape.landscape.mixing import replicas_alike


def unknown(landscape: xr.Dataset) -> np.ndarray:
    """Bins that were visited but whose S is not known to `KNOWN_TO`, bool[columns, rows].

    Their error is larger, or there is none: fewer than two independent units came by.
    """
    error = landscape["entropy_err"].to_numpy()
    return np.asarray(landscape["visited"].to_numpy() & ~(error <= KNOWN_TO))


def diagnostics(landscape: xr.Dataset) -> dict[str, float]:
    """Numbers that the verdict rests on, and some that it does not; nan where a landscape does not tell them.

    within_2_sigma, within_2_sigma_expected: share of bins in which replicas agree, and Student's t for it;
    replicas_alike: p that they differ by chance (`entroscape.landscape.mixing`); drift: rms of S(half of the
    production) - S(all) over what the errors allow; mismatch: largest of the overlaps, likewise; round_trips and
    round_trips_in_y: fewest of a replica, between the ends in ln L and between the outer thirds of the known rows;
    r_hat and r_hat_of_y: of all replicas together, largest of a window; walkers_alike: p that walkers differ in S or in
    the test metric by no more than each changes in time, of all windows (`entroscape.landscape.mixing`); time_step:
    how many times more steps than may be a Metropolis test would have rejected (`entroscape.landscape.time_step`);
    error: median error of S; column_error: `column_error`; covered: share of the columns asked for that were visited.
    round_trips_of_a_walker: mean; independent_visits: of a bin, median, 1 / error^2, since n of them know ln n to
    1 / sqrt(n); unknown: share of visited bins that count as not known; spread: median standard deviation of S between
    single ladders; flatness: smallest of a window; temperature: kinetic temperature of the tensor in which a time step
    that is too long takes it farthest from 1; deposits: rms of S from the deposits alone - S; long_run: rms difference
    of one replica from the first halves of two, over what its errors allow.
    """
    z = agreement(landscape)["z"].to_numpy()
    moved = deviation(landscape)
    half = moved[(moved["window"] == -1) & (moved["share"] < 1)]
    half = half.iloc[(half["share"] - 0.5).abs().argsort().to_numpy()[:1]]
    error = landscape["entropy_err"].to_numpy()
    median = float(np.median(error[np.isfinite(error)])) if np.isfinite(error).any() else np.nan
    return {
        "within_2_sigma": share_within(z),
        "within_2_sigma_expected": share_expected(agreement_dof(landscape)) if np.isfinite(z).any() else np.nan,
        "replicas_alike": replicas_alike(landscape["entropy_left_out"].to_numpy(), landscape.sizes["replica"]),
        "drift": float((half["rms"] / half["expected"]).iloc[0]) if len(half) else np.nan,
        "mismatch": _mismatch(landscape),
        "round_trips": _fewest(landscape, "round_trips"),
        "round_trips_in_y": _fewest(landscape, "round_trips_in_y"),
        "r_hat": _r_hat(landscape, "r_hat"),
        "r_hat_of_y": _r_hat(landscape, "r_hat_of_y"),
        "walkers_alike": _walkers_alike(landscape),
        "time_step": time_step.excess(landscape),
        "error": median,
        "column_error": column_error(landscape),
        "covered": float(landscape["visited"].to_numpy()[asked(landscape)].any(axis=1).mean()),
        "round_trips_of_a_walker": float(landscape["round_trips"].mean()),
        "independent_visits": median**-2 if median > 0 else np.nan,
        "unknown": float(unknown(landscape).sum() / landscape["visited"].to_numpy().sum()),
        "spread": median * float(np.sqrt(landscape.sizes["unit"])),
        "flatness": float(landscape["flatness"].min()) if "flatness" in landscape else np.nan,
        "temperature": _temperature(landscape),
        "deposits": _off_by_deposits(landscape),
        "long_run": _long_run(landscape),
    }


def asked(landscape: xr.Dataset) -> np.ndarray:
    """Columns that lie in some window, bool[columns]."""
    x = landscape[dimensions(landscape)[0]].to_numpy()
    edges = landscape["window_edges"].to_numpy()
    return np.asarray(((x > edges[:, :1]) & (x < edges[:, 1:])).any(axis=0))


def column_error(landscape: xr.Dataset) -> float:
    """Largest error of ln of a column's volume against that of the largest column, over all visited columns.

    The median error of S says nothing of the height of one end of the map over the other. nan where a column was
    visited by a single unit only, and with fewer than two units.
    """
    volumes = column_entropy(landscape["entropy"].to_numpy())
    best, visited = int(volumes.argmax()), np.isfinite(volumes)
    with np.errstate(invalid="ignore"):
        left_out = np.array([column_entropy(one) for one in landscape["entropy_left_out"].to_numpy().astype(float)])
        heights = left_out - left_out[:, [best]] if len(left_out) else np.empty((0, len(volumes)))
    return float(jackknife.error(heights)[visited].max())  # the largest of any nan is nan


def rows_visited(landscape: xr.Dataset) -> int:
    """Rows of the map with a visited bin; also one that a single walker keeps to has to be reached by others."""
    return int(landscape["visited"].to_numpy().any(axis=0).sum())


def _fewest(landscape: xr.Dataset, trips: str) -> float:
    """Round trips of the replica with the fewest; nan if they were not counted."""
    return float(landscape[trips].sum("configuration").min()) if trips in landscape else np.nan


def _r_hat(landscape: xr.Dataset, name: str) -> float:
    """R-hat of the replicas together, sqrt(1 + mean of B / W), largest of a window; nan if one is not known."""
    if name not in landscape:
        return np.nan
    return float(np.sqrt(1 + (landscape[name].to_numpy() ** 2 - 1).mean(axis=0)).max())


def _walkers_alike(landscape: xr.Dataset) -> float:
    """Smallest p of `mixing.walkers_alike` times how many there are (Bonferroni); nan if one is not known."""
    names = ["walkers_alike", *(["walkers_alike_in_y"] if rows_visited(landscape) > 1 else [])]
    if any(name not in landscape for name in names):
        return np.nan
    p = np.concatenate([landscape[name].to_numpy() for name in names])
    return float(min(p.min() * len(p), 1.0))


def _mismatch(landscape: xr.Dataset) -> float:
    """Largest of the overlaps; nan if one of them cannot be told, and with a single window."""
    table = overlaps(landscape)
    return float((table["rms_in_errors"] / table["expected"]).max(skipna=False)) if len(table) else np.nan


def _temperature(landscape: xr.Dataset) -> float:
    """Mean kinetic temperature over replicas, in the tensor and window where it is farthest from 1; nan if unknown."""
    if "kinetic_temperature" not in landscape:
        return np.nan
    means = landscape["kinetic_temperature"].mean("replica").to_numpy().ravel()
    return float(means[np.abs(means - 1).argmax()])


def _off_by_deposits(landscape: xr.Dataset) -> float:
    """What production has corrected: rms of S from the deposits alone - S, over bins known to `KNOWN_TO`."""
    if "entropy_deposits" not in landscape:
        return np.nan
    with np.errstate(invalid="ignore"):
        difference = (landscape["entropy_deposits"] - landscape["entropy"]).to_numpy()
    difference = difference[np.isfinite(difference) & (landscape["entropy_err"].to_numpy() <= KNOWN_TO)]
    return rms(difference - difference.mean()) if len(difference) else np.nan


def _long_run(landscape: xr.Dataset) -> float:
    """One long run against replicas: the first of two against both up to half of the production, as long in all.

    They share a half of the first; what is left of the difference has the variance of one replica.
    """
    if landscape.sizes["replica"] != 2 or landscape.sizes["block"] % 2:
        return np.nan
    single, error = (landscape[name][0].to_numpy() for name in ("entropy_replica", "entropy_replica_err"))
    with np.errstate(invalid="ignore"):
        difference = single - landscape["entropy_until"][landscape.sizes["block"] // 2 - 1].to_numpy()
    known = np.isfinite(difference) & (error <= KNOWN_TO)
    if not error[known].any():
        return np.nan
    return rms(difference[known] - difference[known].mean()) / rms(error[known])
