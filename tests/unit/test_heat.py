"""How hot walkers may be: thermal velocities of few parameters are seldom near 1 kT, and are no mistake."""

from functools import partial

import numpy as np
import pytest
import torch
from dynamics import GRID, ONE, advance, settings
from scipy.stats import chi2

from entroscape import random
from entroscape.domains import Box
from entroscape.errors import SamplingError
from entroscape.models.layout import ParameterLayout
from entroscape.sampling import molecular_dynamics
from entroscape.sampling.coordinates import Coordinates
from entroscape.sampling.dynamics.adaptation import calm, overheated_temperature
from entroscape.sampling.dynamics.checks import check_walkers, runaway_temperature
from entroscape.sampling.dynamics.heat import highest_temperature

pytestmark = pytest.mark.unit


def one_parameter(walkers: int, **stages):
    """Walkers of a single parameter, which is x; y is a function of it."""

    def observe(theta: torch.Tensor) -> Coordinates:
        x = theta[:, 0]
        return Coordinates(x, 0.5 * x * x, torch.zeros_like(x))

    options = settings(ONE, walkers=walkers, steps_per_round=2, factor=1e-6, steps=stages)
    box = Box(torch.tensor([1.0], dtype=torch.float64))
    problem = molecular_dynamics.make_problem(observe, ParameterLayout(("x",), ((1,),)), box, GRID, options)
    starts = np.linspace(-0.99, 0.99, 500)[:, None]
    return problem, molecular_dynamics.init(problem, starts, partial(random.generator, "one parameter"))


@pytest.mark.parametrize("parameters", [1, 2, 5, 30])
def test_the_bound_is_exceeded_with_the_probability_that_is_asked_for(parameters):
    probability = chi2.sf(parameters * highest_temperature(parameters, 1e-12), parameters)
    assert probability == pytest.approx(1e-12, rel=1e-6)
    velocity = torch.randn(100_000, parameters, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    share = (velocity.square().mean(1) > highest_temperature(parameters, 0.01)).double().mean()
    assert 0.009 < float(share) < 0.011


def test_bounds_are_those_of_many_parameters_and_higher_only_for_few():
    assert [runaway_temperature(parameters) for parameters in (7, 22, 10**6)] == [20.0] * 3
    assert runaway_temperature(1) == pytest.approx(110, abs=1) and runaway_temperature(6) > 20
    for parameters in (10**3, 10**6):
        assert overheated_temperature(parameters) == 1 + 8 * (2 / parameters) ** 0.5
    for parameters in (*range(1, 50), 10**3, 10**6):
        assert 1 + 8 * (2 / parameters) ** 0.5 <= overheated_temperature(parameters) < runaway_temperature(parameters)


def test_an_honest_run_of_one_parameter_goes_through():
    """A million thermal velocities: about eight of them have a square above 20, the bound for many parameters."""
    problem, state = one_parameter(5000, explore=40, refine=40, production=320)
    hottest = 0.0
    while state.steps < problem.steps:
        advance(problem, state, 1)
        hottest = max(hottest, float(state.velocity.square().max()))
    assert hottest > 20


def test_a_walker_of_one_parameter_that_runs_away_is_named():
    problem, state = one_parameter(5, explore=10, refine=10, production=80)
    advance(problem, state, 1)
    state.velocity[3] = 11.0
    with pytest.raises(SamplingError, match=r"walker 3 of the window .* runs away: kinetic temperature 121 kT"):
        check_walkers(problem, state)


def test_thermal_velocities_of_one_parameter_do_not_shorten_the_step():
    problem, state = one_parameter(5, explore=10, refine=10, production=80)
    state.velocity[:] = 5.0  # more than that once in two million
    step = state.time_step.clone()
    calm(problem, state)
    assert torch.equal(state.time_step, step) and (state.velocity == 5).all()
    state.velocity[2] = 7.0
    calm(problem, state)
    assert (state.time_step < step).all() and (state.velocity[[0, 1, 3, 4]] == 5).all()
