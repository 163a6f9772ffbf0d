"""What is judged of a time step: the rejected share where it is worst, against what the integrator may have."""

import json

import numpy as np
import pytest
import xarray as xr

from entroscape.landscape import time_step

REPLICAS, WINDOWS, COLUMNS, ROWS = 2, 2, 4, 3


def landscape(accepted=0.999, integrator="baoab", steps=1000.0) -> xr.Dataset:
    """Steps in every bin of every window; `accepted` broadcasts to [replica, window, columns, rows]."""
    shape = (REPLICAS, WINDOWS, COLUMNS, ROWS)
    begun = np.broadcast_to(steps, shape)
    dims = ("replica", "window", "ln_train_loss", "ln_test_loss")
    return xr.Dataset(
        {
            "steps_begun": (dims, begun),
            "steps_accepted": (dims, begun * accepted),
            "time_step": (("replica", "window"), np.full((REPLICAS, WINDOWS), 0.03)),
        },
        attrs={"integrator": integrator},
    )


def one(place: tuple, value: float, others: float) -> np.ndarray:
    values = np.full((REPLICAS, WINDOWS, COLUMNS, ROWS), others)
    values[place] = value
    return values


@pytest.mark.parametrize("place", [np.s_[:, 1, 0], np.s_[:, 0, :, 2]])
def test_one_bad_column_or_row_of_one_window_is_what_counts(place):
    found = landscape(one(place, 0.9, 0.999))
    assert time_step.rejected(found) == pytest.approx(0.1)
    assert time_step.excess(found) == pytest.approx(0.1 / time_step.LARGEST_REJECTED["baoab"])


def test_replicas_are_taken_together():
    assert time_step.rejected(landscape(one(np.s_[0, 1, 0], 0.9, 1.0))) == pytest.approx(0.05)


def test_the_published_step_may_have_more_rejections():
    accepted = 0.97
    assert time_step.excess(landscape(accepted, "first_order")) < 1 < time_step.excess(landscape(accepted, "baoab"))


def test_columns_that_hardly_anyone_visited_do_not_count():
    steps = one(np.s_[:, 0, 0], 10.0, 1000.0)
    assert time_step.rejected(landscape(one(np.s_[:, 0, 0], 0.0, 1.0), steps=steps)) < 0.01
    assert np.isnan(time_step.rejected(landscape(steps=10.0)))


def test_nothing_is_wrong_where_a_metropolis_test_is_made_and_unknown_is_not_fine():
    assert time_step.excess(landscape(0.7, "hmc")) == 0
    assert time_step.excess(xr.Dataset()) == 0, "Monte Carlo"
    unknown = landscape().drop_vars(["steps_begun", "steps_accepted"])
    assert np.isnan(time_step.excess(unknown))
    assert np.isnan(time_step.excess(landscape(integrator="")))


def test_the_integrator_may_stand_in_the_settings():
    found = landscape()
    found.attrs = {"settings": json.dumps({"procedure": {"integrator": "first_order"}})}
    assert time_step.integrator(found) == "first_order"
