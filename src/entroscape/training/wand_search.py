"""The search for the bias of WanD, and how sensitive it is to its other settings (arXiv:2505.11411, section 5)."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from entroscape.config.courses import LEARNT, SearchSettings
from entroscape.errors import SamplingError
from entroscape.training.course import Network, Record, make_wand, train

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
    base = settings.base
    course = base.course.model_copy(update={"steps": settings.search.steps, "runs": settings.search.runs})
    base = base.model_copy(update={"course": course, "name": f"{base.name} {setting.parameter} {setting.value:g}"})
    runs = list(range(settings.search.runs))
    changed = {} if setting.parameter == "bias" else {setting.parameter: setting.value}
    assert course.optimizer.kind == "wand", "the configuration sees to it"
    wand = make_wand(base, course.optimizer, Network.of(base).starts(base, runs, device), bias, **changed)
    return summary(setting, list(train(base, runs, wand=wand, device=device)))


def summary(setting: Setting, records: Sequence[Record]) -> pd.DataFrame:
    """What became of the R runs of one setting, a row each."""
    train_accuracy, test_accuracy, loss = (
        np.stack([getattr(record, name) for record in records])
        for name in ("train_accuracy", "test_accuracy", "train_loss")
    )
    steps = np.array([record.step for record in records], dtype=float)
    there = test_accuracy >= LEARNT
    return pd.DataFrame(
        {
            "parameter": setting.parameter,
            "value": float(setting.value),
            "run": np.arange(loss.shape[1]),
            "steps_to_generalise": np.where(there.any(0), steps[there.argmax(0)], np.nan),
            "best_test_accuracy": np.nanmax(test_accuracy, axis=0),
            "final_train_accuracy": train_accuracy[-1],
            "final_test_accuracy": test_accuracy[-1],
            "largest_gap": (train_accuracy - test_accuracy).max(0),
            "final_norm": records[-1].weight_norm,
            "diverged": ~np.isfinite(loss).all(0),
        }
    )
