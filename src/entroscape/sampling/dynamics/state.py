"""What molecular dynamics samples and what its next round needs, with the views of it that all parts share."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from entroscape.config.sampler import MolecularDynamics
from entroscape.domains import Domain
from entroscape.grid import Grid
from entroscape.models.layout import ParameterLayout
from entroscape.sampling.coordinates import Observe
from entroscape.sampling.entropy_map import EntropyMap
from entroscape.sampling.graph import Launcher
from entroscape.sampling.schedule import Schedule

BLOCKS = 8  # parts of the production stage whose histograms are kept apart, to see the map converge


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
    accuracy_bins: int = 0  # of the true accuracy (`entroscape.grid.accuracy_bins`); 0 in regression, which has none
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
    accuracy_visits: Tensor  # float64[M, K, columns, accuracy_bins + 1], weighted visits by true accuracy, production
    tested: Tensor  # float64[2, M, columns, rows], steps begun in a bin, and what a Metropolis test accepts of them
    time_step: Tensor  # [M]
    scale: Tensor  # [M, P], of the time step of each parameter: 1 / sqrt(mass)
    force: Tensor  # float64[M, tensors], mean square force on a parameter lately, while exploring
    acceptance: Tensor  # float64[M], sum over the rounds since the stage began
    temperature: Tensor  # float64[M, tensors], kinetic temperature, sum over the same rounds
    labels: Tensor  # int64[M, K] which configuration a walker holds
    start_kinds: Tensor  # int64[M, K] place in `starts.KINDS` of the kind of state that each walker started from
    last_end: Tensor  # int64[2, M K] of each configuration in x and y: 1 high, -1 low, 0 neither yet
    round_trips: Tensor  # int64[2, M K] of each configuration in x and y, production only
    exchanges: Tensor  # float64[M - 1, 2] attempted and accepted since the stage began
    generators: list[torch.Generator]


def thermal(problem: Problem, theta: Tensor, noise: torch.Generator) -> Tensor:
    """Velocities[W, P] at kT = 1 of walkers at theta[W, P]."""
    velocity = torch.randn(theta.shape, generator=noise, dtype=theta.dtype, device=theta.device)
    return problem.domain.tangent(theta, velocity)


def per_window(problem: Problem, values: Tensor) -> Tensor:
    """[W] -> [M, K]."""
    return values.reshape(-1, problem.settings.walkers)


def tensor_means(problem: Problem, values: Tensor) -> Tensor:
    """Mean in each tensor of each window, float64[M, tensors], of values[W, P]."""
    parts = torch.split(values, list(problem.layout.counts), dim=1)
    means = torch.stack([part.mean(1, dtype=torch.float64) for part in parts], dim=1)
    return means.unflatten(0, (-1, problem.settings.walkers)).mean(1)


def cells(problem: Problem, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Column and row of x[M, K], y[M, K], clamped into the grid, and whether they lie in their window and the grid."""
    grid, windows = problem.grid, problem.map.x.edges
    column = ((x - grid.x_min) / grid.bin_width).floor()
    row = ((y - grid.y_min) / (grid.y_width or 1.0)).floor()
    inside = (x >= windows[:, :1]) & (x < windows[:, 1:]) & (row >= 0) & (row < grid.rows)
    column, row = column.nan_to_num(0).clamp(0, grid.columns - 1), row.nan_to_num(0).clamp(0, grid.rows - 1)
    return column.long(), row.long(), inside


def flattened_bins(problem: Problem, state: State) -> Tensor:
    """Bins of each window that its map flattens: visited, and not too deep; bool[M, columns, rows]."""
    entropy = state.entropy
    column = torch.arange(problem.grid.columns, device=entropy.device)
    first, last = problem.map.x.inside[:, :1], problem.map.x.inside[:, 1:]
    inside = ((column >= first) & (column <= last)).unsqueeze(2)
    return (entropy > entropy.amax(dim=2, keepdim=True) - problem.map.depth) & (entropy > 0) & inside


def bin_energies(problem: Problem, felt: Tensor) -> Tensor:
    """Potential at the middles of all bins in each window, [M, columns rows]."""
    x, y = (nodes.middles.expand(len(felt), -1) for nodes in (problem.map.x, problem.map.y))
    return problem.map.potential_on_grid(felt, x, y).flatten(1)
