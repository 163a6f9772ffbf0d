"""Whether walkers agree on where the volume is, in one window and from replica to replica."""

import numpy as np

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
    seen = np.broadcast_to(np.where(np.isfinite(seen), seen, 0.0), (len(visits), *visits.shape[2:]))[:, None]
    total = np.maximum(visits.sum(axis=(-2, -1)), 1e-300)
    mean = (visits * seen).sum(axis=(-2, -1)) / total
    variance = (visits * (seen - mean[..., None, None]) ** 2).sum(axis=(-2, -1)) / total
    between, within = mean.var(axis=1, ddof=1), variance.mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(between > 0, np.sqrt(1 + between / within), 1.0))


def replicas_alike(left_out: np.ndarray, replicas: int) -> float:
    """Share of the ways to deal walkers out to replicas that leave replicas as unlike as they are, or more.

    A permutation test (Good, Permutation, Parametric and Bootstrap Tests of Hypotheses, 2005): where walkers mix, it
    does not matter to which replica one belongs. The statistic is the mean over bins of ln(1 + z²/ν), z the difference
    of two replicas in standard errors and ν its degrees of freedom: how unlikely z is by Student's t. Bins of one map
    rise and fall together, in a way that few walkers do not tell; to this test it does not matter.

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
        pairs = zip(range(0, replicas - 1, 2), range(1, replicas, 2), strict=True)
        squares = [(mean[a] - mean[b]) ** 2 / np.maximum(variance[a] + variance[b], 1e-300) for a, b in pairs]
        return np.log1p(np.array(squares) / (2 * count - 2)).mean(axis=(0, -1))

    units = np.arange(replicas * count).reshape(replicas, count)
    deals = permutation_test(tuple(units), unlikeliness, n_resamples=DEALS, batch=20, alternative="greater", rng=0)
    return float(deals.pvalue)
