"""The verbs prepare, search and train, from files to files."""

import numpy as np
import pytest
import torch
from spiral_task import DATA, network

from entroscape.config.data import SpiralData
from entroscape.config.sampler import Axis, Observables
from entroscape.config.settings import NetworkSettings, PrepareSettings, SearchSettings, TrainSettings
from entroscape.config.training import Search
from entroscape.errors import ConfigError
from entroscape.files import read_dataset, read_table
from entroscape.observables import accuracy, ln_loss
from entroscape.training.baselines import Points
from entroscape.verbs import prepare, search, train

COMMON = dict(
    experiment="spiral",
    variant="width-6",
    network=NetworkSettings(depth=3, width=6, box_factor=2.0),
    optimizer="sgd",
    momentum=0.9,
)


def run_search(folder, **changes):
    grid = dict(runs=3, steps=40, learning_rates=[0.01, 0.05], batch_sizes=[5, 10])
    settings = SearchSettings(**COMMON, search=Search(**{**grid, **changes}))
    search.run(settings, data=folder / "data.nc", output=folder / "search.parquet", threads=1)


def run_all(folder):
    section = SpiralData(**DATA.provenance["settings"])
    prepare.run(PrepareSettings(experiment="spiral", data=section), output=folder / "data.nc")
    run_search(folder)
    observables = Observables(ln_train_loss=Axis(min=-4.0, max=1.0, bin_width=0.25))
    settings = TrainSettings(**COMMON, runs=4, steps=60, record_every=20, observables=observables)
    inputs = dict(data=folder / "data.nc", search=folder / "search.parquet")
    train.run(settings, **inputs, output=folder / "train.parquet", seeds=folder / "seeds.nc", threads=1)


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
    assert len(table) == 2 * 2 * 2 * 3
    assert not table.duplicated(["protocol", "learning_rate", "batch_size", "run"]).any()
    assert np.isfinite(table.ln_train_loss).all()


def test_training_has_one_row_per_run_and_record_and_box_rows_are_inside(folder):
    table = read_table(folder / "train.parquet")
    assert len(table) == 2 * 4 * 4
    assert sorted(set(table.step)) == [0, 20, 40, 60]
    assert table.groupby("protocol").learning_rate.nunique().eq(1).all()
    assert table.inside[table.protocol == "box"].all()
    assert table.attrs["settings"] == read_dataset(folder / "seeds.nc").attrs["settings"]


def test_seeds_are_states_in_the_box_with_their_own_coordinates(folder):
    seeds, points = read_dataset(folder / "seeds.nc"), Points.of(DATA)
    logits = network().logits
    theta = torch.as_tensor(seeds.theta.to_numpy())
    assert (theta.abs() <= network().half_width).all()
    np.testing.assert_allclose(seeds.ln_train_loss, ln_loss(logits(theta, points.x_train), points.y_train), atol=1e-12)
    np.testing.assert_allclose(seeds.test_accuracy, accuracy(logits(theta, points.x_test), points.y_test))
    assert seeds.ln_train_loss.min() < read_table(folder / "train.parquet").ln_train_loss.min()


def test_two_runs_give_equal_bytes(folder, tmp_path):
    run_all(tmp_path)
    for name in ("data.nc", "search.parquet", "train.parquet", "seeds.nc"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


def test_a_batch_larger_than_the_train_set_is_refused(folder):
    with pytest.raises(ConfigError, match="batch_sizes: 64 is more than the 20 train points"):
        run_search(folder, batch_sizes=[5, 64])
