"""The landscape of one network as its train set grows."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from entroscape.landscape.metric import Metric
from entroscape.plotting.imprint import Imprint
from entroscape.plotting.landscape import curves_table, draw_curves, draw_map, map_table, mark_end
from entroscape.plotting.overview import CONTOURS
from entroscape.plotting.style import DOUBLE, finish, new_figure, panel_label, panels_of, styled
from entroscape.plotting.widths import draw_size_panels, size_legend

_LETTERS = "abcdefghijkl"
_SHOWN = ("equilibrium", "trained")


def size_figure(
    landscapes: Mapping[int, xr.Dataset],
    curves: Mapping[int, pd.DataFrame],
    table: pd.DataFrame,
    confidence: float,
    imprint: Imprint,
    stand_in: str = "",
) -> Figure:
    """A map with its curves for each number of train points, all on the same axes and colours; below, two panels.

    These show equilibrium and trained metric, and the advantage, at low training loss (`widths.width_table` with x =
    "train_points"). `stand_in` says what the data stand in for, if anything.
    """
    sizes = sorted(landscapes)
    with styled():
        figure = new_figure(DOUBLE, 122)
        grid = figure.add_gridspec(2, 1, height_ratios=[0.9, 1])
        top = panels_of(grid[0], 1, len(sizes), sharex=True, sharey=True)
        lowest = min(float(landscapes[size]["entropy"].where(landscapes[size]["visited"]).min()) for size in sizes)
        limits = []
        for axes, size, letter in zip(top, sizes, _LETTERS, strict=False):
            mesh = draw_map(axes, landscapes[size], floor=lowest, contours=CONTOURS)
            draw_curves(axes, curves[size], _SHOWN, Metric.of(landscapes[size]).name, halo=True)
            limits.append((*axes.get_xlim(), *axes.get_ylim()))
            mark_end(axes, landscapes[size])
            panel_label(axes, letter, f"{size} train points")
        lower, upper = np.min(limits, axis=0), np.max(limits, axis=0)
        top[0].set(xlim=(lower[0], upper[1]), ylim=(lower[2], upper[3]))
        for axes in top[1:]:
            axes.set_ylabel("")
            axes.tick_params(labelleft=False)
        figure.colorbar(mesh, ax=top, pad=0.01, aspect=22).set_label("$S$")
        levels, advantage = panels_of(grid[1], 1, 2)
        draw_size_panels(levels, advantage, table)
        panel_label(levels, _LETTERS[len(sizes)], f"equilibrium and training\n{stand_in}".strip())
        panel_label(advantage, _LETTERS[len(sizes) + 1], "advantage")
        size_legend(figure, levels, confidence)
        return finish(figure, imprint)


def size_table(
    landscapes: Mapping[int, xr.Dataset], curves: Mapping[int, pd.DataFrame], table: pd.DataFrame
) -> pd.DataFrame:
    """All that `size_figure` draws: the bins and curves of the maps, then the rows of the two panels below."""
    frames = []
    for letter, size in zip(_LETTERS, sorted(landscapes), strict=False):
        metric = Metric.of(landscapes[size]).name
        for part in (map_table(landscapes[size]).assign(series="S"), curves_table(curves[size], _SHOWN, metric)):
            frames.append(part.assign(panel=letter, train_points=size))
    below = f"{_LETTERS[len(landscapes)]}, {_LETTERS[len(landscapes) + 1]}"
    return pd.concat([*frames, table.assign(panel=below)], ignore_index=True)
