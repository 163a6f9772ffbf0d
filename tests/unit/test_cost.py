"""What a scale costs: speeds that are measured here, and sums over what figures show."""

import pandas as pd
import pytest
from rich.console import Console

from entroscape.config.courses import CourseSettings, SearchSettings
from entroscape.config.load import load_courses, load_experiment
from entroscape.config.settings import settings_for, variants
from entroscape.errors import UnusableFile
from entroscape.files import read_table, write_table
from entroscape.sampling.dynamics import round as dynamics_round
from entroscape.sampling.workers import Workers
from entroscape.verbs import cost, course_speed, prepare, speed, training_speed
from entroscape.verbs.sample import read_task

FIGURES = {"A": ["spiral/width-4"], "B": ["spiral/width-4", "courses/add"]}


def rows(**changes) -> dict:
    known = dict(job="sample", jobs=2, device="cuda", updates=7_200_000, updates_per_second=1000.0)
    return known | dict(memory_mb=500.0, disk_mb=1500.0) | changes


def test_what_several_figures_show_counts_once_in_all(tmp_path):
    sampled = dict(experiment="spiral", variant="width-4")
    course = rows(
        job="course", jobs=1, device="cpu", experiment="courses", variant="add", updates=3_600_000, memory_mb=800.0
    )
    write_table(pd.DataFrame([rows(**sampled), course]), tmp_path / "speed.parquet")
    cost.run(FIGURES, {"B": 4000.0}, speeds=[tmp_path / "speed.parquet"], output=tmp_path / "cost.csv")
    table = cost.read(tmp_path / "cost.csv")
    assert table["seconds"].tolist() == [7200.0, 3600.0]
    assert (cost.gpu_hours(table), cost.cpu_hours(table), cost.gigabytes(table)) == (4.0, 1.0, 4.5)
    console = Console(width=120, record=True)
    console.print(cost.summary(table, FIGURES, {"B": 4000.0}))
    lines = {line.split("│")[1].strip(): line for line in console.export_text().splitlines() if line.count("│") > 3}
    assert "4.00" in lines["A"] and "0.00" in lines["A"] and "0.50" in lines["A"] and "3.00" in lines["A"]
    assert "0.80" in lines["B"] and "4.50" in lines["B"]
    assert "4,000" in lines["B"] and lines["all"].count("4.00") == 1 and "1.00" in lines["all"]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_table_of_costs_that_is_not_whole_is_refused(tmp_path, share):
    path = tmp_path / "cost.csv"
    named = dict(experiment="spiral", variant="width-4")
    write_table(pd.DataFrame([rows(**named), rows(job="train", **named)]), tmp_path / "speed.parquet")
    cost.run(FIGURES, {}, speeds=[tmp_path / "speed.parquet"], output=path)
    text = path.read_text()
    path.write_text(text[: int(share * len(text))])
    with pytest.raises(UnusableFile, match=r"cost\.csv is no whole table of costs: delete it"):
        cost.read(path)


@pytest.mark.parametrize("variant", ["width-4", "width-6-published", "width-6-wlmd", "width-6-wlhmc"])
def test_every_procedure_is_measured_at_its_own_size(tmp_path, monkeypatch, variant):
    monkeypatch.setattr(speed, "SECONDS", 0.05)
    monkeypatch.setattr(training_speed, "STEPS", 1)
    data = tmp_path / "data.nc"
    prepare.run(settings_for("prepare", "spiral", None, "smoke"), output=data)
    trained = variant == "width-4"
    training = tuple(settings_for(of, "spiral", variant, "smoke") for of in ("search", "train")) if trained else None
    sample = settings_for("sample", "spiral", variant, "smoke")
    speed.run(sample, training, data=data, output=tmp_path / "speed.parquet", threads=1, device="cpu")
    table = read_table(tmp_path / "speed.parquet")
    assert table["job"].tolist() == (["sample", "train"] if trained else ["sample"])
    assert (table["updates_per_second"] > 0).all() and (table["updates"] > 1000).all()
    assert table["memory_mb"].between(100, 10_000).all() and table["disk_mb"].between(0.1, 10).all()
    assert variant in variants(load_experiment("spiral", "smoke"))


def test_courses_and_the_search_that_they_need_are_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(course_speed, "STEPS", 1)
    courses = load_courses("smoke")
    known = [CourseSettings.of(courses, name) for name in ("add", courses.search.course)]
    course_speed.run(known, SearchSettings.of(courses), output=tmp_path / "speed.parquet", device="cpu")
    table = read_table(tmp_path / "speed.parquet").set_index(["job", "variant"])
    assert list(table.index) == [("course", "add"), ("course", "add_wand"), ("search", "add_wand")]
    search = courses.search
    tried = sum(map(len, (search.bias, search.learning_rate, search.temperature, search.friction, search.factor)))
    assert table["updates"].iloc[2] == tried * search.runs * search.steps
    assert (table["updates_per_second"] > 0).all() and (table["memory_mb"] > 100).all()
    runs, steps = courses.courses["add"].runs, courses.courses["add"].steps
    assert table["disk_mb"].iloc[0] == pytest.approx(runs * steps / courses.record_every * 100 / 1e6)
    assert table["updates_per_second"].iloc[1] == table["updates_per_second"].iloc[2]


@pytest.mark.parametrize(("variant", "gradients"), [("width-6-wlmd", 1), ("width-6-wlhmc", 5)])
def test_updates_of_molecular_dynamics_are_passes_of_the_network(tmp_path, monkeypatch, variant, gradients):
    prepare.run(settings_for("prepare", "spiral", None, "smoke"), output=tmp_path / "data.nc")
    sample = speed._briefer(speed._roomy(settings_for("sample", "spiral", variant, "smoke")), 100)
    procedure, passes, observe = sample.procedure, [], dynamics_round._observe
    monkeypatch.setattr(dynamics_round, "_observe", lambda f, leaf: (passes.append(len(leaf)), observe(f, leaf))[1])
    monkeypatch.setattr(speed, "_rate", lambda step, device, seconds: float(step() is not None))
    task = read_task(sample, tmp_path / "data.nc")
    with Workers(1) as workers:
        updates, _ = speed._watched(sample, task, "cpu", workers, seconds=0.0)
    assert updates == sum(passes) == procedure.walkers * (1 + procedure.steps_per_round * gradients)


@pytest.mark.parametrize(
    ("updates", "walkers", "steps"), [(0.3, 1, 1), (5.9, 5, 1), (8.0, 8, 1), (100.0, 8, 12), (1e6, 8, 50)]
)
def test_a_slow_network_is_measured_in_fewer_steps_of_fewer_walkers(updates, walkers, steps):
    brief = speed._briefer(speed._roomy(settings_for("sample", "cat_dog", "width-6", "paper")), updates).procedure
    assert (brief.walkers, brief.steps_per_round) == (walkers, steps)
