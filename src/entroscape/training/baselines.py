"""Baselines: many independent runs of SGD with momentum, trained together as one batched computation.

The state of R runs is theta[R, P]. Two protocols run side by side: "free" is plain SGD; "box" is SGD projected
onto the sampler's box after every step, since the landscape counts no state outside it.
All arithmetic is float64: it costs a few per cent for networks this narrow and agrees with the sampler.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Generator, Tensor

from entroscape.data.dataset import TaskData
from entroscape.models import Network
from entroscape.observables import correct, ln_loss, mean_loss

PROTOCOLS = ("free", "box")


class Points(NamedTuple):
    """A task's arrays as tensors."""

    x_train: Tensor  # [N, D]
    y_train: Tensor  # [N]
    x_test: Tensor  # [M, D]
    y_test: Tensor  # [M]

    @classmethod
    def of(cls, data: TaskData) -> "Points":
        """The same numbers; memory is shared with the arrays."""
        return cls(*(torch.as_tensor(array) for array in (data.x_train, data.y_train, data.x_test, data.y_test)))


class SGDState(NamedTuple):
    """What the next step needs, for R runs with P parameters on N train points."""

    theta: Tensor  # [R, P]
    velocity: Tensor  # [R, P], sum of past gradients as in torch.optim.SGD
    order: Tensor  # [R, N], each run's order of the train points in this epoch
    position: int  # points of this epoch already used


class Record(NamedTuple):
    """What is kept of R runs at one step."""

    step: int
    theta: Tensor  # [R, P]
    ln_train_loss: np.ndarray  # [R], all train points; not finite where a run has diverged
    test_correct: np.ndarray  # [R], int
    inside: np.ndarray  # [R], bool: every parameter within the box


@dataclass(frozen=True)
class Runs:
    """The R runs of one batch: what is their own, and the batch size, which they share."""

    protocol: np.ndarray  # [R], "free" or "box"
    run: np.ndarray  # [R], number of the run among those of equal protocol and learning rate
    learning_rate: np.ndarray  # [R]
    batch_size: int

    @classmethod
    def grid(cls, settings: Sequence[tuple[str, float]], batch_size: int, runs: int) -> "Runs":
        """`runs` runs of each (protocol, learning rate)."""
        protocol, learning_rate = (np.repeat(column, runs) for column in zip(*settings, strict=True))
        return cls(protocol, np.tile(np.arange(runs), len(settings)), learning_rate, batch_size)

    def bound(self, network: Network) -> Tensor:
        """Largest allowed |theta|, [R, P]: the box, or no bound for free runs."""
        boxed = torch.as_tensor(self.protocol == "box").unsqueeze(1)
        return torch.where(boxed, network.half_width, torch.inf)

    def frame(self, record: Record, test_points: int) -> pd.DataFrame:
        """One row per run: the columns of the training table."""
        return pd.DataFrame(
            {
                "protocol": self.protocol,
                "run": self.run,
                "step": record.step,
                "ln_train_loss": record.ln_train_loss,
                "test_accuracy": record.test_correct / test_points,
                "test_correct": record.test_correct,
                "inside": record.inside,
                "learning_rate": self.learning_rate,
                "batch_size": self.batch_size,
            }
        )


def init_state(network: Network, bound: Tensor, points: int, generator: Generator) -> SGDState:
    """Runs at rest at the random start of `torch.nn.Linear`, clipped onto bound[R, P].

    The clipping matters for wide networks, whose first layer starts wider than the box.
    """
    uniform = 2 * torch.rand(bound.shape, generator=generator, dtype=torch.float64) - 1
    theta = (uniform * network.initial_scale).clamp(-bound, bound)
    order = torch.arange(points).expand(len(bound), points)
    return SGDState(theta, torch.zeros_like(theta), order, points)


def build_step(
    network: Network, x: Tensor, y: Tensor, bound: Tensor, learning_rate: Tensor, momentum: float, batch_size: int
) -> Callable[[SGDState, Generator], SGDState]:
    """SGD step of R runs on points x[N, D], labels y[N], with bound[R, P] and learning_rate[R].

    Minibatches are consecutive parts of a fresh random order per run and epoch, the last one shorter where
    batch_size does not divide N: every point is used once per epoch, as in the usual training loop.
    """
    rate = learning_rate.unsqueeze(1)

    def step(state: SGDState, generator: Generator) -> SGDState:
        order, batch, position = _draw_batch(state, batch_size, generator)
        gradient = _gradient(network, state.theta, x[batch], y[batch])
        velocity = momentum * state.velocity + gradient
        moved = state.theta - rate * velocity
        theta = moved.clamp(-bound, bound)
        # a parameter stopped by the wall loses its velocity, which points out of the box: kept, it would press
        # against the wall for long after its gradient has turned
        velocity = torch.where(theta == moved, velocity, 0.0)
        return SGDState(theta, velocity, order, position)

    return step


def _draw_batch(state: SGDState, batch_size: int, generator: Generator) -> tuple[Tensor, Tensor, int]:
    """Order[R, N] of the epoch, the points[R, B] of the next minibatch, and the position after it."""
    order, position = state.order, state.position
    if position >= order.shape[1]:
        order, position = torch.rand(order.shape, generator=generator).argsort(dim=1), 0
    batch = order[:, position : position + batch_size]
    return order, batch, position + batch.shape[1]


def _gradient(network: Network, theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Gradient[R, P] of each run's mean loss on its points x[R, B, D], y[R, B]."""
    theta = theta.detach().requires_grad_()
    return torch.autograd.grad(mean_loss(network.logits(theta, x), y).sum(), theta)[0]


def measure(network: Network, theta: Tensor, step: int, points: Points) -> Record:
    """Record of states theta[R, P]."""
    ln_train_loss = ln_loss(network.logits(theta, points.x_train), points.y_train).numpy()
    test_correct = correct(network.logits(theta, points.x_test), points.y_test).numpy()
    inside = (theta.abs() <= network.half_width).all(dim=1).numpy()
    return Record(step, theta, ln_train_loss, test_correct, inside)


def train(
    network: Network,
    data: TaskData,
    runs: Runs,
    *,
    momentum: float,
    steps: int,
    record_every: int,
    generator: Generator,
) -> Iterator[Record]:
    """Train all runs for `steps` steps; yields the start and then every `record_every`-th state and the last.

    A run that diverges goes on as nan, is recorded as such, and does not touch the others.
    """
    points = Points.of(data)
    bound = runs.bound(network)
    state = init_state(network, bound, len(data.y_train), generator)
    rate = torch.as_tensor(runs.learning_rate)
    step = build_step(network, points.x_train, points.y_train, bound, rate, momentum, runs.batch_size)
    yield measure(network, state.theta, 0, points)
    for number in range(1, steps + 1):
        state = step(state, generator)
        if number % record_every == 0 or number == steps:
            yield measure(network, state.theta, number, points)
