"""Train the baselines of one network, free and in the sampler's domain, and collect starting points for the sampler."""

import logging
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from entroscape import devices
from entroscape.config.settings import TrainSettings
from entroscape.files import read_table, write_dataset, write_table
from entroscape.progress import logged
from entroscape.provenance import stamp
from entroscape.random import torch_generator
from entroscape.training.baselines import OPTIMIZERS, Record, Runs, train
from entroscape.training.problem import Problem, read_problem
from entroscape.training.search import choose
from entroscape.training.seeds import Seeds, Wanted, continued_runs, cool, course, hop, lowest
from entroscape.verbs.code import code_of

logger = logging.getLogger(__name__)


def run(
    settings: TrainSettings,
    *,
    data: Path,
    search: Path,
    output: Path,
    seeds: Path,
    threads: int,
    device: str = "cpu",
) -> None:
    """Write the coordinates of every recorded state to `output`, and starting points for the sampler to `seeds`.

    `device`: cpu, cuda or auto.
    """
    torch.set_num_threads(threads)
    device = devices.chosen(device)
    problem = read_problem(settings, data, device)
    wanted, tables = Wanted.of(problem, settings.observables), []
    pool = ends = Seeds.none(problem)
    batches = _batches(choose(read_table(search)), settings.runs)
    for runs in batches:
        for part, record in _train(settings, problem, runs):
            tables.append(part.frame(record))
            inside = wanted.states(record, part.numbers(settings.runs), part.optimizer, part.kept)
            pool = wanted.keep(pool, inside)
            if record.step == settings.steps:
                ends = lowest(ends.join(inside), continued_runs(problem, wanted))
                logger.info("%d of %d runs diverged", (~np.isfinite(record.ln_train_loss)).sum(), len(part))
    points = settings.steps * sum(len(runs) * runs.batch_size for runs in batches)
    pool = _descend(settings, problem, wanted, ends, pool, points)
    pool = _cool(settings, problem, wanted, pool, points)
    names = [settings.experiment, settings.variant, "train"]
    attributes = stamp(settings, code_of("train", settings), names, device)
    table = pd.concat(tables, ignore_index=True)
    table.attrs.update(attributes)
    write_table(table, output)
    write_dataset(pool.to_dataset(wanted.y.kind).assign_attrs(attributes), seeds)


def _batches(chosen: dict[tuple[str, str], tuple[float, int]], runs: int) -> list[Runs]:
    """The runs of all optimizers and protocols, as one batch where they share the batch size."""
    by_size: dict[int, list[tuple[str, str, float]]] = defaultdict(list)
    for (optimizer, protocol), (learning_rate, batch_size) in chosen.items():
        by_size[batch_size].append((optimizer, protocol, learning_rate))
    return [Runs.grid(by_size[size], size, runs) for size in sorted(by_size)]


def _train(settings: TrainSettings, problem: Problem, runs: Runs) -> Iterator[tuple[Runs, Record]]:
    """Records of the runs of one batch size, each with its runs: as many at a time as memory allows."""
    names = settings.experiment, settings.variant, 0, f"train, batch size {runs.batch_size}"
    generator = torch_generator(*names, device=str(problem.device))
    for part in runs.parts(problem.runs_at_once(runs.batch_size)):
        logger.info("batch size %d: %d of %d runs", runs.batch_size, len(part), len(runs))
        records = train(
            problem,
            part,
            momentum=settings.momentum,
            steps=settings.steps,
            record_every=settings.record_every,
            generator=generator,
            y=settings.observables.y,
            adamw=settings.adamw,
        )
        for record in logged(records, settings.steps, lambda record: record.step, logger):
            yield part, record


def _descend(
    settings: TrainSettings, problem: Problem, wanted: Wanted, ends: Seeds, pool: Seeds, training_points: int
) -> Seeds:
    """Add to the pool what the lowest runs in the domain pass when they are followed further down.

    That goes on until the pool has enough states that were shaken on the way, or a whole descent has found none that it
    had not, or it has cost as much as the training, which took the gradients of `training_points` points.
    """
    if not len(ends.run):
        place, found = problem.domain.name, len(pool.run)
        logger.info("every run in the %s diverged: the sampler has only %d states to start from", place, found)
        return pool
    rounds, steps = course(training_points, len(ends.run) * len(problem.y_train), settings.steps)
    records = hop(
        problem,
        torch.as_tensor(ends.theta, device=problem.device),
        rounds=rounds,
        steps=steps,
        record_every=max(1, steps // 100),
        generator=torch_generator(settings.experiment, settings.variant, 0, "seeds", device=str(problem.device)),
        y=wanted.y,
    )
    highest, before = ends.ln_train_loss.max(initial=-np.inf), pool
    for record, origin, shaken in records:
        kinds = np.where(shaken, "perturbed", ends.kind[origin])
        pool = wanted.keep(pool, wanted.states(record, ends.run[origin], kinds))
        if wanted.full(pool.of_kind("perturbed"), highest) or (record.step == steps and pool is before):
            break
        before = pool if record.step == steps else before
    logger.info("%d states for the sampler, lowest ln L %.2f", len(pool.run), pool.ln_train_loss.min(initial=np.inf))
    return pool


def _cool(settings: TrainSettings, problem: Problem, wanted: Wanted, pool: Seeds, training_points: int) -> Seeds:
    """Add to the pool what random points of the domain pass when followed down, at most at the cost of training."""
    runs = continued_runs(problem, wanted)
    _, steps = course(training_points, runs * len(problem.y_train), settings.steps)
    random = torch_generator(settings.experiment, settings.variant, 0, "cooled", device=str(problem.device))
    numbers, kinds = len(OPTIMIZERS) * settings.runs + np.arange(runs), np.full(runs, "cooled")
    for record in cool(problem, runs, steps, max(1, steps // 100), random, wanted.y):
        pool = wanted.keep(pool, wanted.states(record, numbers, kinds))
    cooled = pool.of_kind("cooled")
    lowest_loss = cooled.ln_train_loss.min(initial=np.inf)
    logger.info("%d of them random points that were cooled, lowest ln L %.2f", len(cooled.run), lowest_loss)
    return pool
