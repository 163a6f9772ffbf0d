"""Judge the published claims."""

import logging
from pathlib import Path

import pandas as pd

from entroscape.analysis.claims import judge
from entroscape.config.settings import ClaimsSettings
from entroscape.files import read_table, write_text

logger = logging.getLogger(__name__)


def run(settings: ClaimsSettings, *, low_loss: list[Path], output: Path) -> None:
    """Write a verdict with its value and interval for every claim and baseline."""
    verdicts = judge(settings, pd.concat([read_table(path) for path in low_loss], ignore_index=True))
    write_text(verdicts.to_csv(index=False, float_format="%.6g"), output)
    for row in verdicts.itertuples():
        logger.info("%s (%s): %s, %.3g in [%.3g, %.3g]", row.id, row.case, row.verdict, row.value, row.lower, row.upper)
