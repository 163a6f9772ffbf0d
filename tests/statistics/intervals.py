"""How often intervals hold the truth: many independent runs of problems whose entropies are known exactly.

Each problem gives as many landscapes as asked for, each merged from replicas of its own; `covered` says which of the
90 % intervals of one landscape hold the exact value.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple
from unittest import mock

import ising
import numpy as np
import pandas as pd
import quadrature
import xarray as xr
from dynamics_runs import Target, dynamics_settings, fixed, sample, trajectories, window_alone
from known_targets import SPHERE_AXIS, SPHERE_GRID, SURFACE_GRID, sphere, sphere_entropy, surface_entropy, uneven
from whole_runs import exchange_settings, landscape_of

from entroscape.grid import Grid
from entroscape.landscape import curves, jackknife
from entroscape.landscape.convergence import FALSE_ALARMS
from entroscape.landscape.merge import merge
from entroscape.landscape.mixing import replicas_alike
from entroscape.sampling import molecular_dynamics

CONFIDENCE = 0.9
AGREEMENT = "replicas agree"  # not an interval: whether the check of that name passes, as it should in 97 of 100 runs
REPLICAS = 2


class Problem(NamedTuple):
    """landscapes: (number of runs, seed) -> so many landscapes. exact: S of each bin up to a constant, [columns, rows].

    values: of the test metric in the rows; generalising: the rows that count as such, for the ratio of volumes.
    """

    landscapes: Callable[[int, int], Iterator[xr.Dataset]]
    exact: Callable[[], np.ndarray]
    values: np.ndarray
    generalising: np.ndarray


def covered(landscape: xr.Dataset, exact: np.ndarray, problem: Problem) -> dict[str, np.ndarray]:
    """For each quantity whether its intervals hold the exact value, bool[...]."""
    known = np.isfinite(exact)
    quantities = {
        "S of a bin": lambda s: s[known] - s[known].mean(),
        "ln volume at a loss": lambda s: curves.column_entropy(s) - curves.column_entropy(s).mean(),
    }
    if len(problem.values) > 1:
        quantities["equilibrium"] = lambda s: curves.equilibrium(s, problem.values)
        quantities["ln volume ratio"] = lambda s: curves.volume_ratio(s, problem.generalising)
    found = {}
    left_out = landscape["entropy_left_out"].to_numpy().astype(float)
    for name, quantity in quantities.items():
        value, error = jackknife.of(quantity, landscape["entropy"].to_numpy(), left_out)
        truth, reach = quantity(exact), jackknife.half_width(error, len(left_out) - 1, CONFIDENCE)
        told = np.isfinite(truth)
        assert np.isfinite(value[told]).all() and np.isfinite(reach[told]).all(), "a bin is missing: make runs longer"
        found[name] = np.abs(value[told] - truth[told]) <= reach[told]
    found[AGREEMENT] = np.array([replicas_alike(left_out, REPLICAS) > FALSE_ALARMS])
    return found


def table(name: str, runs: int, seed: int) -> pd.DataFrame:
    """A row per quantity: problem, quantity, runs, intervals, coverage, its standard error over runs."""
    problem = PROBLEMS[name]
    exact = problem.exact()
    hits = [covered(landscape, exact, problem) for landscape in problem.landscapes(runs, seed)]
    assert len(hits) == runs
    rows = []
    for quantity in hits[0]:
        shares = np.array([hit[quantity].mean() for hit in hits])
        error = shares.std(ddof=1) / np.sqrt(runs)
        rows.append((name, quantity, runs, sum(hit[quantity].size for hit in hits), shares.mean(), error))
    return pd.DataFrame(rows, columns=["problem", "quantity", "runs", "intervals", "coverage", "error"])


def _ring(runs: int, seed: int) -> Iterator[xr.Dataset]:
    """Monte Carlo of 16 Ising spins on a ring."""
    settings = exchange_settings([(0.0, 9.0)], explore=20_000, refine=20_000, production=60_000)
    starts = np.random.default_rng(0).choice([-1.0, 1.0], (200, RING))
    grid = Grid(x_min=0.0, bin_width=1.0, columns=9, rows=1)
    for run in range(runs):
        yield landscape_of(lambda: ising.ring(RING), grid, settings, starts, ("coverage", seed, run))


def _network(runs: int, seed: int) -> Iterator[xr.Dataset]:
    """Monte Carlo of a network of which three parameters move, in two windows."""
    step_size = dict(initial=1.0, max=3.0, grow=1.1, shrink=0.9, acceptance_low=0.3, acceptance_high=0.7)
    stages = dict(explore=15_000, refine=15_000, production=40_000)
    windows = [(-0.25, 1.25), (-0.75, 0.5)]
    settings = exchange_settings(windows, **stages, factor=0.05, step_size=step_size)
    for run in range(runs):
        yield landscape_of(quadrature.build, quadrature.GRID, settings, quadrature.starts(), ("coverage", seed, run))


def _dynamics(target: Callable[[], Target], **changes) -> Callable[[int, int], Iterator[xr.Dataset]]:
    """Molecular dynamics of known coordinates, all runs as one batch.

    Runs are windows that all have the same edges: each has a map, walkers and a time step of its own. They must not
    exchange walkers then, as neighbouring windows do.
    """

    def landscapes(runs: int, seed: int) -> Iterator[xr.Dataset]:
        single = dynamics_settings(**changes)
        settings = single.model_copy(update={"windows": single.windows * (runs * REPLICAS)})
        made = target()
        with mock.patch.object(molecular_dynamics, "exchange"):
            together = sample(made.problem(settings), made.starts, "coverage", seed)
        for run in range(runs):
            yield merge([window_alone(together, settings, run * REPLICAS + replica) for replica in range(REPLICAS)])

    return landscapes


def _in_box(**changes) -> Problem:
    """Three parameters in a box, with coordinates that are uneven functions of them."""
    usual = dict(windows=[(-0.4, 1.0)], confinement=dict(x=30.0, y=30.0), walkers=8, factor=0.02)
    values = SURFACE_GRID.y_values
    return Problem(_dynamics(uneven, **usual | changes), lambda: surface_entropy(2**22), values, values > 0)


def _on_sphere(**changes) -> Problem:
    """Blocks of a vector on a sphere."""
    usual = dict(windows=[(SPHERE_AXIS.min, SPHERE_AXIS.max)], walkers=8, factor=0.02)
    values = SPHERE_GRID.y_values
    return Problem(_dynamics(sphere, **usual | changes), sphere_entropy, values, values > -1.6)


RING = 16
LANGEVIN = dict(explore=300, refine=500, production=1500)
METROPOLIS = dict(explore=75, refine=125, production=375)
PROBLEMS = {
    "Monte Carlo, Ising ring": Problem(
        _ring, lambda: ising.exact_entropy(RING)[:, None], np.zeros(1), np.ones(1, dtype=bool)
    ),
    "Monte Carlo, network": Problem(
        _network, lambda: quadrature.exact_entropy(2**22), np.arange(5) / 4, np.arange(5) > 1
    ),
    "dynamics (BAOAB), box": _in_box(**LANGEVIN, time_step=fixed(0.03)),
    "dynamics (first order), box": _in_box(**LANGEVIN, integrator="first_order", time_step=fixed(0.03)),
    "Hamiltonian Monte Carlo, box": _in_box(**METROPOLIS, **trajectories(4, 0.2)),
    "Hamiltonian Monte Carlo, box, fresh velocities": _in_box(**METROPOLIS, **trajectories(4, 0.2), friction=None),
    "dynamics (BAOAB), sphere": _on_sphere(**LANGEVIN, time_step=fixed(0.06)),
    "Hamiltonian Monte Carlo, sphere": _on_sphere(**METROPOLIS, **trajectories(4, 0.15)),
}
