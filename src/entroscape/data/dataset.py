"""The arrays of one task and where they come from."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from entroscape.errors import FileError

_DIMENSIONS = {
    "x_train": ("train", "feature"),
    "y_train": ("train",),
    "x_test": ("test", "feature"),
    "y_test": ("test",),
}


@dataclass(frozen=True)
class TaskData:
    """Train and test points of a classification task.

    x_train, x_test: float64[N, D]; y_train, y_test: int64[N], labels in 0 ... classes - 1.
    provenance: what the data are, from which settings and which source (JSON-able).
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: int
    provenance: dict[str, Any]

    def to_dataset(self) -> xr.Dataset:
        """The same as an xarray Dataset; number of classes and provenance become attributes."""
        variables = {name: (dims, getattr(self, name)) for name, dims in _DIMENSIONS.items()}
        provenance = json.dumps(self.provenance, sort_keys=True)
        return xr.Dataset(variables, attrs={"classes": self.classes, "provenance": provenance})

    @classmethod
    def from_dataset(cls, dataset: xr.Dataset) -> "TaskData":
        """Inverse of `to_dataset`; raises FileError when the Dataset is of another kind."""
        missing = [name for name in _DIMENSIONS if name not in dataset] + [
            name for name in ("classes", "provenance") if name not in dataset.attrs
        ]
        if missing:
            raise FileError(
                f"the data file has no {', '.join(missing)}, so it is not one that `prepare` wrote; "
                "delete it and run `prepare` again"
            )
        arrays = {name: dataset[name].to_numpy() for name in _DIMENSIONS}
        attributes = dataset.attrs
        return cls(**arrays, classes=int(attributes["classes"]), provenance=json.loads(attributes["provenance"]))
