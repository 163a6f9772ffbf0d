"""What decides published claims about landscapes: values with intervals.

A claim that rests on a map that is not shown to have converged is undecided, whatever its interval.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from entroscape.analysis import families
from entroscape.analysis.curves import effective_dof
from entroscape.analysis.families import Candidate, Ends
from entroscape.config.schema import Claim, figure_rule
from entroscape.config.settings import ClaimsSettings
from entroscape.landscape.jackknife import half_width
from entroscape.landscape.metric import EDGE, JUDGED

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
TREND = {"falls_with_width", "same_at_all_widths"}  # tests that look at all widths
OF_TRAINING_ALONE = {"lowest_trained"}  # rests on no map, converged or not
OF_THE_JUDGED_METRIC = {"advantage", "equilibrium", "lowest_trained"}
_UNRESOLVED = "memorising and generalising states were not both sampled well, with nothing blank between them,"
WITHOUT = {  # why there is no value
    "advantage": "too few trained runs or sampled states in the low-loss region",
    "lowest_trained": "too few trained runs in the low-loss region",
    "volume_ratio": "only states of one kind were sampled in the low-loss region, or in a part of it",
    "equilibrium": "no sampled states in the low-loss region",
    "largest_drop": f"{_UNRESOLVED} in any column of the low-loss region",
    "path_barrier": f"{_UNRESOLVED} in the low-loss region",
    "valley": "too few independent walkers, or no column with a wide enough range of accuracies",
    "jump": "too few independent walkers or neighbouring columns",
}


def candidates(settings: ClaimsSettings, low_loss: pd.DataFrame) -> list[Candidate]:
    """A row to be judged for each claim and baseline.

    `low_loss` holds the tables of `entroscape.analysis.curves.low_loss_table` of all variants, one below the other,
    with columns experiment, variant and width.
    """
    return [row for claim in settings.claims for row in _rows(claim, settings, low_loss)]


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


def decide(lower: float, upper: float, claim: Claim) -> str:
    """The verdict on a claim from the interval of the value that its test looks at."""
    bound = claim.bound or 0.0
    if claim.test == "same_at_all_widths":
        within, beyond = -bound < lower and upper < bound, bound < lower or upper < -bound
        return "supported" if within else "contradicted" if beyond else "undecided"
    return verdict(lower - bound, upper - bound, -1 if claim.test in {"below", "falls_with_width"} else 1)


class Estimate(NamedTuple):
    """The value that a test looks at, its interval at a share of the risk, what it is of, and where it comes from."""

    value: float
    interval: Callable[[int], Ends]
    case: str
    known: pd.DataFrame


def _rows(claim: Claim, settings: ClaimsSettings, low_loss: pd.DataFrame) -> Iterator[Candidate]:
    confidence = settings.confidence[claim.experiment]
    table = _about(claim, claim.experiment, low_loss)
    baselines: Sequence[str] = claim.baselines or [""]
    for baseline in baselines:
        rows = table[table["baseline"] == baseline]
        if claim.test not in TREND:
            rows = rows[rows["width"] == settings.reference_width[claim.experiment]]
        if claim.against is not None:
            other = _about(claim, claim.against, low_loss)
            other = other[other["baseline"] == (claim.against_baseline or baseline)]
            other = other[other["width"] == settings.reference_width[claim.against]]
            rows = pd.concat([rows, other])
        found = _estimate(claim, settings, rows, confidence)
        about = {
            "id": claim.id,
            "case": ", ".join([found.case, *_of_baselines(claim, baseline), *_wanted(claim)]),
            "statement": claim.statement,
            "value": found.value,
            "scale": settings.scale,
            "where from": f"{claim.quantity} of {', '.join(sorted(_names(found.known, claim)))}",
            **evidence(claim.figure, (f"landscapes/{row.experiment}/{row.variant}.nc" for row in rows.itertuples())),
            "remark": remark(rows, found.known, claim, settings),
        }
        decides = partial(decide, claim=claim)
        if claim.quantity == "largest_drop" and any(_part_of_the_region(found.known, settings, claim)):
            decides = partial(_unless_supported, decides)
        yield Candidate(about, confidence, found.interval, decides, unconverged(found.known, claim).empty)


def _unless_supported(decides: Callable[[float, float], str], lower: float, upper: float) -> str:
    """A verdict where a larger drop may be in a column that could not be looked at: one that was seen contradicts."""
    found = decides(lower, upper)
    return "undecided" if found == "supported" else found


def unconverged(rows: pd.DataFrame, claim: Claim) -> pd.DataFrame:
    """Those of some rows whose maps are not shown to have converged, one for each map that the claim rests on."""
    if claim.quantity in OF_TRAINING_ALONE:
        return rows.iloc[:0]
    return rows[rows["convergence"] != ""].drop_duplicates(["experiment", "variant"])


def evidence(figure: str, files: Iterable[str]) -> dict[str, str]:
    """Where a reader can look: figure, the rule that makes it, and the files behind the value, in results/{scale}."""
    return {"figure": figure, "rule": figure_rule(figure), "data": " ".join(sorted(set(files)))}


def _of_baselines(claim: Claim, baseline: str) -> list[str]:
    if claim.against_baseline is not None:
        return [f"{BASELINE_NAMES[claim.against_baseline]} against {BASELINE_NAMES[baseline]}"]
    return [BASELINE_NAMES[baseline]] if baseline else []


def _wanted(claim: Claim) -> list[str]:
    """The bound of a test that has one, in words."""
    name = claim.quantity.replace("_", " ")
    if claim.test == "same_at_all_widths":
        return [f"within ±{claim.bound:g}"]
    return [] if claim.bound is None else [f"{name} {claim.test} {claim.bound:g}"]


def _about(claim: Claim, experiment: str, low_loss: pd.DataFrame) -> pd.DataFrame:
    """Rows of the claim's quantity in one experiment; variants of another sampler or train set do not count."""
    plain = low_loss["variant"] == "width-" + low_loss["width"].astype(str)
    table = low_loss[(low_loss["experiment"] == experiment) & plain & (low_loss["quantity"] == claim.quantity)]
    return table[table["metric"].isin(JUDGED)] if claim.quantity in OF_THE_JUDGED_METRIC else table


def _estimate(claim: Claim, settings: ClaimsSettings, rows: pd.DataFrame, confidence: float) -> Estimate:
    known = rows[np.isfinite(rows["error"])]
    reference = f"width {settings.reference_width[claim.experiment]}"
    if claim.test == "falls_with_width":
        value, error, dof = slope(np.log2(known["width"]), known["value"].to_numpy(), known["error"].to_numpy())
        case = f"slope per doubling of the width, {len(known)} widths"
        return Estimate(value, _by_student(value, error, dof, confidence), case, known)
    if claim.test == "same_at_all_widths":
        ends = known.sort_values("width").iloc[[0, -1]] if len(known) > 1 else known
        case = f"width {ends['width'].max():g} minus width {ends['width'].min():g}" if len(ends) else "all widths"
        return Estimate(*_difference(ends, confidence), case, ends)
    if claim.test == "smaller_than":
        pair = known.sort_values("experiment", key=lambda names: names == claim.against)
        return Estimate(*_difference(pair, confidence), f"{claim.against} minus {claim.experiment}, {reference}", pair)
    if known.empty:
        return Estimate(np.nan, _by_student(np.nan, np.nan, 1, confidence), reference, known)
    first = known.iloc[0]
    value = first["value"]
    if np.isfinite([first.get(name, np.nan) for name in families.names(1)]).all():  # it has an interval of its own
        return Estimate(value, partial(_stored, first), reference, known)
    return Estimate(value, _by_student(value, first["error"], first["dof"], confidence), reference, known)


def _by_student(value: float, error: float, dof: float, confidence: float) -> Callable[[int], Ends]:
    """The interval of Student's t at each share of the risk."""

    def interval(share: int) -> Ends:
        half = half_width(error, dof, families.stricter(confidence, share))
        return value - half, value + half

    return interval


def _stored(row: pd.Series, share: int) -> Ends:
    """The interval that the table of low-loss numbers has for a share of the risk; nan where it has none."""
    low, high = (float(row.get(name, np.nan)) for name in families.names(share))
    return low, high


def _difference(pair: pd.DataFrame, confidence: float) -> tuple[float, Callable[[int], Ends]]:
    """Second value minus first and its interval by Welch; nan unless there are two."""
    if len(pair) != 2:
        return np.nan, _by_student(np.nan, np.nan, 1, confidence)
    (first, second), errors = pair["value"], tuple(pair["error"])
    dof = effective_dof(errors, tuple(pair["dof"]))
    return second - first, _by_student(second - first, float(np.hypot(*errors)), dof, confidence)


def _names(known: pd.DataFrame, claim: Claim) -> list[str]:
    """The variants behind a value; those of another experiment with its name."""
    if claim.against is None:
        return list(known["variant"])
    return [f"{row.experiment} {row.variant}" for row in known.itertuples()]


def remark(rows: pd.DataFrame, known: pd.DataFrame, claim: Claim, settings: ClaimsSettings) -> str:
    """What stands in for the data, why a claim cannot be judged, and which of the maps behind it have not converged.

    `rows` are those that the claim asks for; the value comes from those that are `known`.
    """
    needed = {"falls_with_width": 3, "same_at_all_widths": 2, "smaller_than": 2}.get(claim.test, 1)
    unshown = unconverged(rows[rows.index.isin(known.index) | ~np.isfinite(rows["error"])], claim)
    parts = [settings.stand_in[claim.experiment]]
    if len(known) < needed:
        parts.append(_reason(rows, claim, settings.low_loss[claim.experiment]))
        if claim.test in TREND:
            parts.append(f"a slope needs {needed} widths" if needed > 2 else f"{needed} widths are needed")
        if claim.against is not None and claim.against not in set(rows["experiment"]):
            parts.append(f"{claim.against} is not there")
    if claim.quantity == "largest_drop":
        parts += list(_part_of_the_region(known, settings, claim))
    if claim.test not in TREND and claim.against is None:
        parts += list(unshown["convergence"].astype(str))
    elif len(unshown):
        parts.append(f"not converged: {', '.join(_names(unshown, claim))}")
    return "; ".join(part for part in parts if part)


def _part_of_the_region(known: pd.DataFrame, settings: ClaimsSettings, claim: Claim) -> Iterator[str]:
    """Which columns a drop was looked for in, where these do not reach from end to end of the low-loss region."""
    low_loss = settings.low_loss[claim.experiment]
    for lower, upper in known.reindex(columns=["lower", "upper"]).to_numpy(dtype=float):
        if lower > low_loss[0] + EDGE or upper < low_loss[1] - EDGE:
            yield f"seen from ln L = {lower:g} to {upper:g} only".replace("-", "−")


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
    return WITHOUT[claim.quantity] if len(without) else ""
