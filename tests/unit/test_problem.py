"""What is trained: precision, memory, measurement."""

import numpy as np
import torch
from regression_task import data, regression
from spiral_task import generator, problem

from entroscape.config.settings import NetworkSettings
from entroscape.observables import ln_loss
from entroscape.training import problem as module


def test_precision_follows_the_size_and_the_box_never_grows():
    small, large = regression(), regression(network=NetworkSettings(depth=1, width=20_000, box_factor=0.1))
    assert small.dtype == torch.float64 and large.dtype == torch.float32
    assert large.x_train.dtype == large.y_train.dtype == torch.float32
    assert (large.domain.half_width.double() <= large.network.domain.half_width).all()
    np.testing.assert_allclose(large.domain.half_width, large.network.domain.half_width, rtol=2e-7)
    assert problem().y_train.dtype == torch.int64


def test_measuring_in_parts_gives_the_same_values(monkeypatch):
    task = regression()
    theta = task.network.initial(generator(), 7)
    whole = task.ln_train_loss(theta), task.test(theta)["ln_test_loss"]
    monkeypatch.setattr(module, "MEMORY", 1)
    np.testing.assert_allclose(task.ln_train_loss(theta), whole[0], rtol=1e-12)
    np.testing.assert_allclose(task.test(theta)["ln_test_loss"], whole[1], rtol=1e-12)
    np.testing.assert_allclose(whole[1], ln_loss(task.network.logits(theta, task.x_test), task.y_test))


def test_runs_at_once_shrink_with_parameters_and_batch(monkeypatch):
    monkeypatch.setattr(module, "MEMORY", 10**7)
    few, many = regression(inputs=5), regression(inputs=500)
    assert few.runs_at_once(5) > few.runs_at_once(500) > many.runs_at_once(500) >= 1
    monkeypatch.setattr(module, "MEMORY", 1)
    assert few.runs_at_once(5) == 1


def test_memory_of_a_point_covers_what_the_backward_pass_keeps():
    task = regression(inputs=50)
    hidden_and_inputs = (8 + 50) * 8
    assert hidden_and_inputs <= task._bytes_per_point <= 4 * hidden_and_inputs
    assert len(data().y_train) == len(task.y_train)
