"""Verdicts on all rows of a figure together, so that a wrong one among them stays as unlikely as claimed.

Many intervals at 95 % miss more often than one. The rows of a figure are a family: the probability that any of its
verdicts is wrong is at most the risk alpha = 1 - confidence, however the rows depend on each other (Holm, Scand. J.
Statist. 6, 65 (1979)). Of a family of m rows the one that is decided most clearly must be decided by its interval at
the confidence 1 - alpha / m, the next by that at 1 - alpha / (m - 1), and so on; the first that is not ends it, and
this and all others are undecided. The interval of a row that is shown is that which decided it, or failed to. Rows
about which nothing is known count in m.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from entroscape.analysis.largest import Bounds
from entroscape.config.schema import LARGEST_FAMILY
from entroscape.errors import ConfigError

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
    "figure",
    "rule",
    "data",
    "remark",
]
UNDECIDED = "undecided"
Ends = tuple[float, float]


@dataclass(frozen=True)
class Candidate:
    """A row that waits for its verdict: the columns that are known, and how its interval decides it."""

    about: Mapping[str, Any]  # the other columns of `COLUMNS`
    confidence: float
    interval: Callable[[int], Ends]  # at the confidence `stricter(confidence, share)`
    decide: Callable[[float, float], str]  # the verdict that an interval leads to
    decidable: bool = True  # whether the data behind it can be relied on

    def clearness(self, most: int) -> int:
        """Largest number, up to `most`, that the risk may be divided by so that the interval still decides; or 0."""
        clear = 0
        while self.decidable and clear < most and self.decide(*self.interval(clear + 1)) != UNDECIDED:
            clear += 1
        return clear

    def judged(self, share: int, decided: bool) -> dict[str, Any]:
        """The row with the interval at this share of the risk."""
        lower, upper = self.interval(share)
        return {
            **self.about,
            "verdict": self.decide(lower, upper) if decided else UNDECIDED,
            "lower": lower,
            "upper": upper,
            "confidence": stricter(self.confidence, share),
        }


def verdicts(candidates: Sequence[Candidate], sizes: Mapping[str, int]) -> pd.DataFrame:
    """One row per candidate in their order, columns `COLUMNS`.

    `sizes`: rows that each figure has in all, where that is more than there are here. Raises ConfigError for a family
    that is larger than intervals are known for.
    """
    figures = [candidate.about["figure"] for candidate in candidates]
    rows: dict[int, dict] = {}
    for figure in dict.fromkeys(figures):
        members = [number for number, other in enumerate(figures) if other == figure]
        size = max(len(members), sizes.get(figure, 0))
        if size > LARGEST_FAMILY:
            raise ConfigError(
                f"{size} verdicts rest on the figure {figure}, but at most {LARGEST_FAMILY} can be judged together: "
                "spread its claims over more figures"
            )
        clearness = [candidates[number].clearness(size) for number in members]
        for number, clear, share in zip(members, clearness, shares(clearness, size), strict=True):
            rows[number] = candidates[number].judged(share, clear >= share)
    return pd.DataFrame([rows[number] for number in range(len(candidates))], columns=COLUMNS)


def shares(clearness: Sequence[int], size: int) -> list[int]:
    """What the risk is divided by for each row of a family of so many, by Holm's procedure.

    A row is decided if its clearness is at least that: the largest number the risk may be divided by for it.
    """
    found, share = [size] * len(clearness), size
    for number in sorted(range(len(clearness)), key=lambda number: -clearness[number]):
        found[number] = share
        if clearness[number] >= share:
            share -= 1
    return found


def stricter(confidence: float, share: int) -> float:
    """The confidence whose risk is that of `confidence` divided by `share`."""
    return 1 - (1 - confidence) / share


def levels(confidence: float) -> list[float]:
    """The confidences that a row may be judged at, in a family of any size: `confidence` and all stricter ones."""
    return [stricter(confidence, share) for share in range(1, LARGEST_FAMILY + 1)]


def names(share: int) -> tuple[str, str]:
    """Columns of a table that hold the ends of an interval at a share of the risk: low and high, low_2 and high_2."""
    return ("low", "high") if share == 1 else (f"low_{share}", f"high_{share}")


def columns(found: Iterable[Bounds]) -> dict[str, float]:
    """These columns from the bounds at each of `levels`."""
    ends: dict[str, float] = {}
    for share, bounds in enumerate(found, start=1):
        low, high = names(share)
        ends |= {low: bounds.low, high: bounds.high}
    return ends
