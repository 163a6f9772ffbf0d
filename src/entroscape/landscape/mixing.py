"""Whether walkers agree on where the volume is, in one window and from replica to replica."""

from itertools import combinations

import numpy as np
from scipy.special import chdtri, fdtrc

PARTS = 4  # of production: with eight, honest walkers that are slow count as different, with two little is told
FEWEST_WALKERS = 4  # of a replica: fewer can be dealt out in too few ways to call any of them rare
DEALS = 400  # drawn where there are more


def r_hat(visits: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """R-hat of a quantity in each window of each run, [R, window]: 1 where walkers agree, nan with a single walker.

    sqrt(1 + B / W) with B the variance of the walkers' means and W their mean variance (Gelman and Rubin, Stat. Sci. 7,
    457, 1992). Of interest are the frozen map at the walkers' places, the S that they see, and the test metric.

    Parameters
    ----------
    visits
        [R, walker, window, columns, rows] of each walker in production, which may be weighted.
    seen
        The quantity in each bin, of a shape that fits [R, window, columns, rows]; -inf (of a map) where a window is
        closed.
    """
    if visits.shape[1] < 2:
        return np.full((visits.shape[0], visits.shape[2]), np.nan)
    mean, variance = _moments(visits, _finite(seen, visits))
    between, within = mean.var(axis=1, ddof=1), variance.mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(between > 0, np.sqrt(1 + between / within), 1.0))


def r_hat_by_chance(bound: float, runs: int, walkers: int, risk: float) -> float:
    """R-hat, from so many walkers in each of so many runs, that a true one of `bound` exceeds with this probability.

    The variance of a few walkers' means is known badly: R (K - 1) times it over its expectation is distributed as chi
    square. nan with a single walker.
    """
    free = runs * (walkers - 1)
    return float(np.sqrt(1 + (bound**2 - 1) * chdtri(free, risk) / free)) if free else np.nan


def walkers_alike(visits: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """p that the walkers of a window differ no more than each changes in the course of production, [window].

    R-hat compares walkers with the width of the window, of which two basins may differ in little. Here the variance of
    the walkers' means is compared with what it would be if the means over `PARTS` parts of production were independent:
    the ratio, with variances averaged over runs, follows an F distribution where walkers mix within a part. Walkers
    that remember for longer than a part where they were count as different. nan with a single walker, and where one
    left no visit in a part.

    Parameters
    ----------
    visits
        [R, block, walker, window, columns, rows] of each walker in each block of production.
    seen
        As of `r_hat`.
    """
    runs, blocks, walkers = visits.shape[:3]
    if walkers < 2 or blocks % PARTS:
        return np.full(visits.shape[3], np.nan)
    parts = visits.reshape(runs, PARTS, blocks // PARTS, *visits.shape[2:]).sum(axis=2)
    known = _finite(seen, visits[:, 0])
    mean = np.stack([_moments(parts[:, part], known)[0] for part in range(PARTS)], axis=1)  # [R, part, walker, window]
    mean = np.where(parts.sum(axis=(-2, -1)) > 0, mean, np.nan)
    between = PARTS * mean.mean(axis=1).var(axis=1, ddof=1).mean(axis=0)
    within = mean.var(axis=1, ddof=1).mean(axis=(0, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(between > 0, between / within, np.where(np.isnan(between), np.nan, 0.0))
    return np.asarray(fdtrc(runs * (walkers - 1), runs * walkers * (PARTS - 1), ratio))


def _finite(seen: np.ndarray, visits: np.ndarray) -> np.ndarray:
    """The quantity [R, 1, window, columns, rows], 0 where it is infinite."""
    known = np.where(np.isfinite(seen), seen, 0.0)
    return np.broadcast_to(known, (len(visits), *visits.shape[2:]))[:, None]


def _moments(visits: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of a quantity over the visits of each walker, [R, walker, window] each."""
    total = np.maximum(visits.sum(axis=(-2, -1)), 1e-300)
    mean = (visits * seen).sum(axis=(-2, -1)) / total
    return mean, (visits * (seen - mean[..., None, None]) ** 2).sum(axis=(-2, -1)) / total


def replicas_alike(left_out: np.ndarray, replicas: int) -> float:
    """Share of the ways to deal walkers out to replicas that leave replicas as unlike as they are, or more.

    A permutation test (Good, Permutation, Parametric and Bootstrap Tests of Hypotheses, 2005): where walkers mix, it
    does not matter to which replica one belongs. The statistic is the mean over bins and all pairs of replicas of
    ln(1 + z²/ν), z the difference of two replicas in standard errors and ν its degrees of freedom: how unlikely z is by
    Student's t. Bins of one map rise and fall together, in a way that few walkers do not tell, and pairs share
    replicas; to this test it does not matter.

    Parameters
    ----------
    left_out
        [units, ...], S without one unit, those of a replica side by side; bins without a value in any do not count.
    replicas
        How many there are. nan with fewer than two, and with fewer than `FEWEST_WALKERS` in each.
    """
    from scipy.stats import permutation_test  # only here, since it takes a second

    count = len(left_out) // replicas
    maps = left_out[:, np.isfinite(left_out).all(axis=0)].astype(float)
    if replicas < 2 or count < FEWEST_WALKERS or not maps.size:
        return np.nan
    own = (1 - len(maps)) * (maps - maps.mean(axis=1, keepdims=True))  # what each walker alone says of S

    def unlikeliness(*dealt: np.ndarray, axis: int) -> np.ndarray:
        del axis  # the last
        groups = [own[walkers] for walkers in dealt]  # [..., walker, bins]
        mean = [group.mean(axis=-2) for group in groups]
        variance = [group.var(axis=-2, ddof=1) / count for group in groups]
        pairs = combinations(range(replicas), 2)
        squares = [(mean[a] - mean[b]) ** 2 / np.maximum(variance[a] + variance[b], 1e-300) for a, b in pairs]
        return np.log1p(np.array(squares) / (2 * count - 2)).mean(axis=(0, -1))

    units = np.arange(replicas * count).reshape(replicas, count)
    deals = permutation_test(tuple(units), unlikeliness, n_resamples=DEALS, batch=20, alternative="greater", rng=0)
    return float(deals.pvalue)
