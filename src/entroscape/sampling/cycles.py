"""The published single-window procedure, for comparison (arXiv:2503.13145 and the authors' scripts).

Every instance walks with the same map for a cycle of moves and raises its own copy of it; then the entropies of all
instances are averaged, the histograms summed, and the next cycle starts from the mean with a smaller increment,
factor_scale / (i + factor_offset) in cycle i. All losses lie in one window, with one step size.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from entroscape.config.sampler import Cycles
from entroscape.errors import SamplingError
from entroscape.grid import MAP, Grid
from entroscape.sampling import kernel
from entroscape.sampling.step_size import adapt
from entroscape.sampling.workers import Workers


@dataclass(frozen=True)
class Problem:
    """What is sampled: a system per instance and the grid, which is the only window."""

    systems: tuple
    grid: Grid
    settings: Cycles

    @property
    def parameters(self) -> int:
        """Coordinates of a walker, P."""
        return len(self.systems[0].half_width)

    @property
    def steps(self) -> int:
        """Cycles."""
        return self.settings.cycles

    @property
    def moves_per_step(self) -> int:
        """Moves of all instances in a cycle."""
        return len(self.systems) * self.settings.moves_per_cycle


@dataclass
class State:
    """All that the next cycle needs; I instances, P coordinates. Changed in place by `step`."""

    steps: int  # cycles done
    walkers: np.ndarray  # float64[I, P]
    entropy: np.ndarray  # float64[columns, rows], mean of the instances; 0 where nothing was visited
    instances: np.ndarray  # float64[I, columns, rows] before the last averaging
    histogram: np.ndarray  # int64[columns, rows] of the last cycle
    visited: np.ndarray  # int64[columns, rows], number of the cycle that first visited a bin, 0: never
    sigma: np.ndarray  # float64[1]
    settled: np.ndarray  # bool[1], whether sigma has stopped adapting
    generators: list[np.random.Generator]


@dataclass(frozen=True)
class Info:
    """Diagnostics of the cycle just made."""

    factor: float
    acceptance: float
    visited: int
    flatness: float

    def __str__(self) -> str:
        """One line for the log."""
        return (
            f"factor {self.factor:.1e}, acceptance {self.acceptance:.2f}, bins {self.visited}, "
            f"flatness {self.flatness:.2f}"
        )


def make_problem(build: Callable[[], object], grid: Grid, settings: Cycles) -> Problem:
    """Problem with one system per instance, each made by `build()`."""
    return Problem(tuple(build() for _ in range(settings.instances)), grid, settings)


def init(
    problem: Problem,
    starts: np.ndarray,
    generator: Callable[[str], np.random.Generator],
    kinds: np.ndarray | None = None,
    turn: int = 0,
) -> State:
    """State with the instances at the first of `starts`, float64[states, P], that lie in the grid.

    `generator` gives the generator of a role: "instance i". All starts are of one kind here: `kinds` and `turn`, which
    the other samplers have, change nothing.

    Raises
    ------
    SamplingError
        If too few starts lie in the grid, or the rows of the system are not those of the grid.
    """
    bins = kernel.locate_starts(problem.systems[0], starts, problem.grid)
    inside = np.flatnonzero((bins[:, 0] >= 0) & (bins[:, 0] < problem.grid.columns))
    count = problem.settings.instances
    if len(inside) < count:
        raise SamplingError(
            f"{count} instances need as many starts, but only {len(inside)} of {len(starts)} lie on the axis "
            f"ln L in [{problem.grid.x_edges[0]:g}, {problem.grid.x_edges[-1]:g}]; widen observables.ln_train_loss"
        )
    walkers = starts[inside[:count]]
    cells = (problem.grid.columns, problem.grid.rows)
    return State(
        steps=0,
        walkers=walkers.copy(),
        entropy=np.zeros(cells),
        instances=np.zeros((len(walkers), *cells)),
        histogram=np.zeros(cells, dtype=np.int64),
        visited=np.zeros(cells, dtype=np.int64),
        sigma=np.array([problem.settings.step_size.initial]),
        settled=np.array([False]),
        generators=[generator(f"instance {i}") for i in range(count)],
    )


def step(problem: Problem, state: State, workers: Workers) -> Info:
    """One cycle of all instances, in parallel, and the averaging after it."""
    settings = problem.settings
    settled = bool(state.settled[0])
    factor = (
        settings.factor_scale / (state.steps + settings.factor_offset) if settled else (settings.unequilibrated_factor)
    )
    state.instances[:] = state.entropy
    histograms = np.zeros_like(state.instances, dtype=np.int64)
    numbers = range(len(state.walkers))
    accepted = sum(workers.map(lambda i: _run_instance(problem, state, i, factor, histograms), numbers))
    state.entropy = state.instances.mean(axis=0)
    state.histogram = histograms.sum(axis=0)
    state.steps += 1
    state.visited[(state.visited == 0) & (state.histogram > 0)] = state.steps
    acceptance = accepted / (settings.moves_per_cycle * len(state.walkers))
    if not settled:
        sigma = adapt(state.sigma, np.array([acceptance]), settings.step_size)
        state.settled[0] = bool(np.all(sigma == state.sigma))
        state.sigma = sigma
    seen = state.histogram[state.visited > 0]
    return Info(factor, acceptance, len(seen), float(seen.min() / seen.mean()))


def _run_instance(problem: Problem, state: State, i: int, factor: float, histograms: np.ndarray) -> int:
    settings, grid = problem.settings, problem.grid
    report = np.zeros((1, kernel.REPORTED), dtype=np.int64)
    kernel.run_walkers(
        problem.systems[i],
        state.generators[i],
        state.walkers[i : i + 1],
        state.instances[i],
        state.instances[i].max(axis=1),
        histograms[i : i + 1],
        (0, grid.columns),
        settings.moves_per_cycle,
        state.sigma[0],
        factor,
        np.inf,
        report,
    )
    return int(report[0, 0])


def to_dataset(problem: Problem, state: State) -> xr.Dataset:
    """What a finished run leaves behind: the averaged map, the instances' maps of the last cycle, first visits."""
    visited = state.visited > 0
    return xr.Dataset(
        {
            "entropy": (MAP, np.where(visited, state.entropy, -np.inf)),
            "entropy_instances": (("instance", *MAP), np.where(visited, state.instances, -np.inf)),
            "histogram": (MAP, state.histogram),
            "first_visit": (MAP, state.visited),
            "sigma": ("window", state.sigma),
        },
        problem.grid.coordinates,
        {"procedure": problem.settings.procedure, "moves": state.steps * problem.settings.moves_per_cycle},
    )
