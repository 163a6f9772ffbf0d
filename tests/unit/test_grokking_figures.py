"""Figures of the landscapes of modular arithmetic draw what the files say, and their notebooks run."""

from pathlib import Path

import figure_inputs as inputs
import numpy as np
import pytest
import rising_maps
from matplotlib.collections import QuadMesh
from shipped_notebooks import run_cells

from entroscape.analysis import barrier
from entroscape.files import write_dataset, write_table
from entroscape.landscape import jackknife
from entroscape.plotting import grokking, style
from entroscape.plotting.imprint import Imprint, make_imprint

IMPRINT = Imprint("where it comes from")
BOUNDS = {"largest_drop": 2.0, "valley": 2.0, "jump": 0.2}
ABOUT = {"figure": "GR", "title": "landscapes", "scale": "desktop", "watermark": ""}


def task(title: str, files: inputs.Task) -> grokking.Task:
    width = int(files.low_loss["width"].iloc[0])
    return grokking.Task(title, files.landscape, files.curves, files.low_loss, inputs.GROKKING, width)


@pytest.fixture(scope="module")
def made() -> dict[str, inputs.Task]:
    return {
        "add": inputs.grokking_task(),
        "cubic": inputs.grokking_task(False, "modular_cubic", seed=2),
        "narrow": inputs.grokking_task(experiment="modular_shell", width=16, seed=3, domain="shell"),
        "wide": inputs.grokking_task(experiment="modular_shell", width=32, seed=4, domain="shell"),
    }


def artists(figure, gid: str) -> list:
    return figure.findobj(lambda artist: artist.get_gid() == gid)


def test_maps_share_axes_and_colours(made):
    figure = grokking.barrier_figure([task("x + y", made["add"]), task("cubic", made["cubic"])], BOUNDS, IMPRINT)
    meshes = figure.findobj(QuadMesh)
    maps = [mesh for mesh in meshes if mesh.axes.get_title("left")]
    assert len(maps) == 2 and maps[0].get_clim() == maps[1].get_clim()
    assert maps[0].axes.get_xlim() == maps[1].axes.get_xlim()
    lowest = min(float(made[name].landscape["entropy"].where(np.isfinite).min()) for name in ("add", "cubic"))
    assert maps[0].get_clim()[0] == pytest.approx(min(lowest, 0))
    legend = {text.get_text() for text in figure.legends[0].get_texts()}
    assert {"equilibrium ⟨Ã⟩", "maximum entropy", "AdamW, free", "AdamW, kept in the box"} <= legend


def test_statistics_drawn_are_those_of_the_columns(made):
    one = task("x + y", made["add"])
    figure = grokking.barrier_figure([one], BOUNDS, IMPRINT)
    columns = barrier.by_column(one.landscape, one.grid, inputs.GROKKING)
    for quantity in BOUNDS:
        (drawn,) = artists(figure, quantity)
        rows = columns[columns["quantity"] == quantity]
        assert drawn.get_ydata() == pytest.approx(rows["value"].to_numpy())
        dotted = [line for line in drawn.axes.lines if line.get_color() == style.COLOURS["warning"]]
        assert len(dotted) == (2 if quantity == "jump" else 1)
    assert style.content(figure, "pdf")


def test_profiles_are_differences_from_the_best_bin_of_the_column(made):
    one = task("x + y", made["add"])
    rows = one.profiles
    losses = rows["ln_train_loss"].unique()
    assert len(losses) == grokking.PROFILES and (np.diff(losses) < 0).all()
    assert ((losses > -3) & (losses < -2)).all()
    column = np.abs(one.grid.x_centres - losses[0]).argmin()
    entropy = one.landscape["entropy_by_accuracy"].to_numpy()[column]
    left_out = one.landscape["entropy_by_accuracy_left_out"].to_numpy()[:, column].astype(float)
    first = rows[rows["ln_train_loss"] == losses[0]]
    row = np.abs(one.landscape["test_accuracy"].to_numpy() - first["y"].iloc[3]).argmin()
    best = int(entropy.argmax())
    assert first["entropy"].iloc[3] == pytest.approx(entropy[row] - entropy.max())
    assert first["entropy_err"].iloc[3] == pytest.approx(jackknife.error(left_out[:, row] - left_out[:, best]))
    drawn = artists(grokking.barrier_figure([one], BOUNDS, IMPRINT), "profile")
    assert drawn[0].get_ydata() == pytest.approx(first["entropy"].to_numpy())


def test_map_that_does_not_reach_low_loss_is_drawn():
    sampled = rising_maps.landscape(rising_maps.surface(), np.random.default_rng(0))
    high = sampled["ln_train_loss"] > -0.9
    for name in rising_maps.MAPS:
        sampled[name] = sampled[name].where(high, -np.inf)
    sampled["visited"] = sampled["visited"] & high
    sampled["entropy_err"] = sampled["entropy"].dims, np.full(sampled["entropy"].shape, 0.1)
    made = inputs.grokking_task(visits=2000)
    short = grokking.Task("x + y", sampled, made.curves, made.low_loss, rising_maps.SETTINGS)
    figure = grokking.barrier_figure([short], BOUNDS, IMPRINT)
    assert "not reached" in [text.get_text() for axes in figure.axes for text in axes.texts]
    assert grokking.barrier_table([short])["series"].eq("S - max S").sum() == 0


@pytest.mark.parametrize("beside", [True, False])
def test_gaps_of_the_shell_beside_those_of_the_box(made, beside):
    tasks = [task(f"width {width}", made[name]) for name, width in (("narrow", 16), ("wide", 32))]
    free = task("x + y", made["add"]) if beside else None
    figure = grokking.shell_figure(tasks, free, IMPRINT)
    gaps = artists(figure, "gap")
    assert len(gaps) == 2 + 2 * beside
    rows = made["wide"].curves
    rows = rows[(rows["quantity"] == "advantage") & (rows["metric"] == "test_accuracy")]
    rows = rows[rows["baseline"] == "adamw shell"].sort_values("ln_train_loss")
    assert gaps[-1].get_ydata() == pytest.approx(rows["value"].to_numpy())
    table = grokking.averages(tasks, free, "advantage")
    assert set(table["baseline"]) == {"adamw shell"} | ({"adamw free", "adamw box"} if beside else set())
    assert (table["low"] < table["value"]).all() and (table["value"] < table["high"]).all()
    lowest = grokking.averages(tasks, free, "lowest_trained").set_index(["width", "baseline"])
    stored = made["wide"].low_loss.set_index(["quantity", "baseline"]).loc[("lowest_trained", "adamw shell")]
    assert lowest.loc[(32, "adamw shell"), ["low", "high"]].tolist() == stored[["low", "high"]].tolist()
    panels = grokking.shell_table(tasks, free).groupby("panel")["series"].unique()
    assert list(panels.index) == list("abcde") and panels["d"] == ["advantage"]


def test_landscapes_that_have_not_converged_are_named(made):
    stuck = made["add"].landscape.assign(round_trips=made["add"].landscape["round_trips"] * 0)
    tasks = [task("x + y", made["add"]), task("cubic", made["cubic"])]
    figure = grokking.barrier_figure(tasks, BOUNDS, make_imprint("desktop", "", [stuck, made["cubic"].landscape], 15))
    (warning,) = artists(figure, "warning")
    assert "modular add" in warning.get_text()


@pytest.mark.parametrize(("lowest", "expected"), [(-100.0, 10.0), (-250.0, 50.0), (-3000.0, 500.0), (-12.0, 1.0)])
def test_contours_lie_at_round_distances(lowest, expected):
    assert grokking.contour_step(lowest) == expected


def test_numbers_for_reading(made):
    table = grokking.statistic_numbers(task("x + y", made["add"]))
    assert set(table["quantity"]) == {"largest_drop", "path_barrier", "valley", "jump"}
    assert "ln L" in table and table["value"].str.len().gt(0).all()
    assert not set(task("x + y", made["add"]).averages["quantity"]) & set(table["quantity"])


def files_of(folder: Path, name: str, files: inputs.Task) -> dict[str, str]:
    paths = {kind: str(folder / f"{name}.{kind}") for kind in ("training", "landscape", "curves", "low_loss")}
    write_dataset(files.landscape, paths["landscape"])
    for kind in ("training", "curves", "low_loss"):
        write_table(getattr(files, kind), paths[kind])
    return paths


def test_notebooks_make_the_figures(made, tmp_path):
    paths = {name: files_of(tmp_path, name, files) for name, files in made.items()}
    out = {kind: str(tmp_path / f"figure.{kind}") for kind in ("png", "pdf", "csv")}
    about = inputs.GROKKING.model_dump(mode="json")

    def several(names: list[str], prefix: str = "") -> dict:
        kinds = {"landscapes": "landscape", "curves": "curves", "low_loss": "low_loss"}
        return {prefix + many: [paths[name][one] for name in names] for many, one in kinds.items()}

    first = several(["add", "cubic"]) | {"training": [paths[name]["training"] for name in ("add", "cubic")]}
    first |= {"titles": ["x + y", "cubic"], "analysis": [about] * 2, "bounds": BOUNDS}
    run_cells("GR-1", ABOUT | first | out)
    shell = several(["narrow", "wide"]) | several(["add"], "box_") | {"analysis": about, "box_analysis": [about]}
    second = {kind: str(tmp_path / f"second.{kind}") for kind in out}
    run_cells("GR-2", ABOUT | shell | {"box_titles": ["x + y"]} | second)
    for name in ("figure", "second"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (tmp_path / f"{name}.csv").stat().st_size > 1000
