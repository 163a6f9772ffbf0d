"""A small regression task, a noisy nonlinear function of vectors, shared by the tests of training."""

import numpy as np

from entroscape.config.settings import NetworkSettings
from entroscape.data.dataset import TaskData
from entroscape.models import make_network
from entroscape.training.problem import Problem

NETWORK = NetworkSettings(kind="mlp", depth=1, width=8, box_rule="first_dimension", box_factor=3.0, start="xavier")


def data(points=30, inputs=5) -> TaskData:
    random = np.random.default_rng(1)
    x = random.normal(size=(points + 20, inputs))
    y = np.sin(x[:, 0]) + x[:, 1] + 0.1 * random.normal(size=len(x))
    return TaskData(x[:points], y[:points], x[points:], y[points:], None, {"what": "a noisy function"})


def regression(points=30, inputs=5, network=NETWORK) -> Problem:
    task = data(points, inputs)
    return Problem.of(make_network(network, task), task)
