"""How WanD depends on its settings: every run of a search in which each setting is varied alone."""

import json
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from entroscape.config.courses import SearchSettings
from entroscape.plotting.courses import OPERATIONS
from entroscape.plotting.fractions import plain_logarithmic
from entroscape.plotting.style import COLOURS, DOUBLE, Imprint, finish, new_figure, panel_label, styled

PARAMETERS = {
    "bias": "bias $\\beta$",
    "learning_rate": "time step $\\Delta t$",
    "temperature": "temperature $kT$",
    "friction": "friction $c_f$",
    "factor": "deposit $F_\\mathrm{WL}$",
}
_LETTERS = "abcdefghij"
_GOOD, _LATE, _LOST = "#0173b2", "#de8f05", "#c00000"
_JITTER = 0.03  # of runs at one value, in decades
_ROOM = 1.35  # factor from the last step to the line of runs that did not generalise


def sensitivity_figure(search: pd.DataFrame, imprint: Imprint) -> Figure:
    """A column per setting: steps to generalise above, largest gap between train and test accuracy below."""
    names = [name for name in PARAMETERS if name in set(search["parameter"])]
    settings = SearchSettings.model_validate_json(search.attrs["settings"])
    with styled():
        figure = new_figure(DOUBLE, 96)
        panels = figure.subplots(2, len(names), sharex="col", sharey="row", squeeze=False)
        for number, name in enumerate(names):
            rows = search[search["parameter"] == name]
            steps, gap = panels[:, number]
            draw_steps(steps, rows, settings.search.steps)
            draw_gap(gap, rows)
            for axes, row in ((steps, 0), (gap, 1)):
                _value_axis(axes, rows, chosen(search, name))
                panel_label(axes, _LETTERS[row * len(names) + number], PARAMETERS[name])
        panels[0, 0].set_ylabel("steps to generalise")
        panels[1, 0].set_ylabel("largest gap between\ntrain and test accuracy")
        panels[0, 0].set_ylim(_fewest(search, settings.search.steps), settings.search.steps * _ROOM**3)
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
        return finish(figure, imprint)


def imprint_of(search: pd.DataFrame, scale: str, watermark: str) -> Imprint:
    """What the figure says about itself."""
    settings = SearchSettings.model_validate_json(search.attrs["settings"])
    course, used = settings.base.course, {name: chosen(search, name) for name in PARAMETERS}
    values = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in used.items())
    parts = [
        f"{scale} scale",
        f"WanD on {OPERATIONS[course.operation]}, train fraction {100 * course.train_fraction:.0f} %",
        f"{settings.search.runs} runs of {settings.search.steps:,} steps at each value, all else as in the courses"
        f" ({values})",
        "dashed: last step; runs that do not generalise by then stand above it",
        "line: median",
    ]
    return Imprint(" · ".join(parts), watermark)


def sensitivity_table(search: pd.DataFrame) -> pd.DataFrame:
    """What the figure draws: the whole search, with what became of each run."""
    used = search["value"] == [chosen(search, name) for name in search["parameter"]]
    return search.assign(outcome=outcome(search), used=used)


def outcome(search: pd.DataFrame) -> np.ndarray:
    """What became of each run: generalises, does not generalise, or blows up."""
    reached = np.where(search["steps_to_generalise"].notna(), "generalises", "does not generalise")
    return np.where(search["diverged"], "blows up", reached)


def chosen(search: pd.DataFrame, parameter: str) -> float:
    """Value of a setting with which the courses are run: the bias that was chosen, the others as configured."""
    if parameter == "bias":
        rows = search[(search["parameter"] == "bias") & search["chosen"].astype(bool)]
        return float(rows["value"].iloc[0]) if len(rows) else np.nan
    base = json.loads(search.attrs["settings"])["base"]
    return float(base["entropy"]["factor"] if parameter == "factor" else base["course"]["optimizer"][parameter])


def summary(search: pd.DataFrame) -> pd.DataFrame:
    """For reading: of each setting and value how many runs generalise and blow up, and the medians."""
    rows = []
    for (name, value), runs in search.groupby(["parameter", "value"], sort=False):
        found = outcome(runs)
        rows.append(
            {
                "setting": name,
                "value": value,
                "used in the courses": value == chosen(search, str(name)),
                "runs": len(runs),
                "generalise": int((found == "generalises").sum()),
                "blow up": int((found == "blows up").sum()),
                "median steps to generalise": runs["steps_to_generalise"].median(),
                "median largest gap": runs["largest_gap"].median(),
                "median test accuracy at the end": runs["final_test_accuracy"].median(),
                "median norm at the end": runs["final_norm"].median(),
            }
        )
    return pd.DataFrame(rows)


def draw_steps(axes: Axes, rows: pd.DataFrame, last: int) -> None:
    """Steps to generalise of every run; those that do not are marked above the line of the last step."""
    found, x = outcome(rows), _jittered(rows)
    y = rows["steps_to_generalise"].to_numpy(dtype=float)
    for name, marker, place in (
        ("generalises", "o", 1.0),
        ("does not generalise", "^", _ROOM),
        ("blows up", "x", _ROOM**2),
    ):
        marked = found == name
        _marks(
            axes, x[marked], y[marked] if name == "generalises" else np.full(marked.sum(), place * last), name, marker
        )
    known = rows.assign(steps_to_generalise=rows["steps_to_generalise"].fillna(np.inf))
    medians = known.groupby("value")["steps_to_generalise"].median()
    axes.plot(medians.index, medians.where(np.isfinite(medians)), color=_GOOD, linewidth=0.8, zorder=1)
    axes.axhline(last * _ROOM**0.5, color=COLOURS["neutral"], linewidth=0.6, linestyle="--", label="_last")
    plain_logarithmic(axes)


def draw_gap(axes: Axes, rows: pd.DataFrame) -> None:
    """Largest gap of every run, marked by what became of it; where the loss blew up it may be unknown."""
    found, x = outcome(rows), _jittered(rows)
    y = rows["largest_gap"].to_numpy(dtype=float)
    for name, marker in (("generalises", "o"), ("does not generalise", "^"), ("blows up", "x")):
        marked = (found == name) & np.isfinite(y)
        _marks(axes, x[marked], y[marked], name, marker)
    axes.set_ylim(-0.03, 1.03)


def _marks(axes: Axes, x: np.ndarray, y: np.ndarray, name: str, marker: str) -> None:
    colour = {"generalises": _GOOD, "does not generalise": _LATE, "blows up": _LOST}[name]
    style: dict[str, Any] = dict(color=colour, markersize=3.5, markeredgewidth=0.9, label=name, gid=name)
    if marker == "^":
        style["markerfacecolor"] = "white"
    axes.plot(x, y, marker, **style)


def _jittered(rows: pd.DataFrame) -> np.ndarray:
    """Values, moved apart by run."""
    run = rows["run"].to_numpy(dtype=float)
    return rows["value"].to_numpy(dtype=float) * 10 ** (_JITTER * (run - run.mean()))


def _value_axis(axes: Axes, rows: pd.DataFrame, used: float) -> None:
    """Logarithmic axis with ticks at the values that were tried, and a grey line at the one that is used."""
    values = np.sort(rows["value"].unique())
    axes.set_xscale("log")
    axes.set_xticks(values, [f"{value:g}" for value in values], rotation=90)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    room = (values[-1] / values[0]) ** 0.12 if len(values) > 1 else 2.0
    axes.set_xlim(values[0] / room, values[-1] * room)
    axes.axvline(used, color=COLOURS["faint"], linewidth=4, alpha=0.5, zorder=0, label="used in the courses")


def _fewest(search: pd.DataFrame, last: int) -> float:
    """Lower end of the axis of steps."""
    fewest = search["steps_to_generalise"].min()
    return float(fewest if np.isfinite(fewest) else last / 5) / _ROOM
