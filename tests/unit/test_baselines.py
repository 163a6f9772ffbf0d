"""Batched SGD: against torch.optim.SGD, box, minibatches, start, divergence, determinism."""

import numpy as np
import pytest
import torch
from spiral_task import DATA, both, generator, network, records
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from entroscape.observables import correct, ln_loss
from entroscape.training.baselines import Points, Runs, build_step, init_state


@pytest.mark.parametrize("batch_size", [5, 20, 7])
def test_a_free_run_is_torch_sgd_on_the_same_minibatches(batch_size):
    net, (x, y, _, _) = network(), Points.of(DATA)
    rates = torch.tensor([0.02, 0.05, 0.1], dtype=torch.float64)
    bound = torch.full((3, net.layout.size), torch.inf, dtype=torch.float64)
    state = init_state(net, bound, len(y), generator())
    modules = [nn.Sequential(*[m for n in ((2, 6), (6, 6), (6, 6)) for m in (nn.Linear(*n), nn.ReLU())]) for _ in rates]
    for module, theta in zip(modules, state.theta, strict=True):
        module.append(nn.Linear(6, 2)).double()
        vector_to_parameters(theta, module.parameters())
    optimizers = [
        torch.optim.SGD(m.parameters(), lr=float(rate), momentum=0.9) for m, rate in zip(modules, rates, strict=True)
    ]
    step, source = build_step(net, x, y, bound, rates, 0.9, batch_size), generator(1)
    for _ in range(12):
        state = step(state, source)
        end = state.position
        begin = (end - 1) // batch_size * batch_size
        for run, (module, optimizer) in enumerate(zip(modules, optimizers, strict=True)):
            batch = state.order[run, begin:end]
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(x[batch]), y[batch]).backward()
            optimizer.step()
            expected = parameters_to_vector(module.parameters())
            torch.testing.assert_close(state.theta[run], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("batch_size", [4, 6, 20])
def test_every_point_is_used_once_per_epoch_and_runs_have_orders_of_their_own(batch_size):
    net, (x, y, _, _) = network(), Points.of(DATA)
    bound = torch.full((30, net.layout.size), torch.inf, dtype=torch.float64)
    state, source = init_state(net, bound, len(y), generator()), generator(1)
    step = build_step(net, x, y, bound, torch.full((30,), 0.01, dtype=torch.float64), 0.0, batch_size)
    epochs = []
    for _ in range(2):
        begin, used = 0, []
        while begin < len(y):
            state = step(state, source)
            used.append(state.order[:, begin : state.position])
            begin = state.position
        assert begin == len(y)
        assert max(part.shape[1] for part in used) == batch_size
        epochs.append(torch.cat(used, dim=1))
    for order in epochs:
        assert torch.equal(order.sort(dim=1).values, torch.arange(len(y)).expand(30, -1))
    assert len({tuple(row) for order in epochs for row in order.tolist()}) == 60


def test_box_runs_never_leave_the_box_and_press_against_it():
    net, (x, y, _, _) = network(), Points.of(DATA)
    runs = Runs.grid([("box", 0.2)], 5, 8)
    bound, source = runs.bound(net), generator()
    state = init_state(net, bound, len(y), source)
    step = build_step(net, x, y, bound, torch.as_tensor(runs.learning_rate), 0.9, 5)
    stopped = 0
    for _ in range(60):
        state = step(state, source)
        assert (state.theta.abs() <= net.half_width).all()
        at_wall = state.theta.abs() == net.half_width
        stopped += int(at_wall.sum())
        assert (state.velocity[at_wall] == 0).all()
    assert stopped > 100


def test_free_and_box_runs_differ_only_where_the_box_is_touched():
    free, boxed = both().bound(network())[:4], both().bound(network())[4:]
    assert torch.isinf(free).all() and torch.equal(boxed[0], network().half_width)
    result = records(both(), steps=400, record_every=400)[-1]
    assert result.inside[4:].all() and not result.inside[:4].all()
    assert (result.theta[:4].abs() > network().half_width).any()


def test_start_is_uniform_within_torch_scales_and_clipped_for_box_runs():
    net = network(width=16)  # its first layer starts within 0.707, its box is 0.5
    first = records(both(runs=200), steps=0, width=16)[0].theta
    free, boxed = first[:200], first[200:]
    assert (free.abs() <= net.initial_scale).all() and (free.abs() > 0.9 * net.initial_scale).any(dim=0).all()
    assert (boxed.abs() <= net.half_width).all()
    weight = net.layout.slices["layers.0.weight"]
    assert (boxed[:, weight].abs() == 0.5).float().mean() == pytest.approx(1 - 0.5 / 0.7071, abs=0.03)
    assert free.mean() == pytest.approx(0, abs=0.01)


def test_records_hold_the_full_batch_values_at_the_asked_steps():
    result = records(both(), steps=25, record_every=10)
    assert [record.step for record in result] == [0, 10, 20, 25]
    net, (x, y, x_test, y_test) = network(), Points.of(DATA)
    for record in result:
        np.testing.assert_array_equal(record.ln_train_loss, ln_loss(net.logits(record.theta, x), y))
        np.testing.assert_array_equal(record.test_correct, correct(net.logits(record.theta, x_test), y_test))


def test_training_lowers_the_loss():
    result = records(both(runs=8), steps=600, record_every=600)
    assert np.median(result[-1].ln_train_loss) < np.median(result[0].ln_train_loss) - 0.5


def test_a_diverged_run_is_kept_as_nan_and_leaves_the_others_alone():
    mixed = Runs.grid([("free", 1e200), ("free", 0.03)], 5, 3)
    last = records(mixed)[-1]
    assert np.isnan(last.ln_train_loss[:3]).all() and not last.inside[:3].any() and (last.test_correct[:3] == 0).all()
    tame = records(Runs.grid([("free", 0.03), ("free", 0.03)], 5, 3))[-1]
    assert torch.equal(last.theta[3:], tame.theta[3:])
    assert mixed.frame(last, 30).ln_train_loss.isna().sum() == 3


def test_table_rows_of_a_record():
    runs = Runs.grid([("free", 0.1), ("box", 0.2)], 5, 2)
    record = records(runs, steps=10)[-1]
    table = runs.frame(record, 30)
    assert table.protocol.tolist() == ["free", "free", "box", "box"] and table.run.tolist() == [0, 1, 0, 1]
    assert table.learning_rate.tolist() == [0.1, 0.1, 0.2, 0.2] and set(table.step) == {10}
    np.testing.assert_allclose(table.test_accuracy * 30, table.test_correct)


def test_equal_seeds_give_equal_bytes_and_others_do_not():
    first, again, other = (records(both(), seed=seed)[-1].theta for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_bytes_do_not_depend_on_the_number_of_threads():
    before = torch.get_num_threads()
    states = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            states.append(records(both(runs=100, batch_size=20), steps=6, record_every=3, width=16)[-1])
    finally:
        torch.set_num_threads(before)
    assert torch.equal(states[0].theta, states[1].theta)
    np.testing.assert_array_equal(states[0].ln_train_loss, states[1].ln_train_loss)
