"""Dynamics on the shell of all vectors of one length, against distributions and entropies known by calculus.

Blocks of d_i of the parameters of a vector that is uniform on the sphere have squared lengths that, as shares of the
whole, are distributed as Dirichlet(d_i / 2); a single one as Beta.
"""

import numpy as np
import pytest
import torch
from dynamics_runs import assert_within_errors, dynamics_settings, fixed, landscape_of, trajectories
from known_targets import BLOCKS, RADIUS, SPHERE_AXIS, shares, shell, sphere, sphere_entropy
from scipy import stats
from scipy.optimize import brentq
from scipy.special import ive
from torch import Tensor
from whole_runs import deviations

from entroscape.domains import Shell
from entroscape.sampling.integrators import Evaluation, Phase, Thermostat, baoab, first_order, hmc

pytestmark = pytest.mark.exact


class Field:
    """The potential -strength * theta_0; theta is then distributed as von Mises and Fisher say."""

    def __init__(self, strength: float):
        self.strength = strength

    def __call__(self, theta: Tensor) -> Evaluation:
        along, force = theta[:, 0], torch.zeros_like(theta)
        force[:, 0] = self.strength
        return Evaluation(along, along, along, -self.strength * along, force)


def walk(integrator, domain: Shell, theta: Tensor, field: Field, step: float, steps: int, friction=1.0, **options):
    """The walkers after each step."""
    generator = torch.Generator().manual_seed(0)
    theta = domain.project(theta)
    velocity = domain.tangent(theta, torch.randn(theta.shape, generator=generator, dtype=theta.dtype))
    phase, bath = Phase(theta, velocity, field(theta)), Thermostat(friction, generator)
    step_of_all = torch.full((len(theta), 1), step, dtype=theta.dtype)
    for _ in range(steps):
        phase = integrator(phase, step_of_all, domain, field, bath, **options).phase
        yield phase


def corner(walkers: int, parameters: int) -> Tensor:
    """Directions near one axis, far from uniform."""
    spread = torch.randn(walkers, parameters, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return 0.05 * spread + torch.eye(1, parameters, dtype=torch.float64)


FREE = {
    "baoab": (baoab, "geodesic", 400, {}),
    "first order": (first_order, "geodesic", 400, {}),
    "hmc": (hmc, "geodesic", 40, dict(leapfrog_steps=10, jitter=0.3)),
    "baoab, rescaling": (baoab, "rescaling", 400, {}),
    "first order, rescaling": (first_order, "rescaling", 400, {}),
}


@pytest.mark.parametrize("run", FREE)
def test_without_a_force_walkers_fill_the_sphere_evenly(run):
    """Also in the published motion: without a force no direction is distinguished, whatever its temperature is."""
    integrator, motion, steps, options = FREE[run]
    domain, total = shell(motion), sum(BLOCKS)
    *_, last = walk(integrator, domain, corner(4000, total), Field(0.0), 0.1, steps, **options)
    for share, size in zip(shares(last.theta), BLOCKS, strict=True):
        test = stats.kstest(share.numpy(), stats.beta(size / 2, (total - size) / 2).cdf)
        print(f"{run}: block of {size}, mean share {share.mean():.4f}, Kolmogorov and Smirnov p = {test.pvalue:.3f}")
        assert test.pvalue > 1e-3
    assert float(last.theta[:, 0].mean()) == pytest.approx(0, abs=4 * RADIUS / (total * 4000) ** 0.5)
    assert ((last.theta.norm(dim=1) - RADIUS).abs() < 1e-13 * RADIUS).all()


def temperature(mean_cosine: float, strength: float, parameters: int) -> float:
    """kT at which the mean of theta_0 / radius is this; strength in kT of the bath per radius."""
    return strength / brentq(lambda k: ive(parameters / 2, k) / ive(parameters / 2 - 1, k) - mean_cosine, 1e-3, 1e4)


def published_temperature(friction: float, parameters: int, radius: float) -> float:
    """kT along the shell of the published motion, for many parameters and forces that are weak across the shell.

    v = rho n + w with n the direction of theta: since n turns with w / radius, w loses rho / radius of itself per unit
    of time besides the friction, and rho gains |w|^2 / radius. With a = rho / radius that is friction a = kT P /
    radius^2 and kT = friction / (friction + a).
    """
    a = (np.sqrt(friction**2 + 4 * parameters / radius**2) - friction) / 2
    return friction / (friction + a)


@pytest.mark.parametrize("friction", [3.0, 20.0])
@pytest.mark.parametrize("motion", ["geodesic", "rescaling"])
def test_temperature_along_the_shell_is_that_of_the_bath_only_on_geodesics(motion, friction):
    parameters, radius, walkers, strength, found = 100, 1.0, 600, 10.0, []
    start = torch.randn(walkers, parameters, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    path = walk(baoab, shell(motion, radius), start, Field(strength), 0.01, 1600, friction)
    for number, phase in enumerate(path):
        if number > 400 and number % 40 == 0:
            found.append(phase.theta[:, 0])
    means = torch.stack(found).mean(0)  # of each walker
    middle, error = float(means.mean()), float(means.std() / walkers**0.5)
    low, high = (temperature(middle + sign * 4 * error, strength, parameters) for sign in (1, -1))
    expected = 1.0 if motion == "geodesic" else published_temperature(friction, parameters, radius)
    print(f"{motion}, friction {friction}: kT {low:.3f} to {high:.3f} (four errors), expected {expected:.3f}")
    if motion == "geodesic":
        assert low < 1 < high and high - low < 0.1
    else:
        assert high < 0.9
        assert temperature(middle, strength, parameters) == pytest.approx(expected, rel=0.07)


WINDOWS = [(SPHERE_AXIS.min, SPHERE_AXIS.max)]
USUAL = dict(windows=WINDOWS, walkers=256, factor=5e-4, explore=300, refine=500, production=2000)
RUNS = {
    "baoab": dict(time_step=fixed(0.03)),  # with 0.06 the error of the step is as large as that of the run
    # long enough for kinetic temperatures to be known to 0.011
    "hmc": dict(USUAL, explore=100, refine=150, production=1200, **trajectories(4, 0.15)),
}


@pytest.mark.parametrize("run", RUNS)
def test_the_sampler_finds_the_entropy_of_two_blocks_on_a_sphere(run):
    landscape = landscape_of(sphere("geodesic"), dynamics_settings(**USUAL | RUNS[run]), "sphere", run)
    assert_within_errors(landscape, sphere_entropy())


def test_the_sampler_finds_a_flatter_entropy_with_the_published_motion():
    """As in a colder bath, which would give kT S, and distorted besides; the errors of bins know nothing of that."""
    changes = dict(time_step=fixed(0.03), integrator="first_order", friction=1.0)
    landscape = landscape_of(sphere("rescaling"), dynamics_settings(**USUAL | changes), "sphere", "published")
    exact = sphere_entropy()
    difference, error = deviations(landscape, exact)
    slope = stats.linregress(exact.ravel(), landscape["entropy"].to_numpy().ravel()).slope
    expected = published_temperature(1.0, sum(BLOCKS), RADIUS)
    print(
        f"S found / S exact: {slope:.3f}, kT by theory {expected:.3f}; S exact spans {np.ptp(exact):.2f}, deviations "
        f"span {np.ptp(difference):.2f}, median error {np.median(error):.3f}"
    )
    assert slope == pytest.approx(expected, abs=0.1)
    assert np.ptp(difference) > 20 * np.median(error)
