"""The verbs prepare, search and train, from files to files."""

import numpy as np
import pytest
import torch
from regression_task import NETWORK, data
from spiral_task import ADAMW, DATA, network

from entroscape.config.data import SpiralData
from entroscape.config.model import Shell
from entroscape.config.sampler import Axis, LnTestLoss, Observables, SmoothedAccuracy, TrueAccuracy
from entroscape.config.settings import NetworkSettings, PrepareSettings, SearchSettings, TrainSettings
from entroscape.config.training import Search
from entroscape.data.dataset import TaskData
from entroscape.errors import ConfigError
from entroscape.files import read_dataset, read_table, write_dataset
from entroscape.observables import accuracy, ln_loss, smoothed_accuracy
from entroscape.training import problem as problem_module
from entroscape.training.problem import Problem
from entroscape.verbs import prepare, search, train

MLP = NetworkSettings(depth=3, width=6, box_factor=2.0)
X = Axis(min=-4.0, max=1.0, bin_width=0.25)
ACCURACY = TrueAccuracy(kind="test_accuracy")


def common(network=MLP, **changes):
    names = dict(experiment="spiral", variant="width-6")
    return dict(**names, network=network, train_points=None, momentum=0.9) | changes


def run_search(folder, network=MLP, points=None, optimizers=("sgd", "adam"), adamw=None, **changes):
    grid = dict(runs=3, steps=40, learning_rates=[0.01, 0.05], batch_sizes=[5, 10])
    settings = SearchSettings(
        **common(network, train_points=points, adamw=adamw),
        optimizers=list(optimizers),
        search=Search(**{**grid, **changes}),
    )
    search.run(settings, data=folder / "data.nc", output=folder / "search.parquet", threads=1)
    return read_table(folder / "search.parquet")


def run_train(folder, network=MLP, y=ACCURACY, points=None, x=X, adamw=None):
    observables = Observables(ln_train_loss=x, y=y)
    shared = common(network, train_points=points, adamw=adamw)
    settings = TrainSettings(**shared, runs=4, steps=60, record_every=20, observables=observables)
    inputs = dict(data=folder / "data.nc", search=folder / "search.parquet")
    train.run(settings, **inputs, output=folder / "train.parquet", seeds=folder / "seeds.nc", threads=1)
    return read_table(folder / "train.parquet"), read_dataset(folder / "seeds.nc")


def run_all(folder):
    section = SpiralData(**DATA.provenance["settings"])
    prepare.run(PrepareSettings(experiment="spiral", data=section), output=folder / "data.nc")
    run_search(folder)
    run_train(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("verbs")
    run_all(path)
    return path


def test_prepared_data_carry_arrays_and_origin(folder):
    dataset = read_dataset(folder / "data.nc")
    np.testing.assert_array_equal(dataset.x_train, DATA.x_train)
    assert "2503.13145" in dataset.attrs["provenance"]
    assert dataset.attrs["code_digest"]


def test_search_has_one_row_per_run_of_the_grid(folder):
    table = read_table(folder / "search.parquet")
    assert len(table) == 2 * 2 * 2 * 2 * 3
    assert not table.duplicated(["optimizer", "protocol", "learning_rate", "batch_size", "run"]).any()
    assert np.isfinite(table.ln_train_loss).all()


def test_training_has_one_row_per_run_and_record_and_box_rows_are_inside(folder):
    table = read_table(folder / "train.parquet")
    assert len(table) == 2 * 2 * 4 * 4
    assert sorted(set(table.step)) == [0, 20, 40, 60]
    assert table.groupby(["optimizer", "protocol"]).learning_rate.nunique().eq(1).all()
    assert table.inside[table.protocol == "box"].all()
    assert table.attrs["settings"] == read_dataset(folder / "seeds.nc").attrs["settings"]
    assert list(table)[:7] == [
        "protocol", "optimizer", "run", "step", "ln_train_loss", "test_accuracy", "test_correct"
    ]  # fmt: skip


def test_seeds_are_states_in_the_box_with_their_own_coordinates(folder):
    seeds, task = read_dataset(folder / "seeds.nc"), Problem.of(network(), DATA)
    logits = network().logits
    theta = torch.as_tensor(seeds.theta.to_numpy())
    assert (theta.abs() <= network().domain.half_width).all()
    np.testing.assert_allclose(seeds.ln_train_loss, ln_loss(logits(theta, task.x_train), task.y_train), atol=1e-12)
    np.testing.assert_allclose(seeds.test_accuracy, accuracy(logits(theta, task.x_test), task.y_test))
    assert seeds.ln_train_loss.min() < read_table(folder / "train.parquet").ln_train_loss.min()
    kinds = seeds.start_kind.to_numpy().astype(str)
    assert set(kinds) == {"sgd", "adam", "perturbed", "cooled"}
    runs = seeds.run.to_numpy()
    assert (runs[kinds == "sgd"] < 4).all() and ((runs[kinds == "adam"] >= 4) & (runs[kinds == "adam"] < 8)).all()
    assert runs[kinds == "cooled"].min() >= 12, "they come from no training"


def test_two_runs_give_equal_bytes(folder, tmp_path):
    run_all(tmp_path)
    for name in ("data.nc", "search.parquet", "train.parquet", "seeds.nc"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


def test_a_batch_larger_than_the_train_set_is_left_out_and_refused_if_there_is_no_other(folder, tmp_path):
    write_dataset(DATA.to_dataset(), tmp_path / "data.nc")
    assert set(run_search(tmp_path, batch_sizes=[5, 64]).batch_size) == {5}
    with pytest.raises(ConfigError, match="batch_sizes: 32 is more than the 20 train points; add one of at most 20"):
        run_search(tmp_path, batch_sizes=[64, 32])


def test_on_a_shell_adamw_is_trained_free_and_on_the_shell_and_seeds_lie_there(tmp_path):
    write_dataset(DATA.to_dataset(), tmp_path / "data.nc")
    on_shell = MLP.model_copy(update=dict(box_rule=None, box_factor=None, shell=Shell(norm=6.0)))
    searched = run_search(tmp_path, on_shell, optimizers=["adamw"], adamw=ADAMW)
    assert set(searched.protocol) == {"free", "shell"} and set(searched.optimizer) == {"adamw"}
    table, seeds = run_train(tmp_path, on_shell, adamw=ADAMW)
    assert table.inside.tolist() == (table.protocol == "shell").tolist()
    np.testing.assert_allclose(np.linalg.norm(seeds.theta, axis=1), 6.0, rtol=1e-13)
    assert seeds.ln_train_loss.min() < table.ln_train_loss.min()


def test_smoothed_accuracy_is_recorded_beside_the_true_one(tmp_path):
    write_dataset(DATA.to_dataset(), tmp_path / "data.nc")
    run_search(tmp_path)
    y = SmoothedAccuracy(kind="smoothed_accuracy", slope=5.0, axis=Axis(min=0.0, max=1.0, bin_width=0.1))
    table, seeds = run_train(tmp_path, y=y)
    assert {"test_accuracy", "test_correct", "smoothed_accuracy"} <= set(table)
    task = Problem.of(network(), DATA)
    logits = task.network.logits(torch.as_tensor(seeds.theta.to_numpy()), task.x_test)
    np.testing.assert_allclose(seeds.smoothed_accuracy, smoothed_accuracy(logits, task.y_test, 5.0), atol=1e-12)
    assert table.smoothed_accuracy.between(0, 1).all()


def test_regression_of_a_part_of_the_points_without_a_search(tmp_path):
    write_dataset(data().to_dataset(), tmp_path / "data.nc")
    fixed = dict(learning_rates=[3e-2], adam_learning_rates=[1e-3, 1e-2], batch_sizes=[10], points=20)
    table = run_search(tmp_path, NETWORK, **fixed)
    assert table.ln_train_loss.isna().tolist() == (table.optimizer == "sgd").tolist()
    y = LnTestLoss(kind="ln_test_loss", axis=Axis(min=-4.0, max=1.0, bin_width=0.5))
    trained, seeds = run_train(tmp_path, NETWORK, y, points=20)
    assert "ln_test_loss" in trained and not {"test_accuracy", "test_correct"} & set(trained)
    assert set(trained.learning_rate[trained.optimizer == "sgd"]) == {3e-2}
    part = TaskData.from_dataset(read_dataset(tmp_path / "data.nc")).first(20)
    task = Problem.of(problem_module.make_network(NETWORK, part), part)
    theta = torch.as_tensor(seeds.theta.to_numpy())
    np.testing.assert_allclose(seeds.ln_train_loss, task.ln_train_loss(theta), atol=1e-12)
    assert seeds.ln_test_loss.min() >= -4 and seeds.ln_test_loss.max() < 1
    assert seeds.ln_train_loss.min() < trained.ln_train_loss.min()


def test_no_states_are_sought_where_every_run_in_the_box_diverged(tmp_path):
    write_dataset(data().to_dataset(), tmp_path / "data.nc")
    wide = NETWORK.model_copy(update={"box_factor": 1e200})
    run_search(tmp_path, wide, learning_rates=[1e180], adam_learning_rates=[1e180], batch_sizes=[10])
    y = LnTestLoss(kind="ln_test_loss", axis=Axis(min=-4.0, max=1.0, bin_width=0.5))
    table, seeds = run_train(tmp_path, wide, y)
    boxed = table[table.protocol == "box"]
    assert not np.isfinite(boxed.ln_train_loss[boxed.step == 60]).any()
    assert set(seeds.ln_train_loss.to_numpy()) <= set(boxed.ln_train_loss[boxed.step == 0])  # what there is


def test_large_networks_are_trained_in_single_precision_a_few_runs_at_a_time(tmp_path, monkeypatch):
    write_dataset(data().to_dataset(), tmp_path / "data.nc")
    monkeypatch.setattr(problem_module, "LARGEST_DOUBLE", 10)
    monkeypatch.setattr(problem_module, "MEMORY", 20_000)
    run_search(tmp_path, NETWORK)
    y = LnTestLoss(kind="ln_test_loss", axis=Axis(min=-4.0, max=1.0, bin_width=0.5))
    table, seeds = run_train(tmp_path, NETWORK, y)
    assert len(table) == 2 * 2 * 4 * 4 and np.isfinite(table.ln_train_loss).all()
    assert not table.duplicated(["optimizer", "protocol", "run", "step"]).any()
    assert table.inside[table.protocol == "box"].all()
    assert seeds.theta.dtype == np.float32
    half_width = problem_module.make_network(NETWORK, data()).domain.half_width
    assert (np.abs(seeds.theta.to_numpy().astype(float)) <= half_width.numpy()).all()
