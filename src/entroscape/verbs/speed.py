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
ROOM = 10.0  # in ln L above the axis, so that networks at their random start lie on it
STARTS = 200
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
    updates / updates_per_second; an update is a move of a walker, or a step of a run.
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
    """Moves of a replica, and moves per second of its walkers from random states, in one window without a lower end."""
    task, modules = read_task(settings, data), sampler_modules(settings.procedure.procedure, settings.network.kind)
    procedure, task_module = (importlib.import_module(module) for module in modules[:2])
    planned = task_module.make_problem(settings, task, "cpu")
    problem = task_module.make_problem(_roomy(settings), task, device)
    network = make_network(settings.network, task)
    theta = network.domain.project(network.initial(torch_generator("speed"), STARTS)).numpy()
    starts = task_module.starts(settings, problem, theta, generator("speed", "starts"))
    state = procedure.init(problem, starts, lambda role: generator("speed", role))
    with Workers(threads) as workers:
        speed = _rate(lambda: procedure.step(problem, state, workers), device)
    return planned.steps * planned.moves_per_step, speed * problem.moves_per_step


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


def _rate(step: Callable[[], object], device: str) -> float:
    """Calls per second, without the first two, which compile and on a GPU capture."""
    step()
    step()
    devices.wait(device)
    began, calls = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        step()
        calls += 1
        devices.wait(device)
    return calls / (time.perf_counter() - began)
