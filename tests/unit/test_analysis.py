"""From maps and baselines to advantages and verdicts, against direct computation."""

import json

import numpy as np
import pandas as pd
import pytest
import rising_maps
import xarray as xr
from scipy.special import logsumexp
from scipy.stats import t as student
from synthetic import ACCURACIES, EPSILON, KINDS, dynamics_entropy, dynamics_grid, dynamics_run, true_accuracy

from entroscape.analysis import claims, curves, families, trained
from entroscape.config.sampler import Axis
from entroscape.config.schema import LARGEST_FAMILY, Analysis, Claim
from entroscape.config.settings import ClaimsSettings
from entroscape.grid import MAP, Grid
from entroscape.landscape.merge import merge
from entroscape.landscape.metric import JudgedMap, Metric, judged_map, sign

GRID = Grid(x_min=-2.0, bin_width=0.5, columns=4, rows=5)
SETTINGS = Analysis(low_loss=(-2.0, -1.0), generalising=0.75, confidence=0.95)


def test_a_run_enters_a_column_once():
    table = pd.DataFrame(
        {"run": [0, 0, 0, 1, 1], "ln_train_loss": [-1.9, -1.8, -0.1, -1.7, np.nan], "test_accuracy": [1, 0, 0.5, 1, 0]}
    )
    np.testing.assert_array_equal(
        trained.per_run(table, GRID, "test_accuracy"), [[0.5, np.nan, np.nan, 0.5], [1.0, np.nan, np.nan, np.nan]]
    )


def test_left_out_means_are_those_of_the_table_without_the_run():
    runs = np.random.default_rng(0).uniform(size=(7, 3))
    runs[2, 1] = runs[5, 0] = np.nan
    direct = [np.nanmean(np.delete(runs, r, axis=0), axis=0).mean() for r in range(len(runs))]
    np.testing.assert_allclose(trained.left_out_means(runs), direct)


@pytest.mark.parametrize(
    ("lower", "upper", "sign", "expected"),
    [
        (0.1, 0.3, 1, "supported"),
        (-0.3, -0.1, 1, "contradicted"),
        (-0.1, 0.3, 1, "undecided"),
        (-0.3, -0.1, -1, "supported"),
        (0.1, 0.3, -1, "contradicted"),
        (np.nan, 0.3, 1, "undecided"),
    ],
)
def test_verdict(lower, upper, sign, expected):
    assert claims.verdict(lower, upper, sign) == expected


def test_slope_is_that_of_weighted_least_squares_and_widens_with_scatter():
    x, error = np.array([2.0, 2.6, 3.0, 4.0]), np.array([0.1, 0.2, 0.1, 0.3])
    line = 1.0 - 0.5 * x
    value, narrow, dof = claims.slope(x, line, error)
    assert (value, dof) == (pytest.approx(-0.5), 2)
    scattered = line + np.array([0.5, -0.5, 0.5, -0.5])
    value, wide, _ = claims.slope(x, scattered, error)
    assert value == pytest.approx(np.polyfit(x, scattered, 1, w=1 / error)[0])
    assert wide > 2 * narrow
    assert np.isnan(claims.slope(x[:2], line[:2], error[:2])[0])


def test_welch_degrees_of_freedom():
    assert curves.effective_dof((1.0, 1.0), (5, 5)) == pytest.approx(10)
    assert curves.effective_dof((1.0, 0.0), (5, 9)) == pytest.approx(5)


def test_low_loss_averages_match_direct_computation():
    """Two low columns; baselines reach both with a constant accuracy, so the advantage is known by hand."""
    rng = np.random.default_rng(1)
    entropy = rng.normal(size=(4, 5))
    left_out = entropy + 0.01 * rng.normal(size=(6, 4, 5))
    landscape = xr.Dataset(
        {
            "entropy": (MAP, entropy),
            "entropy_left_out": (("unit", *MAP), left_out),
            "visited": (MAP, np.isfinite(entropy)),
        }
    )
    rows = [
        {
            "optimizer": optimizer,
            "protocol": protocol,
            "run": run,
            "ln_train_loss": x,
            "test_accuracy": accuracy,
            "inside": protocol == "box",
        }
        for optimizer, protocol, accuracy in (("sgd", "free", 0.25), ("sgd", "box", 0.5), ("adam", "free", 0.75))
        for run in range(6)
        for x in (-1.9, -1.2)
    ]
    table = curves.low_loss_table(landscape, pd.DataFrame(rows), GRID, SETTINGS)
    assert set(table["metric"]) == {"test_accuracy"} and set(table["baseline"]) == {"", "free", "box", "adam free"}
    table = table.set_index(["quantity", "baseline"])
    weight = np.exp(entropy[:2])
    equilibrium = ((weight @ GRID.y_values) / weight.sum(axis=1)).mean()
    assert table.loc[("equilibrium", ""), "value"] == pytest.approx(equilibrium)
    assert table.loc[("advantage", "free"), "value"] == pytest.approx(equilibrium - 0.25)
    assert table.loc[("advantage", "box"), "value"] == pytest.approx(equilibrium - 0.5)
    assert table.loc[("advantage", "adam free"), "value"] == pytest.approx(equilibrium - 0.75)
    assert table.loc[("advantage", "box"), "error"] == pytest.approx(table.loc[("equilibrium", ""), "error"])
    assert set(table["columns"]) == {2} and set(table["lower"]) == {-2.0} and set(table["upper"]) == {-1.0}


def test_a_volume_ratio_that_is_known_in_a_part_of_the_region_has_no_error():
    """At the lowest loss no generalising state was found: the ratio of the other column says nothing of the region."""
    entropy = np.zeros((4, 5))
    random = np.random.default_rng(1)
    for missing in (False, True):
        entropy[0, 3:] = -np.inf if missing else 0.0
        variables = {
            "entropy": (MAP, entropy.copy()),
            "entropy_left_out": (("unit", *MAP), entropy + 0.01 * random.normal(size=(6, 4, 5))),
            "visited": (MAP, np.isfinite(entropy)),
        }
        nothing = pd.DataFrame(columns=["optimizer", "protocol"])
        table = curves.low_loss_table(xr.Dataset(variables, GRID.coordinates), nothing, GRID, SETTINGS).set_index(
            "quantity"
        )
        assert np.isnan(table.loc["volume_ratio", "error"]) == missing
        assert np.isfinite(table.loc["equilibrium", "error"])


X_AXIS = Axis(min=-4, max=0.5, bin_width=0.1)


def dynamics_task(kind: str) -> tuple[xr.Dataset, Grid, pd.DataFrame]:
    """A landscape of known density, and runs whose metric is worse than the mean of the ridge by 0.1 in y."""
    random, grid = np.random.default_rng(4), dynamics_grid(kind)
    settings = json.dumps({"observables": {"y": {"kind": kind, "epsilon": EPSILON}}})
    landscape = merge([dynamics_run(random, grid, walkers=4) for _ in range(2)]).assign_attrs(settings=settings)
    run, x = np.divmod(np.arange(8 * grid.columns), grid.columns)
    x = grid.x_centres[x]
    worse = KINDS[kind][1](x) - 0.1 * sign(kind)
    columns = {"optimizer": "sgd", "protocol": "box", "run": run, "ln_train_loss": x, "inside": True, kind: worse}
    if kind != "ln_test_loss":
        columns["test_accuracy"] = 0.5
    return landscape, grid, pd.DataFrame(columns)


@pytest.mark.parametrize("kind", list(KINDS))
def test_equilibrium_of_every_metric_is_that_of_the_known_density(kind):
    landscape, grid, training = dynamics_task(kind)
    metric = Metric.of(landscape)
    assert grid == Grid.of_landscape(landscape, X_AXIS)
    table = curves.curve_table(landscape, training, grid, SETTINGS.model_copy(update={"low_loss": (-3.0, -2.0)}))
    weight = np.exp(dynamics_entropy(grid) - dynamics_entropy(grid).max(axis=1, keepdims=True))
    values = {kind: grid.y_values}
    if kind != "ln_test_loss":
        values["test_accuracy"] = true_accuracy(grid)
    if kind == "smoothed_accuracy_logit":
        values["smoothed_accuracy"] = metric.natural(grid.y_values)
    assert set(table["metric"]) == set(values)
    for name, value in values.items():
        rows = table[(table["quantity"] == "equilibrium") & (table["metric"] == name)]
        exact = (weight * value).sum(axis=1) / weight.sum(axis=1)
        z = (rows["value"].to_numpy() - exact[np.isin(grid.x_centres, rows["ln_train_loss"])]) / rows["error"]
        assert len(rows) == grid.columns and np.median(np.abs(z)) < 1.5
    advantage = table[(table["quantity"] == "advantage") & (table["metric"] == kind)]
    assert advantage["value"].median() == pytest.approx(0.1, abs=0.05), "positive: equilibrium is better"


def judged_rows(name: str, rows: list[float], **changes) -> JudgedMap:
    entropy = xr.DataArray(np.zeros((2, len(rows))), {"ln_train_loss": [-1.0, 0.0], name: rows})
    found = judged_map(xr.Dataset({"entropy": entropy, "entropy_left_out": entropy.expand_dims(unit=3)} | changes))
    assert found is not None and found.name == name
    return found


def test_thresholds_are_edges_of_loss_bins_and_a_bin_that_one_divides_does_not_count():
    loss = judged_rows("ln_test_loss", [-1.5, -0.5, 0.5])
    assert loss.generalising(0.0).tolist() == loss.generalising(0.7).tolist() == [True, True, False]
    assert loss.generalising(-0.3).tolist() == [True, False, False], "by its middle the second bin would count"


def test_thresholds_of_attainable_accuracies_count_whole_values():
    accuracy = judged_rows("test_accuracy", [0, 0.25, 0.5, 0.75, 1.0])
    assert accuracy.generalising(0.75).tolist() == [False, False, False, True, True]
    assert accuracy.generalising(0.76).tolist() == [False, False, False, False, True]
    assert accuracy.memorising(0.25).tolist() == [True, True, False, False, False]


def test_thresholds_of_accuracies_in_hundredths_are_edges():
    values = (np.arange(101) / 100).tolist()
    counted = xr.DataArray(np.zeros((2, 101)), {"ln_train_loss": [-1.0, 0.0], "test_accuracy": values})
    left_out = counted.expand_dims(unit=3)
    beside = {"entropy_by_accuracy": counted, "entropy_by_accuracy_left_out": left_out}
    accuracy = judged_rows("test_accuracy", values, **beside)
    assert accuracy.generalising(0.75).sum() == 26 and accuracy.memorising(0.2).sum() == 20
    sampled = judged_rows("test_accuracy", values)  # by Monte Carlo on 100 test points: each row is a single value
    assert sampled.memorising(0.2).sum() == 21
    assert accuracy.generalising(1.0).sum() == 1, "a perfect accuracy has a row of its own"


def test_a_smooth_stand_in_is_judged_by_the_true_accuracy_or_not_at_all():
    landscape, grid, training = dynamics_task("smoothed_accuracy")
    found = judged_map(landscape)
    assert found is not None and found.name == "test_accuracy" and len(found.lower) == ACCURACIES + 1
    np.testing.assert_allclose(
        logsumexp(found.entropy, axis=1), logsumexp(landscape["entropy"].to_numpy(), axis=1), rtol=1e-9
    )
    table = curves.curve_table(landscape, training, grid, SETTINGS)
    assert set(table[table["quantity"] == "volume_ratio"]["metric"]) == {"test_accuracy"}
    without = landscape.drop_vars(["entropy_by_accuracy", "entropy_by_accuracy_left_out"])
    assert judged_map(without) is None


def test_the_volume_ratio_counts_true_accuracies_where_the_smooth_one_says_the_opposite():
    """True accuracies are 0.1 higher: states with a smooth accuracy of 0.4 are half right."""
    rows, accuracies = np.arange(0.05, 1, 0.1), np.arange(11) / 10
    smooth = np.where(rows < 0.5, 0.0, -1.0)  # more volume below 0.5
    true = np.where(accuracies >= 0.5, 0.0, -1.0)
    x = {"ln_train_loss": [-2.5, -2.4]}
    variables = {
        "entropy": ("smoothed_accuracy", rows, smooth),
        "entropy_by_accuracy": ("test_accuracy", accuracies, true),
    }
    landscape = xr.Dataset()
    for name, (y, values, entropy) in variables.items():
        found = xr.DataArray(np.tile(entropy, (2, 1)), x | {y: values}, ("ln_train_loss", y))
        landscape = landscape.assign({name: found, f"{name}_left_out": found.expand_dims(unit=4)})
    grid = Grid(x_min=-2.55, bin_width=0.1, columns=2, rows=10, name="smoothed_accuracy", y_min=0.0, y_width=0.1)
    read = curves.quantities(landscape, grid, 0.5)["volume_ratio", "test_accuracy"]
    exact = logsumexp(true[accuracies >= 0.5]) - logsumexp(true[accuracies < 0.5])
    np.testing.assert_allclose(read.by_column()[0], exact)
    assert exact > 0 > logsumexp(smooth[rows > 0.5]) - logsumexp(smooth[rows < 0.5])


def test_logit_and_accuracy_are_inverse_to_each_other():
    metric, accuracy = Metric("smoothed_accuracy_logit", 1e-3), np.linspace(0, 1, 11)
    np.testing.assert_allclose(metric.natural(metric.coordinate(accuracy)), accuracy, atol=1e-12)
    np.testing.assert_allclose(metric.coordinate(0.0), np.log(1e-3 / 1.001))


def claims_settings(test: str = "positive", **changes) -> ClaimsSettings:
    about = {"id": "EA-C9", "statement": "better", "experiment": "task", "quantity": "advantage", "figure": "x"}
    claim = Claim(**about | {"baselines": ["box"], "test": test} | changes)
    widths = {"task": 4, "other": 8}
    about = {"reference_width": widths, "confidence": {"task": 0.95}, "low_loss": {"task": (-3.0, -2.0)}}
    about |= {"stand_in": {"task": ""}}
    return ClaimsSettings(scale="smoke", claims=[claim], **about)


def averages(widths=(4,), error=0.01, reached=-3.0, convergence="", **changes) -> pd.DataFrame:
    row = {"experiment": "task", "quantity": "advantage", "metric": "test_accuracy", "baseline": "box", "value": 0.1}
    row |= {"error": error, "dof": 7.0, "reached": reached, "convergence": convergence}
    table = pd.DataFrame([row | {"width": width, "variant": f"width-{width}"} | changes for width in (*widths, 99)])
    table = table[table["width"] < 99]
    noise = table.assign(metric="smoothed_accuracy", value=-5.0), table.assign(variant="width-4-wlmd", value=-5.0)
    return pd.concat([table, *noise], ignore_index=True)


def judged(settings: ClaimsSettings, low_loss: pd.DataFrame) -> pd.DataFrame:
    return families.verdicts(claims.candidates(settings, low_loss), settings.family_sizes)


def test_claims_are_about_the_judged_metric_of_the_plain_variants():
    (row,) = judged(claims_settings(), averages()).to_dict("records")
    assert (row["verdict"], row["value"], row["remark"]) == ("supported", 0.1, "")
    assert row["case"] == "width 4, box SGD" and row["where from"] == "advantage of width-4"
    assert (row["figure"], row["rule"], row["data"]) == ("x", "x", "landscapes/task/width-4.nc")


def test_a_map_that_ends_too_early_leaves_a_claim_undecided_and_says_so():
    (row,) = judged(claims_settings(), averages(error=np.nan, value=np.nan, reached=-1.5)).to_dict("records")
    assert row["verdict"] == "undecided"
    assert row["remark"] == "the map ends at ln L = −1.5, above the low-loss region, which begins at −2"
    (row,) = judged(claims_settings(), averages(error=np.nan, value=np.nan)).to_dict("records")
    assert row["verdict"] == "undecided" and "too few trained runs" in row["remark"]
    (row,) = judged(claims_settings(), averages(widths=())).to_dict("records")
    assert row["verdict"] == "undecided" and row["remark"].startswith("no landscape")


def test_a_claim_that_rests_on_a_map_that_has_not_converged_is_undecided():
    (row,) = judged(claims_settings(), averages(convergence="not converged: noise")).to_dict("records")
    assert row["verdict"] == "undecided" and row["remark"] == "not converged: noise"
    assert (row["value"], row["confidence"]) == (0.1, 0.95) and 0 < row["lower"] < 0.1 < row["upper"]
    table = averages((4, 8, 16)).assign(value=lambda table: 1.0 - 0.4 * np.log2(table["width"]))
    (row,) = judged(claims_settings("falls_with_width"), table).to_dict("records")
    assert row["verdict"] == "supported" and row["remark"] == ""
    table.loc[table["width"] == 8, "convergence"] = "not converged: noise"
    (row,) = judged(claims_settings("falls_with_width"), table).to_dict("records")
    assert row["verdict"] == "undecided" and row["remark"] == "not converged: width-8"
    (row,) = judged(claims_settings("same_at_all_widths", bound=2.0), table).to_dict("records")
    assert row["verdict"] == "supported" and row["remark"] == "", "the widths compared are 4 and 16"
    table.loc[table["width"] == 16, "convergence"] = "not converged: noise"
    (row,) = judged(claims_settings("same_at_all_widths", bound=2.0), table).to_dict("records")
    assert row["verdict"] == "undecided" and row["remark"] == "not converged: width-16"


def test_what_training_alone_reaches_rests_on_no_map():
    settings = claims_settings("above", bound=0.2, quantity="lowest_trained")
    table = averages(quantity="lowest_trained", value=0.5, convergence="not converged: noise")
    (row,) = judged(settings, table).to_dict("records")
    assert row["verdict"] == "supported" and row["remark"] == ""


def test_intervals_of_their_own_are_those_of_the_level_that_decides():
    """Two rows of one figure: the clearer one is judged at 1 - 0.05 / 2, then the other at 0.95."""
    about = {"quantity": "path_barrier", "baseline": "", "metric": "smoothed_accuracy", "error": 0.1}
    ends = {"low": 0.0, "high": 1.0, "low_2": 0.0, "high_2": 1.9}
    clear = averages(**about | ends).iloc[:1]
    faint = averages(**about | ends | {"high": 1.5, "high_2": 2.5, "experiment": "other"}).iloc[:1]
    faint = faint.assign(width=8, variant="width-8")
    one = claims_settings("below", bound=2.0, quantity="path_barrier", baselines=None).claims[0]
    settings = claims_settings().model_copy(update={"claims": [one.model_copy(update={"experiment": "other"}), one]})
    other = {"confidence": {"task": 0.95, "other": 0.95}, "stand_in": {"task": "", "other": ""}}
    settings = settings.model_copy(update=other)
    found = judged(settings, pd.concat([clear, faint], ignore_index=True))
    assert found["verdict"].tolist() == ["supported"] * 2
    assert found["upper"].tolist() == [1.5, 1.9] and found["confidence"].tolist() == pytest.approx([0.95, 0.975])
    found = judged(settings, pd.concat([clear.assign(convergence="not converged: x"), faint], ignore_index=True))
    assert found["verdict"].tolist() == ["undecided"] * 2, "the row that cannot be judged counts"
    assert found["upper"].tolist() == [2.5, 1.9]


def test_maps_behind_a_claim_that_have_not_converged_are_named():
    table = averages((4, 8, 16), convergence="not converged: noise")
    (row,) = judged(claims_settings("falls_with_width"), table).to_dict("records")
    assert row["remark"] == "not converged: width-4, width-8, width-16"
    (row,) = judged(claims_settings("falls_with_width"), averages((4, 8))).to_dict("records")
    assert row["verdict"] == "undecided" and row["remark"] == "a slope needs 3 widths"


@pytest.mark.parametrize(
    ("test", "bound", "interval", "expected"),
    [
        ("above", 0.2, (0.25, 0.4), "supported"),
        ("above", 0.2, (0.1, 0.15), "contradicted"),
        ("above", 0.2, (0.1, 0.4), "undecided"),
        ("below", 2.0, (0.0, 1.9), "supported"),
        ("below", 2.0, (2.1, 5.0), "contradicted"),
        ("below", 2.0, (0.0, 5.0), "undecided"),
        ("below", 2.0, (np.nan, np.nan), "undecided"),
    ],
)
def test_value_with_an_interval_of_its_own_against_a_bound(test, bound, interval, expected):
    settings = claims_settings(test, bound=bound, quantity="largest_drop", baselines=None)
    about = {"quantity": "largest_drop", "baseline": "", "low": interval[0], "high": interval[1]}
    table = averages(error=0.1 if np.isfinite(interval[0]) else np.nan, **about).iloc[:1]
    (found,) = judged(settings, table).to_dict("records")
    assert found["verdict"] == expected and found["case"] == f"width 4, largest drop {test} {bound:g}"
    np.testing.assert_array_equal([found["lower"], found["upper"]], interval)


@pytest.mark.parametrize(("lower", "remark"), [(-3.0, ""), (-2.5, "seen from ln L = −2.5 to −2 only")])
def test_a_drop_that_was_looked_for_in_a_part_of_the_region_says_where_and_supports_nothing(lower, remark):
    settings = claims_settings("below", bound=2.0, quantity="largest_drop", baselines=None)
    about = {"quantity": "largest_drop", "baseline": "", "low": 0.0, "high": 1.0, "lower": lower, "upper": -2.0}
    (found,) = judged(settings, averages(**about).iloc[:1]).to_dict("records")
    assert found["remark"] == remark and found["verdict"] == ("undecided" if remark else "supported")
    (large,) = judged(settings, averages(**about | {"low": 2.5, "high": 3.0}).iloc[:1]).to_dict("records")
    assert large["verdict"] == "contradicted", "a drop that was seen is one, wherever else there are some"


def test_why_there_is_no_barrier_is_said():
    settings = claims_settings("below", bound=2.0, quantity="largest_drop", baselines=None)
    row = averages(quantity="largest_drop", baseline="", metric="smoothed_accuracy", error=np.nan, value=np.nan)
    (found,) = judged(settings, row).to_dict("records")
    assert (
        found["verdict"] == "undecided"
        and "memorising and generalising states were not both sampled" in found["remark"]
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({4: 0.3, 8: 0.9, 16: 0.31}, "supported"),
        ({4: 0.3, 8: 0.3, 16: 0.6}, "contradicted"),
        ({4: 0.3, 8: 0.3, 16: 0.39}, "undecided"),
    ],
)
def test_same_at_all_widths_compares_the_widest_with_the_narrowest(values, expected):
    settings = claims_settings("same_at_all_widths", bound=0.1)
    table = averages(tuple(values))
    (row,) = judged(settings, table.assign(value=table["width"].map(values))).to_dict("records")
    assert row["verdict"] == expected and row["case"] == "width 16 minus width 4, box SGD, within ±0.1"
    assert row["value"] == pytest.approx(values[16] - values[4])
    half = np.hypot(0.01, 0.01) * student.ppf(0.975, 14)
    assert row["upper"] - row["value"] == pytest.approx(half)
    (row,) = judged(settings, averages((4,))).to_dict("records")
    assert row["verdict"] == "undecided" and "2 widths are needed" in row["remark"]


def test_smaller_than_another_experiment():
    settings = claims_settings("smaller_than", against="other", against_baseline="adam free")
    other = averages((8,), value=0.4, experiment="other", baseline="adam free")
    table = pd.concat([averages(), other], ignore_index=True)
    (row,) = judged(settings, table).to_dict("records")
    assert row["verdict"] == "supported" and row["remark"] == ""
    table.loc[table["experiment"] == "other", "convergence"] = "not converged: x"
    for order in (table, table[::-1]):
        (row,) = judged(settings, order).to_dict("records")
        assert row["verdict"] == "undecided" and row["value"] == pytest.approx(0.3)
        assert row["case"] == "other minus task, width 4, free Adam against box SGD"
        assert row["where from"] == "advantage of other width-8, task width-4"
        assert row["remark"] == "not converged: other width-8"
    (row,) = judged(settings, averages()).to_dict("records")
    assert row["verdict"] == "undecided" and "other is not there" in row["remark"]


def test_claims_that_lack_what_their_test_needs_are_refused():
    for changes in ({"test": "below"}, {"test": "positive", "bound": 1.0}, {"test": "smaller_than"}):
        with pytest.raises(ValueError, match="must be given"):
            claims_settings(**changes)


def test_lowest_mean_of_training_and_its_interval():
    """The interval of the smallest of many equal means holds their true value, which the smallest alone misses."""
    random = np.random.default_rng(0)
    inside, below = 0, 0
    for _ in range(200):
        (found,), _, count = trained.lowest(0.5 + 0.1 * random.normal(size=(12, 10)), [0.95])
        inside += found.low <= 0.5 <= found.high
        below += found.value < 0.5
        assert found.low < found.value < found.high and count == 12
    assert inside >= 185 and below > 190


def test_low_loss_table_has_barriers_only_where_memorising_states_are_looked_for():
    random = np.random.default_rng(0)
    sampled = rising_maps.landscape(rising_maps.surface(), random)
    runs = pd.DataFrame(
        {"optimizer": "adamw", "protocol": "box", "run": run, "ln_train_loss": x, "smoothed_accuracy": 0.4 - 0.1 * x}
        | {"test_accuracy": 0.4 - 0.1 * x, "inside": True}
        for run in range(6)
        for x in rising_maps.GRID.x_centres
    )
    table = curves.low_loss_table(sampled, runs, rising_maps.GRID, rising_maps.SETTINGS).set_index("quantity")
    assert {"largest_drop", "path_barrier", "valley", "jump", "lowest_trained"} <= set(table.index)
    assert table.loc["lowest_trained", "value"] == pytest.approx(0.505)
    assert table.loc["largest_drop", "low"] <= table.loc["largest_drop", "value"] <= table.loc["largest_drop", "high"]
    for quantity in ("path_barrier", "valley", "jump", "lowest_trained"):
        for share in range(2, LARGEST_FAMILY + 1):
            outer, inner = (table.loc[quantity, [*families.names(one)]].to_numpy(float) for one in (share, share - 1))
            assert outer[0] <= inner[0] <= inner[1] <= outer[1]
    plain = rising_maps.SETTINGS.model_copy(update={"memorising": None})
    before = curves.low_loss_table(sampled, runs, rising_maps.GRID, plain)
    assert not {"largest_drop", "lowest_trained"} & set(before["quantity"]) and "low" not in before
