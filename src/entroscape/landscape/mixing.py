"""Whether the walkers of a window agree on where the volume is."""

import numpy as np


def r_hat(visits: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """R-hat of S in each window of each run, [R, window]: 1 where walkers agree, nan with a single walker.

    The scalar that chains are compared in is the frozen map at their places, the S that they see (Gelman and Rubin,
    Stat. Sci. 7, 457, 1992): sqrt(1 + B / W) with B the variance of the walkers' means and W their mean variance.

    Parameters
    ----------
    visits
        [R, walker, window, columns, rows] of each walker in production, which may be weighted.
    weights
        [R, window, columns, rows], the frozen map; -inf where a window is closed.
    """
    if visits.shape[1] < 2:
        return np.full((visits.shape[0], visits.shape[2]), np.nan)
    seen = np.where(np.isfinite(weights), weights, 0.0)[:, None]
    total = np.maximum(visits.sum(axis=(-2, -1)), 1e-300)
    mean = (visits * seen).sum(axis=(-2, -1)) / total
    variance = (visits * (seen - mean[..., None, None]) ** 2).sum(axis=(-2, -1)) / total
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.sqrt(1 + mean.var(axis=1, ddof=1) / variance.mean(axis=1)))
