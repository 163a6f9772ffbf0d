"""Curves and low-loss averages of one landscape."""

import logging
from pathlib import Path

import numpy as np

from entroscape.analysis.curves import curve_table, low_loss_table
from entroscape.config.settings import AnalyseSettings
from entroscape.digest import code_digest
from entroscape.files import read_dataset, read_table, write_table
from entroscape.grid import Grid
from entroscape.provenance import stamp

logger = logging.getLogger(__name__)


def run(settings: AnalyseSettings, *, landscape: Path, training: Path, curves: Path, low_loss: Path) -> None:
    """Write the curves and their averages over the low-loss region."""
    sampled, reached = read_dataset(landscape), read_table(training)
    grid = Grid.of_landscape(sampled, settings.observables.ln_train_loss)
    attributes = stamp(settings, code_digest(__name__), [], "cpu")
    curve = curve_table(sampled, reached, grid, settings.analysis)
    curve.attrs.update(attributes)
    write_table(curve, curves)
    summary = low_loss_table(sampled, reached, grid, settings.analysis)
    summary = summary.assign(
        experiment=settings.experiment,
        variant=settings.variant,
        width=settings.width,
        train_points=float(settings.train_points or np.nan),
    )
    summary.attrs.update(attributes)
    write_table(summary, low_loss)
    for row in summary.itertuples():
        name = f"{row.quantity} {row.metric} {row.baseline}".strip()
        logger.info("%s at ln L in [%s, %s]: %.4f +- %.4f", name, row.lower, row.upper, row.value, row.error)
