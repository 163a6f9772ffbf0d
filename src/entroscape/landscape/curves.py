"""Curves and numbers read off a map S(x, y). All take one map [columns, rows]; errors come from `jackknife`."""

import numpy as np
from scipy.special import logsumexp


def equilibrium(entropy: np.ndarray, y_values: np.ndarray) -> np.ndarray:
    """Mean test metric at each loss, <A>(x) = sum_y y exp(S) / sum_y exp(S), [columns] (arXiv:2503.13145, eq. 1).

    nan where a column was not visited.
    """
    with np.errstate(invalid="ignore"):
        weight = np.exp(entropy - entropy.max(axis=1, keepdims=True))
        return (weight @ y_values) / weight.sum(axis=1)


def maximum_entropy(entropy: np.ndarray, y_values: np.ndarray) -> np.ndarray:
    """Test metric of largest S at each loss, [columns]; nan where a column was not visited."""
    visited = np.isfinite(entropy).any(axis=1)
    return np.where(visited, y_values[entropy.argmax(axis=1)], np.nan)


def column_entropy(entropy: np.ndarray) -> np.ndarray:
    """ln of the volume at each loss whatever the test metric, [columns]."""
    return logsumexp(entropy, axis=1)


def volume_ratio(entropy: np.ndarray, y_values: np.ndarray, threshold: float) -> np.ndarray:
    """ln of the volume of states with y >= threshold over that of the others, at each loss, [columns].

    +inf (-inf) where no state of the other (this) kind was visited, nan where none of either was.
    """
    above = y_values >= threshold - 1e-12
    with np.errstate(invalid="ignore", divide="ignore"):
        return logsumexp(entropy[:, above], axis=1) - logsumexp(entropy[:, ~above], axis=1)
