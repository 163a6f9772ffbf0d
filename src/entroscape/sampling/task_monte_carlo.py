"""A task and its network as a problem for Wang-Landau Monte Carlo."""

import importlib
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from entroscape.config.settings import SampleSettings
from entroscape.data.dataset import TaskData
from entroscape.grid import Grid
from entroscape.sampling.network import NetworkSystem, build_network


def make_problem(settings: SampleSettings, task: TaskData, device: str) -> Any:
    """Problem of the configured procedure; Monte Carlo runs on the CPU whatever the device."""
    procedure = importlib.import_module(f"entroscape.sampling.{settings.procedure.procedure}")
    grid = Grid.of(settings.observables.ln_train_loss, len(task.y_test))
    return procedure.make_problem(_network_builder(settings, task, grid), grid, settings.procedure)


def random_starts(settings: SampleSettings, problem: Any, random: np.random.Generator) -> np.ndarray:
    """Random points of the box to begin from, [states, P]."""
    half_width = problem.systems[0].half_width
    return random.uniform(-half_width, half_width, (200, len(half_width)))


def _network_builder(settings: SampleSettings, task: TaskData, grid: Grid) -> Callable[[], NetworkSystem]:
    """Maker of independent systems of the variant's network, all parameters in the box +- box_factor / sqrt(width)."""
    network = settings.network
    assert network.box_factor is not None, "the configuration sees to it"
    sizes = [task.x_train.shape[1], *[network.width] * (network.depth or 0), task.classes or 1]
    parameters = sum(inputs * outputs + outputs for inputs, outputs in itertools.pairwise(sizes))
    half_width = np.full(parameters, network.box_factor / np.sqrt(network.width))
    return lambda: build_network(sizes, task, half_width, grid)
