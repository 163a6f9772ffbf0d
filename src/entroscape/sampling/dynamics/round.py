"""Steps of all walkers in one round, and what they leave on the map or in the histograms.

All tensors of the state stay where they are, so that a round can be captured as a graph on a GPU; the host is never
waited for.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from entroscape.sampling import integrators
from entroscape.sampling.coordinates import Coordinates, Observe
from entroscape.sampling.dynamics.state import Problem, State, bin_energies, cells, per_window, tensor_means
from entroscape.sampling.integrators import Evaluation, Phase, Thermostat
from entroscape.sampling.workers import Workers

REFRESH = 5  # steps of a round after which walkers feel what they have deposited meanwhile: the whole map changes
MEMORY = 20  # rounds over which the force on a tensor is averaged, for its mass


def run_round(problem: Problem, state: State, block: int | None, workers: Workers) -> None:
    """Steps of one round: nothing here waits for the host, whatever the device."""
    settings = problem.settings
    look = partial(evaluate, problem, workers, state.felt)
    advance = _integrator(problem, state)
    phase = Phase(state.theta, state.velocity, look(state.theta))
    time_step = (state.time_step.unsqueeze(1) * state.scale).repeat_interleave(settings.walkers, dim=0)
    weights = bin_energies(problem, state.felt) if block is not None else None
    tops = state.felt.amax(dim=2) if block is not None else None
    for number in range(settings.steps_per_round):
        before = phase.at
        phase, _, accepted = advance(phase, time_step, problem.domain, look)
        state.acceptance += per_window(problem, accepted).mean(1) / settings.steps_per_round
        x, y = (per_window(problem, value) for value in phase.at[:2])
        if weights is not None and tops is not None and block is not None:
            column, inside = _count(problem, state, phase.at, weights, block)
            _count_by_accuracy(problem, state, phase.at, tops, column, inside)
            _count_accepted(problem, state, before, accepted)
        else:
            _add_visits(problem, state, x, y)
            problem.map.deposit(state.entropy, x, y, state.height)
            if (number + 1) % REFRESH == 0 or number + 1 == settings.steps_per_round:
                state.felt.copy_(problem.map.felt(state.entropy))
                # the walkers stay, the map has risen: that is no energy that the next step gains
                energy = problem.map.potential(state.felt, x, y).energy.flatten()
                phase = phase._replace(at=phase.at._replace(energy=energy))
    state.theta.copy_(phase.theta)
    state.velocity.copy_(phase.velocity)
    state.coordinates.copy_(torch.stack(phase.at[:3]))
    # on a shell there is no motion across it, and a tensor that is most of the norm has little freedom
    freedom = tensor_means(problem, problem.domain.freedom(phase.theta))
    state.temperature += tensor_means(problem, phase.velocity.square()) / freedom
    state.force.lerp_(tensor_means(problem, phase.at.force.square()), 1 / MEMORY)


def _integrator(problem: Problem, state: State) -> Callable[..., integrators.Moved]:
    """(phase, time step, domain, evaluate) -> the configured step."""
    settings = problem.settings
    thermostat = Thermostat(settings.friction, state.generators[0])
    if settings.integrator == "hmc":
        return partial(
            integrators.hmc,
            thermostat=thermostat,
            leapfrog_steps=settings.leapfrog_steps,
            jitter=settings.jitter,
        )
    function = integrators.baoab if settings.integrator == "baoab" else integrators.first_order
    return partial(function, thermostat=thermostat)


def evaluate(problem: Problem, workers: Workers, felt: Tensor, theta: Tensor) -> Evaluation:
    """Coordinates, potential and force at theta[W, P]; one pass forward and one back."""
    leaves = [part.requires_grad_() for part in theta.detach().chunk(workers.threads)]
    seen = workers.each(partial(_observe, problem.observe), leaves)
    x, y, accuracy = (torch.cat(values).detach().double() for values in zip(*seen, strict=True))
    potential = problem.map.potential(felt, per_window(problem, x), per_window(problem, y))
    slopes = torch.stack([potential.slope_x.flatten(), potential.slope_y.flatten()]).to(theta.dtype)
    parts = list(zip(leaves, seen, slopes.split([len(leaf) for leaf in leaves], dim=1), strict=True))
    return Evaluation(x, y, accuracy, potential.energy.flatten(), torch.cat(workers.each(_force, parts)))


def _observe(observe: Observe, leaf: Tensor) -> Coordinates:
    """Coordinates with what is needed for their gradient, whichever thread asks."""
    with torch.enable_grad():
        return observe(leaf)


def _force(part: tuple[Tensor, Coordinates, Tensor]) -> Tensor:
    """-(dU/dx grad x + dU/dy grad y) of some walkers, from (theta, coordinates, slopes[2, walkers])."""
    leaf, at, slopes = part
    return torch.autograd.grad([at.x, at.y], leaf, list(-slopes))[0]


def _add_visits(problem: Problem, state: State, x: Tensor, y: Tensor) -> None:
    """Count the walkers of each window together."""
    column, row, inside = cells(problem, x, y)
    cell = column * problem.grid.rows + row
    state.visits.flatten(1).scatter_add_(1, cell, inside.double())


def _count_accepted(problem: Problem, state: State, before: Evaluation, accepted: Tensor) -> None:
    """Add up steps, and how likely each was to be accepted, in the bins where they began."""
    column, row, inside = cells(problem, *(per_window(problem, value) for value in before[:2]))
    cell, probability = column * problem.grid.rows + row, per_window(problem, accepted).double()
    for sums, values in zip(state.tested, (inside.double(), torch.where(inside, probability, 0.0)), strict=True):
        sums.flatten(1).scatter_add_(1, cell, values)


def _count(problem: Problem, state: State, at: Evaluation, weights: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """Count each walker by itself, weighted as if the potential were that of the bin's middle all over the bin.

    Gives the column of each walker and whether it is inside its window and the grid, [M, K] each.
    """
    x, y, accuracy = (per_window(problem, value) for value in at[:3])
    column, row, inside = cells(problem, x, y)
    cell = (column * problem.grid.rows + row).unsqueeze(2)
    middle = weights.gather(1, cell.squeeze(2))
    energy = per_window(problem, at.energy)
    weight = torch.where(inside, (energy - middle).exp(), 0.0).unsqueeze(2)
    state.blocks[block].flatten(2).scatter_add_(2, cell, weight)
    state.accuracies.flatten(2).scatter_add_(2, cell, weight * accuracy.nan_to_num(0.0).unsqueeze(2))
    return column, inside


def _count_by_accuracy(
    problem: Problem, state: State, at: Evaluation, tops: Tensor, column: Tensor, inside: Tensor
) -> None:
    """Count each walker by its loss and true accuracy, weighted as if the potential were the same all over a column.

    The weight is exp(U - top), with the highest of the map in the walker's column, tops[M, columns], so that it stays
    finite: within a column and a window, sums of it are volumes up to one factor.
    """
    if not problem.accuracy_bins:
        return
    accuracy = per_window(problem, at.accuracy)
    row = (accuracy.nan_to_num(0.0) * problem.accuracy_bins + 1e-4).floor().long()  # single precision rounds k / n down
    cell = (column * (problem.accuracy_bins + 1) + row.clamp(0, problem.accuracy_bins)).unsqueeze(2)
    weight = torch.where(inside, (per_window(problem, at.energy) - tops.gather(1, column)).exp(), 0.0).unsqueeze(2)
    state.accuracy_visits.flatten(2).scatter_add_(2, cell, weight)
