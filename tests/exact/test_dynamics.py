"""Molecular dynamics against entropies known by calculus, by quadrature, and by Monte Carlo."""

import numpy as np
import pytest
import torch
import xarray as xr
from dynamics_runs import (
    assert_scaled,
    assert_within_errors,
    dynamics_settings,
    fixed,
    landscape_of,
    sample,
    trajectories,
)
from known_targets import balls, surface_entropy, surface_entropy_by_accuracy, uneven
from scipy.special import logsumexp
from whole_runs import exchange_settings

from entroscape import random
from entroscape.config.data import SpiralData
from entroscape.config.sampler import Axis, Observables, SmoothedAccuracy
from entroscape.config.settings import NetworkSettings, SampleSettings
from entroscape.data.registry import make_data
from entroscape.grid import Grid
from entroscape.landscape import jackknife
from entroscape.landscape.merge import merge
from entroscape.models import make_network
from entroscape.sampling import replica_exchange, task_dynamics
from entroscape.sampling.network import build_network
from entroscape.sampling.workers import Workers
from entroscape.training.problem import Problem
from entroscape.training.seeds import descend

pytestmark = pytest.mark.exact


SMALL = fixed(0.02)  # with 0.03 the error of the step is half of that of the run
BALL_RUNS = {
    "baoab": dict(production=2000, time_step=SMALL),
    "first order": dict(production=3000, integrator="first_order", time_step=fixed(0.015)),
    "hmc": dict(explore=100, refine=300, production=900, **trajectories(4, 0.08)),
    "two windows": dict(windows=[(-1.2, 0.0), (-2.0, -0.8)], walkers=256, production=3000, time_step=SMALL),
}


@pytest.mark.parametrize("run", BALL_RUNS)
def test_two_balls_have_the_slopes_of_their_dimensions(run):
    usual = dict(windows=[(-2.0, 0.0)], walkers=512, factor=5e-4, explore=500, refine=1000)
    target = balls()
    landscape = landscape_of(target, dynamics_settings(**usual | BALL_RUNS[run]), "balls", run)
    x, y = np.meshgrid(target.grid.x_centres, target.grid.y_values, indexing="ij")
    assert_within_errors(landscape, 3 * x + 2 * y)
    design = np.stack([x.ravel(), y.ravel(), np.ones(x.size)], axis=1)

    def slopes(entropy: np.ndarray) -> np.ndarray:
        return np.linalg.lstsq(design, entropy.ravel().astype(float), rcond=None)[0][:2]

    found, error = jackknife.of(slopes, landscape["entropy"].to_numpy(), landscape["entropy_left_out"].to_numpy())
    print(f"{run}: slopes {found}, errors {error}")
    # 1 per cent of 3 and of 2, or three errors where a run is too short for that
    assert (np.abs(found - [3, 2]) < np.maximum([0.03, 0.02], 3 * error)).all() and (error < 0.015).all()
    if run == "two windows":
        assert (landscape["exchange_rate"] > 0.2).all() and landscape["round_trips"].sum() > 500


@pytest.fixture(scope="module")
def exact() -> np.ndarray:
    return surface_entropy(2**22)


def test_the_quadrature_of_the_surface_has_converged(exact):
    assert np.abs(surface_entropy(2**20, shift=0.1) - exact).max() < 0.006
    assert np.ptp(exact) > 1.5
    assert 0.3 < 1 - np.exp(exact).sum() < 0.4  # the share of the box that lies outside the grid
    for flipped in (exact[::-1], exact[:, ::-1], exact[::-1, ::-1]):
        assert np.sqrt(np.mean((flipped - flipped.mean() - exact + exact.mean()) ** 2)) > 0.3


SURFACE_RUNS = {
    "baoab": dict(time_step=fixed(0.03), windows=[(0.0, 1.0), (-0.4, 0.4)], walkers=128),
    "first order": dict(integrator="first_order", time_step=fixed(0.03)),
    # long enough for kinetic temperatures to be known to 0.015
    "hmc": dict(explore=200, refine=200, production=1500, **trajectories(4, 0.2)),
    "baoab, masses": dict(masses="tensor", explore=800),
    "hmc, masses": dict(masses="tensor", explore=800, refine=200, production=600, **trajectories(4, 0.2)),
}


@pytest.mark.parametrize("run", SURFACE_RUNS)
def test_an_uneven_target_within_errors(exact, run):
    usual = dict(windows=[(-0.4, 1.0)], walkers=256, factor=5e-4, explore=400, refine=600, production=2500)
    settings = dynamics_settings(confinement=dict(x=30.0, y=30.0), **usual | SURFACE_RUNS[run])
    landscape = landscape_of(uneven(), settings, "surface", run)
    assert_within_errors(landscape, exact)
    assert_entropy_by_accuracy_within_errors(landscape)
    if "masses" in run:
        print(f"masses {landscape['mass'].values.round(2)}")
        assert (landscape["mass"].max("tensor") > 1.3 * landscape["mass"].min("tensor")).all()


def assert_entropy_by_accuracy_within_errors(landscape: xr.Dataset) -> None:
    """S of each true accuracy, which is no function of the map's coordinates."""
    exact = surface_entropy_by_accuracy(2**20)
    found = landscape["entropy_by_accuracy"].to_numpy()
    left_out = landscape["entropy_by_accuracy_left_out"].to_numpy().astype(float)
    seen = np.isfinite(exact)
    assert seen.sum() > 25 and not np.isfinite(found[~seen]).any()
    known = seen & (exact > exact[seen].max() - 6)  # in rarer ones too few walkers have been
    value, error = jackknife.of(lambda entropy: entropy[known] - entropy[known].mean(), found, left_out)
    assert_scaled(value - (exact[known] - exact[known].mean()), error)


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
# S rises by 20 over this window. Runs of this length do not converge on wider ones, or on ones that reach higher.
WINDOW, LN_LOSS = [(-1.1, -0.7)], Axis(min=-1.1, max=-0.7, bin_width=0.05)
NETWORK = NetworkSettings(kind="mlp", depth=3, width=6, box_factor=2.0)


class Spirals:
    """The network of the spiral task, sampled by all procedures."""

    def __init__(self):
        self.data = make_data(SPIRALS)
        self.network = make_network(NETWORK, self.data)

    def descended(self) -> np.ndarray:
        """States on the way down from random ones."""
        generator, half_width = torch.Generator().manual_seed(0), self.network.domain.half_width
        theta = (2 * torch.rand(64, len(half_width), generator=generator, dtype=torch.float64) - 1) * half_width
        rate = torch.full((64,), 0.01, dtype=torch.float64)
        found = descend(Problem.of(self.network, self.data), theta, rate, steps=300, record_every=5)
        return np.concatenate([record.theta.numpy() for record in found])

    def monte_carlo(self) -> tuple[xr.Dataset, np.ndarray]:
        """Landscape, and states that were visited: molecular dynamics starts from them and need not find its way."""
        adapted = dict(initial=0.1, max=0.5, grow=1.1, shrink=0.9, acceptance_low=0.3, acceptance_high=0.7)
        length = dict(explore=200_000, refine=400_000, production=1_000_000)
        settings = exchange_settings(WINDOW, **length, depth=10.0, moves_per_round=2000, step_size=adapted)
        grid, starts = Grid.of(LN_LOSS, len(self.data.y_test)), self.descended()
        sizes, half_width = [2, 6, 6, 6, 2], self.network.domain.half_width.numpy()
        replicas, seen = [], []
        for replica in range(2):
            problem = replica_exchange.make_problem(
                lambda: build_network(sizes, self.data, half_width, grid), grid, settings
            )
            names = "spirals", "monte carlo", replica
            state = replica_exchange.init(problem, starts, lambda role, names=names: random.generator(*names, role))
            with Workers(1) as pool:
                while state.steps < problem.steps:
                    replica_exchange.step(problem, state, pool)
                    if state.steps % 20 == 0 and problem.schedule.stage(state.steps) == "production":
                        seen.append(np.concatenate(state.walkers).copy())
            replicas.append(replica_exchange.to_dataset(problem, state))
        return merge(replicas), np.concatenate(seen)

    def molecular_dynamics(self, starts: np.ndarray, name: str, **changes) -> xr.Dataset:
        y = SmoothedAccuracy(kind="smoothed_accuracy", slope=5.0, axis=Axis(min=0.3, max=0.9, bin_width=0.05))
        options = dict(depth=10.0, confinement=dict(x=500.0, y=100.0), friction=2.0) | changes
        settings = SampleSettings(
            experiment="spiral",
            variant="width-6",
            network=NETWORK,
            train_points=None,
            seed=0,
            observables=Observables(ln_train_loss=LN_LOSS, y=y),
            procedure=dynamics_settings(WINDOW, **options),
        )
        problem = task_dynamics.make_problem(settings, self.data, "cpu")
        return merge([sample(problem, starts, "spirals", name, replica) for replica in range(2)])


def curves(landscape: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """ln of the volume of each column (mean 0), then the equilibrium's true accuracy in it; and their errors."""
    y = landscape[str(landscape["entropy"].dims[1])].to_numpy()
    maps, left_out = landscape["entropy"].to_numpy(), landscape["entropy_left_out"].to_numpy().astype(float)
    values = np.broadcast_to(y, maps.shape)
    values_left_out = [values] * len(left_out)
    if "accuracy" in landscape:  # the map is over the smoothed one
        values, values_left_out = landscape["accuracy"].to_numpy(), landscape["accuracy_left_out"].to_numpy()

    def of(entropy: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
        volume = logsumexp(entropy, axis=1)
        mean = (np.exp(entropy - volume[:, None]) * np.nan_to_num(accuracy)).sum(axis=1)
        return np.concatenate([volume - volume.mean(), mean])

    errors = jackknife.error(np.array([of(*pair) for pair in zip(left_out, values_left_out, strict=True)]))
    return of(maps, values), errors


def test_monte_carlo_and_molecular_dynamics_with_and_without_metropolis_test_agree_on_the_spirals():
    spirals = Spirals()
    landscape, starts = spirals.monte_carlo()
    langevin = dict(time_step=fixed(0.006), factor=0.004, walkers=64, explore=800, refine=1200, production=1500)
    metropolis = dict(factor=0.012, walkers=64, steps_per_round=10, explore=150, refine=100, production=150)
    found = {"monte carlo": curves(landscape)}
    for name, options in (("wlmd", langevin), ("wlhmc", metropolis | trajectories(12, 0.015))):
        found[name] = curves(spirals.molecular_dynamics(starts, name, **options))
    columns = len(found["wlmd"][0]) // 2
    for name, (value, error) in found.items():
        print(name, *np.round([value[:columns], error[:columns], value[columns:], error[columns:]], 3), sep="\n")
        assert (error[:columns] < 0.2).all() and (error[columns:] < 0.01).all(), name
    assert np.ptp(found["monte carlo"][0][:columns]) > 19, "the errors are less than one per cent of this"
    for one, other in (("monte carlo", "wlmd"), ("monte carlo", "wlhmc"), ("wlmd", "wlhmc")):
        (a, a_error), (b, b_error) = found[one], found[other]
        for what, part in (("ln volume", slice(columns)), ("accuracy", slice(columns, None))):
            scaled = (a - b)[part] / np.hypot(a_error, b_error)[part]
            print(f"{one} and {other}, {what}: rms in errors {np.sqrt(np.mean(scaled**2)):.2f}, "
                  f"largest {np.abs(scaled).max():.2f}")  # fmt: skip
            assert np.sqrt(np.mean(scaled**2)) < 2.2, (one, other, what)  # columns are correlated
            assert np.abs(scaled).max() < 4, (one, other, what)
