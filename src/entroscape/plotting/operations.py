"""Tables of operations modulo p as images."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from entroscape.config.data import Operation
from entroscape.data.modular import table
from entroscape.plotting.courses import OPERATIONS
from entroscape.plotting.style import DOUBLE, Imprint, finish, new_figure, panel_label, styled

COLOURMAP = "Blues"  # light to dark, small to large answers
_LETTERS = "abcdef"


def operations_figure(operations: Sequence[Operation], modulus: int, imprint: Imprint) -> Figure:
    """One image per operation, a pixel per pair (x, y), coloured by the answer."""
    with styled():
        figure = new_figure(DOUBLE, 68)
        panels = figure.subplots(1, len(operations), squeeze=False)[0]
        for axes, operation, letter in zip(panels, operations, _LETTERS, strict=False):
            image = draw_operation(axes, operation, modulus)
            panel_label(axes, letter, f"{OPERATIONS[operation]} mod {modulus}")
        panels[0].set_ylabel("$y$")
        bar = figure.colorbar(image, ax=list(panels), pad=0.01, aspect=24, label="answer")
        bar.set_ticks([0, modulus - 1])
        return finish(figure, imprint)


def draw_operation(axes: Axes, operation: Operation, modulus: int) -> AxesImage:
    """The image of one operation, x to the right and y upwards; gives it for a colour bar."""
    image = axes.imshow(
        answers(operation, modulus).T, origin="lower", cmap=COLOURMAP, vmin=0, vmax=modulus - 1, interpolation="nearest"
    )
    ticks = [*range(0, modulus - 9, 20), modulus - 1]
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    axes.set_xlabel("$x$")
    return image


def answers(operation: Operation, modulus: int) -> np.ndarray:
    """Answers[x, y]."""
    return table(operation, modulus)[1].reshape(modulus, modulus)


def operations_table(operations: Sequence[Operation], modulus: int) -> pd.DataFrame:
    """What the figure draws: columns panel, operation, x, y, answer."""
    frames = []
    for operation, letter in zip(operations, _LETTERS, strict=False):
        pairs, found = table(operation, modulus)
        columns = {"panel": letter, "operation": operation, "x": pairs[:, 0], "y": pairs[:, 1], "answer": found}
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)
