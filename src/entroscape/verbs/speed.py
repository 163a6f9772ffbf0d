"""Measure how fast one variant is sampled and trained here, and in how much memory, within seconds.

What planned runs take follows.
"""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from entroscape import devices
from entroscape.config.sampler import Cycles, MolecularDynamics
from entroscape.config.settings import SampleSettings, SearchSettings, TrainSettings
from entroscape.data.dataset import TaskData
from entroscape.files import write_table
from entroscape.memory import keep_freed, peak_megabytes
from entroscape.models import make_network
from entroscape.random import generator, torch_generator
from entroscape.sampling.modules import imported
from entroscape.sampling.workers import Workers
from entroscape.verbs.sample import chosen_device, read_task
from entroscape.verbs.training_speed import training_speed

SECONDS = 2.0  # that sampling is watched, after its first rounds
SHORT = 50  # most steps of a round of molecular dynamics here, since some rounds are made before the watch starts
ROUND = 0.5  # seconds that a round is to take at most, on a CPU
ROOM = 10.0  # in ln L above the axis, so that networks at their random start lie on it
STARTS = 20


def run(
    sample: SampleSettings,
    training: tuple[SearchSettings, TrainSettings] | None,
    *,
    data: Path,
    output: Path,
    threads: int,
    device: str,
) -> None:
    """Write a row for each kind of job: job, jobs, device, updates (of a job), updates_per_second, memory_mb, disk_mb.

    `training`: settings of the search and of the baselines, of a variant that has its own. A job's seconds are
    updates / updates_per_second; an update is a move of a walker, in molecular dynamics one pass of its network over
    the data, forward and back, or a step of a run. Memory is that of the machine, not of its GPU; on disk a job takes
    no more than disk_mb, which what it writes there fills when nothing can be compressed.
    """
    keep_freed()
    torch.set_num_threads(1)
    device = chosen_device(device, sample)
    sampled = _sampling(sample, data, device, threads)
    rows = [dict(job="sample", jobs=sample.procedure.replicas, device=device, **sampled)]
    if training is not None:
        rows.append(dict(job="train", jobs=1, device=device, **training_speed(*training, data=data, device=device)))
    table = pd.DataFrame(rows).assign(experiment=sample.experiment, variant=sample.variant)
    write_table(table, output)


def _sampling(settings: SampleSettings, data: Path, device: str, threads: int) -> dict[str, float]:
    """Updates of a replica, and what is known of its walkers from some of them at random states."""
    task, brief = read_task(settings, data), _roomy(settings)
    walkers, before = _walkers(brief), peak_megabytes()
    with Workers(threads) as workers:
        if device == "cpu" and isinstance(settings.procedure, MolecularDynamics):
            speed, _ = _watched(_briefer(brief, 1), task, device, workers, seconds=0.0)
            brief = _briefer(brief, ROUND * speed)
        speed, saved = _watched(brief, task, device, workers, seconds=SECONDS)
    share = walkers / _walkers(brief)
    _, task_module = imported(settings.procedure.procedure, settings.network.kind)
    planned = task_module.make_problem(settings, task, "cpu")
    return dict(
        updates=planned.steps * _updates(settings, planned),
        updates_per_second=speed,
        memory_mb=before + share * (peak_megabytes() - before),
        disk_mb=share * saved,
    )


def _watched(
    settings: SampleSettings, task: TaskData, device: str, workers: Workers, seconds: float
) -> tuple[float, float]:
    """Updates per second, for so many seconds or one round, and megabytes of the state that is saved."""
    procedure, task_module = imported(settings.procedure.procedure, settings.network.kind)
    problem = task_module.make_problem(settings, task, device)
    network = make_network(settings.network, task)
    theta = network.domain.project(network.initial(torch_generator("speed"), STARTS)).numpy()
    states = np.concatenate([theta, task_module.random_starts(settings, problem, generator("speed", "starts"))])
    state = procedure.init(problem, states, lambda role: generator("speed", role))
    rounds = _rate(lambda: procedure.step(problem, state, workers), device, seconds)
    return rounds * _updates(settings, problem), _megabytes(state)


def _walkers(settings: SampleSettings) -> int:
    """Walkers of a single window, or of the procedure that has its own."""
    return 1 if isinstance(settings.procedure, Cycles) else settings.procedure.walkers


def _megabytes(state: Any) -> float:
    """Of the arrays of a state. A checkpoint has them all, a replica the largest, both compressed."""
    values = (getattr(state, field.name) for field in dataclasses.fields(state))
    return sum(value.nbytes for value in values if isinstance(value, np.ndarray | torch.Tensor)) / 1e6


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
