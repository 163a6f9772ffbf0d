"""Choosing train and test points, and scaling by the train points alone."""

import numpy as np

from entroscape.errors import ConfigError


def split(rows: int, train: int | None, test: int | None) -> tuple[slice, slice]:
    """Slices of the train and the test rows: the first and the last of them; None stands for half of all.

    Another number of train rows leaves the test rows as they are. Raises ConfigError when there are too few rows.
    """
    train = rows // 2 if train is None else train
    test = rows - rows // 2 if test is None else test
    if train + test > rows:
        raise ConfigError(
            f"data.train_points = {train} and data.test_points = {test} need {train + test} rows, but the source has "
            f"only {rows}; make one of them smaller"
        )
    return slice(0, train), slice(rows - test, rows)


def balanced_order(labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Indices in a random order in which every stretch holds all classes in turn, as many points of each class.

    Where classes differ in size, random points of the larger ones are left out.
    """
    classes, counts = np.unique(labels, return_counts=True)
    turns = [generator.permutation(np.flatnonzero(labels == label))[: counts.min()] for label in classes]
    return generator.permuted(np.stack(turns), axis=0).T.ravel()


def standardised(values: np.ndarray, train: slice, axis: int | tuple[int, ...] = 0) -> np.ndarray:
    """Values less the mean of the train rows, over their standard deviation, taken along `axis`, which includes rows.

    Missing values (nan) do not count. What is constant on the train rows becomes 0 there and is only shifted elsewhere.
    """
    mean = np.nanmean(values[train], axis=axis, keepdims=True)
    deviation = np.nanstd(values[train], axis=axis, keepdims=True)
    # values that are equal up to rounding have no scale of their own
    flat = deviation <= 1e-12 * np.maximum(1.0, np.abs(mean))
    return (values - mean) / np.where(flat, 1.0, deviation)
