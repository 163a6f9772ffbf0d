"""Maps of S(ln L_train, test metric) and the curves that lie on them.

Every function takes the landscape file's Dataset or the table of curves as the verbs write them.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection, QuadMesh
from matplotlib.colors import Normalize
from matplotlib.patches import Patch

from entroscape.grid import dimensions
from entroscape.landscape.curves import column_entropy
from entroscape.landscape.diagnostics import unknown
from entroscape.landscape.metric import ACCURACY, Metric
from entroscape.plotting import labels
from entroscape.plotting.labels import LOSS_LABEL, metric_axis
from entroscape.plotting.style import BASELINES, COLOURS, LABELS, MARKERS, OPEN

COLOURMAP = "mako"  # of seaborn: perceptually uniform, readable without colour
UNKNOWN_LABEL = "S not known to ±1"


def bin_edges(centres: np.ndarray) -> np.ndarray:
    """Edges[n + 1] of n equal bins from their middles; rounded, so that equal grids have equal edges."""
    centres = np.asarray(centres, dtype=float)
    step = (centres[-1] - centres[0]) / (len(centres) - 1)
    return np.asarray(np.round(centres[0] + step * (np.arange(len(centres) + 1) - 0.5), 9))


def shown(landscape: xr.Dataset, conditional: bool = False) -> np.ma.MaskedArray:
    """What a map shows, [columns, rows], masked where nothing was visited.

    S itself, or `conditional`: S minus the ln of the whole volume at that loss, which is ln p(A | L), the logarithm
    of the distribution that the equilibrium curve is the mean of.
    """
    entropy = landscape["entropy"].to_numpy()
    if conditional:
        with np.errstate(invalid="ignore"):
            entropy = entropy - column_entropy(entropy)[:, None]
    return np.ma.masked_invalid(entropy)


def map_table(landscape: xr.Dataset, conditional: bool = False) -> pd.DataFrame:
    """The map as a table of its visited bins: x (ln L), y (test metric), entropy, entropy_err as `shown`.

    The error is that of S, also for a conditional map, whose own is slightly different.
    """
    values = shown(landscape, conditional)
    column, row = np.nonzero(~np.ma.getmaskarray(values))
    return pd.DataFrame(
        {
            "x": landscape["ln_train_loss"].to_numpy()[column],
            "y": landscape[dimensions(landscape)[1]].to_numpy()[row],
            "entropy": values.data[column, row],
            "entropy_err": landscape["entropy_err"].to_numpy()[column, row],
        }
    )


def draw_map(
    axes: Axes, landscape: xr.Dataset, *, conditional: bool = False, floor: float | None = None, contours: float = 0.0
) -> QuadMesh:
    """Draw the map with its exact bin edges; bins nobody visited stay blank, those hardly known are hatched.

    Colours run from `floor` (default: the lowest value that is shown) to the largest value; bins below take the
    darkest colour. Contour lines are drawn every `contours` units of S, none for 0.
    """
    x, y = (bin_edges(landscape[name].to_numpy()) for name in dimensions(landscape))
    values = shown(landscape, conditional)
    lowest = float(values.min()) if floor is None else floor
    mesh = axes.pcolormesh(x, y, values.T, cmap=COLOURMAP, norm=Normalize(lowest, float(values.max())), rasterized=True)
    if contours:
        levels = np.arange(0, lowest - contours, -contours)[::-1]
        middles = [landscape[name].to_numpy() for name in dimensions(landscape)]
        axes.contour(*middles, values.T, levels, colors="white", linewidths=0.3, linestyles="solid", alpha=0.7)
    _hatch(axes, unknown(landscape), x, y)
    visited = landscape["visited"].to_numpy()
    known, rows = (np.nonzero(visited.any(axis=axis))[0] for axis in (1, 0))
    axes.set(xlabel=LOSS_LABEL, xlim=(_left_end(landscape, x), x[known[-1] + 1]))
    discrete = dimensions(landscape)[1] == ACCURACY  # all attainable values are shown; an axis of bins ends somewhere
    axes.set_ylim((y[0], y[-1]) if discrete else (y[rows[0]], y[rows[-1] + 1]))
    metric_axis(axes, Metric.of(landscape))
    return mesh


def _hatch(axes: Axes, bins: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    corners = [
        [(x[i], y[j]), (x[i + 1], y[j]), (x[i + 1], y[j + 1]), (x[i], y[j + 1])]
        for i, j in zip(*np.nonzero(bins), strict=True)
    ]
    if corners:
        hatched = PolyCollection(corners, facecolor="none", edgecolor="#f2f2f2", linewidth=0.0, hatch="//////")
        hatched.set(gid="unknown", zorder=1.5)
        axes.add_collection(hatched)


def unknown_handle() -> Patch:
    """Legend entry of the hatched bins."""
    return Patch(facecolor="#303050", edgecolor="#f2f2f2", hatch="//////", linewidth=0.3, label=UNKNOWN_LABEL)


def lowest_reached(landscape: xr.Dataset) -> tuple[float, float]:
    """Lower edge in ln L of the lowest visited bin, and the lower end of what the sampler was to cover.

    That end is the lower edge of the lowest window, or of the whole axis where the procedure has no windows.
    """
    edges = bin_edges(landscape["ln_train_loss"].to_numpy())
    reached = edges[np.nonzero(landscape["visited"].to_numpy().any(axis=1))[0][0]]
    aimed = landscape["window_edges"].to_numpy().min() if "window_edges" in landscape else edges[0]
    return float(reached), float(aimed)


def _left_end(landscape: xr.Dataset, edges: np.ndarray) -> float:
    reached, aimed = lowest_reached(landscape)
    return max(min(reached, aimed), float(edges[0]))


def mark_end(axes: Axes, landscape: xr.Dataset) -> None:
    """Say where the map ends, if that is short of the lower end of the lowest window."""
    reached, aimed = lowest_reached(landscape)
    if reached < aimed + 1e-9:
        return
    axes.axvspan(aimed, reached, facecolor="#eeeeee", edgecolor="none", zorder=0)
    axes.axvline(reached, color=COLOURS["neutral"], linewidth=0.7, linestyle=(0, (1, 1)))
    what = "lowest window" if "window_edges" in landscape else "axis"
    text = f"not reached: map ends at {reached:.1f},\n{what} at {aimed:.1f}"
    axes.text((aimed + reached) / 2, 0.5, text, rotation=90, ha="center", va="center", fontsize=5, gid="map-end")


def curve(curves: pd.DataFrame, quantity: str, metric: str, baseline: str = "") -> pd.DataFrame:
    """Rows of one curve in order of ln L."""
    rows = curves[(curves["quantity"] == quantity) & (curves["baseline"] == baseline)]
    rows = rows[rows["metric"] == metric]
    return rows.sort_values("ln_train_loss", ignore_index=True)


def draw_curves(
    axes: Axes, curves: pd.DataFrame, quantities: Iterable[str], metric: str, *, halo: bool = False
) -> None:
    """Draw curves ("equilibrium", "maximum_entropy", "trained": all baselines) of a metric with one standard error.

    `halo` puts white below lines and symbols, so that they can be read on a map.
    """
    boxed = not curves["baseline"].str.endswith("shell").any()
    for quantity, baseline in _keys(quantities):
        rows = curve(curves, quantity, metric, baseline)
        if rows.empty:
            continue
        if quantity == "trained":
            _draw_trained(axes, rows, baseline, trained_label(rows, baseline, boxed=boxed), halo)
        else:
            label = f" {labels.LABELS[metric].mean}" if quantity == "equilibrium" else ""
            _draw_sampled(axes, rows, quantity, LABELS[quantity] + label, halo)


def _keys(quantities: Iterable[str]) -> list[tuple[str, str]]:
    return [(quantity, name) for quantity in quantities for name in (BASELINES if quantity == "trained" else ("",))]


def _draw_sampled(axes: Axes, rows: pd.DataFrame, quantity: str, label: str, halo: bool) -> None:
    x, value, error = (rows[name].to_numpy() for name in ("ln_train_loss", "value", "error"))
    main = quantity == "equilibrium"
    colour, width = COLOURS[quantity], 1.4 if main else 0.9
    style = "solid" if main else (0, (2.5, 1.2))
    if halo:
        axes.plot(x, value, color="white", linewidth=width + 1.2, zorder=2.6)
    if main or not halo:
        alpha = 0.3 if main else 0.12
        axes.fill_between(x, value - error, value + error, color=colour, alpha=alpha, linewidth=0, zorder=2.8)
    line = dict(color=colour, linewidth=width, linestyle=style, zorder=3 + main, gid=quantity)
    axes.plot(x, value, label=label, **line)


def _draw_trained(axes: Axes, rows: pd.DataFrame, baseline: str, label: str, halo: bool) -> None:
    colour = COLOURS[baseline]
    drawn = axes.errorbar(
        rows["ln_train_loss"],
        rows["value"],
        rows["error"],
        fmt=MARKERS[baseline],
        color=colour,
        markersize=2.6,
        markerfacecolor="white" if baseline in OPEN else colour,
        markeredgecolor=colour,
        markeredgewidth=0.7,
        elinewidth=0.8,
        label=label,
        zorder=3.5,
    )
    drawn.lines[0].set_gid(baseline)
    if halo:
        axes.plot(rows["ln_train_loss"], rows["value"], MARKERS[baseline], color="white", markersize=3.6, zorder=3.2)


def trained_label(rows: pd.DataFrame, baseline: str, *, boxed: bool) -> str:
    """Name of a baseline in a legend; for free training with a box, how much of it below ln L = -1 lies in there."""
    if baseline not in OPEN or not boxed:
        return LABELS[baseline]
    low = rows[rows["ln_train_loss"] < -1]  # above, many states are still near their start, which lies in the box
    share = np.average(low["inside"], weights=low["units"]) if len(low) else np.nan
    return f"{LABELS[baseline]}" + (f" ({share:.0%} in the box)" if np.isfinite(share) else "")


def curves_table(curves: pd.DataFrame, quantities: Iterable[str], metric: str) -> pd.DataFrame:
    """What `draw_curves` draws: series, x (ln L), y (the metric), y_err (one standard error), units, inside."""
    frames = []
    for quantity, baseline in _keys(quantities):
        rows = curve(curves, quantity, metric, baseline)
        names = {"ln_train_loss": "x", "value": "y", "error": "y_err"}
        series = f"{quantity} {baseline}".strip()
        frames.append(rows.rename(columns=names)[["x", "y", "y_err", "units", "inside"]].assign(series=series))
    return pd.concat(frames, ignore_index=True)[["series", "x", "y", "y_err", "units", "inside"]]
