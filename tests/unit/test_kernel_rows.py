"""Systems whose rows or coordinates are not those that the grid and the sampler were given."""

from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
from walkers import STEP_SIZE, advance, exchange_settings

from entroscape import random
from entroscape.config.sampler import Cycles
from entroscape.errors import SamplingError
from entroscape.grid import Grid
from entroscape.sampling import cycles, kernel, replica_exchange
from entroscape.sampling.compiled import njit, njit_inlined
from entroscape.sampling.workers import Workers

pytestmark = pytest.mark.unit
ROWS = 4
GRID = Grid(x_min=0.0, bin_width=1.0, columns=5, rows=ROWS)


class Plane(NamedTuple):
    """A point of the square of half width 1: its columns are fifths of one coordinate, its rows parts of the other."""

    coordinates: np.ndarray  # [2]
    half_width: np.ndarray  # [2]
    proposed: np.ndarray  # [2]
    rows: np.ndarray  # [2], first row and number of rows


def plane(first: int = 0, rows: int = ROWS) -> Plane:
    return Plane(np.zeros(2), np.ones(2), np.zeros(2), np.array([first, rows]))


@njit_inlined
def _column(place):
    return int(np.floor(2.5 * (place[0] + 1)))


@njit_inlined
def _row(system, place):
    return system.rows[0] + int(np.floor(system.rows[1] * (place[1] + 1) / 2))


@njit
def _load(system, coordinates):
    for p in range(len(coordinates)):
        system.coordinates[p] = coordinates[p]


@njit_inlined
def _measure(system):
    return _column(system.coordinates), _row(system, system.coordinates)


@njit_inlined
def _propose(system, sigma, generator):
    for p in range(2):
        system.proposed[p] = system.coordinates[p] + sigma * (2 * generator.random() - 1)
        if abs(system.proposed[p]) >= 1:
            return kernel.OUTSIDE
    return _column(system.proposed)


@njit_inlined
def _measure_proposal(system):
    return _row(system, system.proposed)


@njit_inlined
def _accept(system):
    for p in range(2):
        system.coordinates[p] = system.proposed[p]


@njit_inlined
def _reject(system):
    pass


kernel.implement(
    Plane,
    load=_load,
    measure=_measure,
    propose=_propose,
    measure_proposal=_measure_proposal,
    accept=_accept,
    reject=_reject,
)


def starts(lowest=-0.9, highest=0.9, coordinates=2) -> np.ndarray:
    columns = np.random.default_rng(0).uniform(-0.9, 0.9, (40, coordinates))
    columns[:, -1] = np.random.default_rng(1).uniform(lowest, highest, 40)
    return columns


def exchange(system: Plane, states: np.ndarray):
    problem = replica_exchange.make_problem(lambda: system, GRID, exchange_settings([(0.0, 5.0)]))
    return problem, replica_exchange.init(problem, states, partial(random.generator, "rows"))


def published(system: Plane, states: np.ndarray):
    settings = Cycles(
        procedure="cycles",
        replicas=2,
        instances=2,
        cycles=20,
        moves_per_cycle=500,
        factor_scale=0.5,
        factor_offset=10.0,
        unequilibrated_factor=0.001,
        step_size=STEP_SIZE,
        checkpoint_seconds=60.0,
    )
    problem = cycles.make_problem(lambda: system, GRID, settings)
    return problem, cycles.init(problem, states, partial(random.generator, "rows"))


def run_published(problem, state) -> None:
    with Workers(1) as pool:
        while state.steps < problem.steps:
            cycles.step(problem, state, pool)


def test_a_system_whose_rows_are_those_of_the_grid_is_sampled():
    problem, state = exchange(plane(), starts())
    advance(problem, state, problem.steps)
    assert (state.blocks.sum(axis=(0, 1, 2)) > 0).all()
    run_published(*published(plane(), starts()))


@pytest.mark.parametrize("init", [exchange, published])
@pytest.mark.parametrize(("first", "row"), [(1, 4), (-1, -1)])
def test_start_states_with_rows_outside_the_grid_are_refused(init, first, row):
    with pytest.raises(SamplingError) as caught:
        init(plane(first), starts())
    assert f"start states have rows outside the grid, such as {row}, which has rows from 0 to 3" in str(caught.value)


@pytest.mark.parametrize(("system", "inside"), [(plane(rows=ROWS + 1), (-0.9, 0.5)), (plane(first=-1), (-0.4, 0.9))])
def test_a_row_outside_the_grid_that_is_met_later_stops_the_walk(system, inside):
    """Without the check it would be counted in the row of a neighbouring column, or beyond the map's memory."""
    problem, state = exchange(system, starts(*inside))
    with pytest.raises(SamplingError, match="whose row the grid does not have: `measure` and `measure_proposal`"):
        advance(problem, state, problem.steps)
    with pytest.raises(SamplingError, match="give the grid as many rows as the system has"):
        run_published(*published(system, starts(*inside)))


@pytest.mark.parametrize("coordinates", [1, 3])
def test_start_states_of_another_system_are_refused(coordinates):
    with pytest.raises(SamplingError, match=r"shape \(40, .\) are not those of a system of 2 coordinates"):
        exchange(plane(), starts(coordinates=coordinates))


def slice_of(place: float, window=(1, 4)) -> np.ndarray:
    """Visits of a walker at rest that starts with this first coordinate."""
    system, walker = plane(), np.array([[place, 0.1]])
    histogram, report = np.zeros((1, GRID.columns, GRID.rows), np.int64), np.zeros((1, 5), np.int64)
    entropy, ceiling = np.full((GRID.columns, GRID.rows), -np.inf), np.full(GRID.columns, -np.inf)
    kernel.run_walkers(
        system, np.random.default_rng(0), walker, entropy, ceiling, histogram, window, 10, 1e9, 0.1, 8.0, report
    )
    return histogram[0].sum(axis=1)


def test_a_walker_that_rounding_puts_beyond_an_edge_is_counted_at_the_edge():
    for place, column in ((-0.6 - 1e-12, 1), (0.6 + 1e-12, 3)):
        np.testing.assert_array_equal(slice_of(place), 10 * (np.arange(5) == column))


@pytest.mark.parametrize("window", [(2, 4), (0, 0)])
def test_a_walker_outside_its_window_is_refused(window):
    with pytest.raises(SamplingError, match="a walker is not in its window where a slice begins"):
        slice_of(-0.95 if window == (2, 4) else 0.0, window)
