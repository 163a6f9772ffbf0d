"""One slice of Wang-Landau moves, compiled, for any system that says how to propose a move.

A *system* is a NamedTuple with an array `coordinates` and whatever buffers it needs. It takes part by giving
compiled versions of the six operations below (see `implement`); `entroscape.sampling.network` does so for a
neural network, the tests for an Ising ring. Rows must lie within the grid: a walk that meets another one ends with a
SamplingError.

The map `entropy[columns, rows]` holds the running estimate of S(x, y), -inf where nothing was visited. A state is
weighted with exp(-S), where S is never taken lower than `depth` below the best of its column (`effective_entropy`).
Without that floor a walker would spend its time in ever rarer corners of the map; with it, bins down to `depth` are
visited equally often and deeper ones with their natural probability. It changes the weights, not the estimate.
"""

import numpy as np
from numba import types
from numba.extending import overload

from entroscape.errors import SamplingError
from entroscape.grid import Grid
from entroscape.sampling.compiled import njit, njit_inlined
from entroscape.sampling.starts import NO_STATES

OUTSIDE = -1
REPORTED = 7  # numbers that a slice of moves reports of a walker
OUTSIDE_WINDOW = (
    "a walker is not in its window where a slice begins: start it from a state that `locate` finds there, and let "
    "`measure` of the system give the same bin for the same state"
)
OUTSIDE_ROW = (
    "a walker met a state whose row the grid does not have: `measure` and `measure_proposal` of the system must give "
    "rows from 0 to one less than the rows of the grid, so give the grid as many rows as the system has"
)


def load(system, coordinates):
    """Take over `coordinates` and recompute everything that depends on them."""
    raise NotImplementedError


def measure(system):
    """(column, row) of the present state."""
    raise NotImplementedError


def propose(system, sigma, generator):
    """Draw a move of half width `sigma`; return the new state's column, `OUTSIDE` if it leaves the domain."""
    raise NotImplementedError


def measure_proposal(system):
    """Row of the proposed state, within the grid; called only when its column lies in the window."""
    raise NotImplementedError


def accept(system):
    """Make the proposed state the present one."""
    raise NotImplementedError


def reject(system):
    """Forget the proposed state."""
    raise NotImplementedError


def implement(system_class: type, **operations) -> None:
    """Register the compiled operations of a system, by name.

    Parameters
    ----------
    system_class
        NamedTuple class of the system.
    **operations
        One compiled function for each of load, measure, propose, measure_proposal, accept, reject.
    """
    for name, compiled in operations.items():
        _dispatch_on_class(globals()[name], system_class, compiled)


def _dispatch_on_class(operation, system_class, compiled):
    # `overload` needs wrappers with the operation's own number of arguments
    def chosen(system):
        return isinstance(system, types.NamedTuple) and system.instance_class is system_class

    arity = operation.__code__.co_argcount
    if arity == 1:

        @overload(operation, inline="always")
        def _one(system):
            return (lambda system: compiled(system)) if chosen(system) else None

    elif arity == 2:

        @overload(operation, inline="always")
        def _two(system, coordinates):
            return (lambda system, coordinates: compiled(system, coordinates)) if chosen(system) else None

    else:

        @overload(operation, inline="always")
        def _three(system, sigma, generator):
            return (lambda system, sigma, generator: compiled(system, sigma, generator)) if chosen(system) else None


@njit_inlined
def effective_entropy(entropy, ceiling, depth, column, row):
    """Entropy that weights a state: never further than `depth` below its column's best, `ceiling[column]`."""
    return max(entropy[column, row], ceiling[column] - depth)


@njit
def open_bin(entropy, ceiling, depth, first, last, column, row):
    """Give a bin that is visited for the first time a start value.

    A new row of a known column starts on the floor, a new column at the lowest entropy met so far: too low a value
    is filled within moments, too high a one would have to wait for all other bins to catch up.
    """
    start = ceiling[column] - depth
    if start == -np.inf:
        start = np.inf
        for c in range(first, last):
            if depth < np.inf:
                if ceiling[c] > -np.inf:
                    start = min(start, ceiling[c])
            else:
                for r in range(entropy.shape[1]):
                    if entropy[c, r] > -np.inf:
                        start = min(start, entropy[c, r])
        if start == np.inf:
            start = 0.0
    entropy[column, row] = start
    ceiling[column] = max(ceiling[column], start)


@njit
def run_slice(system, generator, entropy, ceiling, histogram, first, last, moves, sigma, factor, depth):
    """Make `moves` Metropolis moves of one walker inside the window of columns [first, last).

    Accepts with min(1, exp(S_old - S_new)) (Wang and Landau 2001). Every move, also a rejected one, counts the bin
    the walker is in afterwards and raises its entropy by `factor`. With factor 0 (production) the map stays as it is
    and columns without an entropy are closed.

    Parameters
    ----------
    system, generator
        The walker, already loaded, and a numpy Generator.
    entropy, ceiling, histogram
        float64[columns, rows], float64[columns], int64[columns, rows]; changed in place.
    first, last
        Window; the walker must be in it.
    sigma, factor, depth
        Step, ln of the modification factor, depth of the floor below each column's best.

    Returns
    -------
    accepted moves, column, row of the last state, lowest and highest column visited, lowest and highest row visited.

    Raises
    ------
    SamplingError
        If the walker is not in the window, or the system gives a row that the map does not have.
    """
    column, row = measure(system)
    # a walker on the edge of its window may come out on the other side when it is computed anew: that is rounding
    if column == first - 1 or column == last:
        column = min(max(column, first), last - 1)
    if column < first or column >= last:
        raise SamplingError(OUTSIDE_WINDOW)
    if row < 0 or row >= entropy.shape[1]:
        raise SamplingError(OUTSIDE_ROW)
    lowest = highest = column
    bottom = top = row
    accepted = 0
    if factor > 0.0 and entropy[column, row] == -np.inf:
        open_bin(entropy, ceiling, depth, first, last, column, row)
    for _ in range(moves):
        new_column = propose(system, sigma, generator)
        if new_column >= first and new_column < last:
            new_row = measure_proposal(system)
            if new_row < 0 or new_row >= entropy.shape[1]:
                raise SamplingError(OUTSIDE_ROW)
            new = effective_entropy(entropy, ceiling, depth, new_column, new_row)
            gain = effective_entropy(entropy, ceiling, depth, column, row) - new
            if (new > -np.inf or factor > 0.0) and (gain >= 0.0 or generator.random() < np.exp(gain)):
                accept(system)
                accepted += 1
                column, row = new_column, new_row
                lowest, highest = min(lowest, column), max(highest, column)
                bottom, top = min(bottom, row), max(top, row)
                if factor > 0.0 and entropy[column, row] == -np.inf:
                    open_bin(entropy, ceiling, depth, first, last, column, row)
            else:
                reject(system)
        else:
            reject(system)
        if factor > 0.0:
            raised = effective_entropy(entropy, ceiling, depth, column, row) + factor
            entropy[column, row] = raised
            ceiling[column] = max(ceiling[column], raised)
        histogram[column, row] += 1
    return accepted, column, row, lowest, highest, bottom, top


@njit
def run_walkers(system, generator, walkers, entropy, ceiling, histograms, window, moves, sigma, factor, depth, report):
    """Make a slice of moves of each walker of one window, one after the other, all on the same map.

    Parameters
    ----------
    walkers
        float64[walkers, P] coordinates, changed in place.
    histograms
        int64[walkers, columns, rows], one per walker, so that errors can be taken from independent walkers.
    report
        int64[walkers, `REPORTED`], filled with what `run_slice` returns.

    Raises
    ------
    SamplingError
        As `run_slice`; the map and the walkers are then of no use.
    """
    for k in range(walkers.shape[0]):
        load(system, walkers[k])
        done = run_slice(
            system, generator, entropy, ceiling, histograms[k], window[0], window[1], moves, sigma, factor, depth
        )
        for n in range(report.shape[1]):
            report[k, n] = done[n]
        for p in range(walkers.shape[1]):
            walkers[k, p] = system.coordinates[p]


def locate(system, states: np.ndarray, bins: np.ndarray) -> None:
    """Column and row of each of the `states`, float64[states, P], into `bins`, int64[states, 2].

    Raises SamplingError for states of another number of coordinates than the system has.
    """
    wanted = len(system.coordinates)
    if states.ndim != 2 or states.shape[1] != wanted or bins.shape != (len(states), 2):
        raise SamplingError(
            f"states of the shape {states.shape} are not those of a system of {wanted} coordinates: give an array of "
            f"the shape [states, {wanted}]"
        )
    _locate(system, states, bins)


@njit
def _locate(system, states, bins):
    for k in range(states.shape[0]):
        load(system, states[k])
        bins[k, 0], bins[k, 1] = measure(system)


def locate_starts(system, starts: np.ndarray, grid: Grid) -> np.ndarray:
    """Column and row, int64[starts, 2], of states where walkers may begin; columns may lie outside the grid.

    Raises SamplingError as `locate`, and where a state in a column of the grid has a row that the grid does not have.
    """
    if not len(starts):
        raise SamplingError(NO_STATES)
    bins = np.empty((len(starts), 2), dtype=np.int64)
    locate(system, starts, bins)
    rows = bins[(bins[:, 0] >= 0) & (bins[:, 0] < grid.columns), 1]
    outside = rows[(rows < 0) | (rows >= grid.rows)]
    if len(outside):
        raise SamplingError(
            f"{len(outside)} of {len(starts)} start states have rows outside the grid, such as {outside[0]}, which has "
            f"rows from 0 to {grid.rows - 1}: give the grid as many rows as the system has"
        )
    return bins
