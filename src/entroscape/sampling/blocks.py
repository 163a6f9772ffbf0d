"""A problem whose density of states is known exactly: the norms of two blocks of parameters.

theta = (u, v) lies in the box [-1, 1]^P; x = ln |u|^2 and y = ln |v|^2. As long as both spheres lie in the box, that is
for x < 0 and y < 0, a block of d parameters has the volume exp(d x / 2) dx up to a constant factor, so that
S(x, y) = d_u x / 2 + d_v y / 2 + constant. The slopes of x and y grow as 1 / |u| and 1 / |v| towards low values: the
problem has the steep side that networks have at low losses.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from entroscape.domains import Box
from entroscape.models.layout import ParameterLayout
from entroscape.sampling.coordinates import Coordinates


@dataclass(frozen=True)
class Blocks:
    """Two blocks of `first` and `second` parameters."""

    first: int
    second: int

    @property
    def layout(self) -> ParameterLayout:
        """Names of the two blocks."""
        return ParameterLayout(("u", "v"), ((self.first,), (self.second,)))

    @property
    def box(self) -> Box:
        """The box, in float64."""
        return Box(torch.ones(self.first + self.second, dtype=torch.float64))

    def observe(self, theta: Tensor) -> Coordinates:
        """x and y of theta[W, P]; there is no accuracy."""
        u, v = theta.split([self.first, self.second], dim=1)
        x, y = (block.square().sum(1).log() for block in (u, v))
        return Coordinates(x, y, torch.full_like(x, torch.nan))

    def entropy(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """S at each x and y below 0, [columns, rows], up to a constant."""
        return self.first / 2 * np.asarray(x)[:, None] + self.second / 2 * np.asarray(y)

    def starts(self, count: int, lower: float, upper: float, random: np.random.Generator) -> np.ndarray:
        """States with x and y uniform in [lower, upper), upper <= 0, and directions uniform, float64[count, P]."""
        parts = []
        for size in (self.first, self.second):
            direction = random.normal(size=(count, size))
            radius = np.exp(random.uniform(lower, upper, (count, 1)) / 2)
            parts.append(radius * direction / np.linalg.norm(direction, axis=1, keepdims=True))
        return np.concatenate(parts, axis=1)
