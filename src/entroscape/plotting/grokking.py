"""Landscapes of modular arithmetic: what lies between memorising and generalising, and how far training lags."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.ticker import StrMethodFormatter

from entroscape.analysis import barrier
from entroscape.config.sampler import Axis
from entroscape.config.schema import Analysis
from entroscape.grid import Grid
from entroscape.landscape import jackknife
from entroscape.landscape.metric import ACCURACY, JUDGED, Metric, judged_map
from entroscape.plotting.imprint import Imprint
from entroscape.plotting.labels import LABELS, LOSS_LABEL, difference
from entroscape.plotting.landscape import bin_edges, curve, curves_table, draw_curves, draw_map, map_table, mark_end
from entroscape.plotting.overview import ALL, shared_legend
from entroscape.plotting.style import (
    BASELINES,
    COLOURS,
    DOUBLE,
    MARKERS,
    OPEN,
    finish,
    headroom,
    new_figure,
    panel_label,
    panels_of,
    styled,
)
from entroscape.plotting.style import LABELS as NAMES

PROFILES = 4  # losses at which S is drawn against the accuracy
STATISTICS = {
    "largest_drop": "largest drop of $S$",
    "valley": "deepest valley of $S$",
    "jump": "jump of the equilibrium",
}
OF_BARRIER = [*STATISTICS, "path_barrier"]
_TICKS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # of drops of S
_LETTERS = "abcdefghijkl"
_TASKS = tuple(sns.color_palette("colorblind").as_hex()[k] for k in (0, 3, 2, 4))
_TASK_MARKERS = ("o", "s", "^", "D")
SHELL = "adamw shell"
_SHELL = sns.color_palette("crest", 3).as_hex()[1]  # where box and shell, which otherwise look alike, are together
_SHADES = "flare"  # of losses, from high to low
_SHADED = dict(color=COLOURS["faint"], alpha=0.3, linewidth=0, zorder=0)


@dataclass(frozen=True)
class Task:
    """One landscape: its name, curves and low-loss averages as the verbs write them, and how claims read it."""

    title: str
    landscape: xr.Dataset
    curves: pd.DataFrame
    low_loss: pd.DataFrame
    analysis: Analysis
    width: int = 0

    @cached_property
    def grid(self) -> Grid:
        """Bins of the landscape."""
        edges = bin_edges(self.landscape["ln_train_loss"].to_numpy())
        width = float(np.round((edges[-1] - edges[0]) / (len(edges) - 1), 9))
        return Grid.of_landscape(self.landscape, Axis(min=float(edges[0]), max=float(edges[-1]), bin_width=width))

    @property
    def averages(self) -> pd.DataFrame:
        """The low-loss numbers but for those of `entroscape.analysis.barrier`."""
        return self.low_loss[~self.low_loss["quantity"].isin(OF_BARRIER)]

    @cached_property
    def by_column(self) -> pd.DataFrame:
        """Largest drop, valley and jump of each column."""
        return barrier.by_column(self.landscape, self.grid, self.analysis)

    @cached_property
    def profiles(self) -> pd.DataFrame:
        """S against the true accuracy at a few losses of the low-loss region, relative to its maximum there.

        Columns ln_train_loss, y, entropy, entropy_err: the error is that of the difference from the maximum.
        """
        frames: list[pd.DataFrame] = []
        judged = judged_map(self.landscape)
        if judged is None:
            return pd.DataFrame(columns=["ln_train_loss", "y", "entropy", "entropy_err"])
        whole, left_out, y = judged.entropy, judged.left_out, judged.lower
        for column in self._columns():
            known = np.isfinite(whole[column]) & np.isfinite(left_out[:, column]).all(axis=0)
            if not known.any():
                continue
            best = int(np.where(known, whole[column], -np.inf).argmax())
            value = whole[column, known] - whole[column, best]
            error = jackknife.error(left_out[:, column, known].astype(float) - left_out[:, column, [best]])
            frame = {"ln_train_loss": self.grid.x_centres[column], "y": y[known], "entropy": value}
            frames.append(pd.DataFrame(frame | {"entropy_err": error}))
        columns = ["ln_train_loss", "y", "entropy", "entropy_err"]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)

    def _columns(self) -> np.ndarray:
        """Columns of the low-loss region that were visited, a few that lie apart, from high to low loss."""
        x, (lower, upper) = self.grid.x_centres, self.analysis.low_loss
        visited = self.landscape["visited"].to_numpy().any(axis=1)
        inside = np.nonzero(visited & (x > lower) & (x < upper))[0]
        if not len(inside):
            return inside
        return np.unique(inside[np.linspace(0, len(inside) - 1, PROFILES).round().astype(int)])[::-1]


def barrier_figure(tasks: Sequence[Task], bounds: Mapping[str, float], imprint: Imprint) -> Figure:
    """A column for each task: S with all curves, and S against the accuracy at a few low losses.

    Below, for all tasks, the drops and valleys of S at each loss, and the jumps of the equilibrium curve, with the
    `bounds` that claims about "largest_drop", "valley" and "jump" are judged by.
    """
    with styled():
        figure = new_figure(DOUBLE, 172)
        grid = figure.add_gridspec(3, max(3, len(tasks)), height_ratios=[1.15, 0.95, 0.85])
        letters = iter(_LETTERS)
        maps = draw_maps(figure, _row_of(figure, grid, 0, len(tasks)), tasks, letters)
        draw_profiles(_row_of(figure, grid, 1, len(tasks)), tasks, letters)
        for column, (quantity, title) in enumerate(STATISTICS.items()):
            axes = figure.add_subplot(grid[2, column])
            draw_statistic(axes, tasks, quantity, bounds)
            axes.set_xlim(maps[0].get_xlim())
            panel_label(axes, next(letters), title)
        compact: dict[str, Any] = dict(fontsize=5.5, handletextpad=0.2, borderpad=0.2, labelspacing=0.2)
        axes.legend(loc="lower right", framealpha=0.8, frameon=True, edgecolor="none", fancybox=False, **compact)
        shared_legend(figure, maps)
        return finish(figure, imprint)


def shell_figure(tasks: Sequence[Task], free: Task | None, imprint: Imprint) -> Figure:
    """Landscapes on the shell for each width; below, the gap between equilibrium and training.

    `free` is the landscape of the same task in the box, if there is one: its baselines are drawn for comparison.
    """
    with styled():
        figure = new_figure(DOUBLE, 128)
        rows = figure.add_gridspec(2, 1, height_ratios=[1.1, 1.0])
        letters = iter(_LETTERS)
        above = panels_of(rows[0], 1, len(tasks), sharex=True, sharey=True)
        maps = draw_maps(figure, above, tasks, letters)
        by_loss, averages, lowest = panels_of(rows[1], 1, 3)
        shown = _gaps_shown(tasks, free)
        _gaps_by_loss(by_loss, shown)
        by_loss.axvspan(*tasks[0].analysis.low_loss, **_SHADED)
        _averages(averages, tasks, free, "advantage")
        averages.axhline(0, color="black", linewidth=0.6)
        averages.set_ylabel("mean gap at low loss")
        _averages(lowest, tasks, free, "lowest_trained")
        memorising = tasks[0].analysis.memorising
        if memorising is not None:
            lowest.axhspan(0, memorising, **_SHADED)
            lowest.text(0.03, memorising / 2, "memorising", transform=lowest.get_yaxis_transform(), va="center")
        lowest.set(ylabel="lowest accuracy of\ntraining at low loss", ylim=(0, 1.02))
        titles = "gap at matched loss", "mean gap", "severe memorisation"
        for axes, title in zip((by_loss, averages, lowest), titles, strict=True):
            panel_label(axes, next(letters), title)
        for axes, room in ((by_loss, 0.6), (averages, 0.35)):
            headroom(axes, room)
            axes.legend(loc="upper left", fontsize=5.5, handlelength=1.2)
        shared_legend(figure, maps)
        return finish(figure, imprint)


def _row_of(figure: Figure, grid: GridSpec, row: int, columns: int) -> list[Axes]:
    """Panels in a row of a grid, with common axes."""
    first = figure.add_subplot(grid[row, 0])
    return [first, *(figure.add_subplot(grid[row, k], sharex=first, sharey=first) for k in range(1, columns))]


def draw_maps(figure: Figure, panels: list[Axes], tasks: Sequence[Task], letters: Iterator[str]) -> list[Axes]:
    """Maps with all curves in panels side by side that share their axes, in the same colours."""
    lowest = min(float(task.landscape["entropy"].where(task.landscape["visited"]).min()) for task in tasks)
    limits = []
    for axes, task in zip(panels, tasks, strict=True):
        mesh = draw_map(axes, task.landscape, floor=lowest, contours=contour_step(lowest))
        draw_curves(axes, task.curves, ALL, Metric.of(task.landscape).name, halo=True)
        limits.append((*axes.get_xlim(), *axes.get_ylim()))
        mark_end(axes, task.landscape)
        panel_label(axes, next(letters), task.title)
    lower, upper = np.min(limits, axis=0), np.max(limits, axis=0)
    panels[0].set(xlim=(lower[0], upper[1]), ylim=(lower[2], upper[3]))
    _inner(panels)
    symbol = LABELS[Metric.of(tasks[0].landscape).name].symbol
    bar = figure.colorbar(mesh, ax=panels, pad=0.01, aspect=22)
    bar.set_label(f"$S(\\ln L_\\mathrm{{train}}, {symbol})$")
    return panels


def contour_step(lowest: float) -> float:
    """A round distance of some ten contour lines between `lowest` and 0, in units of S."""
    rough = max(-lowest, 1e-3) / 12
    power = 10.0 ** np.floor(np.log10(rough))
    return float(power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough))


def draw_profiles(panels: list[Axes], tasks: Sequence[Task], letters: Iterator[str]) -> None:
    """S against the accuracy at a few losses, a panel for each task; memorising and generalising states are shaded."""
    for axes, task in zip(panels, tasks, strict=True):
        _profiles(axes, task)
        panel_label(axes, next(letters), "at low loss")
        axes.set_xlabel(LABELS[ACCURACY].axis)
    panels[0].set_ylabel("$S - \\max S$ at this loss,\n± one standard error")
    _inner(panels)


def _profiles(axes: Axes, task: Task) -> None:
    drawn = task.profiles
    losses = list(dict.fromkeys(drawn["ln_train_loss"]))
    for loss, colour in zip(losses, sns.color_palette(_SHADES, max(len(losses), 1)), strict=False):
        rows = drawn[drawn["ln_train_loss"] == loss]
        label = f"{loss:.2f}".replace("-", "−")
        axes.plot(rows["y"], rows["entropy"], color=colour, linewidth=1.0, label=label, gid="profile")
        low, high = (rows["entropy"] + sign * rows["entropy_err"] for sign in (-1, 1))
        axes.fill_between(rows["y"], low, high, color=colour, alpha=0.3, linewidth=0)
    settings = task.analysis
    if settings.memorising is not None:
        axes.axvspan(0, settings.memorising, **_SHADED)
    axes.axvspan(settings.generalising, 1, **_SHADED)
    if losses:
        axes.legend(title="ln $L_\\mathrm{train}$", loc="best", fontsize=5.5, title_fontsize=5.5, ncols=2)
    else:
        axes.text(0.5, 0.5, "not reached", transform=axes.transAxes, ha="center", color=COLOURS["neutral"])


def draw_statistic(axes: Axes, tasks: Sequence[Task], quantity: str, bounds: Mapping[str, float]) -> None:
    """A statistic of each column with its confidence interval, for all tasks, and the bound that claims are judged by.

    The region of its loss that claims use is shaded for the largest drop, which they look for there alone.
    """
    for number, task in enumerate(tasks):
        rows = task.by_column[task.by_column["quantity"] == quantity]
        shift = 0.22 * task.grid.bin_width * (number - (len(tasks) - 1) / 2)
        bars = np.abs(rows[["low", "high"]].to_numpy(dtype=float) - rows[["value"]].to_numpy(dtype=float)).T
        style = dict(color=_TASKS[number], fmt=_TASK_MARKERS[number], markersize=1.8, elinewidth=0.6)
        drawn = axes.errorbar(rows["ln_train_loss"] + shift, rows["value"], bars, label=task.title, **style)
        drawn.lines[0].set_gid(quantity)
    for sign in () if quantity not in bounds else (-1, 1) if quantity == "jump" else (1,):
        axes.axhline(sign * bounds[quantity], color=COLOURS["warning"], linewidth=0.8, linestyle=":")
    axes.axhline(0, color="black", linewidth=0.5)
    if quantity == "largest_drop":
        axes.axvspan(*tasks[0].analysis.low_loss, **_SHADED)
    if quantity == "jump":
        reach = 1.1 * float(np.abs(axes.get_ylim()).max())
        axes.set_ylim(-reach, reach)
    else:
        _drop_axis(axes)
    axes.set(xlabel=LOSS_LABEL, ylabel="$\\Delta S$" if quantity == "largest_drop" else "")


def _drop_axis(axes: Axes) -> None:
    """A scale on which small drops of S, which decide, can be told apart, and large ones are seen as well."""
    axes.set_yscale("symlog", linthresh=4, linscale=1.5)
    top = max(axes.get_ylim()[1], 3.0)
    axes.set_ylim(-0.3, top)
    axes.set_yticks([tick for tick in _TICKS if tick <= top], minor=False)
    axes.set_yticks([], minor=True)
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _inner(panels: Sequence[Axes]) -> None:
    for axes in panels[1:]:
        axes.set_ylabel("")
        axes.tick_params(labelleft=False)


def _gaps_shown(tasks: Sequence[Task], free: Task | None) -> list[tuple[str, str, pd.DataFrame]]:
    """Label, colour and curve of each gap of the judged metric: of the box, then of the shell by width."""
    found = []
    for baseline in BASELINES:
        rows = _judged(free.curves, baseline) if free is not None else pd.DataFrame()
        if len(rows) and free is not None:
            found.append((f"{free.title}: {NAMES[baseline]}", COLOURS[baseline], rows))
    shades = sns.color_palette("crest", len(tasks)).as_hex()
    for task, colour in zip(tasks, shades, strict=True):
        rows = _judged(task.curves, SHELL)
        if len(rows):
            found.append((f"shell, width {task.width}", colour, rows))
    return found


def _judged(curves: pd.DataFrame, baseline: str) -> pd.DataFrame:
    metric = next(name for name in JUDGED if name in set(curves["metric"]))
    return curve(curves, "advantage", metric, baseline)


def _gaps_by_loss(axes: Axes, shown: Sequence[tuple[str, str, pd.DataFrame]]) -> None:
    axes.axhline(0, color="black", linewidth=0.6)
    for label, colour, rows in shown:
        x, value, error = (rows[name].to_numpy() for name in ("ln_train_loss", "value", "error"))
        axes.plot(x, value, color=colour, linewidth=1.0, label=label, gid="gap")
        axes.fill_between(x, value - error, value + error, color=colour, alpha=0.25, linewidth=0)
    axes.set(xlabel=LOSS_LABEL, ylabel=difference(JUDGED[0]).replace("advantage", "gap"))


def averages(tasks: Sequence[Task], free: Task | None, quantity: str) -> pd.DataFrame:
    """A low-loss number with its confidence interval for each width and baseline: width, baseline, value, low, high.

    Of the shell only its own baseline counts; of the box all are there.
    """
    frames = []
    for task in (*([free] if free is not None else []), *tasks):
        rows = task.low_loss[(task.low_loss["quantity"] == quantity) & task.low_loss["metric"].isin(JUDGED)]
        rows = rows[rows["baseline"] == SHELL] if task is not free else rows
        half = jackknife.half_width(rows["error"], rows["dof"], task.analysis.confidence)
        ends = {"low": rows["value"] - half, "high": rows["value"] + half}
        for name, plain in ends.items():
            ends[name] = rows[name].fillna(plain) if name in rows else plain
        frames.append(rows[["baseline", "value"]].assign(width=task.width, **ends))
    return pd.concat(frames, ignore_index=True)[["width", "baseline", "value", "low", "high"]]


def _averages(axes: Axes, tasks: Sequence[Task], free: Task | None, quantity: str) -> None:
    """Low-loss numbers against the width, with confidence intervals; those of the box beside the width it has."""
    table = averages(tasks, free, quantity)
    known = [baseline for baseline in BASELINES if baseline in set(table["baseline"])]
    for number, baseline in enumerate(known):
        rows = table[table["baseline"] == baseline]
        x = rows["width"] * 2.0 ** (0.06 * (2 * number - len(known) + 1))
        bars = np.abs(rows[["low", "high"]].to_numpy(dtype=float) - rows[["value"]].to_numpy(dtype=float)).T
        colour = _SHELL if baseline == SHELL else COLOURS[baseline]
        face, marker = "white" if baseline in OPEN else colour, "h" if baseline == SHELL else MARKERS[baseline]
        style = dict(fmt=marker, color=colour, markerfacecolor=face, elinewidth=0.9, capsize=2)
        axes.errorbar(x, rows["value"], bars, label=NAMES[baseline], markersize=4, **style)
    values = np.sort(table["width"].unique())
    axes.set_xscale("log", base=2)
    axes.set_xlim(values[0] / 2**0.4, values[-1] * 2**0.4)
    axes.set_xticks(values, [str(value) for value in values])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("width $d_\\mathrm{model}$")


def statistic_numbers(task: Task) -> pd.DataFrame:
    """The quantities of `entroscape.analysis.barrier` for reading: value, interval, edges in ln L of their columns."""
    rows = task.low_loss[task.low_loss["quantity"].isin(OF_BARRIER)]
    shown = rows[["quantity", "metric"]].copy()
    for name in ("value", "low", "high"):
        shown[name] = [f"{one:.3g}".replace("-", "−") if np.isfinite(one) else "–" for one in rows[name]]
    edges = rows[["lower", "upper"]].to_numpy()
    shown["ln L"] = [f"{low:g} … {high:g}".replace("-", "−") if np.isfinite(low) else "–" for low, high in edges]
    return shown


def barrier_table(tasks: Sequence[Task]) -> pd.DataFrame:
    """All that `barrier_figure` draws, a row per bin or point, with the letter of its panel."""
    frames = _maps_table(tasks, _LETTERS)
    for task, letter in zip(tasks, _LETTERS[len(tasks) :], strict=False):
        frames.append(task.profiles.rename(columns={"ln_train_loss": "x"}).assign(panel=letter, series="S - max S"))
        frames[-1]["task"] = task.title
    for quantity, letter in zip(STATISTICS, _LETTERS[2 * len(tasks) :], strict=False):
        for task in tasks:
            rows = task.by_column[task.by_column["quantity"] == quantity]
            named = {"ln_train_loss": "x", "value": "y", "quantity": "series"}
            frames.append(rows.rename(columns=named).assign(panel=letter, task=task.title))
    return _joined(frames)


def shell_table(tasks: Sequence[Task], free: Task | None) -> pd.DataFrame:
    """All that `shell_figure` draws."""
    frames = _maps_table(tasks, _LETTERS)
    letters = iter(_LETTERS[len(tasks) :])
    letter = next(letters)
    for label, _, rows in _gaps_shown(tasks, free):
        named = rows.rename(columns={"ln_train_loss": "x", "value": "y", "error": "y_err"})
        frames.append(named[["x", "y", "y_err", "units"]].assign(panel=letter, series="gap", task=label))
    for quantity in ("advantage", "lowest_trained"):
        rows = averages(tasks, free, quantity).rename(columns={"width": "x", "value": "y", "baseline": "task"})
        frames.append(rows.assign(panel=next(letters), series=quantity))
    return _joined(frames)


def _maps_table(tasks: Sequence[Task], letters: str) -> list[pd.DataFrame]:
    frames = []
    for task, letter in zip(tasks, letters, strict=False):
        metric = Metric.of(task.landscape).name
        for part in (map_table(task.landscape).assign(series="S"), curves_table(task.curves, ALL, metric)):
            frames.append(part.assign(panel=letter, task=task.title))
    return frames


def _joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    columns = ["panel", "task", "series", "x", "y", "y_err", "low", "high", "units", "inside", "entropy", "entropy_err"]
    return pd.concat([frame for frame in frames if len(frame)], ignore_index=True).reindex(columns=columns)
