"""Verdicts on published claims from values with intervals."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from entroscape.config.schema import Claim
from entroscape.config.settings import ClaimsSettings
from entroscape.landscape.jackknife import half_width
from entroscape.landscape.metric import JUDGED

COLUMNS = [
    "id",
    "case",
    "statement",
    "verdict",
    "value",
    "lower",
    "upper",
    "confidence",
    "scale",
    "where from",
    "remark",
]
BASELINE_NAMES = {
    "free": "free SGD",
    "box": "box SGD",
    "shell": "shell SGD",
    "adam free": "free Adam",
    "adam box": "box Adam",
    "adam shell": "shell Adam",
    "adamw free": "free AdamW",
    "adamw box": "box AdamW",
    "adamw shell": "shell AdamW",
}


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
    widths = "width-" + low_loss["width"].astype(str)  # variants of another sampler or training set do not count
    table = low_loss[(low_loss["experiment"] == claim.experiment) & (low_loss["variant"] == widths)]
    table = table[(table["quantity"] == claim.quantity)]
    if claim.quantity == "advantage":
        table = table[table["metric"].isin(JUDGED)]
    baselines: Sequence[str] = claim.baselines or [""]
    for baseline in baselines:
        rows = table[table["baseline"] == baseline]
        if claim.test == "positive":
            reference = settings.reference_width[claim.experiment]
            rows = rows[rows["width"] == reference]
            known = rows[np.isfinite(rows["error"])]
            value, error, dof = next(known[["value", "error", "dof"]].itertuples(index=False), (np.nan, np.nan, 0))
            case, sign = f"width {reference}", 1
        else:
            known = rows[np.isfinite(rows["error"])]
            value, error, dof = slope(np.log2(known["width"]), known["value"].to_numpy(), known["error"].to_numpy())
            case, sign = f"slope per doubling of the width, {len(known)} widths", -1
        half = half_width(error, dof, confidence)
        yield {
            "id": claim.id,
            "case": f"{case}, {BASELINE_NAMES[baseline]}" if baseline else case,
            "statement": claim.statement,
            "verdict": verdict(value - half, value + half, sign),
            "value": value,
            "lower": value - half,
            "upper": value + half,
            "confidence": confidence,
            "scale": settings.scale,
            "where from": f"{claim.figure}; {claim.quantity} of {', '.join(sorted(known['variant']))}",
            "remark": remark(rows, len(known), claim, settings),
        }


def remark(rows: pd.DataFrame, known: int, claim: Claim, settings: ClaimsSettings) -> str:
    """What stands in for the data, why a claim cannot be judged, and which of the maps behind it have not converged.

    `rows` are those that the claim asks for, of which `known` have a value with an error.
    """
    needed = 1 if claim.test == "positive" else 3
    unconverged = rows[rows["convergence"] != ""].drop_duplicates("variant")
    parts = [settings.stand_in[claim.experiment]]
    if known < needed:
        parts.append(_reason(rows, claim, settings.low_loss[claim.experiment]))
        if needed > 1:
            parts.append(f"a slope needs {needed} widths")
    if claim.test == "positive":
        parts += list(unconverged["convergence"].astype(str))
    elif len(unconverged):
        parts.append(f"not converged: {', '.join(unconverged['variant'])}")
    return "; ".join(part for part in parts if part)


def _reason(rows: pd.DataFrame, claim: Claim, low_loss: tuple[float, float]) -> str:
    """Why there is no value, or none with an error."""
    if rows.empty:
        return "no landscape or no training of this kind"
    without = rows[~np.isfinite(rows["error"])]
    short = without[without["reached"] >= low_loss[1]]
    if len(short):
        ends = f"{short['reached'].min():g}".replace("-", "−")
        upper = f"{low_loss[1]:g}".replace("-", "−")
        return f"the map ends at ln L = {ends}, above the low-loss region, which begins at {upper}"
    if claim.quantity == "advantage":
        return "too few trained runs or sampled states in the low-loss region" if len(without) else ""
    return "only states of one kind were sampled in the low-loss region" if len(without) else ""
