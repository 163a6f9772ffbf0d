"""A network of ten parameters of which three move: its density of states by quadrature.

Nothing here is shared with the sampler: the network is written out once more, one neuron at a time.
"""

import numpy as np

from entroscape.data.dataset import TaskData
from entroscape.grid import Grid
from entroscape.sampling.network import NetworkSystem, build_network

# Nothing is symmetric: points, labels, the fixed parameters and the three half widths all differ, so that a sign lost
# anywhere moves volume between bins.
X_TRAIN, Y_TRAIN = [-1.3, -0.4, 0.3, 0.9, 1.7], [0, 1, 1, 0, 1]
X_TEST, Y_TEST = [-1.0, -0.2, 0.5, 1.4], [0, 1, 0, 1]
FIXED = np.array([-1.2, 1.4, 1.2, -1.2, 0.2, 1.8, 0.9, -1.8, -0.8, 0.5])  # W1[2, 1], b1[2], W2[2, 2], b2[2]
MOVABLE = [1, 3, 6]  # input weight and bias of the second hidden neuron, a weight from the first to the second class
HALF_WIDTHS = [1.4, 2.5, 2.0]

GRID = Grid(x_min=-0.75, bin_width=0.25, columns=8, rows=5)  # a fifth of the box lies above it, a thousandth below
DATA = TaskData(
    np.array(X_TRAIN)[:, None], np.array(Y_TRAIN), np.array(X_TEST)[:, None], np.array(Y_TEST), 2, {"made": "by hand"}
)
CHUNK = 2**17  # points evaluated at once, few enough to stay in the processor's cache


def build() -> NetworkSystem:
    half_width = np.full(len(FIXED), 2.0)
    half_width[MOVABLE] = HALF_WIDTHS
    return build_network([1, 2, 2], DATA, half_width, GRID, np.array(MOVABLE))


def starts(count: int = 200) -> np.ndarray:
    """States[count, 10]: the fixed values, with the movable ones anywhere in the box."""
    states = np.tile(FIXED, (count, 1))
    states[:, MOVABLE] = np.random.default_rng(7).uniform(np.negative(HALF_WIDTHS), HALF_WIDTHS, (count, 3))
    return states


def margin(theta: list, x: float):
    """Logit of class 1 minus that of class 0 at one point; the ten parameters broadcast."""
    first = np.maximum(theta[0] * x + theta[2], 0.0)
    second = np.maximum(theta[1] * x + theta[3], 0.0)
    return (theta[6] - theta[4]) * first + (theta[7] - theta[5]) * second + theta[9] - theta[8]


def coordinates(theta: list) -> tuple[np.ndarray, np.ndarray]:
    """ln L_train and number of correct test points; the ten parameters broadcast."""
    train, test = zip(X_TRAIN, Y_TRAIN, strict=True), zip(X_TEST, Y_TEST, strict=True)
    losses = [np.logaddexp(0.0, -margin(theta, x) if y else margin(theta, x)) for x, y in train]
    correct = sum(((margin(theta, x) > 0) == bool(y)).astype(int) for x, y in test)
    return np.log(sum(losses) / len(losses)), correct


def exact_entropy(points: int, shift: float = 0.5) -> np.ndarray:
    """ln of the share of the box in each bin[columns, rows]; -inf where none lies.

    The points fill the box evenly but are not aligned with it (an additive recurrence with powers of the root of
    g^4 = g + 1; Roberts 2018): where the second neuron is silent the bins end at planes across one axis, of which a
    rectangular grid of points would take in a whole layer too many.
    """
    steps = 1.2207440846057596 ** -np.arange(1, 4)
    counts = np.zeros(GRID.columns * GRID.rows, dtype=np.int64)
    for first in range(0, points, CHUNK):
        index = np.arange(first, min(first + CHUNK, points))
        theta = list(FIXED)
        for p, step, width in zip(MOVABLE, steps, HALF_WIDTHS, strict=True):
            theta[p] = width * (2 * ((shift + step * index) % 1.0) - 1)
        x, y = coordinates(theta)
        column = np.floor((x - GRID.x_min) / GRID.bin_width).astype(int)
        inside = (column >= 0) & (column < GRID.columns)
        counts += np.bincount((column * GRID.rows + y)[inside], minlength=counts.size)
    with np.errstate(divide="ignore"):
        return np.log(counts / points).reshape(GRID.columns, GRID.rows)
