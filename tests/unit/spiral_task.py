"""A small spiral task and its runs, shared by the tests of training."""

import torch

from entroscape.config.data import SpiralData
from entroscape.config.model import Shell
from entroscape.config.settings import NetworkSettings
from entroscape.config.training import AdamWOptions
from entroscape.data.registry import make_data
from entroscape.models import make_network
from entroscape.training.baselines import Runs, train
from entroscape.training.problem import Problem

DATA = make_data(
    SpiralData(
        kind="spirals",
        train_points_per_class=10,
        test_points_per_class=15,
        radius_min=1.0,
        radius_max=5.0,
        angle_per_radius=2.0,
        noise=0.1,
        seed=1,
    )
)


ADAMW = AdamWOptions(weight_decay=0.5, betas=(0.9, 0.98))


def network(width=6, box_factor=2.0, shell: float | None = None):
    """In a box, or on a shell of this norm."""
    domain = dict(box_factor=box_factor) if shell is None else dict(box_rule=None, shell=Shell(norm=shell))
    return make_network(NetworkSettings(kind="mlp", depth=3, width=width, **domain), DATA)


def problem(width=6, shell: float | None = None) -> Problem:
    return Problem.of(network(width, shell=shell), DATA)


def generator(seed=0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def records(runs, steps=20, record_every=10, width=6, seed=0, momentum=0.9):
    options = dict(momentum=momentum, steps=steps, record_every=record_every)
    return list(train(problem(width), runs, **options, generator=generator(seed)))


def grid(*settings, batch_size=5, runs=4) -> Runs:
    """Runs of SGD with these (protocol, learning rate)."""
    return Runs.grid([("sgd", *setting) for setting in settings], batch_size, runs)


def both(runs=4, rate=0.03, batch_size=5) -> Runs:
    return grid(("free", rate), ("box", rate), batch_size=batch_size, runs=runs)
