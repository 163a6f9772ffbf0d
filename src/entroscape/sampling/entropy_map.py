"""A smooth entropy map S(x, y): its values and slopes where walkers are, and what their visits add to it.

M windows have a map each, as one tensor entropy[M, columns, rows] of values at the middles of the landscape's bins.
Between them S is a cubic B-spline, so that it has continuous slopes; beyond the edges of a window and of the y axis it
goes on as a straight line. A deposit is a product of two Gaussians, and all of a step are one dense product over all
bins: no shape and no branch depends on where a walker is, and sums over walkers are made in one order only.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from entroscape.grid import Grid
from entroscape.numba_cache import compiled
from entroscape.sampling import map_kernels

CUT = 4.0  # standard deviations at which a deposit ends, as published


class Potential(NamedTuple):
    """The potential U and its slopes at the places of K walkers in each of M windows, in units of kT."""

    energy: Tensor  # [M, K]
    slope_x: Tensor  # [M, K]
    slope_y: Tensor  # [M, K]


class Stencil(NamedTuple):
    """Along one coordinate: the nodes that each of K places feels, their weights, and slopes of the weights."""

    node: Tensor  # int64[M, K, nodes]
    weight: Tensor  # [M, K, nodes]
    slope: Tensor  # [M, K, nodes]

    def dense(self, count: int) -> Tensor:
        """Weights of all nodes, [M, K, count]; a node may stand in the stencil more than once."""
        nodes = torch.arange(count, device=self.node.device)
        result = self.weight.new_zeros(*self.weight.shape[:2], count)
        for node, weight in zip(self.node.split(1, dim=2), self.weight.split(1, dim=2), strict=True):
            result += torch.where(node == nodes, weight, 0.0)
        return result


@dataclass(frozen=True)
class Nodes:
    """The middles of bins along one coordinate, and where they end for each window."""

    first: float  # coordinate of node 0
    width: float  # distance of nodes
    count: int
    edges: Tensor  # float64[M, 2] coordinates between which walkers belong
    inside: Tensor  # int64[M, 2] first and last node between them

    @classmethod
    def of(cls, lower: float, width: float, count: int, edges: Tensor) -> "Nodes":
        """Nodes of `count` bins of `width` from `lower`; edges[M, 2] are edges of bins."""
        bins = ((edges - lower) / width).round().long()
        return cls(lower + width / 2, width, count, edges, bins - torch.tensor([0, 1], device=edges.device))

    def stencil(self, value: Tensor) -> "Stencil":
        """The nodes that S at value[M, K] follows from.

        Each of the four nodes of the spline beyond an edge is what the straight line through the last two nodes before
        the edge says, so there are eight.
        """
        position = (value - self.first) / self.width
        nodes = position.floor().unsqueeze(2) + torch.arange(-1.0, 3.0, device=value.device, dtype=value.dtype)
        weight, slope = spline(position.unsqueeze(2) - nodes)
        first, last = (edge.to(value.dtype).unsqueeze(2) for edge in (self.inside[:, :1], self.inside[:, 1:]))
        edge = torch.minimum(torch.maximum(nodes, first), last)
        beyond = nodes - edge
        inner = torch.minimum(torch.maximum(edge - beyond.sign(), first), last)
        share = torch.cat([1 + beyond.abs(), -beyond.abs()], dim=2)
        index = torch.cat([edge, inner], dim=2).nan_to_num(0.0).long()
        return Stencil(index, share * weight.repeat(1, 1, 2), share * slope.repeat(1, 1, 2) / self.width)

    @property
    def middles(self) -> Tensor:
        """Middles of the bins, float64[count]; made on the device, so that nothing is copied there."""
        numbers = torch.arange(self.count, device=self.edges.device, dtype=torch.float64)
        return self.first + self.width * numbers

    def gaussian(self, value: Tensor, width: float) -> Tensor:
        """Gaussian[M, K, count] around value[M, K], `width` bins wide, at the nodes."""
        nodes = torch.arange(self.count, device=value.device, dtype=value.dtype)
        distance = (((value - self.first) / self.width).unsqueeze(-1) - nodes) / width
        return torch.where(distance.abs() <= CUT, (-0.5 * distance * distance).exp(), 0.0)

    def wall(self, value: Tensor, stiffness: float) -> tuple[Tensor, Tensor]:
        """Energy and slope[M, K] of stiffness * (distance from value[M, K] to the window)^2."""
        lower, upper = self.edges[:, :1], self.edges[:, 1:]
        excess = (value - upper).clamp(min=0) + (value - lower).clamp(max=0)
        return stiffness * excess * excess, 2 * stiffness * excess


@dataclass(frozen=True)
class EntropyMap:
    """Geometry of the maps of all windows, and the energy that keeps walkers within them.

    stiffness: of the confinement in x and y, in kT per squared unit of the coordinate. depth: bins of a window further
    below the best of their column are not flattened. deposit_width: standard deviation of a deposit, in bins.
    """

    x: Nodes
    y: Nodes
    stiffness: tuple[float, float]
    depth: float
    deposit_width: float

    @classmethod
    def of(
        cls,
        grid: Grid,
        windows: Tensor,
        stiffness: tuple[float, float],
        depth: float,
        deposit_width: float,
    ) -> "EntropyMap":
        """Maps on the bins of a landscape whose y is continuous; windows float64[M, 2] are edges in x.

        Raises ValueError for a window that is not within the grid.
        """
        assert grid.y_width is not None, "a map needs slopes in y"
        for lower, upper in windows.tolist():
            grid.window(lower, upper)
        y_edges = torch.tensor(grid.y_edges[[0, -1]], device=windows.device).expand(len(windows), 2)
        x = Nodes.of(grid.x_min, grid.bin_width, grid.columns, windows)
        y = Nodes.of(grid.y_min, grid.y_width, grid.rows, y_edges)
        return cls(x, y, stiffness, depth, deposit_width)

    @property
    def area(self) -> float:
        """Sum over all bins of a deposit of unit height, far from the edges."""
        return float(2 * torch.pi * self.deposit_width**2)

    def zeros(self) -> Tensor:
        """Empty maps, float64[M, columns, rows]."""
        shape = (len(self.x.edges), self.x.count, self.y.count)
        return torch.zeros(shape, dtype=torch.float64, device=self.x.edges.device)

    def felt(self, entropy: Tensor) -> Tensor:
        """The nodes of the map that walkers feel: S, but at most `depth` below the best of its column.

        Where S is deeper the density of states itself keeps walkers away, and they visit with its own weight.
        """
        return torch.maximum(entropy, entropy.amax(dim=2, keepdim=True) - self.depth)

    def potential(self, felt: Tensor, x: Tensor, y: Tensor) -> Potential:
        """U = S + confinement at x[M, K], y[M, K] on maps `felt`."""
        if compiled(felt) and not (x.requires_grad or y.requires_grad):
            return self._compiled_potential(felt, x, y)
        at_x, at_y = self.x.stencil(x), self.y.stencil(y)
        index = at_x.node.unsqueeze(3) * self.y.count + at_y.node.unsqueeze(2)
        nodes = felt.flatten(1).gather(1, index.flatten(1)).reshape(index.shape)
        along, across = ((weight.unsqueeze(3) * nodes).sum(2) for weight in (at_x.weight, at_x.slope))
        wall_x, push_x = self.x.wall(x, self.stiffness[0])
        wall_y, push_y = self.y.wall(y, self.stiffness[1])
        return Potential(
            (along * at_y.weight).sum(2) + wall_x + wall_y,
            (across * at_y.weight).sum(2) + push_x,
            (along * at_y.slope).sum(2) + push_y,
        )

    def _compiled_potential(self, felt: Tensor, x: Tensor, y: Tensor) -> Potential:
        found = felt.new_empty(3, *x.shape)
        along = [array for nodes in (self.x, self.y) for array in (nodes.inside.numpy(), nodes.edges.numpy())]
        steps = np.array([[nodes.first, nodes.width] for nodes in (self.x, self.y)])
        scratch = np.empty((2, map_kernels.NODES), dtype=np.int64), *np.empty((2, 2, map_kernels.NODES))
        places = x.double().contiguous().numpy(), y.double().contiguous().numpy()
        map_kernels.potential(
            felt.contiguous().numpy(), *places, steps, *along, np.array(self.stiffness), *scratch, found.numpy()
        )
        return Potential(*found)

    def potential_on_grid(self, felt: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """U at every pair of x[M, columns] and y[M, rows] on maps `felt`, [M, columns, rows]."""
        weight_x, weight_y = self.x.stencil(x).dense(self.x.count), self.y.stencil(y).dense(self.y.count)
        walls = self.x.wall(x, self.stiffness[0])[0].unsqueeze(2) + self.y.wall(y, self.stiffness[1])[0].unsqueeze(1)
        return weight_x @ felt @ weight_y.mT + walls

    def deposit(self, entropy: Tensor, x: Tensor, y: Tensor, height: Tensor) -> None:
        """Add to `entropy`, in place, a Gaussian of `height`[M, 1, 1] at each x[M, K], y[M, K]."""
        at_x, at_y = self.x.gaussian(x, self.deposit_width), self.y.gaussian(y, self.deposit_width)
        entropy.baddbmm_(at_x.mT * height, at_y)


def spline(distance: Tensor) -> tuple[Tensor, Tensor]:
    """Cubic B-spline and its derivative at distances from its node, in units of the spacing of nodes."""
    size = distance.abs()
    outer, inner = (2 - size).clamp(min=0), (1 - size).clamp(min=0)
    outer2, inner2 = outer * outer, inner * inner
    value = (outer2 * outer - 4 * inner2 * inner) / 6
    return value, torch.sign(distance) * (2 * inner2 - outer2 / 2)
