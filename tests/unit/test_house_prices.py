"""House prices: the recipe on small tables, whose columns can be counted by hand."""

import io
import lzma
import pickle

import numpy as np
import pandas as pd
import pytest
from small_sources import local

from entroscape.config.data import HousePrices
from entroscape.data.house_prices import columns, most_correlated
from entroscape.data.registry import make_data
from entroscape.errors import FileError

KAGGLE_TRAIN = """Id,Area,Alley,Veneer,SalePrice
1,10,NA,None,100
2,20,Pave,Brick,200
3,NA,NA,None,400
4,40,Grvl,None,800
"""
KAGGLE_TEST = """Id,Area,Alley,Veneer
5,50,NA,Stone
6,60,Pave,NA
"""


def kaggle(folder, train=KAGGLE_TRAIN, test=KAGGLE_TEST, **changes) -> HousePrices:
    files = {
        "train": local(folder / "train.csv", train.encode()),
        "test": local(folder / "test.csv", test.encode(), checksum=None),
    }
    values = dict(
        kind="house_prices",
        source="kaggle",
        sources={"kaggle": dict(format="kaggle_csv", **files)},
        seed=1,
        train_points=None,
        test_points=None,
        features=None,
    )
    return HousePrices(**{**values, **changes})


def test_kaggle_columns_have_the_levels_of_both_files_and_one_for_missing_values(tmp_path):
    data = make_data(kaggle(tmp_path))
    assert data.provenance["columns"] == [
        "Area",
        *("Alley_Grvl", "Alley_Pave", "Alley_nan"),
        *("Veneer_Brick", "Veneer_None", "Veneer_Stone", "Veneer_nan"),
    ]
    assert data.x_train.shape == data.x_test.shape == (2, 8)
    assert data.classes is None and data.y_train.dtype == np.float64
    one_hot = np.concatenate([data.x_train, data.x_test])[:, 1:]
    np.testing.assert_array_equal(one_hot[:, :3].sum(axis=1), 1)
    np.testing.assert_array_equal(one_hot[:, 3:].sum(axis=1), 1)
    assert one_hot[:, 4].sum() == 3 and one_hot[:, 5:].sum() == 0


def test_target_is_the_log_price_in_units_of_the_train_rows(tmp_path):
    data = make_data(kaggle(tmp_path, train_points=3, test_points=1))
    np.testing.assert_allclose(data.y_train.mean(), 0, atol=1e-12)
    np.testing.assert_allclose(data.y_train.std(), 1)
    steps = np.diff(np.sort(np.concatenate([data.y_train, data.y_test])))
    np.testing.assert_allclose(steps, steps[0])  # prices double from row to row


def test_numbers_are_scaled_by_the_train_rows_and_missing_ones_become_0():
    frame = pd.DataFrame({"n": [1.0, 3.0, np.nan, 7.0], "c": ["a", None, "b", "a"]})
    x, names = columns(frame, slice(0, 3))
    assert names == ["n", "c_a", "c_b", "c_nan"]
    np.testing.assert_allclose(x, [[-1, 1, 0, 0], [1, 0, 0, 1], [0, 0, 1, 0], [5, 1, 0, 0]])


def test_most_correlated_columns_first_without_twins_and_constants():
    random = np.random.default_rng(0)
    y, noise = random.normal(size=400), random.normal(size=(400, 3))
    x = np.column_stack([noise[:, 0], y + noise[:, 1], -(y + noise[:, 1]), np.ones(400), -y + 0.1 * noise[:, 2]])
    assert most_correlated(x, y, 2).tolist() == [4, 1]
    assert most_correlated(x, y, 9).tolist() == [4, 1, 0]
    assert most_correlated(x, y, None).tolist() == [0, 1, 2, 3, 4]


def ames(folder, rows=40, **changes) -> HousePrices:
    random = np.random.default_rng(3)
    area = random.uniform(50, 200, rows)
    frame = pd.DataFrame(
        {
            "rownames": range(rows),
            "Order": range(rows),
            "PID": range(rows),
            "area": area,
            "price": 1000 * area,
            "noise": random.normal(size=rows),
            "Mas.Vnr.Type": pd.Series([np.nan, "Stone", np.nan] * rows, dtype=object)[:rows],
            "Mas.Vnr.Area": ([0.0, 5.0, np.nan] * rows)[:rows],
        }
    )
    file = local(folder / "ames.pkl.compress", lzma.compress(pickle.dumps(frame)))
    section = dict(
        kind="house_prices",
        source="ames",
        sources={"ames": dict(format="ames_pickle", file=file)},
        seed=1,
        train_points=20,
        test_points=10,
        features=None,
    )
    return HousePrices(**section | changes)


def test_ames_recovers_the_level_none_and_leaves_the_price_out(tmp_path):
    names = make_data(ames(tmp_path)).provenance["columns"]
    assert names == ["area", "noise", "Mas.Vnr.Area", "Mas.Vnr.Type_None", "Mas.Vnr.Type_Stone", "Mas.Vnr.Type_nan"]


def test_features_are_chosen_by_the_train_rows_alone(tmp_path):
    """Whatever stands in the other rows, the choice is the same; only the test inputs are other numbers."""
    data = make_data(ames(tmp_path, features=2))
    assert data.provenance["columns"][0] == "area" and data.x_train.shape == (20, 2) and data.x_test.shape == (10, 2)
    fewer = make_data(ames(tmp_path, features=2, test_points=5))
    assert fewer.x_train.tobytes() == data.x_train.tobytes()
    assert fewer.x_test.tobytes() == data.x_test[-5:].tobytes()


def test_equal_sections_give_equal_bytes_and_the_seed_matters(tmp_path):
    first, again, other = (make_data(ames(tmp_path, seed=seed)) for seed in (1, 1, 2))
    assert first.x_train.tobytes() == again.x_train.tobytes() and first.y_test.tobytes() == again.y_test.tobytes()
    assert not np.allclose(first.y_train, other.y_train)


def test_a_pickle_that_was_changed_is_not_opened(tmp_path):
    section = ames(tmp_path)
    bomb = b"cbuiltins\nexec\n(V1/0\ntR."
    (tmp_path / "ames.pkl.compress").write_bytes(lzma.compress(bomb))
    with pytest.raises(FileError, match="has the checksum"):
        make_data(section)


def test_a_pickle_needs_a_checksum(tmp_path):
    file = local(tmp_path / "a", b"", checksum=None)
    with pytest.raises(ValueError, match=r"file\.checksum must be given"):
        ames(tmp_path, sources={"ames": dict(format="ames_pickle", file=file)})


def test_a_table_of_something_else_is_named(tmp_path):
    with pytest.raises(FileError, match=r"train\.csv is not the train\.csv of House Prices"):
        make_data(kaggle(tmp_path, train="a,b\n1,2\n"))


def test_an_unknown_source_is_refused(tmp_path):
    with pytest.raises(ValueError, match="source must be one of the keys of sources: kaggle"):
        kaggle(tmp_path, source="amex")


def test_another_source_in_the_section_changes_nothing(tmp_path):
    one, both = ames(tmp_path), ames(tmp_path)
    both = both.model_copy(update={"sources": {**both.sources, **kaggle(tmp_path).sources}})
    assert both.used() == one.used() and len(both.files()) == 1
    assert make_data(both).provenance == make_data(one).provenance


def test_columns_do_not_depend_on_the_order_of_rows():
    frame = pd.read_csv(io.StringIO(KAGGLE_TRAIN)).drop(columns=["Id", "SalePrice"])
    order = [2, 0, 3, 1]
    shuffled, names = columns(frame.iloc[order], slice(0, 4))
    np.testing.assert_allclose(shuffled, columns(frame, slice(0, 4))[0][order])
    assert names == columns(frame, slice(0, 4))[1]


def test_a_file_that_is_no_compressed_pickle_is_named(tmp_path):
    file = local(tmp_path / "a.pkl", b"a,b,c")
    with pytest.raises(FileError, match="is not a data frame pickled and compressed with xz: check `format`"):
        make_data(ames(tmp_path, sources={"ames": dict(format="ames_pickle", file=file)}))
