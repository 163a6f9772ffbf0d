"""The whole workflow at smoke scale, in a copy of the project: what it makes, and what a change makes it redo."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from preloaded import preloaded
from project import Project

from entroscape.files import read_dataset, read_table, write_dataset, write_table
from entroscape.verbs import check

SMOKE = Path("results/smoke")
FIGURES = [*(f"EA-{number}" for number in range(1, 9)), *(f"GR-{number}" for number in range(1, 11)), "GR-T1"]
SAMPLED = {"merge_landscapes", "analyse_landscape", "judge_claims", "ea1", "ea5", "ea8", "write_index", "all"}
EVERY = SAMPLED | {f"ea{number}" for number in range(1, 9)} | {"gr1", "gr2", "gr10"}
TRAINED = {
    *("find_milestones", "judge_claims", "write_index", "all"),
    *("gr3", "gr5", "gr6", "gr7", "gr8", "grt1"),
}
NETWORK = {
    *("search_training", "train_baselines", "sample_landscape", "merge_landscapes", "analyse_landscape"),
    *("judge_claims", "ea5", "ea8", "write_index", "all"),
}


@pytest.fixture(scope="module")
def project(compiled, tmp_path_factory) -> Project:
    """A copy of the project after a whole run at smoke scale."""
    project = Project.copy(tmp_path_factory.mktemp("project"), compiled)
    with preloaded() as variables:
        run = project.with_variables(variables).snakemake()
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return project


def test_every_figure_comes_out(project):
    for figure in FIGURES:
        for place in (f"figures/{figure}.png", f"figures/{figure}.pdf", f"figures/{figure}.csv"):
            assert (project.folder / SMOKE / place).stat().st_size > 500
        assert (project.folder / SMOKE / f"notebooks/{figure}.html").exists()
    assert "EA-8" in (project.folder / SMOKE / "index.html").read_text()


@pytest.mark.parametrize("figure", FIGURES)
def test_a_notebook_shows_its_figure_and_no_warning(project, figure):
    cells = nbformat.read(project.folder / SMOKE / f"notebooks/{figure}.ipynb", as_version=4).cells
    outputs = [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not [output for output in outputs if output.output_type in ("stream", "error")]


def test_verdicts_have_values_and_intervals(project):
    claims = pd.read_csv(project.folder / SMOKE / "claims.csv")
    assert set(claims["id"]) == {*(f"EA-C{n}" for n in range(1, 8)), *(f"GR-C{n}" for n in range(1, 10))}
    assert set(claims["verdict"]) <= {"supported", "contradicted", "undecided"}
    known = claims.dropna(subset=["value"])
    assert len(known) and ((known["lower"] <= known["value"]) & (known["value"] <= known["upper"])).all()


def test_logs_begin_with_the_command(project):
    for log in (project.folder / SMOKE / "logs").rglob("*.log"):
        assert log.read_text().startswith("$ entroscape "), log


def test_no_checkpoint_is_left(project):
    assert not list((project.folder / SMOKE / "checkpoints").rglob("*.npz"))


def test_second_run_does_nothing(project):
    assert project.to_do() == {}


@pytest.mark.parametrize(
    ("path", "redone", "samplings"),
    [
        ("src/entroscape/sampling/replica_exchange.py", {"sample_landscape", *SAMPLED}, 6),
        ("src/entroscape/sampling/network.py", {"sample_landscape", *SAMPLED}, 8),
        (
            "src/entroscape/sampling/molecular_dynamics.py",
            {"measure_step_size", "sample_landscape", *EVERY} - {"ea1"},
            32,
        ),
        ("src/entroscape/data/sentences.py", {"prepare_data", "ea4", *NETWORK}, 4),
        ("src/entroscape/landscape/reweight.py", EVERY, 0),
        ("src/entroscape/analysis/curves.py", EVERY - {"merge_landscapes", "ea8", "gr10"}, 0),
        ("src/entroscape/training/wand.py", {"run_course", "search_wand", "measure_step_cost", "gr9", *TRAINED}, 0),
        ("src/entroscape/plotting/fractions.py", {"gr7", "gr8", "write_index", "all"}, 0),
        ("src/entroscape/cli.py", set(), 0),
    ],
)
def test_a_change_of_code_redoes_what_uses_it(project, path, redone, samplings):
    with project.edited(path):
        planned = project.with_own_library().to_do()
    assert set(planned) == redone
    assert planned.get("sample_landscape", 0) == samplings


@pytest.mark.parametrize(
    ("old", "new", "redone"),
    [
        ("low_loss: [-1.3, -0.6]", "low_loss: [-1.25, -0.6]", SAMPLED - {"merge_landscapes", "ea8"}),
        ("cycles: 5", "cycles: 6", {"sample_landscape", "merge_landscapes", "ea8", "write_index", "all"}),
        ("runs: 30", "runs: 31", {"train_baselines", "sample_landscape", *SAMPLED}),
    ],
)
def test_a_change_of_settings_redoes_what_sees_them(project, old, new, redone):
    with project.edited("config/scales/smoke.yaml", old, new):
        assert set(project.to_do()) == redone


def test_changes_that_are_taken_back_leave_nothing_to_do(project):
    assert project.to_do() == {}


def test_sampling_again_gives_equal_bytes(project):
    replica = project.folder / SMOKE / "replicas/spiral/width-4/0.nc"
    before = replica.read_bytes()
    replica.unlink()
    again = project.snakemake(targets=[str(SMOKE / "replicas/spiral/width-4/0.nc")])
    assert again.returncode == 0, again.stderr
    assert replica.read_bytes() == before


def test_jobs_ask_for_what_the_table_of_costs_says(project):
    table, replica = project.folder / SMOKE / "cost.csv", str(SMOKE / "replicas/spiral/width-4/0.nc")
    row = dict(item="spiral/width-4", job="sample", jobs=4, device="cuda", seconds=7200.0, memory_mb=8000.0)
    table.write_text(pd.DataFrame([row | dict(disk_mb=500.0)]).to_csv(index=False))
    run = project.snakemake("--dry-run", "--quiet", "host", "--forcerun", "sample_landscape", targets=[replica])
    table.write_text("item,job\n")
    without = project.snakemake("--dry-run")
    table.unlink()
    said = run.stdout + run.stderr
    assert "Estimated for all of smoke, from speeds on cuda: 8.0 GPU-hours, 0.0 CPU-hours, 2.0 GB at most" in said
    (sampling,) = re.findall(r"rule sample_landscape:.*?resources: (.*?)\n", said, re.DOTALL)
    assert {"runtime=240", "mem_mb=12000"} <= set(sampling.split(", "))
    assert without.returncode != 0 and "cost.csv is no whole table of costs" in without.stdout + without.stderr


@pytest.mark.parametrize("wrong", ["of another config", "truncated"])
def test_a_replica_that_cannot_be_merged_is_named_kept_and_made_again(project, wrong):
    replicas = project.folder / SMOKE / "replicas/spiral"
    replica, aside = (replicas / f"width-4/{name}" for name in ("1.nc", "1.unused.nc"))
    landscape = project.folder / SMOKE / "landscapes/spiral/width-4.nc"
    original, merged = replica.read_bytes(), landscape.read_bytes()
    other = (replicas / "width-6/1.nc").read_bytes() if wrong == "of another config" else original[:5000]
    replica.write_bytes(other)
    timings = project.folder / SMOKE / "benchmarks/sample/spiral/width-4"
    command = [sys.executable, "-m", "entroscape.cli", "merge", "spiral", "width-4", "--scale", "smoke"]
    for r in (0, 1):
        command += ["--replica", str(replicas / f"width-4/{r}.nc"), "--timing", str(timings / f"{r}.tsv")]
    run = project.run([*command, "--output", str(landscape)])
    assert run.returncode == 1
    sentence = "was not sampled with the present settings" if wrong == "of another config" else "is not a whole netCDF"
    assert f"width-4/1.nc {sentence}" in run.stderr and f"it is kept as {aside}, run again" in run.stderr
    assert "Traceback" not in run.stderr
    assert landscape.read_bytes() == merged and aside.read_bytes() == other
    assert project.to_do()["sample_landscape"] == 1
    aside.unlink()
    replica.write_bytes(original)


def cut(length: int) -> Callable[[Path], object]:
    """Leave so many bytes of a file, or leave out so many at its end."""
    return lambda path: path.write_bytes(path.read_bytes()[:length])


def restamp(path: Path, **changes: str) -> None:
    """Give a table or a landscape other attributes."""
    read, write = (read_dataset, write_dataset) if path.suffix == ".nc" else (read_table, write_table)
    content = read(path)
    content.attrs.update(changes)
    write(content, path)


def test_results_from_elsewhere_that_cannot_be_used_are_named_kept_and_made_again(project, caplog):
    folder = project.folder / SMOKE
    was = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    wrong = {
        "data/mnist.nc": ("is not a whole netCDF", cut(-100)),
        "training/spiral/width-4.parquet": (
            "was made with other settings (network.width: 6 there, 4 here",
            lambda path: path.write_bytes(was[path.with_stem("width-6")]),
        ),
        "landscapes/modular_add/width-8.nc": (
            "was made by another version of the code (sampler_code_digest: 0 there",
            lambda path: restamp(path, sampler_code_digest="0"),
        ),
        "courses/add.parquet": (
            "was made by another version of the code (code_digest: 0 there",
            lambda path: restamp(path, code_digest="0"),
        ),
        "curves/spiral/width-6.low_loss.parquet": ("is not a whole parquet", cut(100)),
        "figures/EA-2.png": ("is not whole", cut(-1)),
        "notebooks/GR-4.html": ("is not whole", cut(-1000)),
        "claims.csv": ("is not whole", cut(-1)),
    }
    for name, (_, spoilt) in wrong.items():
        spoilt(folder / name)
    with caplog.at_level("INFO"):
        found = check.run("smoke", results=folder, config_dir=project.folder / "config")
    assert {path.relative_to(folder).as_posix() for path in found} == set(wrong), "all others are as they would be now"
    assert f"{len(wrong)} set aside; run again" in caplog.text
    planned = project.to_do()
    for name, (sentence, _) in wrong.items():
        assert f"{folder / name} {sentence}" in caplog.text
        aside = (folder / name).with_name(f"{Path(name).stem}.unused{Path(name).suffix}")
        assert aside.exists() and not (folder / name).exists()
        aside.unlink()
        (folder / name).write_bytes(was[folder / name])
    made_again = {
        "prepare_data",
        "train_baselines",
        "merge_landscapes",
        "run_course",
        "analyse_landscape",
        "ea2",
        "gr4",
    }
    assert made_again <= set(planned)


@pytest.mark.parametrize(
    ("path", "old", "new", "words"),
    [
        ("config/scales/smoke.yaml", "walkers: 2", "walkers: 1", ["config/scales/smoke.yaml", "walkers", "1", "2"]),
        ("config/scales/smoke.yaml", "walkers: 2", "wakers: 2", ["config/scales/smoke.yaml", "wakers", "walkers"]),
        ("config/claims.yaml", "test: positive", "test: big", ["config/claims.yaml", "big", "falls_with_width"]),
    ],
)
def test_a_mistake_in_the_configuration_stops_with_one_sentence(project, path, old, new, words):
    with project.edited(path, old, new):
        run = project.snakemake("--dry-run")
    said = run.stdout + run.stderr
    assert run.returncode != 0
    assert "Traceback" not in said
    assert all(word in said for word in words), said
    assert "Building DAG" not in said
