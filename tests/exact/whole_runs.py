"""Whole samplings of small problems, from starts to a merged landscape."""

import numpy as np

from entroscape import random
from entroscape.config.sampler import ReplicaExchange
from entroscape.landscape.merge import merge
from entroscape.sampling import replica_exchange
from entroscape.sampling.workers import Workers


def exchange_settings(windows, explore=100_000, refine=100_000, production=200_000, **changes) -> ReplicaExchange:
    values = {
        "procedure": "replica_exchange",
        "replicas": 2,
        "walkers": 4,
        "windows": windows,
        "moves": {"explore": explore, "refine": refine, "production": production},
        "moves_per_round": 1000,
        "factor": 0.01,
        "depth": 12.0,
        "step_size": {
            "initial": 0.3,
            "max": 1.0,
            "grow": 1.1,
            "shrink": 0.9,
            "acceptance_low": 0.3,
            "acceptance_high": 0.7,
        },
        "checkpoint_seconds": 60.0,
    }
    return ReplicaExchange(**(values | changes))


def sample(build, grid, settings, starts, names):
    """One replica; returns its problem and final state."""
    problem = replica_exchange.make_problem(build, grid, settings)
    state = replica_exchange.init(problem, starts, lambda role: random.generator(*names, role))
    with Workers(1) as pool:
        while state.steps < problem.steps:
            replica_exchange.step(problem, state, pool)
    return problem, state


def leavings(build, grid, settings, starts, names):
    """What one replica leaves behind."""
    return replica_exchange.to_dataset(*sample(build, grid, settings, starts, names))


def landscape_of(build, grid, settings, starts, seed):
    """All replicas of a problem, merged."""
    names = [("exact", seed, replica) for replica in range(settings.replicas)]
    return merge([leavings(build, grid, settings, starts, name) for name in names])


def deviations(landscape, exact):
    """S - S_exact, without its mean over the visited bins, and the reported errors; both over visited bins."""
    entropy, error = landscape["entropy"].to_numpy(), landscape["entropy_err"].to_numpy()
    known = np.isfinite(entropy) & np.isfinite(error) & np.isfinite(exact)
    difference = entropy[known] - exact[known]
    return difference - difference.mean(), error[known]
