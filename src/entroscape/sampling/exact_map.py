"""Molecular dynamics under a map that is known exactly, to see what the integrator does by itself."""

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from entroscape.config.sampler import Confinement, DepositSchedule, MolecularDynamics, Stages, TimeStep
from entroscape.config.step_size import Integrator, StepSizeStudy
from entroscape.grid import Grid
from entroscape.random import generator
from entroscape.sampling import molecular_dynamics as dynamics
from entroscape.sampling.blocks import Blocks
from entroscape.sampling.schedule import Schedule
from entroscape.sampling.workers import Workers

STEPS_PER_ROUND = 10  # velocities are looked at once a round


class Visited(NamedTuple):
    """What each of K independent walkers has seen; its visits are uniform but for noise and the integrator's bias."""

    visits: np.ndarray  # float64[K, columns, rows], weighted
    kinetic_temperature: np.ndarray  # float64[K], mean over parameters and rounds, in kT


def sample(study: StepSizeStudy, integrator: Integrator, time_step: float) -> Visited:
    """Let walkers move for the study's duration, from equilibrium on the exact map; raises SamplingError.

    The first of the blocks of production is left out: in it the walkers turn from the exact equilibrium to the
    integrator's own.
    """
    problem = _problem(study, integrator, time_step)
    state = _equilibrium(study, problem, partial(generator, "step size", integrator, repr(time_step)))
    schedule = problem.schedule
    counted = [number for number in range(schedule.rounds) if schedule.block(number) > 0]
    heat = torch.zeros(study.walkers, dtype=torch.float64)
    with Workers(1) as pool:
        while state.steps < schedule.rounds:
            dynamics.step(problem, state, pool)
            if state.steps > counted[0]:
                heat += state.velocity.square().mean(1)
    return Visited(state.blocks[1:, 0].sum(0).numpy(), (heat / len(counted)).numpy())


def _problem(study: StepSizeStudy, integrator: Integrator, time_step: float) -> dynamics.Problem:
    """The problem of two blocks in one window, with no stage but production."""
    blocks, gradients = Blocks(*study.blocks), study.leapfrog_steps if integrator == "hmc" else 1
    rounds = max(round(study.duration / (time_step * gradients * STEPS_PER_ROUND)), 2 * dynamics.BLOCKS)
    settings = MolecularDynamics(
        procedure="molecular_dynamics",
        replicas=2,
        walkers=study.walkers,
        windows=[(study.axis.min, study.axis.max)],
        steps=Stages(explore=1, refine=1, production=rounds * STEPS_PER_ROUND),
        steps_per_round=STEPS_PER_ROUND,
        integrator=integrator,
        leapfrog_steps=study.leapfrog_steps,
        jitter=study.jitter,
        time_step=TimeStep(initial=time_step, acceptance=None),
        friction=None if integrator == "hmc" else study.friction,
        factor=1.0,
        deposit_width=1.0,
        schedule=DepositSchedule(kind="inverse_time"),
        depth=1e6,
        confinement=Confinement(x=study.confinement, y=study.confinement),
        precision="float64",
        checkpoint_seconds=60.0,
    )
    grid = Grid.continuous(study.axis, study.axis, "ln_test_loss")
    problem = dynamics.make_problem(blocks.observe, blocks.layout, blocks.box, grid, settings)
    return replace(problem, schedule=Schedule(0, 0, rounds, settings.factor, dynamics.BLOCKS))


def _equilibrium(study: StepSizeStudy, problem: dynamics.Problem, generator_of: partial) -> dynamics.State:
    """Walkers uniform in x and y, under the exact map: a spline through a plane is the plane itself."""
    blocks = Blocks(*study.blocks)
    starts = blocks.starts(study.walkers, study.axis.min, study.axis.max, generator_of("equilibrium"))
    state = dynamics.init(problem, starts, generator_of)
    state.entropy[0] = torch.from_numpy(blocks.entropy(problem.grid.x_centres, problem.grid.y_values))
    return state
