"""A small target and short runs, shared by the tests of molecular dynamics."""

from functools import partial

import numpy as np
import torch
from torch import Tensor

from entroscape import random
from entroscape.config.sampler import Axis, MolecularDynamics
from entroscape.domains import Box
from entroscape.grid import Grid
from entroscape.models.layout import ParameterLayout
from entroscape.sampling import molecular_dynamics
from entroscape.sampling.coordinates import Coordinates
from entroscape.sampling.workers import Workers

LAYOUT = ParameterLayout(("weight", "bias"), ((2, 2), (3,)))
HALF_WIDTH = torch.tensor([1.0, 1.2, 0.8, 1.1, 0.9, 1.0, 1.3], dtype=torch.float64)
X_AXIS, Y_AXIS = Axis(min=-1.0, max=1.0, bin_width=0.25), Axis(min=-0.8, max=0.8, bin_width=0.2)
GRID = Grid.continuous(X_AXIS, Y_AXIS, "smoothed_accuracy")
ONE, TWO = [(-1.0, 1.0)], [(-0.25, 1.0), (-1.0, 0.5)]
THREE = [(0.25, 1.0), (-0.5, 0.5), (-1.0, -0.25)]


def observe(theta: Tensor) -> Coordinates:
    """Smooth functions of seven parameters; the true accuracy follows y in steps."""
    a, b, c, d, e, f, g = theta.unbind(1)
    x = 0.5 * a + 0.3 * b * c + 0.2 * d + 0.1 * g
    y = 0.5 * e - 0.3 * f * f + 0.2 * a * f + 0.1
    return Coordinates(x, y, ((y.detach() + 1) * 5).round() / 10)


def settings(windows=ONE, **changes) -> MolecularDynamics:
    values = dict(
        procedure="molecular_dynamics",
        replicas=2,
        walkers=4,
        windows=windows,
        steps=dict(explore=40, refine=40, production=80),
        steps_per_round=5,
        integrator="baoab",
        time_step=dict(initial=0.05, acceptance=None),
        friction=1.0,
        factor=0.02,
        deposit_width=1.0,
        schedule=dict(kind="inverse_time"),
        depth=20.0,
        confinement=dict(x=20.0, y=20.0),
        precision="float64",
        checkpoint_seconds=60.0,
    )
    return MolecularDynamics(**(values | changes))


def starts(count=2000, seed=3) -> np.ndarray:
    half = HALF_WIDTH.numpy()
    return np.random.default_rng(seed).uniform(-half, half, (count, len(half)))


def make_problem(windows=ONE, observe=observe, domain=None, **changes) -> molecular_dynamics.Problem:
    options = settings(windows, **changes)
    domain = (domain or Box(HALF_WIDTH)).to("cpu", getattr(torch, options.precision))
    return molecular_dynamics.make_problem(observe, LAYOUT, domain, GRID, options)


def start(windows=ONE, seed=0, states=None, **changes) -> tuple[molecular_dynamics.Problem, molecular_dynamics.State]:
    problem = make_problem(windows, **changes)
    return problem, molecular_dynamics.init(
        problem, starts() if states is None else states, partial(random.generator, "toy", seed)
    )


def advance(problem, state, rounds: int | None = None) -> list[molecular_dynamics.Info]:
    rounds = problem.steps - state.steps if rounds is None else rounds
    return [molecular_dynamics.step(problem, state, Workers(1)) for _ in range(rounds)]
