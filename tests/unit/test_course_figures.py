"""What figures of courses draw is what the tables say, and what did not happen within the steps is shown as that."""

import course_inputs as inputs
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from entroscape.analysis.courses import Course, milestones
from entroscape.plotting import courses, fractions, operations, sensitivity, settings_table, style
from entroscape.plotting.course_imprint import make_course_imprint
from entroscape.plotting.style import Imprint

IMPRINT = Imprint("where it comes from")
PERCENT = (50, 60, 70, 80)
READINGS = ("square_wand_printed", "square_wand_honest")


def artists(figure: Figure, gid: str) -> list:
    return figure.findobj(lambda artist: artist.get_gid() == gid)


def texts(figure: Figure) -> str:
    found = [axes.get_title("left") for axes in figure.axes]
    found += [text.get_text() for axes in figure.axes if axes.get_legend() for text in axes.get_legend().get_texts()]
    return " ".join(" ".join(found).split())


@pytest.fixture(scope="module")
def adamw():
    return inputs.course("add", last=2000, runs=4)


@pytest.fixture(scope="module")
def wand():
    return inputs.course("add_wand", last=2500, runs=4)


@pytest.fixture(scope="module")
def annealed():
    names = [f"square_{kind}_{percent}" for kind in ("adamw", "wand") for percent in PERCENT]
    return [inputs.course(name, runs=2) for name in (*names, *READINGS)]


def test_curve_is_the_median_of_all_runs_in_a_band_of_them(adamw):
    table = courses.curve_table(adamw, "test_accuracy", "a")
    row = table[table["step"] == 600].to_dict("records")[0]
    values = adamw.table[adamw.table["step"] == 600]["test_accuracy"]
    assert (row["median"], row["low"], row["high"]) == (values.median(), values.min(), values.max())
    assert table["step"].min() == 10  # a logarithmic axis has no 0


def test_a_run_that_has_blown_up_leaves_the_curve_of_the_others(adamw):
    late = adamw.table["step"] >= 600
    lost = adamw.table.assign(weight_norm=adamw.table["weight_norm"].mask(late & (adamw.table["run"] == 0)))
    table = courses.curve_table(Course(adamw.settings, lost), "weight_norm", "b")
    others = lost[(lost["step"] == 600) & (lost["run"] > 0)]["weight_norm"]
    row = table[table["step"] == 600].to_dict("records")[0]
    assert (row["median"], row["low"], row["high"]) == (others.median(), others.min(), others.max())


def test_a_run_that_has_ended_keeps_its_last_values(adamw):
    ended = (adamw.table["run"] == 0) & (adamw.table["step"] > 600)
    table = courses.curve_table(Course(adamw.settings, adamw.table[~ended]), "weight_norm", "b")
    seen = adamw.table.groupby("step")["weight_norm"].apply(list)
    row = table[table["step"] == 1000].to_dict("records")[0]
    known = [seen[600][0], *seen[1000][1:]]
    assert (row["median"], row["low"], row["high"]) == (np.median(known), min(known), max(known))


def test_wand_figure_draws_its_table(wand, adamw):
    figure = courses.wand_figure(wand, adamw, IMPRINT)
    table = courses.wand_table(wand, adamw)
    assert set(table["panel"]) == set("abcd")
    for axes, panel in ((figure.axes[0], "a"), (figure.axes[3], "d")):
        for series in ("train", "test"):
            rows = table[(table["panel"] == panel) & (table["quantity"] == f"{series}_accuracy")]
            (line,) = axes.findobj(lambda artist, series=series: artist.get_gid() == series)
            assert np.array_equal(line.get_xydata(), rows[["step", "median"]].to_numpy())
    assert len(artists(figure, "run")) == 4
    ticks = artists(figure, "steps_to_generalise")[0].get_xdata()
    found = milestones(wand)
    assert sorted(ticks) == sorted(found[found["quantity"] == "steps_to_generalise"]["value"])
    assert style.content(figure, "png")


def test_runs_that_do_not_generalise_are_counted_in_the_title(adamw):
    cubic = inputs.course("cubic", last=1000, steps=1000, runs=3)
    figure = courses.curves_figure([adamw, cubic], ["one", "two"], IMPRINT)
    assert "4 of 4 runs generalise" in texts(figure) and "0 of 3 runs generalise" in texts(figure)
    drawn = artists(figure, "steps_to_generalise")
    assert [len(ticks.get_xdata()) for ticks in drawn] == [4, 0]
    assert len(artists(figure, "stopped")) == 2  # accuracy and loss of the course that ended early
    table = courses.curves_table([adamw, cubic])
    assert table.groupby("panel")["course"].unique().explode().tolist() == ["add", "cubic", "add", "cubic"]
    assert style.content(figure, "png")


def test_imprint_names_scale_runs_steps_and_why_they_are_few(adamw, wand):
    text = make_course_imprint("desktop", "", [adamw, wand]).provenance
    for part in (
        *("desktop scale", "add: 4 runs of 2,000 steps", "add_wand: 4 runs of 2,500 steps"),
        *("each run ends early", "settled, 500 steps after test accuracy 0.99", "at most 3,000 steps here, 10,000"),
    ):
        assert part in text
    short = adamw.table[~((adamw.table["run"] == 2) & (adamw.table["step"] > 1500))]
    assert (
        "4 runs of 1,500–2,000 steps" in make_course_imprint("desktop", "", [Course(adamw.settings, short)]).provenance
    )
    whole = inputs.course("add", last=10_000, steps=10_000, runs=2)
    text = make_course_imprint("paper", "", [whole]).provenance
    assert "stopped" not in text and "here" not in text
    four = [adamw, adamw, wand, whole]
    text = make_course_imprint("paper", "SMOKE", four, ["a note"], ["beware"])
    assert "4 courses of 2–4 runs and 2,000–10,000 steps" in text.provenance and "a note" in text.provenance
    assert (text.watermark, text.warnings) == ("SMOKE", ("beware",))


def test_fractions_have_a_panel_for_each_optimizer_and_every_run_a_symbol():
    names = [f"add{kind}{'' if percent == 50 else f'_{percent}'}" for kind in ("", "_wand") for percent in PERCENT]
    series = [inputs.course(name, runs=2) for name in names]
    figure = fractions.fractions_figure(series, IMPRINT)
    assert all(f"{name}, {percent} %" in texts(figure) for name in ("AdamW", "WanD") for percent in PERCENT)
    for kind in ("adamw", "wand"):
        for panel, quantity in ((8, "steps_to_generalise"), (9, "delay")):
            lines = figure.axes[panel].findobj(
                lambda artist, kind=kind: str(artist.get_gid()).removesuffix(" open") == kind
            )
            drawn = np.concatenate([line.get_ydata() for line in lines])
            found = pd.concat([milestones(course) for course in series if course.kind == kind])
            assert sorted(drawn) == sorted(found[found["quantity"] == quantity]["value"].dropna())
    assert set(fractions.fractions_table(series)["panel"]) == set("abcdefghij")
    assert not fractions.verdict(series)
    assert style.content(figure, "png")


def test_a_run_that_is_known_by_a_bound_is_an_open_triangle():
    late = inputs.course("square_adamw_50", last=800, steps=800, runs=3)
    axes = style.new_figure(80, 60).subplots()
    fractions.draw_milestones(axes, [late], "steps_to_generalise")
    by_name = {line.get_gid(): line for line in axes.lines if line.get_gid()}
    assert len(by_name["adamw"].get_ydata()) == 0
    assert by_name["adamw open"].get_ydata().tolist() == [800, 800, 800]


def test_readings_of_the_weight_say_what_it_does_and_that_it_leaks(annealed):
    main = fractions.main_courses(annealed)
    assert {course.name for course in annealed} - {course.name for course in main} == set(READINGS)
    described, printed, honest = fractions.annealed(annealed)
    assert (described.name, printed.name, honest.name) == ("square_wand_50", *READINGS)
    assert fractions.shape(described) == fractions.shape(honest) == "rises, then falls"
    assert fractions.shape(printed) == "falls, then rises"
    assert fractions.verdict(annealed).count("A of") == 2 and "printed" not in fractions.verdict(annealed)
    figure = fractions.fractions_figure(annealed, make_course_imprint("desktop", "", annealed, (), [fractions.LEAK]))
    assert "as printed: falls, then rises" in texts(figure) and "no leak" in texts(figure)
    (warning,) = artists(figure, "warning")
    assert "test data guide the training" in " ".join(warning.get_text().split())
    table = fractions.fractions_table(annealed)
    assert set(table["panel"]) == set("abcdefghijkl") and set(table[table["panel"] == "k"]["quantity"]) == {"alpha"}
    assert style.content(figure, "png")


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [
        ([0.1, 0.15, 0.1], "stays as it is"),
        ([0.1, 0.9], "rises"),
        ([0.9, 0.5, 0.55, 0.1, 0.2, 0.9], "falls, then rises"),
    ],
)
def test_small_changes_of_the_weight_are_none(alpha, expected):
    course = inputs.course("square_wand_50", last=10 * len(alpha), runs=1)
    table = course.table.assign(alpha=[0.0, *alpha])
    table.attrs = course.table.attrs
    assert fractions.shape(Course.of(table)) == expected


def test_operations_are_images_of_their_answers():
    figure = operations.operations_figure(["add", "square", "cubic"], 7, IMPRINT)
    table = operations.operations_table(["add", "square", "cubic"], 7)
    assert len(table) == 3 * 49
    for axes, panel in zip(figure.axes, "abc", strict=False):
        (image,) = axes.images
        rows = table[table["panel"] == panel]
        assert np.array_equal(image.get_array()[rows["y"], rows["x"]], rows["answer"])
    assert operations.answers("cubic", 7)[2, 3] == (8 + 18 + 3) % 7
    assert style.content(figure, "png")


def test_sensitivity_shows_every_run_and_what_became_of_it():
    search = inputs.search(runs=3)
    figure = sensitivity.sensitivity_figure(search, sensitivity.imprint_of(search, "desktop", ""))
    table = sensitivity.sensitivity_table(search)
    assert set(table["outcome"]) == {"generalises", "does not generalise", "blows up"}
    above = figure.axes[: len(sensitivity.PARAMETERS)]
    for name, count in table["outcome"].value_counts().items():
        marks = [line for axes in above for line in axes.lines if line.get_gid() == name]
        assert sum(len(line.get_ydata()) for line in marks) == count
        assert all((y >= 0.99) == (name == "generalises") for line in marks for y in line.get_ydata())
    used = table[table["used"]].groupby("parameter")["value"].unique().explode().to_dict()
    assert used == {"bias": 2000, "learning_rate": 3e-3, "temperature": 0.5, "friction": 0.5, "factor": 0.1}
    summary = sensitivity.summary(search)
    assert summary[["generalise", "blow up"]].sum().tolist() == [
        (table["outcome"] == name).sum() for name in ("generalises", "blows up")
    ]
    assert style.content(figure, "png")


def test_the_runs_of_the_chosen_bias_stand_in_every_panel():
    search = inputs.search(runs=3)
    sparse = search[(search["parameter"] != "friction") | (search["value"] != 0.5)]
    sparse.attrs = search.attrs
    rows = sensitivity.varied(sparse, "friction")
    base = search[(search["parameter"] == "bias") & search["chosen"]]
    added = rows[rows["value"] == 0.5]
    assert added["best_test_accuracy"].tolist() == base["best_test_accuracy"].tolist() and len(added) == 3
    assert len(sensitivity.varied(search, "friction")) == (search["parameter"] == "friction").sum()
    assert len(sensitivity.sensitivity_table(sparse)) == len(sparse) + 3


def test_sensitivity_of_a_search_without_any_success():
    search = inputs.search(runs=2)
    failed = search.assign(steps_to_generalise=np.nan, chosen=False)
    failed.attrs = search.attrs
    assert np.isnan(sensitivity.chosen(failed, "bias"))
    assert style.content(sensitivity.sensitivity_figure(failed, IMPRINT), "png")


def test_settings_stand_beside_what_was_measured(adamw, wand):
    names = ("add_norm_32", "cubic")
    table = settings_table.settings_table(
        [*(inputs.course(name, last=1000, steps=1000, runs=2) for name in names), adamw, wand],
        inputs.step_cost([(0.03, 0.02), (0.031, 0.022), (0.032, 0.024)]),
    )
    assert table["norm"].tolist() == ["fixed 30", "free", "free", "free"]
    assert table["MLP"].tolist() == ["128", "512", "512", "512"]
    assert table["weight\ndecay"].tolist() == ["0", "1", "1", "none"]
    assert table["ms per\nstep"].tolist() == ["–", "–", "31 (30 to 32)", "22 (20 to 24)"]
    assert table["runs that\ngeneralise"].tolist()[1:3] == ["0 of 2", "4 of 4"]
    assert table["steps to test\naccuracy 0.99"][1] == "> 1,000"
    assert style.content(settings_table.settings_figure(table, IMPRINT), "png")


def test_spread_marks_bounds():
    rows = pd.DataFrame({"value": [100.0, 200.0, 300.0], "low": [100.0, 200.0, 300.0], "high": [100.0, 200.0, np.inf]})
    assert courses.spread(rows) == "200 (100 to > 300)"
    assert courses.spread(rows.assign(value=np.nan)) == "–"
    assert courses.spread(rows[:1]) == "100"
    assert courses.milestone_numbers([inputs.course("cubic", last=500, steps=500, runs=2)])["generalise"].tolist() == [
        0
    ]
