"""The same Markov chain as `entroscape.sampling.network`, written as one writes it first.

Every proposal computes the whole network for every point, training and test. Given the same random numbers it makes
the same moves (a test holds it to that), so the ratio of the speeds is what the fast kernel gains.
"""

from typing import NamedTuple

import numpy as np

from entroscape.sampling import kernel
from entroscape.sampling.compiled import njit, njit_inlined
from entroscape.sampling.network import NetworkSystem


class PlainNetwork(NamedTuple):
    coordinates: np.ndarray  # [P]
    half_width: np.ndarray  # [P]
    sizes: np.ndarray  # [L + 1]
    x_train: np.ndarray  # [N, D]
    y_train: np.ndarray  # [N]
    x_test: np.ndarray  # [M, D]
    y_test: np.ndarray  # [M]
    move: np.ndarray  # [1]
    undo: np.ndarray  # [1]
    values: np.ndarray  # [2, widest layer]
    x_min: float
    bins_per_unit: float


def plain(system: NetworkSystem) -> PlainNetwork:
    """The same network on the same data as a fast system."""
    inputs = system.sizes[0]
    return PlainNetwork(
        system.coordinates.copy(),
        system.half_width,
        system.sizes,
        np.ascontiguousarray(system.train_act[0, :inputs].T),
        system.train_labels,
        np.ascontiguousarray(system.test_act[0, :inputs].T),
        system.test_labels,
        np.zeros(1, dtype=np.int64),
        np.zeros(1),
        np.zeros((2, max(system.sizes))),
        system.x_min,
        system.bins_per_unit,
    )


@njit
def _logits(net, points, n):
    """Logits of one point, left in net.values[L % 2]."""
    last = len(net.sizes) - 1
    for i in range(net.sizes[0]):
        net.values[0, i] = points[n, i]
    weight = 0
    for layer in range(last):
        inputs, outputs = net.sizes[layer], net.sizes[layer + 1]
        bias = weight + inputs * outputs
        for k in range(outputs):
            total = net.coordinates[bias + k]
            for i in range(inputs):
                total += net.coordinates[weight + k * inputs + i] * net.values[layer % 2, i]
            net.values[(layer + 1) % 2, k] = total if layer == last - 1 else max(total, 0.0)
        weight = bias + outputs


@njit
def _column(net):
    last = len(net.sizes) - 1
    total = 0.0
    for n in range(len(net.y_train)):
        _logits(net, net.x_train, n)
        partition = 0.0
        for c in range(net.sizes[last]):
            partition += np.exp(net.values[last % 2, c])
        total += np.log(partition) - net.values[last % 2, net.y_train[n]]
    return int(np.floor((np.log(total / len(net.y_train)) - net.x_min) * net.bins_per_unit))


@njit
def _row(net):
    last = len(net.sizes) - 1
    correct = 0
    for n in range(len(net.y_test)):
        _logits(net, net.x_test, n)
        right = True
        for c in range(net.sizes[last]):
            if c != net.y_test[n] and net.values[last % 2, c] >= net.values[last % 2, net.y_test[n]]:
                right = False
        correct += right
    return correct


@njit
def _load(net, coordinates):
    for p in range(len(coordinates)):
        net.coordinates[p] = coordinates[p]


@njit_inlined
def _measure(net):
    return _column(net), _row(net)


@njit_inlined
def _propose(net, sigma, generator):
    p = int(generator.random() * len(net.coordinates))
    net.move[0], net.undo[0] = p, net.coordinates[p]
    moved = net.undo[0] + sigma * (2.0 * generator.random() - 1.0)
    column = kernel.OUTSIDE
    if abs(moved) <= net.half_width[p]:
        net.coordinates[p] = moved
        column = _column(net)
    return column


@njit_inlined
def _measure_proposal(net):
    return _row(net)


@njit_inlined
def _accept(net):
    pass


@njit_inlined
def _reject(net):
    net.coordinates[net.move[0]] = net.undo[0]


kernel.implement(
    PlainNetwork,
    load=_load,
    measure=_measure,
    propose=_propose,
    measure_proposal=_measure_proposal,
    accept=_accept,
    reject=_reject,
)
