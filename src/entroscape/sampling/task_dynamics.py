"""A task and its network as a problem for Wang-Landau molecular dynamics."""

import numpy as np
import torch

from entroscape.config.settings import SampleSettings
from entroscape.data.dataset import TaskData
from entroscape.grid import Grid, accuracy_bins
from entroscape.models import make_network
from entroscape.sampling import molecular_dynamics
from entroscape.sampling.coordinates import observer


def make_problem(settings: SampleSettings, task: TaskData, device: str) -> molecular_dynamics.Problem:
    """Problem with all tensors on `device` and in the configured precision."""
    procedure, y = settings.procedure, settings.observables.y
    assert procedure.procedure == "molecular_dynamics" and y.kind != "test_accuracy", "the configuration sees to it"
    dtype = getattr(torch, procedure.precision)
    network = make_network(settings.network, task)

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(array, dtype=dtype if array.dtype.kind == "f" else torch.int64, device=device)

    grid = Grid.continuous(settings.observables.ln_train_loss, y.axis, y.kind)
    points, targets = (tensor(task.x_train), tensor(task.x_test)), (tensor(task.y_train), tensor(task.y_test))
    observe = observer(network, points, targets, y)
    domain = network.domain.to(device, dtype)
    bins = accuracy_bins(len(task.y_test)) if task.classes else 0
    return molecular_dynamics.make_problem(observe, network.layout, domain, grid, procedure, bins)


def random_starts(
    settings: SampleSettings, problem: molecular_dynamics.Problem, random: np.random.Generator
) -> np.ndarray:
    """Random points of the domain to begin from, [states, P]: none, since their losses are far above most windows."""
    return np.empty((0, problem.parameters))
