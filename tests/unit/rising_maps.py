"""Landscapes that rise from memorising to generalising states, with or without a valley, and noise of known size."""

import numpy as np
import xarray as xr

from entroscape.config.sampler import Axis
from entroscape.config.schema import Analysis
from entroscape.grid import Grid

GRID = Grid.continuous(Axis(min=-2.5, max=0.5, bin_width=0.1), Axis(min=0, max=1, bin_width=0.04), "smoothed_accuracy")
SETTINGS = Analysis(low_loss=(-2.0, -1.0), generalising=0.75, memorising=0.25, confidence=0.95)
LOW = (GRID.x_centres > -2.0) & (GRID.x_centres < -1.0)
MAPS = ("entropy", "entropy_left_out", "entropy_by_accuracy", "entropy_by_accuracy_left_out")
ROOM = 10.0  # difference of S between accuracies 0 and 1 without a valley


def surface(depth: float | None = None, rise: float = 2 * ROOM) -> np.ndarray:
    """S[columns, rows]: falls to low loss, rises to high accuracy and levels off there.

    `depth`: a valley across accuracy 0.5 in all columns, so deep below the lower side where the rise is gentle.
    """
    x, y = np.meshgrid(GRID.x_centres, GRID.y_values, indexing="ij")
    entropy = 30 * np.minimum(x, 0)
    if depth is None:
        return entropy + rise * (y - y**2 / 2)
    return entropy + y - depth * np.exp(-(((y - 0.5) / 0.08) ** 2))


def landscape(
    entropy: np.ndarray, random: np.random.Generator, error: float = 0.2, units: int = 16, common: float = 0.5
) -> xr.Dataset:
    """What a merge would leave of independent units: normal noise in every bin, and a tilt in accuracy of each unit."""
    own = random.normal(size=(units, *entropy.shape)) + common * random.normal(size=(units, 1, 1)) * GRID.y_values
    found = entropy + np.sqrt(units) * error * own
    mean = found.mean(axis=0)
    left_out = (found.sum(axis=0) - found) / (units - 1)
    true = ("ln_train_loss", "test_accuracy")  # the smooth accuracy is the true one here
    return xr.Dataset(
        {
            "entropy": (GRID.dimensions, mean - mean.max()),
            "entropy_left_out": (("unit", *GRID.dimensions), left_out - mean.max()),
            "entropy_by_accuracy": (true, mean - mean.max()),
            "entropy_by_accuracy_left_out": (("unit", *true), left_out - mean.max()),
            "visited": (GRID.dimensions, np.isfinite(mean)),
        },
        GRID.coordinates | {"test_accuracy": GRID.y_values},
    )


def exactly(entropy: np.ndarray) -> xr.Dataset:
    """The same without noise."""
    return landscape(entropy, np.random.default_rng(0), error=0.0)
