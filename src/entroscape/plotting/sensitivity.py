"""How WanD depends on its settings: every run of a search in which each setting is varied alone."""

import json
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from entroscape.config.courses import LEARNT, SearchSettings
from entroscape.plotting.courses import OPERATIONS
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


def sensitivity_figure(search: pd.DataFrame, imprint: Imprint) -> Figure:
    """A column per setting: highest test accuracy above, largest gap between train and test accuracy below."""
    names = [name for name in PARAMETERS if name in set(search["parameter"])]
    with styled():
        figure = new_figure(DOUBLE, 96)
        panels = figure.subplots(2, len(names), sharex="col", sharey="row", squeeze=False)
        for number, name in enumerate(names):
            rows = varied(search, name)
            best, gap = panels[:, number]
            draw_best(best, rows)
            draw_gap(gap, rows)
            for axes, row in ((best, 0), (gap, 1)):
                _value_axis(axes, rows, chosen(search, name))
                panel_label(axes, _LETTERS[row * len(names) + number], PARAMETERS[name])
        panels[0, 0].set_ylabel("highest test accuracy")
        panels[1, 0].set_ylabel("largest gap between\ntrain and test accuracy")
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
        return finish(figure, imprint)


def imprint_of(search: pd.DataFrame, scale: str, watermark: str) -> Imprint:
    """What the figure says about itself."""
    settings = SearchSettings.model_validate_json(search.attrs["settings"])
    course, used = settings.base.course, {name: chosen(search, name) for name in PARAMETERS}
    values = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in used.items())
    runs = "a run" if settings.search.runs == 1 else f"{settings.search.runs} runs"
    parts = [
        f"{scale} scale",
        f"WanD on {OPERATIONS[course.operation]}, train fraction {100 * course.train_fraction:.0f} %",
        f"{runs} of {settings.search.steps:,} steps at each value, all else as in the courses ({values})",
        f"dashed: {LEARNT:g}, from which a run generalises",
        "line: median",
    ]
    return Imprint(" · ".join(parts), watermark)


def sensitivity_table(search: pd.DataFrame) -> pd.DataFrame:
    """What the figure draws, with what became of each run."""
    drawn = pd.concat([varied(search, str(name)) for name in search["parameter"].unique()], ignore_index=True)
    used = drawn["value"] == [chosen(search, name) for name in drawn["parameter"]]
    return drawn.assign(outcome=outcome(drawn), used=used)


def varied(search: pd.DataFrame, parameter: str) -> pd.DataFrame:
    """The runs with one setting varied; those of the chosen bias have the configured value of every other setting."""
    rows = search[search["parameter"] == parameter]
    if parameter == "bias" or chosen(search, parameter) in set(rows["value"]):
        return rows
    return pd.concat(
        [rows, _chosen_runs(search).assign(parameter=parameter, value=chosen(search, parameter))], ignore_index=True
    )


def outcome(search: pd.DataFrame) -> np.ndarray:
    """What became of each run: generalises, does not generalise, or blows up."""
    reached = np.where(search["steps_to_generalise"].notna(), "generalises", "does not generalise")
    return np.where(search["diverged"], "blows up", reached)


def chosen(search: pd.DataFrame, parameter: str) -> float:
    """Value of a setting with which the courses are run: the bias that was chosen, the others as configured."""
    if parameter == "bias":
        rows = _chosen_runs(search)
        return float(rows["value"].iloc[0]) if len(rows) else np.nan
    base = json.loads(search.attrs["settings"])["base"]
    return float(base["entropy"]["factor"] if parameter == "factor" else base["course"]["optimizer"][parameter])


def _chosen_runs(search: pd.DataFrame) -> pd.DataFrame:
    """The runs of the bias that was chosen; none where none was."""
    return search[(search["parameter"] == "bias") & search["chosen"].astype(bool)]


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
                "median highest test accuracy": runs["best_test_accuracy"].median(),
                "median largest gap": runs["largest_gap"].median(),
                "median test accuracy at the end": runs["final_test_accuracy"].median(),
                "median norm at the end": runs["final_norm"].median(),
            }
        )
    return pd.DataFrame(rows)


def draw_best(axes: Axes, rows: pd.DataFrame) -> None:
    """Highest test accuracy that each run reached, marked by what became of it; a line through the medians."""
    _draw(axes, rows, "best_test_accuracy")
    medians = rows.groupby("value")["best_test_accuracy"].median()
    axes.plot(medians.index, medians, color=COLOURS["neutral"], linewidth=0.8, zorder=1)
    axes.axhline(LEARNT, color=COLOURS["neutral"], linewidth=0.6, linestyle="--", label="_generalises")


def draw_gap(axes: Axes, rows: pd.DataFrame) -> None:
    """Largest gap of every run, marked by what became of it; where the loss blew up it may be unknown."""
    _draw(axes, rows, "largest_gap")


def _draw(axes: Axes, rows: pd.DataFrame, quantity: str) -> None:
    found, x = outcome(rows), _jittered(rows)
    y = rows[quantity].to_numpy(dtype=float)
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
