"""What changes from round to round: the height of deposits; while exploring also time steps and masses."""

import torch
from torch import Tensor

from entroscape.domains import Box
from entroscape.sampling.dynamics.heat import highest_temperature
from entroscape.sampling.dynamics.state import Problem, State, flattened_bins, per_window, thermal

ADAPTATION = 0.05  # largest change of ln(time step) in a round, and of ln(mass) / 2
# Exploring gives a walker new velocities, and its window a shorter step, at so many standard deviations above 1 kT, and
# where parameters are few at the temperature that thermal velocities exceed with this probability.
OVERHEATED_SIGMAS, OVERHEATED_PROBABILITY = 8.0, 1e-10
STEP_REDUCTION = 0.7  # how much shorter


def deposit_height(problem: Problem, state: State, stage: str) -> Tensor:
    """Height of the deposits of this round in each window, [M, 1, 1].

    Exploring: the constant factor, or its rise as published. Refining: so much that what a visit adds to the map in
    all, height times the deposit's area, falls as strength / t with t the visits per bin (Belardinelli and Pereyra
    2007), or as 1 / (t - offset) as published.
    """
    settings, schedule = problem.settings, problem.schedule
    course, done = settings.schedule, state.steps * settings.steps_per_round
    if stage == "production":
        return torch.zeros_like(state.height)
    if course.kind == "published":
        plateau, offset, rise = schedule.explore * settings.steps_per_round, course.offset or 0, course.rise or 1
        late = (plateau - offset) / (done - offset) if done > plateau else 1.0
        return torch.full_like(state.height, settings.factor * min(1.0, (done + 1) / rise) * late)
    if stage == "explore":
        return torch.full_like(state.height, settings.factor)
    bins = flattened_bins(problem, state).sum(dim=(1, 2)).clamp(min=1)
    refined = done - schedule.explore * settings.steps_per_round
    visits_per_bin = (refined * settings.walkers / bins).reshape(-1, 1, 1)
    return settings.factor / (1 + settings.factor * problem.map.area * visits_per_bin / course.strength)


def adapt_time_step(problem: Problem, state: State, acceptance: Tensor) -> None:
    """Change each window's time step towards the acceptance wanted; `acceptance`[M] is that of the round just made."""
    target = problem.settings.time_step.acceptance or 0.0
    # in terms of the rejected share, which goes as a power of the step
    error = ((1 - acceptance).clamp(min=1e-6) / (1 - target)).log()
    state.time_step *= (-ADAPTATION * error.clamp(-1, 1)).exp().to(state.time_step.dtype)


def adapt_masses(problem: Problem, state: State) -> None:
    """Change the masses towards what lets all tensors of a window move alike.

    At equilibrium the mean square force is kT times the mean curvature, so 1 / sqrt(it) is how far a parameter can go
    in a step. Where forces are weak the box is what limits it. The geometric mean of all masses stays 1.
    """
    assert isinstance(problem.domain, Box), "the configuration sees to it"
    counts = torch.tensor(problem.layout.counts, dtype=torch.float64, device=state.force.device)
    half_widths = problem.domain.half_width.split(list(problem.layout.counts))
    widths = torch.stack([part.double().mean() for part in half_widths])
    wanted = -(state.force + widths**-2).log() / 2
    wanted = wanted - (wanted * counts).sum(1, keepdim=True) / counts.sum()
    owner = torch.arange(len(counts), device=counts.device).repeat_interleave(counts.long())
    change = wanted[:, owner] - state.scale.log()
    state.scale *= change.clamp(-ADAPTATION, ADAPTATION).exp().to(state.scale.dtype)


def calm(problem: Problem, state: State) -> None:
    """Give walkers that became hot thermal velocities, and their window a shorter step: it has grown too far."""
    hot = state.velocity.square().mean(1) > overheated_temperature(problem.parameters)
    fresh = thermal(problem, state.theta, state.generators[0])
    state.velocity.copy_(torch.where(hot.unsqueeze(1), fresh, state.velocity))
    state.time_step *= torch.where(per_window(problem, hot).any(1), STEP_REDUCTION, 1.0)


def overheated_temperature(parameters: int) -> float:
    """Kinetic temperature of a walker of so many parameters, in kT, at which `calm` gives it new velocities."""
    by_chance = highest_temperature(parameters, OVERHEATED_PROBABILITY)
    return max(1 + OVERHEATED_SIGMAS * (2 / parameters) ** 0.5, by_chance)
