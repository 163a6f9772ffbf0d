"""The bins of a landscape: equal bins in ln L_train, one bin per attainable value in the test metric."""

from dataclasses import dataclass

import numpy as np

from entroscape.config.sampler import Axis

MAP = ("ln_train_loss", "test_accuracy")  # dimensions of a map


@dataclass(frozen=True)
class Grid:
    """`columns` bins of `bin_width` from `x_min` in x = ln L_train; `rows` bins in y.

    y counts correct test points, so row k stands for the accuracy k / (rows - 1).
    """

    x_min: float
    bin_width: float
    columns: int
    rows: int

    @classmethod
    def of(cls, axis: Axis, test_points: int) -> "Grid":
        """Bins of a configured axis and of the accuracy on `test_points` points."""
        return cls(axis.min, axis.bin_width, round((axis.max - axis.min) / axis.bin_width), test_points + 1)

    @property
    def x_edges(self) -> np.ndarray:
        """Edges of the columns in ln L, shape [columns + 1]."""
        return self.x_min + self.bin_width * np.arange(self.columns + 1)

    @property
    def x_centres(self) -> np.ndarray:
        """Middles of the columns in ln L, shape [columns]; rounded so that grids of equal bins compare equal."""
        return np.round(self.x_edges[:-1] + self.bin_width / 2, 9)

    @property
    def y_values(self) -> np.ndarray:
        """Test accuracy of each row, shape [rows]."""
        return np.linspace(0.0, 1.0, self.rows)

    @property
    def coordinates(self) -> dict[str, np.ndarray]:
        """Coordinates of a map: middles of the columns, accuracy of the rows."""
        return dict(zip(MAP, (self.x_centres, self.y_values), strict=True))

    def window(self, lower: float, upper: float) -> tuple[int, int]:
        """Columns [first, last) of the window lower <= ln L < upper, whose edges are bin edges."""
        first, last = (round((edge - self.x_min) / self.bin_width) for edge in (lower, upper))
        return first, last

    def column(self, ln_loss: np.ndarray) -> np.ndarray:
        """Column of each value of ln L; negative or >= `columns` outside the grid."""
        return np.floor((np.asarray(ln_loss) - self.x_min) / self.bin_width).astype(np.int64)
