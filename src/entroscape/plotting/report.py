"""The page on convergence: the reference landscape in detail, samplers compared, and a verdict on each landscape."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.ticker import FixedLocator, NullLocator
from scipy import stats

from entroscape.grid import dimensions
from entroscape.landscape import convergence, cross_checks
from entroscape.landscape.metric import Metric
from entroscape.plotting.convergence import LETTERS, Z_RANGE, Tables, draw_landscape
from entroscape.plotting.imprint import Imprint
from entroscape.plotting.labels import LOSS_LABEL, metric_axis
from entroscape.plotting.landscape import bin_edges
from entroscape.plotting.style import COLOURS, DOUBLE, finish, headroom, new_figure, panel_label, panels_of, styled

_METHODS = {"wlmd": "molecular dynamics", "wlhmc": "Hamiltonian Monte Carlo"}
_SHARES = (0.125, 0.25, 0.5)  # of production, whose maps are compared with the final one
_SMALLEST_P = 1e-4  # smaller ones are drawn there
_INTEGRATORS = {"first_order": "first order", "baoab": "BAOAB", "hmc": "HMC"}
# diagnostic: title, name of the check it belongs to, limit, whether more is better, scale of the axis
_DIAGNOSTICS: dict[str, tuple[str, str, float, bool, str]] = {
    "replicas_alike": ("replicas\nalike, $p$", "replicas agree", convergence.FALSE_ALARMS, True, "log"),
    "drift": ("drift\n/ allowed", "map at rest", convergence.LARGEST_DRIFT, False, "log"),
    "mismatch": ("mismatch\n/ allowed", "windows agree", convergence.LARGEST_MISMATCH, False, "log"),
    "round_trips": ("round\ntrips", "round trips", convergence.FEWEST_ROUND_TRIPS, True, "symlog"),
    "round_trips_in_y": ("the same\nin $y$", "crossings in y", convergence.FEWEST_ROUND_TRIPS, True, "symlog"),
    "r_hat": ("$\\hat R$\nof $S$", "R̂ of S", convergence.LARGEST_R_HAT, False, "linear"),
    "r_hat_of_y": ("$\\hat R$\nof $y$", "R̂ of y", convergence.LARGEST_R_HAT, False, "linear"),
    "walkers_alike": ("walkers\nalike, $p$", "walkers agree", convergence.DIFFERENT, True, "log"),
    "time_step": ("rejected\n/ allowed", "time step", 1.0, False, "linear"),
    "error": ("error\nof $S$", "error of S", convergence.LARGEST_ERROR, False, "log"),
    "column_error": ("error of\ncolumns", "error of columns", convergence.LARGEST_COLUMN_ERROR, False, "log"),
    "covered": ("range\ncovered", "range covered", 1.0, True, "linear"),
}


@dataclass(frozen=True)
class Report:
    """All that the figure of convergence shows; parts that a run does not have are None or empty.

    reference: landscape by Monte Carlo; published: the same network's by the published procedure; compared: the same
    network's by other samplers, by their names; step_size: table of the integrators' bias; landscapes: all of the run
    that can be judged.
    """

    reference: xr.Dataset | None
    published: xr.Dataset | None
    compared: dict[str, xr.Dataset]
    step_size: pd.DataFrame | None
    landscapes: list[xr.Dataset]

    def comparisons(self) -> dict[str, pd.DataFrame]:
        """The reference against each of the other samplers."""
        if self.reference is None:
            return {}
        return {name: cross_checks.comparison(self.reference, other) for name, other in self.compared.items()}

    def tidy(self) -> pd.DataFrame:
        """One table for the CSV; `part` says which of the tables a row belongs to."""
        frames = []
        if self.reference is not None:
            frames.append(Tables.of(self.reference, self.published).tidy().assign(part="reference"))
        frames += [table.assign(part=f"sampler {name}") for name, table in self.comparisons().items()]
        if self.step_size is not None:
            frames.append(self.step_size.assign(part="step size"))
        frames.append(convergence.overview(self.landscapes).assign(part="verdicts"))
        for landscape in self.landscapes:
            table = cross_checks.deviation(landscape)
            frames.append(table.assign(part="map against production", name=convergence.name(landscape)))
        return pd.concat(frames, ignore_index=True)


def convergence_figure(report: Report, imprint: Imprint) -> Figure:
    """One page: the reference landscape in detail, samplers and integrators compared, and a verdict on each landscape.

    Rows that the run has nothing for are left out.
    """
    comparisons, table = report.comparisons(), convergence.overview(report.landscapes)
    heights = {"reference": 2.0, "maps": 0.85, "methods": 0.95, "verdicts": 0.5 + 0.075 * len(table), "all": 0.9}
    if report.reference is None:
        del heights["reference"], heights["maps"]
    if not comparisons and report.step_size is None:
        del heights["methods"]
    if table.empty:
        del heights["verdicts"], heights["all"]
    with styled():
        figure = new_figure(DOUBLE, 10 + 53 * sum(heights.values()))
        grid = figure.add_gridspec(len(heights), 1, height_ratios=list(heights.values()))
        places = {part: grid[row] for row, part in enumerate(heights)}
        letters = iter(LETTERS)
        if report.reference is not None:
            draw_landscape(places["reference"], letters, Tables.of(report.reference, report.published))
            _successive_maps(figure, places["maps"], letters, report.reference)
        if "methods" in places:
            _methods_row(places["methods"], letters, comparisons, report.step_size)
        if "verdicts" in places:
            _verdict_row(places["verdicts"], letters, table)
            _production_row(places["all"], letters, report.landscapes)
        return finish(figure, imprint)


def _successive_maps(figure: Figure, place: SubplotSpec, letters: Iterator[str], landscape: xr.Dataset) -> None:
    """How far S is from its final value before production, as the deposits have left it, and in the course of it."""
    until, final = landscape["entropy_until"], landscape["entropy"]
    blocks = [max(1, round(share * until.sizes["block"])) - 1 for share in _SHARES]
    titles = ["deposits alone", *(f"after {block + 1}/{until.sizes['block']}" for block in blocks)]
    with np.errstate(invalid="ignore"):
        stages = [landscape["entropy_deposits"], *(until[block] for block in blocks)]
        differences = [np.ma.masked_invalid(stage - final) for stage in stages]
    largest = max(float(np.ma.abs(one).max()) for one in differences)
    x, y = (bin_edges(landscape[name].to_numpy()) for name in dimensions(landscape))
    visited = landscape["visited"].to_numpy().any(axis=1)
    panels = panels_of(place, 1, len(differences), sharex=True, sharey=True)
    letter = next(letters)
    for number, (axes, values, title) in enumerate(zip(panels, differences, titles, strict=True)):
        mesh = axes.pcolormesh(x, y, values.T, rasterized=True, cmap="vlag", vmin=-largest, vmax=largest)
        if number:
            axes.set_title(title, loc="left")
        else:
            panel_label(axes, letter, f"$S - S_\\mathrm{{final}}$, {title}")
        axes.set(xlabel=LOSS_LABEL)
    figure.colorbar(mesh, ax=panels[-1], pad=0.02, aspect=22)
    panels[0].set_xlim(x[:-1][visited].min(), x[1:][visited].max())
    metric_axis(panels[0], Metric.of(landscape))


def _methods_row(
    place: SubplotSpec,
    letters: Iterator[str],
    comparisons: dict[str, pd.DataFrame],
    step_size: pd.DataFrame | None,
) -> None:
    panels = iter(panels_of(place, 1, 2 * bool(comparisons) + 2 * (step_size is not None)))
    if comparisons:
        for title, draw in (
            ("volume, other samplers", _sampler_profiles),
            ("⟨A⟩, other samplers", _sampler_equilibria),
        ):
            axes = next(panels)
            draw(axes, comparisons)
            panel_label(axes, next(letters), title)
    if step_size is not None:
        for quantity, title in (("kinetic_temperature", "kinetic temperature"), ("entropy_error", "bias of $S$")):
            axes = next(panels)
            _step_size(axes, step_size, quantity)
            panel_label(axes, next(letters), title)


def _sampler_profiles(axes: Axes, comparisons: dict[str, pd.DataFrame]) -> None:
    axes.axhline(0, color="black", linewidth=0.6)
    for (name, table), colour, marker in _samplers(comparisons):
        x, value, error = (table[key] for key in ("ln_train_loss", "profile_difference", "profile_difference_err"))
        style: dict[str, Any] = dict(
            color=colour, markersize=2.5, elinewidth=0.7, markeredgewidth=0, label=_METHODS.get(name, name)
        )
        axes.errorbar(x, value, error, fmt=marker, **style)
    axes.set(xlabel=LOSS_LABEL, ylabel="$\\ln g - \\ln g_\\mathrm{Monte\\,Carlo}$")
    headroom(axes, 0.3)
    axes.legend(loc="upper right", fontsize=5.5)


def _sampler_equilibria(axes: Axes, comparisons: dict[str, pd.DataFrame]) -> None:
    first = next(iter(comparisons.values()))
    _band(axes, first, "", COLOURS["equilibrium"], "Monte Carlo")
    for (name, table), colour, _ in _samplers(comparisons):
        _band(axes, table, "_other", colour, _METHODS.get(name, name))
    axes.set(xlabel=LOSS_LABEL, ylabel="equilibrium accuracy ⟨A⟩")
    headroom(axes, 0.3)
    axes.legend(loc="upper right", fontsize=5.5)


def _samplers(comparisons: dict[str, pd.DataFrame]) -> Iterator[tuple[tuple[str, pd.DataFrame], str, str]]:
    return zip(comparisons.items(), (COLOURS["box"], COLOURS["free"], COLOURS["published"]), "osD", strict=False)


def _band(axes: Axes, table: pd.DataFrame, name: str, colour: str, label: str) -> None:
    x, value, error = (table[key] for key in ("ln_train_loss", f"equilibrium{name}", f"equilibrium{name}_err"))
    axes.plot(x, value, color=colour, label=label)
    axes.fill_between(x, value - error, value + error, color=colour, alpha=0.25, linewidth=0)


def _step_size(axes: Axes, table: pd.DataFrame, quantity: str) -> None:
    """Bias against the time step of each integrator (colour, symbol) and problem (line style)."""
    problems = list(dict.fromkeys(table["problem"]))
    for integrator, problem in dict.fromkeys(zip(table["integrator"], table["problem"], strict=True)):
        rows = table[(table["integrator"] == integrator) & (table["problem"] == problem)]
        number = list(_INTEGRATORS).index(integrator)
        colour = (COLOURS["adam free"], COLOURS["box"], COLOURS["free"])[number]
        name = _INTEGRATORS[integrator] + (f", {problem.replace('_', ' ')}" if len(problems) > 1 else "")
        value = rows[quantity] - 1 if quantity == "kinetic_temperature" else rows[quantity]
        style: dict[str, Any] = dict(color=colour, markersize=3, elinewidth=0.7, linewidth=0.8, label=name)
        axes.errorbar(
            rows["time_step"],
            value,
            rows[f"{quantity}_err"],
            fmt="os^"[number],
            linestyle=("-", "--", ":", "-.")[problems.index(problem) % 4],
            **style,
        )
        if quantity == "entropy_error":
            axes.plot(rows["time_step"], rows["entropy_noise"], color=colour, linestyle=":", linewidth=0.6)
    steps = sorted(set(table["time_step"]))
    axes.set(xscale="log", xlabel="time step")
    axes.set_xticks(steps, [f"{step:g}" for step in steps], rotation=90 if len(steps) > 3 else 0)
    axes.xaxis.set_minor_locator(NullLocator())
    if quantity == "kinetic_temperature":
        axes.axhline(0, color="black", linewidth=0.6)
        axes.set_ylabel("kinetic temperature − 1")
    else:
        axes.set_ylabel("rms of $S - S_\\mathrm{exact}$")
        axes.plot([], [], color="black", linestyle=":", linewidth=0.6, label="of noise alone")
        if (table[quantity].dropna() > 0).all():
            axes.set_yscale("log")
    axes.legend(loc="best", fontsize=5.5)


def _verdict_row(place: SubplotSpec, letters: Iterator[str], table: pd.DataFrame) -> None:
    """A line for each landscape, a column for each diagnostic; where the criterion is not met, red."""
    panels = panels_of(place, 1, len(_DIAGNOSTICS), sharey=True)
    y = np.arange(len(table))
    letter = next(letters)
    for number, (axes, (quantity, (title, check, limit, more, scale))) in enumerate(
        zip(panels, _DIAGNOSTICS.items(), strict=True)
    ):
        failed = np.array([bool(check) and check in names for names in table["failed"]])
        value = table[quantity].to_numpy(dtype=float)
        value = np.maximum(value, _SMALLEST_P) if quantity.endswith("_alike") else value
        for chosen, colour in ((~failed, COLOURS["published"] if check else COLOURS["neutral"]), (failed, "#c00000")):
            axes.plot(value[chosen], y[chosen], "o", color=colour, markersize=3.5, markeredgewidth=0)
        for row in y[failed & np.isnan(value)]:  # not shown
            at = axes.get_yaxis_transform()
            axes.text(0.5, row, "?", color=COLOURS["warning"], transform=at, ha="center", va="center")
        axes.set_xscale(scale)
        _limits(axes, table, quantity, limit, more)
        if scale != "linear":
            _two_ticks(axes)
        axes.tick_params(axis="x", labelsize=5.5)
        axes.grid(axis="y", color=COLOURS["faint"], linewidth=0.3)
        axes.set_axisbelow(True)
        axes.set_xlabel(title, fontsize=6)
        if number == 0:
            panel_label(
                axes,
                letter,
                "converged, yes or no; grey: criterion not met ($\\hat R$: by many walkers); ?: not shown",
                narrow=True,
            )
    panels[0].set(ylim=(len(table) - 0.5, -0.5))
    names = [name.replace("_", " ").replace(" width-", ", width ").replace("-points-", ", ") for name in table["name"]]
    names = [f"{name}: {'yes' if passes else 'no'}" for name, passes in zip(names, table["passes"], strict=True)]
    panels[0].set_yticks(y, names)
    for label, passes in zip(panels[0].get_yticklabels(), table["passes"], strict=True):
        label.set_color("black" if passes else "#c00000")
    for axes in panels[1:]:
        axes.tick_params(labelleft=False)


def _two_ticks(axes: Axes) -> None:
    """Ticks at two values of a logarithmic axis: panels are too narrow for more."""
    low, high = axes.get_xlim()
    round_ones = [m * 10.0**power for power in range(-12, 13) for m in (1, 2, 5)]
    within = [value for value in round_ones if (low if low > 0 else 0.5) < value < high]
    decades = [value for value in within if np.isclose(np.log10(value), round(np.log10(value)))]
    shown = decades if len(decades) > 1 else within
    axes.xaxis.set_major_locator(FixedLocator([shown[0], shown[-1]]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")


def _limits(axes: Axes, table: pd.DataFrame, quantity: str, limit: float, more: bool) -> None:
    """Grey where the criterion is not met."""
    value = table[quantity].to_numpy(dtype=float)
    value = value[np.isfinite(value)]
    if quantity.endswith("_alike"):
        axes.set_xlim(min(limit, max(value.min(initial=1.0), _SMALLEST_P)) / 2, 1.5)
    elif quantity.startswith("r_hat"):
        axes.set_xlim(0.9, max(1.5, 1.1 * value.max(initial=1.0)))
    elif quantity == "time_step":
        axes.set_xlim(-0.1, max(1.5, 1.1 * value.max(initial=0.0)))
    elif quantity == "covered":
        axes.set_xlim(-0.05, 1.1)
    elif quantity.startswith("round_trips"):
        axes.set_xlim(-0.3, 3 * max(value.max(initial=1.0), 3.0))
    else:
        known = [one for one in (*value[value > 0], limit) if np.isfinite(one)] or [1.0]
        axes.set_xlim(min(known) / 3, max(known) * 3)
    if np.isfinite(limit):
        low, high = axes.get_xlim()
        axes.axvspan(*((low, limit) if more else (limit, high)), color="#e4e4e4", linewidth=0, zorder=0)


def _production_row(place: SubplotSpec, letters: Iterator[str], landscapes: list[xr.Dataset]) -> None:
    """How the maps of all landscapes settled, how far replicas differ, and where walkers disagree most."""
    production, replicas, ladders = panels_of(place, 1, 3)
    judged = [one for one in landscapes if convergence.judge(one).judged]
    experiments = list(dict.fromkeys(convergence.name(one).partition(" ")[0] for one in judged))
    colours = dict(zip(experiments, sns.color_palette("colorblind", len(experiments)), strict=True))
    labelled: set[str] = set()
    bins = np.linspace(0, Z_RANGE, 51)
    for landscape in judged:
        experiment = convergence.name(landscape).partition(" ")[0]
        label = None if experiment in labelled else experiment.replace("_", " ")
        labelled.add(experiment)
        style = dict(color=colours[experiment], linewidth=0.8, alpha=0.85, label=label)
        moved = cross_checks.deviation(landscape)
        moved = moved[(moved["window"] == -1) & (moved["share"] < 1)]
        production.plot(moved["share"], moved["rms"] / moved["expected"], **style)
        z = np.abs(cross_checks.agreement(landscape)["z"].to_numpy())
        z = z[np.isfinite(z)]
        if len(z):
            replicas.plot(bins, [(z <= limit).mean() for limit in bins], **style)
        table = cross_checks.spread(landscape)
        ladders.plot(table["ln_train_loss"], table["spread"], **style)
    dof = min(cross_checks.agreement_dof(one) for one in judged)
    if dof:
        share = 1 - 2 * stats.t.sf(bins, dof)
        replicas.plot(bins, share, color="black", linestyle="--", linewidth=0.9, label=f"Student's $t$, {dof} d.o.f.")
    production.axhline(1, color="black", linestyle="--", linewidth=0.9)
    production.axhline(convergence.LARGEST_DRIFT, color="#c00000", linestyle=":", linewidth=0.9)
    production.set(yscale="log", xlim=(0, 1), xlabel="share of production")
    production.set_ylabel("rms of $S - S_\\mathrm{final}$ / allowed by errors")
    replicas.set(xlim=(0, Z_RANGE), ylim=(0, 1.02), xlabel="$|S_1 - S_2|\\,/\\,\\sigma$", ylabel="share of bins below")
    ladders.set(yscale="log", xlabel=LOSS_LABEL, ylabel="spread of $S$ between ladders")
    if replicas.get_legend_handles_labels()[1]:
        replicas.legend(loc="lower right", fontsize=5.5)
    titles = "maps against production, all", "independent replicas, all", "spread between ladders, all"
    for axes, letter, title in zip((production, replicas, ladders), letters, titles, strict=False):
        panel_label(axes, letter, title)
