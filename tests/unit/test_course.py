"""Courses of training: what a run is, and that it does what a plain optimizer does to a plain module."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from benchmarks.plain_transformer import PlainTransformer
from entroscape.config.courses import Course, CourseSettings, Entropy, Heads, Lost, Stop
from entroscape.data.modular import split, table
from entroscape.errors import SamplingError
from entroscape.training import course
from entroscape.training.course import Network, Task, forward, train, train_all
from entroscape.training.wand_search import Setting, best_bias, summary

pytestmark = pytest.mark.unit
ADAMW = dict(kind="adamw", learning_rate=0.01, weight_decay=0.5, betas=(0.9, 0.98), norm=None)
WAND = dict(kind="wand", learning_rate=3e-3, temperature=0.1, friction=0.5, onset=-4.0)


def settings(optimizer=ADAMW, **changes) -> CourseSettings:
    course = dict(operation="add", train_fraction=0.5, d_model=8, optimizer=optimizer, runs=2, steps=20)
    course |= {key: changes.pop(key) for key in list(changes) if key in course}
    entropy = Entropy(
        bias=50.0, factor=0.1, factor_steps=10, deposit_width=1.0, axis=dict(min=-6.0, max=3.0, bin_width=0.1)
    )
    base = dict(
        name="test", course=Course(**course), modulus=7, seed=1, network=Heads(heads=2, mlp_ratio=2),
        entropy=None if optimizer["kind"] == "adamw" else entropy, record_every=5, stop=None,
    )  # fmt: skip
    return CourseSettings(**base | changes)


def test_every_pair_is_either_learnt_or_tested():
    train_pairs, test_pairs = split(7, 24, "a")
    assert sorted([*train_pairs, *test_pairs]) == list(range(49)) and len(train_pairs) == 24
    assert not np.array_equal(train_pairs, split(7, 24, "b")[0])


@pytest.mark.parametrize(
    ("operation", "answer"), [("add", (5 + 4) % 7), ("square", (25 + 4) % 7), ("cubic", (125 + 5 * 16 + 4) % 7)]
)
def test_operations(operation, answer):
    pairs, answers = table(operation, 7)
    assert answers[(pairs == [5, 4]).all(axis=1)].tolist() == [answer]


def test_runs_have_splits_of_their_own_that_all_optimizers_share():
    adamw, wand = (Task.of(settings(optimizer), [0, 1]) for optimizer in (ADAMW, WAND))
    assert torch.equal(adamw.x_train, wand.x_train) and not torch.equal(adamw.x_train[0], adamw.x_train[1])
    assert adamw.x_train.shape == (2, 24, 2) and adamw.x_test.shape == (2, 25, 2)
    assert torch.equal(adamw.y_train, adamw.x_train.sum(2) % 7)


@pytest.mark.parametrize("norm", [None, 6.0])
def test_adamw_is_that_of_torch(norm):
    given = settings(ADAMW | {"norm": norm}, runs=1)
    task, network = Task.of(given, [0]), Network.of(given)
    plain = PlainTransformer(8, 8, 2, 16)
    vector_to_parameters(network.starts(given, [0])[0], plain.parameters())
    optimizer = torch.optim.AdamW(plain.parameters(), lr=0.01, betas=(0.9, 0.98), weight_decay=0.5)
    losses = []
    for _ in range(21):
        loss = cross_entropy(plain(task.x_train[0]), task.y_train[0])
        losses.append(float(loss))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if norm:
            theta = parameters_to_vector(plain.parameters()).detach()
            vector_to_parameters(theta * (norm / theta.norm()), plain.parameters())
    records = list(train(given, [0]))
    assert [record.step for record in records] == [0, 5, 10, 15, 20]
    np.testing.assert_allclose([r.train_loss[0] for r in records], np.array(losses)[::5], rtol=1e-4)
    if norm:
        np.testing.assert_allclose([r.weight_norm[0] for r in records[1:]], norm, rtol=1e-5)


@pytest.mark.parametrize("optimizer", [ADAMW, WAND], ids=["adamw", "wand"])
def test_equal_settings_give_equal_runs(optimizer):
    one, other = (list(train(settings(optimizer), [0, 1])) for _ in range(2))
    for a, b in zip(one, other, strict=True):
        assert all(np.array_equal(x, y, equal_nan=True) for x, y in zip(a, b, strict=True))


def test_runs_do_not_touch_each_other():
    together, alone = (list(train(settings(), runs))[-1] for runs in ([0, 1], [1]))
    np.testing.assert_allclose(together.train_loss[1], alone.train_loss[0], rtol=1e-4)


def test_the_gradient_is_that_of_the_mean_loss():
    given = settings(runs=3)
    task, network = Task.of(given, [0, 1, 2]), Network.of(given)
    theta = network.starts(given, [0, 1, 2])
    found = forward(network, task, theta)
    leaf = theta.clone().requires_grad_()
    logits = network.logits(leaf, task.x_train)
    loss = cross_entropy(logits.mT, task.y_train, reduction="none").mean(1)
    torch.testing.assert_close(found.loss, loss.detach())
    torch.testing.assert_close(found.gradient, torch.autograd.grad(loss.sum(), leaf)[0])


@pytest.mark.parametrize(("weight", "accuracy"), [("printed", "test"), ("described", "train")])
def test_the_hybrid_records_its_weight(weight, accuracy):
    annealing = dict(weight=weight, accuracy=accuracy, adamw=ADAMW)
    for record in train(settings(dict(kind="hybrid", wand=WAND, annealing=annealing)), [0, 1]):
        a = getattr(record, f"{accuracy}_accuracy")
        np.testing.assert_allclose(
            record.alpha, (2 * a - 1) ** 2 if weight == "printed" else 1 - (2 * a - 1) ** 2, 1e-5
        )


def test_runs_at_once_end_when_all_have_settled():
    given = settings(steps=2000, stop=Stop(accuracy=0.01, steps=40, lost=None))
    records = list(train(given, [0, 1]))
    reached = [next(r.step for r in records if r.test_accuracy[run] >= 0.01) for run in (0, 1)]
    assert records[-1].step == max(reached) + 40


def test_each_run_of_a_course_ends_when_it_has_settled():
    given = settings(steps=300, runs=3, stop=Stop(accuracy=0.1, steps=40, lost=None))
    table = train_all(given)
    there = table[table["test_accuracy"] >= 0.1].groupby("run")["step"].min()
    ends = table.groupby("run")["step"].max()
    assert ends.tolist() == (there + 40).tolist() and ends.min() < ends.max()
    assert (table.drop(columns=["run", "step"]).dtypes == "float64").all()


def _given_up(learning_rate: float, lost: Lost) -> tuple[pd.DataFrame, pd.Series]:
    """Two runs of WanD, and the last step of each."""
    stop = Stop(accuracy=0.99, steps=40, lost=lost)
    table = train_all(settings(WAND | {"learning_rate": learning_rate}, steps=300, runs=2, stop=stop))
    return table, table.groupby("run")["step"].max()


def test_a_run_that_has_lost_what_it_knew_for_so_long_ends():
    lost = Lost(accuracy=0.2, steps=40)
    table, ends = _given_up(0.1, lost)
    held = table[table["train_accuracy"] >= lost.accuracy].groupby("run")["step"].max()
    assert ends.tolist() == (held + lost.steps).clip(upper=300).tolist() and ends.min() < 300


def test_a_run_that_diverges_ends_at_once():
    table, ends = _given_up(50.0, Lost(accuracy=0.02, steps=40))
    assert ends.tolist() == table[~np.isfinite(table["weight_norm"])].groupby("run")["step"].min().tolist()


@pytest.mark.parametrize("stop", [None, Stop(accuracy=0.1, steps=40, lost=None)], ids=["whole", "stopped"])
def test_runs_at_once_leave_the_rows_of_runs_alone(stop, monkeypatch):
    given = settings(steps=150, runs=3, stop=stop)
    alone = train_all(given)
    monkeypatch.setattr(course, "train", lambda settings, runs, **how: train(settings, runs, bias=how["bias"]))
    together = train_all(given, device="cuda")
    rows = [table.sort_values(["run", "step"], ignore_index=True) for table in (alone, together)]
    assert rows[0][["run", "step"]].equals(rows[1][["run", "step"]])
    np.testing.assert_allclose(rows[0]["train_loss"], rows[1]["train_loss"], rtol=1e-2)


def test_noise_of_wand_is_that_of_the_run():
    table = train_all(settings(WAND, runs=2))
    last = next(reversed(list(train(settings(WAND), [1]))))
    assert table[table["run"] == 1]["train_loss"].iloc[-1] == last.train_loss[0]


def test_a_run_that_diverges_leaves_the_others_alone():
    given = settings(WAND | {"learning_rate": 50.0}, runs=1)
    last = list(train(given, [0]))[-1]
    assert last.step == 20 and not last.train_loss[0] < 1


def test_the_summary_of_a_search():
    table = train_all(settings())
    rows = summary(Setting("bias", 3.0), table)
    assert rows["run"].tolist() == [0, 1] and not rows["diverged"].any()
    for run, row in zip((0, 1), rows.to_dict("records"), strict=True):
        mine = table[table["run"] == run]
        assert row["largest_gap"] == (mine["train_accuracy"] - mine["test_accuracy"]).max()
        assert row["final_norm"] == mine["weight_norm"].iloc[-1]
    lost = table.assign(train_loss=table["train_loss"].mask((table["run"] == 1) & (table["step"] == 10)))
    lost = lost.assign(weight_norm=lost["weight_norm"].mask((lost["run"] == 1) & (lost["step"] >= 10)))
    assert summary(Setting("bias", 3.0), lost)["diverged"].tolist() == [False, True]
    assert np.isnan(summary(Setting("bias", 3.0), lost)["final_norm"][1])


def test_the_best_bias_generalises_soonest():
    def rows(value, steps, accuracy=1.0, diverged=False):
        return pd.DataFrame(
            dict(parameter="bias", value=value, steps_to_generalise=steps, best_test_accuracy=accuracy,
                 diverged=diverged)
        )  # fmt: skip

    table = pd.concat([rows(1.0, [500.0, 600, 700]), rows(2.0, [100.0, np.nan, np.nan]), rows(3.0, [400.0, 500, 900])])
    assert best_bias(table) == 3.0
    never = pd.concat([rows(1.0, [np.nan], [0.2]), rows(2.0, [np.nan], [0.4])])
    assert best_bias(never) == 2.0
    with pytest.raises(SamplingError, match="every run of the search diverged"):
        best_bias(rows(1.0, [np.nan], diverged=True))
