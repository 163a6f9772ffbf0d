"""Sale prices of houses from their descriptions, the tabular task (arXiv:2503.13145, Task 2).

The recipe is the common one: numeric columns standardised and then missing values 0, categories one-hot with a level
for missing values, the logarithm of the price. It gives 331 columns from the Kaggle files, as published, and 347 from
the Ames sales that these were drawn from.
"""

import io
import lzma
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from entroscape.config.data import AmesPickle, HousePrices, KaggleCsv
from entroscape.config.sources import Download, LocalFile, PackageFile
from entroscape.data import sources
from entroscape.data.arrange import split, standardised
from entroscape.data.dataset import TaskData
from entroscape.random import generator

# "None" is a level of the masonry veneer, not a missing value
_MISSING = ["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A"]
_MISSING += ["NA", "NULL", "NaN", "n/a", "nan", "null"]
_REDUNDANT = 0.99


def make(section: HousePrices, folder: Path = sources.FOLDER) -> TaskData:
    """Train and test rows; targets are log prices, standardised on the train rows.

    Raises FileError for a missing or wrong file, ConfigError when it has too few rows.
    """
    frame, log_price = _load(section.sources[section.source], folder)
    labelled = len(log_price)
    order = generator("house_prices", section.seed, "order").permutation(labelled)
    train, test = split(labelled, section.train_points, section.test_points)
    # rows without a price come last: they only tell which levels the categories have
    frame = frame.iloc[[*order, *range(labelled, len(frame))]]
    x, names = columns(frame, train)
    y = standardised(log_price[order], train)
    kept = most_correlated(x[train], y[train], section.features)
    provenance = {
        "what": "log price of houses, standardised on the train rows, from numeric columns (standardised on the train "
        "rows, missing values 0) and categories (one-hot with a level for missing values)",
        **sources.provenance(section),
        "stand_in": "",
        "columns": [names[column] for column in kept],
    }
    return TaskData(x[train][:, kept], y[train], x[test][:, kept], y[test], None, provenance)


def columns(frame: pd.DataFrame, train: slice) -> tuple[np.ndarray, list[str]]:
    """float64[rows, columns] and the columns' names: numbers first, then for each category its levels, sorted."""
    numeric = [name for name in frame if pd.api.types.is_numeric_dtype(frame[name])]
    numbers = np.nan_to_num(standardised(frame[numeric].to_numpy(np.float64), train))
    categories = frame.drop(columns=numeric).astype(object)
    one_hot = pd.get_dummies(categories, columns=list(categories), dummy_na=True, dtype=np.float64)
    return np.concatenate([numbers, one_hot.to_numpy()], axis=1), [*numeric, *one_hot]


def most_correlated(x: np.ndarray, y: np.ndarray, count: int | None) -> np.ndarray:
    """Indices of the `count` columns with the largest absolute correlation with y, largest first; None: all, in order.

    x[rows, columns] and y[rows] are train rows only. A column that says the same as one before it (absolute
    correlation of 0.99 with it) is passed over, and so is one without any variation.
    """
    if count is None:
        return np.arange(x.shape[1])
    centred = x - x.mean(axis=0)
    length = np.linalg.norm(centred, axis=0)
    usable = np.flatnonzero(length > 1e-9)
    unit = centred[:, usable] / length[usable]
    strength = np.abs(unit.T @ (y - y.mean()))
    kept: list[int] = []
    for column in np.argsort(-strength, kind="stable"):
        if len(kept) < count and np.all(np.abs(unit[:, kept].T @ unit[:, column]) < _REDUNDANT):
            kept.append(column)
    return usable[kept]


def _load(section: AmesPickle | KaggleCsv, folder: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """Descriptions (rows without a price last) and log prices float64[rows with a price]; raises FileError."""
    return _ames(section, folder) if isinstance(section, AmesPickle) else _kaggle(section, folder)


def _ames(section: AmesPickle, folder: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """The 2,930 sales. The file is a pickle: `read` has verified it before it is opened."""
    content = sources.read(section.file, folder)
    try:
        frame = _Unpickler(io.BytesIO(lzma.decompress(content))).load()
    except (lzma.LZMAError, pickle.UnpicklingError) as error:
        raise sources.unreadable(section.file, "a data frame pickled and compressed with xz", folder) from error
    # this edition lost the level "None" of the masonry veneer; where its area is known, that is what was meant
    no_veneer = frame["Mas.Vnr.Type"].isna() & frame["Mas.Vnr.Area"].notna()
    frame.loc[no_veneer, "Mas.Vnr.Type"] = "None"
    return frame.drop(columns=["rownames", "Order", "PID", "price"]), np.log(frame["price"].to_numpy(np.float64))


class _Unpickler(pickle.Unpickler):
    """Reads what an older numpy wrote: its modules have other names now."""

    def find_class(self, module: str, name: str) -> Any:
        """The class or function of that name."""
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def _kaggle(section: KaggleCsv, folder: Path) -> tuple[pd.DataFrame, np.ndarray]:
    priced, others = (_csv(source, folder) for source in (section.train, section.test))
    if "SalePrice" not in priced or "Id" not in priced or set(priced) - set(others) != {"SalePrice"}:
        raise sources.unreadable(section.train, "the train.csv of House Prices with its test.csv beside it", folder)
    log_price = np.log(priced["SalePrice"].to_numpy(np.float64))
    frame = pd.concat([priced.drop(columns="SalePrice"), others], ignore_index=True)
    return frame.drop(columns="Id"), log_price


def _csv(source: PackageFile | Download | LocalFile, folder: Path) -> pd.DataFrame:
    content = sources.read(source, folder)
    try:
        return pd.read_csv(io.BytesIO(content), keep_default_na=False, na_values=_MISSING)
    except (ValueError, UnicodeDecodeError) as error:
        raise sources.unreadable(source, "a table with commas", folder) from error
