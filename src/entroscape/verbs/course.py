"""Train the runs of one course."""

import logging
from functools import partial
from operator import attrgetter
from pathlib import Path

import torch

from entroscape import devices
from entroscape.config.courses import CourseSettings
from entroscape.digest import code_digest
from entroscape.errors import ConfigError
from entroscape.files import read_table, write_table
from entroscape.memory import keep_freed
from entroscape.progress import logged
from entroscape.provenance import stamp
from entroscape.training.course import Record, train_all
from entroscape.training.wand_search import chosen_bias

logger = logging.getLogger(__name__)


def run(settings: CourseSettings, *, search: Path | None, output: Path, threads: int, device: str = "cpu") -> None:
    """Write a row for every run and recorded step.

    `search`: table of the search, for WanD without a bias. `device`: cpu, cuda or auto.
    """
    keep_freed()
    torch.set_num_threads(threads)
    if settings.searched and search is None:
        raise ConfigError("entropy.bias is null, so the table of the search is needed: give it with --search")
    bias = chosen_bias(read_table(search)) if settings.searched and search else None
    device = devices.chosen(device)
    watch = partial(logged, total=settings.course.steps, done=attrgetter("step"), logger=logger, describe=_described)
    table = train_all(settings, bias=bias, device=device, watch=watch)
    table.insert(0, "course", settings.name)
    seeds = ["courses", settings.seed, settings.name]
    extra = {} if bias is None else {"bias": bias}
    table.attrs.update(stamp(settings, code_digest(__name__), [str(seed) for seed in seeds], device, **extra))
    write_table(table, output)


def _described(record: Record) -> str:
    """How the runs do, for the log."""
    return "".join(
        f"; {name} {values.min():.2f} to {values.max():.2f}"
        for name, values in {"train accuracy": record.train_accuracy, "test accuracy": record.test_accuracy}.items()
    )
