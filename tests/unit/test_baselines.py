"""Batched SGD, Adam and AdamW: against torch.optim, box and shell, minibatches, start, divergence, determinism."""

import numpy as np
import pytest
import torch
from spiral_task import ADAMW, DATA, both, generator, grid, network, problem, records
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from entroscape.observables import correct, ln_loss
from entroscape.training.baselines import Runs, build_step, init_state

TORCH = {
    "sgd": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9),
    "adam": torch.optim.Adam,
    "adamw": lambda p, lr: torch.optim.AdamW(p, lr=lr, betas=ADAMW.betas, weight_decay=ADAMW.weight_decay),
}


def run_steps(runs, steps, momentum=0.9, shell=None, adamw=ADAMW):
    """States of these runs after each step, the start included."""
    task, source = problem(shell=shell), generator(1)
    states = [init_state(task, runs, generator())]
    step = build_step(task, runs, momentum, adamw)
    for _ in range(steps):
        states.append(step(states[-1], source))
    return states


@pytest.mark.parametrize("batch_size", [5, 20, 7])
def test_a_free_run_is_that_of_torch_on_the_same_minibatches(batch_size):
    settings = [("adamw", "free", 0.03), ("adam", "free", 0.01), ("sgd", "free", 0.02), ("adam", "free", 0.05)]
    runs = Runs.grid(settings, batch_size, 1)
    assert runs.optimizer.tolist() == ["sgd", "adam", "adam", "adamw"]
    states, task = run_steps(runs, 12), problem()
    modules = []
    for theta in states[0].theta:
        module = nn.Sequential(*[m for n in ((2, 6), (6, 6), (6, 6)) for m in (nn.Linear(*n), nn.ReLU())])
        modules.append(module.append(nn.Linear(6, 2)).double())
        vector_to_parameters(theta, module.parameters())
    optimizers = [
        TORCH[name](module.parameters(), lr=rate)
        for name, module, rate in zip(runs.optimizer, modules, runs.learning_rate, strict=True)
    ]
    for state in states[1:]:
        end = state.position
        begin = (end - 1) // batch_size * batch_size
        for run, (module, optimizer) in enumerate(zip(modules, optimizers, strict=True)):
            batch = state.order[run, begin:end]
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(task.x_train[batch]), task.y_train[batch]).backward()
            optimizer.step()
            expected = parameters_to_vector(module.parameters())
            torch.testing.assert_close(state.theta[run], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("batch_size", [4, 6, 20])
def test_every_point_is_used_once_per_epoch_and_runs_have_orders_of_their_own(batch_size):
    points = len(DATA.y_train)
    steps = -(-points // batch_size)
    states = run_steps(grid(("free", 0.01), batch_size=batch_size, runs=30), 2 * steps, momentum=0.0)
    epochs = [states[1 : steps + 1], states[steps + 1 :]]
    for epoch in epochs:
        ends = [state.position for state in epoch]
        assert ends == [min((k + 1) * batch_size, points) for k in range(steps)]
        assert all(torch.equal(state.order, epoch[0].order) for state in epoch)
        assert torch.equal(epoch[0].order.sort(dim=1).values, torch.arange(points).expand(30, -1))
    assert len({tuple(row) for epoch in epochs for row in epoch[0].order.tolist()}) == 60


def test_adamw_must_be_described():
    with pytest.raises(ValueError, match="weight decay and betas"):
        run_steps(Runs.grid([("adamw", "free", 0.1)], 5, 2), 1, adamw=None)


@pytest.mark.parametrize(("optimizer", "rate"), [("sgd", 0.05), ("adam", 0.02), ("adamw", 0.02)])
def test_shell_runs_are_rescaled_after_every_step_and_keep_their_velocity(optimizer, rate):
    """Beside the same runs free, one step at a time."""
    both = Runs.grid([(optimizer, "free", rate), (optimizer, "shell", rate)], 5, 3)
    task, source = problem(shell=4.0), generator(1)
    step, state = build_step(task, both, 0.9, ADAMW), init_state(task, both, generator())
    assert task.domain.inside(state.theta[3:]).all() and not task.domain.inside(state.theta[:3]).any()
    for _ in range(30):
        free = torch.cat([state.theta[3:], state.theta[3:]])  # the free ones begin where those on the shell are
        state = state._replace(theta=free, velocity=state.velocity[[3, 4, 5, 3, 4, 5]])
        state = state._replace(order=state.order[[3, 4, 5, 3, 4, 5]])
        if len(state.square):
            state = state._replace(square=state.square[[3, 4, 5, 3, 4, 5]])
        if state.position >= len(DATA.y_train):
            state = state._replace(position=0)
        state = step(state, source)
        free, kept = state.theta.split(3)
        torch.testing.assert_close(kept, 4.0 * free / free.norm(dim=1, keepdim=True))
        assert torch.equal(state.velocity[:3], state.velocity[3:])
    assert task.inside(state.theta).tolist() == [False] * 3 + [True] * 3


def test_weight_decay_on_a_shell_only_lengthens_the_steps():
    decay = ADAMW.weight_decay
    plain = ADAMW.model_copy(update={"weight_decay": 0.0})
    with_decay = run_steps(Runs.grid([("adamw", "shell", 0.02)], 5, 3), 20, shell=4.0)[-1].theta
    longer = Runs.grid([("adamw", "shell", 0.02 / (1 - 0.02 * decay))], 5, 3)
    torch.testing.assert_close(run_steps(longer, 20, shell=4.0, adamw=plain)[-1].theta, with_decay)


@pytest.mark.parametrize(("optimizer", "rate"), [("sgd", 0.2), ("adam", 0.1)])
def test_box_runs_never_leave_the_box_and_press_against_it(optimizer, rate):
    half_width, stopped = problem().domain.half_width, 0
    for state in run_steps(Runs.grid([(optimizer, "box", rate)], 5, 8), 60)[1:]:
        assert (state.theta.abs() <= half_width).all()
        at_wall = state.theta.abs() == half_width
        stopped += int(at_wall.sum())
        assert (state.velocity[at_wall] == 0).all()
    assert stopped > 100


def test_free_and_box_runs_differ_only_where_the_box_is_touched():
    assert both().kept.tolist() == [False] * 4 + [True] * 4
    result = records(both(), steps=400, record_every=400)[-1]
    assert result.inside[4:].all() and not result.inside[:4].all()
    assert (result.theta[:4].abs() > network().domain.half_width).any()


def test_start_is_uniform_within_torch_scales_and_clipped_for_box_runs():
    net = network(width=16)  # its first layer starts within 0.707, its box is 0.5
    first = records(both(runs=200), steps=0, width=16)[0].theta
    free, boxed = first[:200], first[200:]
    assert torch.equal(free, net.initial(generator(), 400)[:200])
    assert (boxed.abs() <= net.domain.half_width).all()
    weight = net.layout.slices["layers.0.weight"]
    assert (boxed[:, weight].abs() == 0.5).float().mean() == pytest.approx(1 - 0.5 / 0.7071, abs=0.03)
    assert free.mean() == pytest.approx(0, abs=0.01)


def test_records_hold_the_full_batch_values_at_the_asked_steps():
    result = records(both(), steps=25, record_every=10)
    assert [record.step for record in result] == [0, 10, 20, 25]
    task, logits = problem(), network().logits
    for record in result:
        np.testing.assert_array_equal(record.ln_train_loss, ln_loss(logits(record.theta, task.x_train), task.y_train))
        right = correct(logits(record.theta, task.x_test), task.y_test)
        np.testing.assert_array_equal(record.test["test_correct"], right)
        np.testing.assert_array_equal(record.test["test_accuracy"], right.double() / len(task.y_test))


def test_training_lowers_the_loss():
    result = records(both(runs=8), steps=600, record_every=600)
    assert np.median(result[-1].ln_train_loss) < np.median(result[0].ln_train_loss) - 0.5


def test_a_diverged_run_is_kept_as_nan_and_leaves_the_others_alone():
    mixed = grid(("free", 1e200), ("free", 0.03), runs=3)
    last = records(mixed)[-1]
    assert np.isnan(last.ln_train_loss[:3]).all() and not last.inside[:3].any()
    assert (last.test["test_correct"][:3] == 0).all()
    tame = records(grid(("free", 0.03), ("free", 0.03), runs=3))[-1]
    assert torch.equal(last.theta[3:], tame.theta[3:])
    assert mixed.frame(last).ln_train_loss.isna().sum() == 3


def test_table_rows_of_a_record():
    runs = Runs.grid([("adam", "box", 0.2), ("sgd", "free", 0.1)], 5, 2)
    table = runs.frame(records(runs, steps=10)[-1])
    assert table.optimizer.tolist() == ["sgd", "sgd", "adam", "adam"]
    assert table.protocol.tolist() == ["free", "free", "box", "box"] and table.run.tolist() == [0, 1, 0, 1]
    assert table.learning_rate.tolist() == [0.1, 0.1, 0.2, 0.2] and set(table.step) == {10}
    np.testing.assert_allclose(table.test_accuracy * 30, table.test_correct)


def test_parts_hold_every_run_once_in_order():
    runs = Runs.grid([("adam", "box", 0.2), ("sgd", "free", 0.1)], 5, 4)
    parts = list(runs.parts(3))
    assert [len(part) for part in parts] == [3, 3, 2] and {part.batch_size for part in parts} == {5}
    for column in ("optimizer", "protocol", "run", "learning_rate"):
        joined = np.concatenate([getattr(part, column) for part in parts])
        np.testing.assert_array_equal(joined, getattr(runs, column))
    assert np.concatenate([part.numbers(4) for part in parts]).tolist() == list(range(8))
    assert Runs.grid([("adamw", "free", 0.1), ("sgd", "free", 0.1)], 5, 2).numbers(2).tolist() == [0, 1, 4, 5]


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
