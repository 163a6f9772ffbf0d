"""What decides claims about courses of training.

A run that did not come so far within its steps enters with the bounds that are known of it, and these widen the
interval of whatever is computed from it.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from entroscape.analysis import families
from entroscape.analysis.claims import evidence
from entroscape.analysis.courses import UNITS
from entroscape.analysis.families import Candidate
from entroscape.config.schema import CourseClaim
from entroscape.config.settings import ClaimsSettings


def candidates(settings: ClaimsSettings, table: pd.DataFrame) -> list[Candidate]:
    """A row to be judged for each claim about courses.

    `table`: `milestones` of all courses that claims compare and `cost_ratios`, one below the other.
    """
    return [_candidate(claim, settings.scale, table) for claim in settings.courses]


def contrast(groups: Iterable[pd.DataFrame], weights: Iterable[float], confidence: float) -> tuple[float, float, float]:
    """Weighted sum of the means of groups of runs, and the ends of its interval.

    Each group has columns value, low and high, a row per run. The interval is that of Welch and Satterthwaite, whose
    groups need not have equal spreads; each of its ends is computed from those bounds of the runs that take it
    farthest out, so it is infinite where nothing limits a run. nan where a group has one run: nothing tells its spread.
    """
    groups, weights = list(groups), list(weights)
    seen = sum(weight * group["value"].mean(skipna=False) for group, weight in zip(groups, weights, strict=True))
    ends = []
    for side in (-1, 1):
        bounds = ["high" if side * weight > 0 else "low" for weight in weights]
        farthest = [group[bound].to_numpy() for group, bound in zip(groups, bounds, strict=True)]
        mean, half = _welch(farthest, weights, confidence)
        ends.append(mean + side * half)
    return float(seen), float(ends[0]), float(ends[1])


def _candidate(claim: CourseClaim, scale: str, table: pd.DataFrame) -> Candidate:
    rows = table[table["quantity"] == claim.quantity]
    groups = {name: rows[rows["course"] == name] for name in claim.contrast}
    missing = [name for name, group in groups.items() if group.empty]

    def seen(share: int) -> tuple[float, float, float]:
        if missing:
            return np.nan, np.nan, np.nan
        confidence = families.stricter(claim.confidence, share)
        return contrast(groups.values(), claim.contrast.values(), confidence)

    means = [] if missing else [f"{name} {mean_text(group)}" for name, group in groups.items()]
    parts = [claim.note, *([f"no runs of {', '.join(missing)}"] if missing else means), *_unfinished(groups)]
    about = {
        "id": claim.id,
        "case": claim.case,
        "statement": claim.statement,
        "value": seen(1)[0],
        "scale": scale,
        "where from": f"{claim.quantity} ({UNITS[claim.quantity]}) of {', '.join(claim.contrast)}",
        **evidence(claim.figure, (f"courses/{name}.parquet" for name in claim.contrast)),
        "remark": "; ".join(part for part in parts if part),
    }
    return Candidate(about, claim.confidence, lambda share: seen(share)[1:], partial(verdict, claim=claim))


def verdict(lower: float, upper: float, claim: CourseClaim) -> str:
    """Whether the whole interval lies on the side of the bound that the claim expects; its ends may be infinite."""
    if np.isnan([lower, upper]).any():
        return "undecided"
    above, below = lower > claim.bound, upper < claim.bound
    expected, other = (above, below) if claim.test == "above" else (below, above)
    return "supported" if expected else "contradicted" if other else "undecided"


def mean_text(group: pd.DataFrame) -> str:
    """Mean and standard error over runs, as far as seen, such as "0.52 ± 0.01"."""
    values = group["value"].to_numpy()
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    if not np.isfinite(values).all():
        return "–"
    return f"{values.mean():.4g}" + (f" ± {error:.2g}" if np.isfinite(error) else "")


def _unfinished(groups: Mapping[str, pd.DataFrame]) -> Iterator[str]:
    """How many runs of each group are known by bounds only."""
    for name, group in groups.items():
        open_ended = int((group["low"] < group["high"]).sum())
        if open_ended:
            yield f"{name}: {open_ended} of {len(group)} runs did not come so far and enter as bounds"


def _welch(groups: list[np.ndarray], weights: list[float], confidence: float) -> tuple[float, float]:
    """Weighted sum of means, and half the width of its interval; 0 where the sum is infinite."""
    mean = sum(weight * values.mean() for values, weight in zip(groups, weights, strict=True) if weight)
    if np.isinf(mean):
        return float(mean), 0.0
    if min(map(len, groups)) < 2:
        return float(mean), np.nan
    variance = np.array([w**2 * values.var(ddof=1) / len(values) for values, w in zip(groups, weights, strict=True)])
    if not variance.sum():
        return float(mean), 0.0
    freedom = np.array([len(values) - 1 for values in groups])
    dof = variance.sum() ** 2 / (variance**2 / freedom).sum()
    return float(mean), float(np.sqrt(variance.sum()) * stdtrit(dof, 0.5 + confidence / 2))
