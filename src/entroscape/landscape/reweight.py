"""One density of states from many histograms sampled under different, fixed weights.

Multiple-histogram reweighting (Ferrenberg and Swendsen, Phys. Rev. Lett. 63, 1195 (1989)): if state s drew N_s samples
with weights exp(-W_s), the likelihood of all histograms H_s is largest for

    g(b) = sum_s H_s(b) / sum_s N_s exp(f_s - W_s(b)),     exp(-f_s) = sum_b g(b) exp(-W_s(b)).

All windows and all replicas enter one estimate; a bin that a state could have visited but did not counts as such, and
a bin it could not reach does not count at all. With a single state, S = ln g = W + ln H + constant.
"""

import numpy as np
from scipy.optimize import minimize

from entroscape.errors import SamplingError

ACCURACY = 1e-6  # of each state's share of all visits, to which the offsets solve the equations


def combine(
    histograms: np.ndarray, weights: np.ndarray, offsets: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Maximum-likelihood entropy of all states together.

    Parameters
    ----------
    histograms
        int[states, columns, rows] visits H_s, or float where visits are weighted.
    weights
        float[states, columns, rows], W_s; -inf where state s was not allowed to go.
    offsets
        float[states], a first guess of f_s.

    Returns
    -------
    entropy float[columns, rows] (-inf where no state was), and the offsets f_s (f_0 = 0).

    Raises
    ------
    SamplingError
        If the states fall into groups that share no visited bin: their relative height is unknown.
    """
    states = len(histograms)
    counts = histograms.reshape(states, -1).astype(np.float64)
    visited = counts.sum(axis=0) > 0
    counts = counts[:, visited]
    log_weight = np.where(np.isfinite(weights), -weights, -np.inf).reshape(states, -1)[:, visited]
    totals = counts.sum(axis=1)
    log_totals = np.log(np.maximum(totals, 1e-300))
    start = _chain(counts, log_weight) if offsets is None else offsets
    solved = _solve(counts.sum(axis=0), totals, log_totals, log_weight, start - start[0])
    entropy = np.full(histograms[0].size, -np.inf)
    entropy[visited] = np.log(counts.sum(axis=0)) - _shares((log_totals + solved)[:, None] + log_weight)[0]
    return entropy.reshape(histograms[0].shape), solved


def _shares(terms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ln of the sum of exp(terms[states, bins]) over states, and the share of each state in it.

    scipy's logsumexp takes twenty times as long for some hundred bins, and maps are combined anew without each ladder.
    """
    top = terms.max(axis=0)
    share = np.exp(terms - top)
    total = share.sum(axis=0)
    return top + np.log(total), share / total


def _chain(counts: np.ndarray, log_weight: np.ndarray) -> np.ndarray:
    """First guess of f_s: join each state to those already joined, where they share the most visits."""
    joined, offsets = {0}, np.zeros(len(counts))
    while len(joined) < len(counts):
        shared, known, new = max(
            (np.minimum(counts[a], counts[b]).sum(), a, b)
            for a in joined
            for b in range(len(counts))
            if b not in joined
        )
        if shared == 0:
            raise SamplingError(
                f"windows {sorted(joined)} and the others share no visited bin, so their heights cannot be compared; "
                "let them overlap more, or sample longer"
            )
        both = (counts[known] > 0) & (counts[new] > 0)
        share = 1 / (1 / counts[known][both] + 1 / counts[new][both])  # inverse variance of a log ratio
        ratio = np.log(counts[new][both] / counts[known][both]) + log_weight[known][both] - log_weight[new][both]
        # both estimate S up to f: ln H_s - ln N_s + W_s - f_s
        total = np.log(counts[known].sum() / counts[new].sum())
        offsets[new] = offsets[known] + np.average(ratio, weights=share) + total
        joined.add(new)
    return offsets


def _solve(
    visits: np.ndarray, totals: np.ndarray, log_totals: np.ndarray, log_weight: np.ndarray, start: np.ndarray
) -> np.ndarray:
    """Minimise the convex negative log-likelihood over f, with f_0 = 0."""
    if len(totals) == 1:
        return np.zeros(1)
    scale = totals.sum()

    def value(free: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        top, share = _shares((log_totals + np.append(0.0, free))[:, None] + log_weight)
        cost = (visits @ top - totals[1:] @ free) / scale
        return cost, ((share @ visits - totals) / scale)[1:], share

    def curvature(free: np.ndarray) -> np.ndarray:
        share = value(free)[2]
        weighted = share * visits
        return ((np.diag(weighted.sum(axis=1)) - weighted @ share.T) / scale)[1:, 1:]

    found = minimize(lambda f: value(f)[:2], start[1:], jac=True, hess=curvature, method="trust-exact", tol=1e-10)
    slope = np.abs(value(found.x)[1]).max()
    if not slope < ACCURACY:
        raise SamplingError(
            f"the heights of the windows could not be determined (slope of the likelihood {slope:.1e}, should be below "
            f"{ACCURACY:.0e}): their overlaps hold too few visits; let them overlap more, or sample longer"
        )
    return np.append(0.0, found.x)
