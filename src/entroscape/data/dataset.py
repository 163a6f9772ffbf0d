"""The arrays of one task and where they come from."""

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from entroscape.errors import FileError

_POINT_DIMENSIONS = {2: ("feature",), 4: ("channel", "row", "column")}
_VARIABLES = ("x_train", "y_train", "x_test", "y_test")
_REGRESSION = 0  # what the attribute `classes` holds where there are none: netCDF has no None


@dataclass(frozen=True)
class TaskData:
    """Train and test points of a classification or regression task.

    x_train, x_test: float64[N, D] vectors, float64[N, C, H, W] images or int64[N, D] tokens.
    y_train, y_test: int64[N] labels in 0 ... classes - 1, or float64[N] targets where classes is None (regression).
    provenance: what the data are, from which settings and source, under which licence (JSON-able). Its `stand_in` is
    empty, or says what stands in place of the published data, as in "MNIST 4 against 9 in place of CIFAR-10 cats
    and dogs".
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: int | None
    provenance: dict[str, Any]

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
