"""Errors from independent units (walkers, runs) by leaving out one at a time.

Efron, The Jackknife, the Bootstrap and Other Resampling Plans (1982), ch. 3. Whatever is computed from a map is
computed again from every map that lacks one unit; the spread gives the error, correlations included.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.special import stdtrit


def error(left_out: np.ndarray) -> np.ndarray:
    """Standard error from delete-one estimates, [units, ...] -> [...]; nan where one of them does not exist.

    nan everywhere if there are fewer than two: nothing then tells how far the value may be off.
    """
    units = len(left_out)
    if units < 2:
        return np.full(left_out.shape[1:], np.nan)
    with np.errstate(invalid="ignore"):
        spread = left_out - left_out.mean(axis=0)
        return np.sqrt((units - 1) / units * (spread**2).sum(axis=0))


def of(
    function: Callable[[np.ndarray], Any], entropy: np.ndarray, left_out: Sequence[np.ndarray] | np.ndarray
) -> tuple[Any, np.ndarray]:
    """Value and standard error of any function of a map, given the map and its delete-one estimates."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return function(entropy), error(np.array([function(one) for one in left_out]))


def half_width(standard_error: Any, dof: Any, confidence: float) -> Any:
    """Half width of the two-sided interval by Student's t, elementwise; nan where there is no degree of freedom."""
    return standard_error * stdtrit(dof, 0.5 + confidence / 2)
