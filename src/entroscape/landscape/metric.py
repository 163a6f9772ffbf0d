"""The test metric of a landscape, its y coordinate: which way is better, and what is averaged to compare with training.

Two metrics can be read off one map. The coordinate y is what was sampled, and what curves on the map are means of. The
judged metric is what claims are about: the share of correct test points for classification, whatever smooth stand-in
was sampled, and y = ln L_test for regression. For the logit of an accuracy the mean of the accuracy itself is given
too: the mean of a logit is not the logit of a mean, and a few perfect states would dominate it.
"""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from scipy.special import expit

from entroscape.config.sampler import ACCURACY_BINS
from entroscape.grid import dimensions

ACCURACY, LOSS, SMOOTH, LOGIT = "test_accuracy", "ln_test_loss", "smoothed_accuracy", "smoothed_accuracy_logit"
JUDGED = (ACCURACY, LOSS)
EDGE = 1e-9  # how far an edge may be off a threshold by rounding


@dataclass(frozen=True)
class Metric:
    """A test metric by its name; `epsilon` is that of the logit ln((a + epsilon) / (1 - a + epsilon))."""

    name: str
    epsilon: float = 0.0

    @classmethod
    def of(cls, landscape: xr.Dataset) -> "Metric":
        """The y coordinate of a landscape; epsilon is in the settings it was sampled with."""
        settings = json.loads(landscape.attrs.get("settings", "{}"))
        y = settings.get("observables", {}).get("y", {})
        return cls(dimensions(landscape)[1], float(y.get("epsilon", 0.0)))

    @property
    def sign(self) -> int:
        """+1 where more is better, -1 where less is."""
        return -1 if self.name == LOSS else 1

    @property
    def judged(self) -> str:
        """Name of the metric that claims are about."""
        return LOSS if self.name == LOSS else ACCURACY

    def natural(self, y: Any) -> Any:
        """Values of the coordinate in the units a reader thinks in: accuracies for a logit, others as they are."""
        return (1 + 2 * self.epsilon) * expit(y) - self.epsilon if self.name == LOGIT else y

    def coordinate(self, value: Any) -> Any:
        """Inverse of `natural`."""
        if self.name != LOGIT:
            return value
        return np.log((value + self.epsilon) / (1 - value + self.epsilon))


@dataclass(frozen=True)
class JudgedMap:
    """S by ln L_train and the judged metric: entropy[columns, rows] and the same without each unit, [units, ...].

    lower, upper: what the rows hold, [rows] each, equal where a row is a single attainable accuracy. Thresholds are
    edges: a row counts as a whole or not at all, and one that a threshold divides does not count.
    """

    name: str
    lower: np.ndarray
    upper: np.ndarray
    entropy: np.ndarray
    left_out: np.ndarray

    def generalising(self, threshold: float) -> np.ndarray:
        """Rows of which every state has at least this accuracy, or at most this ln L_test; bool[rows]."""
        good = self.upper <= threshold + EDGE if self.name == LOSS else self.lower >= threshold - EDGE
        return np.asarray(good)

    def memorising(self, threshold: float) -> np.ndarray:
        """Rows of which every state has at most this accuracy, bool[rows]."""
        return np.asarray(self.upper <= threshold + EDGE)


def judged_map(landscape: xr.Dataset) -> JudgedMap | None:
    """The map over the judged metric; None where a smooth stand-in was sampled and the true accuracy not counted."""
    name = dimensions(landscape)[1]
    if "entropy_by_accuracy" in landscape:
        entropy, name = "entropy_by_accuracy", ACCURACY
    elif name in JUDGED:
        entropy = "entropy"
    else:
        return None
    rows = landscape[name].to_numpy()
    if name == LOSS:
        half = (rows[-1] - rows[0]) / (len(rows) - 1) / 2
        lower, upper = rows - half, rows + half
    else:
        lower = upper = rows
        if entropy != "entropy" and len(rows) == ACCURACY_BINS + 1:  # may hold several attainable values, but the last
            upper = np.append(rows[1:], rows[-1])
    whole, left_out = (landscape[key].to_numpy().astype(float) for key in (entropy, f"{entropy}_left_out"))
    return JudgedMap(name, lower, upper, whole, left_out)


def maps(landscape: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Entropy and, where known, the true accuracy of each bin, [k, columns, rows]; and both without each unit."""
    names = [name for name in ("entropy", "accuracy") if name in landscape]
    whole = np.array([landscape[name].to_numpy() for name in names], dtype=float)
    left_out = np.stack([landscape[f"{name}_left_out"].to_numpy() for name in names], axis=1).astype(float)
    return whole, left_out


def sign(name: str) -> int:
    """+1 for a metric of which more is better, -1 for a loss."""
    return Metric(name).sign
