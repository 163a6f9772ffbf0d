"""The figure of one task: its data, its landscape and the curves read off it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from entroscape.landscape.diagnostics import unknown
from entroscape.landscape.metric import Metric
from entroscape.plotting.imprint import Imprint
from entroscape.plotting.labels import LABELS, LOSS_LABEL, metric_axis
from entroscape.plotting.landscape import (
    curves_table,
    draw_curves,
    draw_map,
    map_table,
    mark_end,
    unknown_handle,
)
from entroscape.plotting.style import COLOURS, DOUBLE, finish, headroom, new_figure, panel_label, styled

CONTOURS = 20.0  # distance of contour lines, in units of S
CONDITIONAL_FLOOR = -12.0  # ln p(A | L): six in a million of the volume at that loss
REGION_LABEL = "low-loss region"
TITLES = ("entropy landscape", "distribution at given loss", "curves, ± one standard error")
SAMPLED, ALL = ("equilibrium", "maximum_entropy"), ("equilibrium", "maximum_entropy", "trained")
_COLUMNS = ["panel", "series", "x", "y", "y_err", "units", "inside", "entropy", "entropy_err"]


def task_figure(
    draw_data: Callable[[Axes], None],
    landscape: xr.Dataset,
    curves: pd.DataFrame,
    imprint: Imprint,
    low_loss: tuple[float, float] | None = None,
    title: str = "data",
) -> Figure:
    """Four panels: (a) the data; (b) S with all curves; (c) ln p(y | L) with its mean and its maximum; (d) the curves.

    `draw_data` draws panel (a), under `title`. `low_loss`, a pair of edges in ln L, marks where the claims are judged.
    The curves in (d) are those of the judged metric, which for a smoothed accuracy is the true one.
    """
    with styled():
        figure = new_figure(DOUBLE, 138)
        panels = figure.subplots(2, 2, width_ratios=[1, 1.3], height_ratios=[1, 1])
        draw_data(panels[0, 0])
        draw_absolute(figure, panels[0, 1], landscape, curves)
        _conditional(figure, panels[1, 0], landscape, curves)
        draw_judged(panels[1, 1], landscape, curves, low_loss, panels[0, 1].get_xlim())
        _own_legend(panels[1, 1])
        for axes, letter, text in zip(panels.flat, "abcd", (title, *TITLES), strict=True):
            panel_label(axes, letter, text)
        return finish(figure, imprint)


def landscape_figure(
    landscape: xr.Dataset, curves: pd.DataFrame, imprint: Imprint, low_loss: tuple[float, float] | None = None
) -> Figure:
    """The last three panels of `task_figure` in one row, as (a), (b) and (c)."""
    with styled():
        figure = new_figure(DOUBLE, 66)
        panels = figure.subplots(1, 3)
        draw_absolute(figure, panels[0], landscape, curves)
        _conditional(figure, panels[1], landscape, curves)
        draw_judged(panels[2], landscape, curves, low_loss, panels[0].get_xlim())
        shared_legend(figure, [panels[2]])
        titles = (*TITLES[:2], "curves ± standard error")  # narrower panels
        for axes, letter, text in zip(panels, "abc", titles, strict=True):
            panel_label(axes, letter, text)
        return finish(figure, imprint)


def task_table(points: pd.DataFrame, landscape: xr.Dataset, curves: pd.DataFrame) -> pd.DataFrame:
    """All that `task_figure` draws, a row per point or bin, with S for the bins of maps.

    `points` (series, x, y) are those of panel (a); in the others x is ln L_train and y the test metric.
    """
    return pd.concat([points.assign(panel="a"), landscape_table(landscape, curves, "bcd")], ignore_index=True)[_COLUMNS]


def landscape_table(landscape: xr.Dataset, curves: pd.DataFrame, panels: Sequence[str] = "abc") -> pd.DataFrame:
    """All that `landscape_figure` draws, as in `task_table`; `panels` names those of map, distribution and curves."""
    metric = Metric.of(landscape)
    first, second, third = panels
    frames = [
        map_table(landscape).assign(panel=first, series="S"),
        curves_table(curves, ALL, metric.name).assign(panel=first),
        map_table(landscape, conditional=True).assign(panel=second, series="ln p(y|L)"),
        curves_table(curves, SAMPLED, metric.name).assign(panel=second),
        curves_table(curves, ALL, metric.judged).assign(panel=third),
    ]
    return pd.concat([frame for frame in frames if len(frame)], ignore_index=True).reindex(columns=_COLUMNS)


def region(low_loss: pd.DataFrame) -> tuple[float, float] | None:
    """Edges in ln L of the low-loss region, as far as the landscape covers it; None if it does not."""
    rows = low_loss[(low_loss["quantity"] == "equilibrium") & np.isfinite(low_loss["lower"])]
    return (float(rows["lower"].iloc[0]), float(rows["upper"].iloc[0])) if len(rows) else None


def draw_absolute(figure: Figure, axes: Axes, landscape: xr.Dataset, curves: pd.DataFrame) -> None:
    """S with all curves, its colour bar, and where it ends."""
    metric = Metric.of(landscape)
    mesh = draw_map(axes, landscape, contours=CONTOURS)
    bar = figure.colorbar(mesh, ax=axes, pad=0.01, aspect=28)
    bar.set_label(f"$S(\\ln L_\\mathrm{{train}}, {LABELS[metric.name].symbol})$")
    levels = np.arange(0.0, mesh.get_clim()[0] or 0.0, -CONTOURS)
    bar.ax.hlines(levels, *bar.ax.get_xlim(), colors="white", linewidths=0.3, alpha=0.7)
    draw_curves(axes, curves, ALL, metric.name, halo=True)
    _reach_trained(axes, curves, metric)
    mark_end(axes, landscape)
    if unknown(landscape).any():
        frame = dict(frameon=True, framealpha=0.85, edgecolor="none", fancybox=False)
        axes.legend(handles=[unknown_handle()], loc="lower left", handleheight=1.2, **frame)


def _reach_trained(axes: Axes, curves: pd.DataFrame, metric: Metric) -> None:
    """Lengthen the y axis of a map to trained networks of its losses that lie above or below all of it."""
    trained = curves[(curves["quantity"] == "trained") & (curves["metric"] == metric.name)]
    values = trained["value"][trained["ln_train_loss"].between(*axes.get_xlim())]
    low, high = axes.get_ylim()
    room = 0.04 * (high - low)
    lowest = values.min() - room if values.min() < low else low  # without any the comparison is false
    axes.set_ylim(lowest, values.max() + room if values.max() > high else high)


def _conditional(figure: Figure, axes: Axes, landscape: xr.Dataset, curves: pd.DataFrame) -> None:
    metric = Metric.of(landscape)
    mesh = draw_map(axes, landscape, conditional=True, floor=CONDITIONAL_FLOOR)
    bar = figure.colorbar(mesh, ax=axes, pad=0.01, aspect=28, extend="min")
    bar.set_label(f"$\\ln\\, p({LABELS[metric.name].symbol}\\,|\\,L_\\mathrm{{train}})$")
    draw_curves(axes, curves, SAMPLED, metric.name, halo=True)
    mark_end(axes, landscape)


def draw_judged(
    axes: Axes,
    landscape: xr.Dataset,
    curves: pd.DataFrame,
    low_loss: tuple[float, float] | None,
    limits: tuple[float, float],
) -> None:
    """All curves of the judged metric, and the low-loss region; without a legend."""
    metric = Metric(Metric.of(landscape).judged)
    draw_curves(axes, curves, ALL, metric.name)
    if low_loss is not None:
        axes.axvspan(*low_loss, color=COLOURS["faint"], alpha=0.3, linewidth=0, zorder=0, label=REGION_LABEL)
    axes.set(xlabel=LOSS_LABEL, xlim=limits)
    metric_axis(axes, metric)
    axes.grid(axis="y", color=COLOURS["faint"], linewidth=0.3)


def shared_legend(figure: Figure, panels: Sequence[Axes]) -> None:
    """One legend above all panels, for panels too small to hold their own; each curve is named once."""
    entries: dict[str, Any] = {}
    for axes in panels:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(name.partition(" (")[0], handle)
    names = sorted(entries, key=lambda name: name == REGION_LABEL)  # stable: the region comes last
    place: dict[str, Any] = dict(loc="outside upper center", ncols=len(names), columnspacing=1.0, handletextpad=0.4)
    figure.legend([entries[name] for name in names], names, **place)


def _own_legend(axes: Axes) -> None:
    """A legend above the curves."""
    handles, names = axes.get_legend_handles_labels()
    order = sorted(range(len(names)), key=lambda i: names[i] == REGION_LABEL)
    _, top = axes.get_ylim()
    headroom(axes, 0.1 + 0.09 * ((len(order) + 1) // 2))
    ticks = axes.get_yticks()
    axes.set_yticks(ticks[(ticks <= top) & (ticks >= axes.get_ylim()[0])])
    compact = dict(ncols=2, columnspacing=0.7, handletextpad=0.4, handlelength=1.4)
    axes.legend([handles[i] for i in order], [names[i] for i in order], loc="upper center", **compact)
