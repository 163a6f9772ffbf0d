"""States inside the box, spread over ln L, from which the sampler's walkers can start.

They are starting points only and carry no weight: where a walker starts does not decide what it samples. Many come
from a search that makes the train loss as small as it can, which no baseline does and no figure shows.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Generator, Tensor

from entroscape.config.sampler import Axis
from entroscape.data.dataset import TaskData
from entroscape.models import Network
from entroscape.observables import ln_loss
from entroscape.training.baselines import Points, Record, measure

STATES_PER_BIN = 8  # different ones, so that the walkers of a window do not all start alike
CONTINUED_RUNS = 64
ROUNDS = 5  # at width 4, later rounds reach ln L one unit lower than the first; wide networks do not need them
STEPS = 1000  # per round; three times as many lower ln L by less than 0.1
LEARNING_RATE = 0.03  # Adam, at the start; the result hardly depends on it between 0.01 and 0.1
COPIES = 4  # of each survivor of a round
SHAKE = 0.5  # standard deviation of their displacement in half widths of the box


class Seeds(NamedTuple):
    """S states in the box."""

    theta: np.ndarray  # [S, P]
    ln_train_loss: np.ndarray  # [S]
    test_correct: np.ndarray  # [S]
    run: np.ndarray  # [S], the training run each comes from

    @classmethod
    def none(cls, parameters: int) -> "Seeds":
        """No states of a network with this many parameters."""
        return cls(np.empty((0, parameters)), np.empty(0), np.empty(0, int), np.empty(0, int))

    @classmethod
    def from_record(cls, record: Record, runs: np.ndarray, which: np.ndarray | slice = slice(None)) -> "Seeds":
        """The record's states that `which` selects, all by default; runs[R] are the numbers of all its runs."""
        theta = record.theta.numpy()[which]
        return cls(theta, record.ln_train_loss[which], record.test_correct[which], runs[which])

    def to_dataset(self, test_points: int) -> xr.Dataset:
        """theta[state, parameter] and each state's ln train loss, test accuracy and run, from low to high loss."""
        s = self.take(np.argsort(self.ln_train_loss, kind="stable"))
        return xr.Dataset(
            {
                "theta": (("state", "parameter"), s.theta),
                "ln_train_loss": ("state", s.ln_train_loss),
                "test_accuracy": ("state", s.test_correct / test_points),
                "run": ("state", s.run),
            }
        )

    def take(self, index: np.ndarray) -> "Seeds":
        """The states of these indices, in their order."""
        return Seeds(*(column[index] for column in self))


def keep(pool: Seeds, new: Seeds, axis: Axis, per_bin: int = STATES_PER_BIN) -> Seeds:
    """Add new states to a pool that holds at most `per_bin` states in each bin of ln L.

    First come, first kept, but a state of a run that the bin has not yet goes before a second one of the same run.
    States beyond the axis, and those whose loss is not finite, are left out.
    """
    states = Seeds(*(np.concatenate(pair) for pair in zip(pool, new, strict=True)))
    usable = np.flatnonzero((states.ln_train_loss >= axis.min) & (states.ln_train_loss < axis.max))
    states = states.take(usable)
    bins = np.floor((states.ln_train_loss - axis.min) / axis.bin_width)
    table = pd.DataFrame({"bin": bins, "run": states.run})
    table["repeat"] = table.groupby(["bin", "run"]).cumcount()
    kept = table.sort_values(["bin", "repeat"], kind="stable").groupby("bin").head(per_bin)
    return states.take(kept.index.to_numpy())


def best_runs(record: Record, which: np.ndarray, n: int = CONTINUED_RUNS) -> np.ndarray:
    """Indices of the (at most) n runs of lowest finite train loss among those where `which`[R] is true."""
    usable = np.flatnonzero(which & np.isfinite(record.ln_train_loss))
    return usable[np.argsort(record.ln_train_loss[usable], kind="stable")[:n]]


def hop(
    network: Network, data: TaskData, theta: Tensor, *, steps: int, record_every: int, generator: Generator
) -> Iterator[tuple[Record, np.ndarray]]:
    """Basin hopping in the box from theta[R, P]: yields records, each with the index[R] its states come from.

    After each descent the best quarter goes on, as it is and in copies shaken out of their minima.
    """
    origin = np.arange(len(theta))
    for _ in range(ROUNDS):
        for record in descend(network, data, theta, steps, record_every):
            yield record, origin
        best = np.argsort(record.ln_train_loss, kind="stable")[: max(1, len(theta) // COPIES)]
        copies = np.tile(best, COPIES)
        origin, theta = origin[copies], record.theta[copies]
        noise = torch.randn(theta.shape, generator=generator, dtype=theta.dtype) * SHAKE * network.half_width
        noise[: len(best)] = 0.0
        theta = (theta + noise).clamp(-network.half_width, network.half_width)


def descend(network: Network, data: TaskData, theta: Tensor, steps: int, record_every: int) -> Iterator[Record]:
    """Follow theta[R, P] down in ln L inside the box; yields every `record_every`-th state and the last.

    Adam on ln L with all train points, projected onto the box after each step; the learning rate falls to zero
    as a cosine. ln L rather than L, so that the gradient keeps its size while the loss falls.
    """
    points = Points.of(data)
    theta = theta.clone().requires_grad_()
    optimizer = torch.optim.Adam([theta], lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for number in range(1, steps + 1):
        optimizer.zero_grad()
        ln_loss(network.logits(theta, points.x_train), points.y_train).sum().backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            theta.clamp_(-network.half_width, network.half_width)
        if number % record_every == 0 or number == steps:
            yield measure(network, theta.detach().clone(), number, points)
