"""States inside the domain, spread over ln L, from which the sampler's walkers can start.

They carry no weight, but a sampler that does not mix would stay where they are. So they are of several kinds
(`entroscape.sampling.starts`): states that each optimizer passed, states that were shaken out of their minima and
trained on, and random points of the domain that were cooled, which owe nothing to training. Many come from a search
that makes the train loss as small as it can, which no baseline does and no figure shows.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Generator, Tensor

from entroscape.config.sampler import Axis, Observables, TestCoordinate
from entroscape.observables import ln_loss
from entroscape.training.adam import BETAS, adam_scale
from entroscape.training.baselines import Record, measure
from entroscape.training.problem import Problem

STATES_PER_BIN = 8  # different ones, so that the walkers of a window do not all start alike
POOL_MEMORY = 2**25  # bytes that the kept states of one kind should take: of large networks fewer are kept
FEWEST_BINS = 8  # in which a state of each kind is kept, however large the network: low windows need theirs
CONTINUED_RUNS = 64
ROUNDS = 5  # at most; at width 4, later ones reach ln L one unit lower than the first; wide networks do not need them
STEPS = 1000  # per round, at most; three times as many lower ln L by less than 0.1
# of Adam, at the start, each of them for one run in four: small networks do best with the largest, others stay where
# it throws them
LEARNING_RATES = (0.03, 0.01, 0.003, 0.001)
FULL_RATE_UP_TO = 1000  # parameters; P of them move at once and shift the output by about sqrt(P) times as much
COPIES = 4  # of each survivor of a round
SHAKE = 0.5  # standard deviation of their displacement, in units of how large parameters are in the domain


class Seeds(NamedTuple):
    """S states in the domain."""

    theta: np.ndarray  # [S, P]
    ln_train_loss: np.ndarray  # [S]
    y: np.ndarray  # [S], the other coordinate of the landscape
    run: np.ndarray  # [S], the training run each comes from
    kind: np.ndarray  # [S], how it was made, one of `entroscape.sampling.starts.KINDS`

    @classmethod
    def none(cls, problem: Problem) -> "Seeds":
        """No states of the problem's network."""
        theta = torch.empty(0, problem.network.layout.size, dtype=problem.dtype).numpy()
        return cls(theta, np.empty(0), np.empty(0), np.empty(0, int), np.empty(0, "U1"))

    def to_dataset(self, name: str) -> xr.Dataset:
        """theta[state, parameter] with coordinates, run and kind, from low to high loss; `name` is that of y."""
        s = self.take(np.argsort(self.ln_train_loss, kind="stable"))
        return xr.Dataset(
            {
                "theta": (("state", "parameter"), s.theta),
                "ln_train_loss": ("state", s.ln_train_loss),
                name: ("state", s.y),
                "run": ("state", s.run),
                "start_kind": ("state", s.kind),
            }
        )

    def take(self, index: np.ndarray) -> "Seeds":
        """The states of these indices, in their order."""
        return Seeds(*(column[index] for column in self))

    def of_kind(self, kind: str) -> "Seeds":
        """The states of one kind."""
        return self.take(np.flatnonzero(self.kind == kind))

    def join(self, other: "Seeds") -> "Seeds":
        """These states, then the others."""
        return Seeds(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))


@dataclass(frozen=True)
class Wanted:
    """What the sampler is to start from: states on both axes, at most so many of a kind in each bin of ln L."""

    x: Axis
    y: TestCoordinate
    per_bin: int

    @classmethod
    def of(cls, problem: Problem, observables: Observables) -> "Wanted":
        """Fewer states per bin for large networks, and in the end one in bins wider than those of the landscape."""
        x, fit = observables.ln_train_loss, POOL_MEMORY // problem.state_bytes
        columns = round((x.max - x.min) / x.bin_width)
        bins = min(columns, max(fit, FEWEST_BINS))
        x = x.model_copy(update={"bin_width": (x.max - x.min) / bins})
        return cls(x, observables.y, max(1, min(STATES_PER_BIN, fit // bins)))

    @property
    def states_at_most(self) -> int:
        """Of all bins, for one kind."""
        return round((self.x.max - self.x.min) / self.x.bin_width) * self.per_bin

    def states(
        self, record: Record, runs: np.ndarray, kinds: np.ndarray, which: np.ndarray | slice = slice(None)
    ) -> Seeds:
        """The record's states that `which` selects, all by default; runs[R] and kinds[R] are those of all its runs."""
        theta, y = record.theta.cpu().numpy(), record.test[self.y.kind]
        return Seeds(theta[which], record.ln_train_loss[which], y[which], runs[which], kinds[which])

    def keep(self, pool: Seeds, new: Seeds) -> Seeds:
        """Add new states to a pool; the same pool if it has enough of their like.

        First come, first kept within a kind, but a state of a run that the bin has not yet goes before a second one of
        the same run. States beyond an axis, and those whose coordinates are not finite, are left out.
        """
        new = new.take(np.flatnonzero(self._on_axes(new)))
        table = pd.concat([self._bins(pool), self._bins(new)], ignore_index=True)
        table["repeat"] = table.groupby(["kind", "bin", "run"]).cumcount()
        ordered = table.sort_values(["bin", "repeat"], kind="stable")
        kept = ordered.groupby(["kind", "bin"]).head(self.per_bin).index.to_numpy()
        old, added = kept[kept < len(pool.run)], kept[kept >= len(pool.run)] - len(pool.run)
        return pool.take(old).join(new.take(added)) if len(added) else pool

    def full(self, pool: Seeds, below: float) -> bool:
        """Whether every bin from the minimum of the axis up to `below` in ln L has enough states, all of other runs."""
        top = min(below, self.x.max - self.x.bin_width / 2)
        bins = np.arange(np.floor((top - self.x.min) / self.x.bin_width) + 1)
        different = self._bins(pool).groupby("bin").run.nunique().reindex(bins, fill_value=0)
        return bool((different >= self.per_bin).all())

    def _bins(self, seeds: Seeds) -> pd.DataFrame:
        """Bin, run and kind of each state."""
        bins = np.floor((seeds.ln_train_loss - self.x.min) / self.x.bin_width)
        return pd.DataFrame({"bin": bins, "run": seeds.run, "kind": seeds.kind})

    def _on_axes(self, seeds: Seeds) -> np.ndarray:
        """Whether both coordinates are in their range, bool[S]; the true accuracy has no other values."""
        on: np.ndarray = _on_axis(seeds.ln_train_loss, self.x)
        return on if self.y.kind == "test_accuracy" else on & _on_axis(seeds.y, self.y.axis)


def _on_axis(values: np.ndarray, axis: Axis) -> np.ndarray:
    return (values >= axis.min) & (values < axis.max)


def lowest(seeds: Seeds, n: int) -> Seeds:
    """The (at most) n states of lowest finite train loss, from low to high."""
    order = np.argsort(seeds.ln_train_loss, kind="stable")
    return seeds.take(order[np.isfinite(seeds.ln_train_loss[order])][:n])


def continued_runs(problem: Problem, wanted: Wanted) -> int:
    """How many runs are to be followed down: as many as find different states for a bin, if memory allows."""
    fit = problem.runs_at_once(len(problem.y_train))
    return min(fit, CONTINUED_RUNS * wanted.per_bin // STATES_PER_BIN)


def course(training_points: int, points_per_step: int, training_steps: int) -> tuple[int, int]:
    """Rounds and steps per round that take the gradients of no more points than the training did.

    Two long rounds, of which the second is of shaken states, are preferred to several short ones.
    """
    affordable = training_points // points_per_step
    steps = max(1, min(affordable // 2, STEPS, training_steps))
    return max(1, min(affordable // steps, ROUNDS)), steps


def hop(
    problem: Problem,
    theta: Tensor,
    *,
    rounds: int,
    steps: int,
    record_every: int,
    generator: Generator,
    y: TestCoordinate | None = None,
) -> Iterator[tuple[Record, np.ndarray, np.ndarray]]:
    """Basin hopping in the domain from theta[R, P].

    Yields records, each with the index[R] its states come from and whether they were shaken on the way, bool[R]. After
    each descent the best quarter goes on, as it is and in copies shaken out of their minima.
    """
    origin, rate = np.arange(len(theta)), _rates(theta)
    shaken = np.zeros(len(theta), dtype=bool)
    for _ in range(rounds):
        for record in descend(problem, theta, rate, steps, record_every, y):
            yield record, origin, shaken
        best = np.argsort(record.ln_train_loss, kind="stable")[: max(1, len(theta) // COPIES)]
        copies = np.tile(best, COPIES)
        origin, rate, theta, shaken = origin[copies], rate[copies], record.theta[copies], shaken[copies]
        noise = torch.randn(theta.shape, generator=generator, dtype=theta.dtype, device=theta.device)
        noise *= SHAKE * problem.domain.scale(theta)
        noise[: len(best)] = 0.0
        shaken[len(best) :] = True
        theta = problem.domain.project(theta + noise)


def cool(
    problem: Problem, runs: int, steps: int, record_every: int, generator: Generator, y: TestCoordinate | None = None
) -> Iterator[Record]:
    """Follow `runs` random points of the domain down in ln L: what walkers may start from that no training has made."""
    theta = problem.domain.draw(runs, problem.network.layout.size, generator)
    yield from descend(problem, theta, _rates(theta), steps, record_every, y)


def _rates(theta: Tensor) -> Tensor:
    """Learning rates[R], in turn, for states theta[R, P]."""
    factor = min(1.0, math.sqrt(FULL_RATE_UP_TO / theta.shape[1]))
    turn = np.arange(len(theta)) % len(LEARNING_RATES)
    return factor * torch.tensor(LEARNING_RATES, dtype=theta.dtype, device=theta.device)[turn]


def descend(
    problem: Problem, theta: Tensor, rate: Tensor, steps: int, record_every: int, y: TestCoordinate | None = None
) -> Iterator[Record]:
    """Follow theta[R, P] down in ln L inside the domain; yields every `record_every`-th state and the last.

    Adam with learning rate[R] on ln L with all train points, projected onto the domain after each step; the learning
    rate falls to zero as a cosine. ln L rather than L, so that the gradient keeps its size while the loss falls.
    """
    mean, square = torch.zeros_like(theta), torch.zeros_like(theta)
    for number in range(1, steps + 1):
        theta = theta.detach().requires_grad_()
        losses = ln_loss(problem.network.logits(theta, problem.train_points), problem.y_train)
        gradient = torch.autograd.grad(losses.sum(), theta)[0]
        mean = BETAS[0] * mean + (1 - BETAS[0]) * gradient
        square = BETAS[1] * square + (1 - BETAS[1]) * gradient.square()
        falling = rate.unsqueeze(1) * (1 + math.cos(math.pi * (number - 1) / steps)) / 2
        move = falling * mean * adam_scale(square, number)
        theta = problem.domain.project(theta.detach() - move)
        if number % record_every == 0 or number == steps:
            yield measure(problem, theta, number, y)
