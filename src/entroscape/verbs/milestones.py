"""When every run of every course learns and generalises, and what a step of WanD costs."""

import logging
from pathlib import Path

import pandas as pd

from entroscape.analysis.courses import Course, cost_ratios, milestones
from entroscape.digest import code_digest
from entroscape.files import read_table, write_table
from entroscape.provenance import stamp

logger = logging.getLogger(__name__)


def run(*, courses: list[Path], step_cost: list[Path], output: Path) -> None:
    """Write one row per run and quantity of these courses, and one per round of timing."""
    tables = [milestones(Course.of(read_table(path))) for path in courses]
    tables += [cost_ratios(read_table(path)) for path in step_cost]
    found = pd.concat(tables, ignore_index=True)
    found.attrs.update(stamp({}, code_digest(__name__), [], "cpu"))
    write_table(found, output)
    for (course, quantity), rows in found.groupby(["course", "quantity"], sort=False):
        known = int((rows["low"] == rows["high"]).sum())
        logger.info("%s, %s: median %.4g, %d of %d known", course, quantity, rows["value"].median(), known, len(rows))
