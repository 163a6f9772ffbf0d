"""The table of training settings, and beside it when the runs of each course learn and generalise."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from entroscape.analysis.courses import Course, milestones
from entroscape.config.courses import LEARNT
from entroscape.plotting.courses import OPERATIONS, spread
from entroscape.plotting.style import COLOURS, DOUBLE, Imprint, finish, new_figure, styled

# column: width, in parts of the page
COLUMNS = {
    "task": 1.3,
    "optimizer": 1.0,
    "d_model": 0.8,
    "MLP": 0.6,
    "learning\nrate": 0.9,
    "weight\ndecay": 0.75,
    "norm": 0.9,
    "runs that\ngeneralise": 1.05,
    f"steps to train\naccuracy {LEARNT:g}": 2.0,
    f"steps to test\naccuracy {LEARNT:g}": 2.6,
    "ms per\nstep": 1.6,
}
MEASURED = 7  # columns before those that were measured


def settings_table(courses: Sequence[Course], step_cost: pd.DataFrame) -> pd.DataFrame:
    """A row per course, cells as text; steps are median (lowest to highest) over runs.

    `step_cost`: seconds per step of AdamW and WanD timed in turns, on the task and width of the course of WanD; they
    stand in the rows of that course and of the one that differs from it by the optimizer alone.
    """
    return pd.DataFrame([_row(course, _cost(course, courses, step_cost)) for course in courses], columns=list(COLUMNS))


def settings_figure(table: pd.DataFrame, imprint: Imprint) -> Figure:
    """The table as a page: rules above and below, settings on the left, what was measured on the right."""
    with styled():
        figure = new_figure(DOUBLE, 26 + 6 * len(table))
        axes = figure.subplots()
        axes.axis("off")
        right = np.cumsum(list(COLUMNS.values()))
        left = right - list(COLUMNS.values())
        axes.set(xlim=(0, right[-1]), ylim=(len(table) + 0.1, -2.3))
        _rules(axes, left, right[-1], len(table))
        for x, name in zip(left, COLUMNS, strict=True):
            axes.text(x, -0.3, name, va="bottom", fontsize=6, fontweight="bold")
            for y, cell in enumerate(table[name]):
                axes.text(x, y + 0.5, cell, va="center", fontsize=6.2)
        for x, title in ((left[0], "settings"), (left[MEASURED], "measured")):
            axes.text(x, -1.65, title, va="bottom", color=COLOURS["neutral"])
        return finish(figure, imprint)


def _rules(axes: Axes, left: np.ndarray, end: float, rows: int) -> None:
    for y, width in ((-2.2, 1.0), (0.0, 0.5), (rows, 1.0)):
        axes.plot([0, end], [y, y], color="black", linewidth=width, clip_on=False)
    for start, stop in ((0, left[MEASURED] - 0.15), (left[MEASURED], end)):
        axes.plot([start, stop], [-1.55, -1.55], color=COLOURS["faint"], linewidth=0.5)


def _row(course: Course, cost: str) -> list[str]:
    settings, table = course.settings, milestones(course)
    of = {name: table[table["quantity"] == name] for name in ("steps_to_train", "steps_to_generalise")}
    reached = int(np.isfinite(of["steps_to_generalise"]["high"]).sum())
    d_model = settings.course.d_model
    adamw, wand = course.adamw, course.wand
    rate = adamw.learning_rate if adamw else wand.learning_rate if wand else np.nan
    return [
        OPERATIONS[settings.course.operation],
        "AdamW" if adamw else "WanD",
        str(d_model),
        str(d_model * settings.network.mlp_ratio),
        f"{rate:g}",
        f"{adamw.weight_decay:g}" if adamw else "none",
        f"fixed {adamw.norm:g}" if adamw and adamw.norm else "free",
        f"{reached} of {course.runs}",
        *(spread(rows) for rows in of.values()),
        cost,
    ]


def _cost(course: Course, courses: Sequence[Course], step_cost: pd.DataFrame) -> str:
    """Milliseconds per step, median (lowest to highest round); "–" where it was not measured."""
    timed = next((one for one in courses if one.kind == "wand"), None)
    if timed is None or not _same_problem(course, timed):
        return "–"
    values = 1000 * step_cost["seconds_per_step"][step_cost["optimizer"] == course.kind]
    if values.empty:
        return "–"
    ends = values.median(), values.min(), values.max()
    return "{:.3g} ({:.3g} to {:.3g})".format(*ends)


def _same_problem(course: Course, timed: Course) -> bool:
    """Whether two courses differ by their optimizers alone, whose norm is free."""
    one, other = course.settings.course, timed.settings.course
    free = course.adamw is None or course.adamw.norm is None
    same = (one.operation, one.d_model, one.train_fraction) == (other.operation, other.d_model, other.train_fraction)
    return free and same
