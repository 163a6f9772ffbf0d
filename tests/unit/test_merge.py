"""Independent runs become one landscape with errors; the runs are drawn from a known density of states."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import (
    BLOCKS,
    GRID,
    cycles_run,
    dynamics_entropy,
    dynamics_grid,
    dynamics_run,
    run,
    true_accuracy,
    true_entropy,
    weights,
)

from entroscape.errors import SamplingError
from entroscape.landscape.merge import align, merge

TRUTH = true_entropy()


def landscape(seed, replicas=2, **options):
    random = np.random.default_rng(seed)
    return merge([run(random, **options) for _ in range(replicas)])


def scaled_deviations(entropy, error) -> np.ndarray:
    known = np.isfinite(entropy) & np.isfinite(error)
    difference = entropy[known] - TRUTH[known]
    return (difference - difference.mean()) / error[known]


def test_errors_are_honest():
    """Independent ladders: deviations from the truth in units of the error follow Student's t."""
    z = [scaled_deviations(m.entropy.to_numpy(), m.entropy_err.to_numpy()) for m in map(landscape, range(25))]
    z = np.concatenate(z)
    units = 2 * 4
    assert np.sqrt(np.mean(z**2)) == pytest.approx(np.sqrt((units - 1) / (units - 3)), abs=0.15)  # rms of Student's t
    assert np.mean(np.abs(z) < 2) > 0.88


def test_errors_of_each_run_are_honest():
    z = []
    for merged in map(landscape, range(20)):
        for entropy, error in zip(
            merged.entropy_replica.to_numpy(), merged.entropy_replica_err.to_numpy(), strict=True
        ):
            z.append(scaled_deviations(entropy, error))
    assert 1.0 < np.median(np.abs(np.concatenate(z))) / 0.6745 < 1.35  # Student's t with 3 degrees of freedom: 1.13


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), order=st.permutations(range(3)), shift=st.floats(-300, 300))
def test_the_order_of_runs_and_the_height_of_their_maps_do_not_matter(seed, order, shift):
    random = np.random.default_rng(seed)
    runs = [run(random, visits=500) for _ in range(3)]
    moved = [runs[order[0]].assign(weight_entropy=runs[order[0]].weight_entropy + shift), *(runs[n] for n in order[1:])]
    first, second = merge(runs), merge(moved)
    for name in ("entropy", "entropy_err"):
        np.testing.assert_allclose(first[name], second[name], atol=2e-3)
    np.testing.assert_array_equal(first.visited, second.visited)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_what_nobody_visited_stays_unvisited_and_what_one_run_visited_is_kept(seed):
    random = np.random.default_rng(seed)
    runs = [run(random, visits=30) for _ in range(2)]
    seen = [one.histogram.sum(("block", "window", "walker")).to_numpy() > 0 for one in runs]
    merged = merge(runs)
    np.testing.assert_array_equal(merged.visited, seen[0] | seen[1])
    np.testing.assert_array_equal(np.isneginf(merged.entropy), ~(seen[0] | seen[1]))


def test_layout_of_the_landscape():
    merged = landscape(0)
    entropy, visited = merged.entropy.to_numpy(), merged.visited.to_numpy()
    assert entropy.max() == 0.0
    np.testing.assert_array_equal(visited, np.isfinite(entropy))
    np.testing.assert_array_equal(visited, merged.histogram.to_numpy() > 0)
    assert not visited[~np.isfinite(TRUTH)].any()
    assert np.isnan(merged.entropy_err.to_numpy()[~visited]).all()
    assert merged.entropy_left_out.sizes["unit"] == 2 * 4 and merged.sizes["replica"] == 2
    np.testing.assert_array_equal(merged.ln_train_loss, GRID.x_centres)
    np.testing.assert_allclose(merged.entropy_until.to_numpy()[-1], entropy, atol=1e-6)
    assert (np.isfinite(merged.entropy_until).sum(merged.entropy_until.dims[1:]).diff("block") >= 0).all()
    np.testing.assert_allclose(merged.window_edges, [[-2.0, 0.0], [-3.0, -1.25]])


def test_maps_settle_with_the_blocks():
    merged = landscape(3)
    known = merged.visited.to_numpy() & np.isfinite(merged.entropy_until.to_numpy()).all(axis=0)
    spread = [np.std((until - merged.entropy).to_numpy()[known]) for until in merged.entropy_until]
    assert spread[0] > spread[3] > spread[6] > spread[7]


def test_deposits_tell_what_the_frozen_maps_say_but_for_bins_on_their_floor():
    random = np.random.default_rng(0)
    rough = weights(random)
    floored = np.where(np.isfinite(rough), np.maximum(rough, rough.max(axis=2, keepdims=True) - 2.5), -np.inf)
    merged = merge([run(random, weight=floored)])
    told = np.isfinite(merged.entropy_deposits.to_numpy())
    np.testing.assert_array_equal(told, (rough > rough.max(axis=2, keepdims=True) - 1.5).any(axis=0))
    off = (merged.entropy_deposits.to_numpy() - TRUTH)[told & np.isfinite(TRUTH)]
    assert 0.1 < off.std() < 0.5  # the maps are off by 0.3
    known = told & merged.visited.to_numpy()
    assert abs((merged.entropy_deposits - merged.entropy).to_numpy()[known].mean()) < 1e-9  # aligned


def test_maps_that_lie_on_their_floor_everywhere_tell_nothing_and_are_no_error():
    flat = np.where(np.isfinite(weights(np.random.default_rng(0), [(0, 12)])), 0.0, -np.inf)
    merged = merge([run(np.random.default_rng(0), visits=20_000, windows=[(0, 12)], weight=flat)])
    assert np.isnan(merged.entropy_deposits).all() and np.isfinite(merged.entropy).any()


def test_no_error_for_a_bin_that_only_one_ladder_visited():
    random = np.random.default_rng(4)
    runs = [run(random) for _ in range(2)]
    rare = (0, 1)
    for one in runs:
        one["histogram"][dict(ln_train_loss=rare[0], test_accuracy=rare[1])] = 0
    runs[0]["histogram"][dict(block=0, window=1, walker=2, ln_train_loss=rare[0], test_accuracy=rare[1])] = 3
    merged = merge(runs)
    assert np.isfinite(merged.entropy.to_numpy()[rare]) and np.isnan(merged.entropy_err.to_numpy()[rare])
    assert np.isfinite(merged.entropy_err).sum() == merged.visited.sum() - 1


def test_a_bin_closed_to_one_run_is_taken_from_the_other():
    """Column 1 was never found by the first run: the estimate there must come from the second alone, unhalved."""
    random = np.random.default_rng(5)
    weight = weights(random)
    weight[1, 1] = -np.inf
    merged = merge([run(random, weight=weight, visits=20_000), run(random, visits=20_000)])
    known = np.isfinite(TRUTH)
    assert merged.visited.to_numpy()[1:3][known[1:3]].all()
    offset = [np.mean(merged.entropy.to_numpy()[c, known[c]] - TRUTH[c, known[c]]) for c in (1, 2)]
    assert offset[0] == pytest.approx(offset[1], abs=0.1)


def test_windows_that_agree_show_no_mismatch():
    merged = [landscape(seed) for seed in range(100, 130)]
    assert all(m.overlap_bins.item() == np.isfinite(TRUTH[4:7]).sum() for m in merged)
    assert 0.8 < np.mean([m.overlap_rms_in_errors.item() for m in merged]) < 1.6
    tilts = np.array([m.overlap_tilt.item() / m.overlap_tilt_err.item() for m in merged])
    assert 0.8 < np.sqrt(np.mean(tilts**2)) < 1.6  # Student's t with 7 degrees of freedom: 1.18
    assert abs(tilts.mean()) < 0.7


def test_windows_that_disagree_are_told():
    """The lower window sees S rise by 0.2 per column more than it does."""
    tilted = TRUTH + 0.2 * np.arange(GRID.columns)[:, None]
    merged = landscape(0, entropies=[TRUTH, tilted])
    assert merged.overlap_tilt.item() == pytest.approx(0.2, abs=4 * merged.overlap_tilt_err.item())
    assert merged.overlap_tilt.item() > 8 * merged.overlap_tilt_err.item()
    assert merged.overlap_rms.item() == pytest.approx(0.2 * np.sqrt(2 / 3), rel=0.3)
    assert merged.overlap_rms_in_errors.item() > 3


def test_one_window_has_no_overlap():
    merged = landscape(0, windows=[(0, 12)])
    assert merged.sizes["overlap"] == 0
    assert np.isfinite(merged.entropy_err).sum() > 50


@pytest.mark.parametrize(
    "other",
    [
        lambda run: run.drop_vars("round_trips_in_y"),
        lambda run: run.isel(walker=slice(3)),
        lambda run: run.assign(window_edges=run["window_edges"] - 0.25),
    ],
)
def test_runs_of_other_windows_walkers_or_versions_are_not_merged(other):
    first, second = (run(np.random.default_rng(seed)) for seed in range(2))
    for pair in ([first, other(second)], [other(first), second]):
        with pytest.raises(SamplingError, match="what they report"):
            merge(pair)


def test_runs_of_different_kinds_are_not_merged():
    random = np.random.default_rng(0)
    one, other = run(random), run(random)
    with pytest.raises(SamplingError, match="different procedures or grids"):
        merge([one, cycles_run(TRUTH)])
    with pytest.raises(SamplingError, match="different procedures or grids"):
        merge([one, other.assign_coords(ln_train_loss=GRID.x_centres + 0.1)])


def test_windows_that_do_not_meet_are_an_error():
    with pytest.raises(SamplingError, match="share no visited bin"):
        landscape(0, windows=[(6, 12), (0, 6)])


def test_published_maps_are_averaged_over_the_runs_that_were_there():
    random = np.random.default_rng(1)
    maps = [TRUTH + random.normal(0, 0.1, TRUTH.shape) + height for height in (0.0, 50.0, -20.0)]
    maps[0][0], maps[1][0], maps[1][1] = -np.inf, -np.inf, -np.inf
    merged = merge([cycles_run(one) for one in maps])
    entropy, error = merged.entropy.to_numpy(), merged.entropy_err.to_numpy()
    known = np.isfinite(TRUTH)
    np.testing.assert_array_equal(np.isfinite(entropy), known)
    difference = entropy[known] - TRUTH[known]
    np.testing.assert_allclose(difference, difference.mean(), atol=0.5)
    assert np.isnan(error[0]).all(), "one run only"
    assert np.isfinite(error[2:][known[2:]]).all()


def test_error_of_published_maps_is_that_of_the_mean():
    random, known = np.random.default_rng(2), np.isfinite(TRUTH)
    maps = [TRUTH + random.normal(0, 0.1, TRUTH.shape) + height for height in (0.0, 50.0, -20.0)]
    levelled = np.array([one[known] - one[known].mean() for one in maps])
    error = merge([cycles_run(one) for one in maps]).entropy_err.to_numpy()[known]
    np.testing.assert_allclose(error, levelled.std(axis=0, ddof=1) / np.sqrt(3), rtol=1e-9)


def test_published_runs_carry_the_spread_of_their_instances():
    spread = np.array([-0.3, 0.0, 0.3])[:, None, None] * np.ones(TRUTH.shape)
    merged = merge([cycles_run(TRUTH, spread), cycles_run(TRUTH + 1.0, spread)])
    known = np.isfinite(TRUTH)
    np.testing.assert_allclose(merged.entropy_replica_err.to_numpy()[:, known], 0.3 / np.sqrt(3))
    np.testing.assert_allclose(
        merged.entropy_replica.to_numpy()[:, known], merged.entropy.to_numpy()[known][None].repeat(2, 0)
    )


def test_align_compares_common_bins_only():
    reference = np.array([[0.0, 1.0, -np.inf, 4.0]])
    maps = np.array([[[10.0, 11.0, 3.0, -np.inf]], [[-5.0, -4.0, -np.inf, 9.0]]])
    aligned = align(maps, reference)
    np.testing.assert_allclose(aligned[0], [[0.0, 1.0, -7.0, -np.inf]])
    np.testing.assert_allclose(aligned[1], [[0.0, 1.0, -np.inf, 14.0]])
    np.testing.assert_array_equal(maps[0, 0, :2], [10.0, 11.0])


def test_align_needs_a_common_bin():
    with pytest.raises(SamplingError, match="share no visited bin"):
        align(np.array([[[0.0, -np.inf]]]), np.array([[-np.inf, 0.0]]))


def test_every_overlap_of_several_windows_is_reported():
    merged = landscape(0, windows=[(8, 12), (5, 10), (0, 7)])
    assert merged.overlap_bins.to_numpy().tolist() == [np.isfinite(TRUTH[8:10]).sum(), np.isfinite(TRUTH[5:7]).sum()]


def dynamics_landscape(kind, seed=0, replicas=2, **options):
    random, grid = np.random.default_rng(seed), dynamics_grid(kind)
    return merge([dynamics_run(random, grid, **options) for _ in range(replicas)]), grid


@pytest.mark.parametrize("kind", ["ln_test_loss", "smoothed_accuracy"])
def test_weighted_visits_give_the_known_density(kind):
    """Molecular dynamics: float histograms, any test metric; deviations from the truth are as large as the errors."""
    merged, grid = dynamics_landscape(kind, walkers=6)
    assert merged["entropy"].dims == grid.dimensions
    assert merged.attrs.get("procedure") is None and merged.sizes["unit"] == 12 and merged.sizes["block"] == BLOCKS
    entropy, error = merged["entropy"].to_numpy(), merged["entropy_err"].to_numpy()
    known = np.isfinite(error)
    assert known.sum() > 500
    difference = (entropy - dynamics_entropy(grid))[known]
    assert np.median(np.abs(difference - difference.mean()) / error[known]) / 0.6745 < 1.5
    np.testing.assert_array_equal(merged["visited"], merged["histogram"] > 0)
    for name in ("time_step", "kinetic_temperature", "flatness", "round_trips", "exchange_rate"):
        assert merged[name].dims[0] == "replica"
    assert "sigma" not in merged
    assert merged["entropy"].dtype == np.float64 and merged["entropy_left_out"].dtype == np.float32


def test_true_accuracy_of_a_bin_is_that_of_its_states():
    merged, grid = dynamics_landscape("smoothed_accuracy_logit", walkers=3)
    visited = merged["visited"].to_numpy()
    np.testing.assert_allclose(merged["accuracy"].to_numpy()[visited], true_accuracy(grid)[visited], atol=1e-6)
    assert np.isnan(merged["accuracy"].to_numpy()[~visited]).all()
    left_out = merged["accuracy_left_out"].to_numpy()
    assert left_out.shape == (6, grid.columns, grid.rows)
    np.testing.assert_array_equal(np.isfinite(left_out), np.isfinite(merged["entropy_left_out"].to_numpy()))


def test_a_bin_of_one_ladder_is_missing_without_it_however_small_its_weight():
    """Weighted visits leave no residue when a ladder is left out."""
    random, grid = np.random.default_rng(1), dynamics_grid("ln_test_loss")
    runs = [dynamics_run(random, grid, walkers=3) for _ in range(2)]
    rare = tuple(np.argwhere(merge(runs)["histogram"].to_numpy() > 100)[0])
    for one in runs:
        one["histogram"].to_numpy()[:, :, :, rare[0], rare[1]] = 0.0
    window = int(np.flatnonzero(np.isfinite(runs[0]["weight_entropy"].to_numpy()[:, rare[0], rare[1]]))[0])
    runs[0]["histogram"].to_numpy()[0, window, 1, rare[0], rare[1]] = 0.37
    merged = merge(runs)
    assert merged["visited"].to_numpy()[rare]
    assert np.isfinite(merged["entropy_left_out"].to_numpy()[:, rare[0], rare[1]]).tolist() == [
        True,
        False,
        True,
        True,
        True,
        True,
    ]


def test_an_entropy_that_only_one_test_metric_has_is_not_merged_with_another():
    random = np.random.default_rng(0)
    one, other = (
        dynamics_run(random, dynamics_grid(kind), walkers=2) for kind in ("ln_test_loss", "smoothed_accuracy")
    )
    with pytest.raises(SamplingError, match="different procedures or grids"):
        merge([one, other])
