"""Barriers, valleys and jumps of landscapes that are known, with noise that is known."""

import numpy as np
import pytest
from rising_maps import GRID, LOW, MAPS, SETTINGS, exactly, landscape, surface
from scipy.ndimage import label

from entroscape.analysis import barrier, families, largest
from entroscape.analysis.largest import Bounds


def table(sampled):
    return barrier.table(sampled, GRID, SETTINGS, [SETTINGS.confidence])


def found(sampled, quantity: str) -> Bounds:
    row = table(sampled).set_index("quantity").loc[quantity]
    return Bounds(row["value"], row["low"], row["high"])


def direct_drop(entropy: np.ndarray) -> float:
    """Largest fall below the running maximum on the way up to the best generalising row, by loops."""
    worst = 0.0
    for profile in entropy[LOW]:
        top = max((k for k in range(GRID.rows) if GRID.y_values[k] >= 0.75), key=lambda k, p=profile: p[k])
        worst = max([worst, *(profile[i] - profile[m] for m in range(top + 1) for i in range(m))])
    return worst


@pytest.mark.parametrize("depth", [1.0, 4.0])
def test_largest_drop_without_noise_is_that_of_the_profile(depth):
    entropy = surface(depth)
    value, low, high = found(exactly(entropy), "largest_drop")
    assert value == pytest.approx(direct_drop(entropy)) and low == pytest.approx(value) == pytest.approx(high)
    assert value == pytest.approx(depth, abs=0.3)
    assert found(exactly(surface()), "largest_drop") == pytest.approx((0, 0, 0))


def test_valley_without_noise_lies_between_two_maxima():
    entropy = surface(3.0)
    y, best = GRID.y_values, 0.0
    for profile in entropy:
        for i in range(GRID.rows):
            for j in range(i + 1, GRID.rows):
                if y[j] - y[i] >= barrier.APART - 1e-9:
                    best = max(best, min(profile[i], profile[j]) - profile[i : j + 1].min())
    assert found(exactly(entropy), "valley").value == pytest.approx(best)
    assert found(exactly(surface()), "valley").value == 0


def test_ripples_closer_than_two_phases_are_no_valley():
    entropy = surface(rise=0.0) + 2.0 * (np.arange(GRID.rows) == 12)
    assert found(exactly(entropy), "largest_drop").value == pytest.approx(2.0)
    assert found(exactly(entropy), "valley").value == 0


def test_path_goes_round_a_wall_through_its_gap():
    """A wall across accuracy 0.5 with one gap in a column of lower S: the path costs the way there, not the wall."""
    x, y = np.meshgrid(GRID.x_centres, GRID.y_values, indexing="ij")
    entropy = y + 5.0 * (x + 1.05)
    wall = np.abs(y - 0.5) < 0.03
    entropy[wall & (np.abs(x + 1.35) > 0.01)] -= 50.0
    (bounds,), path = barrier.path_barrier(barrier.Surface.of(exactly(entropy)), LOW, SETTINGS, [0.95])
    start, gap = (entropy[tuple(path[0])]), entropy[wall & (np.abs(x + 1.35) < 0.01)].min()
    below = y < 0.48
    lowest = entropy[below & (np.abs(x + 1.35) < 0.01)].max()
    assert bounds.value == pytest.approx(start - min(gap, lowest))
    steps = np.abs(np.diff(path, axis=0)).sum(axis=1)
    assert (steps == 1).all(), "over edges, not corners"
    assert GRID.y_values[path[0, 1]] <= 0.25 and GRID.y_values[path[-1, 1]] >= 0.75


def test_no_barrier_where_S_depends_on_the_loss_alone():
    """Generalising bins are known at low loss only, so S falls on the way there by as much as the ends differ."""
    x, y = np.meshgrid(GRID.x_centres, GRID.y_values, indexing="ij")
    unknown = (y > 0.6) & (x > -1.6)
    for error in (0.0, 0.2):
        sampled = landscape(30 * x, np.random.default_rng(3), error)
        for name in MAPS:
            sampled[name] = sampled[name].where(np.broadcast_to(~unknown, sampled[name].shape), -np.inf)
        value, low, high = found(sampled, "path_barrier")
        assert low == 0 and value == pytest.approx(0, abs=1e-9 + 2 * error) and high < 1e-9 + 12 * error
        fall = entropy_at(sampled, -1.05, 0.1) - entropy_at(sampled, -1.65, 0.9)
        assert fall > 15, "which is a difference of the ends, not a barrier between them"


def entropy_at(sampled, x: float, y: float) -> float:
    return float(sampled["entropy"].sel(ln_train_loss=x, smoothed_accuracy=y, method="nearest"))


@pytest.mark.parametrize("tilt", [-8.0, 0.0, 8.0])
def test_barrier_of_a_path_is_that_below_the_lower_end(tilt):
    """Seen from the lower of the two states, and the same in either direction."""
    y = GRID.y_values
    entropy = np.broadcast_to(tilt * y - 6 * np.exp(-(((y - 0.5) / 0.08) ** 2)), (GRID.columns, GRID.rows))
    memorising, generalising, between = (entropy[0, rows] for rows in (y <= 0.25, y >= 0.75, (y > 0.25) & (y < 0.75)))
    expected = min(memorising.max(), generalising.max()) - between.min()
    for sampled in (exactly(entropy), exactly(entropy[:, ::-1])):
        assert found(sampled, "path_barrier") == pytest.approx((expected, expected, expected))


def test_interval_holds_the_barriers_of_all_states_that_may_be_the_best():
    """Two memorising peaks of the same height, one beside the generalising states and one behind a barrier of 6."""
    x, y = np.meshgrid(GRID.x_centres, GRID.y_values, indexing="ij")
    entropy = np.where((x > -1.4) & (y > 0.25), 6.0, 0.0)
    entropy[7, 1] = 6.0  # S is 0 all about it
    entropy[12, 5] = 6.01
    near = found(exactly(entropy), "path_barrier")
    assert near == pytest.approx((0, 0, 0), abs=1e-6)
    ends = [found(landscape(entropy, np.random.default_rng(seed)), "path_barrier") for seed in range(10)]
    assert {round(value / 6) for value, _, _ in ends} == {0, 1}, "noise decides which peak is the higher one"
    assert all(low < 0.5 and high > 5.5 for _, low, high in ends)


def test_a_path_does_not_cross_bins_that_are_hardly_known():
    """S is not known to 1 at low loss, where alone the way is open."""
    x, y = np.meshgrid(GRID.x_centres, GRID.y_values, indexing="ij")
    entropy = y - 30.0 * ((np.abs(y - 0.5) < 0.03) & (x > -1.9))
    assert found(exactly(entropy), "path_barrier").value < 1
    sampled = landscape(entropy, np.random.default_rng(0), error=0.1)
    noise = 8 * np.random.default_rng(1).normal(size=sampled["entropy_left_out"].shape) / 15
    name = "entropy_by_accuracy_left_out"
    sampled[name] = sampled[name] + np.where(x < -1.9, noise, 0.0)
    assert found(sampled, "path_barrier").low > 25


def test_best_path_is_the_widest_of_all():
    """Against the largest height whose superlevel set connects the ends, found by flooding."""
    random = np.random.default_rng(2)
    for _ in range(20):
        height = random.normal(size=(7, 9))
        height[random.uniform(size=height.shape) < 0.1] = -np.inf
        height[0, 0] = height[6, 8] = 3.0
        path = barrier.best_path(height, (0, 0), (6, 8))
        joined = []
        for level in np.unique(height[height <= 3.0])[1:]:
            parts = label(height >= level)[0]
            joined += [level] if parts[0, 0] == parts[6, 8] else []
        assert (len(path) > 0) == (len(joined) > 0)
        if len(path):
            assert height[tuple(path.T)].min() == max(joined)


@pytest.mark.parametrize("units", [12, 32])
@pytest.mark.parametrize(
    "entropy",
    [surface(), surface(0.0), surface(2.0), surface(5.0), surface(5.0) - 4 * GRID.y_values, 15 * surface(rise=0.0)],
    ids=["rising", "almost flat", "dip of 2", "dip of 5", "dip, generalising lower", "ln L alone"],
)
def test_intervals_hold_the_truth_and_values_scatter_about_it(units, entropy):
    """Also for a profile that is almost flat, where noise alone makes the largest drop positive."""
    truth = table(exactly(entropy)).set_index("quantity")["value"]
    runs = [table(landscape(entropy, np.random.default_rng(seed), 0.2, units)) for seed in range(24)]
    for quantity in ("largest_drop", "valley", "path_barrier"):
        rows = np.array([run.set_index("quantity").loc[quantity, ["value", "low", "high"]] for run in runs], float)
        inside = (rows[:, 1] <= truth[quantity] + 1e-9) & (rows[:, 2] >= truth[quantity] - 1e-9)
        assert inside.mean() >= 0.9, quantity
        assert np.median(rows[:, 0]) == pytest.approx(truth[quantity], abs=0.7), quantity
        assert (rows[:, 1] <= rows[:, 0]).all() and (rows[:, 0] <= rows[:, 2]).all()


def test_a_deep_dip_is_told_from_none():
    for depth, quantity in ((5.0, "largest_drop"), (5.0, "valley"), (5.0, "path_barrier")):
        assert found(landscape(surface(depth), np.random.default_rng(1)), quantity).low > 2
        assert found(landscape(surface(), np.random.default_rng(1), 0.1), quantity).high < 2


def test_a_hole_is_not_crossed():
    """Bins that nobody visited may hide a barrier: the column is known on one side of them only."""
    entropy = surface()
    sampled = landscape(entropy, np.random.default_rng(0))
    hole = np.abs(GRID.y_values - 0.5) < 0.03
    for name in MAPS:
        sampled[name] = sampled[name].where(np.broadcast_to(~hole, sampled[name].shape), -np.inf)
    rows = table(sampled).set_index("quantity")
    assert np.isnan(rows.loc[["largest_drop", "path_barrier"], "value"]).all()
    profile = barrier.Surface.of(sampled).profile(10)
    assert GRID.y_values[profile.rows].min() > 0.5


def test_no_statement_without_memorising_states_or_with_few_units():
    sampled = landscape(surface(), np.random.default_rng(0))
    high = sampled.copy()
    for name in MAPS:
        high[name] = high[name].where(np.broadcast_to(GRID.y_values > 0.4, high[name].shape), -np.inf)
    rows = table(high).set_index("quantity")
    assert np.isnan(rows.loc[["largest_drop", "path_barrier"], "value"]).all() and rows.loc["valley", "value"] >= 0
    few = sampled.isel(unit=slice(0, 3))
    assert table(few)["value"].isna().all()


def test_a_file_without_true_accuracies_tells_nothing_of_barriers():
    old = exactly(surface()).drop_vars(MAPS[2:]).drop_vars("test_accuracy")
    assert table(old).set_index("quantity")["value"][["largest_drop", "path_barrier", "valley"]].isna().all()
    assert set(barrier.by_column(old, GRID, SETTINGS)["quantity"]) == {"jump"}


def test_jump_of_a_step_is_its_height_and_of_a_smooth_rise_nothing():
    x = GRID.x_centres
    smooth = 0.5 - 0.4 * np.tanh((x + 1) / 0.8)
    step = np.where(x < -1, 0.9, 0.2)
    half = barrier.half_step(GRID)
    for curve, height in ((smooth, 0.0), (step, 0.7)):
        left_out = np.repeat(curve[None], 12, axis=0)
        assert barrier.jump(curve, left_out, half, [0.95])[0].value == pytest.approx(height, abs=0.02)
        noise = 0.01 * np.sqrt(12) * np.random.default_rng(0).normal(size=(12, len(x)))
        noisy = curve + noise.mean(axis=0), curve + (noise.sum(axis=0) - noise) / 11
        ((value, low, high),) = barrier.jump(*noisy, half, [0.95])
        assert low <= height <= high and value == pytest.approx(height, abs=0.03)
    parabola = 0.1 * x**2 + 0.3 * x
    np.testing.assert_allclose(barrier.jumps(parabola, parabola[None].repeat(3, 0), half)[0][3:-3], 0, atol=1e-12)


def test_phases_of_equal_volume_show_as_valley_and_as_jump():
    """Two ridges whose volumes cross at ln L = -1: the mean accuracy jumps where a valley divides equal maxima."""
    x, y = np.meshgrid(GRID.x_centres, GRID.y_values, indexing="ij")
    ridges = [20 * s * (x + 1) - ((y - c) / 0.08) ** 2 for s, c in ((1, 0.2), (-1, 0.8))]
    sampled = landscape(30 * np.minimum(x, 0) + np.logaddexp(*ridges), np.random.default_rng(0), 0.1)
    assert found(sampled, "valley").low > 8
    assert found(sampled, "jump").low > 0.4
    columns = barrier.by_column(sampled, GRID, SETTINGS)
    deepest = columns[columns["quantity"] == "valley"].set_index("ln_train_loss")["value"].idxmax()
    assert abs(deepest + 1) < 0.1
    steepest = columns[columns["quantity"] == "jump"].set_index("ln_train_loss")["value"].idxmax()
    assert abs(steepest + 1) < 0.11


def test_by_column_each_column_stands_alone():
    sampled = landscape(surface(3.0), np.random.default_rng(0))
    columns = barrier.by_column(sampled, GRID, SETTINGS)
    assert set(columns["quantity"]) == {"largest_drop", "valley", "jump"}
    rows = columns[columns["quantity"] == "largest_drop"]
    assert len(rows) == GRID.columns and (rows["low"] <= rows["value"]).all() and (rows["value"] <= rows["high"]).all()


def test_largest_of_nothing_is_nothing():
    assert np.isnan(largest.bounds([], [], [0.95])[0].value)
    assert np.isnan(largest.bounds([np.zeros(0)], [np.zeros((8, 0))], [0.95])[0].high)


def test_correlated_quantities_need_no_correction():
    """A hundred copies of one quantity are one quantity: the value is not corrected for a choice that was none."""
    random = np.random.default_rng(0)
    noise = np.repeat(0.1 * random.normal(size=(16, 1)), 100, axis=1)
    ((value, low, high),) = largest.bounds([np.full(100, 1.0)], [noise], [0.95])
    assert value == pytest.approx(1.0, abs=0.05 * float(largest.errors(noise)[0])) and low < value < high


def test_intervals_at_stricter_levels_hold_those_at_laxer_ones():
    levels = families.levels(0.95)
    for seed, entropy in enumerate((surface(), surface(0.0), surface(5.0) - 4 * GRID.y_values)):
        sampled = landscape(entropy, np.random.default_rng(seed))
        rows = barrier.table(sampled, GRID, SETTINGS, levels)
        low, high = (rows[[families.names(k)[end] for k in range(1, len(levels) + 1)]].to_numpy() for end in (0, 1))
        assert (np.diff(low, axis=1) <= 1e-12).all() and (np.diff(high, axis=1) >= -1e-12).all()
        assert (high[:, -1] > high[:, 0]).all()
        alone = barrier.table(sampled, GRID, SETTINGS, [levels[7]])
        np.testing.assert_allclose(alone[["low", "high"]], rows[["low_8", "high_8"]])
