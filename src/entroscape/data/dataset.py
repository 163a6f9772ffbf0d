"""The arrays of one task and where they come from."""

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from entroscape.errors import DataError, FileError

_POINT_DIMENSIONS = {2: ("feature",), 3: ("position", "feature"), 4: ("channel", "row", "column")}
_VARIABLES = ("x_train", "y_train", "x_test", "y_test")
_REGRESSION = 0  # what the attribute `classes` holds where there are none: netCDF has no None


@dataclass(frozen=True)
class TaskData:
    """Train and test points of a classification or regression task.

    x_train, x_test: float64[N, D] vectors, float64[N, T, D] sequences of them, float64[N, C, H, W] images or
    int64[N, D] tokens.
    y_train, y_test: int64[N] labels in 0 ... classes - 1, or float64[N] targets where classes is None (regression).
    provenance: what the data are, from which settings and source, under which licence (JSON-able). Its `stand_in` is
    empty, or says what stands in place of the published data, as in "MNIST 4 against 9 in place of CIFAR-10 cats
    and dogs".

    Raises DataError for anything else. Compiled loops index with labels, so nothing that uses a task checks them again.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: int | None
    provenance: dict[str, Any]

    def __post_init__(self) -> None:
        if self.classes is not None and not isinstance(self.classes, int | np.integer):
            raise DataError(f"the number of classes must be an integer, or None for numbers, but is {self.classes!r}")
        if self.classes is not None and self.classes < 2:
            raise DataError(
                f"a task of {self.classes} classes has nothing to tell apart: give at least two classes, or None for "
                "targets that are numbers"
            )
        for part in ("train", "test"):
            _check_points(part, getattr(self, f"x_{part}"), getattr(self, f"y_{part}"))
            _check_targets(f"y_{part}", getattr(self, f"y_{part}"), self.classes)
        if self.x_train.shape[1:] != self.x_test.shape[1:]:
            raise DataError(
                f"points of x_train have the shape {self.x_train.shape[1:]}, but those of x_test "
                f"{self.x_test.shape[1:]}: give both the same shape"
            )

    @property
    def stand_in(self) -> str:
        """What stands in place of the published data; empty where nothing does."""
        return str(self.provenance.get("stand_in", ""))

    def first(self, n: int) -> "TaskData":
        """The same with the first n train points only: every prefix of the train set is random or balanced.

        Scalings, columns and embeddings stay those of the whole train set. Raises ValueError unless 1 <= n <= N.
        """
        if not 1 <= n <= len(self.y_train):
            raise ValueError(f"first must be asked for 1 to {len(self.y_train)} train points, but got {n}")
        provenance = {**self.provenance, "first": n}
        return replace(self, x_train=self.x_train[:n], y_train=self.y_train[:n], provenance=provenance)

    def to_dataset(self) -> xr.Dataset:
        """The same as an xarray Dataset; number of classes (0 for regression) and provenance become attributes."""
        point = _POINT_DIMENSIONS[self.x_train.ndim]
        variables = {
            name: ((name.partition("_")[2], *(point if name.startswith("x") else ())), getattr(self, name))
            for name in _VARIABLES
        }
        provenance = json.dumps(self.provenance, sort_keys=True)
        return xr.Dataset(variables, attrs={"classes": self.classes or _REGRESSION, "provenance": provenance})

    @classmethod
    def from_dataset(cls, dataset: xr.Dataset) -> "TaskData":
        """Inverse of `to_dataset`; raises FileError when the Dataset is of another kind."""
        missing = [name for name in _VARIABLES if name not in dataset] + [
            name for name in ("classes", "provenance") if name not in dataset.attrs
        ]
        if missing:
            raise FileError(
                f"the data file has no {', '.join(missing)}, so it is not one that `prepare` wrote; "
                "delete it and run `prepare` again"
            )
        arrays = {name: dataset[name].to_numpy() for name in _VARIABLES}
        classes = int(dataset.attrs["classes"])
        return cls(
            **arrays,
            classes=None if classes == _REGRESSION else classes,
            provenance=json.loads(dataset.attrs["provenance"]),
        )


def _check_points(part: str, x: np.ndarray, y: np.ndarray) -> None:
    """Raise DataError unless there are points that are floats, or vectors of integers, with one target each."""
    if y.ndim != 1 or len(y) == 0 or len(x) != len(y):
        raise DataError(
            f"x_{part} has the shape {x.shape} and y_{part} {y.shape}: give at least one point, and one label or "
            "target for each"
        )
    if x.ndim not in _POINT_DIMENSIONS:
        raise DataError(
            f"x_{part} has {x.ndim} dimensions: give vectors [N, D], sequences of vectors [N, T, D] or images "
            "[N, C, H, W]"
        )
    if x.dtype.kind != "f" and (x.dtype.kind not in "iu" or x.ndim != 2):
        raise DataError(
            f"x_{part} of the shape {x.shape} holds {x.dtype}: give vectors and images as floats; only tokens are "
            "integers, of the shape [points, tokens]"
        )


def _check_targets(name: str, y: np.ndarray, classes: int | None) -> None:
    """Raise DataError unless these are labels of so many classes, or floats where there are no classes."""
    if classes is None:
        if y.dtype.kind != "f":
            raise DataError(
                f"{name} holds {y.dtype}, but a task without classes has targets that are floats: convert them, or say "
                "how many classes there are"
            )
        return
    if y.dtype.kind not in "iu":
        raise DataError(
            f"{name} holds {y.dtype}, but labels of classes are integers: convert them, or set classes to None"
        )
    lowest, highest = int(y.min()), int(y.max())
    if lowest < 0 or highest >= classes:
        raise DataError(
            f"{name} holds labels from {lowest} to {highest}, but those of {classes} classes run from 0 to "
            f"{classes - 1}: number the classes from 0"
        )
