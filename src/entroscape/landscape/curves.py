"""Curves and numbers read off a map S(x, y). All take one map [columns, rows]; errors come from `jackknife`."""

import numpy as np
from scipy.special import logsumexp


def equilibrium(entropy: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mean of a metric at each loss, <A>(x) = sum_y A exp(S) / sum_y exp(S), [columns] (arXiv:2503.13145, eq. 1).

    `values` is the metric of the rows, [rows], or of every bin, [columns, rows], where bins that were not visited do
    not count. nan where a column was not visited.
    """
    with np.errstate(invalid="ignore"):
        weight = np.exp(entropy - entropy.max(axis=1, keepdims=True))
        return np.where(weight > 0, weight * values, 0.0).sum(axis=1) / weight.sum(axis=1)


def maximum_entropy(entropy: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Metric where S is largest at each loss, [columns]; nan where a column was not visited. `values` as above."""
    visited = np.isfinite(entropy).any(axis=1)
    best = entropy.argmax(axis=1)[:, None]
    return np.where(visited, np.take_along_axis(np.broadcast_to(values, entropy.shape), best, axis=1)[:, 0], np.nan)


def column_entropy(entropy: np.ndarray) -> np.ndarray:
    """ln of the volume at each loss whatever the test metric, [columns]."""
    return logsumexp(entropy, axis=1)


def volume_ratio(entropy: np.ndarray, generalising: np.ndarray) -> np.ndarray:
    """ln of the volume of states in `generalising` rows (bool[rows]) over that of the others, at each loss, [columns].

    +inf (-inf) where no state of the other (this) kind was visited, nan where none of either was.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return logsumexp(entropy[:, generalising], axis=1) - logsumexp(entropy[:, ~generalising], axis=1)
