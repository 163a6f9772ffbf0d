"""Small systems and short samplings, shared by the tests of the sampler."""

from itertools import pairwise

import numpy as np
from spiral_task import DATA

from entroscape import random
from entroscape.config.sampler import ReplicaExchange
from entroscape.data.dataset import TaskData
from entroscape.grid import Grid
from entroscape.sampling import replica_exchange
from entroscape.sampling.network import NetworkSystem, build_network
from entroscape.sampling.workers import Workers

SIZES = [2, 4, 2]
PARAMETERS = 22
GRID = Grid(x_min=-0.9, bin_width=0.1, columns=14, rows=len(DATA.y_test) + 1)
WINDOWS = [(-0.4, 0.5), (-0.7, 0.0)]
STEP_SIZE = dict(initial=0.3, max=1.0, grow=1.1, shrink=0.9, acceptance_low=0.3, acceptance_high=0.7)


def build(grid: Grid = GRID, sizes=SIZES, half_width: float | np.ndarray = 1.0, data: TaskData = DATA) -> NetworkSystem:
    parameters = sum(a * b + b for a, b in pairwise(sizes))
    return build_network(sizes, data, np.broadcast_to(half_width, parameters).copy(), grid)


def box_states(count=400, half_width=1.0, seed=3, parameters=PARAMETERS) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-half_width, half_width, (count, parameters))


def exchange_settings(windows=WINDOWS, **changes) -> ReplicaExchange:
    values = dict(
        procedure="replica_exchange",
        replicas=2,
        walkers=2,
        windows=windows,
        moves=dict(explore=4000, refine=4000, production=8000),
        moves_per_round=500,
        factor=0.05,
        depth=8.0,
        step_size=STEP_SIZE,
        checkpoint_seconds=60.0,
    )
    return ReplicaExchange(**(values | changes))


def start(windows=WINDOWS, seed=0, **changes) -> tuple[replica_exchange.Problem, replica_exchange.State]:
    problem = replica_exchange.make_problem(build, GRID, exchange_settings(windows, **changes))
    return problem, replica_exchange.init(problem, box_states(), lambda role: random.generator("walkers", seed, role))


def advance(problem, state, rounds: int, threads: int = 1) -> list[replica_exchange.Info]:
    with Workers(threads) as pool:
        return [replica_exchange.step(problem, state, pool) for _ in range(rounds)]
