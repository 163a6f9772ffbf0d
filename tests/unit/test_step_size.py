"""The proposal's half width follows the acceptance rate."""

import numpy as np
import pytest

from entroscape.config.sampler import StepSize
from entroscape.sampling.step_size import adapt, equilibrated

RULE = StepSize(initial=0.1, max=0.5, grow=1.25, shrink=0.5, acceptance_low=0.3, acceptance_high=0.7)


def test_wider_above_narrower_below_unchanged_between():
    sigma = adapt(np.full(5, 0.2), np.array([0.71, 0.7, 0.5, 0.3, 0.29]), RULE)
    np.testing.assert_allclose(sigma, [0.25, 0.2, 0.2, 0.2, 0.1])


def test_never_wider_than_the_largest_step():
    np.testing.assert_array_equal(adapt(np.array([0.45, 0.5]), np.ones(2), RULE), [0.5, 0.5])


def test_each_window_has_its_own():
    np.testing.assert_allclose(adapt(np.array([0.4, 0.1]), np.array([0.1, 0.9]), RULE), [0.2, 0.125])


def test_arguments_stay_as_they_are():
    sigma = np.array([0.2])
    adapt(sigma, np.array([0.9]), RULE)
    assert sigma[0] == 0.2


@pytest.mark.parametrize(
    ("acceptance", "sigma", "expected"),
    [([0.5, 0.3], [0.1, 0.2], True), ([0.5, 0.2], [0.1, 0.2], False), ([0.9], [0.5], True), ([0.9], [0.4], False)],
)
def test_equilibrated_when_nothing_would_change(acceptance, sigma, expected):
    assert equilibrated(np.array(acceptance), np.array(sigma), RULE) is expected
