"""How the advantage of equilibrium over training depends on the width of the network, or on the number of points."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from entroscape.analysis.claims import slope
from entroscape.landscape.jackknife import half_width
from entroscape.landscape.metric import JUDGED
from entroscape.plotting.imprint import Imprint
from entroscape.plotting.labels import LABELS as METRIC_LABELS
from entroscape.plotting.labels import difference
from entroscape.plotting.style import (
    BASELINES,
    COLOURS,
    DOUBLE,
    LABELS,
    MARKERS,
    OPEN,
    finish,
    headroom,
    new_figure,
    panel_label,
    styled,
)
from entroscape.plotting.tables import with_error

_SHIFT = 0.04  # between the symbols of two baselines, in doublings of x
_LETTERS = "abcdefghijkl"


@dataclass(frozen=True)
class Widths:
    """One task: its name, `width_table` of its low-loss averages, and the level of their intervals."""

    title: str
    table: pd.DataFrame
    confidence: float

    @property
    def metric(self) -> str:
        """Name of the judged metric."""
        return str(self.table["metric"].iloc[0])


def width_table(low_loss: pd.DataFrame, confidence: float, x: str = "width") -> pd.DataFrame:
    """What the figure draws: equilibrium, trained and advantage by width, with Student's t intervals.

    Takes the concatenated low-loss tables; columns `x` ("width" or "train_points"), quantity, metric, baseline, value,
    error (standard error), dof, low, high (ends of the interval at level `confidence`), lower, upper (edges in ln L of
    the region used). Only the judged metric is kept.
    """
    table = low_loss[low_loss["quantity"].isin(["equilibrium", "trained", "advantage"])]
    table = table[table["metric"].isin(JUDGED)].copy()
    half = half_width(table["error"], table["dof"], confidence)
    table["low"], table["high"] = table["value"] - half, table["value"] + half
    columns = [x, "quantity", "metric", "baseline", "value", "error", "units", "dof", "low", "high", "lower", "upper"]
    return table.sort_values(["quantity", "baseline", x], ignore_index=True)[columns]


def fit(table: pd.DataFrame, baseline: str) -> tuple[float, float, float]:
    """Straight line of the advantage against log2(width), as the claim about the widths is judged by.

    Gives the value at width 1, the slope per doubling of the width and its standard error; nan for fewer than three
    widths.
    """
    rows = _advantage(table, baseline)
    rows = rows[rows["error"] > 0]
    doublings, value, error = (column.to_numpy() for column in (np.log2(rows["width"]), rows["value"], rows["error"]))
    gradient, uncertainty, _ = slope(doublings, value, error)
    if not np.isfinite(gradient):
        return np.nan, np.nan, np.nan
    weight = 1 / error**2  # the line runs through the weighted centre of the points
    offset = np.average(value, weights=weight) - gradient * np.average(doublings, weights=weight)
    return float(offset), gradient, uncertainty


def baselines(table: pd.DataFrame) -> list[str]:
    """Baselines that the table knows, in the order they are drawn."""
    return [name for name in BASELINES if name in set(table["baseline"])]


def slopes(table: pd.DataFrame) -> dict[str, str]:
    """Slope and standard error of the fitted line for each baseline, for reading."""
    return {LABELS[baseline]: with_error(*fit(table, baseline)[1:]) for baseline in baselines(table)}


def runs(table: pd.DataFrame) -> tuple[int, int] | None:
    """Fewest and most independent training runs behind a trained point; None if there is no point."""
    rows = table[(table["quantity"] == "trained") & np.isfinite(table["value"])]
    return (int(rows["units"].min()), int(rows["units"].max())) if len(rows) else None


def width_figure(tasks: Sequence[Widths], imprint: Imprint) -> Figure:
    """A row of two panels for each task: equilibrium and trained metric, and the advantage with a fitted line."""
    with styled():
        figure = new_figure(DOUBLE, 24 + 44 * len(tasks))
        panels = figure.subplots(len(tasks), 2, squeeze=False)
        letters = iter(_LETTERS)
        for (levels, advantage), task in zip(panels, tasks, strict=True):
            _levels(levels, task.table, "width")
            _advantages(advantage, task.table, "width")
            for axes, title in ((levels, task.title.replace(" · ", "\n")), (advantage, "advantage")):
                _width_axis(axes, task.table)
                panel_label(axes, next(letters), title)
        for axes in panels[:-1].flat:
            axes.set_xlabel("")
        _legend(figure, list(panels[:, 0]), tasks[0].confidence)
        return finish(figure, imprint)


def draw_size_panels(levels: Axes, advantage: Axes, table: pd.DataFrame) -> None:
    """Equilibrium and trained metric, and the advantage, against the number of train points; without a legend."""
    _levels(levels, table, "train_points")
    _advantages(advantage, table, "train_points")
    for axes in (levels, advantage):
        sizes = np.sort(table["train_points"].unique()).astype(int)
        _logarithmic(axes, sizes)
        axes.set_xlabel("train points")


def size_legend(figure: Figure, levels: Axes, confidence: float) -> None:
    """The legend of `draw_size_panels`, above the whole figure."""
    _legend(figure, [levels], confidence)


def _advantage(table: pd.DataFrame, baseline: str) -> pd.DataFrame:
    rows: pd.DataFrame = table[(table["quantity"] == "advantage") & (table["baseline"] == baseline)]
    return rows.dropna(subset="value")


def _shifts(table: pd.DataFrame) -> list[tuple[float, str]]:
    known = baselines(table)
    return [(_SHIFT * (2 * place - len(known) + 1), name) for place, name in enumerate(known)]


def _levels(axes: Axes, table: pd.DataFrame, x: str) -> None:
    rows = table[(table["quantity"] == "equilibrium") & np.isfinite(table["value"])]
    _points(axes, rows, x, "equilibrium", "D", 0.0)
    for shift, baseline in _shifts(table):
        rows = table[(table["quantity"] == "trained") & (table["baseline"] == baseline)]
        _points(axes, rows[np.isfinite(rows["value"])], x, baseline, MARKERS[baseline], shift)
    axes.set_ylabel(f"{METRIC_LABELS[str(table['metric'].iloc[0])].axis}\nat low training loss")


def _advantages(axes: Axes, table: pd.DataFrame, x: str) -> None:
    axes.axhline(0, color="black", linewidth=0.6)
    for shift, baseline in _shifts(table):
        rows = _advantage(table, baseline)
        offset, gradient, error = fit(table, baseline) if x == "width" else (np.nan, np.nan, np.nan)
        label = "_"
        if np.isfinite(gradient):
            label = with_error(gradient, error)
            ends = np.array([rows["width"].min(), rows["width"].max()])
            axes.plot(ends, offset + gradient * np.log2(ends), color=COLOURS[baseline], linewidth=0.8, linestyle="--")
        _points(axes, rows, x, baseline, MARKERS[baseline], shift, label)
    axes.set_ylabel(difference(str(table["metric"].iloc[0])))
    _name_missing(axes, table, x)
    if axes.get_legend_handles_labels()[1]:
        headroom(axes, 0.35)
        small = dict(fontsize=5.5, title_fontsize=5.5, handlelength=1.0, handletextpad=0.3, columnspacing=0.8)
        axes.legend(loc="upper right", ncols=2, title="slope per doubling of the width", **small)


def _legend(figure: Figure, panels: Sequence[Axes], confidence: float) -> None:
    """One legend above all panels; each series is named once."""
    known: dict[str, Any] = {}
    for axes in panels:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            known.setdefault(name, handle)
    place: dict[str, Any] = dict(loc="outside upper center", ncols=len(known), title_fontsize=6)
    figure.legend(list(known.values()), list(known), title=f"bars: {confidence:.0%} confidence intervals", **place)


def _points(
    axes: Axes, rows: pd.DataFrame, x: str, name: str, marker: str, shift: float, label: str | None = None
) -> None:
    """Points with their intervals, shifted sideways by a factor 2^shift so that bars stay apart."""
    if rows.empty:
        return
    bars = np.abs(rows[["low", "high"]].to_numpy() - rows[["value"]].to_numpy()).T
    drawn = axes.errorbar(
        rows[x] * 2.0**shift,
        rows["value"],
        bars,
        fmt=marker,
        color=COLOURS[name],
        markerfacecolor="white" if name in OPEN else COLOURS[name],
        markersize=4,
        markeredgewidth=0.9,
        elinewidth=0.9,
        capsize=2,
        label=label or LABELS[name],
    )
    drawn.lines[0].set_gid(name)


def _name_missing(axes: Axes, table: pd.DataFrame, x: str) -> None:
    """Say what has no point: no training run or no sampled state came into the low-loss region."""
    line = 0
    for baseline in baselines(table):
        rows = table[(table["quantity"] == "advantage") & (table["baseline"] == baseline)]
        missing = rows[x][~np.isfinite(rows["value"])]
        if len(missing):
            what = f"at {'width' if x == 'width' else 'size'} {', '.join(f'{value:g}' for value in missing)}"
            text = f"{LABELS[baseline]}: too few states at low loss {what}"
            place: dict[str, Any] = dict(xycoords="axes fraction", xytext=(4, 3 + 6 * line), textcoords="offset points")
            axes.annotate(text, (0, 0), **place, fontsize=5, color=COLOURS[baseline])
            line += 1
    low, high = axes.get_ylim()
    axes.set_ylim(low - 0.09 * line * (high - low), high)  # below the points


def _width_axis(axes: Axes, table: pd.DataFrame) -> None:
    _logarithmic(axes, np.sort(table["width"].unique()))
    axes.set_xlabel("width of the network")


def _logarithmic(axes: Axes, values: np.ndarray) -> None:
    """Logarithmic x axis with ticks at the values only."""
    axes.set_xscale("log", base=2)
    axes.set_xlim(values[0] / 2**0.3, values[-1] * 2**0.3)
    axes.set_xticks(values, [str(value) for value in values])
    axes.set_xticks([], minor=True)
