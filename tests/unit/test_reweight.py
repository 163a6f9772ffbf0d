"""One density of states from histograms under several weights, against the density they were drawn from."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import WINDOWS, draw, true_entropy, weights

from entroscape.errors import SamplingError
from entroscape.landscape.reweight import combine

TRUTH = true_entropy()


def states(seed=0, runs=3, visits=200_000, windows=WINDOWS):
    random = np.random.default_rng(seed)
    weight = np.concatenate([weights(random, windows) for _ in range(runs)])
    weight[0, 4:6] = -np.inf  # columns that the first state has found closed
    return np.array([draw(random, one, visits) for one in weight]), weight


def same_shape(one: np.ndarray, two: np.ndarray, tolerance: float) -> None:
    """Equal but for a constant."""
    known = np.isfinite(one)
    np.testing.assert_array_equal(known, np.isfinite(two))
    difference = one[known] - two[known]
    np.testing.assert_allclose(difference, difference.mean(), atol=tolerance)


@pytest.mark.parametrize("windows", [WINDOWS, [(6, 12), (3, 8), (0, 5)], [(0, 12)]], ids=str)
def test_density_is_recovered_within_its_statistical_error(windows):
    scaled = []
    for seed in range(10):
        histograms, weight = states(seed, windows=windows)
        entropy, _ = combine(histograms, weight)
        visits = histograms.sum(axis=0)
        np.testing.assert_array_equal(np.isfinite(entropy), visits > 0)
        often = visits > 100
        assert often.sum() > 50
        difference = entropy[often] - TRUTH[often]
        scaled.append((difference - np.average(difference, weights=visits[often])) * np.sqrt(visits[often]))
        assert np.abs(difference - np.average(difference, weights=visits[often])).max() < 0.3
    # counting alone gives 1; that heights of windows are measured too adds a little
    assert 0.8 < np.sqrt(np.mean(np.concatenate(scaled) ** 2)) < 1.5


def test_solution_satisfies_the_equations():
    histograms, weight = states()
    histograms[2] *= 3
    entropy, offsets = combine(histograms, weight)
    counts = histograms.sum(axis=(1, 2))
    allowed = np.isfinite(weight)
    g = np.exp(entropy - entropy.max())
    scale = np.exp(offsets + entropy.max())
    partition = (np.where(allowed, np.exp(-np.where(allowed, weight, 0.0)), 0.0) * g).sum(axis=(1, 2))
    np.testing.assert_allclose(scale * partition, (scale * partition)[0], rtol=1e-6)
    assert offsets[0] == 0.0
    assert (counts > 0).all()


def test_a_single_state_gives_weight_plus_logarithm_of_visits():
    random = np.random.default_rng(1)
    weight = weights(random, [(2, 12)])
    histogram = draw(random, weight[0], 3000)[None]
    entropy, offsets = combine(histogram, weight)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = np.where(histogram[0] > 0, weight[0] + np.log(histogram[0]), -np.inf)
    same_shape(entropy, expected, 1e-12)
    assert offsets.tolist() == [0.0]


def test_equal_weights_add_up_their_visits():
    random = np.random.default_rng(2)
    weight = np.repeat(weights(random, [(0, 12)]), 3, axis=0)
    histograms = np.array([draw(random, weight[0], n) for n in (500, 5000, 50_000)])
    together, _ = combine(histograms, weight)
    pooled, _ = combine(histograms.sum(axis=0, keepdims=True), weight[:1])
    same_shape(together, pooled, 1e-8)


def test_a_bin_that_a_state_could_have_visited_but_did_not_counts():
    """Two states, one open bin more for the second: leaving out where a state found nothing would double the bin."""
    weight = np.zeros((2, 1, 3))
    histograms = np.array([[[50, 50, 0]], [[50, 50, 10]]])
    entropy, _ = combine(histograms, weight)
    assert entropy[0, 2] - entropy[0, 0] == pytest.approx(np.log(10 / 100))
    weight[0, 0, 2] = -np.inf
    entropy, _ = combine(histograms, weight)
    assert entropy[0, 2] - entropy[0, 0] == pytest.approx(np.log(10 / 50), abs=1e-6)


def test_windows_without_a_common_bin_are_an_error():
    histograms, weight = states(windows=[(7, 12), (0, 7)])
    with pytest.raises(SamplingError, match=r"share no visited bin.*let them overlap more, or sample longer"):
        combine(histograms, weight)


def test_overlapping_windows_whose_overlap_nobody_visited_are_an_error():
    histograms, weight = states(runs=1)
    histograms[:, 4:7] = 0
    with pytest.raises(SamplingError, match="share no visited bin"):
        combine(histograms, weight)


def test_a_state_without_visits_changes_nothing():
    """A ladder left out of the estimate leaves such a state behind, possibly the first, which fixes the offsets."""
    histograms, weight = states()
    for missing in (0, 3):
        rest = histograms.copy()
        rest[missing] = 0
        _, offsets = combine(histograms, weight)
        entropy, _ = combine(rest, weight, offsets)
        without, _ = combine(np.delete(histograms, missing, axis=0), np.delete(weight, missing, axis=0))
        same_shape(entropy, without, 1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), order=st.permutations(range(6)))
def test_order_of_states_does_not_matter(seed, order):
    histograms, weight = states(seed, visits=3000)
    entropy, _ = combine(histograms, weight)
    shuffled, _ = combine(histograms[order], weight[order])
    same_shape(entropy, shuffled, 1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), shifts=st.lists(st.floats(-300, 300), min_size=6, max_size=6))
def test_heights_of_weights_cancel(seed, shifts):
    histograms, weight = states(seed, visits=3000)
    entropy, _ = combine(histograms, weight)
    shifted, _ = combine(histograms, weight + np.array(shifts)[:, None, None])
    same_shape(entropy, shifted, 1e-6)
