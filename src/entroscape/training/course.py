"""Courses of training on modular arithmetic: independent runs of one optimizer, full batch (arXiv:2505.11411)."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from entroscape.config.courses import AdamW, CourseSettings, Stop, WanD
from entroscape.data.modular import split, table
from entroscape.models.layout import ParameterLayout
from entroscape.models.start import draw
from entroscape.models.transformer import transformer_layout, transformer_logits
from entroscape.observables import accuracy, mean_loss
from entroscape.random import torch_generator
from entroscape.training.adam import Means
from entroscape.training.wand import EntropyOfLoss, WanDRuns, wand_weight


@dataclass(frozen=True)
class Task:
    """Prompts and answers of R runs, each with a split of its own."""

    x_train: Tensor  # int64[R, N, 2]
    y_train: Tensor  # int64[R, N]
    x_test: Tensor  # int64[R, M, 2]
    y_test: Tensor  # int64[R, M]

    @classmethod
    def of(cls, settings: CourseSettings, runs: list[int], device: str = "cpu") -> "Task":
        """The splits of these runs; runs of equal number and train fraction have equal splits in all courses."""
        pairs, answers = (torch.as_tensor(values) for values in table(settings.course.operation, settings.modulus))
        names = settings.seed, settings.course.train_fraction
        parts = [split(settings.modulus, settings.train_points, *map(str, names), run) for run in runs]
        # in the order of the pairs: rows of tables are read one after the other
        train, test = (torch.as_tensor(np.sort(part)) for part in map(np.stack, zip(*parts, strict=True)))
        return cls(*(part.to(device) for part in (pairs[train], answers[train], pairs[test], answers[test])))


class Network(NamedTuple):
    """The transformer of a course."""

    layout: ParameterLayout
    heads: int

    @classmethod
    def of(cls, settings: CourseSettings) -> "Network":
        """Its sizes from the settings."""
        d_model = settings.course.d_model
        layout = transformer_layout(settings.modulus + 1, d_model, settings.network.mlp_ratio * d_model)
        return cls(layout, settings.network.heads)

    def starts(self, settings: CourseSettings, runs: list[int], device: str = "cpu") -> Tensor:
        """float32[R, P], where these runs start: the same in all courses of this width."""
        draws = [torch_generator("courses", settings.seed, "start", settings.course.d_model, run) for run in runs]
        starts = [draw(generator, 1, layout=self.layout, start="nanda") for generator in draws]
        return torch.cat(starts).float().to(device)

    def logits(self, theta: Tensor, prompts: Tensor) -> Tensor:
        """[R, N, V] of theta[R, P] on prompts int64[R, N, 2]."""
        return transformer_logits(theta, prompts, self.layout, self.heads)


class Record(NamedTuple):
    """The R runs before the step that follows `step` steps."""

    step: int
    train_loss: np.ndarray  # [R]
    test_loss: np.ndarray
    train_accuracy: np.ndarray
    test_accuracy: np.ndarray
    weight_norm: np.ndarray
    alpha: np.ndarray  # weight of WanD in the hybrid, nan otherwise
    ended: np.ndarray  # whether the run has ended before: what it has done since is not part of it

    def frame(self, runs: list[int]) -> pd.DataFrame:
        """A row per run that goes on."""
        rows = pd.DataFrame({"run": runs, **self._asdict()})
        return rows[~self.ended].drop(columns="ended")


class Forward(NamedTuple):
    """What one pass over the train prompts gives."""

    loss: Tensor  # [R]
    accuracy: Tensor  # [R]
    gradient: Tensor  # [R, P]


Update = Callable[[Tensor, Forward, Tensor], Tensor]  # (theta, forward, alpha[R]) -> the next theta


def train_all(
    settings: CourseSettings,
    *,
    bias: float | None = None,
    device: str = "cpu",
    watch: Callable[[Iterator[Record]], Iterable[Record]] = iter,
) -> pd.DataFrame:
    """All runs of a course: a row per run and recorded step, up to where the run ends if there is a `stop`.

    On a GPU all runs go on at once; on a CPU each by itself, which takes no longer and ends sooner. watch: passes on
    the records of runs that go on at once.
    """
    runs = list(range(settings.course.runs))
    groups = [runs] if device == "cuda" else [[run] for run in runs]
    frames = [
        record.frame(group) for group in groups for record in watch(train(settings, group, bias=bias, device=device))
    ]
    return pd.concat(frames, ignore_index=True)


def train(
    settings: CourseSettings, runs: list[int], *, bias: float | None = None, device: str = "cpu"
) -> Iterator[Record]:
    """Train these runs at once; yields their state every `record_every` steps, and at the end.

    bias: what the search found, for settings that have none. A run that diverges goes on as nan and does not touch the
    others. With `stop` they go on until the last of them ends.
    """
    task, network = Task.of(settings, runs, device), Network.of(settings)
    theta = network.starts(settings, runs, device)
    update, anneal = updates(settings, theta, bias, runs)
    alpha = torch.full((len(runs),), torch.nan, device=device)
    ends = _Ends(settings.stop, len(runs))
    for step in range(settings.course.steps + 1):
        last = step == settings.course.steps
        found = forward(network, task, theta)
        if step % settings.record_every == 0 or last:
            record, alpha = _measure(network, task, theta, found, step, ends.now.copy(), anneal)
            yield record
            ends.see(record)
            if ends.now.all():
                return
        if not last:
            theta = update(theta, found, alpha)


def forward(network: Network, task: Task, theta: Tensor) -> Forward:
    """Loss, accuracy and gradient on the train prompts."""
    leaf = theta.detach().requires_grad_()
    logits = network.logits(leaf, task.x_train)
    loss = mean_loss(logits, task.y_train)
    (gradient,) = torch.autograd.grad(loss.sum(), leaf)
    return Forward(loss.detach(), accuracy(logits.detach(), task.y_train), gradient)


def _measure(
    network: Network,
    task: Task,
    theta: Tensor,
    found: Forward,
    step: int,
    ended: np.ndarray,
    anneal: Callable[[Tensor, Tensor], Tensor],
) -> tuple[Record, Tensor]:
    """The record of a step, and the weight alpha until the next one."""
    with torch.no_grad():
        logits = network.logits(theta, task.x_test)
        loss, right = mean_loss(logits, task.y_test), accuracy(logits, task.y_test)
    alpha = anneal(found.accuracy, right)
    values = found.loss, loss, found.accuracy, right, theta.norm(dim=1), alpha
    return Record._make((step, *(value.double().cpu().numpy() for value in values), ended)), alpha


def updates(
    settings: CourseSettings, theta: Tensor, bias: float | None, runs: list[int]
) -> tuple[Update, Callable[[Tensor, Tensor], Tensor]]:
    """The update of these runs' optimizer, and (train accuracy, test accuracy) -> alpha."""
    optimizer = settings.course.optimizer

    def no_weight(train: Tensor, test: Tensor) -> Tensor:
        return torch.full_like(train, torch.nan)

    if optimizer.kind == "adamw":
        return partial(_adamw, optimizer, _Adam(theta)), no_weight
    section = optimizer if optimizer.kind == "wand" else optimizer.wand
    wand = _wand(settings, section, theta, bias, runs)
    if optimizer.kind == "wand":
        return lambda theta, found, alpha: theta + wand.move(found.gradient, found.loss), no_weight
    adam, annealing = _Adam(theta), optimizer.annealing

    def update(theta: Tensor, found: Forward, alpha: Tensor) -> Tensor:
        weight = alpha.unsqueeze(1)
        by_adam = _adamw(annealing.adamw, adam, theta, found, alpha) - theta
        return theta + weight * wand.move(found.gradient, found.loss) + (1 - weight) * by_adam

    def anneal(train: Tensor, test: Tensor) -> Tensor:
        return wand_weight(train if annealing.accuracy == "train" else test, annealing.weight)

    return update, anneal


class _Adam:
    """Means of the gradients of R runs and how many there were."""

    def __init__(self, theta: Tensor) -> None:
        self.means, self.steps = Means.zeros(theta), 0


def _adamw(optimizer: AdamW, adam: _Adam, theta: Tensor, found: Forward, alpha: Tensor) -> Tensor:
    """Next theta; weight decay first, as torch.optim.AdamW does. With a fixed norm all is rescaled after the step."""
    adam.means.add(found.gradient, optimizer.betas)
    adam.steps += 1
    theta = theta * (1 - optimizer.learning_rate * optimizer.weight_decay)
    theta = theta - optimizer.learning_rate * adam.means.move(adam.steps, optimizer.betas)
    return theta if optimizer.norm is None else theta * (optimizer.norm / theta.norm(dim=1, keepdim=True))


def _wand(settings: CourseSettings, optimizer: WanD, theta: Tensor, bias: float | None, runs: list[int]) -> WanDRuns:
    """WanD for the runs theta[R, P], with the noise of these runs."""
    entropy = settings.entropy
    assert entropy is not None, "the configuration sees to it"
    bias = bias if entropy.bias is None else entropy.bias
    assert bias is not None, "the search has found it"
    axis = entropy.axis.min, entropy.axis.max, entropy.axis.bin_width
    return WanDRuns(
        theta,
        EntropyOfLoss.of(axis, bias, optimizer.onset, entropy.deposit_width, theta.device),
        learning_rate=optimizer.learning_rate,
        temperature=optimizer.temperature,
        friction=optimizer.friction,
        factor=entropy.factor,
        factor_steps=entropy.factor_steps,
        generator=torch_generator("courses", settings.seed, settings.name, "noise", *runs, device=str(theta.device)),
    )


class _Ends:
    """Which runs have ended: they have settled, or are lost."""

    def __init__(self, stop: Stop | None, runs: int) -> None:
        self.stop, self.now = stop, np.zeros(runs, dtype=bool)
        self.reached = np.full(runs, np.inf)  # first step at the test accuracy wanted
        self.held = np.full(runs, np.inf)  # last step at the train accuracy that a lost run is below

    def see(self, record: Record) -> None:
        """Note what has ended with this record."""
        if self.stop is None:
            return
        step, lost = record.step, self.stop.lost
        self.reached = np.minimum(self.reached, np.where(record.test_accuracy >= self.stop.accuracy, step, np.inf))
        self.now |= step >= self.reached + self.stop.steps
        if lost is not None:
            self.held = np.where(record.train_accuracy >= lost.accuracy, step, self.held)
            self.now |= (step >= self.held + lost.steps) | ~np.isfinite(record.weight_norm)
