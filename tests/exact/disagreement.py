"""How far walkers of a window disagree, from the histograms of runs: independent of what a landscape says of itself."""

import numpy as np
import xarray as xr
from scipy.stats import f as f_distribution

PARTS = 4  # of production, whose means of a walker count as independent


def walker_disagreement(runs: list[xr.Dataset]) -> dict[str, float]:
    """Of S (the frozen map at the walkers' places) and of y (their rows), largest over windows.

    r_hat_s, r_hat_y: largest over runs, too, of sqrt(1 + B / W), B the variance of the walkers' means and W their mean
    variance. f_s, f_y: variance of the walkers' means over what their own changes in time allow, which is that of a
    walker's means over quarters of production divided by their number; both averaged over runs. 1 where walkers mix
    within a quarter. p_differ: of the largest of these by chance (F distribution, times how many there are). nan if a
    walker left no visit in a quarter; a map of one row has nothing to say of y.
    """
    visits = [run["histogram"].transpose("window", "walker", "block", ...).to_numpy().astype(float) for run in runs]
    weights = [run["weight_entropy"].to_numpy() for run in runs]
    rows = np.arange(visits[0].shape[-1], dtype=float)
    found = {}
    p = []
    with np.errstate(invalid="ignore", divide="ignore"):
        for name in "sy" if len(rows) > 1 else "s":
            pairs = []
            for one, frozen in zip(visits, weights, strict=True):
                scalar = np.where(np.isfinite(frozen), frozen, 0.0)[:, None, None] if name == "s" else rows
                pairs.append((one, scalar))
            found[f"r_hat_{name}"] = float(np.max([_r_hat(*pair) for pair in pairs]))
            f, chance = _f(np.array([_means_of_parts(*pair) for pair in pairs]))
            found[f"f_{name}"] = float(f.max())
            p.append(chance)
    return found | {"p_differ": float(min(np.min(p) * np.size(p), 1.0))}


def _mean(visits: np.ndarray, scalar: np.ndarray) -> np.ndarray:
    """Mean of a scalar over the bins of visits[window, walker, part, columns, rows]."""
    return np.asarray((visits * scalar).sum(axis=(-2, -1)) / visits.sum(axis=(-2, -1)))


def _r_hat(visits: np.ndarray, scalar: np.ndarray) -> float:
    whole = visits.sum(axis=2, keepdims=True)
    mean = _mean(whole, scalar)
    variance = _mean(whole, (scalar - mean[..., None, None]) ** 2)
    return float(np.sqrt(1 + mean.var(axis=1, ddof=1) / variance.mean(axis=1)).max())


def _means_of_parts(visits: np.ndarray, scalar: np.ndarray) -> np.ndarray:
    """[window, walker, part]."""
    parts = visits.reshape(*visits.shape[:2], PARTS, -1, *visits.shape[3:]).sum(axis=3)
    return _mean(parts, scalar)


def _f(mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """F and p, [window] each, of mean[run, window, walker, part]."""
    runs, _, walkers, parts = mean.shape
    between = parts * mean.mean(axis=3).var(axis=2, ddof=1).mean(axis=0)
    within = mean.var(axis=3, ddof=1).mean(axis=(0, 2))
    return between / within, f_distribution.sf(between / within, runs * (walkers - 1), runs * walkers * (parts - 1))
