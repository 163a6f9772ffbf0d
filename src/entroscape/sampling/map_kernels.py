"""Compiled look-ups in the maps of `entroscape.sampling.entropy_map`, for CPU: one call in place of a hundred."""

import numpy as np

from entroscape.numba_cache import njit as _njit

NODES = 8  # that a place feels along one coordinate


@_njit
def _stencil(value, first, width, inside, node, weight, slope):
    """What `Nodes.stencil` gives for one place: the nodes[8], their weights and slopes; inside[2]."""
    position = (value - first) / width
    low = np.floor(position) - 1
    for i in range(4):
        place = low + i
        distance = position - place
        size = abs(distance)
        outer, inner = max(2 - size, 0.0), max(1 - size, 0.0)
        w = (outer * outer * outer - 4 * inner * inner * inner) / 6
        s = (2 * inner * inner - outer * outer / 2) * np.sign(distance) / width
        edge = min(max(place, inside[0]), inside[1])
        beyond = place - edge
        node[i], node[4 + i] = int(edge), int(min(max(edge - np.sign(beyond), inside[0]), inside[1]))
        weight[i], weight[4 + i] = (1 + abs(beyond)) * w, -abs(beyond) * w
        slope[i], slope[4 + i] = (1 + abs(beyond)) * s, -abs(beyond) * s


@_njit
def _wall(value, edges, stiffness):
    """Energy and slope of stiffness * (distance from value to the window edges[2])^2."""
    excess = max(value - edges[1], 0.0) + min(value - edges[0], 0.0)
    return stiffness * excess * excess, 2 * stiffness * excess


@_njit
def potential(felt, x, y, steps, x_inside, x_edges, y_inside, y_edges, stiffness, node, weight, slope, out):
    """out[3, M, K]: energy and slopes in x and y at x[M, K], y[M, K] on maps felt[M, columns, rows].

    steps[2, 2]: first node and distance of nodes along x and y. *_inside int64[M, 2], *_edges[M, 2], stiffness[2].
    node int64[2, 8], weight[2, 8] and slope[2, 8] are worked on. nan where a coordinate is not finite.
    """
    for m in range(x.shape[0]):
        for k in range(x.shape[1]):
            if not (np.isfinite(x[m, k]) and np.isfinite(y[m, k])):
                out[:, m, k] = np.nan
                continue
            _stencil(x[m, k], steps[0, 0], steps[0, 1], x_inside[m], node[0], weight[0], slope[0])
            _stencil(y[m, k], steps[1, 0], steps[1, 1], y_inside[m], node[1], weight[1], slope[1])
            energy = along_x = along_y = 0.0
            for i in range(NODES):
                row, across, rising = felt[m, node[0, i]], 0.0, 0.0
                for j in range(NODES):
                    across += weight[1, j] * row[node[1, j]]
                    rising += slope[1, j] * row[node[1, j]]
                energy += weight[0, i] * across
                along_x += slope[0, i] * across
                along_y += weight[0, i] * rising
            wall_x, push_x = _wall(x[m, k], x_edges[m], stiffness[0])
            wall_y, push_y = _wall(y[m, k], y_edges[m], stiffness[1])
            out[0, m, k] = energy + wall_x + wall_y
            out[1, m, k] = along_x + push_x
            out[2, m, k] = along_y + push_y
