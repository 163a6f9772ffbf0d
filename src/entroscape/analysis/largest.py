"""How large the largest of many noisy quantities is.

The largest of many estimates is too large: noise lifts one of them. What is known are the quantities q_k, their errors
s_k and correlations, from the maps without one unit (`entroscape.landscape.jackknife`). From these follow, as for
intersection bounds (Chernozhukov, Lee, Rosen, Econometrica 81, 667 (2013)),

    low   = max_k (q_k - c s_k)    c: of Student, so that with the wanted confidence no q_k is that much too large
    value = max_k (q_k - m s_k)    m: median of the largest noise in units of its error
    high  = max_k (q_k + t s_k)    t: of Student for a single q_k, since the one that is truly largest is below it

c divides the risk among all K quantities (Bonferroni), which holds for any correlation and for few units. m comes from
draws of correlated noise: each unit's deviation with a random weight; of quantities whose errors are independent of
each other it is too small where units are few, so the value then lies somewhat above the truth; where one quantity
stands out, it lies somewhat below (docs/method.md). Quantities that cannot be the largest do not count.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

DRAWS = 400  # of noise; the median is then known to a tenth of its spread
_SEED = 20250516
ASIDE = 0.2  # share of the risk that a quantity which matters is put aside
_AT_ONCE = 2_000_000  # numbers that are drawn at a time


class Bounds(NamedTuple):
    """A value and its confidence interval; nan where nothing is known."""

    value: float
    low: float
    high: float


NOTHING = Bounds(np.nan, np.nan, np.nan)
Statistic = Callable[[Sequence[np.ndarray]], float]


def deviations(left_out: np.ndarray) -> np.ndarray:
    """What each unit contributes to the noise of a map, [units, ...]; the root of the sum of squares is the error."""
    units = len(left_out)
    return np.asarray((left_out - left_out.mean(axis=0)) * np.sqrt((units - 1) / units), dtype=float)


def errors(noise: np.ndarray) -> np.ndarray:
    """Standard errors, [units, ...] -> [...]."""
    return np.asarray(np.sqrt((noise**2).sum(axis=0)))


def band(quantities: int, units: int, risk: float) -> float:
    """Errors that none of so many quantities lies above its true value by, but with this risk."""
    return float(-stdtrit(units - 1, risk / max(quantities, 1)))


def bounds(
    groups: Sequence[np.ndarray],
    noises: Sequence[np.ndarray],
    levels: Sequence[float],
    statistic: Statistic | None = None,
    at_once: int = 1,
) -> list[Bounds]:
    """Bounds, at some levels of confidence, of the largest of all quantities, given as groups [K].

    `noises` are their deviations [units, K]. The value goes with the first level, which is the lowest.
    `statistic`, instead of the largest, is any function of all groups that never falls when one of the quantities
    rises; its value is set by `at_once` of them, which must all lie below their upper limits.
    """
    if not sum(len(group) for group in groups):
        return [NOTHING] * len(levels)
    sigma = [errors(noise) for noise in noises]

    def shifted(factor: float) -> float:
        moved = [group + factor * error for group, error in zip(groups, sigma, strict=True)]
        return statistic(moved) if statistic else max(float(one.max()) for one in moved if len(one))

    units, value, found = len(noises[0]), np.nan, []
    for number, confidence in enumerate(levels):
        tail, sure = (1 - confidence) / 2, band(sum(map(len, groups)), units, ASIDE * (1 - confidence))
        least = shifted(-sure)
        kept = [group + 2 * sure * error >= least for group, error in zip(groups, sigma, strict=True)]
        outer = band(sum(int(one.sum()) for one in kept), units, tail)
        if number == 0:
            value = shifted(-min(_median(noises, sigma, kept), outer))
        found.append(Bounds(value, shifted(-outer), shifted(float(-stdtrit(units - 1, tail / at_once)))))
    return found


def _median(noises: Sequence[np.ndarray], sigma: Sequence[np.ndarray], kept: Sequence[np.ndarray]) -> float:
    """Median of the largest noise of the kept quantities in units of its error; at least 0."""
    drawn = _weights(len(noises[0]))
    largest = np.zeros(len(drawn))
    for noise, error, one in zip(noises, sigma, kept, strict=True):
        noisy = one & (error > 1e-9 * error.max(initial=0.0))
        scaled = noise[:, noisy] / error[noisy]
        for part in np.array_split(scaled, max(1, scaled.shape[1] * len(drawn) // _AT_ONCE), axis=1):
            np.maximum(largest, (drawn @ part).max(axis=1, initial=0.0), out=largest)
    return float(np.median(largest))


def _weights(units: int) -> np.ndarray:
    """Weights of the units in draws of noise, [DRAWS, units], of Student's distribution; always the same ones."""
    random = np.random.default_rng(_SEED)
    scale = np.sqrt(random.chisquare(units - 1, DRAWS) / (units - 1))
    return np.asarray(random.normal(size=(DRAWS, units)) / scale[:, None])
