"""Histograms drawn from a known density of states under known weights, as an ideal sampler would leave them."""

import numpy as np
import xarray as xr

from entroscape.grid import MAP, Grid

GRID = Grid(x_min=-3.0, bin_width=0.25, columns=12, rows=6)
WINDOWS = [(4, 12), (0, 7)]  # columns
BLOCKS = 8


def true_entropy() -> np.ndarray:
    """ln g: falls steeply to low loss as for networks, rows matter, some bins hold nothing."""
    column, row = np.indices((GRID.columns, GRID.rows))
    entropy = 3.0 * column - 0.1 * column**2 - 0.7 * (row - 2 - 0.1 * column) ** 2
    entropy[:, 0] = entropy[:3, 5] = -np.inf
    return entropy


def weights(random: np.random.Generator, windows=WINDOWS, noise=0.3) -> np.ndarray:
    """Rough estimates of ln g that a run would use as weights, [window, columns, rows]; -inf outside the window."""
    truth = true_entropy()
    found = np.full((len(windows), *truth.shape), -np.inf)
    for weight, (first, last) in zip(found, windows, strict=True):
        known = np.where(np.isfinite(truth), truth, truth[np.isfinite(truth)].min())
        weight[first:last] = (known + random.normal(0, noise, truth.shape) + random.normal(0, 10))[first:last]
    return found


def draw(random: np.random.Generator, weight: np.ndarray, visits: int, entropy: np.ndarray | None = None) -> np.ndarray:
    """Histogram of independent visits with probability g exp(-W)."""
    with np.errstate(invalid="ignore"):
        exponent = np.where(np.isfinite(weight), (true_entropy() if entropy is None else entropy) - weight, -np.inf)
    chance = np.exp(exponent - exponent.max())
    return random.multinomial(visits, (chance / chance.sum()).ravel()).reshape(weight.shape)


def run(
    random: np.random.Generator, walkers=4, visits=2000, windows=WINDOWS, entropies=None, weight=None
) -> xr.Dataset:
    """Dataset of one run of replica exchange; `entropies` may give each window a density of states of its own."""
    weight = weights(random, windows) if weight is None else weight
    entropies = [None] * len(windows) if entropies is None else entropies
    histogram = [
        [[draw(random, weight[m], visits, entropies[m]) for _ in range(walkers)] for m in range(len(windows))]
        for _ in range(BLOCKS)
    ]
    per_window = ("window", np.ones(len(windows)))
    return xr.Dataset(
        {
            "histogram": (("block", "window", "walker", *MAP), np.array(histogram)),
            "weight_entropy": (("window", *MAP), weight),
            "window_edges": (("window", "edge"), GRID.x_edges[np.array(windows)]),
            "sigma": per_window,
            "acceptance": per_window,
            "flatness": per_window,
            "exchange_rate": ("overlap", np.ones(len(windows) - 1)),
            "round_trips": ("configuration", np.ones(len(windows) * walkers, dtype=int)),
        },
        GRID.coordinates,
        {"procedure": "replica_exchange", "moves": 1},
    )


def cycles_run(entropy: np.ndarray, spread: np.ndarray | None = None) -> xr.Dataset:
    """Dataset of one run of the published procedure whose instances are `entropy` plus `spread`[instance, ...]."""
    spread = np.zeros((2, *entropy.shape)) if spread is None else spread
    return xr.Dataset(
        {
            "entropy": (MAP, entropy),
            "entropy_instances": (("instance", *MAP), entropy + spread),
            "histogram": (MAP, np.isfinite(entropy).astype(int)),
            "first_visit": (MAP, np.isfinite(entropy).astype(int)),
            "sigma": ("window", np.ones(1)),
        },
        GRID.coordinates,
        {"procedure": "cycles", "moves": 1},
    )
