"""Starting points for the sampler: how they are kept, and how far down the continuation gets."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from spiral_task import DATA, generator, network, records

from entroscape.config.sampler import Axis
from entroscape.observables import ln_loss
from entroscape.training.baselines import Points, Record, Runs
from entroscape.training.seeds import ROUNDS, Seeds, best_runs, descend, hop, keep

AXIS = Axis(min=-3.0, max=0.0, bin_width=0.5)


def seeds(losses, runs) -> Seeds:
    """One-parameter states that carry their place in the list."""
    n = len(losses)
    return Seeds(np.arange(n, dtype=float)[:, None], np.array(losses, float), np.zeros(n, int), np.array(runs))


def kept(losses, runs, per_bin=2) -> list[float]:
    return sorted(keep(Seeds.none(1), seeds(losses, runs), AXIS, per_bin).theta[:, 0])


def test_each_bin_keeps_its_first_states():
    assert kept([-0.1, -0.2, -0.3, -1.1, -1.2], [0, 1, 2, 0, 1]) == [0, 1, 3, 4]


def test_different_runs_go_before_repeats_of_one():
    assert kept([-0.1, -0.2, -0.3], [5, 5, 7]) == [0, 2]
    assert kept([-0.1, -0.2, -0.3], [5, 5, 5]) == [0, 1]


def test_a_late_new_run_displaces_a_repeat_but_not_another_run():
    pool = keep(Seeds.none(1), seeds([-0.1, -0.2], [5, 5]), AXIS, 2)
    pool = keep(pool, seeds([-0.3], [7]), AXIS, 2)
    assert sorted(pool.run) == [5, 7]
    assert sorted(keep(pool, seeds([-0.3], [8]), AXIS, 2).run) == [5, 7]


def test_states_off_the_axis_or_not_finite_are_left_out():
    assert kept([-3.01, -3.0, 0.0, np.nan, -np.inf, -2.0], [0, 1, 2, 3, 4, 5]) == [1, 5]


def test_dataset_runs_from_low_to_high_loss_with_rows_kept_together():
    dataset = seeds([-0.5, -2.0, -1.0], [3, 4, 5]).to_dataset(test_points=10)
    assert dataset.ln_train_loss.values.tolist() == [-2.0, -1.0, -0.5]
    assert dataset.theta.dims == ("state", "parameter") and dataset.theta.values[:, 0].tolist() == [1, 2, 0]
    assert dataset.run.values.tolist() == [4, 5, 3]


def test_best_runs_skip_diverged_and_other_runs():
    losses = np.array([-1.0, np.nan, -3.0, -9.0, -2.0])
    record = Record(0, torch.zeros(5, 1), losses, np.zeros(5, int), np.ones(5, bool))
    chosen = np.array([True, True, True, False, True])
    assert best_runs(record, chosen, n=2).tolist() == [2, 4]
    assert best_runs(record, chosen).tolist() == [2, 4, 0]


@pytest.fixture(scope="module")
def last() -> Record:
    return records(Runs.grid([("box", 0.03)], 5, 12), steps=800, record_every=800)[-1]


def test_descent_goes_further_down_inside_the_box_and_repeats_exactly(last):
    net, (x, y, _, _) = network(), Points.of(DATA)
    start = last.theta.clone()
    path = list(descend(net, DATA, last.theta, steps=300, record_every=100))
    assert torch.equal(last.theta, start)
    assert [record.step for record in path] == [100, 200, 300]
    assert all(record.inside.all() for record in path)
    assert not torch.equal(path[0].theta, path[-1].theta)
    np.testing.assert_array_equal(path[-1].ln_train_loss, ln_loss(net.logits(path[-1].theta, x), y))
    assert np.median(path[-1].ln_train_loss) < np.median(last.ln_train_loss) - 0.3
    again = list(descend(net, DATA, last.theta, steps=300, record_every=100))
    assert torch.equal(path[-1].theta, again[-1].theta)


def test_hopping_goes_below_one_descent_and_tells_where_each_state_comes_from(last):
    options = dict(steps=100, record_every=100)
    path = list(hop(network(), DATA, last.theta, **options, generator=generator()))
    assert len(path) == ROUNDS
    assert path[0][1].tolist() == list(range(12))
    lowest = [record.ln_train_loss.min() for record, _ in path]
    assert lowest[-1] < lowest[0] - 0.1
    for (before, source), (after, origin) in pairwise(path):
        assert after.inside.all()
        best = np.argsort(before.ln_train_loss, kind="stable")[:3]
        assert origin.tolist() == np.tile(source[best], 4).tolist()
