"""The bins of a landscape: equal bins in ln L_train, and attainable values or equal bins in the test metric."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from entroscape.config.sampler import ACCURACY_BINS, Axis

X = "ln_train_loss"
MAP = (X, "test_accuracy")  # dimensions of the maps that Monte Carlo samples


def accuracy_bins(test_points: int) -> int:
    """How many equal steps from 0 to 1 the true accuracy is counted in: one for each point, or `ACCURACY_BINS`.

    Row k holds accuracies from k / bins up to the next row, and the last one the accuracy 1 alone.
    """
    return min(test_points, ACCURACY_BINS)


def dimensions(dataset: xr.Dataset) -> tuple[str, str]:
    """Dimensions (x, y) of the maps in what a sampler or a merge left behind."""
    entropy = dataset["entropy" if "entropy" in dataset else "weight_entropy"]
    x, y = entropy.dims[-2:]
    return str(x), str(y)


@dataclass(frozen=True)
class Grid:
    """`columns` bins of `bin_width` from `x_min` in x = ln L_train; `rows` bins in y, the test metric `name`.

    Discrete y (`y_width` None) counts correct test points, so row k stands for the accuracy k / (rows - 1).
    Otherwise rows are bins of `y_width` from `y_min`.
    """

    x_min: float
    bin_width: float
    columns: int
    rows: int
    name: str = MAP[1]
    y_min: float = 0.0
    y_width: float | None = None

    @classmethod
    def of(cls, axis: Axis, test_points: int) -> "Grid":
        """Bins of a configured axis and of the accuracy on `test_points` points."""
        return cls(axis.min, axis.bin_width, _bins(axis), test_points + 1)

    @classmethod
    def continuous(cls, x_axis: Axis, y_axis: Axis, name: str) -> "Grid":
        """Equal bins in both coordinates; `name` is that of the test metric, such as ln_test_loss."""
        return cls(
            x_axis.min, x_axis.bin_width, _bins(x_axis), _bins(y_axis), name, float(y_axis.min), float(y_axis.bin_width)
        )

    @classmethod
    def of_landscape(cls, landscape: xr.Dataset, x_axis: Axis) -> "Grid":
        """Bins of a landscape that was sampled on `x_axis`; its y coordinate says what the rows are."""
        name = dimensions(landscape)[1]
        y = landscape[name].to_numpy()
        if name == MAP[1]:
            return cls.of(x_axis, len(y) - 1)
        width = (y[-1] - y[0]) / (len(y) - 1)
        y_min = float(np.round(y[0] - width / 2, 9))
        return cls(x_axis.min, x_axis.bin_width, _bins(x_axis), len(y), name, y_min, float(np.round(width, 9)))

    @property
    def discrete(self) -> bool:
        """Whether rows are attainable values rather than bins."""
        return self.y_width is None

    @property
    def dimensions(self) -> tuple[str, str]:
        """Names of the coordinates (x, y)."""
        return X, self.name

    @property
    def x_edges(self) -> np.ndarray:
        """Edges of the columns in ln L, shape [columns + 1]."""
        return self.x_min + self.bin_width * np.arange(self.columns + 1)

    @property
    def x_centres(self) -> np.ndarray:
        """Middles of the columns in ln L, shape [columns]; rounded so that grids of equal bins compare equal."""
        return np.round(self.x_edges[:-1] + self.bin_width / 2, 9)

    @property
    def y_edges(self) -> np.ndarray:
        """Edges of the rows, shape [rows + 1]; those of discrete rows lie half-way between two values."""
        if self.y_width is None:
            return (np.arange(self.rows + 1) - 0.5) / (self.rows - 1)
        return self.y_min + self.y_width * np.arange(self.rows + 1)

    @property
    def y_values(self) -> np.ndarray:
        """Test metric of each row, shape [rows]: the attainable value, or the middle of the bin."""
        if self.y_width is None:
            return np.linspace(0.0, 1.0, self.rows)
        return np.round(self.y_edges[:-1] + self.y_width / 2, 9)

    @property
    def coordinates(self) -> dict[str, np.ndarray]:
        """Coordinates of a map: middles of the columns, values of the rows."""
        return dict(zip(self.dimensions, (self.x_centres, self.y_values), strict=True))

    def window(self, lower: float, upper: float) -> tuple[int, int]:
        """Columns [first, last) of the window lower <= ln L < upper, whose edges are bin edges.

        Raises ValueError for one that is not within the grid: samplers index their maps with its columns.
        """
        first, last = (round((edge - self.x_min) / self.bin_width) for edge in (lower, upper))
        if not 0 <= first < last <= self.columns:
            raise ValueError(
                f"the window ln L in [{lower:g}, {upper:g}) is not within the grid, which covers "
                f"[{self.x_edges[0]:g}, {self.x_edges[-1]:g}): give a window of at least one bin there, or a wider axis"
            )
        return first, last

    def column(self, ln_loss: np.ndarray) -> np.ndarray:
        """Column of each value of ln L; negative or >= `columns` outside the grid."""
        return np.floor((np.asarray(ln_loss) - self.x_min) / self.bin_width).astype(np.int64)

    def row(self, value: np.ndarray) -> np.ndarray:
        """Row of each value of the test metric; negative or >= `rows` outside the grid."""
        if self.y_width is None:
            return np.rint(np.asarray(value) * (self.rows - 1)).astype(np.int64)
        return np.floor((np.asarray(value) - self.y_min) / self.y_width).astype(np.int64)


def _bins(axis: Axis) -> int:
    return round((axis.max - axis.min) / axis.bin_width)
