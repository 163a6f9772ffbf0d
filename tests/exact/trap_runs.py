"""Landscapes of basins by both samplers, from starts in chosen basins; what is wrong with them, and what is said."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple
from unittest import mock

import dynamics_runs
import numpy as np
import pandas as pd
import traps
import whole_runs
import xarray as xr
from scipy.special import logsumexp
from traps import BASINS, BOTTOM, TOP, A, B, Basins

from entroscape.landscape import convergence, jackknife
from entroscape.landscape.merge import merge
from entroscape.sampling import molecular_dynamics

REPLICAS = 2
WALKERS = 8  # of a window in each replica
SEEDS = 20
ONE_WINDOW = [(BOTTOM, TOP)]
TWO_WINDOWS = [(-1.2, TOP), (BOTTOM, -0.8)]


class Starts(NamedTuple):
    """How many walkers of each window begin in A and how many in B."""

    in_a: int
    in_b: int

    def states(self, basins: Basins, windows: list[tuple[float, float]], random: np.random.Generator) -> np.ndarray:
        """As many as walkers in each window, and in no other; float64[states, P]."""
        parts = [(BOTTOM, TOP)] if len(windows) == 1 else [(windows[1][1], TOP), (BOTTOM, windows[0][0])]
        return np.concatenate(
            [
                traps.states(basins, basin, count, random, *part)
                for part in parts
                for basin, count in zip(BASINS, self, strict=True)
            ]
        )


HALF = Starts(WALKERS // 2, WALKERS // 2)
ALONE = {A: Starts(WALKERS, 0), B: Starts(0, WALKERS)}
# all but one in the basin that has less of the volume at the top: A where y resolves them, B where y hides them
MOSTLY = {"resolved": Starts(WALKERS - 1, 1), "hidden": Starts(1, WALKERS - 1)}

STEP_SIZE = {  # no step leads from one basin of a trap to the other
    "initial": 0.3,
    "max": 0.4,
    "grow": 1.1,
    "shrink": 0.9,
    "acceptance_low": 0.3,
    "acceptance_high": 0.7,
}


def monte_carlo(basins: Basins, starts: Starts, seeds: int = SEEDS, windows=ONE_WINDOW) -> Iterator[list[xr.Dataset]]:
    """The replicas of one landscape after the other."""
    settings = whole_runs.exchange_settings(
        windows, 10_000, 15_000, 40_000, walkers=WALKERS, step_size=STEP_SIZE, moves_per_round=500
    )
    for seed in range(seeds):
        names = [("traps", *basins[:2], *starts, len(windows), seed, replica) for replica in range(REPLICAS)]
        states = starts.states(basins, windows, np.random.default_rng(seed))
        yield [
            whole_runs.leavings(lambda: traps.system(basins), traps.COUNTED, settings, states, name) for name in names
        ]


DYNAMICS = {
    "hmc": dict(
        explore=100,
        refine=200,
        production=1120,
        steps_per_round=10,
        **(dynamics_runs.trajectories(4, 0.03) | dict(jitter=0.6)),
    ),
    "baoab": dict(
        explore=500, refine=900, production=1600, time_step=dynamics_runs.fixed(0.008), confinement=dict(x=4.0, y=30.0)
    ),
}


def dynamics(basins: Basins, starts: Starts, seeds: int = SEEDS, integrator: str = "hmc") -> Iterator[list[xr.Dataset]]:
    """As `monte_carlo`; all runs are windows of one batch, which do not exchange walkers."""
    usual = dict(walkers=WALKERS, factor=0.02, depth=12.0, confinement=dict(x=15.0, y=30.0))
    single = dynamics_runs.dynamics_settings(ONE_WINDOW, **usual | DYNAMICS[integrator])
    settings = single.model_copy(update={"windows": ONE_WINDOW * (seeds * REPLICAS)})
    states = starts.states(basins, ONE_WINDOW, np.random.default_rng(0))
    problem = traps.target(basins, states).problem(settings)
    with mock.patch.object(molecular_dynamics, "exchange"):
        together = dynamics_runs.sample(problem, states, "traps", *basins[:2], *starts, integrator)
    for seed in range(seeds):
        yield [dynamics_runs.window_alone(together, settings, seed * REPLICAS + replica) for replica in range(REPLICAS)]


SAMPLERS = {"Monte Carlo": monte_carlo, "dynamics": dynamics}


def wrong(landscape: xr.Dataset, exact: np.ndarray, quantity: Callable[[np.ndarray], float]) -> bool:
    """Whether a quantity of the map is off by more than 3 of its errors, or by more than 1.

    A bin is wrong if its share of all volume is off by both. Three errors alone would not do: among 80 bins, with
    errors from 16 walkers, one is further off in most honest maps; nor would 1, where a bin claims no more.
    """
    entropy = landscape["entropy"].to_numpy()
    value, error = jackknife.of(quantity, entropy, landscape["entropy_left_out"].to_numpy().astype(float))
    off = abs(value - quantity(exact))
    with np.errstate(invalid="ignore"):
        bins = np.abs(entropy - logsumexp(entropy) - exact + logsumexp(exact))
        far = np.isfinite(exact) & (bins > np.maximum(1, 3 * landscape["entropy_err"].to_numpy()))
    return not (off <= 1 and off <= 3 * error) or bool(far.any())


def outcomes(runs: Iterable[list[xr.Dataset]], basins: Basins, only: Sequence[int] = BASINS) -> pd.DataFrame:
    """A row per landscape: found, exact, wrong, passes, failed (checks), error, and how far walkers disagree.

    What is found is ln(V_B / V_A), where y hides the basins ln(V_low / V_high) of the halves of the range in x. only:
    of which basins the landscape should be.
    """
    exact = traps.exact_entropy(basins, only)
    quantity = traps.ln_ratio if basins.resolved and len(only) == len(BASINS) else traps.ln_slope
    rows = []
    for replicas in runs:
        landscape = merge(replicas)
        verdict = convergence.judge(landscape)
        failed = list(verdict.checks["check"][~verdict.checks["passed"].astype(bool)])
        found = {"found": quantity(landscape["entropy"].to_numpy()), "exact": quantity(exact)}
        told = {"wrong": wrong(landscape, exact, quantity), "passes": verdict.passes, "failed": failed}
        rows.append(found | told | verdict.numbers)
    return pd.DataFrame(rows)
