"""When runs learn and generalise, counted by hand; runs that do not come so far widen intervals and are named."""

import json

import course_inputs as inputs
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from entroscape.analysis import course_claims, courses, families
from entroscape.analysis.families import COLUMNS
from entroscape.config.schema import CourseClaim
from entroscape.config.settings import ClaimsSettings
from entroscape.errors import ConfigError
from entroscape.files import write_table
from entroscape.verbs import claims as claims_verb
from entroscape.verbs import milestones as milestones_verb


def course(*runs: tuple[list[float], list[float]], name: str = "add", steps: int = 100) -> courses.Course:
    """A course whose runs have these train and test accuracies at steps 0, 10, ..."""
    frames = [
        inputs.run(number, np.arange(len(train)) * 10, np.array(train), np.array(test))
        for number, (train, test) in enumerate(runs)
    ]
    return courses.Course.of(inputs.stamped(pd.concat(frames, ignore_index=True), name, steps=steps))


def row(table: pd.DataFrame, quantity: str, run: int = 0) -> tuple[float, float, float]:
    (found,) = table[(table["quantity"] == quantity) & (table["run"] == run)].to_dict("records")
    return found["value"], found["low"], found["high"]


GROKS = [0.1, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0], [0.0, 0.1, 0.1, 0.3, 0.6, 0.99, 1.0]


def test_steps_and_delay_of_a_run_that_generalises():
    table = courses.milestones(course(GROKS))
    assert row(table, "steps_to_train") == (20, 20, 20)
    assert row(table, "steps_to_generalise") == (50, 50, 50)
    assert row(table, "delay") == (30, 30, 30)
    assert row(table, "final_norm") == (60, 60, 60)
    assert set(table["quantity"]) | {"cost_ratio"} == set(courses.UNITS)


def test_largest_gap_is_no_single_spike():
    table = courses.milestones(course(GROKS))
    # gaps 0.1 0.4 0.9 0.7 0.4 0.01 0; the largest median is that of the first four, where a window is cut off
    assert row(table, "largest_gap") == pytest.approx((0.55, 0.55, 0.55))
    spike = [1.0] * 9, [1.0] * 4 + [0.0] + [1.0] * 4
    assert row(courses.milestones(course(spike)), "largest_gap") == (0, 0, 0)


def test_a_run_that_does_not_come_so_far_is_known_by_bounds():
    memorises = [0.5, 1.0, 1.0], [0.1, 0.1, 0.2]
    stuck = [0.1, 0.2, 0.2], [0.1, 0.1, 0.1]
    table = courses.milestones(course(memorises, stuck))
    assert row(table, "steps_to_generalise", 0) == (20, 20, np.inf)
    assert row(table, "delay", 0) == (10, 10, np.inf)
    assert row(table, "largest_gap", 0)[1:] == (pytest.approx(0.8), 1.0)
    assert row(table, "steps_to_train", 1) == (20, 20, np.inf)
    value, low, high = row(table, "delay", 1)
    assert np.isnan(value) and (low, high) == (-np.inf, np.inf)
    assert row(table, "largest_gap", 1)[2] == 1.0


def test_runs_of_different_lengths_are_known_as_far_as_they_went():
    memorises = [0.5, 1.0, 1.0, 1.0], [0.1, 0.1, 0.2, 0.2]
    one = course(GROKS, memorises)
    table = courses.milestones(one)
    assert one.ends.tolist() == [60, 30] and one.steps == 60
    assert row(table, "steps_to_generalise", 1) == (30, 30, np.inf)
    assert row(table, "final_norm", 1) == (30, 30, 30)
    assert row(table, "largest_gap", 1)[0] == row(courses.milestones(course(memorises)), "largest_gap")[0]


def test_the_final_norm_of_a_run_that_diverges_is_above_its_last_finite_one():
    one = course(GROKS)
    late = one.table["step"] > 40
    diverged = [one.table["weight_norm"].mask(late, value) for value in (np.nan, np.inf)]
    for norms in diverged:
        table = courses.milestones(courses.Course(one.settings, one.table.assign(weight_norm=norms)))
        assert row(table, "final_norm") == (40, 40, np.inf)


def group(values, low=None, high=None) -> pd.DataFrame:
    values = np.array(values, dtype=float)
    return pd.DataFrame({"value": values, "low": low or values, "high": high or values})


def test_difference_of_two_groups_is_that_of_welch():
    a, b = [3.0, 4.0, 5.0, 9.0], [1.0, 2.0, 1.5]
    value, lower, upper = course_claims.contrast([group(a), group(b)], [1, -1], 0.95)
    expected = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert value == pytest.approx(5.25 - 1.5) and (lower, upper) == pytest.approx((expected.low, expected.high))
    value, lower, upper = course_claims.contrast([group(a)], [1], 0.9)
    expected = stats.ttest_1samp(a, 0).confidence_interval(0.9)
    assert (lower, upper) == pytest.approx((expected.low, expected.high))


def test_slope_of_a_line_through_four_groups():
    groups = [group([10 + 7 * place, 12 + 7 * place]) for place in range(4)]
    value, lower, upper = course_claims.contrast(groups, [-0.3, -0.1, 0.1, 0.3], 0.95)
    assert value == pytest.approx(7) and lower < 7 < upper


def test_bounds_open_the_interval_on_the_side_where_nothing_is_known():
    known, unfinished = group([100, 110]), group([300, 310], high=[300, np.inf])
    value, lower, upper = course_claims.contrast([unfinished, known], [1, -1], 0.95)
    assert value == 200 and 0 < lower < 200 and upper == np.inf
    value, lower, upper = course_claims.contrast([unfinished, known], [-1, 1], 0.95)
    assert value == -200 and lower == -np.inf and -200 < upper < 0
    bounded = group([0.1, 0.1], high=[0.1, 1.0])
    assert course_claims.contrast([bounded], [1], 0.95)[2] > 0.55


def test_one_run_has_no_interval_and_equal_runs_one_of_no_width():
    assert np.isnan(course_claims.contrast([group([5]), group([1, 2])], [1, -1], 0.95)[1:]).all()
    assert course_claims.contrast([group([5, 5]), group([2, 2])], [1, -1], 0.95) == (3, 3, 3)


def claim(**changes) -> CourseClaim:
    about = {"id": "GR-C7", "case": "c", "statement": "s", "quantity": "delay", "contrast": {"add": 1.0, "wand": -1.0}}
    about |= {"test": "above", "bound": 0.0, "confidence": 0.95, "figure": "GR-3"}
    return CourseClaim(**about | changes)


def judged(table: pd.DataFrame, **changes) -> dict:
    empty: dict = {"reference_width": {}, "confidence": {}, "low_loss": {}, "stand_in": {}}
    settings = ClaimsSettings(scale="smoke", claims=[], courses=[claim(**changes)], **empty)
    found = families.verdicts(course_claims.candidates(settings, table), settings.family_sizes)
    assert list(found.columns) == COLUMNS
    return found.to_dict("records")[0]


@pytest.mark.parametrize(
    ("lower", "upper", "test", "bound", "expected"),
    [
        (0.1, np.inf, "above", 0.0, "supported"),
        (-np.inf, np.inf, "above", 0.0, "undecided"),
        (-2.0, -1.0, "above", 0.0, "contradicted"),
        (0.8, 0.99, "below", 1.0, "supported"),
        (0.9, 1.1, "below", 1.0, "undecided"),
        (1.01, 1.1, "below", 1.0, "contradicted"),
        (np.nan, np.nan, "below", 1.0, "undecided"),
    ],
)
def test_verdict_needs_the_whole_interval_on_one_side(lower, upper, test, bound, expected):
    assert course_claims.verdict(lower, upper, claim(test=test, bound=bound)) == expected


def test_verdict_on_a_delay_and_what_it_says_of_unfinished_runs():
    slow = [GROKS, (GROKS[0], [*GROKS[1][:4], 0.5, 0.6, 0.99])]
    fast = [(GROKS[0], GROKS[0])] * 2
    tables = [courses.milestones(course(*slow)), courses.milestones(course(*fast, name="wand"))]
    found = judged(pd.concat(tables))
    assert found["value"] == 35 and found["lower"] == pytest.approx(35 - 5 * stats.t.ppf(0.975, 1))
    assert found["verdict"] == "undecided" and found["remark"] == "add 35 ± 5; wand 0 ± 0"
    assert found["where from"] == "delay (steps) of add, wand"
    assert (found["figure"], found["rule"]) == ("GR-3", "gr3")
    assert found["data"] == "courses/add.parquet courses/wand.parquet"
    never = [(GROKS[0], [0.1] * 7)] * 2
    tables = [courses.milestones(course(*never)), tables[1]]
    found = judged(pd.concat(tables), note="a note")
    assert (found["verdict"], found["value"], found["upper"]) == ("supported", 40, np.inf)
    assert found["remark"].startswith("a note; add 40 ± 0; wand 0 ± 0; add: 2 of 2 runs did not come so far")


def test_an_optimizer_that_never_learns_has_not_removed_the_gap():
    stuck = ([0.1] * 7, [0.1] * 7)
    tables = [courses.milestones(course(GROKS, GROKS)), courses.milestones(course(stuck, stuck, name="wand"))]
    assert judged(pd.concat(tables), quantity="largest_gap")["verdict"] != "supported"
    assert judged(pd.concat(tables))["verdict"] == "undecided"


def test_courses_that_are_missing_are_named():
    found = judged(courses.milestones(course(GROKS)))
    assert found["verdict"] == "undecided" and np.isnan(found["value"]) and found["remark"] == "no runs of wand"


def test_cost_is_compared_within_rounds():
    table = courses.cost_ratios(inputs.step_cost([(1.0, 0.5), (2.0, 1.2), (4.0, 2.8)]))
    assert table["value"].tolist() == pytest.approx([0.5, 0.6, 0.7])
    found = judged(table, quantity="cost_ratio", contrast={"step_cost": 1.0}, test="below", bound=1.0)
    assert found["value"] == pytest.approx(0.6) and found["verdict"] == "supported"


def test_verbs_write_milestones_and_verdicts(tmp_path):
    table = inputs.stamped(course(GROKS, GROKS).table, "add")
    write_table(table, tmp_path / "add.parquet")
    write_table(inputs.step_cost([(1.0, 0.5), (1.0, 0.6)]), tmp_path / "cost.parquet")
    output = tmp_path / "milestones.parquet"
    milestones_verb.run(courses=[tmp_path / "add.parquet"], step_cost=[tmp_path / "cost.parquet"], output=output)
    about = claim(quantity="cost_ratio", contrast={"step_cost": 1.0}, test="below", bound=1.0)
    empty: dict = {"reference_width": {}, "confidence": {}, "low_loss": {}, "stand_in": {}}
    settings = ClaimsSettings(scale="smoke", claims=[], courses=[about], **empty)
    claims_verb.run(settings, low_loss=[], milestones=[output], output=tmp_path / "claims.csv")
    found = pd.read_csv(tmp_path / "claims.csv")
    assert found["verdict"].tolist() == ["undecided"] and found["value"].tolist() == [0.55]


def test_course_describes_itself():
    made = course(GROKS, steps=100)
    assert (made.name, made.kind, made.runs, made.steps, made.stopped) == ("add", "adamw", 1, 60, True)
    assert made.train_fraction == 0.5 and made.adamw is not None and made.wand is None
    assert json.loads(made.table.attrs["settings"])["name"] == "add"
    steps, alpha = made.grid("alpha")
    assert alpha.shape == (1, 7) and np.isnan(alpha).all() and steps.tolist() == list(range(0, 70, 10))


def test_shipped_claims_compare_courses_that_exist(tmp_path):
    from entroscape.config.load import CONFIG_DIR, load_claims

    for one in load_claims().courses:
        if "slope" in one.case:
            weights = np.array(list(one.contrast.values()))
            assert weights.sum() == pytest.approx(0) and weights @ np.arange(4) == pytest.approx(1)
    for name in ("claims.yaml", "courses.yaml"):
        (tmp_path / name).write_text((CONFIG_DIR / name).read_text().replace("add_wand_80: -0.25", "ad_wand: -0.25"))
    (tmp_path / "experiments").mkdir()
    for path in (CONFIG_DIR / "experiments").glob("*.yaml"):
        (tmp_path / "experiments" / path.name).write_text("")
    with pytest.raises(ConfigError, match="ad_wand is not a known key"):
        load_claims(tmp_path)
