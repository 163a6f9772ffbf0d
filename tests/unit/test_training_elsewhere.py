"""Baselines on another device: all that a step works with is there. A device without numbers stands in for a GPU."""

import numpy as np
import pytest
import torch
from spiral_task import ADAMW

from entroscape.config.model import Shell
from entroscape.config.settings import NetworkSettings
from entroscape.data.dataset import TaskData
from entroscape.models import make_network
from entroscape.training import seeds
from entroscape.training.baselines import Record, Runs, build_step, init_state
from entroscape.training.problem import Problem

PROVENANCE = {"what": "random numbers"}
DOMAINS = {"box": dict(box_factor=2.0), "shell": dict(box_rule=None, shell=Shell(norm=3.0))}
NETWORKS = {
    "mlp": dict(depth=2, width=5),
    "cnn": dict(width=2),
    "residual": dict(width=2),
    "transformer": dict(width=8, heads=2, mlp_ratio=4, start="nanda"),
}
RUNS = Runs.grid([("sgd", "box", 0.1), ("adam", "free", 0.1), ("adamw", "box", 0.1)], 6, 2)


def task(kind: str) -> TaskData:
    """Sixteen points, half of them for tests."""
    random = np.random.default_rng(1)
    if kind == "transformer":
        x = random.integers(0, 5, (16, 2))
        return TaskData(x[:8], x[:8, 0], x[8:], x[8:, 0], 5, PROVENANCE)
    x, y = random.normal(size=(16, 5) if kind == "mlp" else (16, 1, 7, 7)), random.integers(0, 2, 16)
    return TaskData(x[:8], y[:8], x[8:], y[8:], 2, PROVENANCE)


def problem(kind: str, domain: str, device: str) -> Problem:
    settings = NetworkSettings(kind=kind, **NETWORKS[kind], **DOMAINS[domain])
    data = task(kind)
    return Problem.of(make_network(settings, data), data, device)


def tensors(state) -> list[torch.Tensor]:
    return [value for value in state if isinstance(value, torch.Tensor)]


@pytest.mark.parametrize("domain", list(DOMAINS))
@pytest.mark.parametrize("kind", list(NETWORKS))
def test_nothing_leaves_the_device_in_a_step(kind, domain):
    there, generator = problem(kind, domain, "meta"), torch.Generator()
    state, step = init_state(there, RUNS, generator), build_step(there, RUNS, 0.9, ADAMW)
    shapes = [value.shape for value in tensors(state)]
    for _ in range(3):  # an epoch has two
        state = step(state, generator)
    assert {value.device.type for value in tensors(state)} == {"meta"}
    assert [value.shape for value in tensors(state)] == shapes
    assert there.runs_at_once(6) >= 1


@pytest.mark.parametrize("kind", list(NETWORKS))
def test_nor_in_the_search_for_states_of_low_loss(monkeypatch, kind):
    seen = []

    def unmeasured(problem, theta, step, y):
        seen.append(theta.device.type)
        return Record(step, theta, np.arange(len(theta)), {}, np.ones(len(theta), bool))

    monkeypatch.setattr(seeds, "measure", unmeasured)
    there = problem(kind, "box", "meta")
    theta = there.network.initial(torch.Generator(), 5).to(there.device, there.dtype)
    found = list(seeds.hop(there, theta, rounds=2, steps=2, record_every=1, generator=torch.Generator()))
    assert len(found) == 4 and set(seen) == {"meta"}
