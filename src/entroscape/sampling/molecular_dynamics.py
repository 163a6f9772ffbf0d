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
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from entroscape.config.sampler import MolecularDynamics
from entroscape.domains import Domain
from entroscape.grid import Grid
from entroscape.models.layout import ParameterLayout
from entroscape.sampling import starts
from entroscape.sampling.coordinates import Observe
from entroscape.sampling.dynamics.adaptation import adapt_masses, adapt_time_step, calm, deposit_height
from entroscape.sampling.dynamics.checks import check_visits, check_walkers, choose_starts
from entroscape.sampling.dynamics.ladders import count_round_trips, exchange
from entroscape.sampling.dynamics.round import run_round
from entroscape.sampling.dynamics.state import BLOCKS, Problem, State, bin_energies, flattened_bins, thermal
from entroscape.sampling.entropy_map import EntropyMap
from entroscape.sampling.schedule import Schedule
from entroscape.sampling.workers import Workers


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
    observe: Observe,
    layout: ParameterLayout,
    domain: Domain,
    grid: Grid,
    settings: MolecularDynamics,
    accuracy_bins: int = 0,
) -> Problem:
    """Problem of a network; the domain has the precision and the device that walkers will have.

    accuracy_bins: of the true accuracy, whose visits are counted beside the map (`entroscape.grid.accuracy_bins`).
    """
    schedule = Schedule.of(settings.steps, settings.steps_per_round, settings.factor, BLOCKS)
    windows = torch.tensor(settings.windows, dtype=torch.float64, device=domain.device)
    stiffness = settings.confinement.x, settings.confinement.y
    geometry = EntropyMap.of(grid, windows, stiffness, settings.depth, settings.deposit_width)
    return Problem(observe, layout, domain, grid, geometry, settings, schedule, accuracy_bins)


def init(
    problem: Problem,
    states: np.ndarray,
    generator: Callable[[str], np.random.Generator],
    kinds: np.ndarray | None = None,
    turn: int = 0,
) -> State:
    """State with walkers drawn from `states`, with thermal velocities.

    Parameters
    ----------
    states
        float[states, P]; each window takes its walkers from those inside it, different ones if there are enough.
    generator
        Gives the generator of a role: "start" and "dynamics".
    kinds, turn
        str[states], of what kind each of them is, and with which kind dealing them out begins (`starts.deal`).

    Raises
    ------
    SamplingError
        If no state lies in a window, or the network's coordinates are not finite.
    """
    device, settings, domain = problem.domain.device, problem.settings, problem.domain
    kinds = np.full(len(states), starts.KINDS[0]) if kinds is None else kinds
    placed = domain.project(torch.as_tensor(states).to(device=device, dtype=domain.dtype))
    theta, began = choose_starts(problem, placed, kinds, generator("start"), turn)
    seed = int(generator("dynamics").integers(2**63 - 1))
    noise = torch.Generator(device=device).manual_seed(seed)
    windows, walkers = len(settings.windows), settings.walkers
    cells = (problem.grid.columns, problem.grid.rows)
    double = partial(torch.zeros, dtype=torch.float64, device=device)
    count = partial(torch.zeros, dtype=torch.int64, device=device)
    return State(
        steps=0,
        theta=theta,
        velocity=thermal(problem, theta, noise),
        coordinates=double(3, len(theta)),
        entropy=problem.map.zeros(),
        felt=problem.map.felt(problem.map.zeros()),
        height=double(windows, 1, 1),
        visits=double(windows, *cells),
        blocks=double(BLOCKS, windows, walkers, *cells),
        accuracies=double(windows, walkers, *cells),
        accuracy_visits=double(windows, walkers, cells[0], problem.accuracy_bins + 1),
        tested=double(2, windows, *cells),
        time_step=torch.full((windows,), settings.time_step.initial, dtype=theta.dtype, device=device),
        scale=torch.ones(windows, problem.parameters, dtype=theta.dtype, device=device),
        force=double(windows, len(problem.layout.names)),
        acceptance=double(windows),
        temperature=double(windows, len(problem.layout.names)),
        labels=torch.arange(windows * walkers, device=device).reshape(windows, walkers),
        start_kinds=torch.from_numpy(starts.numbers(began)).reshape(windows, walkers).to(device),
        last_end=count(2, windows * walkers),
        round_trips=count(2, windows * walkers),
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
    state.height.copy_(deposit_height(problem, state, stage))
    block = schedule.block(state.steps) if stage == "production" else None
    before = state.acceptance.clone()
    problem.launch((id(state), stage, block), lambda: run_round(problem, state, block, workers), state.generators)
    if stage == "production":
        count_round_trips(problem, state)
    if stage == "explore" and problem.settings.time_step.acceptance is not None:
        adapt_time_step(problem, state, state.acceptance - before)
        calm(problem, state)
    if stage == "explore" and problem.settings.masses == "tensor":
        adapt_masses(problem, state)
    check_walkers(problem, state)  # before walkers change places, so that it names the right one and its step
    exchange(problem, state)
    state.steps += 1
    if state.steps in (schedule.explore, schedule.explore + schedule.refine, schedule.rounds):
        check_visits(problem, state, stage)
    return Info(stage, state, problem, state.steps - begun)


def _begin_stage(problem: Problem, state: State) -> None:
    state.felt.copy_(problem.map.felt(state.entropy))
    for sums in (state.visits, state.acceptance, state.temperature, state.exchanges):
        sums.zero_()


def flatness(problem: Problem, state: State) -> np.ndarray:
    """Smallest over mean number of visits since the stage began, [M], over the bins that the map flattens."""
    visits = state.visits + state.blocks.sum(dim=(0, 2))
    flattened = flattened_bins(problem, state)
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


def to_dataset(problem: Problem, state: State) -> xr.Dataset:
    """What a finished run leaves behind: weighted histograms of production and the potential they were drawn under.

    As `replica_exchange.to_dataset`, with the time step of each window, mass and kinetic temperature of each tensor in
    it, the walkers' disagreement, and in classification accuracy_sum, the visits' weights times their true accuracy;
    with accuracy bins also accuracy_histogram[window, walker, column, true accuracy], visits weighted as if the map
    were flat in a column.
    """
    settings, grid = problem.settings, problem.grid
    weights = bin_energies(problem, state.felt).reshape(-1, grid.columns, grid.rows).cpu().numpy()
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
        "steps_begun": (("window", *grid.dimensions), state.tested[0].cpu().numpy()),
        "steps_accepted": (("window", *grid.dimensions), state.tested[1].cpu().numpy()),
        "flatness": ("window", flatness(problem, state)),
        "exchange_rate": ("overlap", accepted / np.maximum(attempted, 1)),
        "round_trips": ("configuration", state.round_trips[0].cpu().numpy()),
        "round_trips_in_y": ("configuration", state.round_trips[1].cpu().numpy()),
        "start_kind": (("window", "walker"), np.array(starts.KINDS)[state.start_kinds.cpu().numpy()]),
    }
    if grid.name != "ln_test_loss":
        variables["accuracy_sum"] = (cells, state.accuracies.cpu().numpy())
    coordinates = {**grid.coordinates, "tensor": list(problem.layout.names)}
    if problem.accuracy_bins:
        by_accuracy = ("window", "walker", grid.dimensions[0], "test_accuracy")
        variables["accuracy_histogram"] = (by_accuracy, state.accuracy_visits.cpu().numpy())
        coordinates["test_accuracy"] = np.arange(problem.accuracy_bins + 1) / problem.accuracy_bins
    steps = problem.schedule.rounds * settings.steps_per_round
    attributes = {"procedure": settings.procedure, "moves": steps, "integrator": settings.integrator}
    return xr.Dataset(variables, coordinates, attributes)
