"""Baselines: many independent runs of SGD with momentum, Adam and AdamW, trained together as one batched computation.

The state of R runs is theta[R, P]. Two protocols run side by side: "free" is the plain optimizer; "box" or "shell"
projects onto the sampler's domain after every step, since the landscape counts no state outside it. On a shell weight
decay has no effect on the norm: it lengthens steps, by 1 / (1 - learning rate x decay).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Generator, Tensor

from entroscape.config.sampler import TestCoordinate
from entroscape.config.training import AdamWOptions
from entroscape.domains import Box
from entroscape.observables import mean_loss
from entroscape.training.adam import BETAS, adam_scale
from entroscape.training.problem import Problem

OPTIMIZERS = ("sgd", "adam", "adamw")  # the runs of a batch are in this order


class State(NamedTuple):
    """What the next step needs, for R runs with P parameters on N train points."""

    theta: Tensor  # [R, P]
    velocity: Tensor  # [R, P], of SGD the sum of past gradients as in torch.optim.SGD, of Adam and AdamW their mean
    square: Tensor  # [A, P], mean of the squared gradients of the runs of Adam and AdamW, which are the last A
    order: Tensor  # [R, N], each run's order of the train points in this epoch
    position: int  # points of this epoch already used
    steps: int  # already done


class Record(NamedTuple):
    """What is kept of R runs at one step."""

    step: int
    theta: Tensor  # [R, P]
    ln_train_loss: np.ndarray  # [R], all train points; not finite where a run has diverged
    test: dict[str, np.ndarray]  # [R] each, as `Problem.test` names them
    inside: np.ndarray  # [R], bool: within the sampler's domain


@dataclass(frozen=True)
class Runs:
    """The R runs of one batch: what is their own, and the batch size, which they share."""

    optimizer: np.ndarray  # [R], of `OPTIMIZERS`, in their order
    protocol: np.ndarray  # [R], "free", or the name of the domain
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
        """Number of each run among those of all optimizers, `runs` of each, [R]."""
        return self.run + runs * np.array([OPTIMIZERS.index(name) for name in self.optimizer])

    @property
    def kept(self) -> np.ndarray:
        """Which runs are kept in the domain, bool[R]."""
        return self.protocol != "free"

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
    """Runs at rest at the network's random start, projected onto the domain where they are kept in it.

    In a box this matters for networks that start wider than it.
    """
    theta = problem.network.initial(generator, len(runs)).to(problem.device, problem.dtype)
    theta = torch.where(_column(runs.kept).to(theta.device), problem.domain.project(theta), theta)
    square = torch.zeros(int((runs.optimizer != "sgd").sum()), theta.shape[1], dtype=theta.dtype, device=theta.device)
    points = len(problem.y_train)
    order = torch.arange(points, device=theta.device).expand(len(runs), points)
    return State(theta, torch.zeros_like(theta), square, order, points, 0)


def build_step(
    problem: Problem, runs: Runs, momentum: float, adamw: AdamWOptions | None = None
) -> Callable[[State, Generator], State]:
    """Step of all runs, each with its own optimizer, protocol and learning rate; the momentum is that of SGD.

    Minibatches are consecutive parts of a fresh random order per run and epoch, the last one shorter where
    the batch size does not divide N: every point is used once per epoch, as in the usual training loop.
    """
    per_run = (runs.learning_rate, *_memory(runs, momentum, adamw))
    rate, share, added, first, second, decay = (_column(v).to(problem.device, problem.dtype) for v in per_run)
    left = 1 - rate * decay  # of a parameter, after the decay of a step
    in_domain = _column(runs.kept).to(problem.device)

    def step(state: State, generator: Generator) -> State:
        order, batch, position = _draw_batch(state, runs.batch_size, generator)
        gradient = _gradient(problem, state.theta, batch)
        velocity = share * state.velocity + added * gradient
        move, square, steps = rate * velocity, state.square, state.steps + 1
        if len(square):
            part = slice(-len(square), None)
            square = second[part] * square + (1 - second[part]) * gradient[part].square()
            move[part] *= adam_scale(square, steps, (first[part], second[part]))
        moved = left * state.theta - move
        theta = torch.where(in_domain, problem.domain.project(moved), moved)
        if isinstance(problem.domain, Box):
            # a parameter stopped by the wall loses its velocity, which points out of the box: kept, it would press
            # against the wall for long after its gradient has turned
            velocity = torch.where(theta == moved, velocity, 0.0)
        return State(theta, velocity, square, order, position, steps)

    return step


def _memory(runs: Runs, momentum: float, adamw: AdamWOptions | None) -> Iterator[np.ndarray]:
    """Of each run: share of its velocity kept, of the gradient added, two betas, weight decay; five times [R]."""
    if adamw is None and "adamw" in runs.optimizer:
        raise ValueError("runs of adamw need its weight decay and betas")
    betas, decay = (BETAS, 0.0) if adamw is None else (adamw.betas, adamw.weight_decay)
    of = {
        "sgd": (momentum, 1.0, 0.0, 0.0, 0.0),
        "adam": (BETAS[0], 1 - BETAS[0], *BETAS, 0.0),
        "adamw": (betas[0], 1 - betas[0], *betas, decay),
    }
    yield from np.array([of[name] for name in runs.optimizer]).T


def _column(values: np.ndarray) -> Tensor:
    """values[R] as a tensor[R, 1]."""
    return torch.as_tensor(values).unsqueeze(1)


def _draw_batch(state: State, batch_size: int, generator: Generator) -> tuple[Tensor, Tensor, int]:
    """Order[R, N] of the epoch, the points[R, B] of the next minibatch, and the position after it."""
    order, position = state.order, state.position
    if position >= order.shape[1]:
        order, position = torch.rand(order.shape, generator=generator, device=order.device).argsort(dim=1), 0
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
    adamw: AdamWOptions | None = None,
) -> Iterator[Record]:
    """Train all runs for `steps` steps; yields the start and then every `record_every`-th state and the last.

    A run that diverges goes on as nan, is recorded as such, and does not touch the others.
    """
    state = init_state(problem, runs, generator)
    step = build_step(problem, runs, momentum, adamw)
    yield measure(problem, state.theta, 0, y)
    for number in range(1, steps + 1):
        state = step(state, generator)
        if number % record_every == 0 or number == steps:
            yield measure(problem, state.theta, number, y)
