"""Replica-exchange Wang-Landau sampling over overlapping windows in ln L.

Vogel, Li, Wuest and Landau, Phys. Rev. Lett. 110, 210603 (2013). A walker in a window of its own can learn the step
that suits the losses there; exchanges with the neighbouring windows let configurations travel over the whole range.

K walkers in each of M windows. Walker k of every window form ladder k. Configurations are exchanged within a ladder
only, so that in the production stage, when the maps are frozen, ladders are independent of each other and their spread
is an honest error.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from entroscape.config.sampler import ReplicaExchange
from entroscape.errors import SamplingError
from entroscape.grid import MAP, Grid
from entroscape.sampling import kernel, starts, trips
from entroscape.sampling.schedule import Schedule
from entroscape.sampling.step_size import adapt
from entroscape.sampling.workers import Workers

BLOCKS = 8  # parts of the production stage whose histograms are kept apart, to see the map converge


@dataclass(frozen=True)
class Problem:
    """What is sampled: a system per window (buffers are not shared), the grid, windows [first, last) in columns."""

    systems: tuple
    grid: Grid
    windows: tuple[tuple[int, int], ...]
    settings: ReplicaExchange
    schedule: Schedule

    @property
    def parameters(self) -> int:
        """Coordinates of a walker, P."""
        return len(self.systems[0].half_width)

    @property
    def steps(self) -> int:
        """Rounds of all stages."""
        return self.schedule.rounds

    @property
    def moves_per_step(self) -> int:
        """Moves of all walkers in a round."""
        return len(self.windows) * self.settings.walkers * self.settings.moves_per_round


@dataclass
class State:
    """All that the next round needs; K walkers, M windows, P coordinates. Changed in place by `step`."""

    steps: int  # rounds done
    walkers: np.ndarray  # float64[M, K, P]
    bins: np.ndarray  # int64[M, K, 2] column and row of each walker
    entropy: np.ndarray  # float64[M, columns, rows], -inf: not visited
    ceiling: np.ndarray  # float64[M, columns], best entropy of each column
    visits: np.ndarray  # int64[M, K, columns, rows] since the stage began, before production
    blocks: np.ndarray  # int64[BLOCKS, M, K, columns, rows], production only
    sigma: np.ndarray  # float64[M]
    accepted: np.ndarray  # int64[M] moves accepted since the stage began
    labels: np.ndarray  # int64[M, K] which configuration a walker holds
    start_kinds: np.ndarray  # int64[M, K] place in `starts.KINDS` of the kind of state that each walker started from
    last_end: np.ndarray  # int64[2, M K] of each configuration in x and y: 1 high, -1 low, 0 neither yet
    round_trips: np.ndarray  # int64[2, M K] of each configuration in x and y, production only
    exchanges: np.ndarray  # int64[M - 1, 2] attempted and accepted since the stage began
    generators: list[np.random.Generator]  # M of the windows, one for exchanges


@dataclass(frozen=True)
class Info:
    """Diagnostics of the round just made; what takes a look at the whole state is computed when it is asked for."""

    stage: str
    factor: float
    acceptance: np.ndarray  # [M] in this round
    state: State
    depth: float

    @property
    def visited(self) -> np.ndarray:
        """Bins with an entropy, [M]."""
        return np.isfinite(self.state.entropy).sum(axis=(1, 2))

    @property
    def flatness(self) -> np.ndarray:
        """See `flatness`, [M]."""
        return flatness(self.state, self.depth)

    def __str__(self) -> str:
        """One line for the log."""
        flat = " ".join(f"{value:.2f}" for value in self.flatness)
        return f"{self.stage}, factor {self.factor:.1e}, bins {'+'.join(map(str, self.visited))}, flatness {flat}"


def make_problem(build: Callable[[], object], grid: Grid, settings: ReplicaExchange) -> Problem:
    """Problem with one system per window, each made by `build()`."""
    schedule = Schedule.of(settings.moves, settings.moves_per_round, settings.factor, BLOCKS)
    windows = tuple(grid.window(*edges) for edges in settings.windows)
    return Problem(tuple(build() for _ in windows), grid, windows, settings, schedule)


def init(
    problem: Problem,
    states: np.ndarray,
    generator: Callable[[str], np.random.Generator],
    kinds: np.ndarray | None = None,
    turn: int = 0,
) -> State:
    """State with walkers drawn from `states`.

    Parameters
    ----------
    states
        float64[states, P]; each window takes its walkers from those inside it, different ones if there are enough.
    generator
        Gives the generator of a role: "start", "exchange", and "window m".
    kinds, turn
        str[states], of what kind each of them is, and with which kind dealing them out begins (`starts.deal`).

    Raises
    ------
    SamplingError
        If no state lies in a window, or the rows of the system are not those of the grid.
    """
    count, grid = problem.settings.walkers, problem.grid
    kinds = np.full(len(states), starts.KINDS[0]) if kinds is None else kinds
    bins = kernel.locate_starts(problem.systems[0], states, grid)
    walkers, places, began, choose = [], [], [], generator("start")
    for window, edges in zip(problem.windows, problem.settings.windows, strict=True):
        inside = np.flatnonzero((bins[:, 0] >= window[0]) & (bins[:, 0] < window[1]))
        if len(inside) == 0:
            reach = grid.x_edges[np.clip([bins[:, 0].min(), bins[:, 0].max() + 1], 0, grid.columns)]
            raise SamplingError(
                f"no walker can enter the window ln L in [{edges[0]:g}, {edges[1]:g}): the {len(states)} start states "
                f"lie in [{reach[0]:.3g}, {reach[1]:.3g}]; move or remove the window (sampler.main.windows), "
                "or train longer (training.steps)"
            )
        chosen = inside[starts.deal(kinds[inside], count, choose, turn)]
        walkers.append(states[chosen])
        places.append(bins[chosen])
        began.append(starts.numbers(kinds[chosen]))
    shape = (len(problem.windows), count)
    cells = (grid.columns, grid.rows)
    return State(
        steps=0,
        walkers=np.array(walkers, dtype=np.float64),
        bins=np.array(places, dtype=np.int64),
        entropy=np.full((shape[0], *cells), -np.inf),
        ceiling=np.full((shape[0], grid.columns), -np.inf),
        visits=np.zeros((*shape, *cells), dtype=np.int64),
        blocks=np.zeros((BLOCKS, *shape, *cells), dtype=np.int64),
        sigma=np.full(shape[0], problem.settings.step_size.initial),
        accepted=np.zeros(shape[0], dtype=np.int64),
        labels=np.arange(shape[0] * count, dtype=np.int64).reshape(shape),
        start_kinds=np.array(began),
        last_end=np.zeros((2, shape[0] * count), dtype=np.int64),
        round_trips=np.zeros((2, shape[0] * count), dtype=np.int64),
        exchanges=np.zeros((max(shape[0] - 1, 0), 2), dtype=np.int64),
        generators=[*(generator(f"window {m}") for m in range(shape[0])), generator("exchange")],
    )


def step(problem: Problem, state: State, workers: Workers) -> Info:
    """One round: a slice of moves in every window, in parallel, then exchanges between neighbouring windows."""
    schedule = problem.schedule
    stage = schedule.stage(state.steps)
    if state.steps in (schedule.explore, schedule.explore + schedule.refine):
        _begin_stage(state)
    reports = list(workers.map(lambda m: _run_window(problem, state, m, stage), range(len(problem.windows))))
    accepted = np.array([report[:, 0].sum() for report, _ in reports])
    state.accepted += accepted
    moves = problem.settings.walkers * problem.settings.moves_per_round
    if stage == "explore":
        state.sigma = adapt(state.sigma, accepted / moves, problem.settings.step_size)
    if stage == "production":
        _count_round_trips(problem, state, [report for report, _ in reports])
    _exchange(problem, state)
    state.steps += 1
    factor = float(np.mean([factor for _, factor in reports]))
    return Info(stage, factor, accepted / moves, state, problem.settings.depth)


def flatness(state: State, depth: float) -> np.ndarray:
    """Smallest over mean number of visits since the stage began, [M], over the bins that the weights flatten.

    These are the visited bins less than `depth` below the best of their column.
    """
    visits = state.visits.sum(axis=1) + state.blocks.sum(axis=(0, 2))
    flattened = state.entropy > state.ceiling[:, :, None] - depth
    return np.array(
        [v[f].min() / max(v[f].mean(), 1e-300) if f.any() else 0.0 for v, f in zip(visits, flattened, strict=True)]
    )


def _begin_stage(state: State) -> None:
    state.visits[:] = 0
    state.accepted[:] = 0
    state.exchanges[:] = 0


def _run_window(problem: Problem, state: State, m: int, stage: str) -> tuple[np.ndarray, float]:
    settings, schedule = problem.settings, problem.schedule
    bins = max(int(np.isfinite(state.entropy[m]).sum()), 1)
    moves_per_bin = max(state.steps - schedule.explore, 0) * settings.walkers * settings.moves_per_round / bins
    factor = schedule.modification_factor(state.steps, moves_per_bin)
    report = np.zeros((settings.walkers, kernel.REPORTED), dtype=np.int64)
    histograms = state.blocks[schedule.block(state.steps), m] if stage == "production" else state.visits[m]
    kernel.run_walkers(
        problem.systems[m],
        state.generators[m],
        state.walkers[m],
        state.entropy[m],
        state.ceiling[m],
        histograms,
        problem.windows[m],
        settings.moves_per_round,
        state.sigma[m],
        factor,
        settings.depth,
        report,
    )
    state.bins[m] = report[:, 1:3]
    return report, factor


def _count_round_trips(problem: Problem, state: State, reports: list[np.ndarray]) -> None:
    """Round trips in x and in y (`trips`), by the columns and rows that each walker has touched in this round.

    In which order a configuration touched both ends within one round is not known, so that only the end it is due at
    counts: trips are never overcounted.
    """
    touched = np.concatenate(reports)
    labels = state.labels.ravel()
    for axis, ends in enumerate((trips.ends_in_x(problem.windows), trips.ends_in_y(_known_rows(problem, state)))):
        if ends is None:
            continue
        at_low, at_high = touched[:, 3 + 2 * axis] <= ends[0], touched[:, 4 + 2 * axis] >= ends[1]
        last = state.last_end[axis, labels]
        state.round_trips[axis, labels] += (last == -1) & at_high
        state.last_end[axis, labels] = np.where((last == 1) & at_low, -1, np.where((last != 1) & at_high, 1, last))


def _known_rows(problem: Problem, state: State) -> np.ndarray:
    """Rows that the weights flatten in some column, bool[rows]."""
    return np.asarray((state.entropy > state.ceiling[:, :, None] - problem.settings.depth).any(axis=(0, 1)))


def _exchange(problem: Problem, state: State) -> None:
    """Offer the walkers of windows m and m + 1 of each ladder an exchange; even and odd m take turns.

    Accepted with min(1, exp(S_m(a) - S_m(b) + S_m+1(b) - S_m+1(a))) if both configurations fit both windows. A column
    without an entropy is open as long as the next round would give it one.
    """
    depth, generator = problem.settings.depth, state.generators[-1]
    frozen = problem.schedule.stage(state.steps + 1) == "production"
    for m in range(state.steps % 2, len(problem.windows) - 1, 2):
        (first, _), (_, last) = problem.windows[m], problem.windows[m + 1]
        for k in range(problem.settings.walkers):
            a, b = tuple(state.bins[m, k]), tuple(state.bins[m + 1, k])
            state.exchanges[m, 0] += 1
            if b[0] < first or a[0] >= last:
                continue

            def entropy(window: int, cell: tuple[int, int]) -> float:
                return max(state.entropy[window][cell], state.ceiling[window, cell[0]] - depth)

            targets = entropy(m, b), entropy(m + 1, a)
            if frozen and -np.inf in targets:
                continue
            gain = entropy(m, a) - targets[0] + entropy(m + 1, b) - targets[1]
            if gain >= 0 or generator.random() < np.exp(gain):
                state.exchanges[m, 1] += 1
                for swapped in (state.walkers, state.bins, state.labels):
                    swapped[[m, m + 1], k] = swapped[[m + 1, m], k]


def to_dataset(problem: Problem, state: State) -> xr.Dataset:
    """What a finished run leaves behind: the histograms of production with the weights they were drawn under.

    histogram[block, window, walker, ...] visits; weight_entropy[window, ...] the frozen S (-inf: closed); per window
    sigma, acceptance, flatness; per pair of windows the exchange rate; round trips of each configuration in ln L and in
    y; start_kind[window, walker], the kind of state (`starts.KINDS`) that each walker started from.
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
            "flatness": ("window", flatness(state, settings.depth)),
            "exchange_rate": ("overlap", state.exchanges[:, 1] / np.maximum(state.exchanges[:, 0], 1)),
            "round_trips": ("configuration", state.round_trips[0]),
            "round_trips_in_y": ("configuration", state.round_trips[1]),
            "start_kind": (("window", "walker"), np.array(starts.KINDS)[state.start_kinds]),
        },
        problem.grid.coordinates,
        {"procedure": settings.procedure, "moves": problem.schedule.rounds * settings.moves_per_round},
    )
