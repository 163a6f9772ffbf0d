"""Compiled loss and margins of points that are classified, on CPU, for `entroscape.sampling.points`.

Logits are [W, C, N], the first L points are those that are learnt. Inner loops run over points.
"""

import numpy as np

from entroscape.numba_cache import njit as _njit


@_njit
def shifted(logits, top, found):
    """found[W, C, L]: logits of the points that are learnt, less their largest one, top[W, L]."""
    for w in range(found.shape[0]):
        top[w] = -np.inf
        for c in range(found.shape[1]):
            for n in range(found.shape[2]):
                top[w, n] = max(top[w, n], logits[w, c, n])
        for c in range(found.shape[1]):
            for n in range(found.shape[2]):
                found[w, c, n] = logits[w, c, n] - top[w, n]


@_njit
def losses(logits, labels, top, share, total, loss):
    """Mean loss[W] of the points that are learnt; share[W, C, L] become probabilities. total[L] is worked on."""
    learnt = len(total)
    for w in range(share.shape[0]):
        total[:] = 0
        for c in range(share.shape[1]):
            for n in range(learnt):
                total[n] += share[w, c, n]
        found = 0.0
        for n in range(learnt):
            found += np.log(total[n]) + top[w, n] - logits[w, labels[n], n]
            total[n] = 1 / total[n]
        loss[w] = found / learnt
        for c in range(share.shape[1]):
            for n in range(learnt):
                share[w, c, n] *= total[n]


@_njit
def margins(logits, labels, margin, rival):
    """margin[W, N - L] of the other points, as in `entroscape.observables`, and rival, the class next to their own."""
    learnt = logits.shape[2] - margin.shape[1]
    for w in range(logits.shape[0]):
        largest, nearest = margin[w], rival[w]
        largest[:] = -np.inf
        nearest[:] = 0
        for c in range(logits.shape[1]):
            for n in range(len(largest)):
                value = logits[w, c, learnt + n]
                # so written that nan is above all numbers, and stays
                above = (labels[learnt + n] != c) & (not value <= largest[n]) & (largest[n] == largest[n])
                largest[n] = value if above else largest[n]
                nearest[n] = c if above else nearest[n]
        for n in range(len(largest)):
            largest[n] = logits[w, labels[learnt + n], learnt + n] - largest[n]


@_njit
def gradient(to_loss, to_margin, labels, share, rival, found):
    """found[W, C, N] of the logits, from those of the loss[W] and the margins[W, N - L]."""
    learnt = share.shape[2]
    for w in range(found.shape[0]):
        each = to_loss[w] / learnt
        for c in range(found.shape[1]):
            for n in range(learnt):
                found[w, c, n] = each * share[w, c, n]
            found[w, c, learnt:] = 0
        for n in range(learnt):
            found[w, labels[n], n] -= each
        for n in range(rival.shape[1]):
            found[w, labels[learnt + n], learnt + n] += to_margin[w, n]
            found[w, rival[w, n], learnt + n] -= to_margin[w, n]
