"""A steep target at a time step that is too long: S of the lowest column is wrong, the acceptance looks harmless.

x = ln |D u|^2 with a diagonal D and y = ln |v|^2: S = 20 x + 5 y as long as both lie within the box. Forces grow as
1 / |u|, and are largest in the wall below the lowest column.
"""

import numpy as np
import torch
import xarray as xr
from dynamics_runs import Target, dynamics_settings, fixed, landscape_of
from scipy.special import logsumexp
from torch import Tensor

from entroscape.config.sampler import Axis
from entroscape.domains import Box
from entroscape.grid import Grid

BLOCKS = 40, 10  # dimensions of u and v
SCALES = torch.logspace(0, np.log10(3), BLOCKS[0], dtype=torch.float64)  # D
STEEP_GRID = Grid.continuous(
    Axis(min=-2.0, max=0.0, bin_width=0.2), Axis(min=-1.0, max=0.0, bin_width=0.25), "ln_test_loss"
)
TOO_LONG = 0.0085  # with baoab the acceptance is 0.96, and S of the lowest column 0.25 to 0.6 too low
FAIR = 0.006


def steep_entropy() -> np.ndarray:
    """S of each bin, [columns, rows], up to a constant."""
    u, v = BLOCKS
    return u / 2 * STEEP_GRID.x_centres[:, None] + v / 2 * STEEP_GRID.y_values


def squared_lengths(theta: Tensor) -> tuple[Tensor, Tensor]:
    """ln |D u|^2 and ln |v|^2."""
    u, v = theta.split(BLOCKS, dim=1)
    return (SCALES * u).square().sum(1).log(), v.square().sum(1).log()


def steep() -> Target:
    """The target, and starts in all bins."""
    draw, parts = np.random.default_rng(3), []
    lowest = STEEP_GRID.x_edges[0], STEEP_GRID.y_edges[0]
    for size, lower, scales in zip(BLOCKS, lowest, (SCALES.numpy(), 1.0), strict=True):
        direction = draw.normal(size=(2000, size))
        length = np.exp(draw.uniform(lower, 0, (2000, 1)) / 2)
        parts.append(direction * length / np.linalg.norm(direction, axis=1, keepdims=True) / scales)
    box = Box(torch.ones(sum(BLOCKS), dtype=torch.float64))
    return Target(squared_lengths, box, STEEP_GRID, np.concatenate(parts, axis=1))


def steep_landscape(time_step: float, *names, **changes) -> xr.Dataset:
    """Two replicas at this time step, merged; `names` seed them."""
    windows = [(float(STEEP_GRID.x_edges[0]), float(STEEP_GRID.x_edges[-1]))]
    usual = dict(walkers=32, factor=0.02, explore=1500, refine=2500, production=4000, time_step=fixed(time_step))
    settings = dynamics_settings(windows, confinement=dict(x=120.0, y=30.0), **usual | changes)
    return landscape_of(steep(), settings, "steep", *names)


def column_biases(landscape: xr.Dataset) -> np.ndarray:
    """ln of the volume of each column, found less exact, without the median over columns; [columns]."""
    difference = logsumexp(landscape["entropy"].to_numpy(), axis=1) - logsumexp(steep_entropy(), axis=1)
    return np.asarray(difference - np.median(difference))
