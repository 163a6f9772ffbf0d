"""What one independent run of a sampler leaves behind, as an xarray Dataset."""

import numpy as np
import xarray as xr

from entroscape.grid import Grid
from entroscape.sampling import cycles, replica_exchange


def coordinates(grid: Grid) -> dict:
    """Coordinates of a map: middles of the columns in ln L, test accuracy of the rows."""
    return {"ln_train_loss": grid.x_centres, "test_accuracy": grid.y_values}


MAP = ("ln_train_loss", "test_accuracy")


def replica_dataset(
    problem: replica_exchange.Problem | cycles.Problem, state: replica_exchange.State | cycles.State
) -> xr.Dataset:
    """What a run of either procedure leaves behind."""
    if isinstance(problem, replica_exchange.Problem):
        return _from_exchange(problem, state)
    return _from_cycles(problem, state)


def _from_exchange(problem: replica_exchange.Problem, state: replica_exchange.State) -> xr.Dataset:
    """Histograms of the production stage with the weights they were drawn under, and diagnostics.

    histogram[block, window, walker, ...] visits; weight_entropy[window, ...] the frozen S (-inf: closed); per window
    sigma, acceptance, flatness; per pair of windows the exchange rate; round trips of each configuration.
    """
    settings = problem.settings
    moves = problem.schedule.production * settings.moves_per_round * settings.walkers
    weights = np.maximum(state.entropy, state.ceiling[:, :, None] - settings.depth)
    for window, (first, last) in zip(weights, problem.windows, strict=True):
        window[:first] = window[last:] = -np.inf
    return xr.Dataset(
        {
            "histogram": (("block", "window", "walker", *MAP), state.blocks),
            "weight_entropy": (("window", *MAP), weights),
            "window_edges": (("window", "edge"), np.array(settings.windows, dtype=float)),
            "sigma": ("window", state.sigma),
            "acceptance": ("window", state.accepted / moves),
            "flatness": ("window", replica_exchange.flatness(state, settings.depth)),
            "exchange_rate": ("overlap", state.exchanges[:, 1] / np.maximum(state.exchanges[:, 0], 1)),
            "round_trips": ("configuration", state.round_trips),
        },
        coordinates(problem.grid),
        {"procedure": settings.procedure, "moves": problem.schedule.rounds * settings.moves_per_round},
    )


def _from_cycles(problem: cycles.Problem, state: cycles.State) -> xr.Dataset:
    """Averaged map of the published procedure, its visited bins, and the instances' maps of the last cycle."""
    visited = state.visited > 0
    return xr.Dataset(
        {
            "entropy": (MAP, np.where(visited, state.entropy, -np.inf)),
            "entropy_instances": (("instance", *MAP), np.where(visited, state.instances, -np.inf)),
            "histogram": (MAP, state.histogram),
            "first_visit": (MAP, state.visited),
            "sigma": ("window", state.sigma),
        },
        coordinates(problem.grid),
        {"procedure": problem.settings.procedure, "moves": state.steps * problem.settings.moves_per_cycle},
    )
