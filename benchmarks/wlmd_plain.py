"""Wang-Landau molecular dynamics as one writes it first, and as it was published: a walker at a time.

A `torch.nn.Module` for each walker, a Python loop over its tensors for velocities and walls, and the entropy map read
back to the host at every step. The algorithm is that of `entroscape.sampling.molecular_dynamics` with the first-order
integrator: given the same random numbers it makes the same trajectories (a test holds it to that), so the ratio of the
speeds is what batching gains.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import vector_to_parameters

from entroscape.config.sampler import MolecularDynamics, TestCoordinate
from entroscape.grid import Grid
from entroscape.models.cnn import cnn_shape
from entroscape.observables import ln_loss, test_coordinates

CUT = 4.0  # standard deviations at which a deposit ends


def plain_cnn(shape: tuple[int, int, int], channels: int, outputs: int) -> nn.Sequential:
    """The network of the MNIST task."""
    layers: list[nn.Module] = []
    sizes = cnn_shape(*shape[1:])
    for number, pool in enumerate(sizes.pools):
        layers += [nn.Conv2d(channels if number else shape[0], channels, 3, padding=1), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if pool else []
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * math.prod(sizes.last), outputs))


@dataclass(frozen=True)
class Task:
    """Images and labels, and the coordinate of the landscape beside ln of the training loss."""

    x_train: Tensor  # [N, C, Y, X]
    y_train: Tensor  # [N]
    x_test: Tensor  # [M, C, Y, X]
    y_test: Tensor  # [M]
    y: TestCoordinate


class Axis:
    """One coordinate of the map: its bins, and the walls that keep walkers between two edges of bins."""

    def __init__(self, lower: float, width: float, count: int, edges: tuple[float, float], stiffness: float):
        self.first, self.width, self.count = lower + width / 2, width, count
        self.edges, self.stiffness = edges, stiffness
        self.inside = round((edges[0] - lower) / width), round((edges[1] - lower) / width) - 1

    def position(self, value: float) -> float:
        """Where a value is, counted in bins from the middle of the first."""
        return (value - self.first) / self.width

    def weights(self, value: float) -> tuple[dict[int, float], dict[int, float]]:
        """Weight and slope of weight of each bin in the cubic B-spline at a value.

        Beyond the outermost bins inside the edges the map goes on as a straight line through the last two.
        """
        position, (first, last) = self.position(value), self.inside
        weights: dict[int, float] = {}
        slopes: dict[int, float] = {}
        for node in range(math.floor(position) - 1, math.floor(position) + 3):
            weight, slope = _spline(position - node)
            edge = min(max(node, first), last)
            beyond = abs(node - edge)
            for place, share in ((edge, 1 + beyond), (edge + (edge > node) - (edge < node), -beyond)):
                if share:
                    weights[place] = weights.get(place, 0.0) + share * weight
                    slopes[place] = slopes.get(place, 0.0) + share * slope / self.width
        return weights, slopes

    def push(self, value: float) -> float:
        """Slope of the wall's energy."""
        return 2 * self.stiffness * (max(value - self.edges[1], 0.0) + min(value - self.edges[0], 0.0))

    def gaussian(self, value: float, deviation: float, like: Tensor) -> tuple[slice, Tensor]:
        """The bins that a deposit `deviation` bins wide reaches, and its height there."""
        position, reach = self.position(value), CUT * deviation
        first, last = max(math.ceil(position - reach), 0), min(math.floor(position + reach), self.count - 1)
        nodes = torch.arange(first, max(last + 1, first), dtype=like.dtype, device=like.device)
        return slice(first, max(last + 1, first)), torch.exp(-0.5 * ((position - nodes) / deviation) ** 2)


def _spline(distance: float) -> tuple[float, float]:
    """Cubic B-spline and its slope at a distance from its node."""
    outer, inner = max(2 - abs(distance), 0.0), max(1 - abs(distance), 0.0)
    return (outer**3 - 4 * inner**3) / 6, math.copysign(1.0, distance) * (2 * inner**2 - outer**2 / 2)


class Walker:
    """One network on its way through the landscape."""

    def __init__(self, module: nn.Module, theta: Tensor, velocity: Tensor, half_width: Tensor):
        self.module = module
        vector_to_parameters(theta.clone(), module.parameters())
        self.velocity, self.half_width = (self._tensors(vector) for vector in (velocity, half_width))
        self.force: list[Tensor] = []
        self.x = self.y = math.nan

    def move(self, noise: Tensor, step: float, friction: float) -> None:
        """Kick, friction and noise, drift, walls; noise[P] are normal numbers."""
        amplitude = math.sqrt(2 * friction * step)
        with torch.no_grad():
            kicks = self._tensors(noise)
            for number, parameter in enumerate(self.module.parameters()):
                velocity, half_width = self.velocity[number], self.half_width[number]
                velocity = velocity + step * self.force[number] - step * friction * velocity + amplitude * kicks[number]
                moved = parameter + step * velocity
                beyond = moved.abs() > half_width
                parameter.copy_(torch.where(beyond, 2 * half_width * moved.sign() - moved, moved))
                self.velocity[number] = torch.where(beyond, -velocity, velocity)

    def evaluate(self, task: Task, entropy: Tensor, axes: tuple[Axis, Axis]) -> None:
        """Coordinates, and the force of the map and the walls."""
        x = ln_loss(self.module(task.x_train).unsqueeze(0), task.y_train)
        y, _ = test_coordinates(self.module(task.x_test).unsqueeze(0), task.y_test, task.y)
        self.x, self.y = x.item(), y.item()
        (weights_x, slopes_x), (weights_y, slopes_y) = axes[0].weights(self.x), axes[1].weights(self.y)
        slope_x, slope_y = axes[0].push(self.x), axes[1].push(self.y)
        for column in weights_x:
            for row in weights_y:
                value = entropy[column, row].item()
                slope_x += slopes_x[column] * weights_y[row] * value
                slope_y += weights_x[column] * slopes_y[row] * value
        gradient = torch.autograd.grad(slope_x * x + slope_y * y, list(self.module.parameters()))
        self.force = [-part for part in gradient]

    def deposit(self, entropy: Tensor, axes: tuple[Axis, Axis], height: float, deviation: float) -> None:
        """Raise the map where the walker is."""
        columns, along = axes[0].gaussian(self.x, deviation, entropy)
        rows, across = axes[1].gaussian(self.y, deviation, entropy)
        entropy[columns, rows] += height * along.unsqueeze(1) * across

    def _tensors(self, vector: Tensor) -> list[Tensor]:
        """Parts of a vector[P] in the shapes of the module's parameters."""
        parts = vector.split([parameter.numel() for parameter in self.module.parameters()])
        return [part.reshape(p.shape).clone() for part, p in zip(parts, self.module.parameters(), strict=True)]


class PlainDynamics:
    """Walkers that share one map, in one window."""

    def __init__(self, task: Task, walkers: list[Walker], grid: Grid, settings: MolecularDynamics):
        self.task, self.walkers, self.settings = task, walkers, settings
        (window,) = settings.windows
        y_edges = float(grid.y_edges[0]), float(grid.y_edges[-1])
        self.axes = (
            Axis(grid.x_min, grid.bin_width, grid.columns, window, settings.confinement.x),
            Axis(grid.y_min, grid.y_width, grid.rows, y_edges, settings.confinement.y),
        )
        self.entropy = torch.zeros(grid.columns, grid.rows, dtype=torch.float64, device=task.x_train.device)
        for walker in walkers:
            walker.evaluate(task, self.entropy, self.axes)

    def step(self, noise: Tensor) -> None:
        """One step of all walkers; noise[W, P] are normal numbers."""
        settings = self.settings
        for walker, numbers in zip(self.walkers, noise, strict=True):
            walker.move(numbers, settings.time_step.initial, settings.friction)
            walker.evaluate(self.task, self.entropy, self.axes)
        for walker in self.walkers:
            walker.deposit(self.entropy, self.axes, settings.factor, settings.deposit_width)
