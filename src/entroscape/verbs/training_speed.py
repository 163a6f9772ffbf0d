"""Measure what steps and records of baselines take here; what search and training of one variant take follows."""

import itertools
import time
from pathlib import Path

from entroscape import devices
from entroscape.config.settings import SearchSettings, TrainSettings
from entroscape.memory import peak_megabytes
from entroscape.random import torch_generator
from entroscape.training.baselines import Runs, build_step, init_state, measure
from entroscape.training.problem import Problem, read_problem
from entroscape.training.seeds import Wanted
from entroscape.verbs.search import batch_sizes

STEPS = 10


def training_speed(search: SearchSettings, settings: TrainSettings, *, data: Path, device: str) -> dict[str, float]:
    """Of a row of `entroscape speed`: updates, updates_per_second, memory_mb, disk_mb.

    An update is a step of a run of the search or of the baselines; the descents after them may cost as much as these.
    """
    problem = read_problem(settings, data, device)
    grid, sizes = search.search, batch_sizes(search, len(problem.y_train))
    protocols = list(itertools.product(search.optimizers, problem.protocols))
    runs = Runs.grid([(*one, 1e-3) for one in protocols], max(sizes), settings.runs)
    part = next(runs.parts(problem.runs_at_once(max(sizes))))
    per_step, per_record, columns = _trained(problem, part, settings)
    searched = sum(len(grid.rates(name)) for name in search.optimizers) * len(problem.protocols) * len(sizes)
    updates = searched * grid.runs * grid.steps + 2 * len(runs) * settings.steps
    records = len(runs) * (settings.steps // settings.record_every + 1)
    kept = Wanted.of(problem, settings.observables).states_at_most * problem.state_bytes
    return dict(
        updates=updates,
        updates_per_second=updates / (updates * per_step + records * per_record),
        memory_mb=peak_megabytes(),
        disk_mb=(kept + 8 * columns * records) / 1e6,
    )


def _trained(problem: Problem, runs: Runs, settings: TrainSettings) -> tuple[float, float, int]:
    """Seconds per step and per record of a run, and columns of the records, from some steps after a first one."""
    random = torch_generator("speed", device=str(problem.device))
    state, step = init_state(problem, runs, random), build_step(problem, runs, settings.momentum, settings.adamw)
    state = step(state, random)
    devices.wait(problem.device.type)
    began = time.perf_counter()
    for _ in range(STEPS):
        state = step(state, random)
    devices.wait(problem.device.type)
    stepped = time.perf_counter()
    record = measure(problem, state.theta, STEPS, settings.observables.y)
    measured = time.perf_counter()
    seconds = (stepped - began) / STEPS, measured - stepped
    return seconds[0] / len(runs), seconds[1] / len(runs), len(runs.frame(record).columns)
