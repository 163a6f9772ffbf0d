"""Measure what a step of AdamW and one of WanD take."""

import logging
from pathlib import Path

import pandas as pd
import torch

from entroscape.config.courses import CostSettings
from entroscape.digest import code_digest
from entroscape.files import write_table
from entroscape.memory import keep_freed
from entroscape.provenance import stamp
from entroscape.training.step_cost import measure

logger = logging.getLogger(__name__)


def run(settings: CostSettings, *, output: Path) -> None:
    """Write a row for each optimizer and round. No two measurements give equal numbers."""
    keep_freed()
    torch.set_num_threads(1)
    courses = {"adamw": settings.adamw, "wand": settings.wand}
    costs = measure(courses, steps=settings.steps, rounds=settings.rounds)
    table = pd.DataFrame(costs)
    table.attrs.update(stamp(settings, code_digest(__name__), [], "cpu"))
    write_table(table, output)
    for name, seconds in table.groupby("optimizer")["seconds_per_step"].median().items():
        logger.info("%s: %.1f ms per step", name, 1000 * seconds)
