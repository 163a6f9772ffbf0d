"""When runs of a course of training learn and generalise.

A run that does not come so far within its steps is never left out: what is known of it are bounds, such as "at least
3,000 steps".
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from entroscape.config.courses import LEARNT, AdamW, CourseSettings, WanD
from entroscape.config.schema import COST

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
    def ends(self) -> np.ndarray:
        """Steps that each run made, [runs]."""
        return self.table.groupby("run")["step"].max().to_numpy()

    @property
    def steps(self) -> int:
        """Steps of the longest run."""
        return int(self.ends.max())

    @property
    def stopped(self) -> bool:
        """Whether a run ended early, settled or lost."""
        return bool((self.ends < self.settings.course.steps).any())

    def grid(self, quantity: str) -> tuple[np.ndarray, np.ndarray]:
        """Recorded steps[S] and values[runs, S] of a column; nan once a run has ended."""
        wide = self.table.pivot_table(index="run", columns="step", values=quantity, dropna=False)
        return wide.columns.to_numpy(), wide.to_numpy()

    def held(self, quantity: str) -> tuple[np.ndarray, np.ndarray]:
        """As `grid`, but a run that has ended keeps its last values."""
        steps, values = self.grid(quantity)
        last = np.searchsorted(steps, self.ends)[:, None]
        return steps, np.take_along_axis(values, np.minimum(np.arange(len(steps)), last), axis=1)


def milestones(course: Course) -> pd.DataFrame:
    """When each run learns and generalises, one row per run and quantity (keys of `UNITS`).

    Columns course, run, quantity, value (as far as seen), low and high (bounds of the true value; equal to the value
    where all was seen), units. A step is the first recorded one at an accuracy of at least `LEARNT`. delay: steps from
    there on the train points to there on the test points. largest_gap: of train minus test accuracy, running median
    of `SMOOTHING` recorded steps; known only if the run has learnt both, else anything up to 1. final_norm: of a run
    that has diverged the last finite one, or any larger.
    """
    steps, train = course.grid("train_accuracy")
    _, test = course.grid("test_accuracy")
    learnt, general, ends = first_step(steps, train), first_step(steps, test), course.ends
    bounds = {
        "steps_to_train": _at_least(learnt, ends),
        "steps_to_generalise": _at_least(general, ends),
        "delay": _delay(learnt, general, ends),
        "largest_gap": _gap(train, test, np.isfinite(learnt) & np.isfinite(general)),
        "final_norm": _norm(course.held("weight_norm")[1]),
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


def _rows(course: str, quantity: str, value: np.ndarray, low: np.ndarray, high: np.ndarray) -> pd.DataFrame:
    columns = {"course": course, "run": np.arange(len(value)), "quantity": quantity}
    return pd.DataFrame({**columns, "value": value, "low": low, "high": high, "units": UNITS[quantity]})


def _exact(value: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return value, value, value


def _at_least(step: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Value and bounds of a first step that may come after the last one that a run made."""
    seen = np.where(np.isnan(step), last, step)
    return seen, seen, np.where(np.isnan(step), np.inf, step)


def _delay(learnt: np.ndarray, general: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Value and bounds of the steps between learning and generalising; a run that does neither has no delay."""
    (start, _, latest_start), (end, _, latest_end) = _at_least(learnt, last), _at_least(general, last)
    with np.errstate(invalid="ignore"):
        low = np.where(np.isnan(learnt), -np.inf, end - start)
        high = np.where(np.isnan(general), np.inf, end - start)
    neither = np.isinf(latest_start) & np.isinf(latest_end)
    return np.where(neither, np.nan, end - start), low, high


def _norm(norms: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Value and bounds of the last of norms[runs, S]; that of a run that has diverged is above its last finite one."""
    finite = pd.DataFrame(norms.T).replace(np.inf, np.nan)
    last = finite.ffill().iloc[-1].to_numpy()
    return last, last, np.where(finite.iloc[-1].isna(), np.inf, last)


def _gap(train: np.ndarray, test: np.ndarray, settled: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Value and bounds of the largest gap; that of a run that has not learnt both may be anything up to 1."""
    smooth = pd.DataFrame((train - test).T).rolling(SMOOTHING, center=True, min_periods=1).median()
    largest = smooth.max().to_numpy()
    return largest, largest, np.where(settled, largest, 1.0)
