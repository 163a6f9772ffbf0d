"""The ends between which configurations make round trips, in ln L and in the test metric."""

from collections.abc import Sequence

import numpy as np

FEW = 5  # columns, of which only the outermost ones are ends


def ends_in_x(windows: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Last column of the low end and first of the high end of the range that windows [first, last) ask for.

    An end is the outermost column, and its neighbour where there are enough between them that who crosses has come some
    way. The ends are those asked for: a range that was not reached is not crossed.
    """
    first, last = min(first for first, _ in windows), max(last for _, last in windows)
    neighbours = 1 if last - first > FEW else 0
    return first + neighbours, last - 1 - neighbours


def ends_in_y(known: np.ndarray) -> tuple[int, int] | None:
    """Last row of the lower and first of the upper third of the known rows (bool[rows]); None with fewer than two."""
    rows = np.flatnonzero(known)
    if len(rows) < 2:
        return None
    first, last = int(rows[0]), int(rows[-1])
    third = max((last - first + 1) // 3, 1)
    return first + third - 1, last - third + 1
