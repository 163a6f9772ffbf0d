"""Wang-Landau Monte Carlo moves per second on one core, and where the time goes."""

import itertools
import time

import numpy as np
from rich.table import Table

from benchmarks.plain import plain
from entroscape.config.data import SpiralData
from entroscape.data.registry import make_data
from entroscape.grid import Grid
from entroscape.random import generator
from entroscape.sampling import kernel
from entroscape.sampling.compiled import njit
from entroscape.sampling.network import build_network

WIDTHS = (4, 6, 8, 12, 16)
DEPTH = 12.0
GRID = Grid(x_min=-4.0, bin_width=0.05, columns=100, rows=41)
# window in ln L and the step that suits it: a single window for everything, and one of those of the desktop scale
SETTINGS = {
    "ln L in [-4.0, 1.0], sigma 0.3": ((-4.0, 1.0), 0.3),
    "ln L in [-1.7, -0.6], sigma 0.25": ((-1.7, -0.6), 0.25),
}
SPIRALS = SpiralData(
    kind="spirals",
    train_points_per_class=20,
    test_points_per_class=20,
    radius_min=1.0,
    radius_max=5.0,
    angle_per_radius=2.0,
    noise=0.1,
    seed=20250317,
)


def network(width: int):
    sizes = [2, width, width, width, 2]
    parameters = sum(a * b + b for a, b in itertools.pairwise(sizes))
    return build_network(sizes, make_data(SPIRALS), np.full(parameters, 2 / np.sqrt(width)), GRID)


class Chain:
    """One walker with its map, so that chains can be timed in turns."""

    def __init__(self, system, edges, sigma, start):
        self.system, self.window, self.sigma = system, GRID.window(*edges), sigma
        self.walker, self.generator = start[None].copy(), generator("benchmark")
        self.entropy = np.full((GRID.columns, GRID.rows), -np.inf)
        self.ceiling = np.full(GRID.columns, -np.inf)
        self.histogram = np.zeros((1, GRID.columns, GRID.rows), np.int64)

    def run(self, moves: int) -> float:
        """Seconds for this many moves."""
        report = np.zeros((1, 5), np.int64)
        began = time.perf_counter()
        kernel.run_walkers(
            self.system, self.generator, self.walker, self.entropy, self.ceiling, self.histogram,
            self.window, moves, self.sigma, 0.004, DEPTH, report,
        )  # fmt: skip
        return time.perf_counter() - began


def start_in(system, edges) -> np.ndarray:
    """A state in the window, found by a walker that samples the whole axis."""
    half_width, (first, last) = system.half_width, GRID.window(*edges)
    chain = Chain(system, (-4.0, 1.0), 0.3, generator("start").uniform(-half_width, half_width) * 0.5)
    bins = np.zeros((1, 2), np.int64)
    while not first <= bins[0, 0] < last:
        chain.run(10_000)
        kernel.locate(system, chain.walker, bins)
    return chain.walker[0].copy()


def rates(edges, sigma, width, rounds=5) -> tuple[float, float]:
    """Best moves per second of the fast and the plain chain, measured in turns on the same moves."""
    system = network(width)
    start = start_in(system, edges)
    fast, slow = Chain(system, edges, sigma, start), Chain(plain(system), edges, sigma, start)
    fast.run(10_000), slow.run(10_000)
    moves = 40_000
    times = np.array([(fast.run(moves), slow.run(moves)) for _ in range(rounds)])
    if not np.array_equal(fast.histogram, slow.histogram):
        raise RuntimeError("the two chains made different moves, so their speeds cannot be compared")
    return tuple(moves / times.min(axis=0))


@njit
def _propose_only(system, sigma, rng, moves):
    inside = 0
    for _ in range(moves):
        inside += kernel.propose(system, sigma, rng) != kernel.OUTSIDE
        kernel.reject(system)
    return inside


@njit
def _propose_and_test(system, sigma, rng, moves):
    total = 0
    for _ in range(moves):
        if kernel.propose(system, sigma, rng) != kernel.OUTSIDE:
            total += kernel.measure_proposal(system)
        kernel.reject(system)
    return total


def shares(edges, sigma, width, moves=300_000) -> tuple[float, float, float]:
    """Shares of a move's time: training points, test points, the rest (map look-ups, acceptance, deposits)."""
    system = network(width)
    chain = Chain(system, edges, sigma, start_in(system, edges))
    chain.run(50_000)
    whole, rng = min(chain.run(moves) for _ in range(3)), generator("parts")

    def seconds(loop) -> float:
        loop(system, sigma, rng, 1000)
        best = np.inf
        for _ in range(3):
            began = time.perf_counter()
            loop(system, sigma, rng, moves)
            best = min(best, time.perf_counter() - began)
        return best

    train, both = seconds(_propose_only), seconds(_propose_and_test)
    test = (both - train) * _tested_share(chain, moves)
    return train / whole, test / whole, max(1 - (train + test) / whole, 0.0)


def _tested_share(chain: Chain, moves: int) -> float:
    """Share of the moves inside the box that stay in the window, so that test points are computed."""
    inside = _propose_only(chain.system, chain.sigma, generator("share"), moves)
    window = _in_window(chain.system, chain.sigma, generator("share"), moves, *chain.window)
    return window / max(inside, 1)


@njit
def _in_window(system, sigma, rng, moves, first, last):
    count = 0
    for _ in range(moves):
        column = kernel.propose(system, sigma, rng)
        count += first <= column < last
        kernel.reject(system)
    return count


def table() -> Table:
    result = Table("window and step", "width", "moves/s", "plain loop", "ratio", "train", "test", "rest", title=__doc__)
    for name, (edges, sigma) in SETTINGS.items():
        for width in WIDTHS:
            fast, slow = rates(edges, sigma, width)
            parts = [f"{share:.0%}" for share in shares(edges, sigma, width)]
            result.add_row(name, str(width), f"{fast:,.0f}", f"{slow:,.0f}", f"{fast / slow:.1f}", *parts)
    return result
