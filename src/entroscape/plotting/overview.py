"""The figure of one task: its data, its landscape and the curves read off it."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from entroscape.plotting.imprint import Imprint
from entroscape.plotting.landscape import (
    ACCURACY_LABEL,
    LOSS_LABEL,
    curves_table,
    draw_curves,
    draw_map,
    map_table,
    mark_end,
    no_error_handle,
    unresolved,
)
from entroscape.plotting.style import COLOURS, DOUBLE, finish, new_figure, panel_label, styled

CONTOURS = 20.0  # distance of contour lines, in units of S
CONDITIONAL_FLOOR = -12.0  # ln p(A | L): six in a million of the volume at that loss
REGION_LABEL = "low-loss region"
TITLES = ("data", "entropy landscape", "distribution at given loss", "curves, ± one standard error")
SAMPLED, ALL = ("equilibrium", "maximum_entropy"), ("equilibrium", "maximum_entropy", "trained")


def task_figure(
    draw_data: Callable[[Axes], None],
    landscape: xr.Dataset,
    curves: pd.DataFrame,
    imprint: Imprint,
    low_loss: tuple[float, float] | None = None,
) -> Figure:
    """Four panels: (a) the data; (b) S with all curves; (c) ln p(A | L) with its mean and its maximum; (d) the curves.

    `draw_data` draws panel (a). `low_loss`, a pair of edges in ln L, marks where the claims are judged.
    """
    with styled():
        figure = new_figure(DOUBLE, 138)
        panels = figure.subplots(2, 2, width_ratios=[1, 1.3], height_ratios=[1, 1])
        draw_data(panels[0, 0])
        _absolute(figure, panels[0, 1], landscape, curves)
        _conditional(figure, panels[1, 0], landscape, curves)
        _curves(panels[1, 1], curves, low_loss, panels[0, 1].get_xlim())
        for axes, letter, title in zip(panels.flat, "abcd", TITLES, strict=True):
            panel_label(axes, letter, title)
        return finish(figure, imprint)


def task_table(points: pd.DataFrame, landscape: xr.Dataset, curves: pd.DataFrame) -> pd.DataFrame:
    """All that `task_figure` draws, a row per point or bin, with S for the bins of maps.

    `points` (part, label, x, y) are those of panel (a); in the others x is ln L_train and y the test accuracy.
    """
    series = points["part"] + " class " + points["label"].astype(str)
    frames = [
        points.assign(panel="a", series=series)[["panel", "series", "x", "y"]],
        map_table(landscape).assign(panel="b", series="S"),
        curves_table(curves, ALL).assign(panel="b"),
        map_table(landscape, conditional=True).assign(panel="c", series="ln p(A|L)"),
        curves_table(curves, SAMPLED).assign(panel="c"),
        curves_table(curves, ALL).assign(panel="d"),
    ]
    columns = ["panel", "series", "x", "y", "y_err", "units", "inside", "entropy", "entropy_err"]
    return pd.concat(frames, ignore_index=True)[columns]


def region(low_loss: pd.DataFrame) -> tuple[float, float] | None:
    """Edges in ln L of the low-loss region, as far as the landscape covers it; None if it does not."""
    rows = low_loss[(low_loss["quantity"] == "equilibrium") & np.isfinite(low_loss["lower"])]
    return (float(rows["lower"].iloc[0]), float(rows["upper"].iloc[0])) if len(rows) else None


def _absolute(figure: Figure, axes: Axes, landscape: xr.Dataset, curves: pd.DataFrame) -> None:
    mesh = draw_map(axes, landscape, contours=CONTOURS)
    bar = figure.colorbar(mesh, ax=axes, pad=0.01, aspect=28)
    bar.set_label("$S(\\ln L_\\mathrm{train}, A_\\mathrm{test})$")
    levels = np.arange(0.0, mesh.get_clim()[0] or 0.0, -CONTOURS)
    bar.ax.hlines(levels, *bar.ax.get_xlim(), colors="white", linewidths=0.3, alpha=0.7)
    draw_curves(axes, curves, ALL, halo=True)
    mark_end(axes, landscape)
    if unresolved(landscape).any():
        frame = dict(frameon=True, framealpha=0.85, edgecolor="none", fancybox=False)
        axes.legend(handles=[no_error_handle()], loc="lower left", handleheight=1.2, **frame)


def _conditional(figure: Figure, axes: Axes, landscape: xr.Dataset, curves: pd.DataFrame) -> None:
    mesh = draw_map(axes, landscape, conditional=True, floor=CONDITIONAL_FLOOR)
    bar = figure.colorbar(mesh, ax=axes, pad=0.01, aspect=28, extend="min")
    bar.set_label("$\\ln\\, p(A_\\mathrm{test}\\,|\\,L_\\mathrm{train})$")
    draw_curves(axes, curves, SAMPLED, halo=True)
    mark_end(axes, landscape)


def _curves(axes: Axes, curves: pd.DataFrame, low_loss: tuple[float, float] | None, limits: tuple) -> None:
    draw_curves(axes, curves, ALL)
    if low_loss is not None:
        axes.axvspan(*low_loss, color=COLOURS["faint"], alpha=0.3, linewidth=0, zorder=0, label=REGION_LABEL)
    axes.set(xlabel=LOSS_LABEL, ylabel=ACCURACY_LABEL, xlim=limits)
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: labels[i] == REGION_LABEL)  # stable: the region comes last
    axes.legend([handles[i] for i in order], [labels[i] for i in order], loc="best")
    axes.grid(axis="y", color=COLOURS["faint"], linewidth=0.3)
