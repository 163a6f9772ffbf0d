"""Train the baselines of one network, free and in the box, and collect starting points for the sampler."""

import logging
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from entroscape.config.settings import TrainSettings
from entroscape.data.dataset import TaskData
from entroscape.digest import code_digest
from entroscape.files import read_dataset, read_table, write_dataset, write_table
from entroscape.models import Network, make_network
from entroscape.progress import logged
from entroscape.provenance import stamp
from entroscape.random import torch_generator
from entroscape.training.baselines import Record, Runs, train
from entroscape.training.search import choose
from entroscape.training.seeds import STEPS, Seeds, best_runs, hop, keep

logger = logging.getLogger(__name__)


def run(settings: TrainSettings, *, data: Path, search: Path, output: Path, seeds: Path, threads: int) -> None:
    """Write the coordinates of every recorded state to `output`, and starting points for the sampler to `seeds`."""
    torch.set_num_threads(threads)
    task = TaskData.from_dataset(read_dataset(data))
    network = make_network(settings.network, task)
    tables, pool = [], Seeds.none(network.layout.size)
    for runs in _batches(choose(read_table(search)), settings.runs):
        boxed = runs.protocol == "box"
        for record in _train(settings, network, task, runs):
            tables.append(runs.frame(record, len(task.y_test)))
            pool = keep(pool, Seeds.from_record(record, runs.run, boxed), settings.observables.ln_train_loss)
        logger.info("%d of %d runs diverged", (~np.isfinite(record.ln_train_loss)).sum(), len(boxed))
        if boxed.any():
            pool = _descend(settings, network, task, runs, record, pool)
    attributes = stamp(settings, code_digest(__name__), [settings.experiment, settings.variant, "train"], "cpu")
    table = pd.concat(tables, ignore_index=True)
    table.attrs.update(attributes)
    write_table(table, output)
    write_dataset(pool.to_dataset(len(task.y_test)).assign_attrs(attributes), seeds)


def _batches(chosen: dict[str, tuple[float, int]], runs: int) -> list[Runs]:
    """The runs of all protocols, as one batch where they share the batch size."""
    by_size: dict[int, list[tuple[str, float]]] = defaultdict(list)
    for protocol, (learning_rate, batch_size) in chosen.items():
        by_size[batch_size].append((protocol, learning_rate))
    return [Runs.grid(by_size[size], size, runs) for size in sorted(by_size)]


def _train(settings: TrainSettings, network: Network, task: TaskData, runs: Runs) -> Iterator[Record]:
    """Records of one batch of runs."""
    logger.info("batch size %d: %d runs (%s)", runs.batch_size, len(runs.run), ", ".join(np.unique(runs.protocol)))
    records = train(
        network,
        task,
        runs,
        momentum=settings.momentum,
        steps=settings.steps,
        record_every=settings.record_every,
        generator=torch_generator(settings.experiment, settings.variant, 0, f"train, batch size {runs.batch_size}"),
    )
    return logged(records, settings.steps, lambda record: record.step, logger)


def _descend(settings: TrainSettings, network: Network, task: TaskData, runs: Runs, last: Record, pool: Seeds) -> Seeds:
    """Add to the pool what the best box runs pass when they are followed further down."""
    best = best_runs(last, runs.protocol == "box")
    steps = min(STEPS, settings.steps)
    records = hop(
        network,
        task,
        last.theta[best],
        steps=steps,
        record_every=max(1, steps // 100),
        generator=torch_generator(settings.experiment, settings.variant, 0, "seeds"),
    )
    for record, origin in records:
        pool = keep(pool, Seeds.from_record(record, runs.run[best][origin]), settings.observables.ln_train_loss)
    logger.info("%d states for the sampler, lowest ln L %.2f", len(pool.run), pool.ln_train_loss.min(initial=np.inf))
    return pool
