"""Measure how fast one variant is sampled and trained here, within seconds; what planned runs take follows."""

import importlib
import itertools
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from entroscape import devices
from entroscape.config.sampler import Cycles, MolecularDynamics
from entroscape.config.settings import SampleSettings, SearchSettings, TrainSettings
from entroscape.data.dataset import TaskData
from entroscape.files import write_table
from entroscape.memory import keep_freed
from entroscape.models import make_network
from entroscape.random import generator, torch_generator
from entroscape.sampling.modules import sampler_modules
from entroscape.sampling.workers import Workers
from entroscape.training.baselines import Runs, train
from entroscape.training.problem import read_problem
from entroscape.verbs.sample import chosen_device, read_task
from entroscape.verbs.search import batch_sizes

SECONDS = 2.0  # that sampling is watched, after its first rounds
SHORT = 50  # most steps of a round of molecular dynamics here, since some rounds are made before the watch starts
ROUND = 0.5  # seconds that a round is to take at most, on a CPU
ROOM = 10.0  # in ln L above the axis, so that networks at their random start lie on it
STARTS = 20
STEPS = 10  # of training


def run(
    sample: SampleSettings,
    training: tuple[SearchSettings, TrainSettings] | None,
    *,
    data: Path,
    output: Path,
    threads: int,
    device: str,
) -> None:
    """Write a row for each kind of job: job, jobs, device, updates (of a job), updates_per_second.

    `training`: settings of the search and of the baselines, of a variant that has its own. A job's seconds are
    updates / updates_per_second; an update is a move of a walker, in molecular dynamics one pass of its network over
    the data, forward and back, or a step of a run.
    """
    keep_freed()
    torch.set_num_threads(1)
    device = chosen_device(device, sample)
    planned, speed = _sampling(sample, data, device, threads)
    rows = [
        dict(job="sample", jobs=sample.procedure.replicas, device=device, updates=planned, updates_per_second=speed)
    ]
    if training is not None:
        planned, speed = _training(*training, data)
        rows.append(dict(job="train", jobs=1, device="cpu", updates=planned, updates_per_second=speed))
    table = pd.DataFrame(rows).assign(experiment=sample.experiment, variant=sample.variant)
    write_table(table, output)


def _sampling(settings: SampleSettings, data: Path, device: str, threads: int) -> tuple[int, float]:
    """Updates of a replica, and updates per second of its walkers from random states."""
    task, brief = read_task(settings, data), _roomy(settings)
    with Workers(threads) as workers:
        if device == "cpu" and isinstance(settings.procedure, MolecularDynamics):
            brief = _briefer(brief, ROUND * _watched(_briefer(brief, 1), task, device, workers, seconds=0.0))
        speed = _watched(brief, task, device, workers, seconds=SECONDS)
    _, task_module = _modules(settings)
    planned = task_module.make_problem(settings, task, "cpu")
    return planned.steps * _updates(settings, planned), speed


def _watched(settings: SampleSettings, task: TaskData, device: str, workers: Workers, seconds: float) -> float:
    """Updates per second, for so many seconds or one round."""
    procedure, task_module = _modules(settings)
    problem = task_module.make_problem(settings, task, device)
    network = make_network(settings.network, task)
    theta = network.domain.project(network.initial(torch_generator("speed"), STARTS)).numpy()
    starts = task_module.starts(settings, problem, theta, generator("speed", "starts"))
    state = procedure.init(problem, starts, lambda role: generator("speed", role))
    rounds = _rate(lambda: procedure.step(problem, state, workers), device, seconds)
    return rounds * _updates(settings, problem)


def _modules(settings: SampleSettings) -> tuple[Any, Any]:
    """The modules of the procedure and of its problems."""
    names = sampler_modules(settings.procedure.procedure, settings.network.kind)
    return importlib.import_module(names[0]), importlib.import_module(names[1])


def _updates(settings: SampleSettings, problem: Any) -> int:
    """Updates of all walkers in a round."""
    procedure = settings.procedure
    if not isinstance(procedure, MolecularDynamics):
        return int(problem.moves_per_step)
    gradients = procedure.leapfrog_steps if procedure.integrator == "hmc" else 1
    return int(problem.walkers * (1 + procedure.steps_per_round * gradients))  # a round begins with one more


def _briefer(settings: SampleSettings, updates: float) -> SampleSettings:
    """Rounds of molecular dynamics of about so many updates: of fewer steps, then also of fewer walkers."""
    procedure = settings.procedure
    assert isinstance(procedure, MolecularDynamics)
    walkers = max(1, min(procedure.walkers, int(updates)))
    steps = max(1, min(procedure.steps_per_round, int(updates / walkers)))
    procedure = procedure.model_copy(update={"walkers": walkers, "steps_per_round": steps})
    return settings.model_copy(update={"procedure": procedure})


def _roomy(settings: SampleSettings) -> SampleSettings:
    """The same walkers in a single window, whose upper end is out of reach, and in short rounds."""
    axis = settings.observables.ln_train_loss
    axis = axis.model_copy(update={"max": axis.max + ROOM})
    changes: dict[str, Any] = {}
    if not isinstance(settings.procedure, Cycles):
        walkers = settings.procedure.walkers * len(settings.procedure.windows)
        changes = {"windows": [(axis.min, axis.max)], "walkers": walkers}
    if isinstance(settings.procedure, MolecularDynamics):
        changes["steps_per_round"] = min(settings.procedure.steps_per_round, SHORT)
    observables = settings.observables.model_copy(update={"ln_train_loss": axis})
    procedure = settings.procedure.model_copy(update=changes)
    return settings.model_copy(update={"observables": observables, "procedure": procedure})


def _training(search: SearchSettings, settings: TrainSettings, data: Path) -> tuple[int, float]:
    """Steps of all runs of the search and of the baselines, with the descents after them, and such steps per second."""
    problem = read_problem(settings, data)
    grid, sizes = search.search, batch_sizes(search, len(problem.y_train))
    protocols = list(itertools.product(search.optimizers, problem.protocols))
    runs = Runs.grid([(*one, 1e-3) for one in protocols], max(sizes), settings.runs)
    part = next(runs.parts(problem.runs_at_once(max(sizes))))
    common: dict[str, Any] = dict(momentum=settings.momentum, adamw=settings.adamw, generator=torch_generator("speed"))
    began = time.perf_counter()
    deque(train(problem, part, steps=STEPS, record_every=STEPS, **common), maxlen=0)
    speed = len(part) * STEPS / (time.perf_counter() - began)
    searched = sum(len(grid.rates(name)) for name in search.optimizers) * len(problem.protocols) * len(sizes)
    return searched * grid.runs * grid.steps + 2 * len(runs) * settings.steps, speed


def _rate(step: Callable[[], object], device: str, seconds: float) -> float:
    """Calls per second, for so many seconds or one call, without the first two, which compile and on a GPU capture."""
    step()
    step()
    devices.wait(device)
    began, calls = time.perf_counter(), 0
    while calls == 0 or time.perf_counter() - began < seconds:
        step()
        calls += 1
        devices.wait(device)
    return calls / (time.perf_counter() - began)
