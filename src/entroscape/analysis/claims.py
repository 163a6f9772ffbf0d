"""Verdicts on published claims from values with intervals."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from entroscape.config.schema import Claim
from entroscape.config.settings import ClaimsSettings
from entroscape.landscape.jackknife import half_width

COLUMNS = ["id", "case", "statement", "verdict", "value", "lower", "upper", "confidence", "scale", "where from"]


def judge(settings: ClaimsSettings, low_loss: pd.DataFrame) -> pd.DataFrame:
    """One row per claim and baseline, columns `COLUMNS`.

    `low_loss` holds the tables of `entroscape.analysis.curves.low_loss_table` of all variants, one below the other,
    with columns experiment, variant and width.
    """
    rows = [row for claim in settings.claims for row in _rows(claim, settings, low_loss)]
    return pd.DataFrame(rows, columns=COLUMNS)


def verdict(lower: float, upper: float, claimed_sign: int) -> str:
    """Whether the interval supports that the value has the claimed sign (+1 or -1)."""
    if not np.isfinite([lower, upper]).all():
        return "undecided"
    low, high = sorted((claimed_sign * lower, claimed_sign * upper))
    return "supported" if low > 0 else "contradicted" if high < 0 else "undecided"


def slope(x: np.ndarray, value: np.ndarray, error: np.ndarray) -> tuple[float, float, int]:
    """Weighted least-squares slope, its standard error, and degrees of freedom.

    The error follows from those of the values, widened when they scatter more about the line than these explain
    (Birge's ratio), since a straight line is our simplification. nan with fewer than three points.
    """
    if len(x) < 3:
        return np.nan, np.nan, 0
    weight = 1 / error**2
    centre = np.average(x, weights=weight)
    spread = (weight * (x - centre) ** 2).sum()
    gradient = (weight * (x - centre) * value).sum() / spread
    residual = value - np.average(value, weights=weight) - gradient * (x - centre)
    birge = np.sqrt((weight * residual**2).sum() / (len(x) - 2))
    return float(gradient), float(max(birge, 1.0) / np.sqrt(spread)), len(x) - 2


def _rows(claim: Claim, settings: ClaimsSettings, low_loss: pd.DataFrame) -> Iterator[dict]:
    confidence = settings.confidence[claim.experiment]
    table = low_loss[(low_loss["experiment"] == claim.experiment) & (low_loss["quantity"] == claim.quantity)]
    baselines: Sequence[str] = claim.baselines or [""]
    for baseline in baselines:
        known = table[(table["baseline"] == baseline) & np.isfinite(table["error"])]
        if claim.test == "positive":
            reference = settings.reference_width[claim.experiment]
            known = known[known["width"] == reference]
            value, error, dof = next(known[["value", "error", "dof"]].itertuples(index=False), (np.nan, np.nan, 0))
            case, sign = f"width {reference}", 1
        else:
            value, error, dof = slope(np.log2(known["width"]), known["value"].to_numpy(), known["error"].to_numpy())
            case, sign = f"slope per doubling of the width, {len(known)} widths", -1
        half = half_width(error, dof, confidence)
        yield {
            "id": claim.id,
            "case": f"{case}, {baseline} SGD" if baseline else case,
            "statement": claim.statement,
            "verdict": verdict(value - half, value + half, sign),
            "value": value,
            "lower": value - half,
            "upper": value + half,
            "confidence": confidence,
            "scale": settings.scale,
            "where from": f"{claim.figure}; {claim.quantity} of {', '.join(sorted(known['variant']))}",
        }
