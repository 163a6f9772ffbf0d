"""Wang-Landau molecular dynamics over overlapping windows in ln L (arXiv:2503.13145, with what it lacks).

K walkers in each of M windows, all W = M K of them one batch. The walkers of a window share a map S(x, y): each feels
the force -dS(x, y)/dtheta that drives it to where the map is low, and raises the map where it is. Once the map has
settled it is frozen and the visits under it are counted (production): they are free of the deposits' width.

Every window has a time step (and, if asked for, masses) of its own, and exchanges configurations with its neighbours
as in `replica_exchange`; walker k of every window form ladder k, and ladders are independent in production. All tensors
of the state stay where they are, so that a round can be captured as a graph on a GPU. The host is waited for once a
round, never in a step.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from entroscape.config.sampler import MolecularDynamics
from entroscape.domains import Box, Domain
from entroscape.errors import SamplingError
from entroscape.grid import Grid
from entroscape.models.layout import ParameterLayout
from entroscape.sampling import integrators
from entroscape.sampling.coordinates import Coordinates, Observe
from entroscape.sampling.entropy_map import EntropyMap
from entroscape.sampling.graph import Launcher
from entroscape.sampling.integrators import Evaluation, Phase, Thermostat
from entroscape.sampling.schedule import Schedule
from entroscape.sampling.workers import Workers

REFRESH = 5  # steps of a round after which walkers feel what they have deposited meanwhile: the whole map changes
BLOCKS = 8  # parts of the production stage whose histograms are kept apart, to see the map converge
HOT = 20.0  # kinetic temperature of a walker, in kT, at which it has run away; 100 parameters never reach 2 by chance
WARM = 8.0  # standard deviations above 1 kT at which exploring gives a walker new velocities, its window a shorter step
RETREAT = 0.7  # how much shorter
ADAPTATION = 0.05  # largest change of ln(time step) in a round, and of ln(mass) / 2
MEMORY = 20  # rounds over which the force on a tensor is averaged, for its mass


@dataclass(frozen=True)
class Problem:
    """What is sampled: coordinates of parameters in a domain, on a grid, in windows.

    observe: theta[W, P] -> coordinates. layout: names the tensors whose kinetic temperature is reported. domain: the
    box or shell that parameters live in. map: geometry of the maps. Tensors of the state live on the device of the
    domain.
    """

    observe: Observe
    layout: ParameterLayout
    domain: Domain
    grid: Grid
    map: EntropyMap
    settings: MolecularDynamics
    schedule: Schedule
    launch: Launcher = field(default_factory=Launcher)

    @property
    def parameters(self) -> int:
        """Parameters of a walker, P."""
        return self.layout.size

    @property
    def steps(self) -> int:
        """Rounds of all stages."""
        return self.schedule.rounds

    @property
    def moves_per_step(self) -> int:
        """Steps of all walkers in a round."""
        return self.walkers * self.settings.steps_per_round

    @property
    def walkers(self) -> int:
        """Walkers of all windows, W."""
        return len(self.settings.windows) * self.settings.walkers

    @property
    def columns(self) -> list[tuple[int, int]]:
        """Columns [first, last) of each window."""
        return [self.grid.window(*edges) for edges in self.settings.windows]


@dataclass
class State:
    """All that the next round needs; W = M K walkers in M windows, P parameters. Changed in place by `step`."""

    steps: int  # rounds done
    theta: Tensor  # [W, P], window after window
    velocity: Tensor  # [W, P]
    coordinates: Tensor  # float64[3, W]: x, y and true accuracy
    entropy: Tensor  # float64[M, columns, rows]
    felt: Tensor  # float64[M, columns, rows], the map as walkers feel it
    height: Tensor  # float64[M, 1, 1], of a deposit
    visits: Tensor  # float64[M, columns, rows] since the stage began
    blocks: Tensor  # float64[BLOCKS, M, K, columns, rows], weighted visits, production only
    accuracies: Tensor  # float64[M, K, columns, rows], weighted sum of true accuracies, production only
    time_step: Tensor  # [M]
    scale: Tensor  # [M, P], of the time step of each parameter: 1 / sqrt(mass)
    force: Tensor  # float64[M, tensors], mean square force on a parameter lately, while exploring
    acceptance: Tensor  # float64[M], sum over the rounds since the stage began
    temperature: Tensor  # float64[M, tensors], kinetic temperature, sum over the same rounds
    labels: Tensor  # int64[M, K] which configuration a walker holds
    last_end: Tensor  # int64[M K] per configuration: 1 high loss, -1 low loss, 0 neither yet
    round_trips: Tensor  # int64[M K] per configuration, production only
    exchanges: Tensor  # float64[M - 1, 2] attempted and accepted since the stage began
    generators: list[torch.Generator]


@dataclass(frozen=True)
class Info:
    """Diagnostics of the round just made, read from the state when they are asked for."""

    stage: str
    state: State
    problem: Problem
    rounds: int  # since the stage began

    @property
    def temperature(self) -> Tensor:
        """Kinetic temperature of each tensor in each window, [M, tensors], in kT."""
        return self.state.temperature / self.rounds

    @property
    def acceptance(self) -> Tensor:
        """Mean probability of the Metropolis test, made or not, [M]."""
        return self.state.acceptance / self.rounds

    @property
    def disagreement(self) -> float:
        """Spread between walkers: largest over windows of the variance of their means of x over that within them."""
        counts = self.state.blocks.sum(dim=(0, 4)) if self.stage == "production" else None
        return float("nan") if counts is None else float(between_walkers(counts).max())

    def __str__(self) -> str:
        """One line for the log."""
        flat = " ".join(f"{value:.2f}" for value in flatness(self.problem, self.state))
        visited = "+".join(str(int(n)) for n in (self.state.visits > 0).sum(dim=(1, 2)))
        acceptance = " ".join(f"{value:.2f}" for value in self.acceptance)
        temperature = self.temperature
        line = (
            f"{self.stage}, height {float(self.state.height.mean()):.1e}, bins {visited}, flatness {flat}, "
            f"acceptance {acceptance}, kT of tensors {float(temperature.min()):.3f} to {float(temperature.max()):.3f}"
        )
        return line if self.stage != "production" else f"{line}, walkers' disagreement {self.disagreement:.2f}"


def make_problem(
    observe: Observe, layout: ParameterLayout, domain: Domain, grid: Grid, settings: MolecularDynamics
) -> Problem:
    """Problem of a network; the domain has the precision and the device that walkers will have."""
    schedule = Schedule.of(settings.steps, settings.steps_per_round, settings.factor, BLOCKS)
    windows = torch.tensor(settings.windows, dtype=torch.float64, device=domain.device)
    stiffness = settings.confinement.x, settings.confinement.y
    geometry = EntropyMap.of(grid, windows, stiffness, settings.depth, settings.deposit_width)
    return Problem(observe, layout, domain, grid, geometry, settings, schedule)


def init(problem: Problem, starts: np.ndarray, generator: Callable[[str], np.random.Generator]) -> State:
    """State with walkers drawn from `starts`, with thermal velocities.

    Parameters
    ----------
    starts
        float[states, P]; each window takes its walkers from those inside it, different ones if there are enough.
    generator
        Gives the generator of a role: "start" and "dynamics".

    Raises
    ------
    SamplingError
        If no start lies in a window, or the network's coordinates are not finite.
    """
    device, settings, domain = problem.domain.device, problem.settings, problem.domain
    states = domain.project(torch.as_tensor(starts).to(device=device, dtype=domain.dtype))
    theta = _choose_starts(problem, states, generator("start"))
    seed = int(generator("dynamics").integers(2**63 - 1))
    noise = torch.Generator(device=device).manual_seed(seed)
    windows, walkers = len(settings.windows), settings.walkers
    cells = (problem.grid.columns, problem.grid.rows)
    double = partial(torch.zeros, dtype=torch.float64, device=device)
    count = partial(torch.zeros, dtype=torch.int64, device=device)
    return State(
        steps=0,
        theta=theta,
        velocity=_thermal(problem, theta, noise),
        coordinates=double(3, len(theta)),
        entropy=problem.map.zeros(),
        felt=problem.map.felt(problem.map.zeros()),
        height=double(windows, 1, 1),
        visits=double(windows, *cells),
        blocks=double(BLOCKS, windows, walkers, *cells),
        accuracies=double(windows, walkers, *cells),
        time_step=torch.full((windows,), settings.time_step.initial, dtype=theta.dtype, device=device),
        scale=torch.ones(windows, problem.parameters, dtype=theta.dtype, device=device),
        force=double(windows, len(problem.layout.names)),
        acceptance=double(windows),
        temperature=double(windows, len(problem.layout.names)),
        labels=torch.arange(windows * walkers, device=device).reshape(windows, walkers),
        last_end=count(windows * walkers),
        round_trips=count(windows * walkers),
        exchanges=double(max(windows - 1, 0), 2),
        generators=[noise],
    )


def step(problem: Problem, state: State, workers: Workers) -> Info:
    """One round: steps of all walkers, shared among the workers, then exchanges between neighbouring windows.

    Raises SamplingError when a walker's coordinates are not finite any more or its velocity has run away, or when a
    stage ends without a visit to some window; the state of a round before is what a checkpoint then still holds.
    """
    schedule = problem.schedule
    stage = schedule.stage(state.steps)
    begun = {"explore": 0, "refine": schedule.explore, "production": schedule.explore + schedule.refine}[stage]
    if state.steps == begun:
        _begin_stage(problem, state)
    state.height.copy_(_deposit_height(problem, state, stage))
    block = schedule.block(state.steps) if stage == "production" else None
    before = state.acceptance.clone()
    problem.launch((id(state), stage, block), lambda: _round(problem, state, block, workers), state.generators)
    if stage == "production":
        _count_round_trips(problem, state)
    if stage == "explore" and problem.settings.time_step.acceptance is not None:
        _adapt(problem, state, state.acceptance - before)
        _calm(problem, state)
    if stage == "explore" and problem.settings.masses == "tensor":
        _adapt_masses(problem, state)
    _check(problem, state)  # before walkers change places, so that it names the right one and its step
    _exchange(problem, state)
    state.steps += 1
    if state.steps in (schedule.explore, schedule.explore + schedule.refine, schedule.rounds):
        _check_visits(problem, state, stage)
    return Info(stage, state, problem, state.steps - begun)


def flatness(problem: Problem, state: State) -> np.ndarray:
    """Smallest over mean number of visits since the stage began, [M], over the bins that the map flattens."""
    visits = state.visits + state.blocks.sum(dim=(0, 2))
    flattened = _flattened_bins(problem, state)
    found = [v[f] for v, f in zip(visits.cpu().numpy(), flattened.cpu().numpy(), strict=True)]
    return np.array([v.min() / max(v.mean(), 1e-300) if v.size else 0.0 for v in found])


def between_walkers(counts: Tensor) -> Tensor:
    """How far walkers of a window disagree about where in x they have been, [M]; 0 when they agree.

    counts[M, K, columns]: visits. Variance of the walkers' mean columns over the mean variance within walkers.
    """
    columns = torch.arange(counts.shape[2], dtype=counts.dtype, device=counts.device)
    total = counts.sum(2).clamp(min=1e-300)
    mean = (counts * columns).sum(2) / total
    within = (counts * (columns - mean.unsqueeze(2)) ** 2).sum(2) / total
    return mean.var(1) / within.mean(1).clamp(min=1e-300)


def _thermal(problem: Problem, theta: Tensor, noise: torch.Generator) -> Tensor:
    """Velocities[W, P] at kT = 1 of walkers at theta[W, P]."""
    velocity = torch.randn(theta.shape, generator=noise, dtype=theta.dtype, device=theta.device)
    return problem.domain.tangent(theta, velocity)


def _begin_stage(problem: Problem, state: State) -> None:
    state.felt.copy_(problem.map.felt(state.entropy))
    for sums in (state.visits, state.acceptance, state.temperature, state.exchanges):
        sums.zero_()


def _round(problem: Problem, state: State, block: int | None, workers: Workers) -> None:
    """Steps of one round: nothing here waits for the host, whatever the device."""
    settings = problem.settings
    evaluate = partial(_evaluate, problem, workers, state.felt)
    advance = _integrator(problem, state)
    phase = Phase(state.theta, state.velocity, evaluate(state.theta))
    time_step = (state.time_step.unsqueeze(1) * state.scale).repeat_interleave(settings.walkers, dim=0)
    weights = _bin_energies(problem, state.felt) if block is not None else None
    for number in range(settings.steps_per_round):
        phase, _, accepted = advance(phase, time_step, problem.domain, evaluate)
        state.acceptance += _per_window(problem, accepted).mean(1) / settings.steps_per_round
        x, y = (_per_window(problem, value) for value in phase.at[:2])
        if weights is not None and block is not None:
            _count(problem, state, phase.at, weights, block)
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
    freedom = _tensor_means(problem, problem.domain.freedom(phase.theta))
    state.temperature += _tensor_means(problem, phase.velocity.square()) / freedom
    state.force.lerp_(_tensor_means(problem, phase.at.force.square()), 1 / MEMORY)


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


def _evaluate(problem: Problem, workers: Workers, felt: Tensor, theta: Tensor) -> Evaluation:
    """Coordinates, potential and force at theta[W, P]; one pass forward and one back."""
    leaves = [part.requires_grad_() for part in theta.detach().chunk(workers.threads)]
    seen = workers.each(partial(_observe, problem.observe), leaves)
    x, y, accuracy = (torch.cat(values).detach().double() for values in zip(*seen, strict=True))
    potential = problem.map.potential(felt, _per_window(problem, x), _per_window(problem, y))
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


def _per_window(problem: Problem, values: Tensor) -> Tensor:
    """[W] -> [M, K]."""
    return values.reshape(-1, problem.settings.walkers)


def _cells(problem: Problem, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Column and row of x[M, K], y[M, K], clamped into the grid, and whether they lie in their window and the grid."""
    grid, windows = problem.grid, problem.map.x.edges
    column = ((x - grid.x_min) / grid.bin_width).floor()
    row = ((y - grid.y_min) / (grid.y_width or 1.0)).floor()
    inside = (x >= windows[:, :1]) & (x < windows[:, 1:]) & (row >= 0) & (row < grid.rows)
    column, row = column.nan_to_num(0).clamp(0, grid.columns - 1), row.nan_to_num(0).clamp(0, grid.rows - 1)
    return column.long(), row.long(), inside


def _add_visits(problem: Problem, state: State, x: Tensor, y: Tensor) -> None:
    """Count the walkers of each window together."""
    column, row, inside = _cells(problem, x, y)
    cell = column * problem.grid.rows + row
    state.visits.flatten(1).scatter_add_(1, cell, inside.double())


def _count(problem: Problem, state: State, at: Evaluation, weights: Tensor, block: int) -> None:
    """Count each walker by itself, weighted as if the potential were that of the bin's middle all over the bin."""
    x, y, accuracy = (_per_window(problem, value) for value in at[:3])
    column, row, inside = _cells(problem, x, y)
    cell = (column * problem.grid.rows + row).unsqueeze(2)
    middle = weights.gather(1, cell.squeeze(2))
    energy = _per_window(problem, at.energy)
    weight = torch.where(inside, (energy - middle).exp(), 0.0).unsqueeze(2)
    state.blocks[block].flatten(2).scatter_add_(2, cell, weight)
    state.accuracies.flatten(2).scatter_add_(2, cell, weight * accuracy.nan_to_num(0.0).unsqueeze(2))


def _bin_energies(problem: Problem, felt: Tensor) -> Tensor:
    """Potential at the middles of all bins in each window, [M, columns rows]."""
    x, y = (nodes.middles.expand(len(felt), -1) for nodes in (problem.map.x, problem.map.y))
    return problem.map.potential_on_grid(felt, x, y).flatten(1)


def _tensor_means(problem: Problem, values: Tensor) -> Tensor:
    """Mean in each tensor of each window, float64[M, tensors], of values[W, P]."""
    parts = torch.split(values, list(problem.layout.counts), dim=1)
    means = torch.stack([part.mean(1, dtype=torch.float64) for part in parts], dim=1)
    return means.unflatten(0, (-1, problem.settings.walkers)).mean(1)


def _flattened_bins(problem: Problem, state: State) -> Tensor:
    """Bins of each window that its map flattens: visited, and not too deep; bool[M, columns, rows]."""
    entropy = state.entropy
    column = torch.arange(problem.grid.columns, device=entropy.device)
    first, last = problem.map.x.inside[:, :1], problem.map.x.inside[:, 1:]
    inside = ((column >= first) & (column <= last)).unsqueeze(2)
    return (entropy > entropy.amax(dim=2, keepdim=True) - problem.map.depth) & (entropy > 0) & inside


def _deposit_height(problem: Problem, state: State, stage: str) -> Tensor:
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
    bins = _flattened_bins(problem, state).sum(dim=(1, 2)).clamp(min=1)
    refined = done - schedule.explore * settings.steps_per_round
    visits_per_bin = (refined * settings.walkers / bins).reshape(-1, 1, 1)
    return settings.factor / (1 + settings.factor * problem.map.area * visits_per_bin / course.strength)


def _adapt(problem: Problem, state: State, acceptance: Tensor) -> None:
    """Change each window's time step towards the acceptance wanted; `acceptance`[M] is that of the round just made."""
    target = problem.settings.time_step.acceptance or 0.0
    # in terms of the rejected share, which goes as a power of the step
    error = ((1 - acceptance).clamp(min=1e-6) / (1 - target)).log()
    state.time_step *= (-ADAPTATION * error.clamp(-1, 1)).exp().to(state.time_step.dtype)


def _adapt_masses(problem: Problem, state: State) -> None:
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


def _calm(problem: Problem, state: State) -> None:
    """Give walkers that became hot thermal velocities, and their window a shorter step: it has grown too far."""
    # one parameter more or less does not matter for so coarse a test: on a shell P - 1 velocities are free
    hot = state.velocity.square().mean(1) > 1 + WARM * (2 / problem.parameters) ** 0.5
    fresh = _thermal(problem, state.theta, state.generators[0])
    state.velocity.copy_(torch.where(hot.unsqueeze(1), fresh, state.velocity))
    state.time_step *= torch.where(_per_window(problem, hot).any(1), RETREAT, 1.0)


def _count_round_trips(problem: Problem, state: State) -> None:
    """A configuration makes a round trip when it is seen at the low-loss end, then at the high-loss end again.

    The ends are the outermost two columns that any window has flattened. Only the last step of a round is looked at,
    so that trips are never overcounted.
    """
    column, _, inside = _cells(problem, *(_per_window(problem, value) for value in state.coordinates[:2]))
    known = _flattened_bins(problem, state).any(dim=2).any(dim=0)
    numbers = torch.arange(problem.grid.columns, device=known.device)
    low = torch.where(known, numbers, problem.grid.columns).min() + 1
    high = torch.where(known, numbers, -1).max() - 1
    labels = state.labels.flatten()
    at_low, at_high = ((inside & at).flatten() for at in (column <= low, column >= high))
    last = state.last_end[labels]
    state.round_trips[labels] += ((last == -1) & at_high).long()
    state.last_end[labels] = torch.where((last == 1) & at_low, -1, torch.where(at_high, 1, last))


def _exchange(problem: Problem, state: State) -> None:
    """Offer the walkers of windows m and m + 1 of each ladder an exchange; even and odd m take turns.

    Accepted with min(1, exp(U_m(a) - U_m(b) + U_m+1(b) - U_m+1(a))); confinement is part of U.
    """
    windows = len(problem.settings.windows)
    first = list(range(state.steps % 2, windows - 1, 2))
    partner = list(range(windows))
    for m in first:
        partner[m], partner[m + 1] = m + 1, m
    if not first:
        return
    swap = torch.tensor(partner, device=state.theta.device)
    x, y = (_per_window(problem, value) for value in state.coordinates[:2])
    now, then = (problem.map.potential(state.felt, *place).energy for place in ((x, y), (x[swap], y[swap])))
    gain = now - then
    gain = gain + gain[swap]
    uniform = torch.rand(gain.shape, generator=state.generators[0], dtype=gain.dtype, device=gain.device)
    chance = uniform[torch.minimum(swap, torch.arange(windows, device=swap.device))]  # one number for both
    accepted = (chance.log() < gain) & (swap != torch.arange(windows, device=swap.device)).unsqueeze(1)
    for values in (state.theta, state.velocity, state.labels):
        by_window = values.reshape(windows, problem.settings.walkers, -1)
        by_window.copy_(torch.where(accepted.unsqueeze(2), by_window[swap], by_window))
    state.exchanges[first, 0] += problem.settings.walkers
    state.exchanges[first, 1] += accepted[first].sum(1).double()


def _check(problem: Problem, state: State) -> None:
    """Stop when a walker has gone where no walker can be."""
    settings = problem.settings
    heat = state.velocity.double().square().mean(1)
    wrong = ~torch.isfinite(state.coordinates[:2]).all(0) | ~(heat < HOT) | ~torch.isfinite(state.theta).all(1)
    if not wrong.any():
        return
    w = int(wrong.nonzero()[0, 0])
    window, walker = divmod(w, settings.walkers)
    lower, upper = settings.windows[window]
    where = f"walker {walker} of the window ln L in [{lower:g}, {upper:g}]"
    steps = (state.steps + 1) * settings.steps_per_round
    if not heat[w] >= HOT:  # slow, or nan: then the velocity has it from a force
        finite = torch.isfinite(state.coordinates[:2, w]).tolist()
        wrong_ones = [name for name, fine in zip(problem.grid.dimensions, finite, strict=True) if not fine]
        raise SamplingError(
            f"{where} has values of {' and '.join(wrong_ones) or 'parameters'} that are not finite after {steps} steps "
            f"of {float(state.time_step[window]):.3g}: look for such values in the data, or use precision: float64 or "
            "a lower time_step.initial in the sampler's section"
        )
    raise SamplingError(
        f"{where} runs away: kinetic temperature {float(heat[w]):.3g} kT after {steps} steps of "
        f"{float(state.time_step[window]):.3g}; lower time_step.initial, or factor, in the sampler's section"
    )


def _check_visits(problem: Problem, state: State, stage: str) -> None:
    """Stop at the end of a stage in which no walker was inside its window: there is nothing to learn from it."""
    visits = state.blocks.sum(dim=(0, 2, 3, 4)) if stage == "production" else state.visits.sum(dim=(1, 2))
    for (lower, upper), found in zip(problem.settings.windows, visits.tolist(), strict=True):
        if not found > 0:
            raise SamplingError(
                f"no walker was inside the window ln L in [{lower:g}, {upper:g}] at any step of the stage {stage}: "
                "make confinement.x, confinement.y or factor larger, steps.explore longer, or the window lower or wider"
            )


def _choose_starts(problem: Problem, starts: Tensor, choose: np.random.Generator) -> Tensor:
    """theta[W, P]: for each window as many of the starts inside it as it has walkers."""
    with torch.no_grad():  # as many at a time as in a step, which fits into memory
        seen = [problem.observe(part)[:2] for part in starts.split(problem.walkers)]
    x, y = (torch.cat(values).double().cpu().numpy() for values in zip(*seen, strict=True))
    if not np.isfinite(x).any() or not np.isfinite(y).any():
        name = "ln L_train" if not np.isfinite(x).any() else problem.grid.name
        raise SamplingError(
            f"{name} of all {len(starts)} start states is not finite: look for values that are not finite in the data"
        )
    chosen = [_inside(problem, x, y, window, choose) for window in problem.settings.windows]
    return starts[torch.as_tensor(np.concatenate(chosen), device=starts.device)].clone()


def _inside(
    problem: Problem, x: np.ndarray, y: np.ndarray, window: tuple[float, float], choose: np.random.Generator
) -> np.ndarray:
    row = problem.grid.row(np.nan_to_num(y, nan=1e9, posinf=1e9, neginf=-1e9))
    inside = np.flatnonzero((x >= window[0]) & (x < window[1]) & (row >= 0) & (row < problem.grid.rows))
    if len(inside) == 0:
        raise SamplingError(
            f"no walker can enter the window ln L in [{window[0]:g}, {window[1]:g}]: the {len(x)} start states have "
            f"ln L in [{np.nanmin(x):.3g}, {np.nanmax(x):.3g}] and {problem.grid.name} in [{np.nanmin(y):.3g}, "
            f"{np.nanmax(y):.3g}]; move or remove the window (sampler.main.windows), widen the axis "
            "(observables.y.axis), or train longer (training.steps)"
        )
    return np.resize(choose.permutation(inside), problem.settings.walkers)


def to_dataset(problem: Problem, state: State) -> xr.Dataset:
    """What a finished run leaves behind: weighted histograms of production and the potential they were drawn under.

    As `replica_exchange.to_dataset`, with the time step of each window, mass and kinetic temperature of each tensor in
    it, the walkers' disagreement, and in classification accuracy_sum: the visits' weights times their true accuracy.
    """
    settings, grid = problem.settings, problem.grid
    weights = _bin_energies(problem, state.felt).reshape(-1, grid.columns, grid.rows).cpu().numpy()
    for window, (first, last) in zip(weights, problem.columns, strict=True):
        window[:first] = window[last:] = -np.inf
    rounds, counts = problem.schedule.production, list(problem.layout.counts)
    masses = np.stack([part.mean(1).cpu().numpy() for part in state.scale.double().pow(-2).split(counts, dim=1)], 1)
    attempted, accepted = state.exchanges.cpu().numpy().T
    cells = ("window", "walker", *grid.dimensions)
    variables = {
        "histogram": (("block", *cells), state.blocks.cpu().numpy()),
        "weight_entropy": (("window", *grid.dimensions), weights),
        "window_edges": (("window", "edge"), np.array(settings.windows, dtype=float)),
        "time_step": ("window", state.time_step.double().cpu().numpy()),
        "mass": (("window", "tensor"), masses),
        "acceptance": ("window", state.acceptance.cpu().numpy() / rounds),
        "kinetic_temperature": (("window", "tensor"), state.temperature.cpu().numpy() / rounds),
        "disagreement": ("window", between_walkers(state.blocks.sum(dim=(0, 4))).cpu().numpy()),
        "flatness": ("window", flatness(problem, state)),
        "exchange_rate": ("overlap", accepted / np.maximum(attempted, 1)),
        "round_trips": ("configuration", state.round_trips.cpu().numpy()),
    }
    if grid.name != "ln_test_loss":
        variables["accuracy_sum"] = (cells, state.accuracies.cpu().numpy())
    steps = problem.schedule.rounds * settings.steps_per_round
    attributes = {"procedure": settings.procedure, "moves": steps, "integrator": settings.integrator}
    return xr.Dataset(variables, {**grid.coordinates, "tensor": list(problem.layout.names)}, attributes)
