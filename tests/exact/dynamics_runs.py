"""Whole samplings by molecular dynamics of coordinates that are known functions, from starts to a merged landscape."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from whole_runs import deviations

from entroscape import random
from entroscape.config.sampler import MolecularDynamics
from entroscape.domains import Domain
from entroscape.grid import Grid
from entroscape.landscape.merge import merge
from entroscape.models.layout import ParameterLayout
from entroscape.sampling import molecular_dynamics
from entroscape.sampling.coordinates import Coordinates
from entroscape.sampling.workers import Workers


class Target(NamedTuple):
    """Coordinates of a vector in a domain: (theta[W, P]) -> x[W], y[W].

    accuracy: theta[W, P] -> [W], in steps of 1 / `accuracy_bins`, which are counted beside the map if there are any.
    """

    coordinates: Callable[[Tensor], tuple[Tensor, Tensor]]
    domain: Domain
    grid: Grid
    starts: np.ndarray  # [states, P]
    accuracy: Callable[[Tensor], Tensor] = lambda theta: torch.full_like(theta[:, 0], torch.nan)
    accuracy_bins: int = 0

    def problem(self, settings: MolecularDynamics) -> molecular_dynamics.Problem:
        names = tuple(f"theta.{number}" for number in range(self.starts.shape[1]))
        layout = ParameterLayout(names, ((1,),) * len(names))  # a mass for each

        def observe(theta: Tensor) -> Coordinates:
            x, y = self.coordinates(theta)
            return Coordinates(x, y, self.accuracy(theta).detach())

        return molecular_dynamics.make_problem(observe, layout, self.domain, self.grid, settings, self.accuracy_bins)


def dynamics_settings(windows, explore=1000, refine=1500, production=4000, **changes) -> MolecularDynamics:
    values = dict(
        procedure="molecular_dynamics",
        replicas=2,
        walkers=128,
        windows=windows,
        steps=dict(explore=explore, refine=refine, production=production),
        steps_per_round=20,
        integrator="baoab",
        time_step=dict(initial=0.03, acceptance=None),
        friction=1.0,
        factor=0.001,
        deposit_width=1.5,
        schedule=dict(kind="inverse_time"),
        depth=40.0,
        confinement=dict(x=8.0, y=8.0),
        precision="float64",
        checkpoint_seconds=60,
    )
    return MolecularDynamics(**(values | changes))


def fixed(step: float) -> dict:
    return dict(initial=step, acceptance=None)


def trajectories(leapfrog_steps: int, step: float) -> dict:
    return dict(integrator="hmc", leapfrog_steps=leapfrog_steps, jitter=0.3, time_step=fixed(step))


def sample(problem: molecular_dynamics.Problem, starts: np.ndarray, *names) -> xr.Dataset:
    """What one replica leaves behind."""
    state = molecular_dynamics.init(problem, starts, lambda role: random.generator(*names, role))
    while state.steps < problem.steps:
        molecular_dynamics.step(problem, state, Workers(1))
    return molecular_dynamics.to_dataset(problem, state)


def landscape_of(target: Target, settings: MolecularDynamics, *names) -> xr.Dataset:
    """All replicas of a target, merged."""
    problem = target.problem(settings)
    return merge([sample(problem, target.starts, *names, replica) for replica in range(settings.replicas)])


def window_alone(together: xr.Dataset, settings: MolecularDynamics, window: int) -> xr.Dataset:
    """One window of a run as if it had been sampled by itself: many runs make one batch in this way."""
    own = slice(window * settings.walkers, (window + 1) * settings.walkers)
    return together.isel(window=[window], configuration=own, overlap=slice(0))


def assert_within_errors(landscape: xr.Dataset, exact: np.ndarray) -> None:
    """Deviations from the exact entropy are as large as the reported errors say, in every bin there is."""
    difference, error = deviations(landscape, exact)
    assert len(difference) == np.isfinite(exact).sum() == exact.size
    assert_scaled(difference, error)
    print(f"kinetic temperatures {np.round(landscape['kinetic_temperature'].values.ravel(), 3)}")
    assert np.abs(landscape["kinetic_temperature"] - 1).max() < 0.05


def assert_scaled(difference: np.ndarray, error: np.ndarray) -> None:
    """Deviations of bins are as large as their errors say."""
    scaled = np.abs(difference) / error
    print(
        f"largest deviation {np.abs(difference).max():.4f}, median error {np.median(error):.4f}, rms in errors "
        f"{np.sqrt(np.mean(scaled**2)):.2f}, within 2 sigma {np.mean(scaled < 2):.3f}, largest {scaled.max():.1f}"
    )
    # bins of one run are correlated; Student's t with all its ladders but one puts 0.954 of them within 2 sigma
    assert np.median(error) < 0.04
    assert 0.6 < np.sqrt(np.mean(scaled**2)) < 1.5
    assert np.mean(scaled < 2) > 0.85
    assert scaled.max() < 5
