"""Two basins of known volumes: traps, where they join above the highest window, and honest twins that join inside it.

theta = (s, u, t) with u of `DIMENSIONS` parameters. Around its middle a basin k has

    E_k = ((s - middle_k) / a)^2 + (|u| / b_k)^q_k    and    x = ln min(E_A, E_B),

so that below the ridge between them, at x = 2 ln(separation), its volume goes as b_k^d E^(1/2 + d/q_k). The metric
resolves the basins, y = t / spread -+ 1, or hides them, y = 2 t / spread; t is uniform, so that each basin has a spread
of its own in y. Everything there is to know follows from integrals over s (`exact_entropy`).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from dynamics_runs import Target
from scipy.special import betaln, logsumexp
from torch import Tensor

from entroscape.config.sampler import Axis
from entroscape.domains import Box
from entroscape.grid import Grid
from entroscape.sampling import kernel
from entroscape.sampling.compiled import njit, njit_inlined

DIMENSIONS = 4  # of u
HALF_LENGTH = 0.5  # a, of both basins along s at x = 0
SPREAD = 0.3  # t lies within +- this
TURN = 0.2  # |s| within which the metric that resolves the basins goes from one to the other
TOP, BOTTOM, WIDTH = 0.0, -2.0, 0.2  # of the range in x, and of its bins
ROWS = 8  # four of each basin where the metric resolves them
Y_AXIS = Axis(min=-2.0, max=2.0, bin_width=4.0 / ROWS)
X_AXIS = Axis(min=BOTTOM, max=TOP, bin_width=WIDTH)
COUNTED = Grid.of(X_AXIS, ROWS - 1)  # for Monte Carlo, whose rows are numbered
CONTINUOUS = Grid.continuous(X_AXIS, Y_AXIS, "ln_test_loss")  # for dynamics
BASINS = A, B = 0, 1


class Basins(NamedTuple):
    """Where basins lie and how they widen. A is the one at s < 0.

    resolved: whether y tells them apart. separation: distance of a middle from the ridge, in units of a.
    """

    resolved: bool
    separation: float
    radius: tuple[float, float]  # b of A and B
    power: tuple[float, float]  # q of A and B

    @property
    def half_width(self) -> np.ndarray:
        """Of the box: everything with x < 0 lies within it."""
        return np.array([(self.separation + 1) * HALF_LENGTH, *[max(self.radius)] * DIMENSIONS, SPREAD])

    @property
    def ridge(self) -> float:
        """x at which the basins join."""
        return 2 * float(np.log(self.separation))

    def ln_volume_ratio(self, x: np.ndarray) -> np.ndarray:
        """ln of the volume of B over that of A per dx at x, below the ridge; by calculus."""
        found = []
        for radius, power in zip(self.radius, self.power, strict=True):
            along = DIMENSIONS / power
            # of {z^2 + r^q < E}: B(1/2, 1 + d/q) b^d E^(1/2 + d/q), and its derivative along x = ln E
            whole = DIMENSIONS * np.log(radius) + betaln(0.5, 1 + along) + np.log(0.5 + along)
            found.append(whole + (0.5 + along) * np.asarray(x))
        return np.asarray(found[B] - found[A])


def _radius(log_ratio: float, power: tuple[float, float]) -> tuple[float, float]:
    """Radii of A and B, the larger one 1, with which ln(V_B / V_A) at x = 0 is as wanted."""
    plain = Basins(True, 1.0, (1.0, 1.0), power).ln_volume_ratio(0.0)
    shift = float(np.exp((log_ratio - plain) / DIMENSIONS))
    return (1.0, shift) if shift < 1 else (1 / shift, 1.0)


APART, TOGETHER = 1.5, 0.5  # ridges at x = 0.81, above all windows, and -1.39, within them
SAME = 2.0, 2.0  # both volumes go as E^(5/2): the ratio is the same at all x
UNLIKE = 2.0, 8.0
RESOLVED = Basins(True, APART, _radius(5.4, SAME), SAME)
HIDDEN = Basins(False, APART, _radius(-4.5, UNLIKE), UNLIKE)
TRAPS = {"resolved": RESOLVED, "hidden": HIDDEN}
TWINS = {name: trap._replace(separation=TOGETHER) for name, trap in TRAPS.items()}


def exact_entropy(basins: Basins, only: Sequence[int] = BASINS, points: int = 200_000) -> np.ndarray:
    """S of each bin up to a constant, [columns, rows], -inf where there is no volume; `only` of some basins.

    At each s the states below x are a ball in u, as large as the larger of the two basins allows.
    """
    reach = basins.half_width[0]
    s = reach * ((2 * np.arange(points) + 1) / points - 1)
    below = np.zeros((COUNTED.columns + 1, points))
    for basin in only:
        z = (s - _middle(basins, basin)) / HALF_LENGTH
        left = np.maximum(np.exp(COUNTED.x_edges)[:, None] - z**2, 0.0)
        ball = basins.radius[basin] ** DIMENSIONS * left ** (DIMENSIONS / basins.power[basin])
        below = np.maximum(below, ball)
    centre = _side(s, np) if basins.resolved else np.zeros_like(s)
    half = 1.0 if basins.resolved else 2.0  # y is uniform within this of its centre
    edges = np.clip(CONTINUOUS.y_edges[:, None], centre - half, centre + half)
    with np.errstate(divide="ignore"):
        return np.log(np.diff(below, axis=0) @ (np.diff(edges, axis=0) / (2 * half)).T / points)


def _middle(basins: Basins, basin: int) -> float:
    return (1 if basin == B else -1) * basins.separation * HALF_LENGTH


def _side(s, functions):
    """-1 in A, 1 in B, and a smooth way between."""
    return functions.sin(np.pi / 2 * functions.clip(s / TURN, -1.0, 1.0))


def ln_ratio(entropy: np.ndarray) -> float:
    """ln(V_B / V_A) of a map on which y resolves the basins; nan where one has no volume."""
    half = ROWS // 2
    found = logsumexp(entropy[:, half:]) - logsumexp(entropy[:, :half])
    return float(found) if np.isfinite(found) else np.nan


def ln_slope(entropy: np.ndarray) -> float:
    """ln of the volume of the lower half of the columns over that of the upper half."""
    half = COUNTED.columns // 2
    return float(logsumexp(entropy[:half]) - logsumexp(entropy[half:]))


def states(basins: Basins, basin: int, count: int, random: np.random.Generator, lower=BOTTOM, upper=TOP) -> np.ndarray:
    """States of one basin with x uniform in [lower, upper), float64[count, P]; any of those at that x."""
    energy = np.exp(random.uniform(lower, upper, count))
    z = np.sqrt(energy) * random.uniform(-0.99, 0.99, count)
    direction = random.normal(size=(count, DIMENSIONS))
    radius = basins.radius[basin] * (energy - z**2) ** (1 / basins.power[basin])
    u = direction * (radius / np.linalg.norm(direction, axis=1))[:, None]
    s = _middle(basins, basin) + HALF_LENGTH * z
    return np.column_stack([s, u, random.uniform(-SPREAD, SPREAD, count)])


# --- as a system of the Wang-Landau kernel


class System(NamedTuple):
    """Walker among basins: the coordinates, and what a move would change."""

    coordinates: np.ndarray  # s, u, t
    half_width: np.ndarray
    middle: np.ndarray  # [2]
    radius: np.ndarray  # [2]
    power: np.ndarray  # [2]
    resolved: np.ndarray  # bool[1]
    squared: np.ndarray  # float64[2]: |u|^2 now and proposed
    move: np.ndarray  # int64[1]
    old: np.ndarray  # float64[1], the coordinate before a proposal


def system(basins: Basins) -> System:
    return System(
        np.zeros(DIMENSIONS + 2),
        basins.half_width,
        np.array([_middle(basins, basin) for basin in BASINS]),
        np.array(basins.radius),
        np.array(basins.power),
        np.array([basins.resolved]),
        np.zeros(2),
        np.zeros(1, np.int64),
        np.zeros(1),
    )


@njit_inlined
def _column(system, squared):
    lowest = np.inf
    for k in range(2):
        z = (system.coordinates[0] - system.middle[k]) / HALF_LENGTH
        lowest = min(lowest, z * z + (squared / system.radius[k] ** 2) ** (system.power[k] / 2))
    return int(np.floor((np.log(max(lowest, 1e-300)) - BOTTOM) / WIDTH))


@njit_inlined
def _row(system):
    s, t = system.coordinates[0], system.coordinates[-1] / SPREAD
    y = t + np.sin(np.pi / 2 * min(max(s / TURN, -1.0), 1.0)) if system.resolved[0] else 2 * t
    return min(max(int((y + 2.0) * ROWS / 4.0), 0), ROWS - 1)


@njit
def _load(system, coordinates):
    system.squared[0] = 0.0
    for i in range(len(coordinates)):
        system.coordinates[i] = coordinates[i]
        if 0 < i < len(coordinates) - 1:
            system.squared[0] += coordinates[i] ** 2


@njit_inlined
def _measure(system):
    return _column(system, system.squared[0]), _row(system)


@njit_inlined
def _propose(system, sigma, generator):
    i = int(generator.random() * len(system.coordinates))
    old = system.coordinates[i]
    new = old + sigma * (2 * generator.random() - 1)
    system.move[0], system.old[0] = i, old
    system.squared[1] = system.squared[0]
    if abs(new) > system.half_width[i]:
        return kernel.OUTSIDE
    system.coordinates[i] = new
    if 0 < i < len(system.coordinates) - 1:
        system.squared[1] += new * new - old * old
    return _column(system, system.squared[1])


@njit_inlined
def _measure_proposal(system):
    return _row(system)


@njit_inlined
def _accept(system):
    system.squared[0] = system.squared[1]


@njit_inlined
def _reject(system):
    system.coordinates[system.move[0]] = system.old[0]


kernel.implement(
    System,
    load=_load,
    measure=_measure,
    propose=_propose,
    measure_proposal=_measure_proposal,
    accept=_accept,
    reject=_reject,
)


# --- as coordinates of molecular dynamics


def target(basins: Basins, starts: np.ndarray) -> Target:
    def coordinates(theta: Tensor) -> tuple[Tensor, Tensor]:
        s, t = theta[:, 0], theta[:, -1] / SPREAD
        squared = theta[:, 1:-1].square().sum(1)
        energies = [
            ((s - _middle(basins, k)) / HALF_LENGTH).square()
            + (squared / basins.radius[k] ** 2) ** (basins.power[k] / 2)
            for k in BASINS
        ]
        y = t + _side(s, torch) if basins.resolved else 2 * t
        return torch.minimum(*energies).log(), y

    return Target(coordinates, Box(torch.as_tensor(basins.half_width)), CONTINUOUS, starts)


# --- starts


def cooled(basins: Basins, way: str, count: int, random: np.random.Generator) -> np.ndarray:
    """Basins, int[count], that states from anywhere in the box come to rest in.

    way: "gradient", steps of 0.02 down the slope of x; "greedy", moves of one parameter by 0.3 U(-1, 1) that lower x.
    """
    observe, wall = target(basins, np.zeros((1, DIMENSIONS + 2))).coordinates, torch.as_tensor(basins.half_width)
    theta = torch.as_tensor(random.uniform(-basins.half_width, basins.half_width, (count, DIMENSIONS + 2)))
    everyone = torch.arange(count)
    for _ in range(300):
        leaf = theta.clone().requires_grad_()
        x = observe(leaf)[0]
        if bool((x < TOP).all()):
            break
        if way == "gradient":
            slope = torch.autograd.grad(x.sum(), leaf)[0]
            new = theta - 0.02 * slope / slope.norm(dim=1, keepdim=True)
            theta = torch.where((x < TOP).unsqueeze(1), theta, new.clamp(-wall, wall))
            continue
        new = theta.clone()
        new[everyone, random.integers(theta.shape[1], size=count)] += torch.as_tensor(random.uniform(-0.3, 0.3, count))
        better = (observe(new)[0] < x.detach()) & (new.abs() <= wall).all(dim=1)
        theta = torch.where((better & (x >= TOP)).unsqueeze(1), new, theta)
    x = observe(theta)[0]
    assert bool((x < TOP).all()), "not all have come to rest: cool longer"
    return np.where(theta[:, 0].numpy() > 0, B, A)
