"""Courses of training: accuracy, loss and weight norm by step, as median over runs with a band of all runs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from entroscape.analysis.courses import Course, milestones
from entroscape.plotting.style import COLOURS, DOUBLE, Imprint, finish, new_figure, panel_label, styled

OPERATIONS = {"add": "$x + y$", "square": "$x^2 + y$", "cubic": "$x^3 + xy^2 + y$"}
OPTIMIZERS = {"adamw": "AdamW", "wand": "WanD", "hybrid": "WanD annealed with AdamW"}
_LETTERS = "abcdefghijklmnop"
_ACCURACY_TOP = 1.13  # room for the ticks of single runs


@dataclass(frozen=True)
class Series:
    """How the train or the test curve looks."""

    name: str
    colour: str
    line: str
    order: float


TRAIN = Series("train", "#0173b2", "--", 3.0)
TEST = Series("test", "#d55e00", "-", 2.0)
NORM_COLOUR = "#222222"


def wand_figure(wand: Course, adamw: Course, imprint: Imprint) -> Figure:
    """Four panels: accuracy and weight norm of WanD by step, its test accuracy by norm, accuracy of AdamW by step."""
    with styled():
        figure = new_figure(DOUBLE, 112)
        accuracy, norm, by_norm, other = figure.subplots(2, 2).flat
        for axes, course in ((accuracy, wand), (other, adamw)):
            draw_accuracy(axes, course)
            axes.legend(loc="center left")
        draw_norm(norm, wand)
        draw_by_norm(by_norm, wand)
        ends = max(course.steps for course in (wand, adamw))
        for axes in (accuracy, norm, other):
            axes.set_xlim(right=ends)
        titles = (
            f"WanD: {count_text(wand)}",
            "WanD: weight norm",
            "WanD: test accuracy against norm, single runs",
            f"AdamW: {count_text(adamw)}",
        )
        for axes, letter, title in zip((accuracy, norm, by_norm, other), _LETTERS, titles, strict=False):
            panel_label(axes, letter, title)
        return finish(figure, imprint)


def wand_table(wand: Course, adamw: Course) -> pd.DataFrame:
    """What `wand_figure` draws: medians and bands by step, and the single runs of panel c."""
    single = wand.table[["run", "step", "weight_norm", "test_accuracy"]].assign(panel="c", course=wand.name)
    return pd.concat(
        [
            curve_table(wand, "train_accuracy", "a"),
            curve_table(wand, "test_accuracy", "a"),
            curve_table(wand, "weight_norm", "b"),
            single,
            curve_table(adamw, "train_accuracy", "d"),
            curve_table(adamw, "test_accuracy", "d"),
        ],
        ignore_index=True,
    )


def curves_figure(courses: Sequence[Course], titles: Sequence[str], imprint: Imprint) -> Figure:
    """A column per course: accuracy above, loss below, by step."""
    with styled():
        figure = new_figure(DOUBLE, 104)
        panels = figure.subplots(2, len(courses), sharex=True, sharey="row", squeeze=False)
        for number, (course, title) in enumerate(zip(courses, titles, strict=True)):
            accuracy, loss = panels[:, number]
            draw_accuracy(accuracy, course)
            draw_loss(loss, course)
            panel_label(accuracy, _LETTERS[number], f"{title}\n{count_text(course)}")
            panel_label(loss, _LETTERS[len(courses) + number], f"{title}: loss")
            accuracy.set_xlabel("")
            if number:
                accuracy.set_ylabel("")
                loss.set_ylabel("")
        panels[0, 0].set_xlim(right=max(course.steps for course in courses))
        panels[1, 0].legend(loc="lower left")
        return finish(figure, imprint)


def curves_table(courses: Sequence[Course]) -> pd.DataFrame:
    """What `curves_figure` draws, one row per panel, quantity and step."""
    tables = [
        curve_table(course, f"{part}_{quantity}", _LETTERS[row * len(courses) + number])
        for row, quantity in enumerate(("accuracy", "loss"))
        for number, course in enumerate(courses)
        for part in ("train", "test")
    ]
    return pd.concat(tables, ignore_index=True)


def curve_table(course: Course, quantity: str, panel: str) -> pd.DataFrame:
    """Median, lowest and highest value over the runs at each recorded step, but for step 0; without those blown up.

    A run that has ended keeps its last values: without it the others, which are the slow ones, would be the median.
    """
    steps, found = course.held(quantity)
    values = pd.DataFrame(found)
    table = pd.DataFrame(
        {
            "panel": panel,
            "course": course.name,
            "quantity": quantity,
            "step": steps,
            "median": values.median(),
            "low": values.min(),
            "high": values.max(),
        }
    )
    return table[table["step"] > 0].reset_index(drop=True)  # the axis is logarithmic


def draw_curve(axes: Axes, table: pd.DataFrame, colour: str, label: str, line: str = "-", order: float = 2.0) -> None:
    """Median and band of a `curve_table`."""
    axes.fill_between(table["step"], table["low"], table["high"], color=colour, alpha=0.18, linewidth=0, zorder=1)
    axes.plot(table["step"], table["median"], line, color=colour, label=label, zorder=order, gid=label)


def draw_accuracy(axes: Axes, course: Course) -> None:
    """Train and test accuracy by step, and above them ticks where each run first has learnt either."""
    reached = milestones(course)
    for series, quantity, place in ((TRAIN, "steps_to_train", 1.09), (TEST, "steps_to_generalise", 1.045)):
        table = curve_table(course, f"{series.name}_accuracy", "")
        draw_curve(axes, table, series.colour, series.name, series.line, series.order)
        rows = reached[(reached["quantity"] == quantity) & np.isfinite(reached["high"]) & (reached["value"] > 0)]
        axes.plot(rows["value"], np.full(len(rows), place), "|", color=series.colour, markersize=3, gid=quantity)
    axes.set(ylabel="accuracy", ylim=(-0.03, _ACCURACY_TOP))
    step_axis(axes, course)


def draw_loss(axes: Axes, course: Course) -> None:
    """Train and test loss by step."""
    for series in (TRAIN, TEST):
        table = curve_table(course, f"{series.name}_loss", "")
        draw_curve(axes, table, series.colour, series.name, series.line, series.order)
    axes.set(yscale="log", ylabel="cross-entropy loss")
    step_axis(axes, course)


def draw_norm(axes: Axes, course: Course) -> None:
    """Weight norm by step, on a logarithmic axis: where a run blows up it leaps."""
    draw_curve(axes, curve_table(course, "weight_norm", ""), NORM_COLOUR, "norm")
    axes.set(yscale="log", ylabel="L2 norm of all parameters")
    step_axis(axes, course)


def draw_by_norm(axes: Axes, course: Course) -> None:
    """Test accuracy against weight norm, a line per run."""
    for _, rows in course.table.groupby("run"):
        axes.plot(rows["weight_norm"], rows["test_accuracy"], color=TEST.colour, linewidth=0.6, alpha=0.6, gid="run")
    axes.set(xscale="log", xlabel="L2 norm of all parameters", ylabel="test accuracy", ylim=(-0.03, 1.05))


def step_axis(axes: Axes, course: Course) -> None:
    """Logarithmic axis of steps, from the first recorded one; a dotted line where the first run ended early."""
    axes.set(xscale="log", xlabel="step", xlim=(course.settings.record_every, course.steps))
    if course.stopped:
        axes.axvline(course.ends.min(), color=COLOURS["faint"], linewidth=0.8, linestyle=":", zorder=0, gid="stopped")


def count_text(course: Course) -> str:
    """How many runs generalise."""
    reached = milestones(course)
    reached = reached[reached["quantity"] == "steps_to_generalise"]
    return f"{int(np.isfinite(reached['high']).sum())} of {len(reached)} runs generalise"


def sentence(course: Course) -> str:
    """Name of the optimizer and the operation."""
    return f"{OPTIMIZERS[course.kind]}, {OPERATIONS[course.settings.course.operation]}"


def milestone_numbers(courses: Sequence[Course]) -> pd.DataFrame:
    """For reading: of each course runs, how many learn and generalise, and median (lowest to highest) of milestones."""
    return pd.DataFrame([_numbers(course) for course in courses])


def _numbers(course: Course) -> dict[str, str | int]:
    table = milestones(course)
    found: dict[str, str | int] = {"course": course.name, "runs": course.runs, "steps": course.steps}
    for name, quantity in (("learn", "steps_to_train"), ("generalise", "steps_to_generalise")):
        found[name] = int(np.isfinite(table[table["quantity"] == quantity]["high"]).sum())
    labels = {
        "steps_to_train": "steps to learn",
        "steps_to_generalise": "steps to generalise",
        "delay": "delay / steps",
        "largest_gap": "largest gap",
        "final_norm": "norm at the end",
    }
    return found | {label: spread(table[table["quantity"] == quantity]) for quantity, label in labels.items()}


def spread(rows: pd.DataFrame) -> str:
    """Median and range over runs of one quantity, "> " before a mere lower bound; "–" where nothing is known."""
    if rows.empty or not np.isfinite(rows["value"]).all():
        return "–"
    open_ended = rows["value"][rows["high"] > rows["value"]].min()  # nan if all is known
    ends = rows["value"].min(), rows["value"].median(), rows["value"].max()
    low, median, high = (f"{'> ' if value >= open_ended else ''}{_short(value)}" for value in ends)
    return median if low == high else f"{median} ({low} to {high})"


def _short(value: float) -> str:
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return text.replace("-", "−")
