"""A fully connected ReLU network as a system of the Wang-Landau kernel.

A move changes one parameter, and only what depends on it is computed again: the moved neuron, the next layer by a
rank-one update, the layers behind it in full. Present and proposed values lie in two buffers per layer; `front`
says which one is present, so accepting a move swaps buffers instead of copying them. Training points are computed
first; test points only when the move stays in the window.

Loops run over points (contiguous, starting at 0) so that they become vector instructions.
"""

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from entroscape.errors import ModelError
from entroscape.grid import Grid
from entroscape.sampling import kernel
from entroscape.sampling.compiled import njit, njit_inlined

if TYPE_CHECKING:
    from entroscape.data.dataset import TaskData

LOG2_E = 1.4426950408889634
# ln 2 in two parts, so that x - k ln 2 is exact to the last bit (Cody and Waite 1980)
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10


class NetworkSystem(NamedTuple):
    """State and buffers; U units in all layers, P parameters, N training and M test points."""

    coordinates: np.ndarray  # [P] parameters, laid out as in entroscape.models.layout
    half_width: np.ndarray  # [P] of the box
    movable: np.ndarray  # [<= P] parameters that moves may change
    layer: np.ndarray  # [P] layer of each parameter
    neuron: np.ndarray  # [P] output neuron of each parameter within its layer
    source: np.ndarray  # [P] input of each weight, -1 for a bias
    sizes: np.ndarray  # [L + 1] units per layer, from inputs to classes
    units: np.ndarray  # [L + 1] first unit of each layer
    weights: np.ndarray  # [L] first weight of each layer
    biases: np.ndarray  # [L] first bias of each layer
    front: np.ndarray  # [L + 1] buffer that holds the present values of each layer
    train_pre: np.ndarray  # [2, U, N] values before the ReLU
    train_act: np.ndarray  # [2, U, N] and after it
    test_pre: np.ndarray  # [2, U, M]
    test_act: np.ndarray  # [2, U, M]
    train_labels: np.ndarray  # [N]
    train_signs: np.ndarray  # [N] +1 for label 1, -1 for label 0, of use with two classes
    test_labels: np.ndarray  # [M]
    move: np.ndarray  # [1] moved parameter
    undo: np.ndarray  # [1] its value before the move
    scratch: np.ndarray  # [N] for the exponentials
    powers: np.ndarray  # [N] powers of two for them ...
    power_bits: np.ndarray  # [N] ... and the same memory as integers
    x_min: float
    bins_per_unit: float


def build_network(
    sizes: list[int], data: "TaskData", half_width: np.ndarray, grid: Grid, movable: np.ndarray | None = None
) -> NetworkSystem:
    """System of the given layer sizes on a task, with all parameters zero.

    Parameters
    ----------
    sizes
        Units per layer, from inputs to classes.
    half_width
        [P] of the box the parameters are confined to.
    movable
        Parameters that moves may change; all by default.

    Raises
    ------
    ModelError
        If the network does not suit the task, or the box or the movable parameters do not suit the network: nothing is
        checked where moves index with them.
    """
    _check_network(sizes, data, half_width, movable)
    parameters = [
        (layer, neuron, source)
        for layer, (inputs, outputs) in enumerate(itertools.pairwise(sizes))
        for sources in (range(inputs), None)
        for neuron in range(outputs)
        for source in (sources if sources is not None else [-1])
    ]
    layer, neuron, source = np.array(parameters, dtype=np.int64).T.copy()
    starts = np.concatenate([[0], np.cumsum([a * b + b for a, b in itertools.pairwise(sizes)])])
    shape = np.array(sizes, dtype=np.int64)

    def buffers(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        act = np.zeros((2, sum(sizes), len(points)))
        act[:, : sizes[0]] = points.T
        return np.zeros_like(act), act

    train_pre, train_act = buffers(data.x_train)
    test_pre, test_act = buffers(data.x_test)
    powers = np.zeros(len(data.x_train))
    return NetworkSystem(
        coordinates=np.zeros(len(parameters)),
        half_width=np.ascontiguousarray(half_width, dtype=np.float64),
        movable=np.arange(len(parameters)) if movable is None else np.asarray(movable, dtype=np.int64),
        layer=layer,
        neuron=neuron,
        source=source,
        sizes=shape,
        units=np.concatenate([[0], np.cumsum(shape)[:-1]]),
        weights=starts[:-1].astype(np.int64),
        biases=(starts[:-1] + shape[1:] * shape[:-1]).astype(np.int64),
        front=np.zeros(len(sizes), dtype=np.int64),
        train_pre=train_pre,
        train_act=train_act,
        test_pre=test_pre,
        test_act=test_act,
        train_labels=np.ascontiguousarray(data.y_train, dtype=np.int64),
        train_signs=np.where(data.y_train == 1, 1.0, -1.0),
        test_labels=np.ascontiguousarray(data.y_test, dtype=np.int64),
        move=np.zeros(1, dtype=np.int64),
        undo=np.zeros(1),
        scratch=np.zeros(len(data.x_train)),
        powers=powers,
        power_bits=powers.view(np.int64),
        x_min=float(grid.x_min),
        bins_per_unit=1.0 / grid.bin_width,
    )


def _check_network(sizes: list[int], data: "TaskData", half_width: np.ndarray, movable: np.ndarray | None) -> None:
    """Raise ModelError unless `build_network` can take these arguments."""
    if data.classes is None or data.x_train.ndim != 2:
        found = "targets that are numbers" if data.classes is None else f"points of the shape {data.x_train.shape[1:]}"
        raise ModelError(
            f"Monte Carlo samples classifiers of vectors, but this task has {found}: use molecular dynamics"
        )
    numbers = data.x_train.shape[1]
    if len(sizes) < 2 or min(sizes) < 1 or sizes[0] != numbers or sizes[-1] < data.classes:
        raise ModelError(
            f"layers of {sizes} units do not suit points of {numbers} numbers and {data.classes} classes: "
            "begin with as many units as there are numbers, end with one logit for each class, two for two classes"
        )
    parameters = sum(a * b + b for a, b in itertools.pairwise(sizes))
    if np.shape(half_width) != (parameters,):
        raise ModelError(
            f"the box has half widths of the shape {np.shape(half_width)}, but the network has {parameters} parameters"
            ": give one for each"
        )
    if not np.min(half_width) >= 0:
        raise ModelError(f"half widths of the box must be at least 0, but one is {np.min(half_width)}")
    if movable is None:
        return
    named = np.asarray(movable)
    if (
        named.ndim != 1
        or named.dtype.kind not in "iu"
        or not len(named)
        or named.min() < 0
        or named.max() >= parameters
    ):
        raise ModelError(
            f"movable must be the numbers of at least one of the parameters 0 to {parameters - 1}, but is {movable}"
        )


@njit
def _neuron(pre, act, theta, read, write, first_input, inputs, unit, weight, bias, relu):
    """Values of one neuron for all points; inputs are added four at a time to save passes over memory."""
    points = pre.shape[2]
    done = inputs % 4
    if done == 1:
        a = theta[weight]
        for n in range(points):
            pre[write, unit, n] = bias + a * act[read, first_input, n]
    elif done == 2:
        a, b = theta[weight], theta[weight + 1]
        for n in range(points):
            pre[write, unit, n] = bias + (a * act[read, first_input, n] + b * act[read, first_input + 1, n])
    elif done == 3:
        a, b, c = theta[weight], theta[weight + 1], theta[weight + 2]
        for n in range(points):
            pre[write, unit, n] = (
                bias
                + (a * act[read, first_input, n] + b * act[read, first_input + 1, n])
                + c * act[read, first_input + 2, n]
            )
    else:
        for n in range(points):
            pre[write, unit, n] = bias
    while done < inputs:
        w, i = weight + done, first_input + done
        a, b, c, d = theta[w], theta[w + 1], theta[w + 2], theta[w + 3]
        for n in range(points):
            pre[write, unit, n] += (a * act[read, i, n] + b * act[read, i + 1, n]) + (
                c * act[read, i + 2, n] + d * act[read, i + 3, n]
            )
        done += 4
    if relu:
        for n in range(points):
            act[write, unit, n] = max(pre[write, unit, n], 0.0)


@njit
def _layer(pre, act, theta, sizes, units, weights, biases, layer, read, write):
    """All neurons behind `layer`, from the activations in buffer `read` into buffer `write`."""
    inputs = sizes[layer]
    relu = layer < len(sizes) - 2
    for k in range(sizes[layer + 1]):
        bias = theta[biases[layer] + k]
        weight = weights[layer] + k * inputs
        _neuron(pre, act, theta, read, write, units[layer], inputs, units[layer + 1] + k, weight, bias, relu)


@njit
def _propagate(pre, act, theta, sizes, units, weights, biases, front, layer, neuron, source, step):
    """Write the values after one parameter moved by `step` into the back buffers of all layers it reaches."""
    points, last = pre.shape[2], len(sizes) - 1
    now, new = front[layer + 1], 1 - front[layer + 1]
    unit = units[layer + 1] + neuron
    if layer == last - 1:  # the other classes keep their values; bring them along, all logits are read together
        for u in range(units[last], units[last] + sizes[last]):
            for n in range(points):
                pre[new, u, n] = pre[now, u, n]
    if source < 0:
        for n in range(points):
            pre[new, unit, n] = pre[now, unit, n] + step
    else:
        read, i = front[layer], units[layer] + source
        for n in range(points):
            pre[new, unit, n] = pre[now, unit, n] + step * act[read, i, n]
    if layer == last - 1:
        return
    for n in range(points):
        act[new, unit, n] = max(pre[new, unit, n], 0.0)
    after = layer + 1
    behind, ahead = front[after + 1], 1 - front[after + 1]
    for k in range(sizes[after + 1]):
        w = theta[weights[after] + k * sizes[after] + neuron]
        u = units[after + 1] + k
        for n in range(points):
            moved = pre[behind, u, n] + w * (act[new, unit, n] - act[now, unit, n])
            pre[ahead, u, n] = moved
            act[ahead, u, n] = max(moved, 0.0)
    for m in range(after + 1, last):
        _layer(pre, act, theta, sizes, units, weights, biases, m, 1 - front[m], 1 - front[m + 1])


@njit(fastmath=True)
def _binary_cross_entropy(pre, buffer, unit, labels, scratch, powers, power_bits):
    """Mean of ln(1 + exp(m)), m = wrong minus right logit, as max(m, 0) + ln(1 + exp(-|m|)).

    exp(-|m|) = 2^k exp(r) by a Taylor series on |r| <= ln(2) / 2, to 1e-15: unlike a call of exp, it becomes vector
    code. The logarithms are taken of products.
    """
    points = pre.shape[2]
    linear = 0.0
    for n in range(points):
        margin = (pre[buffer, unit, n] - pre[buffer, unit + 1, n]) * labels[n]
        linear += max(margin, 0.0)
        x = max(-abs(margin), -700.0)
        power = np.floor(x * LOG2_E + 0.5)
        r = (x - power * LN2_HIGH) - power * LN2_LOW
        tail = 1 / 5040 + r * (1 / 40320 + r * (1 / 362880 + r * (1 / 3628800 + r * (1 / 39916800))))
        series = 1 + r * (1 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * (1 / 720 + r * tail))))))
        scratch[n] = series
        power_bits[n] = (np.int64(power) + 1023) << 52
    for n in range(points):
        scratch[n] = 1.0 + scratch[n] * powers[n]
    curved = 0.0
    for start in range(0, points, 512):  # factors are at most 2: no overflow
        product = 1.0
        for n in range(start, min(start + 512, points)):
            product *= scratch[n]
        curved += np.log(product)
    return (linear + curved) / points


@njit
def _cross_entropy(pre, buffer, unit, classes, labels):
    """Mean of ln sum_c exp(z_c) - z_label."""
    points, total = pre.shape[2], 0.0
    for n in range(points):
        top = pre[buffer, unit, n]
        for c in range(1, classes):
            top = max(top, pre[buffer, unit + c, n])
        partition = 0.0
        for c in range(classes):
            partition += np.exp(pre[buffer, unit + c, n] - top)
        total += top + np.log(partition) - pre[buffer, unit + labels[n], n]
    return total / points


@njit_inlined
def _column(net, buffer):
    """Column of the training loss of the logits in `buffer`."""
    last = len(net.sizes) - 1
    unit, classes = net.units[last], net.sizes[last]
    if classes == 2:
        loss = _binary_cross_entropy(
            net.train_pre, buffer, unit, net.train_signs, net.scratch, net.powers, net.power_bits
        )
    else:
        loss = _cross_entropy(net.train_pre, buffer, unit, classes, net.train_labels)
    if not loss > 0.0 or not loss < np.inf:
        return kernel.OUTSIDE
    return int(np.floor((np.log(loss) - net.x_min) * net.bins_per_unit))


@njit_inlined
def _row(net, buffer):
    """Number of test points whose class has the strictly largest logit."""
    last = len(net.sizes) - 1
    unit, classes = net.units[last], net.sizes[last]
    correct = 0
    for n in range(net.test_pre.shape[2]):
        label = net.test_labels[n]
        right = True
        for c in range(classes):
            beats = net.test_pre[buffer, unit + label, n] > net.test_pre[buffer, unit + c, n]
            right = right and (c == label or beats)
        correct += right
    return correct


@njit
def _load(net, coordinates):
    for p in range(len(coordinates)):
        net.coordinates[p] = coordinates[p]
    for layer in range(len(net.sizes)):
        net.front[layer] = 0
    for layer in range(len(net.sizes) - 1):
        _layer(
            net.train_pre, net.train_act, net.coordinates, net.sizes, net.units, net.weights, net.biases, layer, 0, 0
        )
        _layer(net.test_pre, net.test_act, net.coordinates, net.sizes, net.units, net.weights, net.biases, layer, 0, 0)


@njit_inlined
def _measure(net):
    buffer = net.front[len(net.sizes) - 1]
    return _column(net, buffer), _row(net, buffer)


@njit_inlined
def _follow_move(net, pre, act):
    """Values of the points behind `pre` and `act` after the move that is proposed."""
    p = net.move[0]
    _propagate(
        pre,
        act,
        net.coordinates,
        net.sizes,
        net.units,
        net.weights,
        net.biases,
        net.front,
        net.layer[p],
        net.neuron[p],
        net.source[p],
        net.coordinates[p] - net.undo[0],
    )


@njit_inlined
def _propose(net, sigma, generator):
    """Move one random parameter by sigma U(-1, 1)."""
    p = net.movable[int(generator.random() * len(net.movable))]
    net.move[0], net.undo[0] = p, net.coordinates[p]
    moved = net.undo[0] + sigma * (2.0 * generator.random() - 1.0)
    if abs(moved) > net.half_width[p]:
        return kernel.OUTSIDE
    net.coordinates[p] = moved
    _follow_move(net, net.train_pre, net.train_act)
    return _column(net, 1 - net.front[len(net.sizes) - 1])


@njit_inlined
def _measure_proposal(net):
    _follow_move(net, net.test_pre, net.test_act)
    return _row(net, 1 - net.front[len(net.sizes) - 1])


@njit_inlined
def _accept(net):
    p = net.move[0]
    layer, last = net.layer[p], len(net.sizes) - 1
    if layer < last - 1:  # one neuron of this layer changed: copy it; everything behind changed: swap buffers
        now, unit = net.front[layer + 1], net.units[layer + 1] + net.neuron[p]
        for n in range(net.train_pre.shape[2]):
            net.train_pre[now, unit, n] = net.train_pre[1 - now, unit, n]
            net.train_act[now, unit, n] = net.train_act[1 - now, unit, n]
        for n in range(net.test_pre.shape[2]):
            net.test_pre[now, unit, n] = net.test_pre[1 - now, unit, n]
            net.test_act[now, unit, n] = net.test_act[1 - now, unit, n]
    for m in range(min(layer + 2, last), last + 1):
        net.front[m] = 1 - net.front[m]


@njit_inlined
def _reject(net):
    net.coordinates[net.move[0]] = net.undo[0]


kernel.implement(
    NetworkSystem,
    load=_load,
    measure=_measure,
    propose=_propose,
    measure_proposal=_measure_proposal,
    accept=_accept,
    reject=_reject,
)
