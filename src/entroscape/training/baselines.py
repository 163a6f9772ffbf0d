"""Baselines: many independent runs of SGD with momentum and of Adam, trained together as one batched computation.

The state of R runs is theta[R, P]. Two protocols run side by side: "free" is the plain optimizer; "box" projects
onto the sampler's box after every step, since the landscape counts no state outside it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Generator, Tensor

from entroscape.config.sampler import TestCoordinate
from entroscape.observables import mean_loss
from entroscape.training.problem import Problem

PROTOCOLS = ("free", "box")
OPTIMIZERS = ("sgd", "adam")  # the runs of a batch are in this order

# of Adam, as proposed (Kingma and Ba 2014) and as in torch.optim.Adam
BETAS = (0.9, 0.999)
EPSILON = 1e-8


class State(NamedTuple):
    """What the next step needs, for R runs with P parameters on N train points."""

    theta: Tensor  # [R, P]
    velocity: Tensor  # [R, P], of SGD the sum of past gradients as in torch.optim.SGD, of Adam their mean
    square: Tensor  # [A, P], mean of the squared gradients of the runs of Adam, which are the last A
    order: Tensor  # [R, N], each run's order of the train points in this epoch
    position: int  # points of this epoch already used
    steps: int  # already done


class Record(NamedTuple):
    """What is kept of R runs at one step."""

    step: int
    theta: Tensor  # [R, P]
    ln_train_loss: np.ndarray  # [R], all train points; not finite where a run has diverged
    test: dict[str, np.ndarray]  # [R] each, as `Problem.test` names them
    inside: np.ndarray  # [R], bool: every parameter within the box


@dataclass(frozen=True)
class Runs:
    """The R runs of one batch: what is their own, and the batch size, which they share."""

    optimizer: np.ndarray  # [R], "sgd" or "adam", in this order
    protocol: np.ndarray  # [R], "free" or "box"
    run: np.ndarray  # [R], number of the run among those of equal optimizer, protocol and learning rate
    learning_rate: np.ndarray  # [R]
    batch_size: int

    @classmethod
    def grid(cls, settings: Sequence[tuple[str, str, float]], batch_size: int, runs: int) -> "Runs":
        """`runs` runs of each (optimizer, protocol, learning rate)."""
        settings = sorted(settings, key=lambda setting: OPTIMIZERS.index(setting[0]))
        optimizer, protocol, learning_rate = (np.repeat(column, runs) for column in zip(*settings, strict=True))
        return cls(optimizer, protocol, np.tile(np.arange(runs), len(settings)), learning_rate, batch_size)

    def __len__(self) -> int:
        """Number of runs R."""
        return len(self.run)

    def parts(self, size: int) -> Iterator["Runs"]:
        """The runs in batches of at most `size`."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            optimizer, protocol, run = self.optimizer[part], self.protocol[part], self.run[part]
            yield Runs(optimizer, protocol, run, self.learning_rate[part], self.batch_size)

    def numbers(self, runs: int) -> np.ndarray:
        """Number of each run among those of both optimizers, `runs` of each, [R]."""
        return self.run + runs * (self.optimizer == "adam")

    def bound(self, half_width: Tensor) -> Tensor:
        """Largest allowed |theta|, [R, P]: the box of half_width[P], or no bound for free runs."""
        boxed = torch.as_tensor(self.protocol == "box").unsqueeze(1)
        return torch.where(boxed, half_width, torch.inf)

    def frame(self, record: Record) -> pd.DataFrame:
        """One row per run: the columns of the training table."""
        return pd.DataFrame(
            {
                "protocol": self.protocol,
                "optimizer": self.optimizer,
                "run": self.run,
                "step": record.step,
                "ln_train_loss": record.ln_train_loss,
                **record.test,
                "inside": record.inside,
                "learning_rate": self.learning_rate,
                "batch_size": self.batch_size,
            }
        )


def init_state(problem: Problem, runs: Runs, generator: Generator) -> State:
    """Runs at rest at the network's random start, clipped onto the box where they are kept in it.

    The clipping matters for networks that start wider than the box.
    """
    bound = runs.bound(problem.half_width)
    theta = problem.network.initial(generator, len(runs)).to(problem.dtype).clamp(-bound, bound)
    square = torch.zeros(int((runs.optimizer == "adam").sum()), theta.shape[1], dtype=theta.dtype)
    points = len(problem.y_train)
    order = torch.arange(points).expand(len(runs), points)
    return State(theta, torch.zeros_like(theta), square, order, points, 0)


def build_step(problem: Problem, runs: Runs, momentum: float) -> Callable[[State, Generator], State]:
    """Step of all runs, each with its own optimizer, bound and learning rate; the momentum is that of SGD.

    Minibatches are consecutive parts of a fresh random order per run and epoch, the last one shorter where
    the batch size does not divide N: every point is used once per epoch, as in the usual training loop.
    """
    bound, adam = runs.bound(problem.half_width), runs.optimizer == "adam"
    rate, kept, added = (
        torch.as_tensor(values).to(problem.dtype).unsqueeze(1)
        for values in (runs.learning_rate, np.where(adam, BETAS[0], momentum), np.where(adam, 1 - BETAS[0], 1.0))
    )

    def step(state: State, generator: Generator) -> State:
        order, batch, position = _draw_batch(state, runs.batch_size, generator)
        gradient = _gradient(problem, state.theta, batch)
        velocity = kept * state.velocity + added * gradient
        move, square, steps = rate * velocity, state.square, state.steps + 1
        if len(square):
            square = BETAS[1] * square + (1 - BETAS[1]) * gradient[-len(square) :].square()
            move[-len(square) :] *= adam_scale(square, steps)
        moved = state.theta - move
        theta = moved.clamp(-bound, bound)
        # a parameter stopped by the wall loses its velocity, which points out of the box: kept, it would press
        # against the wall for long after its gradient has turned
        velocity = torch.where(theta == moved, velocity, 0.0)
        return State(theta, velocity, square, order, position, steps)

    return step


def adam_scale(square: Tensor, steps: int) -> Tensor:
    """What Adam's mean gradient is multiplied by, besides the learning rate; both means as they are after `steps`."""
    first, second = (1 - beta**steps for beta in BETAS)
    return 1 / (first * ((square / second).sqrt() + EPSILON))


def _draw_batch(state: State, batch_size: int, generator: Generator) -> tuple[Tensor, Tensor, int]:
    """Order[R, N] of the epoch, the points[R, B] of the next minibatch, and the position after it."""
    order, position = state.order, state.position
    if position >= order.shape[1]:
        order, position = torch.rand(order.shape, generator=generator).argsort(dim=1), 0
    batch = order[:, position : position + batch_size]
    return order, batch, position + batch.shape[1]


def _gradient(problem: Problem, theta: Tensor, batch: Tensor) -> Tensor:
    """Gradient[R, P] of each run's mean loss on its points batch[R, B]."""
    theta = theta.detach().requires_grad_()
    loss = mean_loss(problem.network.logits(theta, problem.x_train[batch]), problem.y_train[batch])
    return torch.autograd.grad(loss.sum(), theta)[0]


def measure(problem: Problem, theta: Tensor, step: int, y: TestCoordinate | None = None) -> Record:
    """Record of states theta[R, P]."""
    return Record(step, theta, problem.ln_train_loss(theta), problem.test(theta, y), problem.inside(theta))


def train(
    problem: Problem,
    runs: Runs,
    *,
    momentum: float,
    steps: int,
    record_every: int,
    generator: Generator,
    y: TestCoordinate | None = None,
) -> Iterator[Record]:
    """Train all runs for `steps` steps; yields the start and then every `record_every`-th state and the last.

    A run that diverges goes on as nan, is recorded as such, and does not touch the others.
    """
    state = init_state(problem, runs, generator)
    step = build_step(problem, runs, momentum)
    yield measure(problem, state.theta, 0, y)
    for number in range(1, steps + 1):
        state = step(state, generator)
        if number % record_every == 0 or number == steps:
            yield measure(problem, state.theta, number, y)
