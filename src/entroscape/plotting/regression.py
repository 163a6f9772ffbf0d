"""The data of a regression task: what is to be predicted, and how much the best single input says about it."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from entroscape.data.dataset import TaskData
from entroscape.plotting.style import COLOURS

_PARTS = {"train": (COLOURS["neutral"], 1.0), "test": (COLOURS["published"], 0.6)}  # colour, opacity
_SHARE = 0.25  # of the panel's width for the distribution of targets


def strongest(data: TaskData) -> tuple[int, float]:
    """The input that correlates most with the target on the train points, and the coefficient of correlation."""
    x, y = data.x_train - data.x_train.mean(axis=0), data.y_train - data.y_train.mean()
    norm = np.sqrt((x**2).sum(axis=0) * (y**2).sum())
    correlation = np.divide(y @ x, norm, out=np.zeros(x.shape[1]), where=norm > 0)
    best = int(np.abs(correlation).argmax())
    return best, float(correlation[best])


def input_name(data: TaskData, column: int) -> str:
    """Name of an input where the data have names, else its number."""
    names = data.provenance.get("columns", [])
    return str(names[column]) if column < len(names) else f"input {column + 1} of {data.x_train.shape[1]}"


def points_table(data: TaskData) -> pd.DataFrame:
    """One row per point: series ("train", "test"), x (the strongest input), y (the target)."""
    column, _ = strongest(data)
    frames = [
        pd.DataFrame({"series": part, "x": getattr(data, f"x_{part}")[:, column], "y": getattr(data, f"y_{part}")})
        for part in _PARTS
    ]
    return pd.concat(frames, ignore_index=True)


def draw_points(axes: Axes, data: TaskData, target: str) -> None:
    """Targets against the strongest input, and beside it the distribution of the targets of both parts.

    `target` names what is predicted. The horizontal line is the mean of the train targets, whose error is a loss of 1
    where targets are standardised.
    """
    column, correlation = strongest(data)
    table = points_table(data)
    beside = axes.inset_axes((1 - _SHARE, 0, _SHARE, 1), sharey=axes)
    bins = list(np.linspace(table["y"].min(), table["y"].max(), 21))
    for part, (colour, opacity) in _PARTS.items():
        rows = table[table["series"] == part]
        label = f"{part}, {len(rows)} points"
        axes.plot(
            rows["x"], rows["y"], "o", color=colour, alpha=opacity, markersize=1.8, markeredgewidth=0, label=label
        )
        style: dict[str, Any] = dict(orientation="horizontal", density=True, histtype="step", linewidth=1.0)
        beside.hist(rows["y"], bins, color=colour, **style)
    axes.axhline(data.y_train.mean(), color="black", linewidth=0.5, zorder=0)
    beside.patch.set_visible(False)
    beside.tick_params(left=False, labelleft=False, bottom=False, labelbottom=False)
    beside.spines[["top", "right", "bottom"]].set_visible(False)
    beside.spines["left"].set(linewidth=0.4, color=COLOURS["faint"])
    low, high = axes.get_xlim()
    axes.set_xlim(low, high + (high - low) * _SHARE / (1 - _SHARE))
    name = f"{input_name(data, column)} (correlation {correlation:.2f})".replace("-", "−")
    axes.set(xlabel=name, ylabel=target)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.18 * (high - low))
    axes.legend(loc="upper left", ncols=2, columnspacing=0.8, handletextpad=0.1)
