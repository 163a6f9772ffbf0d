"""Courses of training with more and more of the prompts as train points, and what the weight of the annealing does."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from entroscape.analysis.courses import Course, milestones
from entroscape.config.courses import WanDWithAdamW
from entroscape.plotting.courses import (
    OPTIMIZERS,
    count_text,
    curve_table,
    draw_accuracy,
    draw_curve,
    step_axis,
)
from entroscape.plotting.style import (
    COLOURS,
    DOUBLE,
    Imprint,
    finish,
    headroom,
    new_figure,
    panel_label,
    panels_of,
    styled,
)

LEAK = "WanD* is WanD annealed with AdamW: its weight α follows the test accuracy, so test data guide the training"
_SUMMARY = {"steps_to_generalise": "steps to generalise", "delay": "steps from learning to generalising"}
_OPTIMIZER_COLOURS = {"adamw": "#0173b2", "wand": "#029e73", "hybrid": "#029e73"}
_OPTIMIZER_MARKERS = {"adamw": "o", "wand": "D", "hybrid": "D"}
_SHIFT = {"adamw": -0.9, "wand": 0.9, "hybrid": 0.9}  # of points sideways, in percent of the prompts
_SEEN = 0.2  # rises and falls of alpha by less than this are none
# weight and accuracy of a reading: name, colour, line
_READINGS = {
    ("described", "test"): ("1 − (2A − 1)², A of test", "#029e73", "-"),
    ("printed", "test"): ("(2A − 1)², A of test, as printed", "#d55e00", "--"),
    ("described", "train"): ("1 − (2A − 1)², A of train (no leak)", "#0173b2", "-."),
}


def fractions_figure(courses: Sequence[Course], imprint: Imprint) -> Figure:
    """Accuracy by step, AdamW above and WanD below, a column per train fraction; then milestones by fraction.

    If there are courses with WanD annealed with AdamW, a last row shows the weight of WanD and the test accuracy for
    each reading of that weight.
    """
    main, readings = main_courses(courses), annealed(courses)
    columns = sorted({course.train_fraction for course in main})
    with styled():
        figure = new_figure(DOUBLE, 205 if readings else 155)
        heights = [2, 1, 1] if readings else [2, 1]
        rows = figure.add_gridspec(len(heights), 1, height_ratios=heights)
        letters = iter("abcdefghijklmnopqrst")
        _accuracies(panels_of(rows[0], 2, len(columns), sharex=True, sharey=True), letters, main, columns)
        for axes, (quantity, label) in zip(panels_of(rows[1], 1, 2), _SUMMARY.items(), strict=True):
            draw_milestones(axes, main, quantity)
            panel_label(axes, next(letters), f"{label}, by train fraction")
        if readings:
            percent = f"train fraction {100 * readings[0].train_fraction:.0f} %"
            for axes, quantity in zip(panels_of(rows[2], 1, 2), ("alpha", "test_accuracy"), strict=True):
                draw_readings(axes, readings, quantity)
                what = "weight α of WanD" if quantity == "alpha" else "test accuracy for each reading of α"
                panel_label(axes, next(letters), f"{what}, {percent}")
        return finish(figure, imprint)


def fractions_table(courses: Sequence[Course]) -> pd.DataFrame:
    """What `fractions_figure` draws: medians and bands by step, milestones of single runs, and the readings."""
    main, readings = main_courses(courses), annealed(courses)
    columns = sorted({course.train_fraction for course in main})
    letters = iter("abcdefghijklmnopqrst")
    tables = [
        curve_table(course, f"{part}_accuracy", letter)
        for row, letter in zip(_rows(main, columns), letters, strict=False)
        for course in row
        for part in ("train", "test")
    ]
    for quantity in _SUMMARY:
        found = pd.concat([milestones(one).assign(train_fraction=one.train_fraction) for one in main])
        tables.append(found[found["quantity"] == quantity].assign(panel=next(letters)))
    for quantity in ("alpha", "test_accuracy") if readings else ():
        letter = next(letters)
        tables += [curve_table(course, quantity, letter) for course in readings]
    return pd.concat(tables, ignore_index=True)


def main_courses(courses: Sequence[Course]) -> list[Course]:
    """AdamW and WanD, or the hybrid as the text describes it."""
    return [course for course in courses if reading(course) in (None, ("described", "test"))]


def annealed(courses: Sequence[Course]) -> list[Course]:
    """Courses with the hybrid at the smallest train fraction it has, one for each reading of its weight."""
    found = {reading(course): course for course in sorted(courses, key=lambda one: -one.train_fraction)}
    return [found[key] for key in _READINGS if key in found]


def reading(course: Course) -> tuple[str, str] | None:
    """How the weight of the annealing is read, and of which accuracy; None for one optimizer alone."""
    optimizer = course.settings.course.optimizer
    if not isinstance(optimizer, WanDWithAdamW):
        return None
    return optimizer.annealing.weight, optimizer.annealing.accuracy


def shape(course: Course) -> str:
    """What the median of alpha does in the course, changes by less than 0.2 left aside, as in "rises, then falls"."""
    steps, alpha = course.held("alpha")
    median = np.median(alpha[:, steps > 0], axis=0)
    moves: list[str] = []
    turn = median[0]
    for value in median:
        up = value > turn
        if moves and moves[-1] == ("rises" if up else "falls"):
            turn = value
        elif abs(value - turn) >= _SEEN:
            moves.append("rises" if up else "falls")
            turn = value
    return ", then ".join(moves) or "stays as it is"


def verdict(courses: Sequence[Course]) -> str:
    """Which reading of the weight does what the text says, in one sentence; empty without a hybrid."""
    found = [(course, shape(course)) for course in annealed(courses)]
    if not found:
        return ""
    fitting = [
        _READINGS[key][0] for course, moves in found if moves == "rises, then falls" and (key := reading(course))
    ]
    return "α rises, then falls, as the text says, for: " + ("; ".join(fitting) or "no reading in these runs")


def draw_milestones(axes: Axes, courses: Sequence[Course], quantity: str) -> None:
    """One milestone of every run against the train fraction, a line through the medians of each optimizer.

    Runs that do not come so far within their steps are open triangles at the last step; those without any bound are
    counted in the legend.
    """
    for kind in dict.fromkeys(course.kind for course in courses):
        series = sorted((c for c in courses if c.kind == kind), key=lambda one: one.train_fraction)
        found = [milestones(course) for course in series]
        found = [rows[rows["quantity"] == quantity] for rows in found]
        at = [100 * course.train_fraction + _SHIFT[kind] for course in series]
        unknown = 0
        for x, rows in zip(at, found, strict=True):
            seen = rows[np.isfinite(rows["value"])]
            unknown += len(rows) - len(seen)
            _points(axes, x, seen, kind)
        label = OPTIMIZERS[kind] + (f" ({unknown} runs never learn)" if unknown else "")
        style: dict[str, Any] = dict(color=_OPTIMIZER_COLOURS[kind], linewidth=0.9, label=label)
        axes.plot(at, [rows["value"].median() for rows in found], **style)
    axes.plot([], [], "^", color=COLOURS["neutral"], markerfacecolor="white", markersize=4, label="not within steps")
    axes.set(xlabel="train fraction / %", ylabel="steps")
    percents = sorted({100 * course.train_fraction for course in courses})
    axes.set(xticks=percents, xlim=(percents[0] - 3, percents[-1] + 3))
    if quantity != "delay":
        plain_logarithmic(axes)
    else:
        axes.axhline(0, color="black", linewidth=0.5)
    axes.legend(loc="best")


def plain_logarithmic(axes: Axes) -> None:
    """Logarithmic y axis with numbers written out."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:,.0f}")


def _points(axes: Axes, x: float, rows: pd.DataFrame, kind: str) -> None:
    """Runs of one course; open triangles where the value is a mere bound."""
    reached = np.isfinite(rows["high"]) & np.isfinite(rows["low"])
    style: dict[str, Any] = dict(color=_OPTIMIZER_COLOURS[kind], linestyle="")
    full: dict[str, Any] = style | dict(marker=_OPTIMIZER_MARKERS[kind], markersize=3, alpha=0.7, gid=kind)
    bound: dict[str, Any] = style | dict(marker="^", markersize=4, markerfacecolor="white", gid=f"{kind} open")
    for chosen, look in ((reached, full), (~reached, bound)):
        values = rows["value"][chosen]
        axes.plot(np.full(len(values), x), values, **look)


def draw_readings(axes: Axes, courses: Sequence[Course], quantity: str) -> None:
    """Alpha or test accuracy by step for each reading of the weight."""
    for course in courses:
        key = reading(course)
        if key is None:
            raise ValueError(f"{course.name} is not annealed")
        name, colour, line = _READINGS[key]
        label = f"{name}: {shape(course)}" if quantity == "alpha" else name
        draw_curve(axes, curve_table(course, quantity, ""), colour, label, line)
        step_axis(axes, course)
    axes.set_xlim(right=max(course.steps for course in courses))
    axes.set(ylabel="weight α of WanD" if quantity == "alpha" else "test accuracy", ylim=(-0.03, 1.05))
    if quantity == "alpha":
        axes.legend(loc="upper left", title="reading of α: what it does", title_fontsize=6, alignment="left")
        headroom(axes, 0.7)
        axes.set_yticks(np.linspace(0, 1, 6))


def _rows(courses: Sequence[Course], columns: Sequence[float]) -> Iterator[list[Course]]:
    """Courses panel by panel: AdamW, then WanD, by fraction; a fraction that an optimizer lacks gives an empty one."""
    for first in (True, False):
        for fraction in columns:
            yield [c for c in courses if (c.kind == "adamw") == first and c.train_fraction == fraction]


def _accuracies(
    panels: Sequence[Axes], letters: Iterator[str], courses: Sequence[Course], columns: Sequence[float]
) -> None:
    """A panel per optimizer and train fraction; the axes of steps are those of the longest course."""
    for place, (axes, panel) in enumerate(zip(panels, _rows(courses, columns), strict=True)):
        letter = next(letters)
        for course in panel:
            draw_accuracy(axes, course)
            name = "WanD*" if course.kind == "hybrid" else OPTIMIZERS[course.kind]
            counted = count_text(course).replace(" runs generalise", " generalise")
            panel_label(axes, letter, f"{name}, {100 * course.train_fraction:.0f} %\n{counted}")
        if place % len(columns):
            axes.set_ylabel("")
        if place < len(columns):
            axes.set_xlabel("")
    panels[0].set_xlim(right=max(course.steps for course in courses))
    panels[0].legend(loc="best")
