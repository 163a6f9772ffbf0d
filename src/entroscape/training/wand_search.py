"""The search for the bias of WanD, and how sensitive it is to its other settings (arXiv:2505.11411, section 5)."""

from collections.abc import Iterator
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd

from entroscape.config.courses import LEARNT, CourseSettings, SearchSettings
from entroscape.config.section import Section
from entroscape.errors import SamplingError
from entroscape.training.course import train_all

S = TypeVar("S", bound=Section)
PARAMETERS = ("bias", "learning_rate", "temperature", "friction", "factor")


class Setting(NamedTuple):
    """One parameter of WanD with another value than the course has."""

    parameter: str
    value: float


def search(settings: SearchSettings, device: str = "cpu") -> Iterator[tuple[Setting, pd.DataFrame]]:
    """Try every bias; then, with the best, every value of each other parameter alone; yields a setting and its runs.

    Raises SamplingError when every run diverged at every bias.
    """
    tried = []
    for value in settings.search.bias:
        tried.append(_try(settings, Setting("bias", value), value, device))
        yield Setting("bias", value), tried[-1]
    bias = best_bias(pd.concat(tried))
    for parameter in PARAMETERS[1:]:
        for value in getattr(settings.search, parameter):
            yield Setting(parameter, value), _try(settings, Setting(parameter, value), bias, device)


def planned_steps(settings: SearchSettings) -> int:
    """Steps of all runs of all settings that are tried."""
    tried = sum(len(getattr(settings.search, parameter)) for parameter in PARAMETERS)
    return tried * settings.search.runs * settings.search.steps


def best_bias(table: pd.DataFrame) -> float:
    """The bias whose runs generalise soonest in the median; a run that never does takes for ever.

    Where none does so, the bias with the highest median of the best test accuracy of a run. Raises SamplingError when
    no run has stayed finite.
    """
    rows = table[table["parameter"] == "bias"]
    if rows["diverged"].all():
        raise SamplingError("every run of the search diverged: add smaller values to search.bias")
    medians = rows.assign(steps=rows["steps_to_generalise"].fillna(np.inf), accuracy=-rows["best_test_accuracy"])
    medians = medians.groupby("value")[["steps", "accuracy"]].median()
    return float(medians.sort_values(["steps", "accuracy"], kind="stable").index[0])


def chosen_bias(table: pd.DataFrame) -> float:
    """The bias that a search's table marks as chosen."""
    return float(table.loc[(table["parameter"] == "bias") & table["chosen"], "value"].iloc[0])


def _try(settings: SearchSettings, setting: Setting, bias: float, device: str) -> pd.DataFrame:
    """A row for each run with one setting changed, the bias being `bias`."""
    return summary(setting, train_all(_changed(settings, setting, bias), device=device))


def _changed(settings: SearchSettings, setting: Setting, bias: float) -> CourseSettings:
    """The course that is varied, with the bias and then one setting changed, as long as the search says."""
    base, changed = settings.base, {"bias": bias, setting.parameter: setting.value}
    assert base.entropy is not None, "the configuration sees to it"
    course = base.course.model_copy(
        update={
            "optimizer": _with(base.course.optimizer, changed),
            "runs": settings.search.runs,
            "steps": settings.search.steps,
        }
    )
    name = f"{base.name} {setting.parameter} {setting.value:g}"
    return base.model_copy(update={"name": name, "course": course, "entropy": _with(base.entropy, changed)})


def _with(section: S, changed: dict[str, float]) -> S:
    """The section with those of its values changed that are named."""
    return section.model_copy(update={name: changed[name] for name in changed.keys() & type(section).model_fields})


def summary(setting: Setting, table: pd.DataFrame) -> pd.DataFrame:
    """What became of the runs of one setting, a row each; the table has a row per run and recorded step."""
    there = table["test_accuracy"] >= LEARNT
    seen = table.assign(
        steps_to_generalise=table["step"].where(there),
        gap=table["train_accuracy"] - table["test_accuracy"],
        diverged=~np.isfinite(table["train_loss"]),
    )
    found = seen.groupby("run").agg(
        steps_to_generalise=("steps_to_generalise", "min"),
        best_test_accuracy=("test_accuracy", "max"),
        final_train_accuracy=("train_accuracy", _last),
        final_test_accuracy=("test_accuracy", _last),
        largest_gap=("gap", "max"),
        final_norm=("weight_norm", _last),
        diverged=("diverged", "any"),
    )
    about = pd.DataFrame({"parameter": setting.parameter, "value": float(setting.value)}, index=found.index)
    return pd.concat([about, found], axis=1).reset_index()


def _last(values: pd.Series) -> float:
    """The last value, finite or not."""
    return float(values.iloc[-1])
