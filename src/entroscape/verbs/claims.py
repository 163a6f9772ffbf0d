"""Judge the published claims."""

import logging
from pathlib import Path

import pandas as pd

from entroscape.analysis import claims, course_claims, families
from entroscape.config.settings import ClaimsSettings
from entroscape.files import read_table, write_text

logger = logging.getLogger(__name__)


def run(settings: ClaimsSettings, *, low_loss: list[Path], milestones: list[Path], output: Path) -> None:
    """Write a verdict with its value and interval for every claim: on landscapes, then on courses of training.

    The verdicts on one figure are made together (`entroscape.analysis.families`).
    """
    rows = claims.candidates(settings, _joined(low_loss)) if settings.claims else []
    rows += course_claims.candidates(settings, _joined(milestones)) if settings.courses else []
    verdicts = families.verdicts(rows, settings.family_sizes)
    write_text(verdicts.to_csv(index=False, float_format="%.6g"), output)
    for row in verdicts.itertuples():
        logger.info("%s (%s): %s, %.3g in [%.3g, %.3g]", row.id, row.case, row.verdict, row.value, row.lower, row.upper)


def _joined(paths: list[Path]) -> pd.DataFrame:
    return pd.concat([read_table(path) for path in paths], ignore_index=True)
