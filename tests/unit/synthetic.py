"""Histograms drawn from a known density of states under known weights, as an ideal sampler would leave them."""

import numpy as np
import xarray as xr
from scipy.special import expit

from entroscape.config.sampler import Axis
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
            "round_trips_in_y": ("configuration", np.ones(len(windows) * walkers, dtype=int)),
            "start_kind": (("window", "walker"), np.full((len(windows), walkers), "cooled")),
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


# Runs of molecular dynamics, whose test metric is continuous.

KINDS = {
    "ln_test_loss": (Axis(min=-3, max=3, bin_width=0.1), lambda x: 0.5 + 0.3 * x + 0.15 * x**2, 0.35),
    "smoothed_accuracy": (Axis(min=0, max=1, bin_width=0.02), lambda x: 0.55 - 0.08 * x, 0.06),
    "smoothed_accuracy_logit": (Axis(min=-3, max=4, bin_width=0.125), lambda x: 0.2 - 0.55 * x, 0.5),
}
EPSILON = 1e-4
ACCURACIES = 50  # steps of the true accuracy
EDGES = ((-1.5, 0.5), (-3.0, -1.0), (-4.0, -2.5))  # of windows


def dynamics_grid(kind: str, bin_width: float = 0.1) -> Grid:
    return Grid.continuous(Axis(min=-4, max=0.5, bin_width=bin_width), KINDS[kind][0], kind)


def dynamics_entropy(grid: Grid) -> np.ndarray:
    """ln g of a continuous metric: a ridge of Gaussian profile that falls steeply to low loss."""
    _, centre, width = KINDS[grid.name]
    x, y = np.meshgrid(grid.x_centres, grid.y_values, indexing="ij")
    return 30 * np.minimum(x, 0) - 8 * np.maximum(x, 0) ** 2 - (y - centre(x)) ** 2 / (2 * width**2)


def true_accuracy(grid: Grid) -> np.ndarray:
    """Mean true accuracy of the states of each bin, [columns, rows]: not quite the smoothed one."""
    smooth = expit(grid.y_values) if grid.name.endswith("logit") else grid.y_values
    return np.clip(smooth + 0.03, 0, 1) + 0.0 * grid.x_centres[:, None]


def dynamics_run(
    random: np.random.Generator,
    grid: Grid,
    walkers: int = 4,
    visits: int = 4000,
    edges=EDGES,
    noise: float = 0.2,
    entropy: np.ndarray | None = None,
    round_trips: int = 1,
) -> xr.Dataset:
    """Dataset of one run of molecular dynamics: visits with weights between exp(-0.2) and exp(0.2).

    `noise` is that of the frozen potential, and of a common error of each walker, as of one that has not got around.
    """
    truth = dynamics_entropy(grid) if entropy is None else entropy
    windows = [grid.window(*pair) for pair in edges]
    weights = np.full((len(windows), *truth.shape), -np.inf)
    histogram = np.zeros((BLOCKS, len(windows), walkers, *truth.shape))
    for m, (first, last) in enumerate(windows):
        floor = truth[first:last].max(axis=1, keepdims=True) - 10
        rough = np.maximum(truth[first:last], floor) + random.normal(0, noise, truth[first:last].shape)
        weights[m, first:last] = rough + random.normal(0, 10)
        for k in range(walkers):
            stuck = truth + random.normal(0, noise / 4) * grid.x_centres[:, None]
            for block in range(BLOCKS):
                drawn = draw(random, weights[m], visits, stuck)
                histogram[block, m, k] = drawn * np.exp(random.uniform(-0.2, 0.2, truth.shape))
    dims = grid.dimensions
    per_window = ("window", np.full(len(windows), 0.7))
    variables = {
        "histogram": (("block", "window", "walker", *dims), histogram),
        "weight_entropy": (("window", *dims), weights),
        "window_edges": (("window", "edge"), np.array(edges, dtype=float)),
        "time_step": ("window", np.full(len(windows), 1e-3)),
        "kinetic_temperature": (("window", "tensor"), np.full((len(windows), 2), 1.01)),
        "acceptance": per_window,
        "flatness": per_window,
        "exchange_rate": ("overlap", np.full(len(windows) - 1, 0.3)),
        "round_trips": ("configuration", np.full(len(windows) * walkers, round_trips)),
        "round_trips_in_y": ("configuration", np.full(len(windows) * walkers, round_trips)),
        "start_kind": (("window", "walker"), np.full((len(windows), walkers), "cooled")),
    }
    begun = histogram.sum(axis=(0, 2))
    variables["steps_begun"] = (("window", *dims), begun)
    variables["steps_accepted"] = (("window", *dims), 0.995 * begun)
    coordinates = dict(grid.coordinates)
    if grid.name.startswith("smoothed"):
        variables["accuracy_sum"] = (
            ("window", "walker", *dims),
            histogram.sum(axis=0) * true_accuracy(grid),
        )
        by_accuracy = ("window", "walker", dims[0], "test_accuracy")
        variables["accuracy_histogram"] = (by_accuracy, visits_by_accuracy(grid, histogram.sum(axis=0), weights))
        coordinates["test_accuracy"] = np.arange(ACCURACIES + 1) / ACCURACIES
    attributes = {"procedure": "molecular_dynamics", "moves": 100_000, "integrator": "baoab"}
    return xr.Dataset(variables, coordinates, attributes)


def visits_by_accuracy(grid: Grid, histogram: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Visits[window, walker, columns, accuracies] by volume, if all states of a bin had its accuracy."""
    tops = np.where(np.isfinite(weights), weights, -np.inf).max(axis=2, keepdims=True)
    with np.errstate(invalid="ignore"):
        volumes = histogram * np.exp(np.where(np.isfinite(weights), weights - tops, -np.inf))[:, None]
    row = np.floor(true_accuracy(grid) * ACCURACIES + 1e-9).astype(int)
    found = np.zeros((*volumes.shape[:3], ACCURACIES + 1))
    for accuracy in range(ACCURACIES + 1):
        found[..., accuracy] = (volumes * (row == accuracy)).sum(axis=-1)
    return found
