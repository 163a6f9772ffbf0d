"""When runs of a course of training learn and generalise, and verdicts on what courses are claimed to do.

A run that does not come so far within its steps is never left out: what is known of it are bounds, such as "at least
3,000 steps", and these widen the interval of whatever is computed from it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import t as student

from entroscape.analysis.claims import COLUMNS
from entroscape.config.courses import AdamW, CourseSettings, WanD
from entroscape.config.schema import COST, CourseClaim
from entroscape.config.settings import ClaimsSettings

LEARNT = 0.99  # accuracy from which a run has learnt its train points, or generalises
SMOOTHING = 5  # recorded steps whose median enters the largest gap, so that a single spike is none
UNITS = {
    "steps_to_train": "steps",
    "steps_to_generalise": "steps",
    "delay": "steps",
    "largest_gap": "accuracy",
    "final_norm": "L2 norm of the parameters",
    "cost_ratio": "seconds per step, WanD / AdamW",
}


@dataclass(frozen=True)
class Course:
    """A course of training as its file holds it.

    `table`: one row per run and recorded step, with columns run, step, train_loss, test_loss, train_accuracy,
    test_accuracy (0 to 1), weight_norm and alpha (weight of WanD in the hybrid, else nan).
    """

    settings: CourseSettings
    table: pd.DataFrame

    @classmethod
    def of(cls, table: pd.DataFrame) -> "Course":
        """The course that a table is about, which its attributes describe."""
        return cls(CourseSettings.model_validate_json(table.attrs["settings"]), table)

    @property
    def name(self) -> str:
        """Its key in config/courses.yaml."""
        return self.settings.name

    @property
    def train_fraction(self) -> float:
        """Share of all prompts that are trained on."""
        return self.settings.course.train_fraction

    @property
    def kind(self) -> str:
        """Kind of its optimizer: adamw, wand or hybrid."""
        return self.settings.course.optimizer.kind

    @property
    def adamw(self) -> AdamW | None:
        """Settings of AdamW, if that is the optimizer."""
        optimizer = self.settings.course.optimizer
        return optimizer if isinstance(optimizer, AdamW) else None

    @property
    def wand(self) -> WanD | None:
        """Settings of WanD, alone or in the hybrid."""
        optimizer = self.settings.course.optimizer
        return None if isinstance(optimizer, AdamW) else optimizer if isinstance(optimizer, WanD) else optimizer.wand

    @property
    def runs(self) -> int:
        """Number of runs."""
        return int(self.table["run"].nunique())

    @property
    def steps(self) -> int:
        """Steps that all runs made."""
        return int(self.table["step"].max())

    @property
    def stopped(self) -> bool:
        """Whether it ended early because all runs had settled."""
        return self.steps < self.settings.course.steps

    def grid(self, quantity: str) -> tuple[np.ndarray, np.ndarray]:
        """Recorded steps[S] and values[runs, S] of a column."""
        wide = self.table.pivot_table(index="run", columns="step", values=quantity, dropna=False)
        return wide.columns.to_numpy(), wide.to_numpy()


def milestones(course: Course) -> pd.DataFrame:
    """When each run learns and generalises, one row per run and quantity (keys of `UNITS`).

    Columns course, run, quantity, value (as far as seen), low and high (bounds of the true value; equal to the value
    where all was seen), units. A step is the first recorded one at an accuracy of at least `LEARNT`. delay: steps from
    there on the train points to there on the test points. largest_gap: of train minus test accuracy, running median
    of `SMOOTHING` recorded steps; known only if the run has learnt both, else anything up to 1.
    """
    steps, train = course.grid("train_accuracy")
    _, test = course.grid("test_accuracy")
    learnt, general = first_step(steps, train), first_step(steps, test)
    bounds = {
        "steps_to_train": _at_least(learnt, course.steps),
        "steps_to_generalise": _at_least(general, course.steps),
        "delay": _delay(learnt, general, course.steps),
        "largest_gap": _gap(train, test, np.isfinite(learnt) & np.isfinite(general)),
        "final_norm": _exact(course.grid("weight_norm")[1][:, -1]),
    }
    frames = [_rows(course.name, quantity, *values) for quantity, values in bounds.items()]
    return pd.concat(frames, ignore_index=True)


def cost_ratios(step_cost: pd.DataFrame) -> pd.DataFrame:
    """Seconds per step of WanD over those of AdamW in each round, as rows like those of `milestones`.

    `step_cost`: columns optimizer ("adamw", "wand"), round, seconds_per_step; the two are timed in turns.
    """
    rounds = step_cost.pivot_table(index="round", columns="optimizer", values="seconds_per_step")
    return _rows(COST, "cost_ratio", *_exact((rounds["wand"] / rounds["adamw"]).to_numpy()))


def first_step(steps: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """First of the steps[S] at which accuracy[runs, S] is at least `LEARNT`, [runs]; nan where it never is."""
    there = accuracy >= LEARNT
    return np.where(there.any(axis=1), steps[there.argmax(axis=1)], np.nan)


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


def judge_courses(settings: ClaimsSettings, table: pd.DataFrame) -> pd.DataFrame:
    """One row per claim about courses, columns as those of the other verdicts.

    `table`: `milestones` of all courses that claims compare and `cost_ratios`, one below the other.
    """
    return pd.DataFrame([_judged(claim, settings.scale, table) for claim in settings.courses], columns=COLUMNS)


def _judged(claim: CourseClaim, scale: str, table: pd.DataFrame) -> dict:
    rows = table[table["quantity"] == claim.quantity]
    groups = {name: rows[rows["course"] == name] for name in claim.contrast}
    missing = [name for name, group in groups.items() if group.empty]
    value, lower, upper = np.nan, np.nan, np.nan
    if not missing:
        value, lower, upper = contrast(groups.values(), claim.contrast.values(), claim.confidence)
    means = [] if missing else [f"{name} {mean_text(group)}" for name, group in groups.items()]
    parts = [claim.note, *([f"no runs of {', '.join(missing)}"] if missing else means), *_unfinished(groups)]
    return {
        "id": claim.id,
        "case": claim.case,
        "statement": claim.statement,
        "verdict": verdict(lower, upper, claim),
        "value": value,
        "lower": lower,
        "upper": upper,
        "confidence": claim.confidence,
        "scale": scale,
        "where from": f"{claim.figure}; {claim.quantity} ({UNITS[claim.quantity]}) of {', '.join(claim.contrast)}",
        "remark": "; ".join(part for part in parts if part),
    }


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


def _rows(course: str, quantity: str, value: np.ndarray, low: np.ndarray, high: np.ndarray) -> pd.DataFrame:
    columns = {"course": course, "run": np.arange(len(value)), "quantity": quantity}
    return pd.DataFrame({**columns, "value": value, "low": low, "high": high, "units": UNITS[quantity]})


def _exact(value: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return value, value, value


def _at_least(step: np.ndarray, last: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Value and bounds of a first step that may come after the last one made."""
    seen = np.where(np.isnan(step), last, step)
    return seen, seen, np.where(np.isnan(step), np.inf, step)


def _delay(learnt: np.ndarray, general: np.ndarray, last: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Value and bounds of the steps between learning and generalising; a run that does neither has no delay."""
    (start, _, latest_start), (end, _, latest_end) = _at_least(learnt, last), _at_least(general, last)
    with np.errstate(invalid="ignore"):
        low = np.where(np.isnan(learnt), -np.inf, end - start)
        high = np.where(np.isnan(general), np.inf, end - start)
    neither = np.isinf(latest_start) & np.isinf(latest_end)
    return np.where(neither, np.nan, end - start), low, high


def _gap(train: np.ndarray, test: np.ndarray, settled: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Value and bounds of the largest gap; that of a run that has not learnt both may be anything up to 1."""
    smooth = pd.DataFrame((train - test).T).rolling(SMOOTHING, center=True, min_periods=1).median()
    largest = smooth.max().to_numpy()
    return largest, largest, np.where(settled, largest, 1.0)


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
    return float(mean), float(np.sqrt(variance.sum()) * student.ppf(0.5 + confidence / 2, dof))
