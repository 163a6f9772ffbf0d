"""How the advantage of equilibrium over training depends on the width of the network."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from entroscape.analysis.claims import slope
from entroscape.landscape.jackknife import half_width
from entroscape.plotting.imprint import Imprint
from entroscape.plotting.style import (
    BASELINES,
    COLOURS,
    DOUBLE,
    LABELS,
    MARKERS,
    finish,
    headroom,
    new_figure,
    panel_label,
    styled,
)
from entroscape.plotting.tables import with_error


def width_table(low_loss: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """What the figure draws: equilibrium, trained and advantage by width, with Student's t intervals.

    Takes the concatenated low-loss tables; columns width, quantity, baseline, value, error (standard error), dof,
    low, high (ends of the interval at level `confidence`), lower, upper (edges in ln L of the region used).
    """
    table = low_loss[low_loss["quantity"].isin(["equilibrium", "trained", "advantage"])].copy()
    half = half_width(table["error"], table["dof"], confidence)
    table["low"], table["high"] = table["value"] - half, table["value"] + half
    columns = ["width", "quantity", "baseline", "value", "error", "units", "dof", "low", "high", "lower", "upper"]
    return table.sort_values(["quantity", "baseline", "width"], ignore_index=True)[columns]


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


def slopes(table: pd.DataFrame) -> dict[str, str]:
    """Slope and standard error of the fitted line for each baseline, for reading."""
    return {LABELS[baseline]: with_error(*fit(table, baseline)[1:]) for baseline in BASELINES}


def runs(table: pd.DataFrame) -> tuple[int, int] | None:
    """Fewest and most independent training runs behind a trained point; None if there is no point."""
    rows = table[(table["quantity"] == "trained") & np.isfinite(table["value"])]
    return (int(rows["units"].min()), int(rows["units"].max())) if len(rows) else None


def width_figure(table: pd.DataFrame, confidence: float, imprint: Imprint) -> Figure:
    """Two panels from `width_table`: (a) equilibrium and trained accuracy, (b) the advantage with a fitted line."""
    with styled():
        figure = new_figure(DOUBLE, 72)
        left, right = figure.subplots(1, 2)
        _accuracies(left, table)
        _advantages(right, table, confidence)
        titles = "equilibrium and training", "advantage at matched training loss"
        for axes, letter, title in zip((left, right), "ab", titles, strict=True):
            _width_axis(axes, table)
            panel_label(axes, letter, title)
        return finish(figure, imprint)


def _advantage(table: pd.DataFrame, baseline: str) -> pd.DataFrame:
    rows: pd.DataFrame = table[(table["quantity"] == "advantage") & (table["baseline"] == baseline)]
    return rows.dropna(subset="value")


def _accuracies(axes: Axes, table: pd.DataFrame) -> None:
    rows = table[(table["quantity"] == "equilibrium") & np.isfinite(table["value"])]
    _points(axes, rows, "equilibrium", "D", 0.0)
    for shift, baseline in zip((-0.04, 0.04), BASELINES, strict=True):
        rows = table[(table["quantity"] == "trained") & (table["baseline"] == baseline)]
        _points(axes, rows[np.isfinite(rows["value"])], baseline, MARKERS[baseline], shift)
    axes.set_ylabel("mean test accuracy at low training loss")
    headroom(axes, 0.35)
    axes.legend(loc="upper left")


def _advantages(axes: Axes, table: pd.DataFrame, confidence: float) -> None:
    axes.axhline(0, color="black", linewidth=0.6)
    for shift, baseline in zip((-0.04, 0.04), BASELINES, strict=True):
        rows = _advantage(table, baseline)
        offset, gradient, error = fit(table, baseline)
        label = LABELS[baseline]
        if np.isfinite(gradient):
            label += f": slope {with_error(gradient, error)} per doubling"
            ends = np.array([rows["width"].min(), rows["width"].max()])
            axes.plot(ends, offset + gradient * np.log2(ends), color=COLOURS[baseline], linewidth=0.8, linestyle="--")
        _points(axes, rows, baseline, MARKERS[baseline], shift, label)
    _name_missing(axes, table)
    axes.set_ylabel("advantage ⟨A⟩ − $A_\\mathrm{trained}$")
    headroom(axes, 0.25)
    axes.legend(
        loc="upper right", alignment="left", title=f"bars: {confidence:.0%} confidence intervals", title_fontsize=6
    )


def _points(axes: Axes, rows: pd.DataFrame, name: str, marker: str, shift: float, label: str | None = None) -> None:
    """Points with their intervals, shifted sideways by a factor 2^shift so that bars stay apart."""
    if rows.empty:
        return
    bars = np.abs(rows[["low", "high"]].to_numpy() - rows[["value"]].to_numpy()).T
    drawn = axes.errorbar(
        rows["width"] * 2.0**shift,
        rows["value"],
        bars,
        fmt=marker,
        color=COLOURS[name],
        markerfacecolor="white" if name == "free" else COLOURS[name],
        markersize=4,
        markeredgewidth=0.9,
        elinewidth=0.9,
        capsize=2,
        label=label or LABELS[name],
    )
    drawn.lines[0].set_gid(name)


def _name_missing(axes: Axes, table: pd.DataFrame) -> None:
    """Say which widths have no point: no training run or no sampled state came into the low-loss region."""
    for line, baseline in enumerate(BASELINES):
        rows = table[(table["quantity"] == "advantage") & (table["baseline"] == baseline)]
        widths = rows["width"][~np.isfinite(rows["value"])]
        if len(widths):
            text = f"{LABELS[baseline]}: too few states at low loss at width {', '.join(map(str, widths))}"
            axes.text(0.02, 0.03 + 0.05 * line, text, transform=axes.transAxes, fontsize=5, color=COLOURS[baseline])


def _width_axis(axes: Axes, table: pd.DataFrame) -> None:
    widths = np.sort(table["width"].unique())
    axes.set_xscale("log", base=2)
    axes.set_xlim(widths[0] / 2**0.3, widths[-1] * 2**0.3)
    axes.set_xticks(widths, [str(width) for width in widths])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("width (neurons per hidden layer)")
