"""What figures draw is what the files say, and figures say what they are."""

import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path

import figure_inputs as inputs
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection, QuadMesh
from matplotlib.figure import Figure
from scipy.stats import t as student
from synthetic import run

from entroscape.config.sampler import Axis
from entroscape.grid import Grid, dimensions
from entroscape.landscape import convergence as numbers
from entroscape.landscape import cross_checks
from entroscape.landscape.diagnostics import unknown
from entroscape.landscape.merge import merge
from entroscape.landscape.metric import Metric
from entroscape.plotting import (
    convergence,
    images,
    labels,
    landscape,
    overview,
    regression,
    report,
    sizes,
    spirals,
    style,
    tables,
    widths,
)
from entroscape.plotting.imprint import Imprint, make_imprint, power_of_ten

IMPRINT = Imprint("where it comes from")


@pytest.fixture(scope="module")
def sampled():
    return inputs.landscape()


@pytest.fixture(scope="module")
def curves(sampled):
    return inputs.curve_table(sampled)


def task_figure(sampled, curves, imprint=IMPRINT, low_loss=None) -> Figure:
    return overview.task_figure(
        lambda axes: spirals.draw_points(axes, inputs.points()), sampled, curves, imprint, low_loss
    )


def artists(figure: Figure, gid: str) -> list:
    return figure.findobj(lambda artist: artist.get_gid() == gid)


def test_bin_edges_are_those_of_the_grid():
    grid = Grid.of(Axis(min=-6, max=1, bin_width=0.1), 40)
    assert np.array_equal(landscape.bin_edges(grid.x_centres), np.round(grid.x_edges, 9))
    assert landscape.bin_edges(grid.y_values)[[0, -1]] == pytest.approx([-1 / 80, 1 + 1 / 80])


def test_map_has_exact_edges_and_blank_unvisited_bins(sampled):
    axes = style.new_figure(80, 60).subplots()
    mesh = landscape.draw_map(axes, sampled)
    assert isinstance(mesh, QuadMesh)
    corners = mesh.get_coordinates()
    np.testing.assert_allclose(corners[0, :, 0], np.append(inputs.X - 0.05, inputs.X[-1] + 0.05), atol=1e-12)
    np.testing.assert_allclose(corners[:, 0, 1], np.append(inputs.Y - 0.05, inputs.Y[-1] + 0.05), atol=1e-12)
    drawn, entropy = mesh.get_array(), sampled["entropy"].to_numpy()
    assert np.array_equal(np.ma.getmaskarray(drawn).T, ~np.isfinite(entropy))
    assert np.array_equal(drawn.T[np.isfinite(entropy)].data, entropy[np.isfinite(entropy)])


def test_bins_without_an_error_are_hatched_and_explained(sampled, curves):
    bins = unknown(sampled)
    assert 0 < bins.sum() < sampled["visited"].sum()
    axes = style.new_figure(80, 60).subplots()
    landscape.draw_map(axes, sampled)
    (hatched,) = axes.findobj(PolyCollection)
    assert hatched.get_hatch()
    middles = {tuple(np.round(path.vertices[:4].mean(axis=0), 6)) for path in hatched.get_paths()}
    columns, rows = np.nonzero(bins)
    assert middles == {(round(inputs.X[i], 6), round(inputs.Y[j], 6)) for i, j in zip(columns, rows, strict=True)}
    legends = [axes.get_legend() for axes in task_figure(sampled, curves).axes]
    texts = [text.get_text() for legend in legends if legend for text in legend.get_texts()]
    assert landscape.UNKNOWN_LABEL in texts


def test_nothing_is_hatched_when_every_bin_has_an_error(sampled, curves):
    resolved = sampled.assign(entropy_err=sampled["entropy_err"].fillna(0.1))
    assert not artists(task_figure(resolved, curves), "unknown")


def test_conditional_map_is_a_normalised_distribution(sampled):
    shown = landscape.shown(sampled, conditional=True)
    total = np.exp(shown.filled(-np.inf)).sum(axis=1)
    assert total[sampled["visited"].any("test_accuracy")] == pytest.approx(1)


def test_map_that_ends_early_says_where(sampled, curves):
    reached, aimed = landscape.lowest_reached(sampled)
    assert (reached, aimed) == pytest.approx((-1.7, -2.0))
    text = " ".join(artist.get_text() for artist in artists(task_figure(sampled, curves), "map-end"))
    assert "-1.7" in text and "-2.0" in text
    whole = inputs.landscape(empty=0)
    assert not artists(task_figure(whole, inputs.curve_table(whole)), "map-end")


def test_curves_drawn_are_those_of_the_table(sampled, curves):
    axes = task_figure(sampled, curves).axes[3]
    for gid, quantity, baseline in (
        ("equilibrium", "equilibrium", ""),
        ("maximum_entropy", "maximum_entropy", ""),
        ("free", "trained", "free"),
        ("box", "trained", "box"),
    ):
        rows = landscape.curve(curves, quantity, "test_accuracy", baseline)
        (line,) = axes.findobj(lambda artist, gid=gid: artist.get_gid() == gid)
        assert np.array_equal(line.get_xydata(), rows[["ln_train_loss", "value"]].to_numpy())


def test_csv_holds_what_is_drawn(sampled, curves):
    points = spirals.points_table(inputs.points())
    table = pd.read_csv(io.StringIO(overview.task_table(points, sampled, curves).to_csv(index=False)))
    figure = task_figure(sampled, curves)
    data = table[table["panel"] == "a"]
    drawn = np.concatenate([line.get_xydata() for line in figure.axes[0].lines])
    assert np.array_equal(np.unique(drawn, axis=0), np.unique(data[["x", "y"]].to_numpy(), axis=0))
    for axes, panel in ((figure.axes[1], "b"), (figure.axes[2], "c")):
        bins = table[(table["panel"] == panel) & table["entropy"].notna()]
        (mesh,) = (one for one in axes.collections if isinstance(one, QuadMesh))
        column = np.searchsorted(inputs.X - 0.05, bins["x"]) - 1
        row = np.searchsorted(inputs.Y - 0.05, bins["y"]) - 1
        assert len(bins) == (~np.ma.getmaskarray(mesh.get_array())).sum()
        assert mesh.get_array().T[column, row].data == pytest.approx(bins["entropy"].to_numpy())
    lines = table[(table["panel"] == "d") & (table["series"] == "equilibrium")]
    (line,) = figure.axes[3].findobj(lambda artist: artist.get_gid() == "equilibrium")
    assert np.array_equal(line.get_xydata(), lines[["x", "y"]].to_numpy())


def test_curves_without_trained_states_are_drawn(sampled, curves):
    alone = curves[curves["quantity"] != "trained"]
    assert not artists(task_figure(sampled, alone), "free")


@pytest.mark.parametrize("watermark", ["", "SMOKE"])
def test_watermark_stands_across_the_figure_iff_given(sampled, curves, watermark):
    table = widths.width_table(inputs.low_loss_table(), 0.95)
    content = report.Report(sampled, inputs.published(), {}, None, [sampled])
    imprint = Imprint("where it comes from", watermark)
    for figure in (
        task_figure(sampled, curves, imprint),
        widths.width_figure([widths.Widths("Two spirals", table, 0.95)], imprint),
        report.convergence_figure(content, imprint),
        convergence.landscape_page(sampled, imprint),
    ):
        marks = artists(figure, "watermark")
        assert [mark.get_text() for mark in marks] == ([watermark] if watermark else [])
        assert "where it comes from" in [text.get_text() for text in figure.texts]
        if watermark:
            box, whole = marks[0].get_window_extent(FigureCanvasAgg(figure).get_renderer()), figure.bbox
            assert 0.6 < max(box.width / whole.width, box.height / whole.height) <= 1


def test_provenance_names_scale_moves_walkers_replicas_and_runs(sampled):
    line = make_imprint("desktop", "", [sampled, sampled, inputs.published()], 200).provenance
    for part in ("desktop scale", "2 replicas of 3 walkers", "2 windows", "2.5 × 10⁶ moves", "200 training runs"):
        assert line.count(part) >= 1
    assert line.count("3 walkers") == 1  # equal landscapes are named once
    assert "2 runs of 4 instances" in line
    longer = sampled.assign_attrs(moves=2 * sampled.attrs["moves"])
    line = make_imprint("desktop", "", [longer, sampled]).provenance
    assert line.count("3 walkers") == 1 and "2.5 × 10⁶ to 5.0 × 10⁶ moves per walker" in line
    assert (power_of_ten(9999), power_of_ten(12_345)) == ("9,999", "1.2 × 10⁴")


def test_width_intervals_are_students(tmp_path):
    table = widths.width_table(inputs.low_loss_table(), 0.9)
    half = (table["high"] - table["low"]) / 2
    assert half.to_numpy() == pytest.approx(0.01 * student.ppf(0.95, 7))
    figure = widths.width_figure([widths.Widths("Two spirals", table, 0.9)], IMPRINT)
    drawn = artists(figure.axes[1], "free")[0].get_ydata()
    assert drawn == pytest.approx([0.2 / 4, 0.2 / 6, 0.2 / 8])


def test_width_without_low_loss_states_is_named():
    table = widths.width_table(inputs.low_loss_table((4, 6, 8, 12), missing=8), 0.95)
    figure = widths.width_figure([widths.Widths("Two spirals", table, 0.95)], IMPRINT)
    texts = [text.get_text() for text in figure.axes[1].texts]
    assert len(texts) == 2 and all("width 8" in text for text in texts)


def test_fitted_line_recovers_a_known_one_and_needs_three_widths():
    low_loss = inputs.low_loss_table((4, 8, 16))
    chosen = low_loss["quantity"] == "advantage"
    low_loss.loc[chosen, "value"] = 0.1 - 0.02 * np.log2(low_loss.loc[chosen, "width"])
    low_loss.loc[chosen, "error"] = 0.01 * np.log2(low_loss.loc[chosen, "width"])
    offset, slope, error = widths.fit(widths.width_table(low_loss, 0.95), "free")
    assert (offset, slope) == pytest.approx((0.1, -0.02)) and error > 0
    assert np.isnan(widths.fit(widths.width_table(inputs.low_loss_table((4, 6)), 0.95), "free")).all()


def test_agreement_of_replicas_with_honest_errors_follows_students_t():
    random = np.random.default_rng(11)
    sampled = inputs.landscape(replicas=4, walkers=4, empty=0)
    dof = cross_checks.agreement_dof(sampled)
    draws = random.standard_t(dof, size=200_000)
    assert cross_checks.share_within(draws) == pytest.approx(cross_checks.share_expected(dof), abs=0.005)
    table = cross_checks.agreement(sampled)
    assert set(table["pair"]) == {0, 1}
    maps = sampled["entropy_replica"].to_numpy()
    row = table.iloc[-1]
    i, j = np.abs(inputs.X - row["ln_train_loss"]).argmin(), np.abs(inputs.Y - row["test_accuracy"]).argmin()
    assert row["z"] == pytest.approx((maps[2, i, j] - maps[3, i, j]) / np.hypot(0.1, 0.1))


def test_deviation_expected_from_errors_matches_independent_blocks():
    """Eight independent blocks: the mean of a share f of them lies sqrt((1 - f) / f) final errors from that of all."""
    random = np.random.default_rng(5)
    sampled = inputs.landscape(empty=0)
    noise = random.normal(size=(8, 25, 11)).cumsum(axis=0) / np.arange(1, 9)[:, None, None]
    entropy = sampled["entropy"].to_numpy() + noise[-1]
    sampled["entropy"] = inputs.MAP, entropy
    sampled["entropy_until"] = ("block", *inputs.MAP), sampled["entropy"].to_numpy() - noise[-1] + noise
    sampled["entropy_err"] = inputs.MAP, np.where(np.isfinite(entropy), 1 / np.sqrt(8), np.nan)
    table = cross_checks.deviation(sampled)
    whole = table[(table["window"] == -1) & (table["share"] < 1)]
    assert (whole["rms"] / whole["expected"]).to_numpy() == pytest.approx(1, abs=0.2)
    place = tuple(np.argwhere(np.isfinite(entropy))[0])
    sampled["entropy_until"].to_numpy()[:-1][:, *place] -= 50  # found late, and not known in the end either
    sampled["entropy_err"].to_numpy()[place] = 3.0
    without = cross_checks.deviation(sampled)
    assert (without["bins"] <= table["bins"]).all() and without["bins"].iloc[0] == table["bins"].iloc[0] - 1
    assert without["rms"].to_numpy() == pytest.approx(table["rms"].to_numpy(), rel=0.01)


def test_comparison_drops_the_unknown_constant(sampled):
    other = sampled.assign(entropy=sampled["entropy"] + 7, entropy_left_out=sampled["entropy_left_out"] + 7)
    table = cross_checks.comparison(sampled, other)
    assert table["profile_difference"].to_numpy() == pytest.approx(0, abs=1e-9)
    assert table["equilibrium"].to_numpy() == pytest.approx(table["equilibrium_other"].to_numpy())


@pytest.mark.parametrize(("walkers", "windows"), [(1, 2), (3, 1), (1, 1)])
def test_convergence_is_drawn_for_the_smallest_runs(walkers, windows):
    sampled = inputs.landscape(walkers=walkers, windows=windows)
    content = report.Report(sampled, inputs.published(), {}, None, [sampled])
    figure = report.convergence_figure(content, IMPRINT)
    assert style.content(convergence.landscape_page(sampled, IMPRINT), "png")
    assert style.content(figure, "png")
    texts = " ".join(text.get_text() for text in figure.axes[1].texts)
    assert ("no error of its own" in texts) == (walkers == 1)
    tidy = convergence.Tables.of(sampled, inputs.published()).tidy()
    assert set(tidy["panel"]) == ({"a", "b", "c, d", "e, f"} if windows > 1 else {"a", "b", "e, f"})


def test_numbers_are_readable(sampled):
    assert tables.with_error(-0.01234, 0.0045) == "−0.0123 ± 0.0045"
    assert tables.with_error(4.48, 0.171) == "4.48 ± 0.17"
    assert tables.with_error(np.nan, np.nan) == "–"
    table = tables.numbers(numbers.summary(sampled), numbers.summary(inputs.published()), names=("a", "b"))
    assert table.loc["visited bins", "a"] == str(int(sampled["visited"].sum()))
    assert table.loc["round trips, fewest of a replica"].tolist() == ["6", "–"]


@pytest.fixture(scope="module", params=["ln_test_loss", "smoothed_accuracy", "smoothed_accuracy_logit"])
def task(request) -> inputs.Task:
    return inputs.task(request.param, experiment="house_prices", walkers=2, visits=400)


def test_maps_of_any_metric_have_their_own_bins_and_labels(task):
    x, y = dimensions(task.landscape)
    axes = style.new_figure(80, 60).subplots()
    mesh = landscape.draw_map(axes, task.landscape)
    corners = mesh.get_coordinates()
    np.testing.assert_allclose(corners[:-1, 0, 1] + np.diff(corners[:, 0, 1]) / 2, task.landscape[y], atol=1e-9)
    assert axes.get_ylabel() == labels.LABELS[y].axis
    visited = task.landscape["visited"].any(x).to_numpy()
    shown = corners[:-1, 0, 1][visited].min(), corners[1:, 0, 1][visited].max()
    assert axes.get_ylim() == pytest.approx(shown)
    if y == "smoothed_accuracy_logit":
        ticks = {text.get_text(): tick for text, tick in zip(axes.get_yticklabels(), axes.get_yticks(), strict=True)}
        assert ticks["0.5"] == pytest.approx(0.0) and {"0.1", "0.9"} <= ticks.keys()


@pytest.mark.parametrize("shift", [-40.0, 0.0, 40.0])
def test_the_map_has_room_for_all_trained_networks_of_its_losses(task, shift):
    curves, figure = task.curves.copy(), style.new_figure(80, 60)
    axes = figure.subplots()
    landscape.draw_map(axes, task.landscape)
    low, high = axes.get_ylim()
    trained = (curves["quantity"] == "trained") & (curves["metric"] == Metric.of(task.landscape).name)
    curves.loc[trained, "value"] += shift
    here = curves["value"][trained & curves["ln_train_loss"].between(*axes.get_xlim())]
    assert len(here)
    axes.clear()
    overview.draw_absolute(figure, axes, task.landscape, curves)
    shown = axes.get_ylim()
    assert shown[0] < here.min() and here.max() < shown[1]
    assert (shown == (low, high)) == (low < here.min() and here.max() < high)


def test_curves_beside_the_map_are_those_of_the_judged_metric(task):
    metric = Metric.of(task.landscape)
    data = inputs.regression_data(["a", "b", "Area", "d", "e"])
    figure = overview.task_figure(
        lambda axes: regression.draw_points(axes, data, "price"), task.landscape, task.curves, IMPRINT, (-3.0, -2.0)
    )
    panels = {axes.get_title("left").rpartition("  ")[2]: axes for axes in figure.axes}
    for title, name in (("entropy landscape", metric.name), ("curves, ± one standard error", metric.judged)):
        for gid, quantity, baseline in (("equilibrium", "equilibrium", ""), ("adam box", "trained", "adam box")):
            rows = landscape.curve(task.curves, quantity, name, baseline)
            (line,) = panels[title].findobj(lambda artist, gid=gid: artist.get_gid() == gid)
            assert len(rows) and np.array_equal(line.get_xydata(), rows[["ln_train_loss", "value"]].to_numpy())
    assert "Area" in panels["data"].get_xlabel()
    table = overview.task_table(regression.points_table(data), task.landscape, task.curves)
    drawn = table[(table["panel"] == "d") & (table["series"] == "equilibrium")]
    assert np.array_equal(drawn["y"], landscape.curve(task.curves, "equilibrium", metric.judged)["value"])
    assert style.content(figure, "png")


def test_strongest_input_is_the_one_the_targets_depend_on():
    data = inputs.regression_data()
    column, correlation = regression.strongest(data)
    assert column == 2 and correlation == pytest.approx(np.corrcoef(data.x_train[:, 2], data.y_train)[0, 1])
    assert regression.input_name(data, column) == "input 3 of 5"


@pytest.mark.parametrize(("classes", "channels"), [(10, 1), (2, 3)])
def test_example_images_are_train_images_of_their_class(classes, channels):
    data = inputs.image_data(classes, channels)
    mosaic, found = images.tiles(data)
    assert found.tolist() == list(range(classes)) and mosaic.ndim == (3 if channels > 1 else 2)
    low, high = np.nanmin(data.x_train), np.nanmax(data.x_train)
    first = (data.x_train[data.y_train == 0][0] - data.x_train[:0].sum()) / 1.0
    corner = np.moveaxis(first, 0, -1) if channels > 1 else first[0]
    span = np.corrcoef(mosaic[:7, :7].ravel(), corner.ravel())[0, 1]
    assert span == pytest.approx(1.0) and low < high


def test_stand_in_data_are_named_in_the_title(task):
    data = inputs.image_data(2, 1, "MNIST 4 against 9 in place of CIFAR-10 cats and dogs")
    row = images.ImageTask("Cats and dogs", data, task.landscape, task.curves, None)
    figure = images.images_figure([row, row], IMPRINT)
    titles = [" ".join(axes.get_title("left").split()) for axes in figure.axes]
    assert sum("stand-in: MNIST 4 against 9 in place of CIFAR-10" in title for title in titles) == 2
    assert set(images.images_table([row, row])["panel"]) == {"b", "c", "e", "f"}


def test_advantage_is_drawn_for_every_size_of_the_train_set():
    tasks = {size: inputs.task("smoothed_accuracy", train_points=size, walkers=2, visits=300) for size in (15, 30)}
    table = widths.width_table(pd.concat([one.low_loss for one in tasks.values()]), 0.95, "train_points")
    assert set(table["metric"]) == {"test_accuracy"} and set(table["train_points"]) == {15, 30}
    maps, drawn = ({size: getattr(one, name) for size, one in tasks.items()} for name in ("landscape", "curves"))
    figure = sizes.size_figure(maps, drawn, table, 0.95, IMPRINT, "digits in place of dogs")
    titles = " ".join(axes.get_title("left") for axes in figure.axes)
    assert "15 train points" in titles and "30 train points" in titles and "digits in place of dogs" in titles
    assert set(sizes.size_table(maps, drawn, table)["panel"]) == {"a", "b", "c, d"}
    assert style.content(figure, "png")


def unconverged(kind="ln_test_loss", **options) -> inputs.Task:
    """No walker travels from end to end."""
    return inputs.task(kind, round_trips=0, walkers=3, visits=300, **options)


def test_landscapes_that_have_not_converged_are_named_with_the_criterion():
    good = inputs.task("ln_test_loss", experiment="house_prices", walkers=4, noise=0.05)
    bad = unconverged(experiment="sentences")
    assert numbers.judge(good.landscape).passes and not numbers.judge(bad.landscape).passes
    assert make_imprint("desktop", "", [good.landscape]).warnings == ()
    (alone,) = make_imprint("desktop", "", [bad.landscape]).warnings
    assert alone.startswith("Not converged: ") and numbers.judge(bad.landscape).sentence[1:] == alone[1:]
    (both,) = make_imprint("desktop", "", [good.landscape, bad.landscape]).warnings
    assert both == "Not converged (see the page on convergence): sentences width 8"
    figure = overview.landscape_figure(bad.landscape, bad.curves, make_imprint("desktop", "", [bad.landscape]))
    (text,) = artists(figure, "warning")
    assert " ".join(text.get_text().split()) == alone
    assert bad.low_loss["convergence"].iloc[0] == numbers.judge(bad.landscape).sentence


def spoilt(name: str, value: float):
    """All values of a variable replaced where there are any."""
    return lambda good: good.assign({name: good[name].where(~np.isfinite(good[name]), value)})


def spoilt_map(good):
    later = good["entropy_until"] + 3.0 * (good["ln_train_loss"] > -1)
    return good.assign(entropy_until=later.where(later["block"] < good.sizes["block"] - 1, good["entropy"]))


SPOILT = {
    "": lambda good: good,
    "round trips": spoilt("round_trips", 0),
    "crossings in y": spoilt("round_trips_in_y", 0),
    "windows agree": spoilt("overlap_rms_in_errors", 5.0),
    "R̂ of S": spoilt("r_hat", 1.25),  # 1.1 and what chance adds for two times four walkers
    "R̂ of y": spoilt("r_hat_of_y", 1.25),
    "walkers agree": spoilt("walkers_alike_in_y", 1e-5),
    "time step": lambda good: good.assign(steps_accepted=0.97 * good["steps_begun"]),
    "error of S": spoilt("entropy_err", 0.7),
    "map at rest": spoilt_map,
    "replicas agree": lambda good: good.assign(
        entropy_left_out=good["entropy_left_out"] + 0.3 * (good["ln_train_loss"] > -1) * (good["unit"] < 4)
    ),
    "error of columns": lambda good: good.assign(  # one walker knows another height of the lowest loss
        entropy_left_out=good["entropy_left_out"] + 1.5 * (good["ln_train_loss"] < -3.9) * (good["unit"] == 0)
    ),
    "range covered": lambda good: good.assign(visited=good["visited"] & (good["ln_train_loss"] > -3.9)),
}


@pytest.fixture(scope="module")
def converged():
    return inputs.task("ln_test_loss", walkers=4, noise=0.05).landscape


def failed(landscape) -> list[str]:
    checks = numbers.judge(landscape).checks
    return checks["check"][~checks["passed"].astype(bool)].tolist()


@pytest.mark.parametrize("check", SPOILT)
def test_each_criterion_of_convergence_is_needed(converged, check):
    """Of a landscape that passes, one diagnostic is spoilt."""
    assert failed(SPOILT[check](converged)) == ([check] if check else [])


UNKNOWN = {
    "crossings in y": lambda good: good.drop_vars("round_trips_in_y"),
    "windows agree": lambda good: good.isel(unit=slice(3)),
    "R̂ of S": spoilt("r_hat", np.nan),
    "R̂ of y": lambda good: good.drop_vars("r_hat_of_y"),
    "map at rest": lambda good: good.isel(block=slice(-1, None)),
    "replicas agree": lambda good: good.isel(unit=slice(6)),
    "error of columns": lambda good: good.assign(
        entropy_left_out=good["entropy_left_out"].where((good["ln_train_loss"] > -3.9) | (good["unit"] > 0), -np.inf)
    ),
}


@pytest.mark.parametrize("check", UNKNOWN)
def test_a_check_that_cannot_be_made_is_not_passed_and_says_so(converged, check):
    verdict = numbers.judge(UNKNOWN[check](converged))
    row = verdict.checks.set_index("check").loc[check]
    assert not row["passed"] and not verdict.passes
    assert row["sentence"].startswith("not shown: ") and row["sentence"] in verdict.sentence


def test_a_single_replica_is_not_shown_to_have_converged():
    verdict = numbers.judge(merge([run(np.random.default_rng(0), walkers=8)]))
    assert not verdict.passes and "whether replicas agree" in verdict.sentence


def test_walkers_that_stay_in_one_bin_are_not_shown_to_have_converged():
    stuck = [run(np.random.default_rng(seed)) for seed in range(2)]
    for one in stuck:
        one["histogram"][:] = 0
        one["histogram"][..., 5, 2] = 100  # a bin of both windows
    verdict = numbers.judge(merge(stuck))
    assert not verdict.passes and "whether the map is at rest" in verdict.sentence


def test_a_row_that_one_walker_keeps_to_has_to_be_crossed_to():
    runs = [run(np.random.default_rng(seed), windows=[(1, 12)]) for seed in range(2)]
    for one in runs:
        one["histogram"][..., 0], one["histogram"][..., 1:] = 100, 0  # walkers in the first row
        one["round_trips_in_y"][:] = 0
    one["histogram"][:, :, 0, :, 0], one["histogram"][:, :, 0, :, 5] = 0, 100  # but one: that row has no error
    assert {"crossings in y", "walkers agree"} <= set(failed(merge(runs)))


def test_checks_that_have_no_object_are_left_out():
    single = inputs.task("ln_test_loss", walkers=4, noise=0.05, edges=((-4.0, 0.5),)).landscape
    assert "windows agree" not in numbers.judge(single).checks["check"].tolist()
    one_row = single.assign(visited=single["visited"] & (single["ln_test_loss"] == single["ln_test_loss"][30]))
    assert "crossings in y" not in numbers.judge(one_row).checks["check"].tolist()


def test_published_procedure_is_not_judged():
    verdict = numbers.judge(inputs.published())
    assert not verdict.judged and not verdict.passes and verdict.sentence == numbers.NOT_JUDGED


def test_page_on_convergence_shows_every_landscape_and_what_the_run_has(sampled):
    landscapes = [inputs.task("ln_test_loss", experiment="house_prices", noise=0.05).landscape, sampled]
    landscapes.append(unconverged(experiment="sentences").landscape)
    rows = [
        {"problem": "ring", "integrator": name, "time_step": step, "kinetic_temperature": 1 + step}
        | {"kinetic_temperature_err": 0.01, "entropy_error": step, "entropy_error_err": 0.01, "entropy_noise": 0.02}
        for name in ("first_order", "baoab", "hmc")
        for step in (0.1, 0.2)
    ]
    compared = {"wlmd": inputs.task("smoothed_accuracy", walkers=2).landscape}
    content = report.Report(sampled, inputs.published(), compared, pd.DataFrame(rows), landscapes)
    figure = report.convergence_figure(content, IMPRINT)
    names = [text.get_text() for axes in figure.axes for text in axes.get_yticklabels()]
    assert {"house prices, width 8: yes", "sentences, width 8: no"} <= set(names)
    titles = " ".join(axes.get_title("left") for axes in figure.axes)
    assert all(part in titles for part in ("other samplers", "kinetic temperature", "independent replicas, all"))
    parts = set(content.tidy()["part"])
    assert parts == {"reference", "sampler wlmd", "step size", "verdicts", "map against production"}
    assert style.content(figure, "png")
    small = report.convergence_figure(report.Report(None, None, {}, None, landscapes), IMPRINT)
    assert not any("other samplers" in axes.get_title("left") for axes in small.axes)


def test_page_on_convergence_has_a_panel_for_every_check_but_none_for_others():
    checks = set(numbers.judge(inputs.task("ln_test_loss").landscape).checks["check"])
    assert {check for _, check, *_ in report._DIAGNOSTICS.values()} == checks


def test_samplers_with_different_metrics_are_compared_by_volume_and_true_accuracy():
    """The same density on another range of losses, in another coordinate with the same true accuracy."""
    whole = inputs.task("smoothed_accuracy", walkers=4).landscape
    part = inputs.task("smoothed_accuracy", walkers=4, seed=1, edges=((-1.5, 0.5), (-3.0, -1.0))).landscape
    table = cross_checks.comparison(whole, part)
    known = table.dropna(subset="profile_difference")
    assert known["ln_train_loss"].min() > -3.0 and table["ln_train_loss"].min() < -3.9
    z = known["profile_difference"] / known["profile_difference_err"].replace(0, np.nan)
    assert np.nanmedian(np.abs(z)) < 2
    difference = (table["equilibrium_other"] - table["equilibrium"]).dropna()
    assert len(difference) == len(known) and np.abs(difference).max() < 0.01


def test_pages_are_one_pdf_without_dates(sampled, tmp_path):
    for name in ("a.pdf", "b.pdf"):
        style.save_pages([convergence.landscape_page(sampled, IMPRINT) for _ in range(2)], tmp_path / name)
    content = (tmp_path / "a.pdf").read_bytes()
    assert content.startswith(b"%PDF") and b"CreationDate" not in content
    assert content == (tmp_path / "b.pdf").read_bytes()


def test_cost_of_a_landscape():
    cost = tables.cost(inputs.task("ln_test_loss", walkers=2, visits=300).landscape)
    assert cost["updates per second"] == pytest.approx(4_800_000 / 95) and cost["peak memory of a job / MB"] == 812.5


SCRIPT = """
import hashlib, sys
sys.path.insert(0, {folder!r})
import test_plotting as t
sampled = t.inputs.landscape()
figure = t.task_figure(sampled, t.inputs.curve_table(sampled), t.Imprint("x", "SMOKE"), (-1.5, -1))
print([hashlib.sha256(t.style.content(figure, kind)).hexdigest() for kind in ("png", "pdf")])
"""


def test_equal_figures_have_equal_bytes_in_any_process(sampled, curves):
    figure = task_figure(sampled, curves, Imprint("x", "SMOKE"), (-1.5, -1))
    here = [hashlib.sha256(style.content(figure, kind)).hexdigest() for kind in ("png", "pdf")]
    script = SCRIPT.format(folder=str(Path(__file__).parent))
    environment = {**os.environ, "PYTHONHASHSEED": "7", "SOURCE_DATE_EPOCH": "1"}
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert out.stdout.strip() == str(here)


def test_saved_files_hold_no_dates(sampled, curves, tmp_path):
    style.save(task_figure(sampled, curves), tmp_path / "a.png", tmp_path / "a.pdf")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert b"CreationDate" not in (tmp_path / "a.pdf").read_bytes()
