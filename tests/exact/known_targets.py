"""Coordinates of a vector in a box or on a sphere, whose entropies are known by calculus or by quadrature."""

import numpy as np
import torch
from dynamics_runs import Target
from scipy.special import logsumexp
from torch import Tensor

from entroscape.config.sampler import Axis
from entroscape.domains import Box, Shell
from entroscape.grid import Grid

BALLS = 6, 4  # dimensions of u and v
BALL_AXIS = Axis(min=-2.0, max=0.0, bin_width=0.2)


def squared_lengths(theta: Tensor) -> tuple[Tensor, Tensor]:
    """ln |u|^2 and ln |v|^2. Below 0 both balls lie within the box, and S = 3 x + 2 y."""
    u, v = theta.split(BALLS, dim=1)
    return u.square().sum(1).log(), v.square().sum(1).log()


def balls() -> Target:
    draw, parts = np.random.default_rng(3), []
    for dimensions in BALLS:
        direction = draw.normal(size=(2000, dimensions))
        length = np.exp(draw.uniform(-2, 0, (2000, 1)) / 2)
        parts.append(direction * length / np.linalg.norm(direction, axis=1, keepdims=True))
    grid = Grid.continuous(BALL_AXIS, BALL_AXIS, "ln_test_loss")
    box = Box(torch.ones(sum(BALLS), dtype=torch.float64))
    return Target(squared_lengths, box, grid, np.concatenate(parts, axis=1))


# Three parameters in a box, and coordinates that are sums of nothing: a sign lost anywhere moves volume between bins.
HALF_WIDTHS = np.array([1.2, 1.0, 0.9])
ACCURACIES = 4
SURFACE_GRID = Grid.continuous(
    Axis(min=-0.4, max=1.0, bin_width=0.2), Axis(min=-0.8, max=0.8, bin_width=0.2), "ln_test_loss"
)


def surface(a, b, c, functions):
    x = 0.7 * a + 0.25 * a * a + 0.5 * b * c + 0.3 * functions.sin(2 * b)
    y = 0.8 * b - 0.3 * c * c + 0.4 * a * c + 0.5 * functions.exp(0.6 * c) - 0.5
    return x, y


def surface_accuracy(a, b, c):
    """What stands for the true accuracy, in quarters: not a function of x and y."""
    right = [a > 0.2, b > -0.1, c > 0.3, a + b + c > 0]
    return sum(1.0 * one for one in right) / ACCURACIES


def _even_places(points: int, shift: float) -> list[np.ndarray]:
    """Points of an additive recurrence (Roberts 2018) in the box, as in `quadrature`."""
    number, steps = np.arange(points), 1.2207440846057596 ** -np.arange(1, 4)
    return [w * (2 * ((shift + step * number) % 1) - 1) for step, w in zip(steps, HALF_WIDTHS, strict=True)]


def surface_entropy(points: int, shift: float = 0.5) -> np.ndarray:
    """ln of the share of the box in each bin."""
    places = _even_places(points, shift)
    counts = np.histogram2d(*surface(*places, np), bins=[SURFACE_GRID.x_edges, SURFACE_GRID.y_edges])[0]
    return np.log(counts / points)


def surface_entropy_by_accuracy(points: int, shift: float = 0.5) -> np.ndarray:
    """ln of the share of the box in each column at each accuracy, where y is on its axis, [columns, accuracies]."""
    places = _even_places(points, shift)
    x, y = surface(*places, np)
    on_axis = (y >= SURFACE_GRID.y_edges[0]) & (y < SURFACE_GRID.y_edges[-1])
    edges = [SURFACE_GRID.x_edges, (np.arange(ACCURACIES + 2) - 0.5) / ACCURACIES]
    counts = np.histogram2d(x[on_axis], surface_accuracy(*places)[on_axis], bins=edges)[0]
    with np.errstate(divide="ignore"):
        return np.log(counts / points)


def uneven() -> Target:
    """The surface, from starts all over the box."""
    starts = np.random.default_rng(0).uniform(-HALF_WIDTHS, HALF_WIDTHS, (2000, 3))
    return Target(
        lambda t: surface(*t.unbind(1), torch),
        Box(torch.as_tensor(HALF_WIDTHS)),
        SURFACE_GRID,
        starts,
        lambda t: surface_accuracy(*t.unbind(1)),
        ACCURACIES,
    )


# Blocks of a vector on a sphere, as shares of its squared length.
BLOCKS = 6, 4, 10  # dimensions of u, v and the rest
RADIUS = 2.0


def shell(motion="geodesic", radius=RADIUS) -> Shell:
    return Shell(torch.tensor(radius, dtype=torch.float64), motion)


def shares(theta: Tensor) -> list[Tensor]:
    """Share of each block in the squared length, [W] each."""
    return [block.square().sum(1) / RADIUS**2 for block in theta.split(BLOCKS, dim=1)]


SPHERE_AXIS = Axis(min=-2.2, max=-1.0, bin_width=0.2)
SPHERE_GRID = Grid.continuous(SPHERE_AXIS, SPHERE_AXIS, "ln_test_loss")
FINE = 20  # points along a bin, for its mean


def sphere_entropy() -> np.ndarray:
    """ln of the volume of each bin in x = ln of the share of u, y = ln of that of v, up to a constant."""
    fine = (np.arange(SPHERE_GRID.columns * FINE) + 0.5) * SPHERE_AXIS.bin_width / FINE + SPHERE_AXIS.min
    x, y = np.meshgrid(fine, fine, indexing="ij")
    u, v, rest = (size / 2 for size in BLOCKS)
    entropy = u * x + v * y + (rest - 1) * np.log(1 - np.exp(x) - np.exp(y))
    return logsumexp(entropy.reshape(SPHERE_GRID.columns, FINE, SPHERE_GRID.rows, FINE), axis=(1, 3))


def sphere(motion: str = "geodesic") -> Target:
    """Coordinates that are logarithms of shares, and starts in all bins."""
    draw, parts = np.random.default_rng(3), []
    u, v = np.exp(draw.uniform(SPHERE_AXIS.min, SPHERE_AXIS.max, (2, 2000, 1)))
    for share, size in zip((u, v, 1 - u - v), BLOCKS, strict=True):
        direction = draw.normal(size=(2000, size))
        parts.append(RADIUS * np.sqrt(share) * direction / np.linalg.norm(direction, axis=1, keepdims=True))
    starts = np.concatenate(parts, axis=1)
    return Target(lambda t: tuple(s.log() for s in shares(t)[:2]), shell(motion), SPHERE_GRID, starts)
