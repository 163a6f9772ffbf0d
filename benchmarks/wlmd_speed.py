"""Wang-Landau molecular dynamics: walker-steps per second on CPU, batched and a walker at a time."""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from rich.table import Table
from torch import nn

from benchmarks.plain_transformer import PlainTransformer
from benchmarks.wlmd_plain import PlainDynamics, Task, Walker, plain_cnn
from entroscape.config.data import ModularData
from entroscape.config.sampler import Axis, MolecularDynamics, SmoothedAccuracyLogit
from entroscape.config.settings import NetworkSettings
from entroscape.data.dataset import TaskData
from entroscape.data.registry import make_data
from entroscape.domains import Box
from entroscape.grid import Grid
from entroscape.models import Network, make_network
from entroscape.random import generator
from entroscape.sampling import molecular_dynamics
from entroscape.sampling.coordinates import Coordinates, observer
from entroscape.sampling.workers import Workers

CHANNELS = 2
CLASSES = 10
X_AXIS = Axis(min=-7.0, max=3.0, bin_width=0.02)
Y = SmoothedAccuracyLogit(
    kind="smoothed_accuracy_logit", slope=5.0, epsilon=1e-4, axis=Axis(min=-10.0, max=10.0, bin_width=0.02)
)


@dataclass(frozen=True)
class Subject:
    """A task and its network, batched and as a plain module."""

    data: TaskData
    settings: NetworkSettings
    module: Callable[[], nn.Module]

    @property
    def network(self) -> Network:
        return make_network(self.settings, self.data)


def images(side: int, points: int) -> Subject:
    """The CNN on random pixels and labels: the speed depends on their number alone."""
    random = generator("benchmark", "images")
    x, y = random.normal(size=(2 * points, 1, side, side)), random.integers(CLASSES, size=2 * points)
    data = TaskData(x[:points], y[:points], x[points:], y[points:], CLASSES, {"what": "random numbers"})
    network = NetworkSettings(kind="cnn", width=CHANNELS, box_rule="fan_out", box_factor=2.0)
    return Subject(data, network, partial(plain_cnn, (1, side, side), CHANNELS, CLASSES))


def prompts(modulus: int, d_model: int, heads: int = 4, mlp_ratio: int = 4) -> Subject:
    """The transformer on all prompts of addition."""
    section = ModularData(kind="modular", operation="add", modulus=modulus, train_fraction=0.5, seed=1)
    network = NetworkSettings(
        kind="transformer",
        width=d_model,
        heads=heads,
        mlp_ratio=mlp_ratio,
        box_rule="fan_in",
        box_factor=3.0,
        start="nanda",
    )
    return Subject(
        make_data(section), network, partial(PlainTransformer, modulus + 1, d_model, heads, mlp_ratio * d_model)
    )


@dataclass(frozen=True)
class Case:
    """What is sampled, bins per unit, walkers, threads."""

    subject: Callable[[], Subject]
    bins_per_unit: int
    walkers: tuple[int, ...]
    threads: int


CASES = {
    "MNIST as published, c = 2": Case(partial(images, 28, 250), 50, (1, 2, 4, 8, 16), 2),
    "14 x 14 pixels, c = 2": Case(partial(images, 14, 100), 10, (16, 64, 128), 1),
    "7 x 7 pixels, c = 2": Case(partial(images, 7, 80), 10, (16, 64, 128), 1),
    "transformer as published": Case(partial(prompts, 67, 128), 20, (1, 2, 4, 8), 2),
    "transformer, p = 23, d 32": Case(partial(prompts, 23, 32), 20, (4, 16), 1),
    "transformer, p = 17, d 16": Case(partial(prompts, 17, 16, mlp_ratio=2), 20, (4, 16), 1),
}


def settings(walkers: int, window: tuple[float, float], steps_per_round: int = 10, **others) -> MolecularDynamics:
    """The published step; no window in ln L and no flattening, as published."""
    return MolecularDynamics(
        procedure="molecular_dynamics",
        replicas=2,
        walkers=max(2, walkers),
        windows=[window],
        steps=dict(explore=1_000_000, refine=1000, production=1000),
        steps_per_round=steps_per_round,
        integrator="first_order",
        time_step=dict(initial=1e-4, acceptance=None),
        friction=0.01,
        factor=0.1,
        deposit_width=10.0,
        schedule=dict(kind="inverse_time"),
        depth=1e9,
        confinement=dict(x=3000.0, y=3000.0),
        checkpoint_seconds=60,
        **others,
    ).model_copy(update=dict(walkers=walkers))


def grid_of(bins_per_unit: int) -> Grid:
    width = 1 / bins_per_unit
    axes = [axis.model_copy(update=dict(bin_width=width)) for axis in (X_AXIS, Y.axis)]
    return Grid.continuous(*axes, Y.kind)


def tensors(data: TaskData, dtype: torch.dtype, device: torch.device | str = "cpu") -> Task:
    """Arrays of the task; numbers in the precision of the parameters, labels and tokens as they are."""
    arrays = (data.x_train, data.y_train, data.x_test, data.y_test)
    types = (dtype if array.dtype.kind == "f" else torch.int64 for array in arrays)
    return Task(*(torch.as_tensor(a, dtype=kind, device=device) for a, kind in zip(arrays, types, strict=True)), Y)


class Batched:
    """The sampler of this project."""

    def __init__(
        self,
        subject: Subject,
        grid: Grid,
        options: MolecularDynamics,
        dtype: torch.dtype = torch.float32,
        threads: int = 1,
        device: str = "cpu",
    ):
        self.subject = subject
        network, task = subject.network, tensors(subject.data, dtype, device)
        observe = observer(network, (task.x_train, task.x_test), (task.y_train, task.y_test), Y)
        domain = network.domain.to(device, dtype)
        self.problem = molecular_dynamics.make_problem(observe, network.layout, domain, grid, options)
        starts = network.domain.project(network.initial(torch.Generator().manual_seed(1), 50))
        self.state = molecular_dynamics.init(self.problem, starts.numpy(), partial(generator, "benchmark"))
        self.workers = Workers(threads)

    def run(self, rounds: int) -> int:
        """Walker-steps made in so many rounds."""
        for _ in range(rounds):
            molecular_dynamics.step(self.problem, self.state, self.workers)
        return rounds * self.problem.moves_per_step


def plain_of(batched: Batched, walkers: int | None = None) -> PlainDynamics:
    """The plain loop from the state that a batched run begins with, for all or so many of its walkers."""
    problem, state = batched.problem, batched.state
    assert isinstance(problem.domain, Box), "the plain loop knows nothing else"
    dtype, device = state.theta.dtype, state.theta.device
    some = [
        Walker(batched.subject.module().to(device, dtype), theta, velocity, problem.domain.half_width)
        for theta, velocity in zip(state.theta[:walkers], state.velocity[:walkers], strict=True)
    ]
    return PlainDynamics(tensors(batched.subject.data, dtype, device), some, problem.grid, problem.settings)


def without_network(batched: Batched) -> Batched:
    """The same sampler with coordinates that cost nothing: two of the parameters."""
    free = copy.copy(batched)
    free.problem = replace(
        batched.problem,
        observe=lambda theta: Coordinates(theta[:, 0] - 2, theta[:, 1], torch.zeros(len(theta), dtype=theta.dtype)),
    )
    free.state = copy.deepcopy(batched.state)
    return free


class Rates(NamedTuple):
    """What a step of a walker takes, in seconds: batched, of that all but the network, and by the plain loop."""

    batched: float
    map: float
    plain: float


def rates(case: Case, walkers: int, rounds: int = 5) -> Rates:
    """The best of so many rounds of each, in turns."""
    window = X_AXIS.min, X_AXIS.max
    batched = Batched(case.subject(), grid_of(case.bins_per_unit), settings(walkers, window), threads=case.threads)
    free, plain = without_network(batched), plain_of(batched, walkers=1)
    noise = torch.randn(10, 1, batched.problem.parameters)

    def seconds(run: Callable[[], int], threads: int) -> float:
        torch.set_num_threads(threads)
        began = time.perf_counter()
        steps = run()
        return (time.perf_counter() - began) / steps

    def run_plain() -> int:
        for numbers in noise:
            plain.step(numbers)
        return len(noise)

    # threads share the walkers of a batch, but the tensors of the plain loop
    runs = (lambda: batched.run(1), 1), (lambda: free.run(1), 1), (run_plain, case.threads)
    measured = [[seconds(*run) for run in runs] for _ in range(rounds + 1)]
    return Rates(*np.min(measured[1:], axis=0))


def table() -> Table:
    columns = ("task", "threads", "walkers", "walker-steps/s", "without network", "plain loop", "ratio")
    result, before = Table(*columns, title=__doc__), torch.get_num_threads()
    for name, case in CASES.items():
        for walkers in case.walkers:
            took = rates(case, walkers)
            numbers = f"{1 / took.batched:,.0f}", f"{took.map / took.batched:.0%}", f"{1 / took.plain:,.1f}"
            result.add_row(name, str(case.threads), str(walkers), *numbers, f"{took.plain / took.batched:.1f}")
    torch.set_num_threads(before)
    return result
