"""Starting points for the sampler: how they are kept, and how far down the continuation gets."""

from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest
import torch
from regression_task import regression
from spiral_task import generator, grid, problem, records

from entroscape.config.sampler import Axis, LnTestLoss, Observables, TrueAccuracy
from entroscape.observables import ln_loss
from entroscape.training import seeds as module
from entroscape.training.baselines import Record
from entroscape.training.seeds import STATES_PER_BIN, Seeds, Wanted, continued_runs, cool, course, descend, hop, lowest

AXIS = Axis(min=-3.0, max=0.0, bin_width=0.5)
TWO = Wanted(AXIS, TrueAccuracy(kind="test_accuracy"), 2)
ACCURACY = Observables(ln_train_loss=AXIS, y=TWO.y)


def seeds(losses, runs, y=0.0, kinds="sgd") -> Seeds:
    """One-parameter states that carry their place in the list."""
    n = len(losses)
    theta = np.arange(n, dtype=float)[:, None]
    return Seeds(theta, np.array(losses, float), np.full(n, y), np.array(runs), np.full(n, kinds))


def kept(losses, runs, wanted=TWO, **options) -> list[float]:
    return sorted(wanted.keep(seeds([], []), seeds(losses, runs, **options)).theta[:, 0])


def test_each_bin_keeps_its_first_states():
    assert kept([-0.1, -0.2, -0.3, -1.1, -1.2], [0, 1, 2, 0, 1]) == [0, 1, 3, 4]


def test_different_runs_go_before_repeats_of_one():
    assert kept([-0.1, -0.2, -0.3], [5, 5, 7]) == [0, 2]
    assert kept([-0.1, -0.2, -0.3], [5, 5, 5]) == [0, 1]


def test_a_late_new_run_displaces_a_repeat_but_not_another_run():
    pool = TWO.keep(seeds([], []), seeds([-0.1, -0.2], [5, 5]))
    pool = TWO.keep(pool, seeds([-0.3], [7]))
    assert sorted(pool.run) == [5, 7]
    assert TWO.keep(pool, seeds([-0.3], [8])) is pool


def test_each_kind_has_its_own_states_in_a_bin():
    kinds = np.array(["sgd", "sgd", "sgd", "cooled", "cooled", "cooled"])
    assert kept([-0.1] * 6, range(6), kinds=kinds) == [0, 1, 3, 4]
    pool = TWO.keep(seeds([], []), seeds([-0.1, -0.2], [0, 1]))
    pool = TWO.keep(pool, seeds([-0.1, -0.2], [2, 3], kinds="perturbed"))
    assert sorted(pool.kind) == ["perturbed", "perturbed", "sgd", "sgd"]


def test_states_off_an_axis_or_not_finite_are_left_out():
    assert kept([-3.01, -3.0, 0.0, np.nan, -np.inf, -2.0], [0, 1, 2, 3, 4, 5]) == [1, 5]
    on_loss = replace(TWO, y=LnTestLoss(kind="ln_test_loss", axis=AXIS))
    assert kept([-1.0, -2.0], [0, 1], on_loss, y=-2.0) == [0, 1]
    for y in (0.0, -3.5, np.nan):
        assert kept([-1.0, -2.0], [0, 1], on_loss, y=y) == []


def test_full_asks_for_different_runs_in_every_bin_that_a_descent_from_there_passes():
    pool = TWO.keep(seeds([], []), seeds([-2.9, -2.8, -2.3, -2.2, -1.8, -1.7], [0, 1, 0, 1, 2, 2]))
    assert TWO.full(pool, below=-2.2) and TWO.full(pool, below=-3.5)
    assert not TWO.full(pool, below=-1.9)  # twice run 2
    pool = TWO.keep(pool, seeds([-1.7], [3]))
    assert TWO.full(pool, below=-1.9) and not TWO.full(pool, below=-1.4) and not TWO.full(pool, below=9.0)


def test_large_networks_keep_and_continue_fewer_states(monkeypatch):
    small = Wanted.of(problem(), ACCURACY)
    assert small.per_bin == STATES_PER_BIN and continued_runs(problem(), small) == module.CONTINUED_RUNS
    monkeypatch.setattr(module, "POOL_MEMORY", 3 * 6 * 116 * 8)
    few = Wanted.of(problem(), ACCURACY)
    assert few.per_bin == 3 and continued_runs(problem(), few) == 24
    monkeypatch.setattr(module, "POOL_MEMORY", 2 * 116 * 8)
    two = Wanted.of(problem(), ACCURACY)
    assert two.per_bin == 1 and two.x.bin_width == 0.5 and continued_runs(problem(), two) == 8
    monkeypatch.setattr(module, "POOL_MEMORY", 1)
    fine = ACCURACY.model_copy(update={"ln_train_loss": AXIS.model_copy(update={"bin_width": 0.1})})
    assert Wanted.of(problem(), fine).x.bin_width == 3.0 / module.FEWEST_BINS, "low windows have states of their own"


def test_following_runs_down_costs_no_more_than_training_and_two_rounds_are_long_before_there_are_more():
    assert course(10**9, 100, 10**6) == (module.ROUNDS, module.STEPS)
    assert course(10**9, 100, 50) == (module.ROUNDS, 50)
    assert course(200_000, 100, 10**6) == (2, 1000)
    assert course(20_000, 100, 10**6) == (2, 100)
    assert course(10, 100, 10**6) == (1, 1)


def test_dataset_runs_from_low_to_high_loss_with_rows_kept_together():
    dataset = seeds([-0.5, -2.0, -1.0], [3, 4, 5]).to_dataset("ln_test_loss")
    assert dataset.ln_train_loss.values.tolist() == [-2.0, -1.0, -0.5]
    assert dataset.theta.dims == ("state", "parameter") and dataset.theta.values[:, 0].tolist() == [1, 2, 0]
    assert dataset.run.values.tolist() == [4, 5, 3] and dataset.ln_test_loss.dims == ("state",)
    assert dataset.start_kind.values.tolist() == ["sgd"] * 3


def test_lowest_skips_diverged_states():
    ends = seeds([-1.0, np.nan, -3.0, -np.inf, -2.0], [0, 1, 2, 3, 4])
    assert lowest(ends, 2).run.tolist() == [2, 4]
    assert lowest(ends, 9).run.tolist() == [2, 4, 0]


@pytest.fixture(scope="module")
def last() -> Record:
    return records(grid(("box", 0.03), runs=12), steps=800, record_every=800)[-1]


def test_descent_goes_further_down_inside_the_box_and_repeats_exactly(last):
    task, start, rate = problem(), last.theta.clone(), torch.full((12,), 0.03, dtype=torch.float64)
    path = list(descend(task, last.theta, rate, steps=300, record_every=100))
    assert torch.equal(last.theta, start)
    assert [record.step for record in path] == [100, 200, 300]
    assert all(record.inside.all() for record in path)
    assert not torch.equal(path[0].theta, path[-1].theta)
    losses = ln_loss(task.network.logits(path[-1].theta, task.x_train), task.y_train)
    np.testing.assert_array_equal(path[-1].ln_train_loss, losses)
    assert np.median(path[-1].ln_train_loss) < np.median(last.ln_train_loss) - 0.3
    again = list(descend(task, last.theta, rate, steps=300, record_every=100))
    assert torch.equal(path[-1].theta, again[-1].theta)


def test_a_descent_is_adam_of_torch_on_ln_loss_projected_onto_the_box():
    task = regression()
    start = task.network.initial(generator(), 2)
    rates = torch.tensor([0.03, 0.001], dtype=torch.float64)
    path = list(islice(descend(task, start, rates, steps=10**9, record_every=1), 20))  # the rates hardly fall
    for run, rate in enumerate(rates):
        theta = start[run : run + 1].clone().requires_grad_()
        optimizer = torch.optim.Adam([theta], lr=float(rate))
        for record in path:
            optimizer.zero_grad()
            ln_loss(task.network.logits(theta, task.x_train), task.y_train).sum().backward()
            optimizer.step()
            with torch.no_grad():
                theta.clamp_(-task.domain.half_width, task.domain.half_width)
            torch.testing.assert_close(record.theta[run], theta[0].detach(), rtol=1e-9, atol=1e-12)


def test_hopping_stays_on_a_shell_and_goes_down_there():
    task = problem(shell=6.0)
    start = task.domain.project(task.network.initial(generator(), 12))
    path = list(hop(task, start, rounds=2, steps=200, record_every=200, generator=generator()))
    assert all(record.inside.all() for record, *_ in path)
    assert np.median(path[0][0].ln_train_loss) < np.median(task.ln_train_loss(start)) - 0.3
    assert path[1][0].ln_train_loss.min() < path[0][0].ln_train_loss.min()


def test_a_regression_with_more_parameters_than_points_is_followed_down_to_any_loss():
    task = regression(points=10)
    start = task.domain.project(task.network.initial(generator(), 8))
    lowest = min(
        record.ln_train_loss.min()
        for record, *_ in hop(task, start, rounds=5, steps=300, record_every=50, generator=generator())
    )
    assert lowest < -12


def test_hopping_goes_below_one_descent_and_tells_where_each_state_comes_from(last):
    options = dict(rounds=3, steps=300, record_every=300)
    path = list(hop(problem(), last.theta, **options, generator=generator()))
    assert len(path) == 3
    assert path[0][1].tolist() == list(range(12))
    lowest = [record.ln_train_loss.min() for record, *_ in path]
    assert lowest[-1] < lowest[0] - 0.1
    assert not path[0][2].any(), "at first nothing is shaken"
    for (before, source, _), (after, origin, shaken) in pairwise(path):
        assert shaken[3:].all()
        assert after.inside.all()
        best = np.argsort(before.ln_train_loss, kind="stable")[:3]
        assert origin.tolist() == np.tile(source[best], 4).tolist()


def test_random_points_are_cooled_inside_the_domain_and_owe_nothing_to_training():
    task = problem()
    records = list(cool(task, 12, 300, 150, generator()))
    anywhere = task.domain.draw(12, task.network.layout.size, generator())
    assert len(records) == 2 and all(record.inside.all() for record in records)
    assert np.median(records[-1].ln_train_loss) < np.median(task.ln_train_loss(anywhere)) - 0.5
