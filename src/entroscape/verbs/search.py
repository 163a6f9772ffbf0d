"""Search the training settings of one network."""

import logging
from collections import deque
from pathlib import Path

import pandas as pd
import torch

from entroscape.config.settings import SearchSettings
from entroscape.data.dataset import TaskData
from entroscape.digest import code_digest
from entroscape.errors import ConfigError
from entroscape.files import read_dataset, write_table
from entroscape.models import make_network
from entroscape.progress import logged
from entroscape.provenance import stamp
from entroscape.random import torch_generator
from entroscape.training.baselines import train
from entroscape.training.search import COLUMNS, choose, grid_runs

logger = logging.getLogger(__name__)


def run(settings: SearchSettings, *, data: Path, output: Path, threads: int) -> None:
    """Write the final train loss of every run of the grid, one row per run."""
    torch.set_num_threads(threads)
    task = TaskData.from_dataset(read_dataset(data))
    _check_batch_sizes(settings, len(task.y_train))
    table = pd.concat([_batch(settings, task, size) for size in settings.search.batch_sizes], ignore_index=True)
    for protocol, (learning_rate, batch_size) in choose(table).items():
        logger.info("%s: learning rate %g, batch size %d", protocol, learning_rate, batch_size)
    table.attrs.update(stamp(settings, code_digest(__name__), [settings.experiment, settings.variant, "search"], "cpu"))
    write_table(table, output)


def _check_batch_sizes(settings: SearchSettings, points: int) -> None:
    largest = max(settings.search.batch_sizes)
    if largest > points:
        raise ConfigError(
            f"training.search.batch_sizes: {largest} is more than the {points} train points; "
            f"use at most {points}, or raise data.train_points_per_class"
        )


def _batch(settings: SearchSettings, task: TaskData, batch_size: int) -> pd.DataFrame:
    """Final table rows of all runs of one batch size."""
    grid = settings.search
    logger.info("batch size %d: %d learning rates, %d runs each", batch_size, len(grid.learning_rates), grid.runs)
    runs = grid_runs(grid.learning_rates, batch_size, grid.runs)
    records = train(
        make_network(settings.network, task),
        task,
        runs,
        momentum=settings.momentum,
        steps=grid.steps,
        record_every=max(1, grid.steps // 100),  # for the progress report; only the last record counts
        generator=torch_generator(settings.experiment, settings.variant, 0, f"search, batch size {batch_size}"),
    )
    last = deque(logged(records, grid.steps, lambda record: record.step, logger), maxlen=1).pop()
    return runs.frame(last, len(task.y_test))[COLUMNS]
