"""Search the training settings of one network."""

import logging
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import torch

from entroscape import devices
from entroscape.config.settings import SearchSettings
from entroscape.errors import ConfigError
from entroscape.files import write_table
from entroscape.progress import logged
from entroscape.provenance import stamp
from entroscape.random import torch_generator
from entroscape.training.baselines import Runs, train
from entroscape.training.problem import Problem, read_problem
from entroscape.training.search import COLUMNS, choose, grid_runs, untrained
from entroscape.verbs.code import code_of

logger = logging.getLogger(__name__)


def run(settings: SearchSettings, *, data: Path, output: Path, threads: int, device: str = "cpu") -> None:
    """Write the final train loss of every run of the grid, one row per run.

    An optimizer with a single setting is not trained: it has one row, without a loss. `device`: cpu, cuda or auto.
    """
    torch.set_num_threads(threads)
    device = devices.chosen(device)
    problem = read_problem(settings, data, device)
    sizes = batch_sizes(settings, len(problem.y_train))
    parts = [rows for size in sizes for rows in _grid(settings, problem, size, len(sizes))]
    table = pd.concat(parts, ignore_index=True)
    for (optimizer, protocol), (learning_rate, batch_size) in choose(table).items():
        logger.info("%s, %s: learning rate %g, batch size %d", optimizer, protocol, learning_rate, batch_size)
    seeds = [settings.experiment, settings.variant, "search"]
    table.attrs.update(stamp(settings, code_of("search", settings), seeds, device))
    write_table(table, output)


def batch_sizes(settings: SearchSettings, points: int) -> list[int]:
    """Batch sizes to try: all those of the grid that the train points can fill; raises ConfigError if there is none."""
    sizes = [size for size in settings.search.batch_sizes if size <= points]
    if not sizes:
        raise ConfigError(
            f"training.search.batch_sizes: {min(settings.search.batch_sizes)} is more than the {points} train points; "
            f"add one of at most {points}"
        )
    return sizes


def _grid(settings: SearchSettings, problem: Problem, batch_size: int, batch_sizes: int) -> Iterator[pd.DataFrame]:
    """Table rows of all runs of one batch size, of which there are so many to choose from."""
    grid = settings.search
    fixed = [name for name in settings.optimizers if len(grid.rates(name)) * batch_sizes == 1]
    if fixed:
        yield untrained(grid_runs(grid, fixed, problem.protocols, batch_size, 1))
    searched = [name for name in settings.optimizers if name not in fixed]
    if searched:
        runs = grid_runs(grid, searched, problem.protocols, batch_size, grid.runs)
        yield from _trained(settings, problem, runs)


def _trained(settings: SearchSettings, problem: Problem, runs: Runs) -> Iterator[pd.DataFrame]:
    """Final table rows of runs, trained together as far as memory allows."""
    names = settings.experiment, settings.variant, 0, f"search, batch size {runs.batch_size}"
    generator = torch_generator(*names, device=str(problem.device))
    steps = settings.search.steps
    for part in runs.parts(problem.runs_at_once(runs.batch_size)):
        logger.info("batch size %d: %d of %d runs", runs.batch_size, len(part), len(runs))
        records = train(
            problem,
            part,
            momentum=settings.momentum,
            steps=steps,
            record_every=max(1, steps // 100),  # for the progress report; only the last record counts
            generator=generator,
            adamw=settings.adamw,
        )
        last = deque(logged(records, steps, lambda record: record.step, logger), maxlen=1).pop()
        yield part.frame(last)[COLUMNS]
