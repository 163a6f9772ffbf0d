"""Image tasks: examples, landscapes and curves of several tasks, one below the other."""

import textwrap
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from entroscape.data.dataset import TaskData
from entroscape.plotting.imprint import Imprint
from entroscape.plotting.overview import draw_absolute, draw_judged, landscape_table, shared_legend
from entroscape.plotting.style import DOUBLE, finish, new_figure, panel_label, styled

EXAMPLES = 6  # side by side
_ROWS = 8  # of examples, about: each class has as many rows as fit, at least one
_LETTERS = "abcdefghijkl"


@dataclass(frozen=True)
class ImageTask:
    """One row of the figure; `title` names the data, `low_loss` is the region where claims are judged."""

    title: str
    data: TaskData
    landscape: xr.Dataset
    curves: pd.DataFrame
    low_loss: tuple[float, float] | None


def images_figure(tasks: list[ImageTask], imprint: Imprint) -> Figure:
    """A row per task: train images of each class, S with all curves, and the curves of the true accuracy."""
    with styled():
        figure = new_figure(DOUBLE, 18 + 60 * len(tasks))
        panels = figure.subplots(len(tasks), 3, width_ratios=[0.62, 1.1, 1], squeeze=False)
        letters = iter(_LETTERS)
        for row, task in zip(panels, tasks, strict=True):
            examples, absolute, curves = row
            draw_examples(examples, task.data)
            draw_absolute(figure, absolute, task.landscape, task.curves)
            draw_judged(curves, task.landscape, task.curves, task.low_loss, absolute.get_xlim())
            titles = (task_title(task), "entropy landscape", "curves, ± one standard error")
            for axes, title in zip((examples, absolute, curves), titles, strict=True):
                panel_label(axes, next(letters), title)
        shared_legend(figure, list(panels[:, 2]))
        return finish(figure, imprint)


def images_table(tasks: list[ImageTask]) -> pd.DataFrame:
    """Maps and curves that `images_figure` draws, with the panel's letter and the task; the images are in the data."""
    frames = []
    for number, task in enumerate(tasks):
        absolute, curves = _LETTERS[3 * number + 1], _LETTERS[3 * number + 2]
        table = landscape_table(task.landscape, task.curves, (absolute, "", curves))
        frames.append(table[table["panel"] != ""].assign(task=task.title))
    return pd.concat(frames, ignore_index=True)


def task_title(task: ImageTask) -> str:
    """Title of the row; data that stand in for the published ones say so."""
    return f"{task.title}\nstand-in: {_folded(task.data.stand_in)}" if task.data.stand_in else task.title


def draw_examples(axes: Axes, data: TaskData) -> None:
    """The first train images of each class, one class below the other."""
    mosaic, labels = tiles(data)
    grey = mosaic.ndim == 2
    axes.imshow(mosaic, cmap="gray" if grey else None, interpolation="nearest")
    side = (mosaic.shape[0] + 1) / len(labels)
    axes.set_yticks(side * (np.arange(len(labels)) + 0.5) - 1, [f"{label}" for label in labels])
    axes.set_xticks([])
    axes.tick_params(left=False)
    axes.spines[:].set_visible(False)
    axes.set_ylabel("class")
    axes.set_xlabel(f"{len(data.y_train)} train, {len(data.y_test)} test images of {_size(data)}", fontsize=6)


def tiles(data: TaskData) -> tuple[np.ndarray, np.ndarray]:
    """Train images side by side, rows of each class: grey[H, W] or colour[H, W, 3] from 0 to 1; and the classes."""
    labels = np.unique(data.y_train)
    wanted = EXAMPLES * max(1, _ROWS // len(labels))
    rows = []
    for label in labels:
        found = data.x_train[data.y_train == label][:wanted]
        examples = np.full((wanted, *found.shape[1:]), np.nan)
        examples[: len(found)] = found
        examples = np.pad(examples, [(0, 0), (0, 0), (0, 1), (0, 1)], constant_values=np.nan)
        rows += [np.concatenate(list(row), axis=2) for row in np.split(examples, wanted // EXAMPLES)]
    mosaic = np.concatenate(rows, axis=1)[:, :-1, :-1]
    low, high = np.nanmin(mosaic), np.nanmax(mosaic)
    mosaic = (mosaic - low) / max(high - low, 1e-300)
    if len(mosaic) == 1:
        return mosaic[0], labels
    return np.nan_to_num(np.moveaxis(mosaic, 0, -1), nan=1.0), labels


def _size(data: TaskData) -> str:
    height, width = data.x_train.shape[2:]
    return f"{height} × {width}"


def _folded(text: str) -> str:
    return textwrap.fill(text, 24)
