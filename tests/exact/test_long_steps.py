"""A time step that is too long for S is noticed, though the acceptance of the window looks harmless."""

import numpy as np
import pytest
from long_steps import FAIR, TOO_LONG, column_biases, steep_landscape

from entroscape.landscape import time_step

pytestmark = pytest.mark.exact


def test_a_time_step_that_bends_s_is_noticed_at_an_acceptance_of_096():
    found = [steep_landscape(TOO_LONG, "long", seed) for seed in range(2)]
    lowest = [column_biases(landscape)[0] for landscape in found]
    acceptance = [float(landscape["acceptance"].mean()) for landscape in found]
    shares = [time_step.rejected(landscape) for landscape in found]
    print(f"acceptance {acceptance}, bias of the lowest column {lowest}, rejected where it is worst {shares}")
    assert min(acceptance) > 0.94
    assert np.mean(lowest) < -0.2
    assert all(time_step.excess(landscape) > 1.5 for landscape in found)


def test_a_shorter_one_passes():
    landscape = steep_landscape(FAIR, "short")
    print(f"acceptance {landscape['acceptance'].values}, rejected where it is worst {time_step.rejected(landscape)}")
    assert np.abs(column_biases(landscape)).max() < 0.5, "noise"
    assert time_step.excess(landscape) < 1
