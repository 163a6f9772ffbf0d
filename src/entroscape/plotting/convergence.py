"""Has the sampler converged? What should agree, drawn from the tables of `entroscape.landscape.cross_checks`."""

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import seaborn as sns
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from scipy import stats

from entroscape.landscape import convergence, cross_checks
from entroscape.plotting.imprint import Imprint
from entroscape.plotting.labels import LOSS_LABEL
from entroscape.plotting.style import COLOURS, DOUBLE, finish, headroom, new_figure, panel_label, panels_of, styled

Z_RANGE = 5.0  # z beyond it are counted in the outermost bins
TITLES = ("map against production", "independent replicas", "neighbouring windows", "exchanges between windows")
_REPLICA_MARKERS = "osD^v<>P"
LETTERS = "abcdefghijklmnopq"


@dataclass(frozen=True)
class Tables:
    """What is drawn of one landscape; see the functions of the same names in `entroscape.landscape.cross_checks`.

    `comparison` with the published procedure is None where there is none.
    """

    deviation: pd.DataFrame
    agreement: pd.DataFrame
    overlaps: pd.DataFrame
    spread: pd.DataFrame
    windows: pd.DataFrame
    comparison: pd.DataFrame | None
    dof: int
    round_trips: tuple[int, ...]

    @classmethod
    def of(cls, landscape: xr.Dataset, published: xr.Dataset | None = None) -> "Tables":
        """Tables of a landscape of windows, and of the same network's by the published procedure."""
        return cls(
            cross_checks.deviation(landscape),
            cross_checks.agreement(landscape),
            cross_checks.overlaps(landscape),
            cross_checks.spread(landscape),
            cross_checks.windows(landscape),
            None if published is None else cross_checks.comparison(landscape, published),
            cross_checks.agreement_dof(landscape),
            tuple(int(trips) for trips in landscape["round_trips"].sum("configuration")),
        )

    def tidy(self) -> pd.DataFrame:
        """One table for the CSV: the panel and what its rows belong to, then the columns of all tables."""
        panels = {"a": self.deviation, "b": self.agreement, "c, d": self.overlaps}
        if self.comparison is not None:
            panels["e, f"] = self.comparison
        return pd.concat([table.assign(panel=panel) for panel, table in panels.items()], ignore_index=True)[
            ["panel", *dict.fromkeys(name for table in panels.values() for name in table.columns)]
        ]


def landscape_page(landscape: xr.Dataset, imprint: Imprint) -> Figure:
    """Convergence of one landscape in six panels; the verdict stands below."""
    tables = Tables.of(landscape)
    with styled():
        figure = new_figure(DOUBLE, 112)
        panels = figure.subplots(2, 3)
        draw = (_deviation, _agreement, _mismatch, _exchanges, _spread, _flatness)
        titles = (*TITLES, "spread between ladders", "histogram of production")
        for axes, function, letter, title in zip(panels.flat, draw, LETTERS, titles, strict=False):
            function(axes, tables)
            panel_label(axes, letter, title)
        verdict = convergence.judge(landscape).sentence or "converged"
        title = textwrap.fill(f"{convergence.name(landscape).replace('_', ' ')}: {verdict}", 125)
        figure.suptitle(title, fontsize=7, x=0.01, ha="left")
        return finish(figure, imprint)


def draw_landscape(place: SubplotSpec, letters: Iterator[str], tables: Tables) -> None:
    """Six panels: (a) production, (b) replicas, (c) overlaps, (d) exchanges, (e, f) against the published procedure."""
    draw: list[Callable[[Axes, Tables], None]] = [_deviation, _agreement, _mismatch, _exchanges]
    titles = list(TITLES)
    if tables.comparison is None:
        draw, titles = [*draw, _spread, _flatness], [*titles, "spread between ladders", "histogram of production"]
    else:
        draw += [_profiles, _equilibria]
        titles += ["volume, published procedure", "⟨A⟩, published procedure"]
    for axes, function, letter, title in zip(panels_of(place, 2, 3), draw, letters, titles, strict=False):
        function(axes, tables)
        panel_label(axes, letter, title)


def _deviation(axes: Axes, tables: Tables) -> None:
    table = tables.deviation[tables.deviation["share"] < 1]  # the last is the map itself
    windows = sorted(set(table["window"]) - {-1})
    for window, colour in zip(windows, sns.color_palette("mako", len(windows) + 1), strict=False):
        rows = table[table["window"] == window]
        label = "single windows" if window == windows[0] else None
        axes.plot(rows["share"], rows["rms"], color=colour, linewidth=0.7, alpha=0.8, label=label)
    whole = table[table["window"] == -1]
    style = dict(color=COLOURS["equilibrium"], markersize=3.5, zorder=3)
    axes.plot(whole["share"], whole["rms"], "o-", label="whole map", gid="deviation", **style)
    axes.plot(whole["share"], whole["expected"], "--", color="black", label="from reported errors", zorder=4)
    axes.set(xlabel="share of production", ylabel="rms of $S - S_\\mathrm{final}$")
    axes.set(yscale="log", xlim=(0, 1))
    axes.legend(loc="best")


def _agreement(axes: Axes, tables: Tables) -> None:
    z = tables.agreement["z"].to_numpy()
    z = z[np.isfinite(z)]
    if not len(z):
        _raw_agreement(axes, tables.agreement["difference"].to_numpy())
        return
    bins = list(np.linspace(-Z_RANGE, Z_RANGE, 41))
    axes.hist(np.clip(z, -Z_RANGE, Z_RANGE), bins, density=True, color=COLOURS["faint"], label="bins of the map")
    x = np.linspace(-Z_RANGE, Z_RANGE, 401)
    axes.plot(x, stats.t.pdf(x, tables.dof), color="black", label=f"Student's $t$, {tables.dof} d.o.f.")
    axes.plot(x, stats.norm.pdf(x), color=COLOURS["box"], linestyle="--", linewidth=0.8, label="unit normal")
    within, expected = cross_checks.share_within(z), cross_checks.share_expected(tables.dof)
    axes.set(xlabel="$(S_1 - S_2)\\,/\\,\\sigma$", ylabel="density", xlim=(-Z_RANGE, Z_RANGE))
    headroom(axes, 0.6)
    axes.legend(
        loc="upper left", alignment="left", title=f"within 2σ: {within:.1%}, expected {expected:.1%}", title_fontsize=6
    )


def _raw_agreement(axes: Axes, difference: np.ndarray) -> None:
    """With one walker per window a replica has no error of its own."""
    axes.hist(difference, 40, color=COLOURS["faint"])
    axes.set(xlabel="$S_1 - S_2$", ylabel="bins of the map")
    headroom(axes, 0.4)
    text = "a replica has one walker in each window\nand so no error of its own"
    axes.text(0.03, 0.97, text, transform=axes.transAxes, va="top", fontsize=5.5)


def _mismatch(axes: Axes, tables: Tables) -> None:
    table = tables.overlaps
    tilt = np.abs(table["tilt"] / table["tilt_err"])
    x = table["overlap"]
    axes.plot(x, table["rms_in_errors"], "o", color=COLOURS["box"], markersize=4, label="rms of the difference")
    axes.plot(x, tilt, "D", color=COLOURS["free"], markersize=3, label="difference of slopes")
    if np.isfinite(table["expected"]).all() and len(table):
        expected = table["expected"].iloc[0]
        axes.axhline(expected, color="black", linewidth=0.8, linestyle="--", label="rms to be expected")
    axes.set_ylabel("mismatch / σ")
    axes.set_ylim(0, max(2.0, np.nanmax([table["rms_in_errors"].max(), tilt.max(), 0.0])))
    headroom(axes, 0.5)
    axes.legend(loc="upper left")
    _name_overlaps(axes, table)


def _exchanges(axes: Axes, tables: Tables) -> None:
    table = tables.overlaps
    names = [name for name in table.columns if name.startswith("exchange_")]
    colours = sns.color_palette("colorblind", len(names))
    for number, (name, colour) in enumerate(zip(names, colours, strict=True)):
        label = f"replica {number + 1}: {tables.round_trips[number]} round trips"
        marker = _REPLICA_MARKERS[number % len(_REPLICA_MARKERS)]
        axes.plot(table["overlap"], table[name], f"{marker}-", color=colour, linewidth=0.6, markersize=3.5, label=label)
    axes.set_ylabel("accepted share of exchanges")
    top = np.nanmax([table[names].to_numpy().max(initial=0), 1e-3])
    axes.set_ylim(0, 1.1 * top)
    headroom(axes, 0.12 * len(names) + 0.1)
    axes.legend(loc="upper left")
    _name_overlaps(axes, table)


def _name_overlaps(axes: Axes, table: pd.DataFrame) -> None:
    names = [f"{lower:g} …\n{upper:g}".replace("-", "−") for lower, upper in table[["lower", "upper"]].to_numpy()]
    axes.set_xticks(table["overlap"], names)
    axes.set(xlabel="overlap, from … to ln $L$", xlim=(0.5, max(len(table), 1) + 0.5))


def _spread(axes: Axes, tables: Tables) -> None:
    table = tables.spread
    axes.plot(table["ln_train_loss"], table["spread"], color=COLOURS["free"], label="between single ladders")
    axes.plot(table["ln_train_loss"], table["error"], color=COLOURS["box"], label="error of the mean")
    axes.set(xlabel=LOSS_LABEL, ylabel="median over the bins at a loss", yscale="log")
    axes.legend(loc="best")


def _flatness(axes: Axes, tables: Tables) -> None:
    table = tables.windows
    axes.bar(table["window"], table["flatness"], width=0.6, color=COLOURS["faint"])
    names = [f"{low:g} …\n{high:g}".replace("-", "−") for low, high in table[["lower", "upper"]].to_numpy()]
    axes.set_xticks(table["window"], names)
    axes.set(xlabel="window in ln $L$", ylabel="fewest / mean visits of a bin", xlim=(0.4, len(table) + 0.6))


def _profiles(axes: Axes, tables: Tables) -> None:
    table = _compared(tables)
    style = dict(color=COLOURS["published"], markersize=2.5, elinewidth=0.7, markeredgewidth=0)
    x, value, error = (table[name] for name in ("ln_train_loss", "profile_difference", "profile_difference_err"))
    axes.axhline(0, color="black", linewidth=0.6)
    axes.errorbar(x, value, error, fmt="o", **style)
    if np.nanmax(np.abs(value), initial=0.0) > 10:
        axes.set_yscale("symlog", linthresh=1.0)
    axes.set(xlabel=LOSS_LABEL, ylabel="$\\ln g_\\mathrm{published} - \\ln g$")
    _mark_ends(axes, table)


def _equilibria(axes: Axes, tables: Tables) -> None:
    table = _compared(tables)
    for name, colour, label in (
        ("", "equilibrium", "replica exchange"),
        ("_other", "published", "published procedure"),
    ):
        x, value, error = (
            table[column] for column in ("ln_train_loss", f"equilibrium{name}", f"equilibrium{name}_err")
        )
        label = f"{label}:\n{table[f'bins{name}'].sum()} bins visited"
        axes.plot(x, value, color=COLOURS[colour], label=label)
        axes.fill_between(x, value - error, value + error, color=COLOURS[colour], alpha=0.25, linewidth=0)
    axes.set(xlabel=LOSS_LABEL, ylabel="equilibrium accuracy ⟨A⟩")
    headroom(axes, 0.5)
    axes.legend(loc="upper right")
    _mark_ends(axes, table)


def _compared(tables: Tables) -> pd.DataFrame:
    if tables.comparison is None:
        raise ValueError("these tables hold no comparison with the published procedure")
    return tables.comparison


def _mark_ends(axes: Axes, table: pd.DataFrame) -> None:
    """Where the published map ends earlier than ours, grey says so."""
    x = table["ln_train_loss"]
    ours, other = x[table["bins"] > 0].min(), x[table["bins_other"] > 0].min()
    axes.margins(x=0.02)
    if other > ours:
        axes.axvspan(ours, other, color=COLOURS["faint"], alpha=0.35, linewidth=0, zorder=0)
        middle = (ours + other) / 2
        text = "not reached as published"
        axes.text(middle, 0.04, text, rotation=90, fontsize=5, ha="center", transform=axes.get_xaxis_transform())
