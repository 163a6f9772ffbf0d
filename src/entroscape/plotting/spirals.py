"""The points of the spiral task."""

from itertools import product

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from entroscape.data.dataset import TaskData
from entroscape.plotting.style import CLASS_COLOURS

_PARTS = ("train", "test")


def points_table(data: TaskData) -> pd.DataFrame:
    """One row per point: series ("train class 0"), part ("train" or "test"), label, x, y."""
    frames = []
    for part in _PARTS:
        x, y = getattr(data, f"x_{part}"), getattr(data, f"y_{part}")
        frame = pd.DataFrame({"part": part, "label": y, "x": x[:, 0], "y": x[:, 1]})
        frames.append(frame.assign(series=part + " class " + frame["label"].astype(str)))
    return pd.concat(frames, ignore_index=True)


def draw_points(axes: Axes, data: TaskData) -> None:
    """Draw all points: colour is the class, full symbols are for training, open ones for testing."""
    table = points_table(data)
    for label, part in product(np.unique(table["label"]), _PARTS):
        group = table[(table["label"] == label) & (table["part"] == part)]
        colour = CLASS_COLOURS[label % len(CLASS_COLOURS)]
        axes.plot(
            group["x"],
            group["y"],
            linestyle="",
            marker="os"[label % 2],
            markersize=3.2,
            markeredgewidth=0.7,
            markeredgecolor=colour,
            markerfacecolor=colour if part == "train" else "white",
            label=f"class {label}, {part}",
            gid=f"{part}-{label}",
        )
    reach = 1.08 * np.abs(table[["x", "y"]].to_numpy()).max()
    below = 1.5 * reach  # room for the legend
    axes.set(xlim=(-reach, reach), ylim=(-below, reach), aspect="equal", xlabel="$x_1$", ylabel="$x_2$")
    axes.legend(loc="lower center", ncols=2, columnspacing=0.8, handletextpad=0.2)
